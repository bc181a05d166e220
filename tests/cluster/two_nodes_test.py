#!/usr/bin/python3
"""Two programs pass messages to each other by topics while they, the servers and ZooKeeper are killed and started anew,
or stand still: each message is passed once, and its effect is there once.
Usage: two_nodes_test.py KVD CASE [N]: so many messages in each direction, 1000 without it. With it the test takes long,
and so runs only when KVD_TEST_LONG=1 is in the environment."""
import collections
import json
import os
import signal
import sys
import tempfile

from services_cluster import (
    LONG, SKIPPED, Cluster, Process, come_back, eventually, insist, leader_of, run_case, say)
from store_commands import Commands

NODE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'passing_node.py')
HOPS = 20  # of each token: half of them in each direction
TTR_MS = '2000'
FAULTS_MOST = 200


class Node:
    """One of the two, as a process."""

    def __init__(self, name, other, cluster, directory):
        self.name = name
        self.command = [sys.executable, NODE, name, other, str(HOPS), *(server.name for server in cluster.servers)]
        self.log = os.path.join(directory, f'node-{name}')
        self.running = None

    def start(self):
        self.running = Process(self.command, self.log)

    def end(self):
        if self.running:
            assert self.running.process.poll() is None, open(self.log, encoding='utf-8').read()
            self.running.end()
            self.running = None

    def restart(self):
        self.end()
        self.start()


class Faults:
    """What is done to the cluster and the nodes, one after the other."""

    def __init__(self, cluster, nodes):
        self.cluster, self.nodes = cluster, nodes
        self.done = collections.Counter()
        self.kinds = [self.leader, self.first_node, self.follower, self.second_node, self.zookeeper,
                      self.leader_and_nodes, self.stands_still]

    def next(self):
        kind = self.kinds[sum(self.done.values()) % len(self.kinds)]
        kind()
        self.done[kind.__name__] += 1

    def kill(self, leads, *nodes):
        leader = leader_of(self.cluster)
        server = next(one for one in self.cluster.servers if (one is leader) == leads)
        server.kill()
        for node in nodes:
            node.restart()
        come_back(self.cluster, server)

    def leader(self):
        self.kill(True)

    def follower(self):
        self.kill(False)

    def first_node(self):
        self.nodes[0].restart()

    def second_node(self):
        self.nodes[1].restart()

    def leader_and_nodes(self):
        self.kill(True, *self.nodes)

    def zookeeper(self):
        """Servers go on without it."""
        self.cluster.zookeeper.end()
        self.nodes[0].restart()
        self.cluster.zookeeper.start()
        eventually('ZooKeeper serves', self.cluster.zookeeper.serves)

    def stands_still(self):
        """A node, until what it had is another's: its receipts count no more."""
        node = self.nodes[sum(self.done.values()) % 2]
        node.running.signal(signal.SIGSTOP)

        def lost():
            path = f'/v1/topics/to-{node.name}/subscriptions/{node.name}?read=linear'
            return insist(leader_of(self.cluster).get, path)[1]['in_flight'] == 0
        eventually('nothing is in flight', lost)
        node.running.signal(signal.SIGCONT)


def count_of(cluster, key):
    return int(insist(leader_of(cluster).get, f'/v1/kv/{key}?read=linear')[1])


def messages_wanted():
    if len(sys.argv) < 4:
        return 1000
    if os.environ.get('KVD_TEST_LONG') != '1':
        print('skipped: KVD_TEST_LONG is not 1')
        sys.exit(SKIPPED)
    return int(sys.argv[3])


def pass_tokens(binary):
    tokens = messages_wanted() * 2 // HOPS
    portion = max(7, tokens // FAULTS_MOST)
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster, \
            tempfile.TemporaryDirectory(prefix='kvd-two-nodes-') as directory:
        kvd = Commands(binary, *(server.name for server in cluster.servers))
        for name in 'ab':
            kvd.good('put', f'count/{name}', '0')
            kvd.good('topic', 'make', f'to-{name}')
            kvd.good('topic', 'subscribe', f'to-{name}', name, '--from', 'first', '--ttr', TTR_MS,
                     '--max-deliveries', '0')
        nodes = [Node(*names, cluster, directory) for names in ('ab', 'ba')]
        try:
            for node in nodes:
                node.start()
            faults = Faults(cluster, nodes)
            for begin in range(0, tokens, portion):
                lines = ''.join(f'{token} 0\n' for token in range(begin, min(begin + portion, tokens)))
                kvd.good('topic', 'publish', 'to-b', '--lines', '--timeout', '60000', given=lines.encode(),
                         trying=True)
                passed = begin * HOPS // 2
                eventually('they pass some', lambda passed=passed: count_of(cluster, 'count/a') > passed)
                faults.next()
            say(', '.join(f'{count} {name.replace("_", " ")}' for name, count in faults.done.items()))
            each = tokens * HOPS // 2
            for name in 'ab':
                wait_for(cluster, f'count/{name}', each)
        finally:
            for node in nodes:
                node.end()
        say(f'{each} were passed in each direction')
        for name, first in (('b', 0), ('a', 1)):
            values = {token * HOPS + hop for token in range(tokens) for hop in range(first, HOPS, 2)}
            assert count_of(cluster, f'count/{name}') == each
            assert count_of(cluster, f'sum/{name}') == sum(values)
            told = [json.loads(line)['body'].split()
                    for line in kvd.good('topic', 'read', f'to-{name}', '--linear').splitlines()]
            assert len(told) == each and {int(token) * HOPS + int(hop) for token, hop in told} == values


def wait_for(cluster, key, count):
    """As long as it goes on."""
    while (before := count_of(cluster, key)) < count:
        eventually(f'{key} goes on behind {before}', lambda: count_of(cluster, key) > before)


run_case({'two nodes pass each message once': pass_tokens})
