#!/usr/bin/python3
"""kvd topic with real servers: what its commands print, and their exit codes; that kvd topic tail prints each message
once and in order, whatever becomes of servers; and that kvd topic work has each message done.
Usage: topic_commands_test.py KVD CASE"""
import json
import os
import signal
import subprocess
import tempfile

from message_workers import done_over_leaders
from services_cluster import (
    LONG, PATIENCE_S, Background, Cluster, Standalone, come_back, eventually, free_port, leader_of, run_case, say)
from store_commands import DONE, MISSING, UNAVAILABLE, USAGE, Commands

NOTHING = MISSING


def from_the_command_line(binary):
    with Standalone(binary, keeps=False) as server:
        kvd = Commands(binary, server.name)
        say('make, publish, read')
        assert int(kvd.good('topic', 'make', 't', '--max-messages', '4', '--discard', 'old')) > 0
        every = bytes(range(256))
        first = kvd.good('topic', 'publish', 't', given=every).decode().strip()
        second = kvd.good('topic', 'publish', 't', 'two', '--group', 'g', '--type', 'x').decode().strip()
        lines = kvd.good('topic', 'publish', 'other/t', '--lines', given=b'one\n\n\xff').decode().split()
        assert len(lines) == 3, lines
        assert kvd.good('topic', 'ls') == b'other/t\t3\t4\t0\nt\t2\t259\t0\n'
        assert kvd.good('topic', 'ls', 't') == b't\t2\t259\t0\n'
        assert json.loads(kvd.good('topic', 'ls', 't', '--json'))['max_messages'] == 4
        assert stats(kvd, 't')['last'] == second
        told = messages(kvd.good('topic', 'read', 't'))
        assert [message['id'] for message in told] == [first, second], told
        assert told[1] == {**told[1], 'group': 'g', 'type': 'x', 'body': 'two'}
        assert 'body_b64' in told[0]
        assert read(kvd, 'other/t', '--limit', '2') == lines[:2]
        assert read(kvd, 'other/t', '--from', lines[0]) == lines[1:]
        assert read(kvd, 'other/t', '--from', 'now') == []
        assert read(kvd, 'other/t', '--since', '0') == lines
        assert read(kvd, 'other/t', '--since', str(told[0]['sent_ms'] + 3_600_000)) == []
        once = [kvd.good('topic', 'publish', 'other/t', 'x', '--dedup', 'd') for _ in range(2)]
        assert once[0] == once[1], once

        say('more than a page')
        many = kvd.good('topic', 'publish', 'many', '--lines', given=b'x\n' * 10_500).decode().split()
        assert read(kvd, 'many') == many and read(kvd, 'many', '--limit', '10100') == many[:10_100]

        say('subscriptions')
        kvd.good('topic', 'subscribe', 't', 's', '--from', 'first', '--ordered', '--max-deliveries', '1')
        kvd.good('topic', 'subscribe', 't', 'late')
        assert kvd.good('topic', 'subscriptions', 't') == b'late\t0\t0\t0\t0\ns\t2\t0\t0\t0\n'
        assert kvd.good('topic', 'receive', 't', 's', '--ack') == every
        assert stats(kvd, 't', 's')['cursor'] == first
        kvd.bad(NOTHING, 'topic', 'receive', 't', 'late', says=b'there is no message')
        with kvd.start('topic', 'receive', 't', 'late', '--wait', '60000', '--ack') as waiting:
            kvd.good('topic', 'publish', 't', 'soon')
            assert waiting.communicate(timeout=PATIENCE_S) == (b'soon', b'')
        assert kvd.good('topic', 'receive', 't', 's', '--max', '10').count(b'\n') == 2
        assert len(messages(kvd.good('topic', 'peek', 't', 's', '--state', 'in_flight'))) == 2
        assert kvd.good('topic', 'kick', 't', 's') == b'0\n'

        say('a gap is told')
        kvd.good('topic', 'seek', 't', 's', first)
        kvd.good('topic', 'publish', 't', '--lines', given=b'1\n2\n3\n')
        code, output, errors = kvd.run('topic', 'receive', 't', 's', '--max', '10', '--ack')
        assert (code, output.count(b'\n')) == (DONE, 4), (code, output)
        assert errors == f'kvd: a gap: what was behind message {first}, up to {second}, is gone\n'.encode(), errors
        assert kvd.good('topic', 'subscriptions', 't').splitlines()[1] == b's\t0\t0\t0\t1'
        assert int(kvd.good('topic', 'seek', 't', 's', '--since', '0')) > 0
        assert stats(kvd, 't', 's')['ready'] == '4'

        say('remove, and what is not there')
        assert kvd.good('topic', 'unsubscribe', 't', 's') == b''
        for action in ('unsubscribe', 'receive', 'stats', 'peek', 'kick'):
            kvd.bad(MISSING, 'topic', action, 't', 's', says=b'has no subscription s')
        kvd.bad(MISSING, 'topic', 'seek', 't', 's', 'now', says=b'has no subscription s')
        assert kvd.good('topic', 'rm', 't') == b''
        for action in ('rm', 'stats', 'read', 'subscriptions'):
            kvd.bad(MISSING, 'topic', action, 't', says=b'there is no topic t')
        kvd.bad(MISSING, 'topic', 'subscribe', 't', 's', says=b'there is no topic t')

        say('what is too much, and what is wrong')
        kvd.good('topic', 'make', 'full', '--max-messages', '1')
        kvd.good('topic', 'subscribe', 'full', 's')
        kvd.good('topic', 'publish', 'full', 'x')
        kvd.bad(UNAVAILABLE, 'topic', 'publish', 'full', 'y', says=b'507')
        for arguments in ([], ['push'], ['publish'], ['publish', 't', 'x', '--lines'], ['seek', 't', 's'],
                          ['work', 't', 's'], ['tail', 't', '--from', 'x']):
            kvd.bad(USAGE, 'topic', *arguments)
        nobody = Commands(binary, f'127.0.0.1:{free_port()}')
        for arguments in (['publish', 't', 'x'], ['receive', 't', 's'], ['ls']):
            nobody.bad(UNAVAILABLE, 'topic', *arguments, '--timeout', '500', says=b'connection refused')


def messages(output):
    return [json.loads(line) for line in output.splitlines()]


def read(kvd, topic, *flags):
    """The ids of what there is."""
    return [message['id'] for message in messages(kvd.good('topic', 'read', topic, '--linear', *flags))]


def stats(kvd, *source):
    return dict(line.split('\t') for line in kvd.good('topic', 'stats', *source, '--linear').decode().splitlines())


# ---- tail ----

class Tail:
    """kvd topic tail t, as a context, and what it prints."""

    def __init__(self, binary, servers, *flags):
        self.kvd = Commands(os.path.abspath(binary), *(server.name for server in servers))
        self.servers, self.flags = servers, flags

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix='kvd-topic-tail-')
        with open(self.path('output'), 'wb') as output, open(self.path('errors'), 'wb') as errors:
            self.process = subprocess.Popen([self.kvd.binary, 'topic', 'tail', 't', *self.flags], stdout=output,
                                            stderr=errors, stdin=subprocess.DEVNULL, env=self.kvd.environment)
        return self

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def told(self, name='errors'):
        with open(self.path(name), encoding='utf-8') as file:
            return file.read()

    def ids(self):
        """Of what it has printed, in its order."""
        return [json.loads(line)['id'] for line in self.told('output').splitlines(keepends=True) if line[-1] == '\n']

    def printed(self, count):
        return eventually(f'{count} are printed', lambda: len(self.ids()) >= count and self.ids())

    def server(self):
        """The one that it reads from."""
        def find():
            for server in self.servers:
                if server.running and b'\nkvd_topic_streams 1\n' in server.exchange('GET', '/metrics')[2]:
                    return server
            return None
        return eventually('it reads from a server', find)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        assert self.process.wait(PATIENCE_S) == DONE, self.process.returncode

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.directory.cleanup()


class Publisher(Background):
    """Publishes to the topic t again and again, with names, so that nothing is there twice."""

    def __init__(self, kvd):
        super().__init__()
        self.kvd, self.ids = kvd, []

    def run(self):
        while not self.ends:
            name = f'n{len(self.ids)}'
            told = self.kvd.good('topic', 'publish', 't', name, '--dedup', name, '--timeout', '60000', trying=True)
            self.ids.append(told.decode().strip())


def tail_over_kills(binary):
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster:
        kvd = Commands(binary, *(server.name for server in cluster.servers))
        with Tail(binary, cluster.servers, '--from', 'first') as tail:
            with Publisher(kvd) as publisher:
                for _ in range(4):
                    tail.printed(len(publisher.ids) + 20)
                    server = tail.server()
                    say(f'it reads from {"the leader" if server is leader_of(cluster) else "a follower"}, which is '
                        f'killed when {len(tail.ids())} are printed')
                    server.kill()
                    tail.printed(len(publisher.ids) + 20)
                    come_back(cluster, server)
            assert tail.printed(len(publisher.ids)) == publisher.ids
            assert len(publisher.ids) == len(set(publisher.ids))
            tail.end()
            assert tail.ids() == publisher.ids
            assert 'a gap' not in tail.told(), tail.told()


def tail_alone(binary):
    with Standalone(binary, keeps=False) as server, Tail(binary, [server]) as tail:
        kvd = Commands(binary, server.name)
        say('a topic that is not there is waited for')
        eventually('it waits', lambda: 'there is no topic t; trying on' in tail.told())
        kvd.good('topic', 'make', 't', '--max-messages', '3', '--discard', 'old')
        tail.server()
        ids = [kvd.good('topic', 'publish', 't', f'{i}').decode().strip() for i in range(5)]
        assert tail.printed(5) == ids
        tail.end(signal.SIGINT)
        say('what is gone is told as a gap')
        with Tail(binary, [server], '--from', ids[0]) as late:
            assert late.printed(3) == ids[2:]
            gap = f'kvd: a gap: what was behind message {ids[0]}, up to {ids[1]}, is gone\n'
            assert late.told() == gap, late.told()
            say('a topic that is deleted may come back')
            kvd.good('topic', 'rm', 't')
            eventually('it is told', lambda: 'the server cannot go on (no topic); trying on' in late.told())
            again = kvd.good('topic', 'publish', 't', 'again').decode().strip()
            assert late.printed(4)[3:] == [again]
            late.end(signal.SIGHUP)


run_case({
    'topics from the command line': from_the_command_line,
    'a tail of a topic waits for it and tells gaps': tail_alone,
    'a tail of a topic goes on while servers are killed': tail_over_kills,
    'messages of a subscription are done once while leaders are killed':
        lambda binary: done_over_leaders(binary, 'topic', 't', 's'),
})
