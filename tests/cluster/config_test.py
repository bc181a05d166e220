#!/usr/bin/python3
"""kvd config sync and kvd config status with real servers: a directory that is whole whatever becomes of the servers or
of the process that keeps it, and a status that is right about all of them. Usage: config_test.py KVD CASE"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile

from services_cluster import (
    LONG, PATIENCE_S, Background, Cluster, Standalone, eventually, leader_of, run_case, say)

DONE, NOT_WELL, REFUSED, UNAVAILABLE, IO_ERROR = 0, 1, 65, 69, 74
PREFIX = 'app/'


class Node:
    """A kvd config sync of its own directory, and its record."""

    def __init__(self, binary, directory, name, servers):
        self.binary, self.directory, self.name = binary, directory, name
        self.to = os.path.join(directory, name)
        self.log = os.path.join(directory, name + '.log')
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith('KVD_')}
        self.environment['KVD_SERVERS'] = ','.join(servers)
        self.process = None

    def start(self, *flags):
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(
                [self.binary, 'config', 'sync', '--prefix', PREFIX, '--to', self.to, '--node', self.name, *flags],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kvd(self, *arguments, given=None):
        """The exit code and what it prints."""
        ended = subprocess.run([self.binary, *arguments], env=self.environment, input=given, timeout=PATIENCE_S,
                               check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return ended.returncode, ended.stdout, ended.stderr

    def status(self):
        """The exit code, and the answer as JSON with its nodes by their names. None when nobody answers for now."""
        code, printed, errors = self.kvd('config', 'status', '--prefix', PREFIX, '--json')
        if code == UNAVAILABLE:
            return None
        assert code in (DONE, NOT_WELL), (code, errors)
        told = json.loads(printed)
        told['nodes'] = {node['node']: node for node in told['nodes']}
        return code, told

    def wait_for(self, **wanted):
        """Until the status says so of this node. All of it, then."""
        def look():
            told = self.status()
            node = told and told[1]['nodes'].get(self.name)
            return told if node and wanted.items() <= node.items() else None
        return eventually(f'{self.name} is {wanted}', look)

    def files(self):
        """Of one version, which is still the present one when all were read: the link is followed once."""
        while True:
            version = os.path.realpath(self.to)
            with contextlib.suppress(FileNotFoundError):
                found = self.files_in(version)
                if os.path.realpath(self.to) == version:
                    return found

    @staticmethod
    def files_in(version):
        found = {}
        for place, _, names in os.walk(version):
            for name in names:
                path = os.path.join(place, name)
                with open(path, 'rb') as file:
                    found[os.path.relpath(path, version)] = file.read()
        return found

    def said(self):
        with open(self.log, encoding='utf-8', errors='replace') as log:
            return log.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == DONE, self.said()
        self.process = None

    def kill(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self.process = None

    def end(self):
        if self.process:
            self.kill()


@contextlib.contextmanager
def nodes_of(binary, servers, *names):
    directory = tempfile.mkdtemp(prefix='kvd-config-')
    nodes = [Node(binary, directory, name, [server.name for server in servers]) for name in names]
    try:
        yield nodes
    finally:
        for node in nodes:
            node.end()
        shutil.rmtree(directory)


def write(server, **values):
    """All of them in one transaction: its revision. The key is the name, with / for __. None deletes."""
    def operation(name, value):
        key = PREFIX + name.replace('__', '/')
        return {'delete': {'key': key}} if value is None else {'put': {'key': key, 'value': value}}
    body = json.dumps({'ops': [operation(name, value) for name, value in values.items()]})

    def once():
        status, answer = server.post('/v1/kv', body)
        return status == 200 and answer['revision']
    return eventually('a write', once)


class Looker(Background):
    """Looks at a node's files again and again, as whoever uses them does: each look has to see one revision of both."""

    def __init__(self, node):
        super().__init__()
        self.node, self.seen = node, [0]

    def run(self):
        while not self.ends:
            files = self.node.files()
            numbers = {files.get(name) for name in ('one', 'two', 'deep/three')}
            assert len(numbers) == 1 and None not in numbers, (files, self.seen[-3:])
            assert int(files['one']) >= self.seen[-1], (files, self.seen[-3:])
            self.seen.append(int(files['one']))


def all_three(number):
    return {'one': str(number), 'two': str(number), 'deep__three': str(number)}


def whole(binary):
    with Cluster(binary, servers=3, flags=LONG) as cluster, \
            nodes_of(binary, cluster.servers, 'n1', 'n2') as (one, two):
        write(cluster.servers[0], **all_three(0))
        one.start()
        two.start()
        revision = write(cluster.servers[0], **all_three(1))
        for node in (one, two):
            node.wait_for(revision=revision, current=True, state='running', alive=True)
        say('both are seen together whatever becomes of the servers')
        with Looker(one) as first, Looker(two) as second:
            number = 1
            for victim in [cluster.servers[0], leader_of(cluster)]:
                if not victim.running:
                    victim = leader_of(cluster)
                alive = [server for server in cluster.servers if server is not victim]
                for number in range(number + 1, number + 20):
                    write(alive[0], **all_three(number))
                say(f'server {cluster.servers.index(victim)} is killed')
                victim.kill()
                for number in range(number + 1, number + 20):
                    revision = write(alive[0], **all_three(number))
                for node in (one, two):
                    node.wait_for(revision=revision, current=True, state='running', alive=True)
                victim.start()
                eventually('it is back', lambda victim=victim: victim.get('/readyz')[0] == 200)
        assert first.seen[-1] == second.seen[-1] == number, (first.seen[-1], second.seen[-1])
        say('a key less, of which no number tells: both have it gone, and are current')
        before = one.status()[1]['digest']
        write(cluster.servers[1], one=None)
        for node in (one, two):
            code, told = node.wait_for(revision=revision, current=True, state='running', alive=True)
            assert told['digest'] != before
            eventually('the file is gone', lambda node=node: set(node.files()) == {'two', 'deep/three'})
        code, told = one.status()
        assert code == DONE, told
        say('what is written elsewhere makes nobody look old')
        assert cluster.servers[0].put('/v1/kv/elsewhere', 'x')[0] in (200, 201)
        code, later = two.status()
        assert (code, later['revision']) == (DONE, told['revision']), later
        versions = os.listdir(one.to + '.kvd')
        assert len(versions) == 2, versions


def killed(binary):
    """The process that keeps the directory."""
    with Cluster(binary, servers=2, flags=LONG) as cluster, nodes_of(binary, cluster.servers, 'n1') as (node,):
        revision = write(cluster.servers[0], **all_three(1))
        node.start('--exec', 'echo "ran $KVD_CONFIG_REVISION"')
        node.wait_for(revision=revision, current=True, state='running')
        inode = os.stat(os.path.join(node.to, 'one')).st_ino
        say('it is killed and nothing has changed: nothing is done')
        node.kill()
        node.start('--exec', 'echo "ran $KVD_CONFIG_REVISION"')
        node.wait_for(revision=revision, alive=True, current=True, state='running')
        assert os.stat(os.path.join(node.to, 'one')).st_ino == inode
        assert node.said().count('ran') == 1, node.said()
        say('it is killed, and something changes meanwhile')
        node.kill()
        revision = write(cluster.servers[0], one='2', two='2', deep__three=None)
        node.wait_for(alive=False, current=False)
        node.start('--exec', 'echo "ran $KVD_CONFIG_REVISION"')
        node.wait_for(revision=revision, alive=True, current=True, state='running')
        assert node.files() == {'one': b'2', 'two': b'2'}
        say('it is killed in the midst of it, again and again')
        number = 2
        write(cluster.servers[1], **all_three(number))
        node.wait_for(current=True)
        with Looker(node):
            for _ in range(15):
                for number in range(number + 1, number + 8):
                    revision = write(cluster.servers[1], **all_three(number))
                node.kill()
                node.start()
            node.wait_for(revision=revision, alive=True, current=True, state='running')
        assert node.files()['one'] == str(number).encode()
        say('it stops in order')
        node.stop()
        code, told = node.status()
        assert (code, told['nodes']['n1']['alive'], told['nodes']['n1']['current']) == (NOT_WELL, False, True), told
        assert node.kvd('del', f'{PREFIX}.running/n1')[0] == DONE
        assert node.status()[1]['nodes'] == {}


def blind(binary):
    with Cluster(binary, servers=3, flags=LONG) as cluster, \
            nodes_of(binary, cluster.servers, 'n1', 'n2') as (still, other):
        for node in (still, other):
            node.start()
        first = write(cluster.servers[0], **all_three(1))
        for node in (still, other):
            node.wait_for(revision=first, alive=True, current=True, state='running')
        say('one stands still')
        still.process.send_signal(signal.SIGSTOP)
        second = write(cluster.servers[0], **all_three(2))
        other.wait_for(revision=second, alive=True, current=True)
        code, told = still.wait_for(revision=first, alive=False, current=False)
        assert code == NOT_WELL and told['revision'] == second, told
        code, printed, _ = other.kvd('config', 'status', '--prefix', PREFIX)
        lines = printed.decode().splitlines()
        assert code == NOT_WELL and lines[0] == f'revision {second} of {PREFIX}: 3 keys, 2 nodes', lines
        assert lines[1].startswith(f'n1\t{first}\trunning\tblind since 20') and lines[1].endswith('\tbehind'), lines
        assert lines[2] == f'n2\t{second}\trunning\talive\tcurrent', lines
        say('and goes on')
        still.process.send_signal(signal.SIGCONT)
        code, told = still.wait_for(revision=second, alive=True, current=True, state='running')
        assert code == DONE, told
        say('all servers stand still')
        for server in cluster.servers:
            server.running.signal(signal.SIGSTOP)
        code, printed, errors = other.kvd('config', 'status', '--prefix', PREFIX, '--timeout', '2000')
        assert (code, printed) == (UNAVAILABLE, b''), (code, printed, errors)
        for node in (still, other):
            eventually('it says so', lambda node=node: 'no server tells the newest configuration' in node.said())
        assert other.files()['one'] == b'2'
        for server in cluster.servers:
            server.running.signal(signal.SIGCONT)
        third = write(cluster.servers[0], **all_three(3))
        for node in (still, other):
            node.wait_for(revision=third, alive=True, current=True, state='running')
            assert node.said().count('no server tells the newest configuration') == 1, node.said()


def commands(binary):
    with Standalone(binary, keeps=True) as server, nodes_of(binary, [server], 'n1') as (node,):
        wait = f'until [ "$KVD_CONFIG_REVISION" != 1 ] || [ -e {node.to}.go ]; do sleep 0.02; done'
        assert write(server, one='1') == 1
        node.start('--exec', f'{wait}; cat "$KVD_CONFIG_DIR/one" && ! grep bad "$KVD_CONFIG_DIR/one"')
        code, told = node.wait_for(revision=1, state='applying', alive=True, current=True)
        assert code == NOT_WELL, told
        say('what changes meanwhile is one more run')
        for text in ('two ', 'three ', 'four '):
            revision = write(server, one=text)
        node.wait_for(revision=revision, state='applying')
        with open(node.to + '.go', 'wb'):
            pass
        code, told = node.wait_for(revision=revision, state='running', exit=0)
        assert code == DONE and node.said() == '1four ', (told, node.said())
        say('a command that fails')
        revision = write(server, one='bad')
        code, told = node.wait_for(revision=revision, state='failed', exit=1, current=True)
        assert code == NOT_WELL, told
        revision = write(server, one='good')
        code, told = node.wait_for(revision=revision, state='running', exit=0)
        assert code == DONE, told
        say('keys that are no paths')
        for bad in ('../up', 'a//b', '.', 'one/below', 'x' * 256, 'end/'):
            status, answer = server.put('/v1/kv/' + (PREFIX + bad).replace('/', '%2F').replace('.', '%2E'), 'x')
            assert status == 201, answer
            code, told = node.wait_for(revision=revision, state='failed', current=False)
            assert code == NOT_WELL and (PREFIX + bad) in told['nodes']['n1']['problem'], told
            assert node.files() == {'one': b'good'}
            node.kvd('del', PREFIX + bad)
            code, told = node.wait_for(revision=revision, state='running', current=True)
            assert code == DONE and 'problem' not in told['nodes']['n1'], told
        assert sorted(os.listdir(node.directory)) == ['n1', 'n1.go', 'n1.kvd', 'n1.log']
        say('a server that restarts, and another process for the same directory')
        server.restart()
        code, printed, errors = node.kvd('config', 'sync', '--prefix', PREFIX, '--to', node.to)
        assert (code, printed) == (IO_ERROR, b'') and b'another kvd config sync keeps it' in errors, (code, errors)
        revision = write(server, one='last', deep__two='2')
        node.wait_for(revision=revision, state='running', exit=0, alive=True)
        assert node.files() == {'one': b'last', 'deep/two': b'2'}
        node.stop()
        say('a directory that is there')
        mine = os.path.join(node.directory, 'mine')
        os.mkdir(mine)
        code, printed, errors = node.kvd('config', 'sync', '--prefix', PREFIX, '--to', mine)
        assert (code, printed) == (REFUSED, b'') and b'is no link' in errors, (code, errors)
        assert not os.listdir(mine) and not os.path.exists(mine + '.kvd')


def lost(binary):
    """The servers lose what they had, with what a node has published."""
    with Standalone(binary, keeps=False) as server, nodes_of(binary, [server], 'n1', 'n2') as (node, stopped):
        for number in range(1, 200):
            revision = write(server, **all_three(number))
        for each in (node, stopped):
            each.start()
            each.wait_for(revision=revision, alive=True, current=True)
        stopped.stop()
        server.restart()
        revision = write(server, one='anew')
        node.wait_for(revision=revision, alive=True, current=True, state='running')
        stopped.start()
        stopped.wait_for(revision=revision, alive=True, current=True, state='running')
        assert node.files() == stopped.files() == {'one': b'anew'}
        for each in (node, stopped):
            assert each.said().count('the servers have gone back') == 1, each.said()


run_case({
    'a configuration is seen whole while servers are killed': whole,
    'a process that keeps a configuration is killed': killed,
    'a node that stands still is blind': blind,
    'commands of a configuration and keys that are no paths': commands,
    'servers that have lost a configuration': lost,
})
