#!/usr/bin/python3
"""What becomes of a cluster whose register in ZooKeeper is lost, goes back, is another cluster's or names nobody who is
there: real servers, and a real ZooKeeper whose data is wiped or put back. Usage: restoration_test.py KVD CASE"""
import hashlib
import json
import os
import re
import shutil
import subprocess

from services_cluster import Cluster, Kvd, eventually, insist, run_case, say

CONFIG = '/kvd/config'
THREE = ('--expect', '3', '--min-in-sync', '2')


def directory_of(cluster, number):
    return os.path.join(cluster.directory, f'data-{number}')


def add(cluster, flags=(), durable=True):
    """One more server, started, which the cluster ends."""
    number = len(cluster.servers)
    disk = ('--data-dir', directory_of(cluster, number)) if durable else ()
    cluster.servers.append(Kvd(cluster.binary, cluster.directory, cluster.known, number, (*flags, *disk)))
    cluster.servers[-1].start()
    return cluster.servers[-1]


def is_ready(server):
    return server.get('/readyz')[0] == 200


def begin(cluster, count, flags, durable=True):
    """That many servers, ready and in sync."""
    servers = [add(cluster, flags, durable) for _ in range(count)]
    all_in_sync(servers)
    return servers


def all_in_sync(servers):
    for one in servers:
        eventually('a server is ready', lambda one=one: is_ready(one))
        eventually('all are in sync', lambda one=one: len(about(one)['in_sync']) == len(servers))


def about(server):
    status, told = server.get('/v1/cluster')
    assert status == 200, told
    return told


def put(server, key):
    """Again until it is done: the same value each time, so no harm comes of a second one. Its revision."""
    def once():
        status, fields, _ = server.exchange('PUT', f'/v1/kv/{key}', key)
        return fields['Kvd-Revision'] if status in (200, 201) else None
    return int(eventually(f'a write of {key}', once))


def put_all(servers, prefix, count=50):
    """The revision of the last one."""
    return [put(servers[i % len(servers)], f'{prefix}{i}') for i in range(count)][-1]


def expect_all(servers, prefix, count=50):
    """Each has them all in its own copy."""
    for server in servers:
        for i in range(count):
            key = f'{prefix}{i}'
            assert server.get(f'/v1/kv/{key}') == (200, key), (server.name, key)


def leader_of(servers):
    name = eventually('a leader', lambda: about(servers[0])['leader'])['id']
    return next(one for one in servers if one.name == name)


def causes(servers):
    return {one['cause'] for server in servers for one in server.get('/v1/cluster/why')[1]['elections']}


def writes_go_on(servers, key):
    """Written at each, and read from each by the leader's word."""
    for server in servers:
        put(server, f'{key}-{server.port}')
        for other in servers:
            path = f'/v1/kv/{key}-{server.port}?read=linear'
            assert insist(other.get, path) == (200, f'{key}-{server.port}')


def same_copies(servers):
    def same():
        told = [about(one) for one in servers]
        return len({(one['revision'], one['digest']) for one in told}) == 1
    eventually('all copies are equal', same)


def kill(*servers):
    for one in servers:
        one.kill()


def wipe(zookeeper):
    zookeeper.end()
    shutil.rmtree(os.path.join(zookeeper.directory, 'version-2'))
    zookeeper.start()
    eventually('ZooKeeper serves', zookeeper.serves)


def says(server, *words):
    """What it says while it is not ready, once all these words are in it."""
    def told():
        status, text = server.get('/readyz?verbose')
        degraded = about(server)['degraded']
        both = all(word in text and any(word in line for line in degraded) for word in words)
        return text if status == 503 and both else None
    text = eventually(f'{server.name} says {words}', told)
    say(f'server {server.name} says:\n{text}')
    return text


def expect_held(text, servers, revision):
    """It says of each of them that it has all up to there."""
    for one in servers:
        words = rf'{one.name} remembers epoch 1 \(change \d+\) and holds revision {revision} of epoch'
        assert re.search(words, text), text


def refuses_writes(server):
    status, told = server.put('/v1/kv/refused?timeout=1000', 'x')
    assert status == 503 and told['outcome'] == 'not-applied', (status, told)


def zookeeper_loses_its_data(binary):
    with Cluster(binary, servers=0) as cluster:
        servers = begin(cluster, 3, THREE)
        put_all(servers, 'k')
        before = about(servers[0])
        kill(*servers)
        say('all servers are killed, ZooKeeper is emptied, and all are started again')
        wipe(cluster.zookeeper)
        for one in servers:
            one.start()
        all_in_sync(servers)
        assert 'restored' in causes(servers), causes(servers)
        after = about(servers[0])
        assert (after['cluster'], after['lineage']) == (before['cluster'], before['lineage']), (before, after)
        assert after['epoch'] > before['epoch'], (before, after)
        expect_all(servers, 'k')
        writes_go_on(servers, 'after')
        same_copies(servers)


def zookeeper_goes_back(binary):
    with Cluster(binary, servers=0) as cluster:
        servers = begin(cluster, 3, THREE)
        zookeeper = cluster.zookeeper
        data, backup = os.path.join(zookeeper.directory, 'version-2'), os.path.join(cluster.directory, 'backup')
        put_all(servers, 'a')
        zookeeper.end()
        shutil.copytree(data, backup)
        zookeeper.start()
        eventually('ZooKeeper serves', zookeeper.serves)
        all_in_sync(servers)
        cluster_id, epoch = about(servers[0])['cluster'], about(servers[0])['epoch']
        leader = leader_of(servers)
        leader.kill()
        others = [one for one in servers if one is not leader]
        for one in others:  # a set without the dead one is of the new epoch: who shows it has read ZooKeeper again
            eventually('it has read the new register', lambda one=one: len(about(one)['in_sync']) == 2)
            assert about(one)['epoch'] > epoch
        leader.start()
        all_in_sync(servers)
        left = next(one for one in others if one is not leader_of(servers))
        rest = [one for one in servers if one is not left]
        left.kill()
        for one in rest:
            eventually('it has left the set', lambda one=one: len(about(one)['in_sync']) == 2)
        put_all(rest, 'c')
        kill(*rest)
        say('ZooKeeper is put back to before the change of leader; first the server that lacks writes is started')
        zookeeper.end()
        shutil.rmtree(data)
        shutil.copytree(backup, data)
        zookeeper.start()
        eventually('ZooKeeper serves', zookeeper.serves)
        left.start()
        says(left, 'shows an older one')
        for one in rest:
            one.start()
        all_in_sync(servers)
        assert about(left)['cluster'] == cluster_id
        assert 'restored' in causes(servers), causes(servers)
        for prefix in 'ac':
            expect_all(servers, prefix)
        writes_go_on(servers, 'after')
        same_copies(servers)


def register_is_deleted(binary):
    with Cluster(binary, servers=0) as cluster:
        servers = begin(cluster, 3, THREE, durable=False)
        put_all(servers, 'k')
        before = about(servers[0])
        kazoo = cluster.kazoo()
        kazoo.retry(kazoo.delete, CONFIG)
        say('the register is deleted while the servers live')
        eventually('it is restored', lambda: 'restored' in causes(servers))
        all_in_sync(servers)
        assert all(one.running.process.poll() is None for one in servers)
        after = about(servers[0])
        assert (after['cluster'], after['lineage']) == (before['cluster'], before['lineage']), (before, after)
        expect_all(servers, 'k')
        writes_go_on(servers, 'after')
        same_copies(servers)
        assert all(one.running.process.poll() is None for one in servers)


def one_is_missing(binary):
    with Cluster(binary, servers=0) as cluster:
        servers = begin(cluster, 3, THREE)
        last = put_all(servers, 'k')
        before = about(servers[0])
        kill(*servers)
        wipe(cluster.zookeeper)
        *present, missing = servers
        say(f'ZooKeeper has been emptied; {missing.name} is not started')
        for one in present:
            one.start()
        for one in present:
            text = says(one, 'shows nothing', 'not everybody is here who was in sync', f'start {missing.name} (life ',
                        *(f'{each.name} remembers epoch 1 ' for each in present),
                        f"'curl -X POST http://{one.name}/v1/cluster/lineage'")
            expect_held(text, present, last)
            refuses_writes(one)
        chosen, other = present
        assert insist(chosen.post, '/v1/cluster/lineage') == (200, {'lineage': before['lineage'] + 1})
        all_in_sync(present)
        assert leader_of(present) is chosen
        after = about(other)
        assert (after['cluster'], after['lineage']) == (before['cluster'], before['lineage'] + 1), after
        expect_all(present, 'k')
        assert put(chosen, 'after') > after['lineage'] << 40  # where the revisions of that lineage begin
        status, told = chosen.post('/v1/cluster/lineage')
        assert status == 400, (status, told)
        say('the missing one comes back, and takes the copy of the others')
        missing.start()
        all_in_sync(servers)
        assert about(missing)['lineage'] == before['lineage'] + 1
        expect_all(servers, 'k')
        writes_go_on(servers, 'later')
        same_copies(servers)


def the_one_with_more_comes_late(binary):
    with Cluster(binary, servers=0) as cluster:
        servers = begin(cluster, 2, ())
        put_all(servers, 'k')
        late = leader_of(servers)
        chosen = next(one for one in servers if one is not late)
        chosen.kill()
        eventually('one is in sync', lambda: len(about(late)['in_sync']) == 1)
        last = put_all([late], 'm')
        late.kill()
        wipe(cluster.zookeeper)
        say(f'ZooKeeper has been emptied; {late.name} went on alone, and is not started')
        chosen.start()
        says(chosen, 'shows nothing', f'start {late.name} (life ')
        assert insist(chosen.post, '/v1/cluster/lineage') == (200, {'lineage': 1})
        eventually('the chosen one is ready', lambda: is_ready(chosen))
        put_all([chosen], 'n')
        say('the late one comes back: what it alone has is kept, and disturbs nobody')
        late.start()
        expect_held(says(late, 'shows one of another history', f'{late.name} remembers epoch 1 '), [late], last)
        refuses_writes(late)
        assert is_ready(chosen)
        late.kill()
        os.rename(directory_of(cluster, servers.index(late)), os.path.join(cluster.directory, 'kept'))
        late.start()
        all_in_sync(servers)
        for prefix in 'kn':
            expect_all(servers, prefix)
        assert late.exchange('GET', '/v1/kv/m0')[0] == 404
        writes_go_on(servers, 'after')
        same_copies(servers)


def nobody_in_sync_is_there(binary):
    with Cluster(binary, servers=0) as cluster:
        servers = begin(cluster, 3, ())
        put_all(servers, 'k')
        alone = leader_of(servers)
        others = [one for one in servers if one is not alone]
        kill(*others)
        eventually('one is in sync', lambda: len(about(alone)['in_sync']) == 1)
        put_all([alone], 'm')
        alone.kill()
        say(f'only {alone.name} was in sync, and is not started')
        for one in others:
            one.start()
        for one in others:
            says(one, f'{alone.name}, is not heard', 'nobody is here who was in sync', f'start {alone.name} (life ',
                 *(f'{each.name} remembers epoch 1 ' for each in others),
                 f"'curl -X POST http://{one.name}/v1/cluster/lineage'")
            refuses_writes(one)
        alone.start()
        all_in_sync(servers)
        expect_all(servers, 'm')
        status, told = others[0].post('/v1/cluster/lineage')
        assert status == 400 and 'is in sync: there is nothing to decide' in told['detail'], (status, told)

        say(f'the same again, and {alone.name} never comes back')
        alone = leader_of(servers)
        others = [one for one in servers if one is not alone]
        kill(*others)
        eventually('one is in sync', lambda: len(about(alone)['in_sync']) == 1)
        put_all([alone], 'n')
        alone.kill()
        chosen, other = others
        chosen.start()
        other.start()
        says(chosen, 'nobody is here who was in sync')
        assert insist(chosen.post, '/v1/cluster/lineage') == (200, {'lineage': 1})
        all_in_sync(others)
        assert leader_of(others) is chosen
        for prefix in 'km':
            expect_all(others, prefix)
        assert chosen.exchange('GET', '/v1/kv/n0')[0] == 404
        alone.start()
        all_in_sync(servers)
        writes_go_on(servers, 'after')
        same_copies(servers)


class OldDirectory:
    """What a server's directory held when this was made."""

    def __init__(self, cluster, number):
        self.disk = directory_of(cluster, number)
        shutil.copytree(self.disk, self.disk + '.old')

    def put_back(self):
        shutil.rmtree(self.disk)
        os.rename(self.disk + '.old', self.disk)


def old_directory_comes_first(binary):
    with Cluster(binary, servers=0) as cluster:
        servers = begin(cluster, 3, THREE)
        put_all(servers, 'k')
        same_copies(servers)
        old = servers[1]
        before = OldDirectory(cluster, 1)
        put(servers[0], 'last')
        same_copies(servers)
        kill(*servers)
        say('one directory is put back to before the last write, and its server starts first')
        before.put_back()
        old.start()
        for one in (servers[0], servers[2]):
            one.start()
        all_in_sync(servers)
        expect_all(servers, 'k')
        for one in servers:
            assert one.get('/v1/kv/last') == (200, 'last'), one.name
        writes_go_on(servers, 'after')
        same_copies(servers)


def facts_of(binary, cluster, number):
    told = subprocess.run([binary, 'inspect', directory_of(cluster, number), '--json'], capture_output=True, text=True,
                          check=False)
    return json.loads(told.stdout)['facts']


def copies_differ(binary):
    with Cluster(binary, servers=0) as cluster:
        good, old = servers = begin(cluster, 2, ())
        put_all(servers, 'k')
        same_copies(servers)
        before = OldDirectory(cluster, 1)
        put_all(servers, 'm')
        same_copies(servers)
        kill(*servers)
        say('an old directory is put back, and its server goes on alone')
        before.put_back()
        old.start()
        eventually('the old one is ready', lambda: is_ready(old))
        put_all([old], 'x', 10)
        good.start()
        says(good, "this copy differs from the leader's: it is kept")
        say('the copy that differs outlives a restart, and can be exported')
        eventually('its disk knows it', lambda: facts_of(binary, cluster, 0)['differs'])
        good.kill()
        export = os.path.join(cluster.directory, 'out.snapshot')
        told = subprocess.run([binary, 'export', directory_of(cluster, 0), export], capture_output=True, text=True,
                              check=False)
        assert told.returncode == 1 and 'contradicts' in told.stderr, told
        good.start()
        says(good, "this copy differs from the leader's: it is kept")
        status, told = insist(good.post, '/v1/cluster/lineage')
        assert status == 400 and old.name in told['detail'], (status, told)
        say('an operator decides for it')
        old.kill()
        says(good, 'nobody is here who was in sync', f"'curl -X POST http://{good.name}/v1/cluster/lineage'")
        assert insist(good.post, '/v1/cluster/lineage') == (200, {'lineage': 1})
        eventually('the good one is ready', lambda: is_ready(good))
        old.start()
        all_in_sync(servers)
        for prefix in 'km':
            expect_all(servers, prefix)
        writes_go_on(servers, 'after')
        same_copies(servers)


def with_and_without_disks(binary):
    with Cluster(binary, servers=0) as cluster:
        memory, = begin(cluster, 1, (), durable=False)
        put_all([memory], 'a')
        disk = add(cluster)
        servers = [memory, disk]
        all_in_sync(servers)
        eventually('the one with a disk leads', lambda: about(memory)['leader']['id'] == disk.name)
        for one in servers:
            degraded = about(one)['degraded']
            assert any('with and without --data-dir are mixed' in line for line in degraded), degraded
        status, told = disk.post(f'/v1/cluster/leader?to={memory.name}')
        assert status == 409 and 'no other server with a disk is in sync' in told['detail'], (status, told)
        put_all(servers, 'k')
        disk.kill()
        eventually('the one without a disk leads', lambda: about(memory)['leader']['id'] == memory.name)
        put_all([memory], 'm')
        say('what it acknowledged alone is lost with it; what is on the disk is not thrown away')
        memory.kill()
        memory.start()
        disk.start()
        for one in servers:
            says(one, 'nobody is here who was in sync', f'{memory.name} was started anew: what its life')
            refuses_writes(one)
        assert insist(disk.post, '/v1/cluster/lineage') == (200, {'lineage': 1})
        all_in_sync(servers)
        for prefix in 'ak':
            expect_all(servers, prefix)
        assert leader_of(servers) is disk
        writes_go_on(servers, 'after')
        same_copies(servers)


def another_cluster_begins(binary):
    with Cluster(binary, servers=0) as cluster:
        servers = begin(cluster, 2, ('--expect', '2'))
        last = put_all(servers, 'k')
        before = about(servers[0])
        kill(*servers)
        wipe(cluster.zookeeper)
        fresh = add(cluster, durable=False)
        eventually('the fresh one is ready', lambda: is_ready(fresh))
        put(fresh, 'fresh')
        assert about(fresh)['cluster'] != before['cluster']
        say('another cluster has begun in the emptied ZooKeeper; the former one is started')
        for one in servers:
            one.start()
        for one in servers:
            text = says(one, "shows another cluster's", "/kvd/config is another cluster's",
                        *(f'{each.name} remembers epoch 1 ' for each in servers))
            expect_held(text, servers, last)
            refuses_writes(one)
            assert f"stop the servers that believe it, then 'zkCli.sh delete {CONFIG}'" in text, text
            status, told = one.post('/v1/cluster/lineage')  # before whoever believes ZooKeeper has told
            assert status == 409 and "another cluster's" in told['detail'], (status, told)
        assert is_ready(fresh) and fresh.get('/v1/kv/fresh') == (200, 'fresh')
        fresh.kill()
        for one in servers:
            says(one, "shows another cluster's", f"'zkCli.sh delete {CONFIG}'")
        kazoo = cluster.kazoo()
        kazoo.retry(kazoo.delete, CONFIG)
        all_in_sync(servers)
        assert 'restored' in causes(servers), causes(servers)
        assert about(servers[0])['cluster'] == before['cluster']
        expect_all(servers, 'k')
        writes_go_on(servers, 'after')
        same_copies(servers)


def contents(directory):
    """Of all files but the locks, which tell the process that opened the directory last."""
    def digest(path):
        with open(path, 'rb') as file:
            return hashlib.sha256(file.read()).hexdigest()
    return {os.path.join(place, name): digest(os.path.join(place, name))
            for place, _, names in os.walk(directory) for name in sorted(names) if name != 'lock'}


def refused(command, *words):
    """Ends by itself with 78 and these words."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 78, ended
    say(ended.stderr.splitlines()[-1])
    assert all(word in ended.stderr for word in words), ended.stderr


def directories_of_another_kind(binary):
    with Cluster(binary, servers=0) as cluster:
        member, = begin(cluster, 1, ())
        put_all([member], 'k')
        uuid = about(member)['cluster']
        member.kill()
        disk = directory_of(cluster, 0)
        before = contents(disk)
        refused([binary, '--standalone', '--port', str(member.port), '--data-dir', disk],
                f'the data directory belongs to the cluster {uuid}, and is not for --standalone', 'kvd export DIR FILE')
        assert contents(disk) == before
        member.start()
        all_in_sync([member])
        expect_all([member], 'k')

        alone = Kvd(binary, cluster.directory, cluster.known, 1)
        disk = directory_of(cluster, 1)
        standalone = [binary, '--standalone', '--port', str(alone.port), '--data-dir', disk]
        as_member, alone.command = [*alone.command, '--data-dir', disk], standalone
        cluster.servers.append(alone)
        alone.start()
        eventually('the standalone one is ready', lambda: is_ready(alone))
        put_all([alone], 's')
        alone.kill()
        before = contents(disk)
        refused(as_member, "the data directory is that of a --standalone server, and no cluster's",
                'kvd export DIR FILE')
        assert contents(disk) == before
        alone.start()
        eventually('the standalone one is ready', lambda: is_ready(alone))
        expect_all([alone], 's')


run_case({
    'ZooKeeper loses its data while servers with disks are down': zookeeper_loses_its_data,
    'ZooKeeper is restored from an older backup': zookeeper_goes_back,
    'somebody deletes the register of a living cluster without disks': register_is_deleted,
    'a server is missing when ZooKeeper has lost its data': one_is_missing,
    'the server that had gone on alone comes back after a new lineage': the_one_with_more_comes_late,
    'nobody who was in sync is there': nobody_in_sync_is_there,
    'an old directory comes first after a stop of all': old_directory_comes_first,
    'copies that differ are kept until a person decides': copies_differ,
    'servers with and without disks': with_and_without_disks,
    'another cluster began in the emptied ZooKeeper': another_cluster_begins,
    'a directory of a cluster is not for --standalone': directories_of_another_kind,
})
