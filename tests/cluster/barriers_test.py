#!/usr/bin/python3
"""Barriers with real servers and kazoo beside kvd: who waits goes on when all are there and not before, whatever
becomes of ZooKeeper's servers, of a session there and of a member's server. Usage: barriers_test.py KVD CASE"""
import signal

from kazoo.security import make_acl, make_digest_acl

from services_cluster import LONG, Call, Cluster, eventually, insist, run_case, say


class Member:
    """Of one double barrier, by a session of its own."""

    def __init__(self, server, name, path, size):
        self.server, self.name, self.path, self.size = server, name, path, size
        self.session = server.open_session()

    def enter(self, wait=0):
        return insist(self.server.post, f'/v1/barriers/{self.path}/enter?size={self.size}&member={self.name}'
                                        f'&session={self.session}&wait={wait}')

    def leave(self, wait=0):
        return insist(self.server.post,
                      f'/v1/barriers/{self.path}/leave?member={self.name}&session={self.session}&wait={wait}')

    def waits(self, present):
        """Enters, or asks again, and finds that others are missing."""
        assert self.enter() == (202, {'state': 'waiting', 'present': present, 'size': self.size})

    def is_released(self):
        status, answer = self.enter(60000)
        assert status == 200 and answer['state'] == 'released', answer

    def is_leaving(self):
        """Others are in; how many depends on whether its own znode goes first."""
        status, answer = self.leave()
        assert (status, answer['state']) == (202, 'leaving'), answer

    def has_left(self):
        """Unknown to the server: an answer before this one got lost."""
        status, answer = self.leave(60000)
        assert status == 404 or (status, answer['state']) == (200, 'left'), answer


def lifted(server, path):
    """Waits as a client does who asks again, until the barrier is not there."""
    while True:
        status, answer = insist(server.get, f'/v1/barriers/{path}?wait=60000')
        if status == 200:
            assert answer == {'path': path, 'up': False}, answer
            return True
        assert status == 408, (status, answer)


def with_kazoo(binary):
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        kazoo = cluster.kazoo()
        say('a barrier of kvd\'s: kazoo waits; one of kazoo\'s: kvd waits')
        assert one.put('/v1/barriers/app/deploy')[0] == 201
        barrier = kazoo.Barrier('/app/deploy')
        assert not barrier.wait(0)
        waits = Call(barrier.wait, 60)
        assert two.delete('/v1/barriers/app/deploy')[0] == 204
        assert waits.result()
        barrier.create()
        assert one.put('/v1/barriers/app/deploy')[0] == 200
        assert two.get('/v1/barriers/app/deploy')[0] == 408
        waits = Call(lifted, two, 'app/deploy')
        eventually('it is watched', lambda: '/app/deploy' in cluster.zookeeper.ask('wchp').splitlines())
        assert barrier.remove()
        assert waits.result()

        a, b = Member(one, 'a', 'app/job', 3), Member(two, 'b', 'app/job', 3)
        for last in ('kazoo', 'kvd'):
            say(f'two members of kvd\'s and one of kazoo\'s: {last} comes last, and leaves first')
            k = kazoo.DoubleBarrier('/app/job', 3, 'k')
            if last == 'kazoo':
                a.waits(1)
                b.waits(2)
                k.enter()
            else:
                enters = Call(k.enter)
                eventually('kazoo is in', lambda: len(kazoo.get_children('/app/job')) == 1)
                a.waits(2)
                assert not enters.is_done
                b.is_released()
                enters.result()
            assert k.participating
            a.is_released()
            b.is_released()
            assert 'ready' in kazoo.get_children('/app/job')
            assert one.delete('/v1/barriers/app/job')[0] == 409
            if last == 'kazoo':
                leaves = Call(k.leave)
                eventually('kazoo leaves', lambda: 'ready' not in kazoo.get_children('/app/job'))
                a.is_leaving()
            else:
                a.is_leaving()
                leaves = Call(k.leave)
            assert not leaves.is_done
            b.has_left()
            a.has_left()
            leaves.result()
            assert kazoo.get_children('/app/job') == []


def one_client_twice(binary):
    """One client of kazoo's may be several members by several DoubleBarriers, and so may one session of kvd's by
    several names; by one it is one member, through however many calls."""
    with Cluster(binary, servers=1) as cluster:
        server, kazoo = cluster.servers[0], cluster.kazoo()
        twice = [Call(kazoo.DoubleBarrier('/app/kazoo', 2).enter) for _ in range(2)]
        for call in twice:
            call.result()
        assert 'ready' in kazoo.get_children('/app/kazoo')
        session = server.open_session()

        def enter(member, size=2, wait=0):
            return server.post(f'/v1/barriers/app/kvd/enter?size={size}&member={member}&session={session}&wait={wait}')

        same = [Call(enter, 'a', 2, 60000) for _ in range(2)]
        eventually('a is in', lambda: kazoo.exists('/app/kvd') and kazoo.get_children('/app/kvd'))
        assert enter('a')[0] == 202 and len(kazoo.get_children('/app/kvd')) == 1
        assert enter('a', size=3)[0] == 409
        status, other = enter('b')
        assert status == 200, other
        first, second = (call.result() for call in same)
        assert first == second and first[0] == 200 and first[1]['member'] != other['member'], (first, second)


def removed(binary):
    """Others delete members' znodes: the members hear so at once, whether they wait or are in."""
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        kazoo = cluster.kazoo()

        def remove(path, name):
            znode = next(f'/{path}/{child}' for child in kazoo.get_children(f'/{path}') if child != 'ready'
                         and kazoo.get(f'/{path}/{child}')[0] == name.encode())
            kazoo.delete(znode)

        say('members that wait, by a connection, by a call and by none')
        stream = one.hold('/v1/barriers/app/job/enter?size=9&member=s&hold=1')
        stream.until(state='waiting')
        a, b = Member(two, 'a', 'app/job', 9), Member(one, 'b', 'app/job', 9)
        a.waits(2)
        call = Call(a.enter, 60000)
        b.waits(3)
        for name in 'sab':
            remove('app/job', name)
        assert stream.until(state='lost')
        assert call.result()[0] == 410
        eventually('it is told', lambda: b.enter()[0] == 410)
        b.waits(1)
        say('members that are in')
        stream = one.hold('/v1/barriers/app/in/enter?size=2&member=s&hold=1')
        stream.until(state='waiting')
        c = Member(two, 'c', 'app/in', 2)
        c.is_released()
        stream.until(state='released')
        for name in 'sc':
            remove('app/in', name)
        assert stream.until(state='lost')
        eventually('it is told', lambda: c.enter()[0] == 410)
        assert c.leave()[0] == 404


def unreadable(binary):
    """A barrier that an ACL hides is not told as left by all, nor entered, nor cleared away."""
    with Cluster(binary) as cluster:
        one, two = cluster.servers
        kazoo = cluster.kazoo()
        kazoo.add_auth('digest', 'owner:secret')
        owner = make_digest_acl('owner', 'secret', all=True)
        kazoo.ensure_path('/app/job', acl=[owner, make_acl('world', 'anyone', all=True)])
        a, b = Member(one, 'a', 'app/job', 2), Member(two, 'b', 'app/job', 2)
        a.waits(1)
        b.is_released()
        a.is_released()
        kazoo.set_acls('/app/job', [owner, make_acl('world', 'anyone', create=True, delete=True, write=True)])
        for wait in (0, 60000):
            status, answer = a.leave(wait)
            assert status == 403 and 'ACL' in answer['detail'], answer
        assert Member(one, 'c', 'app/job', 2).enter()[0] == 403
        assert len(kazoo.get_children('/app/job')) == 2
        say('it may be read again')
        kazoo.set_acls('/app/job', [owner, make_acl('world', 'anyone', all=True)])
        a.is_leaving()
        b.has_left()
        a.has_left()


def ensemble(binary):
    with Cluster(binary, ensemble=3, flags=LONG) as cluster:
        one, two = cluster.servers
        assert insist(one.put, '/v1/barriers/deploy')[0] == 201
        waiting = [Call(lifted, server, 'deploy') for server in (one, two)]
        streams = [one.hold('/v1/barriers/streams/enter?size=2&member=one&hold=1')]
        streams[0].until(state='waiting')
        a, b = Member(one, 'a', 'job', 2), Member(two, 'b', 'job', 2)
        a.waits(1)
        for _ in cluster.each_zookeeper_away():
            a.waits(1)
            b.is_released()
            a.is_released()
            a.is_leaving()
            b.has_left()
            a.has_left()
            a.waits(1)
            assert not any(call.is_done for call in waiting)
        assert not streams[0].has_come('released')
        assert insist(two.delete, '/v1/barriers/deploy')[0] == 204
        assert all(call.result() for call in waiting)
        streams.append(two.hold('/v1/barriers/streams/enter?size=2&member=two&hold=1'))
        for stream in streams:
            stream.until(state='released')

        say('the session of one member\'s server expires before the barrier is complete: it has never entered')
        call = Call(one.post, f'/v1/barriers/job/enter?size=2&member=a&session={a.session}&wait=600000')
        cluster.expire(one)
        assert call.result()[0] == 410
        assert streams[0].until(state='lost')
        assert a.enter()[0] == 410
        b.waits(1)
        a = Member(one, 'a', 'job', 2)
        a.is_released()
        b.is_released()
        say('it expires inside: it has left')
        b.is_leaving()
        cluster.expire(one)
        b.has_left()
        assert a.leave()[0] == 410
        assert not streams[1].has_come('lost')


def cut_off(binary):
    """A member whose server is cut off from ZooKeeper, or killed, has left; in the first case it is told before."""
    with Cluster(binary, servers=3, ensemble=3, apart=True, flags=('--session-timeout', '4000')) as cluster:
        one, two, three = cluster.servers
        stream = one.hold('/v1/barriers/job/enter?size=3&member=a&hold=1')
        stream.until(state='waiting')
        b, c = Member(two, 'b', 'job', 3), Member(three, 'c', 'job', 3)
        b.waits(2)
        c.is_released()
        b.is_released()
        stream.until(state='released')
        c.is_leaving()
        say('one server is cut off from ZooKeeper, another one is killed')
        cluster.alone.running.signal(signal.SIGSTOP)
        two.kill()
        c.has_left()
        assert stream.has_come('"lost"')
        say('nobody is in: the next ones can begin, also at the server that is back')
        cluster.alone.running.signal(signal.SIGCONT)
        assert insist(one.get, '/v1/barriers/none')[0] == 200
        d = Member(one, 'd', 'job', 2)
        c = Member(three, 'c', 'job', 2)
        c.waits(1)
        d.is_released()
        c.is_released()


run_case({
    'kazoo and kvd meet at the same barriers': with_kazoo,
    'one client as several members of a barrier': one_client_twice,
    'members of a barrier hear at once that others deleted them': removed,
    'a barrier that cannot be read is not told as left': unreadable,
    'barriers outlive each of three ZooKeeper servers': ensemble,
    'members of a server that is cut off or killed have left': cut_off,
})
