"""Real processes for the tests of the coordination services: ZooKeeper, one or an ensemble of three, kvd servers, and
clients that speak HTTP. Everything is ended by its pid, also when a test fails."""
import http.client
import json
import logging
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from free_port import free_port  # pylint: disable=wrong-import-position

SKIPPED = 77
PATIENCE_S = 60
JARS = '/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar'
REFUSED = (503, 504)
MAY_BE_DONE = ('urn:kvd:link-lost', 'urn:kvd:stepped-down')  # 503, and yet it was on its way
logging.getLogger('kazoo').setLevel(logging.CRITICAL)  # that its connections break is what is tested
# Beyond any election of ZooKeeper's: what is held through one is not lost by the time that it takes.
LONG = ('--session-timeout', '30000')


def skip_without_zookeeper():
    if not os.path.exists('/usr/share/java/zookeeper.jar') or not shutil.which('java'):
        print('skipped: needs the packages zookeeper and libslf4j-java, and java in PATH')
        sys.exit(SKIPPED)


def say(text):
    print(f'  {text}', flush=True)


# A condition that finds no connection, a znode gone since it was listed, or an answer that says something else for now:
# a refusal in place of what was asked for, no leader in place of one.
NOT_YET = (OSError, http.client.HTTPException, NoNodeError, LookupError, TypeError)


def eventually(what, condition):
    """The first true value of `condition`, which may fail as NOT_YET says; the last such failure is told at the end."""
    deadline = time.monotonic() + PATIENCE_S
    why = None
    while time.monotonic() < deadline:
        try:
            value = condition()
            if value:
                return value
            why = None
        except NOT_YET as error:
            why = error
        time.sleep(0.02)
    raise AssertionError(f'in vain: {what}') from why


def insist(call, *arguments):
    """The answer, of a client that repeats what is refused for now, or told to be unknown."""
    def once():
        status, answer = call(*arguments)
        return None if status in REFUSED else (status, answer)
    return eventually(f'an answer to {arguments}', once)


def password_of(session):
    """Which ZooKeeper gives a session: the first bytes of Java's random numbers, seeded with the session's id."""
    mask = (1 << 48) - 1
    state = ((session ^ 0xB3415C00) ^ 0x5DEECE66D) & mask
    password = b''
    for _ in range(4):
        state = (state * 0x5DEECE66D + 0xB) & mask
        password += struct.pack('<I', state >> 16)
    return password


class Holdings:
    """What clients hold as they know it: from the answer that gave it to the call that gives it back. Nobody may be
    given what another one holds, and each later holder has a larger fence."""

    def __init__(self):
        self.lock = threading.Lock()
        self.held = set()
        self.fences = {}

    def take(self, *things, fence):
        with self.lock:
            for thing in things:
                assert thing not in self.held, (thing, self.held)
                assert self.fences.get(thing, 0) < fence, (thing, fence, self.fences)
                self.held.add(thing)
                self.fences[thing] = fence

    def give_back(self, *things):
        with self.lock:
            self.held.difference_update(things)


class Call:
    """Under way in a thread of its own."""

    def __init__(self, call, *arguments):
        self.answer = None
        self.problem = None
        self.thread = threading.Thread(target=self.run, args=(call, arguments))
        self.thread.start()

    def run(self, call, arguments):
        try:
            self.answer = (call(*arguments),)
        except BaseException as problem:  # pylint: disable=broad-except
            self.problem = problem

    @property
    def is_done(self):
        return not self.thread.is_alive()

    def result(self):
        self.thread.join()
        if self.problem:
            raise self.problem
        return self.answer[0]


class Clients:
    """Threads, one for each of `servers`, in which turn(server, session) is called again and again, as a context."""

    def __init__(self, servers, turn):
        self.turn = turn
        self.turns = [0] * len(servers)
        self.problems = []
        self.ends = False
        self.threads = [threading.Thread(target=self.run, args=(i, one)) for i, one in enumerate(servers)]

    def run(self, index, server):
        try:
            session = server.open_session()
            while not self.ends:
                self.turn(server, session)
                self.turns[index] += 1
        except BaseException as problem:  # pylint: disable=broad-except
            self.problems.append(problem)

    def go_on(self):
        """Returns when each has had another turn."""
        before = list(self.turns)
        eventually('each has had another turn', lambda: self.problems or all(
            now > old for now, old in zip(self.turns, before)))
        assert not self.problems, self.problems

    def __enter__(self):
        for each in self.threads:
            each.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        for each in self.threads:
            each.join()
        assert not self.problems, self.problems


class Background:
    """What runs in a thread of its own until `ends` is set, as a context."""

    def __init__(self):
        self.problem, self.ends = None, False
        self.thread = threading.Thread(target=self.try_to_run)

    def try_to_run(self):
        try:
            self.run()
        except BaseException as problem:  # pylint: disable=broad-except
            self.problem = problem

    def check(self):
        if self.problem is not None:
            raise self.problem

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()
        self.check()


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
                 'initLimit=20', 'syncLimit=10', 'admin.enableServer=false', 'maxClientCnxns=0',
                 'maxSessionTimeout=600000', '4lw.commands.whitelist=srvr,cons,wchp']
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

    def leads(self):
        return 'Mode: leader' in self.ask('srvr')

    def sessions(self):
        """Of those who are connected to it."""
        return {int(word[len('sid='):], 16) for word in self.ask('cons').replace(',', '\n').splitlines()
                if word.startswith('sid=')}

    def end_session(self, session):
        """Ends somebody else's, as if it had expired: resumes it and closes it, in one message."""
        resume = struct.pack('>iqiqi', 0, 0, 10000, session, 16) + password_of(session) + b'\0'
        close = struct.pack('>ii', 1, -11)
        with socket.create_connection(('127.0.0.1', self.port), timeout=10) as connection:
            connection.sendall(b''.join(struct.pack('>i', len(part)) + part for part in (resume, close)))
            while connection.recv(4096):
                pass

    def requests(self):
        """Packets that it has received since its start."""
        return int(next(line for line in self.ask('srvr').splitlines() if line.startswith('Received:')).split()[1])

    def end(self):
        if self.running:
            self.running.end()
            self.running = None


class Stream:
    """A request that its connection holds: the lines of its answer, one by one. `receive_bytes`: how much room there is
    for what is not read; 0: the system's."""

    def __init__(self, port, path, body='', method='POST', receive_bytes=0):
        self.connection = socket.socket()
        self.connection.settimeout(PATIENCE_S)
        if receive_bytes:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.connection.connect(('127.0.0.1', port))
        self.connection.sendall(
            f'{method} {path} HTTP/1.1\r\nHost: kvd\r\nContent-Length: {len(body)}\r\n\r\n{body}'.encode())
        self.answer = http.client.HTTPResponse(self.connection, method=method)
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

    def has_come(self, text):
        """Whether that is in what has come by now, and was not read."""
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        return text.encode() in self.connection.recv(1 << 16, socket.MSG_PEEK)

    def close(self):
        self.answer.close()
        self.connection.close()


class Kvd:
    def __init__(self, binary, directory, zookeepers, number, flags=()):
        self.port = free_port()
        self.name = f'127.0.0.1:{self.port}'
        names = ','.join(f'127.0.0.1:{one.port}' for one in zookeepers)
        self.command = [binary, '--port', str(self.port), '--zookeeper', names, *flags]
        self.log = os.path.join(directory, f'kvd-{number}.log')
        self.running = None

    def start(self):
        self.running = Process(self.command, self.log)

    def exchange(self, method, path, body=None, headers=()):
        """The status, the fields and the body of the answer."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ask(self, method, path, body=None):
        """The status, and the body, as JSON where it is some. Refusals are as src/manual/http.md has them."""
        status, fields, text = self.exchange(method, path, body)
        told = json.loads(text) if 'json' in (fields['Content-Type'] or '') else text.decode()
        if status >= 400 and path.startswith('/v1/'):
            assert told['status'] == status and told['detail'], (method, path, told)
            assert status != 503 or fields['Retry-After'], (method, path, told)
            in_doubt = told['type'] in MAY_BE_DONE
            outcomes = ('unknown',) if status == 504 else ('unknown', 'not-applied') if in_doubt else ('not-applied',)
            assert method == 'GET' or told['outcome'] in outcomes, (method, path, told)
        return status, told

    def get(self, path):
        return self.ask('GET', path)

    def post(self, path, body=None):
        return self.ask('POST', path, body)

    def put(self, path, body=None):
        return self.ask('PUT', path, body)

    def delete(self, path):
        return self.ask('DELETE', path)

    def open_session(self, ttl=600):
        status, answer = insist(self.post, f'/v1/sessions?ttl={ttl}')
        assert status == 201, (status, answer)
        return answer['id']

    def hold(self, path, body=''):
        return Stream(self.port, path, body)

    def watch(self, query, **options):
        return Stream(self.port, f'/v1/watch?{query}', method='GET', **options)

    def kill(self):
        self.running.end()
        self.running = None

    def end(self):
        if self.running:
            self.kill()


class Standalone(Kvd):
    """A kvd server alone, as a context, with a directory of its own."""

    def __init__(self, binary, keeps, flags=()):
        self.directory = tempfile.mkdtemp(prefix='kvd-standalone-')
        super().__init__(binary, self.directory, [], 0)
        self.data = os.path.join(self.directory, 'data')
        self.command = [binary, '--port', str(self.port), '--standalone', '--log-level', 'warn', *flags]
        if keeps:
            self.command += ['--data-dir', self.data]

    def start(self):
        super().start()
        eventually('it is ready', lambda: self.get('/readyz')[0] == 200)

    def restart(self):
        self.kill()
        self.start()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end()
        shutil.rmtree(self.directory)


class Cluster:
    """ZooKeeper and kvd servers, as a context. With `apart` the first kvd server knows but one server of the ensemble,
    cluster.alone, which does not lead, and all others, kazoo's clients, too, know but the others."""

    def __init__(self, binary, servers=2, ensemble=1, flags=(), apart=False):
        self.binary, self.count, self.ensemble, self.flags, self.apart = binary, servers, ensemble, flags, apart
        self.servers, self.clients = [], []

    def __enter__(self):
        skip_without_zookeeper()
        self.directory = tempfile.mkdtemp(prefix='kvd-services-')
        ports = [(free_port(), free_port(), free_port()) for _ in range(self.ensemble)]
        self.zookeepers = [ZooKeeper(self.directory, i, ports) for i in range(self.ensemble)]
        try:
            for one in self.zookeepers:
                one.start()
            for one in self.zookeepers:
                eventually('ZooKeeper serves', one.serves)
            self.known = self.zookeepers
            if self.apart:
                self.alone = next(one for one in self.zookeepers if not one.leads())
                self.known = [one for one in self.zookeepers if one is not self.alone]
            for number in range(self.count):
                known = [self.alone] if self.apart and number == 0 else self.known
                self.servers.append(Kvd(self.binary, self.directory, known, number, self.flags))
                self.servers[-1].start()
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
        return ','.join(f'127.0.0.1:{one.port}' for one in self.known)

    def kazoo(self):
        """A client of its own."""
        retry = {'max_tries': -1, 'delay': 0.02, 'deadline': PATIENCE_S}
        self.clients.append(KazooClient(hosts=self.zookeeper_names, timeout=20.0, command_retry=retry))
        self.clients[-1].start(timeout=PATIENCE_S)
        return self.clients[-1]

    def session_of(self, server):
        """Which one that server has in ZooKeeper; None while it has none."""
        kazoo = self.clients[0] if self.clients else self.kazoo()
        path = f'/kvd/members/{server.name}'
        kazoo.retry(kazoo.sync, path)
        stat = kazoo.retry(kazoo.exists, path)
        return stat.ephemeralOwner if stat else None

    def end_session(self, server):
        """Of a server that runs, as if it had expired. Through another server of the ensemble than that which it talks
        to: there it would come back before the end has been read."""
        session = eventually('it has a session', lambda: self.session_of(server))

        def is_over():
            if self.session_of(server) != session:
                return True
            next(one for one in self.known if one.running and session not in one.sessions()).end_session(session)
            return False
        eventually('its session is over', is_over)

    def expire(self, server):
        """The same; returns when it has another one and is ready again."""
        self.end_session(server)
        eventually('it has another one', lambda: self.session_of(server))
        eventually('it is ready again', lambda: server.get('/readyz')[0] == 200)

    def each_zookeeper_away(self):
        """Kills the servers of the ensemble, one at a time, and yields while one is away."""
        for number, one in enumerate(self.zookeepers):
            connected = one.sessions()
            whose = [f'server {i}' for i, server in enumerate(self.servers) if self.session_of(server) in connected]
            say(f'ZooKeeper {number} is killed, {"the leader" if one.leads() else "a follower"}'
                + (f', which {" and ".join(whose)} talked to' if whose else ''))
            one.end()
            yield
            one.start()
            eventually('it is back', one.serves)

    def __exit__(self, kind, *_):
        for one in self.clients:
            one.stop()
            one.close()
        for one in [*self.servers, *self.zookeepers]:
            one.end()
        if kind:
            for one in self.servers:
                with open(one.log, encoding='utf-8', errors='replace') as log:
                    print(f'---- {one.log}\n{"".join(log.readlines()[-40:])}')
        shutil.rmtree(self.directory, ignore_errors=True)


def leader_of(cluster):
    def find():
        for server in cluster.servers:
            if server.running:
                status, name = server.get('/v1/cluster/leader')
                for one in cluster.servers:
                    if status == 200 and one.name == name.strip() and one.running:
                        return one
        return None
    return eventually('somebody leads', find)


def is_ready(server):
    return server.get('/readyz')[0] == 200


def all_in_sync(cluster):
    return all(len(server.get('/v1/cluster')[1]['in_sync']) == len(cluster.servers) for server in cluster.servers)


def restart(cluster, server):
    server.running.signal(signal.SIGTERM)
    assert server.running.process.wait(PATIENCE_S) == 0
    server.kill()
    come_back(cluster, server)


def come_back(cluster, server):
    server.start()
    eventually('it is ready again', lambda: is_ready(server))
    eventually('all are in sync', lambda: all_in_sync(cluster))


def run_case(cases):
    """The case that the command line names: `TEST KVD CASE`."""
    binary, name = sys.argv[1:3]
    print(name, flush=True)
    cases[name](binary)
