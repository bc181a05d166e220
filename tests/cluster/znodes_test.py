#!/usr/bin/python3
"""Znodes over HTTP with real servers: what a lab does with zkCli, seen with kazoo's eyes, too; and what becomes of
creates, changes, watches and ephemerals when ZooKeeper's servers end, a session expires, a server is cut off or killed.
Usage: znodes_test.py KVD CASE"""
import contextlib
import itertools
import signal
import threading

from kazoo.security import make_acl, make_digest_acl

from services_cluster import LONG, REFUSED, Call, Clients, Cluster, eventually, insist, run_case, say


def data_of(server, path):
    """Its data and its version."""
    status, fields, data = server.exchange('GET', f'/v1/znodes/{path}')
    assert status == 200, (path, status, data)
    return data, int(fields['Kvd-Znode-Version'])


def children_of(server, path):
    return sorted(insist(server.get, f'/v1/znodes/{path}?view=children')[1]['children'])


def lab(binary):
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        kazoo = cluster.kazoo()
        say('create, get, stat')
        assert one.post('/v1/znodes/app/greeting', 'hello')[0] == 404
        status, created = one.post('/v1/znodes/app/greeting?parents=1', 'hello')
        assert status == 201 and created['path'] == 'app/greeting', created
        assert one.post('/v1/znodes/app/greeting', 'again')[0] == 409
        assert data_of(two, 'app/greeting') == (b'hello', 0)
        data, stat = kazoo.get('/app/greeting')
        assert data == b'hello' and stat.czxid == created['czxid'], stat
        shown = two.get('/v1/znodes/app/greeting?view=stat')[1]
        assert shown == {
            'path': 'app/greeting', 'version': 0, 'czxid': stat.czxid, 'mzxid': stat.mzxid, 'ctime_ms': stat.ctime,
            'mtime_ms': stat.mtime, 'cversion': 0, 'children_count': 0, 'ephemeral_owner': '0x0',
            'data_length': 5}, shown
        kazoo.create('/app/bytes', bytes(range(256)))
        assert data_of(one, 'app/bytes') == (bytes(range(256)), 0)
        assert one.exchange('PUT', '/v1/znodes/app/bytes', bytes(reversed(range(256))))[0] == 200
        assert kazoo.get('/app/bytes')[0] == bytes(reversed(range(256)))

        say('set and delete, of one version only')
        assert two.put('/v1/znodes/app/greeting?version=0', 'hello again') == (200, {'version': 1})
        assert one.put('/v1/znodes/app/greeting?version=0', 'late')[0] == 412
        assert kazoo.get('/app/greeting')[0] == b'hello again'
        assert one.put('/v1/znodes/app/none', 'x')[0] == 404
        assert one.delete('/v1/znodes/app/greeting?version=0')[0] == 412
        assert one.delete('/v1/znodes/app')[0] == 409

        say('ls, and watches on children, on data, on what is not there and on what goes')
        def is_watched(path):
            eventually('it is watched', lambda: path in cluster.zookeeper.ask('wchp').splitlines())

        before = two.get('/v1/znodes/app?view=children')[1]
        assert sorted(before['children']) == ['bytes', 'greeting'], before
        children = Call(two.get, f'/v1/znodes/app?view=children&cversion={before["cversion"]}&wait=60000')
        data = Call(two.get, '/v1/znodes/app/greeting?version=1&wait=60000')
        creation = Call(two.get, '/v1/znodes/app/later?wait=60000')
        is_watched('/app/greeting')
        is_watched('/app/later')
        kazoo.create('/app/later', b'here')
        assert creation.result() == (200, 'here')
        assert sorted(children.result()[1]['children']) == ['bytes', 'greeting', 'later']
        kazoo.set('/app/greeting', b'by kazoo')
        assert data.result() == (200, 'by kazoo')
        going = Call(two.get, '/v1/znodes/app/later?version=0&wait=60000')
        is_watched('/app/later')
        assert one.delete('/v1/znodes/app/later')[0] == 204
        assert going.result()[0] == 404
        heard = threading.Event()
        kazoo.exists('/app/new', watch=lambda event: heard.set())
        assert one.post('/v1/znodes/app/new')[0] == 201
        assert heard.wait(60)

        say('sequential ones, of kvd and of kazoo in one row')
        paths = []
        for _ in range(2):
            paths.append(one.post('/v1/znodes/app/seq/item-?seq=1&parents=1')[1]['path'])
            paths.append(kazoo.create('/app/seq/item-', sequence=True)[1:])
        assert paths == [f'app/seq/item-{number:010}' for number in range(4)], paths

        say('ephemeral ones, of a session and of a connection')
        session = one.open_session()
        assert one.post(f'/v1/znodes/app/eph?mode=ephemeral&session={session}', 'mine')[0] == 201
        assert one.post(f'/v1/znodes/app/eph/below?mode=ephemeral&session={session}')[0] in (400, 409)
        stream = two.hold('/v1/znodes/app/me-?mode=ephemeral&hold=1&seq=1', 'held')
        path = stream.until(state='held')['path']
        assert kazoo.get(f'/{path}')[0] == b'held'
        for each, server in ((path, two), ('app/eph', one)):
            stat = kazoo.exists(f'/{each}')
            assert stat.ephemeralOwner == cluster.session_of(server), stat
        stream.close()
        assert one.delete(f'/v1/sessions/{session}')[0] == 204
        eventually('both are gone', lambda: not kazoo.exists(f'/{path}') and not kazoo.exists('/app/eph'))
        say('somebody deletes one: who holds it is told')
        stream = one.hold('/v1/znodes/app/me?mode=ephemeral&hold=1')
        stream.until(state='held')
        kazoo.delete('/app/me')
        assert stream.until(state='lost')

        say('what kvd and ZooKeeper keep for themselves can be read only')
        assert sorted(one.get('/v1/znodes/?view=children')[1]['children']) == sorted(kazoo.get_children('/'))
        for path in ('kvd/config', 'election', 'zookeeper/quota'):
            assert one.get(f'/v1/znodes/{path}')[0] == 200
            assert one.put(f'/v1/znodes/{path}', 'x')[0] == 403
            assert one.delete(f'/v1/znodes/{path}?recurse=1')[0] == 403
        assert one.delete('/v1/znodes/app?recurse=1')[0] == 204
        assert not kazoo.exists('/app')


class Creations:
    """Of persistent sequential znodes, which are not looked for when the answer is lost: 504, the client repeats."""

    def __init__(self):
        self.numbers = itertools.count()
        self.made = {}       # paths that were told, by data
        self.unknown = {}    # how many attempts of each may have been done besides

    def turn(self, server, session):
        data = f'{session} {next(self.numbers)}'
        self.unknown[data] = 0

        def create():
            status, answer = server.post('/v1/znodes/made/item-?seq=1', data)
            self.unknown[data] += status == 504
            return None if status in REFUSED else (status, answer)
        status, answer = eventually('it is made', create)
        assert status == 201, answer
        self.made[data] = answer['path']

    def are_there(self, kazoo):
        found = {}
        for name in kazoo.get_children('/made'):
            found.setdefault(kazoo.get(f'/made/{name}')[0].decode(), []).append(f'made/{name}')
        assert len(self.made) == len(set(self.made.values()))
        assert found.keys() == self.made.keys()
        for data, paths in found.items():
            assert self.made[data] in paths and len(paths) <= 1 + self.unknown[data], (data, paths)
        return len(found)


class Changes:
    """Of one znode, each of the version that was read: no two succeed with the same one."""

    def __init__(self):
        self.lock = threading.Lock()
        self.versions = set()

    def turn(self, server, _):
        version = insist(server.get, '/v1/znodes/changed?view=stat')[1]['version']
        status, answer = server.put(f'/v1/znodes/changed?version={version}', 'x')
        assert status in (200, 412, *REFUSED), (status, answer)
        if status == 200:
            with self.lock:
                assert answer['version'] == version + 1 and version not in self.versions, (version, answer)
                self.versions.add(version)


def ephemeral_turn(server, session):
    """One that is made is there once, and none is left over by an answer that was lost."""
    status, made = insist(server.post, f'/v1/znodes/ephemerals/x-?mode=ephemeral&seq=1&session={session}')
    assert status == 201, made
    # 404: it was deleted by a call whose answer got lost
    assert insist(server.delete, f'/v1/znodes/{made["path"]}')[0] in (204, 404)


def ensemble(binary):
    with Cluster(binary, ensemble=3, flags=LONG) as cluster:
        one, two = cluster.servers
        kazoo = cluster.kazoo()
        for path in ('made', 'changed', 'ephemerals', 'watched', 'children'):
            assert insist(one.post, f'/v1/znodes/{path}', '0')[0] == 201
        session = one.open_session()
        assert insist(one.post, f'/v1/znodes/mine?mode=ephemeral&session={session}')[0] == 201
        stream = one.hold('/v1/znodes/held-one?mode=ephemeral&hold=1')
        stream.until(state='held')
        stays = two.hold('/v1/znodes/held-two?mode=ephemeral&hold=1')
        stays.until(state='held')
        creations, changes = Creations(), Changes()
        watched = 0

        def change(server):
            """Who waits for it through either server hears of it."""
            nonlocal watched
            calls = [Call(insist, each.get, f'/v1/znodes/watched?version={watched}&wait=60000') for each in (one, two)]
            watched += 1
            status, answer = insist(server.put, f'/v1/znodes/watched?version={watched - 1}', str(watched))
            assert status == 412 or answer == {'version': watched}, answer  # 412: an answer was lost
            assert [call.result() for call in calls] == [(200, str(watched))] * 2

        turns = (creations.turn, changes.turn, ephemeral_turn)
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Clients([one, two], turn)) for turn in turns]
            for _ in cluster.each_zookeeper_away():
                for server in (one, two):
                    change(server)
                    assert insist(server.put, f'/v1/sessions/{session}')[0] == 200
                    assert {'mine', 'held-one', 'held-two'} <= set(children_of(server, ''))
                for each in clients:
                    each.go_on()
        say('nothing that was answered is missing, nothing was done twice without a word')
        kazoo.sync('/')
        assert creations.are_there(kazoo) > 0 and changes.versions
        eventually('no ephemeral is left over', lambda: not kazoo.get_children('/ephemerals'))
        say('the session of one server expires: its ephemerals go, who waits hears of it, and it serves again')
        gone = [Call(insist, server.get, '/v1/znodes/mine?version=0&wait=60000') for server in (one, two)]
        cluster.expire(one)
        assert stream.until(state='lost')
        assert [call.result()[0] for call in gone] == [404, 404]
        assert one.delete(f'/v1/sessions/{session}')[0] == 410
        names = set(children_of(two, ''))
        assert 'held-two' in names and not names & {'mine', 'held-one'}, names
        stream = one.hold('/v1/znodes/held-one?mode=ephemeral&hold=1')
        stream.until(state='held')
        assert kazoo.exists('/held-one').ephemeralOwner == cluster.session_of(one)
        change(one)
        change(two)
        assert not stays.has_come('lost')


def cut_off(binary):
    """Who holds an ephemeral through a server that is cut off is told first; one of a killed server cannot be."""
    with Cluster(binary, servers=3, ensemble=3, apart=True, flags=('--session-timeout', '4000')) as cluster:
        one, two, three = cluster.servers
        stream = one.hold('/v1/znodes/a?mode=ephemeral&hold=1')
        stream.until(state='held')
        session = one.open_session()
        assert one.post(f'/v1/znodes/b?mode=ephemeral&session={session}')[0] == 201
        killed = two.hold('/v1/znodes/c?mode=ephemeral&hold=1')
        killed.until(state='held')
        gone = [Call(insist, three.get, f'/v1/znodes/{path}?version=0&wait=60000') for path in 'abc']
        later = three.open_session()
        for path in 'abc':
            assert three.post(f'/v1/znodes/{path}?mode=ephemeral&session={later}')[0] == 409
        say('one server is cut off from ZooKeeper, another one killed')
        cluster.alone.running.signal(signal.SIGSTOP)
        two.kill()
        assert gone[0].result()[0] == 404
        assert stream.has_come('"lost"')
        assert one.put(f'/v1/sessions/{session}')[0] == 410
        assert stream.until(state='lost')
        assert [call.result()[0] for call in gone] == [404] * 3
        for path in 'abc':
            assert insist(three.post, f'/v1/znodes/{path}?mode=ephemeral&session={later}')[0] == 201
        assert one.get('/v1/znodes/a')[0] == 503
        say('the first one is back, and sees who has them now')
        cluster.alone.running.signal(signal.SIGCONT)
        owner = cluster.session_of(three)
        for path in 'abc':
            assert insist(one.get, f'/v1/znodes/{path}?view=stat')[1]['ephemeral_owner'] == f'0x{owner:x}'


def forbidden(binary):
    with Cluster(binary, servers=1) as cluster:
        server, kazoo = cluster.servers[0], cluster.kazoo()
        kazoo.add_auth('digest', 'owner:secret')
        owner = make_digest_acl('owner', 'secret', all=True)
        anyone = make_acl('world', 'anyone', all=True)
        for path in ('/tree/a', '/tree/b/c'):
            kazoo.ensure_path(path)
        kazoo.set_acls('/tree/b', [owner])
        say('a tree of which a part cannot be listed stays whole')
        status, answer = server.delete('/v1/znodes/tree?recurse=1')
        assert status == 403 and 'tree/b' in answer['detail'], answer
        assert kazoo.exists('/tree/a') and kazoo.exists('/tree/b/c')
        assert server.get('/v1/znodes/tree/b')[0] == 403
        say('an ephemeral that may not be removed goes with its connection once it may')
        stream = server.hold('/v1/znodes/tree/e?mode=ephemeral&hold=1')
        stream.until(state='held')
        kazoo.set_acls('/tree', [owner, make_acl('world', 'anyone', read=True)])
        assert server.delete('/v1/znodes/tree/e')[0] == 403
        stream.close()
        kazoo.set_acls('/tree', [owner, anyone])
        eventually('it is gone', lambda: not kazoo.exists('/tree/e'))


run_case({
    'znodes that ZooKeeper forbids to list or to remove': forbidden,

    'znodes do what one does with zkCli': lab,
    'znodes outlive each of three ZooKeeper servers': ensemble,
    'ephemerals of a server that is cut off are told lost first': cut_off,
})
