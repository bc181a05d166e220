"""Real processes for the tests of the coordination services: ZooKeeper, one or an ensemble of three, kvd servers, and
clients that speak HTTP. Everything is ended by its pid, also when a test fails."""
import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
PATIENCE_S = 60
JARS = '/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar'


def skip_without_zookeeper():
    if not os.path.exists('/usr/share/java/zookeeper.jar') or not shutil.which('java'):
        print('skipped: needs the packages zookeeper and libslf4j-java, and java in PATH')
        sys.exit(SKIPPED)


def say(text):
    print(f'  {text}', flush=True)


def free_port():
    """Below 22768, so that the port of the peer channel, 10000 above, is one that the kernel gives to nobody."""
    while True:
        port = random.randrange(11000, 22000)
        try:
            with socket.socket() as one, socket.socket() as two:
                one.bind(('127.0.0.1', port))
                two.bind(('127.0.0.1', port + 10000))
                return port
        except OSError:
            continue


def eventually(what, condition):
    """The first true value of `condition`, which may fail to connect meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            value = condition()
            if value:
                return value
        time.sleep(0.02)
    raise AssertionError(f'in vain: {what}')


class Process:
    def __init__(self, command, log):
        self.log = open(log, 'ab')
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        self.log.close()


class ZooKeeper:
    """One server of ZooKeeper's; `ensemble` names (port, quorum port, election port) of all of them."""

    def __init__(self, directory, number, ensemble):
        self.directory = os.path.join(directory, f'zookeeper-{number}')
        self.port = ensemble[number][0]
        os.makedirs(self.directory)
        lines = [f'dataDir={self.directory}', f'clientPort={self.port}', 'clientPortAddress=127.0.0.1', 'tickTime=500',
                 'initLimit=20', 'syncLimit=10', 'admin.enableServer=false', 'maxClientCnxns=0']
        if len(ensemble) > 1:
            lines += [f'server.{i + 1}=127.0.0.1:{one[1]}:{one[2]}' for i, one in enumerate(ensemble)]
            with open(os.path.join(self.directory, 'myid'), 'w', encoding='ascii') as myid:
                myid.write(str(number + 1))
        self.config = os.path.join(self.directory, 'zoo.cfg')
        with open(self.config, 'w', encoding='ascii') as config:
            config.write('\n'.join(lines) + '\n')
        self.running = None

    def start(self):
        self.running = Process(
            ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx256m',
             '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-cp', JARS,
             'org.apache.zookeeper.server.quorum.QuorumPeerMain', self.config],
            os.path.join(self.directory, 'log'))

    def ask(self, word):
        with socket.create_connection(('127.0.0.1', self.port), timeout=2) as connection:
            connection.sendall(word.encode())
            answer = b''
            while part := connection.recv(4096):
                answer += part
        return answer.decode()

    def serves(self):
        return 'Mode:' in self.ask('srvr')

    def requests(self):
        """Packets that it has received since its start."""
        return int(next(line for line in self.ask('srvr').splitlines() if line.startswith('Received:')).split()[1])

    def end(self):
        if self.running:
            self.running.end()
            self.running = None


class Stream:
    """A request that its connection holds: the lines of its answer, one by one."""

    def __init__(self, port, path):
        self.connection = socket.create_connection(('127.0.0.1', port), timeout=PATIENCE_S)
        self.connection.sendall(f'POST {path} HTTP/1.1\r\nHost: kvd\r\nContent-Length: 0\r\n\r\n'.encode())
        self.answer = http.client.HTTPResponse(self.connection, method='POST')
        self.answer.begin()

    def line(self):
        """The next one; None at the end, also when the connection broke."""
        try:
            text = self.answer.readline()
        except (OSError, http.client.HTTPException):
            return None
        return json.loads(text) if text else None

    def until(self, **wanted):
        """The first line with these members."""
        while (line := self.line()) is not None:
            if wanted.items() <= line.items():
                return line
        raise AssertionError(f'the stream ended before {wanted}')

    def fileno(self):
        return self.connection.fileno()

    def close(self):
        self.answer.close()
        self.connection.close()


class Kvd:
    def __init__(self, binary, directory, zookeepers, number, flags=()):
        self.port = free_port()
        names = ','.join(f'127.0.0.1:{one.port}' for one in zookeepers)
        self.command = [binary, '--port', str(self.port), '--zookeeper', names, *flags]
        self.log = os.path.join(directory, f'kvd-{number}.log')
        self.running = None

    def start(self):
        self.running = Process(self.command, self.log)

    def ask(self, method, path, body=None):
        """The status, and the body, as JSON where it is some."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
            is_json = 'json' in (answer.getheader('Content-Type') or '')
            return answer.status, json.loads(text) if is_json else text.decode()
        finally:
            connection.close()

    def get(self, path):
        return self.ask('GET', path)

    def post(self, path, body=None):
        return self.ask('POST', path, body)

    def put(self, path, body=None):
        return self.ask('PUT', path, body)

    def delete(self, path):
        return self.ask('DELETE', path)

    def open_session(self, ttl=600):
        status, answer = self.post(f'/v1/sessions?ttl={ttl}')
        assert status == 201, (status, answer)
        return answer['id']

    def hold(self, path):
        return Stream(self.port, path)

    def kill(self):
        self.running.end()
        self.running = None

    def end(self):
        if self.running:
            self.kill()


class Cluster:
    """ZooKeeper and kvd servers, as a context."""

    def __init__(self, binary, servers=2, ensemble=1, flags=()):
        self.binary, self.count, self.ensemble, self.flags = binary, servers, ensemble, flags

    def __enter__(self):
        skip_without_zookeeper()
        self.directory = tempfile.mkdtemp(prefix='kvd-services-')
        ports = [(free_port(), free_port(), free_port()) for _ in range(self.ensemble)]
        self.zookeepers = [ZooKeeper(self.directory, i, ports) for i in range(self.ensemble)]
        self.servers = [Kvd(self.binary, self.directory, self.zookeepers, i, self.flags) for i in range(self.count)]
        try:
            for one in self.zookeepers:
                one.start()
            for one in self.zookeepers:
                eventually('ZooKeeper serves', one.serves)
            for one in self.servers:
                one.start()
            for one in self.servers:
                eventually('a server is ready', lambda one=one: one.get('/readyz')[0] == 200)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    @property
    def zookeeper(self):
        return self.zookeepers[0]

    @property
    def zookeeper_names(self):
        return ','.join(f'127.0.0.1:{one.port}' for one in self.zookeepers)

    def __exit__(self, kind, *_):
        for one in [*self.servers, *self.zookeepers]:
            one.end()
        if kind:
            for one in self.servers:
                with open(one.log, encoding='utf-8', errors='replace') as log:
                    print(f'---- {one.log}\n{"".join(log.readlines()[-40:])}')
        shutil.rmtree(self.directory, ignore_errors=True)


def run_case(cases):
    """The case that the command line names: `TEST KVD CASE`."""
    binary, name = sys.argv[1:3]
    print(name, flush=True)
    cases[name](binary)
