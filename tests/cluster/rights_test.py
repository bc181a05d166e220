#!/usr/bin/python3
"""Rights in a cluster: what a token may at each server, that a revocation counts everywhere once it is acknowledged,
also while the leader is killed, and what servers tell that guard themselves otherwise than others. Usage:
rights_test.py KVD CASE"""
import json
import os
import random
import tempfile

from root_token import ROOT, bearer, known_root
from services_cluster import Call, Cluster, Kvd, come_back, eventually, leader_of, run_case, say

REVOKED = (401, 403)


def guarded(path):
    return ('--auth', 'on', '--root-token-file', path, '--expect', '3', '--min-in-sync', '2')


class Guarded(Cluster):
    """Whose servers are asked as root, where nothing else is said."""

    def __enter__(self):
        super().__enter__()
        for one in self.servers:
            as_root(one)
        return self


def as_root(server):
    server.exchange = lambda method, path, body=None, headers=(): Kvd.exchange(
        server, method, path, body, dict(headers) or ROOT)


def done_by_root(server, method, path, body=None):
    """Until it is done, or refused for good. The body of the answer."""
    def once():
        status, _, told = server.exchange(method, path, body)
        return None if status in (503, 504) else (status, told)
    status, told = eventually(f'{method} {path}', once)
    gone = method == 'DELETE' and status == 404  # by an attempt whose answer was lost
    assert status < 300 or gone, (method, path, status, told)
    return told


def root_asks(server, method, path, content=None):
    return json.loads(done_by_root(server, method, path, None if content is None else json.dumps(content)) or b'{}')


def put(server, key, token):
    return server.exchange('PUT', f'/v1/kv/{key}', 'x', bearer(token))[0]


def new_token(server, user):
    return root_asks(server, 'POST', '/v1/auth/tokens', {'user': user})['token']


def counts_at(server, token):
    eventually('the token counts there', lambda: put(server, 'app/x', token) in (200, 201))


def user_with(server, name, policy, rules):
    root_asks(server, 'PUT', f'/v1/auth/policies/{policy}', {'rules': rules})
    root_asks(server, 'PUT', f'/v1/auth/users/{name}', {'policies': [policy]})


ON_APP = [{'kv': 'app/', 'may': ['read', 'write']}, {'locks': '', 'may': ['write']}]


def refused_everywhere(servers, token):
    """By nobody is anything done that is asked from here on."""
    for server in servers:
        status = put(server, 'app/x', token)
        assert status in (*REVOKED, 503, 504), (server.name, status)


def everywhere_at_once(binary):
    with known_root() as path, Guarded(binary, servers=3, flags=guarded(path)) as cluster:
        servers = cluster.servers
        user_with(servers[0], 'app', 'on-app', ON_APP)
        token = new_token(servers[1], 'app')
        for server in servers:
            counts_at(server, token)
            assert put(server, 'other', token) == 403
            assert put(server, 'app/x', token[:-1] + '~') == 401
        for turn in range(20):
            where = random.choice(servers)
            token = new_token(where, 'app')
            for server in servers:
                counts_at(server, token)
            root_asks(random.choice(servers), 'DELETE', f'/v1/auth/tokens/{token[4:12]}')
            refused_everywhere(servers, token)
            say(f'token {turn} is revoked')
        token = new_token(servers[0], 'app')
        for turn in range(10):
            for server in servers:
                counts_at(server, token)
            user_with(random.choice(servers), 'app', 'on-app', [])
            refused_everywhere(servers, token)
            user_with(random.choice(servers), 'app', 'on-app', ON_APP)
            say(f'the policy has grown again for the {turn + 1}. time')


def leader_killed(binary):
    with known_root() as path, tempfile.TemporaryDirectory() as data, \
            Guarded(binary, servers=0, flags=guarded(path)) as cluster:
        for number in range(3):
            disk = ('--data-dir', os.path.join(data, str(number)))
            cluster.servers.append(Kvd(binary, cluster.directory, cluster.known, number, (*cluster.flags, *disk)))
            as_root(cluster.servers[-1])
            cluster.servers[-1].start()
        servers = cluster.servers
        for one in servers:
            eventually('a server is ready', lambda one=one: one.get('/readyz')[0] == 200)
        for turn in range(4):
            user_with(servers[0], 'app', 'on-app', ON_APP)
            token = new_token(servers[0], 'app')
            for server in servers:
                counts_at(server, token)
            name = eventually('somebody leads', lambda: servers[0].get('/v1/cluster')[1]['leader'])['id']
            leader = next(one for one in servers if one.name == name)
            others = [one for one in servers if one is not leader]
            if turn % 2 == 0:
                revocation = Call(root_asks, others[0], 'DELETE', f'/v1/auth/tokens/{token[4:12]}')
            else:
                revocation = Call(root_asks, others[0], 'DELETE', '/v1/auth/users/app')
            leader.kill()
            revocation.result()
            refused_everywhere(others, token)
            say(f'{leader.name} was killed amid a revocation')
            eventually('another one leads', lambda: put(others[0], 'app/x', token) in REVOKED)
            come_back(cluster, leader)
            refused_everywhere(servers, token)


def other_guards(binary):
    with known_root() as path, Guarded(binary, servers=2, flags=('--auth', 'on', '--root-token-file', path)) as cluster:
        one = cluster.servers[0]
        assert not any('guards itself' in line for line in one.get('/v1/cluster')[1]['degraded'])
        cluster.servers.append(Kvd(binary, cluster.directory, cluster.known, 2, ('--auth', 'warn')))
        odd = cluster.servers[-1]
        odd.start()

        def told():
            return [line for line in one.get('/v1/cluster')[1]['degraded'] if 'guards itself' in line]
        lines = eventually('it is told', told)
        assert len(lines) == 1 and odd.name in lines[0] and '--auth warn' in lines[0], lines


def sessions(binary):
    with known_root() as path, Guarded(binary, servers=2, flags=('--auth', 'on', '--root-token-file', path)) as cluster:
        one, two = cluster.servers
        for user in ('a', 'b'):
            user_with(one, user, 'on-app', ON_APP)
        tokens = {user: bearer(new_token(one, user)) for user in ('a', 'b')}
        for server in (one, two):
            for user in ('a', 'b'):
                eventually('the token counts there',
                           lambda s=server, u=user: s.exchange('GET', '/v1/kv/app/x', None, tokens[u])[0] == 404)

        def ask(server, method, path, user):
            def once():
                status, _, text = server.exchange(method, path, None, tokens[user])
                return None if status in (503, 504) else (status, json.loads(text or b'{}'))
            return eventually(f'{method} {path}', once)
        status, opened = ask(one, 'POST', '/v1/sessions?ttl=600', 'a')
        assert status == 201, opened
        path = f'/v1/locks/app/db?session={opened["id"]}'
        for server in (two, one):
            assert ask(server, 'POST', path, 'b')[0] == 410
            assert ask(server, 'GET', f'/v1/sessions/{opened["id"]}', 'b')[0] == 410
            assert ask(server, 'DELETE', f'/v1/sessions/{opened["id"]}', 'b')[0] == 410
        assert ask(two, 'POST', path, 'a')[0] == 200
        assert ask(one, 'DELETE', path, 'a')[0] == 204
        assert ask(two, 'DELETE', f'/v1/sessions/{opened["id"]}', 'a')[0] == 204


def restored(binary):
    with known_root() as path, Guarded(binary, servers=3, flags=guarded(path)) as cluster:
        leader = leader_of(cluster)
        followers = [one for one in cluster.servers if one is not leader]
        user_with(leader, 'app', 'on-app', ON_APP)
        token = new_token(leader, 'app')
        for server in cluster.servers:
            counts_at(server, token)
        backup = done_by_root(followers[0], 'GET', '/v1/snapshot')
        root_asks(leader, 'DELETE', f'/v1/auth/tokens/{token[4:12]}')
        user_with(leader, 'later', 'on-later', ON_APP)
        later = new_token(leader, 'later')
        for server in cluster.servers:
            counts_at(server, later)
        refused_everywhere(cluster.servers, token)
        for follower in followers:
            told = json.loads(done_by_root(follower, 'PUT', '/v1/snapshot?replace=true&auth=replace', backup))
            assert told['tokens'] == 1, told
            refused_everywhere(cluster.servers, later)
            for server in cluster.servers:
                counts_at(server, token)
            say(f'{follower.name} has restored')


run_case({
    'rights are restored through a follower, and count everywhere': restored,
    'a token counts at every server, and its revocation at once': everywhere_at_once,
    'the leader is killed amid revocations': leader_killed,
    'servers that guard themselves otherwise are told': other_guards,
    'a session is its user\'s at every server': sessions,
})
