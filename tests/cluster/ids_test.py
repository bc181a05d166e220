#!/usr/bin/python3
"""Unique ids with real servers: who holds one, whatever becomes of ZooKeeper's servers, of a session there and of the
server that lent it, and how long a number rests. Usage: ids_test.py KVD CASE"""
import signal

from kazoo.security import make_acl, make_digest_acl

from services_cluster import LONG, Clients, Cluster, Holdings, eventually, insist, run_case, say

LONG_REST = 'rest=3600000'


def busy(pool, size):
    """A client's turn: takes an id, sees that it has it, and gives it back without a rest."""
    holdings = Holdings()

    def turn(server, session):
        status, lent = insist(server.post, f'/v1/ids/{pool}?session={session}&max={size}&rest=0')
        assert status == 201, (status, lent)
        holdings.take(lent['id'], fence=lent['fence'])
        path = f'/v1/ids/{pool}/{lent["id"]}?session={session}'
        assert insist(server.put, path) == (200, lent)
        holdings.give_back(lent['id'])
        # 404: it was given back by a call whose answer got lost
        assert insist(server.delete, path)[0] in (204, 404)

    return turn


def pool_of(server, pool='p', size=4):
    status, answer = insist(server.get, f'/v1/ids/{pool}?max={size}')
    assert status == 200, answer
    return answer


def held_in(server, pool='p', size=4):
    return {one['id']: one['fence'] for one in pool_of(server, pool, size)['held']}


def ensemble(binary):
    with Cluster(binary, ensemble=3, flags=LONG) as cluster:
        one, two = cluster.servers
        sessions = [one.open_session(), two.open_session()]
        stream = one.hold(f'/v1/ids/p?hold=1&max=4&name=stream&{LONG_REST}')
        by_stream = stream.until(state='held')
        lent = {by_stream['id']: by_stream['fence']}
        mine = insist(one.post, f'/v1/ids/p?session={sessions[0]}&max=4&{LONG_REST}')[1]
        theirs = insist(two.post, f'/v1/ids/p?session={sessions[1]}&max=4&{LONG_REST}')[1]
        for each in (mine, theirs):
            assert each['id'] not in lent
            lent[each['id']] = each['fence']
        say('three of four ids are held, while other clients take and give back those of another pool')
        with Clients([one, two, one], busy('busy', 3)) as clients:
            for _ in cluster.each_zookeeper_away():
                clients.go_on()
                for server in (one, two):
                    assert insist(server.put, f'/v1/ids/p/{mine["id"]}?session={sessions[0]}') == (200, mine)
                    assert insist(server.put, f'/v1/ids/p/{theirs["id"]}?session={sessions[1]}') == (200, theirs)
                    assert held_in(server) == lent
            clients.go_on()
        assert pool_of(two, 'busy', 3) == {'held': [], 'resting': [], 'free': 3}
        say('the session of one server expires: what it lent rests, and nobody else gets it')
        cluster.expire(one)
        assert stream.until(state='lost')
        for server in (one, two):
            assert server.put(f'/v1/ids/p/{mine["id"]}?session={sessions[0]}')[0] == 410
        assert held_in(two) == {theirs['id']: theirs['fence']}
        assert sorted(pool_of(one)['resting']) == sorted([mine['id'], by_stream['id']])
        last, = set(range(1, 5)) - set(lent)
        again = one.open_session()
        status, answer = insist(one.post, f'/v1/ids/p?session={again}&max=4&rest=0')
        assert status == 201 and answer['id'] == last, answer
        status, answer = two.post(f'/v1/ids/p?session={sessions[1]}&max=4')
        assert status == 503 and answer['outcome'] == 'not-applied', answer
        say('a number without a rest is free at once, but not while others have it who made its znode by hand')
        assert insist(one.delete, f'/v1/ids/p/{last}?session={again}')[0] == 204
        kazoo = cluster.kazoo()
        kazoo.create(f'/ids/p/{last}', b'kazoo', ephemeral=True)
        assert two.post(f'/v1/ids/p?session={sessions[1]}&max=4')[0] == 503
        kazoo.delete(f'/ids/p/{last}')
        status, answer = insist(two.post, f'/v1/ids/p?session={sessions[1]}&max=4')
        assert status == 201 and answer['id'] == last, answer


def cut_off(binary):
    """Holders of a server that cannot reach ZooKeeper are told first; those of one that is killed cannot be."""
    with Cluster(binary, servers=3, ensemble=3, apart=True, flags=('--session-timeout', '4000')) as cluster:
        one, two, three = cluster.servers
        stream = one.hold('/v1/ids/p?hold=1&max=1&rest=0')
        first = stream.until(state='held')
        session = one.open_session()
        second = one.post(f'/v1/ids/q?session={session}&max=1&rest=0')[1]
        killed = two.hold('/v1/ids/k?hold=1&max=1&rest=1')
        third = killed.until(state='held')
        later = three.open_session()
        for pool in 'pqk':
            assert three.post(f'/v1/ids/{pool}?session={later}&max=1')[0] == 503
        say('one server is cut off from ZooKeeper: its holders are told before others can have their numbers')
        cluster.alone.running.signal(signal.SIGSTOP)
        two.kill()
        taken = insist(three.post, f'/v1/ids/p?session={later}&max=1&rest=0')[1]
        assert stream.has_come('"lost"')
        assert one.put(f'/v1/ids/q/1?session={session}')[0] in (410, 503)
        assert taken['fence'] > first['fence'] and stream.until(state='lost'), taken
        assert insist(three.post, f'/v1/ids/q?session={later}&max=1')[1]['fence'] > second['fence']
        say('another one was killed: after the rest that was asked for, others have its number')
        assert killed.line() is None
        assert insist(three.post, f'/v1/ids/k?session={later}&max=1')[1]['fence'] > third['fence']
        say('the first one is back, and knows who has them now')
        cluster.alone.running.signal(signal.SIGCONT)
        assert held_in(one, 'p', 1) == {1: taken['fence']}
        assert one.put(f'/v1/ids/q/1?session={session}')[0] == 410


def others_delete_and_forbid(binary):
    with Cluster(binary, servers=1) as cluster:
        server, kazoo = cluster.servers[0], cluster.kazoo()
        kazoo.add_auth('digest', 'owner:secret')
        owner = make_digest_acl('owner', 'secret', all=True)
        session = server.open_session()
        say('others delete the znodes of ids: a connection hears so, a session when it asks whether it has it')
        stream = server.hold('/v1/ids/p?hold=1&max=2')
        by_stream = stream.until(state='held')['id']
        mine = server.post(f'/v1/ids/p?session={session}&max=2')[1]['id']
        for number in (by_stream, mine):
            kazoo.delete(f'/ids/p/{number}')
        assert stream.until(state='lost')
        assert server.put(f'/v1/ids/p/{mine}?session={session}')[0] == 410
        say('what an ACL hides is not told as free, and what it keeps is not told as given back')
        kazoo.ensure_path('/ids/hidden', acl=[owner])
        assert server.get('/v1/ids/hidden')[0] == 403
        assert server.post(f'/v1/ids/hidden?session={session}')[0] == 403
        kept = server.post(f'/v1/ids/kept?session={session}&max=1')[1]['id']
        anyone = make_acl('world', 'anyone', all=True)
        kazoo.set_acls('/ids/kept', [make_acl('world', 'anyone', read=True, admin=True)])
        status, answer = server.delete(f'/v1/ids/kept/{kept}?session={session}')
        assert status == 403 and 'ACL' in answer['detail'], answer
        assert held_in(server, 'kept', 1)
        kazoo.set_acls('/ids/kept', [anyone])
        eventually('it is given back', lambda: not held_in(server, 'kept', 1))


run_case({
    'ids that others delete, hide or keep from being removed': others_delete_and_forbid,

    'ids outlive each of three ZooKeeper servers': ensemble,
    'ids of a server that is cut off are told lost first': cut_off,
})
