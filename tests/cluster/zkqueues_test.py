#!/usr/bin/python3
"""Queues in ZooKeeper with real servers and kazoo's Queue and LockingQueue at the same paths: what one puts the other
takes, in one order; nobody is given what another one has; and what becomes of entries that were taken when a kazoo
process dies, ZooKeeper's servers end, a server is cut off or killed.
Usage: zkqueues_test.py KVD CASE"""
import itertools
import signal
import subprocess
import sys

from services_cluster import LONG, REFUSED, Call, Clients, Cluster, Holdings, eventually, insist, run_case, say

# Takes an entry, says which, and stays there.
KAZOO_TAKER = '''
import sys, time
from kazoo.client import KazooClient
client = KazooClient(hosts=sys.argv[1], timeout=2.0)
client.start(timeout=60)
print(client.LockingQueue(sys.argv[2]).get(timeout=60).decode(), flush=True)
time.sleep(600)
'''


def plain_both_ways(binary):
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        queue = cluster.kazoo().Queue('/app/mail')
        say('kazoo puts, kvd takes')
        queue.put(b'later', priority=500)
        queue.put(b'usual')
        queue.put(b'usual too')
        queue.put(bytes(range(256)), priority=7)
        entries = one.get('/v1/zkqueues/app/mail')[1]['entries']
        assert entries == ['entry-007-0000000003', 'entry-100-0000000001', 'entry-100-0000000002',
                           'entry-500-0000000000'], entries
        status, entry = two.post('/v1/zkqueues/app/mail/take')
        assert status == 200 and entry['entry'] == entries[0] and entry['data_b64'].startswith('AAECAw'), entry
        for server, data in ((one, 'usual'), (two, 'usual too'), (one, 'later')):
            status, entry = server.post('/v1/zkqueues/app/mail/take')
            assert status == 200 and entry['data'] == data, entry
        assert one.post('/v1/zkqueues/app/mail/take') == (204, '')
        assert len(queue) == 0
        say('kvd puts, kazoo takes')
        for data, priority in (('b', 5), ('c', 100), ('a', 0)):
            status, put = one.post(f'/v1/zkqueues/app/mail?priority={priority}', data)
            assert status == 201, put
        queue.put(b'd')
        assert two.post('/v1/zkqueues/app/mail', 'e')[0] == 201
        assert [queue.get() for _ in range(6)] == [b'a', b'b', b'c', b'd', b'e', None]
        say('kvd waits')
        waits = [Call(server.post, '/v1/zkqueues/app/other/take?wait=60000') for server in (one, two, two)]
        other = cluster.clients[0].Queue('/app/other')
        for number in range(3):
            other.put(str(number).encode())
        answers = [call.result() for call in waits]
        assert sorted(answer['data'] for _, answer in answers) == ['0', '1', '2'], answers
        assert len(other) == 0


def locking_both_ways(binary):
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        queue = cluster.kazoo().LockingQueue('/app/work')
        another = cluster.kazoo().LockingQueue('/app/work')
        session, others = one.open_session(), two.open_session()
        path = '/v1/zkqueues/app/work'

        def lists():
            answer = two.get(f'{path}?locking=1')[1]
            return len(answer['entries']), len(answer['taken'])

        say('kazoo puts, kvd takes and finishes')
        queue.put_all([b'first', b'second'])
        queue.put(b'urgent', priority=1)
        status, mine = one.post(f'{path}/take?locking=1&session={session}')
        assert status == 200 and mine['data'] == 'urgent', mine
        assert one.post(f'{path}/take?locking=1&session={session}') == (200, mine)
        assert cluster.clients[0].exists(f'/app/work/taken/{mine["entry"]}').czxid == mine['fence']
        assert another.get(timeout=10) == b'first' and another.holds_lock()
        status, theirs = two.post(f'{path}/take?locking=1&session={others}')
        assert status == 200 and theirs['data'] == 'second' and theirs['fence'] > mine['fence'], theirs
        assert queue.get(timeout=0.2) is None
        assert lists() == (3, 3)
        assert two.delete(f'{path}/{mine["entry"]}?session={others}')[0] == 404
        assert two.delete(f'{path}/{mine["entry"]}?session={session}')[0] == 204
        assert two.delete(f'{path}/{theirs["entry"]}?session={others}')[0] == 204
        assert lists() == (1, 1)
        say('kazoo gives back, and finishes what kvd puts')
        waits = two.hold(f'{path}/take?locking=1&hold=1')
        assert waits.until(state='waiting')
        assert another.release()
        assert waits.until(state='held')['data'] == 'first'
        assert one.post(f'{path}?locking=1', 'by kvd')[0] == 201
        assert another.get(timeout=10) == b'by kvd' and another.consume()
        assert lists() == (1, 1)
        say('kazoo waits for what kvd has, and takes it when the connection or the session ends')
        for give_back in (waits.close, lambda: one.delete(f'/v1/sessions/{session}')):
            getting = Call(queue.get, 60)
            assert not getting.is_done
            give_back()
            assert getting.result() == b'first' and queue.holds_lock()
            if give_back == waits.close:
                taking = Call(one.post, f'{path}/take?locking=1&session={session}&wait=60000')
                assert queue.release() and taking.result()[1]['data'] == 'first'
        say('a connection waits, takes what kazoo puts, and finishes it')
        stream = one.hold(f'{path}/take?locking=1&hold=1')
        assert stream.until(state='waiting')
        another.put(b'last')
        held = stream.until(state='held')
        assert held['data'] == 'last', held
        assert one.delete(f'{path}/{held["entry"]}?fence={held["fence"] + 1}')[0] == 412
        assert one.delete(f'{path}/{held["entry"]}?fence={held["fence"]}')[0] == 204
        assert stream.until(state='done') and stream.line() is None
        assert queue.consume()
        assert lists() == (0, 0) and len(queue) == 0
        say('another one is closed: kazoo has it')
        queue.put(b'more')
        stream = two.hold(f'{path}/take?locking=1&hold=1')
        assert stream.until(state='held')['data'] == 'more'
        stream.close()
        assert another.get(timeout=60) == b'more' and another.consume()


def kazoo_dies(binary):
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        path = '/v1/zkqueues/app/work'
        assert one.post(f'{path}?locking=1', 'x')[0] == 201
        with subprocess.Popen([sys.executable, '-c', KAZOO_TAKER, cluster.zookeeper_names, '/app/work'],
                              stdout=subprocess.PIPE) as taker:
            try:
                assert taker.stdout.readline() == b'x\n'
                session = two.open_session()
                assert two.post(f'{path}/take?locking=1&session={session}') == (204, '')
                waits = Call(two.post, f'{path}/take?locking=1&session={session}&wait=60000')
                say('the process is killed')
                assert not waits.is_done
            finally:
                taker.kill()
            status, entry = waits.result()
        assert status == 200 and entry['data'] == 'x', entry
        assert two.delete(f'{path}/{entry["entry"]}?session={session}')[0] == 204
        assert one.get(f'{path}?locking=1')[1] == {'path': 'app/work', 'entries': [], 'taken': []}


def finish(server, session, entry):
    """404: it was done, but too late for the answer."""
    statuses = []

    def once():
        statuses.append(server.delete(f'/v1/zkqueues/work/{entry}?session={session}')[0])
        return statuses[-1] not in REFUSED
    eventually('it is done', once)
    assert statuses[-1] == 204 or (statuses[-1] == 404 and 504 in statuses), statuses


def take_plain(server):
    while True:
        status, entry = insist(server.post, '/v1/zkqueues/plain/take?wait=10000')
        if status == 200:
            return entry


class Work:
    """Entries that are put, taken, and finished: each that was told is done, and nobody has what another one has."""

    def __init__(self):
        self.numbers = itertools.count()
        self.held = Holdings()
        self.put, self.done = set(), set()

    def turn(self, server, session):
        data = f'{session} {next(self.numbers)}'
        assert insist(server.post, '/v1/zkqueues/work?locking=1', data)[0] == 201
        self.put.add(data)
        status, entry = insist(server.post, f'/v1/zkqueues/work/take?locking=1&session={session}&wait=5000')
        if status == 204:
            return
        assert status == 200, entry
        self.held.take(entry['entry'], fence=entry['fence'])
        self.held.give_back(entry['entry'])
        finish(server, session, entry['entry'])
        self.done.add(entry['data'])


def ensemble(binary):
    with Cluster(binary, ensemble=3, flags=LONG) as cluster:
        one, two = cluster.servers
        work = Work()
        queue = cluster.kazoo().LockingQueue('/work')
        stream = one.hold('/v1/zkqueues/kept/take?locking=1&hold=1')
        stream.until(state='waiting')
        plain = [Call(take_plain, each) for each in (one, two)]
        with Clients([one, two], work.turn) as clients:
            for _ in cluster.each_zookeeper_away():
                clients.go_on()
        assert insist(one.post, '/v1/zkqueues/kept?locking=1', 'x')[0] == 201
        assert stream.until(state='held')['data'] == 'x'
        stream.close()
        say('what was put is done, once everybody has stopped')
        session = one.open_session()
        while True:
            status, entry = insist(two.post, f'/v1/zkqueues/work/take?locking=1&session={session}')
            if status == 204:
                break
            finish(one, session, entry['entry'])
            work.done.add(entry['data'])
        assert work.put <= work.done, work.put - work.done
        assert len(work.done) > 10 and len(queue) == 0
        say('who waited all the time is served')
        for _ in plain:
            assert insist(two.post, '/v1/zkqueues/plain', 'y')[0] == 201
        assert [call.result()['data'] for call in plain] == ['y', 'y']


def cut_off(binary):
    """Who has an entry through a server that is cut off is told first; one of a killed server cannot be."""
    with Cluster(binary, servers=3, ensemble=3, apart=True, flags=('--session-timeout', '4000')) as cluster:
        one, two, three = cluster.servers
        path = '/v1/zkqueues/work'
        for data in 'abc':
            assert three.post(f'{path}?locking=1', data)[0] == 201
        stream = one.hold(f'{path}/take?locking=1&hold=1')
        assert stream.until(state='held')['data'] == 'a'
        session = one.open_session()
        status, mine = one.post(f'{path}/take?locking=1&session={session}')
        assert status == 200 and mine['data'] == 'b', mine
        killed = two.hold(f'{path}/take?locking=1&hold=1')
        assert killed.until(state='held')['data'] == 'c'
        waits = []
        for _ in range(3):
            later = three.open_session()
            waits.append((later, Call(insist, three.post, f'{path}/take?locking=1&session={later}&wait=60000')))
        say('one server is cut off from ZooKeeper, another one killed')
        cluster.alone.running.signal(signal.SIGSTOP)
        two.kill()
        taken = [(later, call.result()[1]) for later, call in waits]
        assert sorted(entry['data'] for _, entry in taken) == ['a', 'b', 'c'], taken
        assert stream.has_come('"lost"') and stream.until(state='lost')
        assert one.delete(f'{path}/{mine["entry"]}?session={session}')[0] in (410, *REFUSED)
        say('the first one is back, and sees who has them now')
        cluster.alone.running.signal(signal.SIGCONT)
        assert len(insist(one.get, f'{path}?locking=1')[1]['taken']) == 3
        for later, entry in taken:
            assert insist(one.delete, f'{path}/{entry["entry"]}?session={later}')[0] == 204
        assert insist(one.get, f'{path}?locking=1')[1]['entries'] == []


run_case({
    'kazoo\'s Queue and kvd take what the other puts': plain_both_ways,
    'kazoo\'s LockingQueue and kvd take, finish and give back': locking_both_ways,
    'a kazoo process that dies gives its entry back': kazoo_dies,
    'entries outlive each of three ZooKeeper servers': ensemble,
    'an entry of a server that is cut off or killed goes back': cut_off,
})
