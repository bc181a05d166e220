#!/usr/bin/python3
"""Leases with real servers: kvd lease and what it prints; leases that kvd lease hold keeps while servers are killed,
frozen and stopped; and many that kvload renews while leaders are killed, of which none ends early.
Usage: leases_test.py KVD CASE [KVLOAD [KILLS]]"""
import contextlib
import json
import re
import signal
import subprocess
import sys

from services_cluster import (
    LONG, PATIENCE_S, Cluster, Standalone, come_back, eventually, free_port, is_ready, leader_of, restart, run_case,
    say)
from store_commands import DONE, MISSING, UNAVAILABLE, UNKNOWN, USAGE, Commands

LOST = UNKNOWN
KILLS = 6


def from_the_command_line(binary):
    with Standalone(binary, keeps=False) as server:
        kvd = Commands(binary, server.name)
        say('grant, show, list')
        first = int(kvd.good('lease', 'grant', '60000', '--name', 'w\u00f6rker'))
        second = json.loads(kvd.good('lease', 'grant', '5000', '--json'))
        assert second == {'lease': second['lease'], 'ttl_ms': 5000} and second['lease'] > first, second
        for key in ('a', '%FF'):
            status, _ = server.put(f'/v1/kv/{key}?lease={first}', 'x')
            assert status == 201, status
        line, *keys, end = kvd.good('lease', 'show', str(first), '--keys', '--linear').split(b'\n')
        assert re.fullmatch('%d\t5\\d{4}\t60000\tw\u00f6rker'.encode() % first, line), line
        assert (keys, end) == ([b'a', b'\xff'], b''), (keys, end)
        assert kvd.good('lease', 'show', str(first)).count(b'\n') == 1
        told = json.loads(kvd.good('lease', 'show', str(first), '--json', '--keys'))
        assert told == {'lease': first, 'ttl_ms': 60000, 'left_ms': told['left_ms'], 'name': 'w\u00f6rker',
                        'keys': ['a', {'key_b64': '/w=='}]}, told
        listed = kvd.good('lease', 'ls').decode().splitlines()
        assert [one.split('\t')[0] for one in listed] == [str(first), str(second['lease'])], listed
        listed = [json.loads(one)['lease'] for one in kvd.good('lease', 'ls', '--json').splitlines()]
        assert listed == [first, second['lease']], listed

        say('renew and end')
        code, output, errors = kvd.run('lease', 'renew', str(first), '9000000', str(second['lease']))
        renewed = [line.split(b'\t')[0] for line in output.splitlines()]
        assert (code, renewed) == (MISSING, [b'%d' % first, b'%d' % second['lease']]), (code, output)
        assert b'over, or never there: 9000000' in errors, errors
        assert len(json.loads(kvd.good('lease', 'renew', str(first), '--json'))['results']) == 1
        assert kvd.good('lease', 'end', str(first)) == b''
        for action in ('end', 'show'):
            kvd.bad(MISSING, 'lease', action, str(first), says=b'410')
        kvd.bad(MISSING, 'get', 'a', says=b'no such key')

        say('what is wrong')
        for arguments in ([], ['gain'], ['grant'], ['grant', '5'], ['renew'], ['end', 'x'], ['hold'],
                          ['hold', '5000', '--id', '1'], ['show', '0']):
            kvd.bad(USAGE, 'lease', *arguments)
        kvd.bad(UNAVAILABLE, 'lease', 'hold', '--id', str(first), says=b'410')
        nobody = Commands(binary, f'127.0.0.1:{free_port()}')
        for arguments in (['grant', '5000'], ['renew', '1'], ['show', '1'], ['ls'], ['end', '1']):
            nobody.bad(UNAVAILABLE, 'lease', *arguments, '--timeout', '500', says=b'connection refused')


# ---- held ----

class Held:
    """kvd lease hold as a context, of a command that waits, with a key that ends with the lease."""

    def __init__(self, cluster, ttl_ms=20_000):
        self.cluster = cluster
        self.kvd = Commands(cluster.binary, *(server.name for server in cluster.servers))
        self.process = self.kvd.start('lease', 'hold', str(ttl_ms), '--', 'sh', '-c',
                                      'trap "echo term; exit 7" TERM; echo $KVD_LEASE; while :; do sleep 0.1; done')
        self.id = int(self.process.stdout.readline())
        put = {'put': {'key': 'held', 'value': 'x', 'lease': self.id}}
        self.kvd.good('txn', given=json.dumps({'then': [put]}).encode(), trying=True)

    def holder(self):
        """The server that holds it for the command."""
        def find():
            holding = [one for one in self.cluster.servers if one.running and holds(one)]
            return holding[0] if len(holding) == 1 else None
        return eventually('one server holds it', find)

    def lives(self):
        assert self.process.poll() is None, self.process.communicate()
        self.kvd.good('get', 'held', '--linear', trying=True)
        self.kvd.good('lease', 'show', str(self.id), '--linear', trying=True)

    def ends(self, code, output):
        """What it has printed on standard error."""
        printed, errors = self.process.communicate(timeout=PATIENCE_S)
        assert (self.process.returncode, printed) == (code, output), (self.process.returncode, printed, errors)
        return errors

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_S)
        self.process.kill()
        self.process.communicate()


def holds(server):
    return re.search(r'^kvd_leases_held ([0-9]+)', server.get('/metrics')[1], re.MULTILINE)[1] != '0'


def held_over_servers(binary):
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster:
        with Held(cluster) as held:
            for _ in range(4):
                holder = held.holder()
                say(f'its server is killed{", which leads" if holder is leader_of(cluster) else ""}')
                holder.kill()
                assert held.holder() is not holder
                held.lives()
                come_back(cluster, holder)
                say('the leader is killed')
                leader = leader_of(cluster)
                leader.kill()
                held.holder()
                held.lives()
                come_back(cluster, leader)
            say('its server is stopped and started again')
            holder = held.holder()
            restart(cluster, holder)
            assert held.holder() is not holder
            held.lives()
            say('its command is ended')
            held.process.send_signal(signal.SIGTERM)
            held.ends(7, b'term\n')
            held.kvd.bad(MISSING, 'get', 'held', '--linear')
            held.kvd.bad(MISSING, 'lease', 'show', str(held.id), '--linear', says=b'410')


def held_by_a_frozen_server(binary):
    """Which holds it no more when it goes on, and does not end it."""
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster:
        with Held(cluster, ttl_ms=6000) as held:
            for _ in range(2):
                holder = held.holder()
                holder.running.signal(signal.SIGSTOP)
                others = [one for one in cluster.servers if one is not holder]
                eventually('another holds it', lambda others=others: any(holds(one) for one in others))
                held.lives()
                holder.running.signal(signal.SIGCONT)
                eventually('it is ready again', lambda holder=holder: is_ready(holder))
                assert held.holder() is not holder
                held.lives()


def ended_by_another(binary):
    with Cluster(binary, servers=3, flags=LONG) as cluster:
        say('by its end')
        with Held(cluster) as held:
            held.kvd.good('lease', 'end', str(held.id))
            assert b'lost the lease %d (it is over)' % held.id in held.ends(LOST, b'term\n')
        say('by somebody else who takes it up')
        with Held(cluster, ttl_ms=3000) as held:
            with held.kvd.start('lease', 'hold', '--id', str(held.id)) as other:
                assert int(other.stdout.readline()) == held.id
                assert b'(another one has taken it up)' in held.ends(LOST, b'term\n')
                held.kvd.good('get', 'held', '--linear')
                other.send_signal(signal.SIGINT)
                assert other.communicate(timeout=PATIENCE_S) == (b'', b'')
                assert other.returncode == DONE, other.returncode
            held.kvd.bad(MISSING, 'get', 'held', '--linear')
        say('by the end of all servers')
        with Held(cluster, ttl_ms=1500) as held:
            for server in cluster.servers:
                server.kill()
            assert b'(no server renewed it in time)' in held.ends(LOST, b'term\n')


# ---- many ----

def none_is_early(binary):
    """Leases of a second, each renewed after 0.3 s, through servers of which the leader is killed again and again."""
    kvload = sys.argv[3]
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else KILLS
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster:
        for bulk in ([], ['--bulk']):
            with subprocess.Popen([kvload, 'terms', '--servers', ','.join(server.name for server in cluster.servers),
                                   '--leases', '300', '--ttl', '1000', '--duration', '3600', '--json', *bulk],
                                  stdout=subprocess.PIPE) as load:
                try:
                    eventually('the leases are there', lambda: leases_of(cluster) == 300)
                    for _ in range(kills):
                        leader = leader_of(cluster)
                        leader.kill()
                        come_back(cluster, leader)
                        before = revision_of(cluster)
                        eventually('all were renewed', lambda before=before, many=3 if bulk else 300:
                                   revision_of(cluster) >= before + many)
                finally:
                    load.send_signal(signal.SIGINT)
                    output, _ = load.communicate(timeout=PATIENCE_S)
            told = json.loads(output)
            say(f'{kills} kills, {told["renewals"]} renewals, {told["failed"]} requests repeated, '
                f'{told["early"]} leases early, {told["ran_out"]} ran out')
            assert load.returncode == 0 and told['ok'] and told['early'] == 0, told
            assert told['renewals'] >= 300 * kills, told


def revision_of(cluster):
    return int(leader_of(cluster).exchange('GET', '/readyz')[1]['Kvd-Revision'])


def leases_of(cluster):
    text = leader_of(cluster).get('/metrics')[1]
    return int(re.search(r'^kvd_leases ([0-9]+)', text, re.MULTILINE)[1])


run_case({
    'leases from the command line': from_the_command_line,
    'a held lease outlives the servers that hold it': held_over_servers,
    'a held lease moves on from a frozen server': held_by_a_frozen_server,
    'a command ends when its lease does': ended_by_another,
    'no lease is early while leaders are killed': none_is_early,
})
