#!/usr/bin/python3
"""`kvd lock` and `kvd elect` with real servers: a command runs only while its place holds, and has ended before
another's begins, whatever becomes of the server. Usage: commands_test.py KVD CASE"""
import os
import signal

from services_cluster import Cluster, Process, eventually, run_case, say

# Says when it begins and when it is asked to end, and takes its time with that.
COMMAND = 'trap "sleep 0.2; echo {name} ends >> {journal}; exit 0" TERM; echo {name} begins $KVD_FENCE >> {journal}; ' \
          'while :; do sleep 0.02; done'


class Stage:
    def __init__(self, binary):
        self.binary = binary
        self.cluster = Cluster(binary)
        self.commands = []

    def __enter__(self):
        self.cluster.__enter__()
        self.journal = os.path.join(self.cluster.directory, 'journal')
        return self

    def __exit__(self, *problem):
        for command in self.commands:
            if command.process.poll() is None:
                command.signal(signal.SIGTERM)
                command.process.wait(60)
            command.end()
        self.cluster.__exit__(*problem)

    def run(self, verb, name, server):
        """The command under the grant that it gets through this server; `elect` by its name."""
        flags = ['--servers', f'127.0.0.1:{server.port}'] + (['--candidate', name] if verb == 'elect' else [])
        command = COMMAND.format(name=name, journal=self.journal)
        self.commands.append(Process([self.binary, verb, 'app/x', *flags, '--', 'sh', '-c', command],
                                     os.path.join(self.cluster.directory, f'{name}.log')))
        return self.commands[-1]

    def said(self):
        if not os.path.exists(self.journal):
            return []
        with open(self.journal, encoding='ascii') as journal:
            return [line.split()[:2] for line in journal]

    def fences(self):
        with open(self.journal, encoding='ascii') as journal:
            return [int(line.split()[2]) for line in journal if 'begins' in line]


def passes_on(binary, verb, end_of_server):
    with Stage(binary) as stage:
        one, two = stage.cluster.servers
        first = stage.run(verb, 'a', one)
        eventually('the first begins', lambda: stage.said() == [['a', 'begins']])
        stage.run(verb, 'b', two)
        collection = {'lock': 'locks', 'elect': 'elections'}[verb]
        eventually('the second waits', lambda: two.get(f'/v1/{collection}/app/x')[1]['waiting'] == 1)
        end_of_server(one)
        eventually('the second begins', lambda: ['b', 'begins'] in stage.said())
        assert stage.said() == [['a', 'begins'], ['a', 'ends'], ['b', 'begins']], stage.said()
        assert first.process.wait(60) == 75
        before, after = stage.fences()
        assert before < after


def killed(binary):
    for verb in ('lock', 'elect'):
        say(f'{verb}: the server is killed')
        passes_on(binary, verb, lambda server: server.kill())


def stopped(binary):
    for verb in ('lock', 'elect'):
        say(f'{verb}: the server is asked to stop')
        passes_on(binary, verb, lambda server: server.running.signal(signal.SIGTERM))


def zookeeper_away(binary):
    """Nobody can take the lock while ZooKeeper stands still, but nobody knows that it will not."""
    with Stage(binary) as stage:
        one, _ = stage.cluster.servers
        first = stage.run('lock', 'a', one)
        eventually('it begins', lambda: stage.said() == [['a', 'begins']])
        say('ZooKeeper stands still: the command ends')
        stage.cluster.zookeeper.running.signal(signal.SIGSTOP)
        eventually('it ends', lambda: stage.said() == [['a', 'begins'], ['a', 'ends']])
        stage.cluster.zookeeper.running.signal(signal.SIGCONT)
        assert first.process.wait(60) == 75
        stage.run('lock', 'b', one)
        eventually('another begins', lambda: ['b', 'begins'] in stage.said())


run_case({
    'a command under a lock ends before the next begins when the server is killed': killed,
    'a command under a lock ends before the next begins when the server stops': stopped,
    'a command under a lock ends when ZooKeeper stands still': zookeeper_away,
})
