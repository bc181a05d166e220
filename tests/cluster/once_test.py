#!/usr/bin/python3
"""The programs of src/manual/topics.md, as they stand there, on a cluster of real processes: whatever is killed, the
programs and the servers, each effect is there once.
Usage: once_test.py KVD CASE"""
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from documents_test import programs_of
from services_cluster import (
    LONG, Background, Cluster, come_back, eventually, leader_of, run_case, say)
from store_commands import DONE, MISSING, Commands

ROUNDS = 3  # in each of which a server is killed ...
AT_A_TIME = 5  # messages, before each kill
KILLS = 10  # ... and every program so often: a few of them between an effect and what settles the message


class Publisher(Background):
    """Publishes 1, 2, 3, ... to the topic, each of them twice, as one does whose answer was lost; and no more than
    `wanted`, since the slowest program has to do all of them."""

    def __init__(self, kvd):
        super().__init__()
        self.kvd, self.count, self.wanted = kvd, 0, 50

    def run(self):
        while not self.ends:
            if self.count >= self.wanted:
                time.sleep(0.005)
                continue
            amount = str(self.count + 1)
            ids = {self.kvd.good('topic', 'publish', 'sales', amount, '--dedup', f'sale-{amount}', '--group',
                                 f'store-{len(amount)}', '--timeout', '60000', trying=True) for _ in range(2)}
            assert len(ids) == 1, ids
            self.count += 1


class Program:
    """One of the page's, in a directory that has all of them."""

    def __init__(self, command, effects, kvd, directory):
        self.command, self.effects, self.directory = command, effects, directory
        path = f'{os.path.dirname(kvd.binary)}:{os.environ["PATH"]}'
        self.environment = {**kvd.environment, 'PATH': path}
        self.running = None

    def start(self):
        with open(os.path.join(self.directory, 'log'), 'ab') as log:
            self.running = subprocess.Popen(self.command, cwd=self.directory, env=self.environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def kill(self):
        """With what it has started: its session is its own."""
        os.killpg(self.running.pid, signal.SIGKILL)
        self.running.wait()

    def moves_on(self, publisher):
        """Returns when it has done some more than what there was."""
        before = len(self.effects())
        publisher.wanted += AT_A_TIME
        eventually(f'{self.command} moves on', lambda: len(self.effects()) > before)


@contextlib.contextmanager
def programs_on(kvd, servers):
    """The three of them, running."""
    texts = programs_of('src/manual/topics.md')
    assert set(texts) == {'sum.sh', 'servers.py', 'stores.py', 'book.py'}, set(texts)
    with tempfile.TemporaryDirectory(prefix='kvd-once-') as directory:
        for name, text in texts.items():
            with open(os.path.join(directory, name), 'w', encoding='utf-8') as file:
                file.write(text)
        names = [server.name for server in servers]
        file = os.path.join(directory, 'sales.db')
        programs = [Program(['sh', 'sum.sh'], lambda: published(kvd, 'sums'), kvd, directory),
                    Program([sys.executable, 'stores.py', *names], lambda: published(kvd, 'stored'), kvd, directory),
                    Program([sys.executable, 'book.py', file, *names], lambda: booked(file), kvd, directory)]
        try:
            for program in programs:
                program.start()
            yield programs
        finally:
            for program in programs:
                if program.running:
                    program.kill()


def published(kvd, topic):
    """The amounts in a topic, in its order."""
    code, output, _ = kvd.run('topic', 'read', topic, '--linear')
    assert code in (DONE, MISSING), code
    return [int(json.loads(line)['body']) for line in output.splitlines()]


def booked(file):
    """The amounts in the database, once there is one."""
    with contextlib.suppress(sqlite3.OperationalError), \
            contextlib.closing(sqlite3.connect(f'file:{file}?mode=ro', uri=True)) as database:
        return [amount for amount, in database.execute('SELECT amount FROM sales')]
    return []


def kill_in_turns(cluster, programs, publisher):
    for turn in range(ROUNDS):
        for _ in range(KILLS):
            for program in programs:
                program.moves_on(publisher)
                program.kill()
                program.start()
        leader = leader_of(cluster)
        server = next(one for one in cluster.servers if (one is leader) == (turn % 2 == 0))
        say(f'{"the leader" if server is leader else "a follower"} is killed')
        server.kill()
        for program in programs:
            program.kill()
            program.start()
        come_back(cluster, server)


def once(binary):
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster:
        kvd = Commands(os.path.abspath(binary), *(server.name for server in cluster.servers))
        kvd.good('topic', 'make', 'sales')
        for subscription in ('sum', 'stores', 'book'):
            kvd.good('topic', 'subscribe', 'sales', subscription, '--from', 'first', '--ttr', '1000',
                     '--max-deliveries', '0')
        with programs_on(kvd, cluster.servers) as programs:
            with Publisher(kvd) as publisher:
                kill_in_turns(cluster, programs, publisher)
            count = publisher.count
            say(f'{count} were published: each effect is there once')
            for line in kvd.good('topic', 'subscriptions', 'sales').splitlines():
                name = line.split(b'\t')[0].decode()
                eventually(f'{name} is done', lambda name=name: kvd.good(
                    'topic', 'subscriptions', 'sales', '--linear').count(f'{name}\t0\t0\t0\t0\n'.encode()))
            all_of_them = list(range(1, count + 1))
            assert published(kvd, 'sales') == all_of_them
            for program in programs:
                assert sorted(program.effects()) == all_of_them, (program.command, program.effects())
        assert int(kvd.good('get', 'sum', '--linear')) == sum(all_of_them)
        stores = {f'stores/store-{digits}': sum(amount for amount in all_of_them if len(str(amount)) == digits)
                  for digits in range(1, len(str(count)) + 1)}
        assert {key: int(kvd.good('get', key, '--linear')) for key in stores} == stores


run_case({'the programs of a page have each effect once': once})
