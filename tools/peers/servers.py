"""Servers for tools/peers/compare: kvd with its ZooKeeper, and the queues that it is compared with, all on loopback,
with free ports, and with their files in one directory. Each is a context that ends what it has started by pid, also
what that has started in turn; cpu_seconds() tells what all of it has used."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tests', 'support'))
from free_port import free_port  # pylint: disable=wrong-import-position

PATIENCE_S = 60
TICKS = os.sysconf('SC_CLK_TCK')
ZOOKEEPER_JARS = '/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar'
RABBITMQ = '/usr/lib/rabbitmq/bin'


class Failed(Exception):
    """A server did not come up."""


def stat_of(pid):
    """The fields of /proc/PID/stat behind the name; None: there is no such process."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as file:
            return file.read().rpartition(')')[2].split()
    except OSError:
        return None


def descendants(roots):
    """With the roots; parents first."""
    parents = {int(name): stat_of(name) for name in os.listdir('/proc') if name.isdigit()}
    found = [pid for pid in roots if parents.get(pid)]
    for one in found:
        found += [pid for pid, stat in parents.items() if stat and int(stat[1]) == one]
    return found


def eventually(what, condition, patience=PATIENCE_S):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.05)
    raise Failed(f'in vain: {what}')


def listens(port):
    with socket.create_connection(('127.0.0.1', port), timeout=1):
        return True


def says(port, request, expected):
    """What a server of lines answers."""
    with socket.create_connection(('127.0.0.1', port), timeout=2) as connection:
        connection.sendall(request)
        return expected in connection.recv(65536)


class Servers:
    """What begin() of a subclass starts. `ports`: of those that clients talk to."""
    needs = {}   # packages, each with a file that it has

    def __init__(self, directory):
        self.directory = directory
        self.running, self.ports = [], []

    @classmethod
    def missing(cls):
        return [package for package, file in cls.needs.items() if not os.path.exists(file)]

    @property
    def addresses(self):
        return ','.join(f'127.0.0.1:{port}' for port in self.ports)

    def path(self, name):
        path = os.path.join(self.directory, name)
        os.makedirs(path, exist_ok=True)
        return path

    def start(self, name, command, environment=None):
        with open(os.path.join(self.directory, f'{name}.log'), 'wb') as log:
            self.running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                 cwd=self.directory, env=environment, start_new_session=True))

    def cpu_seconds(self):
        """User and system time, also of children that have ended."""
        stats = [stat_of(pid) for pid in descendants([process.pid for process in self.running])]
        return sum(int(ticks) for stat in stats if stat for ticks in stat[11:15]) / TICKS

    def begin(self):
        raise NotImplementedError

    def __enter__(self):
        os.makedirs(self.directory)
        try:
            self.begin()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        pids = descendants([process.pid for process in self.running])
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            with contextlib.suppress(Failed):
                eventually('all have ended', lambda: self.all_ended(pids), 5)
        if kind and issubclass(kind, Failed):
            self.tell_logs()
        shutil.rmtree(self.directory, ignore_errors=True)

    def all_ended(self, pids):
        for process in self.running:
            process.poll()
        return not any(stat_of(pid) for pid in pids)

    def tell_logs(self):
        for name in sorted(name for name in os.listdir(self.directory) if name.endswith('.log')):
            with open(os.path.join(self.directory, name), encoding='utf-8', errors='replace') as log:
                print(f'---- {name}\n{"".join(log.readlines()[-20:])}', file=sys.stderr)


class Kvd(Servers):
    """Three servers and their ZooKeeper, or one alone."""
    needs = {'zookeeper': '/usr/share/java/zookeeper.jar', 'libslf4j-java': '/usr/share/java/slf4j-simple.jar',
             'default-jre-headless': '/usr/bin/java'}

    def __init__(self, directory, binary, keeps=False, alone=False):
        super().__init__(directory)
        self.binary, self.keeps, self.alone = binary, keeps, alone

    def begin(self):
        flags = ['--standalone'] if self.alone else self.start_zookeeper()
        for number in range(1 if self.alone else 3):
            self.ports.append(free_port())
            data = ['--data-dir', self.path(f'data-{number}')] if self.keeps else []
            self.start(f'kvd-{number}', [self.binary, '--port', str(self.ports[-1]), *flags, *data])
        for port in self.ports:
            eventually('kvd is ready', lambda port=port: urllib.request.urlopen(
                f'http://127.0.0.1:{port}/readyz', timeout=2).status == 200)

    def leader(self):
        """Its address."""
        if self.alone:
            return self.addresses
        with urllib.request.urlopen(f'http://127.0.0.1:{self.ports[0]}/v1/cluster/leader', timeout=10) as answer:
            return answer.read().decode().strip()

    def start_zookeeper(self):
        port = free_port()
        config = os.path.join(self.directory, 'zoo.cfg')
        with open(config, 'w', encoding='ascii') as file:
            file.write(f'tickTime=500\ndataDir={self.path("zookeeper")}\nclientPort={port}\n'
                       'clientPortAddress=127.0.0.1\nadmin.enableServer=false\nmaxClientCnxns=0\n')
        self.start('zookeeper', ['java', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx128m',
                                 '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', '-cp', ZOOKEEPER_JARS,
                                 'org.apache.zookeeper.server.quorum.QuorumPeerMain', config])
        eventually('ZooKeeper serves', lambda: says(port, b'srvr', b'Zookeeper version'))
        return ['--zookeeper', f'127.0.0.1:{port}', '--expect', '3', '--min-in-sync', '2']


class Beanstalkd(Servers):
    needs = {'beanstalkd': '/usr/bin/beanstalkd'}

    def __init__(self, directory, keeps):
        super().__init__(directory)
        self.keeps = keeps

    def begin(self):
        self.ports = [free_port()]
        keeps = ['-b', self.path('log'), '-f0'] if self.keeps else []
        self.start('beanstalkd', ['beanstalkd', '-l', '127.0.0.1', '-p', str(self.ports[0]), *keeps])
        eventually('beanstalkd serves', lambda: listens(self.ports[0]))


class Redis(Servers):
    """A primary and two replicas."""
    needs = {'redis-server': '/usr/bin/redis-server'}

    def __init__(self, directory, keeps):
        super().__init__(directory)
        self.keeps = keeps

    def begin(self):
        keeps = ['--appendonly', 'yes', '--appendfsync', 'always'] if self.keeps else ['--appendonly', 'no']
        ports = [free_port() for _ in range(3)]
        for number, port in enumerate(ports):
            self.start(f'redis-{number}', [
                'redis-server', '--port', str(port), '--bind', '127.0.0.1', '--save', '', *keeps,
                '--dir', self.path(f'data-{number}'), '--daemonize', 'no', '--repl-diskless-sync-delay', '0',
                *(['--replicaof', '127.0.0.1', str(ports[0])] if number else [])])
        self.ports = ports[:1]
        eventually('both replicas are there', lambda: says(ports[0], b'WAIT 2 100\r\n', b':2\r\n'))


class Nats(Servers):
    """Three servers with JetStream."""
    needs = {'nats-server': '/usr/sbin/nats-server'}

    def begin(self):
        self.ports = [free_port() for _ in range(3)]
        links = [free_port() for _ in range(3)]
        routes = ','.join(f'nats://127.0.0.1:{port}' for port in links)
        for number, port in enumerate(self.ports):
            self.start(f'nats-{number}', [
                'nats-server', '--name', f'n{number}', '-a', '127.0.0.1', '-p', str(port), '-js',
                '-sd', self.path(f'data-{number}'), '--cluster_name', 'compared',
                '--cluster', f'nats://127.0.0.1:{links[number]}', '--routes', routes])
        for port in self.ports:
            eventually('NATS serves', lambda port=port: says(port, b'', b'INFO'))


class Rabbitmq(Servers):
    """Three nodes, with names, a cookie and a port mapper that are no other's. Schedulers sleep when there is nothing
    to do: else they would take the cores from the clients and from kvd."""
    needs = {'rabbitmq-server': f'{RABBITMQ}/rabbitmq-server'}
    nodes = ['one@localhost', 'two@localhost', 'three@localhost']

    def environment(self, number):
        own = self.path(f'node-{number}')
        return {
            'PATH': os.environ['PATH'], 'HOME': self.directory, 'LANG': 'C.UTF-8',
            'ERL_EPMD_PORT': str(self.mapper), 'ERL_EPMD_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODENAME': self.nodes[number], 'RABBITMQ_NODE_IP_ADDRESS': '127.0.0.1',
            'RABBITMQ_NODE_PORT': str(self.ports[number]), 'RABBITMQ_DIST_PORT': str(self.links[number]),
            'RABBITMQ_CONFIG_FILE': os.path.join(self.directory, 'rabbitmq.conf'),
            'RABBITMQ_CONF_ENV_FILE': '/dev/null', 'RABBITMQ_MNESIA_BASE': own, 'RABBITMQ_LOG_BASE': own,
            'RABBITMQ_LOGS': '-', 'RABBITMQ_ENABLED_PLUGINS_FILE': os.path.join(own, 'plugins'),
            'RABBITMQ_PID_FILE': os.path.join(own, 'pid'),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+sbwt none +sbwtdcpu none +sbwtdio none'}

    def begin(self):
        self.mapper = free_port()
        self.ports = [free_port() for _ in range(3)]
        self.links = [free_port() for _ in range(3)]
        with open(os.path.join(self.directory, 'rabbitmq.conf'), 'w', encoding='ascii') as file:
            file.write('log.console = true\ncluster_formation.peer_discovery_backend = classic_config\n')
            for number, node in enumerate(self.nodes):
                file.write(f'cluster_formation.classic_config.nodes.{number + 1} = {node}\n')
        with open(os.path.join(self.directory, '.erlang.cookie'), 'w', encoding='ascii') as file:
            file.write(os.urandom(16).hex())
            os.fchmod(file.fileno(), 0o400)
        self.start('epmd', ['epmd', '-port', str(self.mapper), '-address', '127.0.0.1'])
        eventually('the port mapper serves', lambda: listens(self.mapper))
        for number in range(3):
            self.start(f'rabbitmq-{number}', [f'{RABBITMQ}/rabbitmq-server'], self.environment(number))
        for port in self.ports:
            eventually('RabbitMQ serves', lambda port=port: listens(port))
        known = subprocess.run([f'{RABBITMQ}/rabbitmqctl', '-n', self.nodes[0], 'await_online_nodes', '3',
                                '--timeout', str(PATIENCE_S)], env=self.environment(0), check=False,
                               stdin=subprocess.DEVNULL, capture_output=True)
        if known.returncode != 0:
            raise Failed(f'the nodes of RabbitMQ did not meet: {known.stderr.decode(errors="replace")}')
