#!/usr/bin/python3
"""Locks and elections with real servers, a real ZooKeeper and kazoo beside kvd: exclusion in both directions, what
waiting costs, what others delete and forbid, servers that end, sleep, are cut off or lose their session, ZooKeeper
servers that end.
Usage: locks_test.py KVD CASE"""
import signal
import threading

from kazoo.security import make_acl, make_digest_acl

from services_cluster import LONG, Call, Cluster, eventually, insist, run_case, say


def both_ways(binary):
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        kazoo = cluster.kazoo()
        lock = kazoo.Lock('/app/db', 'kazoo')
        assert lock.acquire(timeout=10)
        say('kazoo holds the lock: kvd refuses, or waits')
        session = one.open_session()
        status, answer = one.post(f'/v1/locks/app/db?session={session}')
        assert status == 409, (status, answer)
        assert one.get('/v1/locks/app/db')[1]['holder']['name'] == 'kazoo'
        stream = two.hold('/v1/locks/app/db?hold=1&name=kvd')
        assert stream.until(state='waiting')['ahead'] == 1
        lock.release()
        fence = stream.until(state='held')['fence']
        say('kvd holds the lock: kazoo waits')
        assert not lock.acquire(blocking=False)
        assert kazoo.Lock('/app/db').contenders() == ['kvd']
        waiting = threading.Thread(target=lambda: lock.acquire(timeout=60))
        waiting.start()
        eventually('kazoo waits', lambda: len(kazoo.get_children('/app/db')) == 2)
        assert not lock.is_acquired
        stream.close()
        waiting.join()
        assert lock.is_acquired
        holder = one.get('/v1/locks/app/db')[1]['holder']
        assert holder['name'] == 'kazoo' and holder['fence'] > fence, holder
        lock.release()


def elections_both_ways(binary):
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        kazoo = cluster.kazoo()
        stream = one.hold('/v1/elections/app/leader?candidate=kvd&hold=1')
        assert stream.until(leading=True)
        election = kazoo.Election('/app/leader', 'kazoo')
        led, resign = threading.Event(), threading.Event()
        runs = threading.Thread(target=lambda: election.run(lambda: (led.set(), resign.wait(60))))
        runs.start()
        eventually('both stand', lambda: election.contenders() == ['kvd', 'kazoo'])
        assert not led.is_set()
        behind = two.hold('/v1/elections/app/leader?candidate=last&hold=1')
        assert behind.until(leading=False)['ahead'] == 2
        say('kvd leads and resigns: kazoo leads')
        stream.close()
        assert led.wait(60)
        assert two.get('/v1/elections/app/leader')[1]['leader']['name'] == 'kazoo'
        say('kazoo resigns: kvd leads')
        resign.set()
        behind.until(leading=True)
        runs.join()


def removed(binary):
    """Others delete places: whose they were hears so at once, who waits behind them is let in."""
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        kazoo = cluster.kazoo()

        def place_of(name):
            return next(f'/app/db/{child}' for child in kazoo.get_children('/app/db')
                        if kazoo.get(f'/app/db/{child}')[0] == name.encode())

        streams = {}
        for server, name in ((one, 'first'), (two, 'second'), (one, 'third'), (two, 'fourth')):
            streams[name] = server.hold(f'/v1/locks/app/db?hold=1&name={name}')
            streams[name].line()
        session = one.open_session()
        call = Call(one.post, f'/v1/locks/app/db?wait=60000&name=call&session={session}')
        eventually('the call waits', lambda: len(kazoo.get_children('/app/db')) == 5)
        say('places in the midst are deleted: who had them hears so while others hold and wait')
        kazoo.delete(place_of('call'))
        assert call.result()[0] == 410
        kazoo.delete(place_of('second'))
        assert streams['second'].until(state='lost')
        assert not streams['first'].has_come('lost') and not streams['third'].has_come('held')
        say('that of the holder, too')
        kazoo.delete(place_of('first'))
        assert streams['first'].until(state='lost')
        assert streams['third'].until(state='held')
        say('a session that only asks now and then is told by its next call, once')
        lock = '/v1/locks/app/other?session=' + session
        fence = one.post(lock)[1]['fence']
        name, = kazoo.get_children('/app/other')
        kazoo.delete(f'/app/other/{name}')
        assert eventually('it is told', lambda: one.post(lock)[0] == 410)
        status, again = one.post(lock)
        assert status == 200 and again['fence'] > fence, again
        for name in ('third', 'fourth'):
            streams[name].close()


def forbidden(binary):
    """A lock whose znode may not be removed any more is not called given back; it goes once that is allowed."""
    with Cluster(binary, servers=1) as cluster:
        server, kazoo = cluster.servers[0], cluster.kazoo()
        kazoo.add_auth('digest', 'owner:secret')
        owner = make_digest_acl('owner', 'secret', all=True)
        kazoo.ensure_path('/app/db', acl=[owner, make_acl('world', 'anyone', all=True)])
        session = server.open_session()
        assert server.post(f'/v1/locks/app/db?session={session}')[0] == 200
        kazoo.set_acls('/app/db', [owner, make_acl('world', 'anyone', read=True)])
        status, answer = server.delete(f'/v1/locks/app/db?session={session}')
        assert status == 403 and 'ACL' in answer['detail'], answer
        assert server.get('/v1/locks/app/db')[1]['holder'] is not None
        say('it may be removed again')
        kazoo.set_acls('/app/db', [owner, make_acl('world', 'anyone', all=True)])
        eventually('it has been given back', lambda: server.get('/v1/locks/app/db')[1]['holder'] is None)


def no_polling(binary):
    """What a thousand waiters and one release cost ZooKeeper, by its own count of packets."""
    waiters = 1000
    with Cluster(binary, servers=1) as cluster:
        server, zookeeper = cluster.servers[0], cluster.zookeeper
        session = server.open_session(3600)
        assert server.post(f'/v1/locks/herd?session={session}')[0] == 200
        before = zookeeper.requests()
        streams = [server.hold('/v1/locks/herd?hold=1') for _ in range(waiters)]
        for number, stream in enumerate(streams):
            assert stream.until(state='waiting')['ahead'] == number + 1
        cost = (zookeeper.requests() - before) / waiters
        say(f'{waiters} join: {cost:.1f} packets each')
        assert cost < 5, cost

        def in_three_seconds():
            before = zookeeper.requests()
            signal.sigtimedwait([signal.SIGUSR1], 3)  # a pause that is measured, not hoped for
            return zookeeper.requests() - before

        idle = in_three_seconds()
        say(f'{waiters} wait: {idle} packets in 3 s')
        assert idle < 100, idle
        before = zookeeper.requests()
        assert server.delete(f'/v1/locks/herd?session={session}')[0] == 204
        streams[0].until(state='held')
        cost = zookeeper.requests() - before
        say(f'one release: {cost} packets')
        assert cost < 30, cost
        for stream in streams[1:]:
            stream.close()
        eventually('all have left', lambda: server.get('/v1/locks/herd')[1]['waiting'] == 0)
        streams[0].close()


def holder_killed(binary):
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        first = one.hold('/v1/locks/a?hold=1')
        fence = first.until(state='held')['fence']
        second = two.hold('/v1/locks/a?hold=1')
        second.until(state='waiting')
        session = one.open_session()
        say('the server of the holder is killed')
        one.kill()
        assert first.line() is None
        assert two.put(f'/v1/sessions/{session}')[0] in (503, 410)
        assert second.until(state='held')['fence'] > fence
        assert insist(two.put, f'/v1/sessions/{session}')[0] == 410
        second.close()


def holder_frozen(binary):
    """The session of the holder's server expires while the server sleeps: what it says when it wakes is not stale."""
    with Cluster(binary, flags=('--session-timeout', '4000')) as cluster:
        one, two = cluster.servers
        first = one.hold('/v1/locks/a?hold=1')
        first.until(state='held')
        session = one.open_session()
        assert one.post(f'/v1/locks/b?session={session}')[0] == 200
        second = two.hold('/v1/locks/a?hold=1')
        second.until(state='waiting')
        say('the server of the holder sleeps')
        one.running.signal(signal.SIGSTOP)
        fence = second.until(state='held')['fence']
        say('another holds; the server wakes')
        one.running.signal(signal.SIGCONT)
        assert first.until(state='lost')
        assert one.put(f'/v1/sessions/{session}')[0] == 410
        holder = eventually('the server sees who holds', lambda: one.get('/v1/locks/a')[1].get('holder'))
        assert holder['fence'] == fence
        assert one.get('/v1/locks/b')[1]['holder'] is None
        second.close()


def ensemble(binary):
    """Each of three ZooKeeper servers ends: nobody loses what it holds, nobody holds twice. Then a session expires."""
    with Cluster(binary, ensemble=3, flags=LONG) as cluster:
        one, two = cluster.servers
        first = one.hold('/v1/locks/a?hold=1')
        fence = first.until(state='held')['fence']
        second = two.hold('/v1/locks/a?hold=1')
        second.until(state='waiting')
        leader = one.hold('/v1/elections/e?candidate=one&hold=1')
        led = leader.until(leading=True)['fence']
        backup = two.hold('/v1/elections/e?candidate=two&hold=1')
        backup.until(leading=False)
        session = one.open_session()
        mine = insist(one.post, f'/v1/locks/b?session={session}')[1]
        others = two.open_session()
        for _ in cluster.each_zookeeper_away():
            for server in (one, two):
                status, lock = insist(server.get, '/v1/locks/a')
                assert status == 200 and lock['holder']['fence'] == fence and lock['waiting'] == 1, lock
                assert insist(server.get, '/v1/elections/e')[1]['leader'] == {'name': 'one', 'fence': led}
                assert insist(server.put, f'/v1/sessions/{session}')[0] == 200
            assert insist(one.post, f'/v1/locks/b?session={session}') == (200, mine)
            assert insist(two.post, f'/v1/locks/b?session={others}')[0] == 409
        say('the session of the holder\'s server expires: others hold')
        cluster.expire(one)
        assert first.until(state='lost')
        assert leader.until(state='lost')
        later = second.until(state='held')['fence']
        assert later > fence and backup.until(leading=True)['fence'] > led
        for server in (one, two):
            assert server.put(f'/v1/sessions/{session}')[0] == 410
        status, theirs = two.post(f'/v1/locks/b?session={others}&wait=60000')
        assert status == 200 and theirs['fence'] > mine['fence'], theirs
        say('the server serves again, and waits in turn')
        again = one.hold('/v1/locks/a?hold=1')
        assert again.until(state='waiting')['ahead'] == 1
        second.close()
        assert again.until(state='held')['fence'] > later
        again.close()
        backup.close()


def cut_off(binary):
    """The holder's server talks to one ZooKeeper server only, which stands still: holders are told first."""
    with Cluster(binary, ensemble=3, apart=True, flags=('--session-timeout', '4000')) as cluster:
        one, two = cluster.servers
        first = one.hold('/v1/locks/a?hold=1')
        fence = first.until(state='held')['fence']
        second = two.hold('/v1/locks/a?hold=1')
        second.until(state='waiting')
        session = one.open_session()
        assert one.post(f'/v1/locks/b?session={session}')[0] == 200
        others = two.open_session()
        say('one server is cut off from ZooKeeper: what it granted is taken back before the other grants it')
        cluster.alone.running.signal(signal.SIGSTOP)
        status, _ = two.post(f'/v1/locks/b?session={others}&wait=60000')
        assert status == 200
        assert first.has_come('"lost"')
        assert one.put(f'/v1/sessions/{session}')[0] == 410
        assert first.until(state='lost')
        assert second.until(state='held')['fence'] > fence
        assert one.get('/v1/locks/a')[0] == 503
        say('it is back, and waits in turn')
        cluster.alone.running.signal(signal.SIGCONT)
        assert insist(one.get, '/v1/locks/a')[1]['waiting'] == 0
        session = one.open_session()
        assert insist(one.post, f'/v1/locks/a?session={session}')[0] == 409
        second.close()
        assert insist(one.post, f'/v1/locks/a?session={session}&wait=60000')[0] == 200


run_case({
    'kazoo and kvd exclude each other': both_ways,
    'kazoo and kvd elect one leader': elections_both_ways,
    'a thousand waiters ask nothing and one release is cheap': no_polling,
    'who waits or holds hears at once that others deleted its place': removed,
    'a lock that may not be removed is not called given back': forbidden,
    'the server of a lock\'s holder is killed': holder_killed,
    'the server of a lock\'s holder sleeps past its session': holder_frozen,
    'a lock outlives each of three ZooKeeper servers': ensemble,
    'a lock of a server that is cut off from ZooKeeper is taken back first': cut_off,
})
