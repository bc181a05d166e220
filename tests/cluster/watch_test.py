#!/usr/bin/python3
"""Watches of real servers: streams that go on at another server when theirs is restarted or killed, and miss nothing;
those that begin too late, read too slowly or are told by a server without a leader; and reads that wait.
Usage: watch_test.py KVD CASE"""
import asyncio
import collections
import contextlib
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import time

from services_cluster import (
    PATIENCE_S, Background, Call, Cluster, Kvd, all_in_sync, come_back, eventually, is_ready, leader_of, restart,
    run_case, say)

STREAMS = 1000
KEYS = [f'w/{number:02}' for number in range(30)]
LARGE = 'x' * 100_000


def raise_limit_of_descriptors():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def put(server, key, value):
    """The revision of a write that is acknowledged at once."""
    status, fields, _ = server.exchange('PUT', f'/v1/kv/{key}', value)
    assert status in (200, 201), status
    return int(fields['Kvd-Revision'])


def reach(servers, revision):
    for server in servers:
        status, _, _ = server.exchange('GET', f'/v1/kv?limit=1&min_rev={revision}')
        assert status == 200, status


# ---- what clients are told ----

class Told:
    """Over all connections of a client. The values of a key count up from 1: none is missing, and none comes twice."""

    def __init__(self):
        self.at = 0         # from where it goes on
        self.revision = []  # lines of one whose last line has not come
        self.counts = collections.Counter()

    def take(self, line):
        if 'key' in line:
            self.revision.append(line)
            if not line.get('more'):
                self.take_revision()
        elif line['type'] == 'progress':
            assert not self.revision and line['revision'] >= self.at, (self.at, line)
            self.at = line['revision']

    def take_revision(self):
        revisions = {line['revision'] for line in self.revision}
        assert len(revisions) == 1 and min(revisions) > self.at, (self.at, self.revision)
        for line in self.revision:
            self.counts[line['key']] += 1
            assert int(line['value']) == self.counts[line['key']], (self.counts, line)
        self.at = revisions.pop()
        self.revision = []

    def cut_off(self):
        self.revision = []


class Streams(Background):
    """Clients that watch, each at one server after the other. `filters` are what they watch, one for each."""

    def __init__(self, servers, filters):
        super().__init__()
        self.servers, self.filters = servers, filters
        self.told = [Told() for _ in filters]
        self.open, self.broken = 0, 0
        self.refused = collections.Counter()  # by status

    def run(self):
        asyncio.run(self.follow_all())

    async def follow_all(self):
        await asyncio.gather(*(self.follow(number) for number in range(len(self.filters))))

    async def follow(self, number):
        told = self.told[number]
        for server in itertools.islice(itertools.cycle(self.servers), number % len(self.servers), None):
            if self.ends:
                return
            with contextlib.suppress(OSError):
                await self.follow_at(server, self.filters[number], told)
            told.cut_off()
            await asyncio.sleep(random.uniform(0.02, 0.2))

    async def follow_at(self, server, what, told):
        """HTTP/1.0: the lines come as they are, and the connection ends behind them."""
        reader, writer = await asyncio.open_connection('127.0.0.1', server.port)
        try:
            writer.write(f'GET /v1/watch?{what}&since={told.at} HTTP/1.0\r\n\r\n'.encode())
            status = int((await reader.readline() or b'_ 0').split()[1])
            if status != 200:
                self.refused[status] += 1
                return
            while (await reader.readline()).strip():
                pass
            self.open += 1
            try:
                while not self.ends:
                    line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
                    if not line.endswith(b'\n'):
                        return
                    told.take(json.loads(line))
            finally:
                self.open -= 1
                self.broken += not self.ends
        finally:
            writer.close()

    def have(self, counts):
        """Whether each was told everything that it watches."""
        def wanted(what):
            key = what.partition('key=')[2]
            return collections.Counter({key: counts[key]}) if key else counts
        self.check()
        return all(told.counts == wanted(what) for what, told in zip(self.filters, self.told))


class Writer(Background):
    """Counts the keys up, through any server, each write until it is answered, and once."""

    def __init__(self, servers):
        super().__init__()
        self.servers = servers
        self.counts = collections.Counter()
        self.writes = 0

    def run(self):
        while not self.ends:
            keys = random.sample(KEYS, 3 if self.writes % 5 == 0 else 1)
            ops = [{'put': {'key': key, 'value': str(self.counts[key] + 1)}} for key in keys]
            self.write(json.dumps({'ops': ops}), f'write-{self.writes}')
            self.counts.update(keys)
            self.writes += 1
            time.sleep(0.01)  # so that the clients, which are all in this process, keep up

    def write(self, body, name):
        def once():
            status, _, _ = random.choice(self.servers).exchange('POST', '/v1/kv', body, {'Idempotency-Key': name})
            return status == 200
        eventually(f'an answer to {name}', once)

    def go_on(self):
        before = self.writes
        eventually('there are further writes', lambda: self.problem or self.writes >= before + 50)
        self.check()


class Command:
    """kvd watch, with what it prints in a file."""

    def __init__(self, cluster, name, *flags):
        self.path = os.path.join(cluster.directory, name)
        with open(self.path, 'wb') as output, open(self.path + '.errors', 'wb') as errors:
            names = [server.name for server in cluster.servers]
            random.shuffle(names)
            self.process = subprocess.Popen([cluster.binary, 'watch', '--servers', ','.join(names), '--prefix', 'w/',
                                             '--values', *flags], stdout=output, stderr=errors)

    def lines(self):
        with open(self.path, encoding='utf-8') as output:
            return [line for line in output.read().splitlines(keepends=True) if line.endswith('\n')]

    def told(self):
        """Of --json."""
        told = Told()
        for line in self.lines():
            told.take(json.loads(line))
        return told

    def copy(self):
        """What there is by what it has printed of the state and behind it."""
        copy = {}
        for line in map(json.loads, self.lines()):
            if line['type'] == 'reset':
                copy = {}
            elif line['type'] == 'put':
                copy[line['key']] = int(line['value'])
        return copy

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE_S)
        with open(self.path + '.errors', encoding='utf-8') as errors:
            assert code == 0, (code, errors.read())

    def kill(self):
        self.process.kill()
        self.process.wait()


def values_by_key(lines):
    """Of the plain form; each key's values, in their order."""
    values = collections.defaultdict(list)
    revisions = []
    for line in lines:
        revision, kind, key, value = line.rstrip('\n').split('\t')
        assert kind == 'put', line
        values[key].append(int(value))
        revisions.append(int(revision))
    assert revisions == sorted(revisions), revisions
    return values


# ---- the cases ----

def add_durable(cluster, number):
    data = os.path.join(cluster.directory, f'data-{number}')
    cluster.servers.append(Kvd(cluster.binary, cluster.directory, cluster.known, number,
                               ('--expect', '3', '--min-in-sync', '2', '--sync', 'never', '--data-dir', data)))
    cluster.servers[-1].start()


def thousand(binary):
    raise_limit_of_descriptors()
    with Cluster(binary, servers=0) as cluster, contextlib.ExitStack() as after:
        for number in range(3):
            add_durable(cluster, number)
        for server in cluster.servers:
            eventually('it is ready', lambda server=server: is_ready(server))
        eventually('all are in sync', lambda: all_in_sync(cluster))
        commands = [Command(cluster, 'plain', '--since', '0'), Command(cluster, 'json', '--since', '0', '--json'),
                    Command(cluster, 'state', '--state', '--json')]
        for command in commands:
            after.callback(command.kill)
        filters = [f'key={KEYS[number % len(KEYS)]}' if number % 10 else 'prefix=w/' for number in range(STREAMS)]
        with Streams(cluster.servers, filters) as streams:
            eventually('all streams are open', lambda: streams.problem or streams.open == STREAMS)
            with Writer(cluster.servers) as writer:
                writer.go_on()
                for number, server in enumerate(cluster.servers):
                    say(f'server {number} is restarted')
                    restart(cluster, server)
                    writer.go_on()
                say('the leader is killed')
                leader = leader_of(cluster)
                leader.kill()
                writer.go_on()
                come_back(cluster, leader)
                writer.go_on()
            eventually('every stream was told everything', lambda: streams.have(writer.counts))
            plain, lines, state = commands
            eventually('so was kvd watch', lambda: len(plain.lines()) == sum(writer.counts.values()))
            eventually('so was kvd watch --json', lambda: lines.told().counts == writer.counts)
            eventually('so was kvd watch --state', lambda: state.copy() == writer.counts)
        for command in commands:
            command.end()
        for key, values in values_by_key(plain.lines()).items():
            assert values == list(range(1, writer.counts[key] + 1)), (key, values)
        say(f'{writer.writes} writes; streams broke {streams.broken} times; refused: {dict(streams.refused)}')


def fill(server, first, count):
    """The revisions of that many large values."""
    return [put(server, f'big/{number:03}', f'{number} {LARGE}') for number in range(first, first + count)]


def too_late(server, revisions):
    """A watch that begins before the history does."""
    status, _, text = server.exchange('GET', f'/v1/watch?prefix=big/&since={revisions[0]}')
    gone = json.loads(text)
    assert (status, gone['type'], gone['revision']) == (410, 'urn:kvd:history-gone', revisions[-1]), gone
    oldest = gone['oldest']
    assert revisions[0] < oldest < revisions[-1], gone
    assert server.get('/v1/cluster')[1]['watch']['oldest'] == oldest
    assert f'kvd_watch_oldest_revision {oldest}\n' in server.get('/metrics')[1]
    assert server.exchange('GET', f'/v1/watch?prefix=big/&since={oldest - 1}')[0] == 410

    behind = server.watch(f'prefix=big/&since={oldest}&values=0')
    told = [behind.until(type='put')['revision'] for revision in revisions if revision > oldest]
    assert told == [revision for revision in revisions if revision > oldest], told
    behind.close()

    stream = server.watch(f'prefix=big/&since={revisions[0]}&state=1&values=0')
    reset = stream.until(type='reset')
    assert reset['reason'] == 'history', reset
    lines = [stream.line() for _ in revisions]
    assert [line['revision'] for line in lines] == revisions, lines
    assert all(line['state'] for line in lines), lines
    synced = stream.until(type='synced')
    assert synced == {'type': 'synced', 'revision': revisions[-1]}, synced
    stream.close()
    status, fields, _ = server.exchange('GET', f'/v1/kv/big/000?since={revisions[0]}&wait=60000')
    assert status == 200 and int(fields['Kvd-Revision']) >= revisions[-1], (status, fields)


class FastReader:
    """Reads a stream in a thread, as it comes."""

    def __init__(self, server, query):
        self.stream = server.watch(query)
        self.revisions = []
        self.call = Call(self.run)

    def run(self):
        while (line := self.stream.line()) is not None:
            assert line['type'] in ('put', 'progress', 'stale', 'current'), line
            if line['type'] == 'put':
                self.revisions.append(line['revision'])

    def end(self):
        self.stream.connection.shutdown(2)
        self.call.result()
        self.stream.close()


def late_and_slow(binary):
    with Cluster(binary, servers=3, flags=('--history', '1M')) as cluster:
        one = cluster.servers[0]
        revisions = fill(one, 0, 30)
        reach(cluster.servers, revisions[-1])
        say('who begins before the history')
        for server in cluster.servers:
            too_late(server, revisions)

        say('who reads nothing, beside others')
        since = revisions[-1]
        slow = [server.watch(f'prefix=big/&since={since}', receive_bytes=4096) for server in cluster.servers]
        slow_state = [server.watch(f'prefix=big/&since={since}&state=1', receive_bytes=4096)
                      for server in cluster.servers]
        fast = [FastReader(server, f'prefix=big/&since={since}') for server in cluster.servers]
        later = []
        for first in range(100, 340, 4):  # a part of the history each time
            later += fill(one, first, 4)
            eventually('those who read have it', lambda: all(each.revisions == later for each in fast))
        for each in fast:
            each.end()
        say('and then reads')
        for server, stream in zip(cluster.servers, slow):
            is_told_or_has_all(server, stream, since, later)
        for stream in slow_state:
            mirrors(stream, len(revisions) + len(later), later[-1])


def is_told_or_has_all(server, stream, since, revisions):
    told = []
    while len(told) < len(revisions) and (line := stream.line()) is not None and line['type'] != 'gone':
        if line['type'] == 'put':
            told.append(line['revision'])
    stream.close()
    assert told == revisions[:len(told)], (told, revisions)
    if len(told) < len(revisions):
        assert line is None or line['reason'] == 'history', line
        at = told[-1] if told else since
        assert server.exchange('GET', f'/v1/watch?prefix=big/&since={at}')[0] == 410
    say(f'told {len(told)} of {len(revisions)} changes')


def mirrors(stream, keys, revision):
    """A stream with state=1 comes to what there is, over resets."""
    copy, at, resets = {f'big/{number:03}' for number in range(30)}, 0, 0
    while at < revision:
        line = stream.line()
        assert line is not None and line['type'] != 'gone', line
        if line['type'] == 'reset':
            copy, resets = set(), resets + 1
        elif line['type'] == 'put':
            copy.add(line['key'])
        if line['type'] in ('put', 'synced', 'progress') and 'state' not in line:
            at = line['revision']
    stream.close()
    assert len(copy) == keys, (len(copy), keys)
    say(f'the same with state=1: begun again {resets} times')


def polls_of(server):
    return server.get('/v1/cluster')[1]['watch']['polls']


def wait_for(servers, path):
    """A read at each server that waits, once it does."""
    calls = [Call(server.exchange, 'GET', path) for server in servers]
    for server in servers:
        eventually('the read waits', lambda server=server: polls_of(server) == 1)
    return calls


def polls(binary):
    with Cluster(binary, servers=3) as cluster:
        one, two, three = cluster.servers
        at = put(one, 'a', 'first')
        reach(cluster.servers, at)
        say('nothing changes in time')
        for server in cluster.servers:
            for what in ('/a?', '?prefix=a&'):
                status, fields, text = server.exchange('GET', f'/v1/kv{what}since={at}&wait=50')
                assert (status, text) == (304, b'') and int(fields['Kvd-Revision']) >= at, (status, fields)
            assert server.exchange('GET', f'/v1/kv/a?since={at}')[0] == 304
            assert server.exchange('GET', f'/v1/kv/a?since={at - 1}&wait=60000')[2] == b'first'
        say('something else changes, and then what is waited for')
        calls = wait_for(cluster.servers, f'/v1/kv/a?since={at}&wait=60000')
        other = put(two, 'b', 'other')
        reach(cluster.servers, other)
        assert [polls_of(server) for server in cluster.servers] == [1, 1, 1]
        at = put(three, 'a', 'second')
        for call in calls:
            status, fields, text = call.result()
            assert (status, text, fields['ETag']) == (200, b'second', f'"{at}"'), (status, text)
            assert int(fields['Kvd-Revision']) >= at, fields
        say('it is deleted; one below a prefix is')
        calls = wait_for(cluster.servers, f'/v1/kv/a?since={at}&wait=60000')
        assert one.delete('/v1/kv/a')[0] == 204
        assert [call.result()[0] for call in calls] == [404, 404, 404]
        at = put(one, 'p/x', 'x')
        calls = wait_for(cluster.servers, f'/v1/kv?prefix=p/&since={at}&wait=60000')
        assert two.delete('/v1/kv/p/x')[0] == 204
        assert [json.loads(call.result()[2])['items'] for call in calls] == [[], [], []]
        say('the leader is killed meanwhile')
        at = put(one, 'a', 'third')
        leader = leader_of(cluster)
        alive = [server for server in cluster.servers if server is not leader]
        reach(alive, at)
        calls = wait_for(alive, f'/v1/kv/a?since={at}&wait=60000')
        leader.kill()
        eventually('somebody else leads', lambda: alive[0].exchange('PUT', '/v1/kv/a', 'fourth')[0] == 200)
        assert [call.result()[2] for call in calls] == [b'fourth', b'fourth']


def stale(binary):
    with Cluster(binary, servers=3) as cluster:
        put(cluster.servers[0], 'a', 'first')
        leader = leader_of(cluster)
        others = [server for server in cluster.servers if server is not leader]
        streams = {server: server.watch('prefix=a&progress=100&read=linear') for server in cluster.servers}
        for stream in streams.values():
            stream.until(type='progress', linear=True)
        say('the leader is frozen')
        leader.running.signal(signal.SIGSTOP)
        for server in others:
            streams[server].until(type='stale')
            streams[server].until(type='current')
        say('and another one leads')

        def write():
            status, fields, _ = others[0].exchange('PUT', '/v1/kv/a', 'second')
            return status == 200 and int(fields['Kvd-Revision'])
        at = eventually('it takes a write', write)
        leader.running.signal(signal.SIGCONT)
        for server, stream in streams.items():
            wait_for_change(stream, at)
            say(f'server {cluster.servers.index(server)} tells it')
            stream.close()


def wait_for_change(stream, at):
    """Nothing that confirms so much comes before it."""
    while (line := stream.line()) is not None:
        if line['type'] == 'put' and line['revision'] == at:
            break
        assert not (line.get('linear') and line['revision'] >= at), line
    assert stream.until(type='progress', linear=True)['revision'] >= at


run_case({
    'a thousand streams miss nothing while servers restart and the leader is killed': thousand,
    'who begins too late or reads too slowly is told and holds up nobody': late_and_slow,
    'reads wait for a change': polls,
    'a server that does not hear the leader says so': stale,
})
