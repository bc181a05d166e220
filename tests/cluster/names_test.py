#!/usr/bin/python3
"""Names with real servers: who has which name and which address of the pool, what those hear who watch, and the hosts
file that `kvd hosts-sync` makes of it, whatever becomes of ZooKeeper's servers, of a session there and of the server
that keeps a name. Usage: names_test.py KVD CASE"""
import json
import os
import signal
import subprocess
import threading

from services_cluster import LONG, Call, Clients, Cluster, Holdings, Process, eventually, insist, run_case, say

POOL = ('--names-pool', '10.20.0.0/28')


def contend(server, session):
    """A client's turn: wants one of two names, and with it an address that nobody else has."""
    for name in ('contended/a', 'contended/b'):
        path = f'/v1/names/{name}?session={session}'
        status, entry = insist(server.put, path, '{"port":80}')
        if status == 409:
            continue
        assert status in (200, 201), (status, entry)
        HOLDINGS.take(name, entry['address'], fence=entry['version'])
        HOLDINGS.give_back(name, entry['address'])
        # 404, 409: it was given back by a call whose answer got lost, and another one may have it
        assert insist(server.delete, path)[0] in (204, 404, 409)


HOLDINGS = Holdings()


class Watcher:
    """What a client sees that follows the name db/main, and the hosts file, through one server."""

    def __init__(self, server):
        self.server = server
        self.seen, self.hosts = [], {}
        self.problems = []
        self.ends = False
        self.threads = [threading.Thread(target=self.run, args=(each,)) for each in (self.follow, self.follow_hosts)]
        for each in self.threads:
            each.start()

    def run(self, follow):
        try:
            follow()
        except BaseException as problem:  # pylint: disable=broad-except
            self.problems.append(problem)

    def follow(self):
        version = 0
        while not self.ends:
            status, entry = insist(self.server.get, f'/v1/names/db/main?version={version}&wait=1000')
            assert status == 404 and version == 0 or entry['version'] >= version, (status, entry, version)
            if status == 200 and entry['version'] != version:
                version, number = entry['version'], entry['meta']['n']
                if self.seen[-1:] != [number]:
                    self.seen.append(number)

    def follow_hosts(self):
        version = ''
        while not self.ends:
            status, told = insist(self.server.get, f'/v1/hosts?format=json&wait=1000{version}')
            assert status == 200, (status, told)
            assert told['complete'] or not told['hosts'], told
            if told['complete']:
                self.hosts = {name: host['address'] for host in told['hosts'] for name in host['names']}
                version = f'&since={told["version"]}'

    def sees(self, number):
        eventually(f'change {number} is seen', lambda: self.problems or self.seen[-1:] == [number])
        eventually('and in the hosts file', lambda: self.problems or self.hosts.get('main') == f'10.0.0.{number}')
        assert not self.problems, self.problems

    def end(self):
        self.ends = True
        for each in self.threads:
            each.join()


class Stage:
    """A cluster, and a watcher at each server."""

    def __init__(self, binary, **more):
        self.cluster = Cluster(binary, **more)
        self.watchers = []
        self.changes = 0

    def __enter__(self):
        self.cluster.__enter__()
        self.watchers = [Watcher(server) for server in self.cluster.servers]
        return self

    def __exit__(self, *problem):
        for each in self.watchers:
            each.ends = True
        for each in self.watchers:
            each.end()
        self.cluster.__exit__(*problem)

    def change(self):
        """Through each server that runs one change, which every watcher sees."""
        for server in self.cluster.servers:
            if not server.running:
                continue
            self.changes += 1
            body = json.dumps({'address': f'10.0.0.{self.changes}', 'meta': {'n': self.changes}})
            assert insist(server.put, '/v1/names/db/main', body)[0] in (200, 201)
            for each in self.watchers:
                each.sees(self.changes)

    def all_was_seen(self):
        for each in self.watchers:
            assert each.seen == list(range(1, self.changes + 1)), each.seen

    def claims_are_right(self):
        """Of the addresses in ZooKeeper: each is claimed once, for the entry that has it, and no other is claimed."""
        kazoo = self.cluster.kazoo()

        def are_right():
            addresses = kazoo.get_children('/kvd/addresses')
            claims = {kazoo.get(f'/kvd/addresses/{one}')[0].decode(): one for one in addresses}
            entries = insist(self.cluster.servers[-1].get, '/v1/names?recurse=1')[1]['entries']
            return claims == {one['path']: one['address'] for one in entries if one['allocated']}
        eventually('the claims are those of the entries', are_right)


def ensemble(binary):
    with Stage(binary, ensemble=3, flags=(*LONG, *POOL)) as stage:
        one, two = stage.cluster.servers
        session, others = one.open_session(), two.open_session()
        green = insist(one.put, f'/v1/names/web/green?session={session}')[1]
        stream = one.hold('/v1/names/web/blue?hold=1', '{"port":80}')
        blue = stream.until(path='web/blue')
        stays = two.hold('/v1/names/web/red?hold=1')
        red = stays.until(path='web/red')
        with Clients([one, two, one], contend) as clients:
            for _ in stage.cluster.each_zookeeper_away():
                stage.change()
                clients.go_on()
                for server in (one, two):
                    for entry in (green, blue, red):
                        now = insist(server.get, f'/v1/names/{entry["path"]}')[1]
                        assert entry.items() <= now.items(), (entry, now)
                    assert insist(server.put, f'/v1/sessions/{session}')[0] == 200
                assert insist(two.put, f'/v1/names/web/green?session={others}')[0] == 409
        say('the session of one server expires: its names and addresses are free, and it serves again')
        call = Call(insist, two.get, '/v1/names/web/x?version=0&wait=60000')
        stage.cluster.expire(one)
        assert stream.until(state='lost')
        for server in (one, two):
            assert server.put(f'/v1/sessions/{session}')[0] == 410
            for gone in ('green', 'blue'):
                eventually('it is gone', lambda server=server, gone=gone:
                           server.get(f'/v1/names/web/{gone}')[0] == 404)
        again = insist(two.put, f'/v1/names/web/green?session={others}')
        assert again[0] == 201 and again[1]['version'] > green['version'], again
        assert again[1]['address'] != red['address']
        session = one.open_session()
        assert insist(one.put, f'/v1/names/web/x?session={session}')[0] == 201
        assert insist(one.put, f'/v1/names/web/red?session={session}')[0] == 409
        assert call.result()[0] == 200
        stage.change()
        stage.all_was_seen()
        assert not stays.has_come('lost')
        stage.claims_are_right()


def cut_off(binary):
    """Who has a name through a server that is cut off is told first; one of a server that is killed cannot be."""
    with Stage(binary, servers=3, ensemble=3, apart=True, flags=('--session-timeout', '4000', *POOL)) as stage:
        one, two, three = stage.cluster.servers
        stream = one.hold('/v1/names/web/a?hold=1')
        stream.until(path='web/a')
        session = one.open_session()
        assert one.put(f'/v1/names/web/b?session={session}')[0] == 201
        killed = two.hold('/v1/names/web/c?hold=1')
        killed.until(path='web/c')
        stage.change()
        later = three.open_session()
        for name in 'abc':
            assert three.put(f'/v1/names/web/{name}?session={later}')[0] == 409
        say('one server is cut off from ZooKeeper: who has a name there is told before others can have it')
        stage.watchers.pop(1).end()
        stage.cluster.alone.running.signal(signal.SIGSTOP)
        two.kill()
        eventually('it is free', lambda: three.put(f'/v1/names/web/a?session={later}')[0] == 201)
        assert stream.has_come('"lost"')
        assert one.put(f'/v1/sessions/{session}')[0] == 410
        assert stream.until(state='lost')
        assert one.get('/v1/names/web/a')[0] == 503
        assert not one.get('/v1/hosts?format=json')[1].get('complete')
        eventually('the other is free', lambda: three.put(f'/v1/names/web/b?session={later}')[0] == 201)
        say('so are those of another server, which was killed')
        eventually('it is free', lambda: three.put(f'/v1/names/web/c?session={later}')[0] == 201)
        say('the first one is back, and sees all')
        stage.cluster.alone.running.signal(signal.SIGCONT)
        stage.change()
        assert insist(one.get, '/v1/names?recurse=1')[1] == insist(three.get, '/v1/names?recurse=1')[1]
        assert insist(one.get, '/v1/hosts?format=json')[1] == insist(three.get, '/v1/hosts?format=json')[1]
        stage.all_was_seen()
        stage.claims_are_right()


FOREIGN = '127.0.0.1\tlocalhost\n'


class HostsFile:
    """One with a foreign line, kept by `kvd hosts-sync`. `links`: it has another name, so it has to keep its inode."""

    def __init__(self, cluster, links):
        self.cluster, self.links = cluster, links
        directory = os.path.join(cluster.directory, f'hosts-{links}')
        os.makedirs(directory)
        self.path = os.path.join(directory, 'hosts')
        self.foreign = FOREIGN
        self.after = ''
        with open(self.path, 'w', encoding='ascii') as file:
            file.write(FOREIGN)
        if links:
            os.link(self.path, self.path + '-link')
        self.inode = os.stat(self.path).st_ino
        servers = ','.join(server.name for server in reversed(cluster.servers))
        self.command = [cluster.binary, 'hosts-sync', '--file', self.path, '--node', 'n', '--servers', servers]
        self.running = None

    def start(self):
        self.running = Process(self.command, self.path + '-log')

    def end(self):
        if self.running:
            self.running.end()
            self.running = None

    def once(self):
        """The exit code."""
        return subprocess.run([*self.command, '--once'], stderr=subprocess.DEVNULL, timeout=60, check=False).returncode

    def text(self):
        with open(self.path, encoding='ascii') as file:
            return file.read()

    def is_whole(self, *blocks):
        return self.text() in {f'{FOREIGN}# BEGIN kvd n\n{block}# END kvd n\n{self.after}' for block in blocks}

    def becomes(self, block):
        eventually('the hosts file is up to date', lambda: self.is_whole(block))
        if self.links:
            assert os.stat(self.path).st_ino == self.inode

    def add_foreign(self, line):
        with open(self.path, 'a', encoding='ascii') as file:
            file.write(line)
        self.after += line


def hosts_sync(binary):
    with Cluster(binary, flags=('--session-timeout', '4000')) as cluster:
        one, two = cluster.servers
        files = [HostsFile(cluster, False), HostsFile(cluster, True)]
        try:
            follow_hosts(cluster, files)
        finally:
            for each in files:
                each.end()


def follow_hosts(cluster, files):
    one, two = cluster.servers
    say('no names: nothing is written')
    for each in files:
        assert each.once() == 69
        assert each.text() == FOREIGN
        each.start()
    say('names come and go')
    main = '10.0.0.5\tmain.db main\n'
    assert one.put('/v1/names/db/main', '{"address":"10.0.0.5"}')[0] == 201
    stream = one.hold('/v1/names/web/1-a?hold=1', '{"address":"10.0.0.6"}')
    for each in files:
        each.becomes(main + '10.0.0.6\t1-a.web 1-a\n')
        each.add_foreign('10.9.9.9\tother\n')
    stream.close()
    for each in files:
        each.becomes(main)
    kazoo = cluster.kazoo()
    kazoo.create('/names/web/k', b'{"address":"10.0.0.8"}', ephemeral=True)
    for each in files:
        each.becomes(main + '10.0.0.8\tk.web k\n')
    kazoo.delete('/names/web/k')
    for each in files:
        each.becomes(main)
    say('the server that is asked is killed: they follow through the other one')
    two.kill()
    stream = one.hold('/v1/names/web/2?hold=1', '{"address":"10.0.0.7"}')
    web = '10.0.0.7\t2.web\n'
    for each in files:
        each.becomes(main + web)
    two.start()
    eventually('it is back', lambda: two.get('/readyz')[0] == 200)
    say('the servers do not know whether ZooKeeper has others: nothing is written')
    cluster.zookeeper.running.signal(signal.SIGSTOP)
    for server in (one, two):
        eventually('it does not know', lambda server=server: not server.get('/v1/hosts?format=json')[1].get('complete'))
    for each in files:
        assert each.once() == 69
        each.becomes(main + web)
    cluster.zookeeper.running.signal(signal.SIGCONT)
    stream.until(state='lost')
    for each in files:
        each.becomes(main)
    say('it is killed again and again while names change: the file is whole')
    blocks = [f'10.0.1.{number}\tmain.db main\n' for number in range(20)]
    for number, block in enumerate(blocks):
        assert insist(two.put, '/v1/names/db/main', f'{{"address":"10.0.1.{number}"}}')[0] == 200
        for each in files:
            if number % 4 == 0:
                each.becomes(block)
            each.end()
            if each.links:
                eventually('it is whole', lambda each=each: each.is_whole(main, *blocks))
            assert each.is_whole(main, *blocks), each.text()
            each.start()
    for each in files:
        each.becomes(blocks[-1])


run_case({
    'names outlive each of three ZooKeeper servers': ensemble,
    'names of a server that is cut off are told lost first': cut_off,
    'a hosts file follows the names': hosts_sync,
})
