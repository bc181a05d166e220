#!/usr/bin/python3
"""Revocations with real servers: once one is acknowledged nothing is done under the old right, also where a server has
not heard of it yet. Usage: revocation_test.py KVD CASE"""
import contextlib
import http.client
import json
import signal

from root_token import ROOT, bearer, known_root
from services_cluster import PATIENCE_S, Cluster, eventually, leader_of, run_case, say

# A frozen follower soon leaves the in-sync set, and takes nobody for dead when it goes on.
FLAGS = ('--auth', 'on', '--follower-lag', '300', '--leader-silence', '60000', '--session-timeout', '30000')
ROUNDS = 5


def root(server, method, path, body=None):
    """The answer, of a call that is done."""
    status, _, text = server.exchange(method, path, None if body is None else json.dumps(body), ROOT)
    assert status < 300, (method, path, status, text)
    return text and json.loads(text)


@contextlib.contextmanager
def guarded(binary):
    """A leader and one of two followers: alone with one it would be patient with who is silent. There is a user `app`,
    and who shows nothing may look at the cluster."""
    with known_root() as path, Cluster(binary, servers=3, flags=(*FLAGS, '--root-token-file', path)) as cluster:
        root(cluster.servers[0], 'PUT', '/v1/auth/policies/look', {'rules': [{'cluster': '', 'may': ['read']}]})
        root(cluster.servers[0], 'PUT', '/v1/auth/users/anonymous', {'policies': ['look']})
        eventually('all are in sync', lambda: all(
            len(server.get('/v1/cluster')[1]['in_sync']) == 3 for server in cluster.servers))
        leader = leader_of(cluster)
        make_user(leader)
        root(leader, 'PUT', '/v1/kv/app/x', 'v')
        yield leader, next(server for server in cluster.servers if server is not leader)


def make_user(leader):
    root(leader, 'PUT', '/v1/auth/policies/app', {'rules': [
        {'kv': 'app/', 'may': ['read', 'write']}, {'queues': 'app', 'may': ['write']}]})
    root(leader, 'PUT', '/v1/auth/users/app', {'policies': ['app']})


def new_token(leader):
    made = root(leader, 'POST', '/v1/auth/tokens', {'user': 'app'})
    return made['id'], bearer(made['token'])


def writes_that_come_late(binary, revoke):
    """A follower stands still with a request that it has not read. Meanwhile the right to it is revoked. It goes on: it
    knows nothing of that yet, and takes the request."""
    with guarded(binary) as (leader, follower):
        for number in range(ROUNDS):
            make_user(leader)
            identity, token = new_token(leader)
            eventually('the token is known', lambda shown=token: follower.exchange(
                'PUT', '/v1/kv/app/x', 'v', shown)[0] in (200, 201))
            connection = http.client.HTTPConnection('127.0.0.1', follower.port, timeout=PATIENCE_S)
            with contextlib.closing(connection):
                connection.request('GET', '/v1/kv/app/x', headers=token)
                connection.getresponse().read()
                follower.running.signal(signal.SIGSTOP)
                connection.request('PUT', '/v1/kv/app/late', f'{number}', token)
                revoke(leader, identity)
                follower.running.signal(signal.SIGCONT)
                answer = connection.getresponse()
                text = answer.read().decode()
            say(f'{answer.status} {text}')
            assert answer.status in (401, 403) and json.loads(text)['outcome'] == 'not-applied', text
            eventually('all are in sync again', lambda: len(leader.get('/v1/cluster')[1]['in_sync']) == 3)
        assert leader.exchange('GET', '/v1/kv/app/late', headers=ROOT)[0] == 404


def messages_that_come_late(binary, path):
    """A follower stands still, through which somebody waits for messages. He loses the right to them, and then one is
    sent."""
    with guarded(binary) as (leader, follower):
        root(leader, 'PUT', '/v1/queues/app')
        _, token = new_token(leader)
        eventually('the token is known', lambda: follower.exchange('GET', '/v1/kv/app/x', headers=token)[0] == 200)
        connection = http.client.HTTPConnection('127.0.0.1', follower.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request('POST', f'/v1/queues/app/{path}', headers={**token, 'Connection': 'close'})
            eventually('it waits at the leader', lambda: root(leader, 'GET', '/v1/queues/app').get('waiting'))
            follower.running.signal(signal.SIGSTOP)
            take_policies(leader, None)
            root(leader, 'POST', '/v1/queues/app/messages', 'secret')
            granted = root(leader, 'GET', '/v1/queues/app')['in_flight']
            follower.running.signal(signal.SIGCONT)
            received = b''
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = connection.getresponse()
                while line := answer.readline():
                    received += line
        say(f'{granted} granted, received {received}')
        assert granted == 0 and b'secret' not in received


def a_server_without_a_copy(binary):
    """It knows of no token, since it knows nothing yet: who shows one is to ask again, and not to throw it away."""
    with guarded(binary) as (leader, follower):
        _, token = new_token(leader)
        follower.kill()
        leader.running.signal(signal.SIGSTOP)
        follower.start()
        eventually('it is there', lambda: follower.get('/livez')[0] == 200)
        for _ in range(3):
            status, fields, text = follower.exchange('GET', '/v1/kv/app/x', headers=token)
            say(f'{status} {text}')
            assert status == 503 and fields['Retry-After'], text
        leader.running.signal(signal.SIGCONT)
        eventually('it has a copy', lambda: follower.exchange('GET', '/v1/kv/app/x', headers=token)[0] == 200)


def shrink_policy(leader, _):
    root(leader, 'PUT', '/v1/auth/policies/app', {'rules': [{'kv': 'app/', 'may': ['read']}]})


def take_policies(leader, _):
    root(leader, 'PUT', '/v1/auth/users/app', {'policies': []})


def delete_user(leader, _):
    root(leader, 'DELETE', '/v1/auth/users/app')


def delete_user_and_make_another(leader, _):
    delete_user(leader, _)
    make_user(leader)


def delete_token(leader, identity):
    root(leader, 'DELETE', f'/v1/auth/tokens/{identity}')


run_case({
    'no late write of a policy that grants less': lambda binary: writes_that_come_late(binary, shrink_policy),
    'no late write of a user without policies': lambda binary: writes_that_come_late(binary, take_policies),
    'no late write of a user who was deleted': lambda binary: writes_that_come_late(binary, delete_user),
    'no late write of a user of the same name': lambda binary: writes_that_come_late(
        binary, delete_user_and_make_another),
    'a server without a copy refuses no token': a_server_without_a_copy,
    'no late message of a receive': lambda binary: messages_that_come_late(binary, 'receive?wait=600000'),
    'no late message of a stream': lambda binary: messages_that_come_late(binary, 'consume?hold=1'),
    'no late write by a token that was deleted': lambda binary: writes_that_come_late(binary, delete_token),
})
