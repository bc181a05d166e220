#!/usr/bin/python3
"""What others may do at kvd's own znodes when the servers have a user and a password in ZooKeeper: real servers, a real
ZooKeeper, and kazoo as the stranger. Usage: zookeeper_access_test.py KVD CASE"""
import contextlib
import os
import subprocess
import tempfile

from kazoo.exceptions import NoAuthError
from kazoo.security import OPEN_ACL_UNSAFE, make_acl, make_digest_acl

from services_cluster import (
    LONG, Background, Cluster, Kvd, come_back, eventually, insist, is_ready, leader_of, restart, run_case, say)

OPEN, CHANGED_LATER, MAY_NOT, NOTHING = 1, 75, 77, 66
OWN = ('/kvd', '/election')


@contextlib.contextmanager
def auth_file(credentials='kvd:se:cret'):
    """Its path."""
    with tempfile.NamedTemporaryFile('w', prefix='kvd-auth-') as file:
        file.write(f'{credentials}\n')
        file.flush()
        yield file.name


def with_file(path):
    return ('--zookeeper-auth-file', path)


def add(cluster, *flags, prefix=''):
    """One more server, started, which the cluster ends."""
    if prefix:
        flags = ('--zookeeper', cluster.zookeeper_names + prefix, *flags)
    cluster.servers.append(Kvd(cluster.binary, cluster.directory, cluster.known, len(cluster.servers), flags))
    cluster.servers[-1].start()
    return cluster.servers[-1]


def acl(cluster, action, *flags, prefix=''):
    """What `kvd zookeeper-acl` says: exit code, output, error."""
    ended = subprocess.run([cluster.binary, 'zookeeper-acl', action, '--zookeeper', cluster.zookeeper_names + prefix,
                            *flags], capture_output=True, text=True, check=False)
    say(f'zookeeper-acl {action}: {ended.returncode} {ended.stderr.strip() or ended.stdout.splitlines()[-1]}')
    return ended.returncode, ended.stdout, ended.stderr


def below(kazoo, root):
    """All znodes there, it included."""
    found = [root]
    for path in found:
        found += [f'{path}/{child}' for child in kazoo.get_children(path)]
    return found


def refused(call, *arguments):
    try:
        call(*arguments)
    except NoAuthError:
        return
    raise AssertionError(f'{call.__name__} {arguments} was allowed')


def strangers_may_only_read(cluster, prefix=''):
    kazoo = cluster.kazoo()
    for root in OWN:
        paths = below(kazoo, prefix + root)
        for path in paths:
            kazoo.get(path)
            refused(kazoo.set, path, b'mine')
            refused(kazoo.create, f'{path}/mine', b'')
            refused(kazoo.set_acls, path, OPEN_ACL_UNSAFE)
        for path in paths[1:]:
            refused(kazoo.delete, path)
    assert b'"epoch"' in kazoo.get(f'{prefix}/kvd/config')[0]


def degraded(server):
    return server.get('/v1/cluster')[1]['degraded']


def says(server, *words):
    """Once one line of what is degraded has all these words."""
    def told():
        return next((line for line in degraded(server) if all(word in line for word in words)), None)
    line = eventually(f'{server.name} says {words}', told)
    say(line)
    return line


def put(server, key, value='x'):
    status, answer = insist(server.put, f'/v1/kv/{key}', value)
    assert status in (200, 201), (status, answer)


class Writer(Background):
    """Counts up in one key, and remembers what was acknowledged. Its writes may be repeated: each has one value."""

    def __init__(self, cluster):
        super().__init__()
        self.cluster, self.count = cluster, 0

    def run(self):
        while not self.ends:
            def once(value=str(self.count + 1)):
                server = next(one for one in self.cluster.servers if one.running)
                return server.put('/v1/kv/count', value)[0] in (200, 201)
            eventually('a write is acknowledged', once)
            self.count += 1

    def go_on(self):
        before = self.count
        eventually('writes go on', lambda: self.problem or self.count > before)
        self.check()


def read_by_all(binary):
    with auth_file() as path, Cluster(binary, flags=with_file(path)) as cluster:
        strangers_may_only_read(cluster)
        assert acl(cluster, 'show', *with_file(path))[0] == 0
        assert acl(cluster, 'show')[0] == 0
        assert acl(cluster, 'apply', *with_file(path))[:2] == (0, acl_summary(cluster))
        for server in cluster.servers:
            assert not [line for line in degraded(server) if 'ZooKeeper' in line], degraded(server)
            with open(server.log, encoding='utf-8') as log:
                assert 'cret' not in log.read()
        kazoo = cluster.kazoo()
        say('who knows the password may, too')
        kazoo.add_auth('digest', 'kvd:se:cret')
        kazoo.create('/kvd/mine', b'')
        kazoo.delete('/kvd/mine')
        say('the znodes of the services are open, and a server that protects them, too, makes them so')
        status, _ = cluster.servers[0].post('/v1/znodes/shared', 'a')
        assert status == 201
        stranger = cluster.kazoo()
        stranger.set('/shared', b'b')
        closed = add(cluster, *with_file(path), '--zookeeper-acl', 'protected')
        eventually('it is ready', lambda: is_ready(closed))
        assert closed.post('/v1/znodes/closed', 'a')[0] == 201
        assert stranger.get('/closed')[0] == b'a'
        refused(stranger.set, '/closed', b'b')
        assert cluster.servers[0].put('/v1/znodes/closed', 'b')[0] == 200


def acl_summary(cluster):
    """What apply prints when all is protected already."""
    kazoo = cluster.kazoo()
    count = sum(len(below(kazoo, root)) for root in OWN)
    return f'0 protected now, {count} were already\n'


def wrong_password(binary):
    with auth_file() as right, auth_file('kvd:wrong') as wrong, \
            Cluster(binary, flags=with_file(right)) as cluster:
        one = cluster.servers[0]
        epoch = one.get('/v1/cluster')[1]['epoch']
        other = add(cluster, *with_file(wrong))
        without = add(cluster)
        says(other, 'ZooKeeper refuses this server at /kvd', wrong, '--zookeeper-auth-file')
        says(without, 'ZooKeeper refuses this server at /kvd', 'which --zookeeper-auth-file would give')
        for server, named in ((other, wrong), (without, '--zookeeper-auth-file')):
            assert not is_ready(server)
            verbose = server.exchange('GET', '/readyz?verbose')[2].decode()
            assert 'ZooKeeper refuses this server' in verbose, verbose
            with open(server.log, encoding='utf-8') as log:
                lines = [line for line in log if 'ZooKeeper refuses this server' in line]
            assert lines and all(named in line and '"error"' in line for line in lines), lines
            assert server.running.process.poll() is None
        put(one, 'a')
        assert one.get('/v1/cluster')[1]['epoch'] == epoch
        code, _, error = acl(cluster, 'apply', *with_file(wrong))
        assert code == MAY_NOT and wrong in error and 'nothing was changed' in error, (code, error)
        strangers_may_only_read(cluster)
        say('with the right file both are like the others')
        for server in (other, without):
            server.kill()
            server.command += with_file(right)
            come_back_one(server)
            assert not [line for line in degraded(server) if 'refuses' in line], degraded(server)


def come_back_one(server):
    server.start()
    eventually('it is ready again', lambda: is_ready(server))


def protected_meanwhile(binary):
    """A server without the file, whose znodes somebody protects while it leads: it says so, and serves on."""
    with auth_file() as path, Cluster(binary, servers=1) as cluster:
        server = cluster.servers[0]
        kazoo = cluster.kazoo()
        kazoo.add_auth('digest', 'kvd:se:cret')
        mine = [make_digest_acl('kvd', 'se:cret', all=True), make_acl('world', 'anyone', read=True)]
        paths = [found for root in OWN for found in below(kazoo, root)]
        assert acl(cluster, 'apply', *with_file(path))[0] == CHANGED_LATER
        for one in paths:
            kazoo.set_acls(one, mine)
        put(server, 'a')
        cluster.zookeeper.end()
        cluster.zookeeper.start()
        eventually('ZooKeeper serves', cluster.zookeeper.serves)
        says(server, 'ZooKeeper refuses this server at /kvd/config', 'which --zookeeper-auth-file would give')
        put(server, 'b')
        say('the ACLs are taken back')
        for one in paths:
            with contextlib.suppress(Exception):  # an ephemeral one may have gone
                kazoo.retry(kazoo.set_acls, one, OPEN_ACL_UNSAFE)
        eventually('it says no more', lambda: not [line for line in degraded(server) if 'refuses' in line])
        put(server, 'c')


def rolled_out(binary):
    with auth_file() as path, Cluster(binary, servers=3, flags=LONG) as cluster, Writer(cluster) as writer:
        kazoo = cluster.kazoo()
        kazoo.set('/kvd/members', b'')  # as anybody may
        code, text, _ = acl(cluster, 'show')
        assert code == OPEN and all(line.startswith('open ') for line in text.splitlines()), text
        for number, server in enumerate(cluster.servers):
            writer.go_on()
            code, text, error = acl(cluster, 'apply', *with_file(path))
            assert (code, text) == (CHANGED_LATER, ''), (code, text)
            left = [one.name for one in cluster.servers[number:]]
            assert all(name in error for name in left), error
            assert not any(one.name in error for one in cluster.servers[:number]), error
            server.command += with_file(path)
            restart(cluster, server)
        writer.go_on()
        code, text, _ = acl(cluster, 'apply', *with_file(path))
        *changed, summary = text.splitlines()
        assert code == 0 and 'protected /kvd/config' in changed and 'protected /election' in changed, text
        assert summary.startswith(f'{len(changed)} protected now, '), text
        strangers_may_only_read(cluster)
        writer.go_on()
        assert acl(cluster, 'apply', *with_file(path))[1].startswith('0 protected now, ')
        assert acl(cluster, 'show', *with_file(path))[0] == 0
        say('the leader is killed')
        leader = leader_of(cluster)
        epoch = leader.get('/v1/cluster')[1]['epoch']
        leader.kill()
        writer.go_on()
        come_back(cluster, leader)
        assert leader.get('/v1/cluster')[1]['epoch'] > epoch
        writer.go_on()
        writer.ends = True
        writer.thread.join()
        told = insist(leader.get, '/v1/kv/count?read=linear')
        assert told == (200, str(writer.count)), (told, writer.count)


def takeover(binary):
    with auth_file() as path, Cluster(binary, servers=3, ensemble=3, flags=with_file(path)) as cluster:
        for turn in range(4):
            leader = leader_of(cluster)
            epoch = leader.get('/v1/cluster')[1]['epoch']
            put(leader, f'turn-{turn}')
            say(f'{leader.name} leads and is {"killed" if turn % 2 == 0 else "asked to stop"}')
            if turn % 2 == 0:
                leader.kill()
                put(leader_of(cluster), f'without-{turn}')
                come_back(cluster, leader)
            else:
                restart(cluster, leader)
            assert leader.get('/v1/cluster')[1]['epoch'] > epoch
            for server in cluster.servers:
                assert insist(server.get, f'/v1/kv/turn-{turn}?read=linear') == (200, 'x')
        strangers_may_only_read(cluster)


def shared_locks(binary):
    with auth_file() as path, Cluster(binary, flags=with_file(path)) as cluster:
        one, two = cluster.servers
        kazoo = cluster.kazoo()
        lock = kazoo.Lock('/app/db', 'kazoo')
        assert lock.acquire(timeout=10)
        session = one.open_session()
        status, answer = one.post(f'/v1/locks/app/db?session={session}')
        assert status == 409, (status, answer)
        stream = two.hold('/v1/locks/app/db?hold=1&name=kvd')
        assert stream.until(state='waiting')['ahead'] == 1
        lock.release()
        stream.until(state='held')
        say('kvd has the lock that kazoo had')
        assert not lock.acquire(blocking=False)
        kazoo.delete(f'/app/db/{kazoo.get_children("/app/db")[0]}')
        stream.until(state='lost')
        assert lock.acquire(timeout=10)
        say('kazoo has deleted the place of kvd, as it may, and has the lock')
        assert one.get('/v1/locks/app/db')[1]['holder']['name'] == 'kazoo'
        status, answer = one.post('/v1/znodes/kvd/mine')
        assert status == 403, (status, answer)
        stream.close()


def closed_prefix(binary):
    """An operator has made the prefix for kvd, and closed what is above."""
    with auth_file() as path, Cluster(binary, servers=0) as cluster:
        assert acl(cluster, 'show')[0] == NOTHING
        kazoo = cluster.kazoo()
        kazoo.create('/services', b'')
        kazoo.create('/services/kvd', b'', acl=[make_digest_acl('kvd', 'se:cret', all=True)])
        for above in ('/services', '/'):
            kazoo.set_acls(above, [make_digest_acl('ops', 'x', all=True), make_acl('world', 'anyone', read=True)])
        server = add(cluster, *with_file(path), prefix='/services/kvd')
        eventually('it is ready', lambda: is_ready(server))
        put(server, 'a')
        assert acl(cluster, 'show', *with_file(path), prefix='/services/kvd')[0] == 0
        without = add(cluster, prefix='/services/kvd')
        says(without, 'ZooKeeper refuses this server at /services/kvd', 'which --zookeeper-auth-file would give')
        assert not is_ready(without)


run_case({
    'kvd\'s own znodes are read by all and changed by its servers': read_by_all,
    'a wrong password for ZooKeeper is told': wrong_password,
    'a server whose znodes are protected without it says so': protected_meanwhile,
    'servers are given a password for ZooKeeper while writes go on': rolled_out,
    'leaders are killed at protected znodes': takeover,
    'kazoo and kvd share locks beside protected znodes': shared_locks,
    'a prefix of an operator\'s below what is closed': closed_prefix,
})
