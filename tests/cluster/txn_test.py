#!/usr/bin/python3
"""Transactions, sums and what is appended, with real servers: what users see, that a retry is done once whichever
server it is sent through, and that no amount is lost while leaders are killed. Usage: txn_test.py KVD CASE"""
import itertools
import json
import random

from services_cluster import Clients, Cluster, eventually, leader_of, run_case, say

ACCOUNTS = [f'account/{number}' for number in range(4)]
START = 100


def txn(server, body, key=None, query=''):
    """The status, and the JSON of the answer."""
    headers = {'Idempotency-Key': key} if key else {}
    status, _, text = server.exchange('POST', '/v1/txn' + query, json.dumps(body), headers)
    return status, json.loads(text)


def insist_on(server, body, key):
    """The answer, of a client that repeats until there is one."""
    def once():
        status, answer = txn(server(), body, key)
        return answer if status == 200 else None
    return eventually(f'an answer to {key}', once)


def kill_leader(cluster):
    leader = leader_of(cluster)
    leader.kill()
    return leader


def come_back(server):
    server.start()
    eventually('it is ready again', lambda: server.get('/readyz')[0] == 200)


def walk(binary):
    with Cluster(binary, servers=3) as cluster:
        one, two, three = cluster.servers
        say('a key is made, and only once')
        make = {'if': [{'key': 'a', 'exists': False}], 'then': [{'put': {'key': 'a', 'value': 'x'}}],
                'else': [{'get': {'key': 'a'}}]}
        status, first = txn(one, make)
        assert (status, first['succeeded'], first['results']) == (200, True, [{'created': True}]), first
        status, second = txn(two, make)
        assert status == 200 and not second['succeeded'], second
        assert second['results'] == [{'value': 'x', 'revision': first['revision']}], second
        assert second['revision'] >= first['revision'], second
        say('each operation sees those before it, and all of it is one revision')
        status, all_of_it = txn(three, {'then': [
            {'add': {'key': 'n', 'by': 5}}, {'add': {'key': 'n', 'by': -7}}, {'append': {'key': 'log', 'value': 'p'}},
            {'append': {'key': 'log', 'value_b64': '/w=='}}, {'delete': {'key': 'a'}}, {'get': {'key': 'a'}},
            {'get': {'key': 'log'}}]})
        revision = all_of_it['revision']
        assert status == 200 and all_of_it['results'] == [
            {'value': 5}, {'value': -2}, {'created': True}, {'created': False}, {'deleted': True}, None,
            {'value_b64': 'cP8=', 'revision': revision}], all_of_it
        for server in cluster.servers:
            status, fields, value = server.exchange('GET', f'/v1/kv/n?min_rev={revision}')
            assert (status, fields['ETag'], value) == (200, f'"{revision}"', b'-2')
            assert server.exchange('GET', f'/v1/kv/a?min_rev={revision}')[0] == 404
        say('what cannot be done leaves nothing behind, and is named')
        status, refusal = txn(one, {'then': [{'put': {'key': 'b', 'value': '1'}}, {'add': {'key': 'log', 'by': 1}}]})
        assert status == 409 and refusal['type'] == 'urn:kvd:not-a-number', refusal
        assert refusal['op'] == 1 and refusal['outcome'] == 'not-applied', refusal
        assert one.exchange('GET', '/v1/kv/b?read=linear')[0] == 404
        status, refusal = txn(two, {'then': [{'touch': {'key': 'b'}}]})
        assert status == 400 and refusal['detail'].startswith('then[0]: '), refusal
        say('one number and one text')
        for server, total in ((one, 2), (two, 4), (three, 6)):
            status, answer = server.post('/v1/kv/count?add=2')
            assert status == 200 and (answer['key'], answer['value']) == ('count', total), answer
        for server, status in ((three, 201), (two, 200)):
            assert server.post('/v1/kv/text?append=1', 'ab')[0] == status
        assert one.exchange('GET', '/v1/kv/text?read=linear')[2] == b'abab'
        assert one.post('/v1/kv/text?add=1')[0] == 409
        say('a fence keeps a former holder out')
        move = {'then': [{'add': {'key': 'count', 'by': 1}}]}
        assert txn(one, move, query='?fence=lock:7')[0] == 200
        status, refusal = txn(two, move, query='?fence=lock:6')
        assert status == 412 and refusal['current_fence'] == 7, refusal


def retries(binary):
    with Cluster(binary, servers=3) as cluster:
        one, two, three = cluster.servers
        body = {'if': [{'key': 'n', 'value': '10', 'op': '<'}], 'then': [{'add': {'key': 'n', 'by': 1}}]}
        assert one.post('/v1/kv/n?add=1')[0] == 200
        status, first = txn(one, body, 'move-1')
        assert status == 200 and first['results'] == [{'value': 2}], first
        say('a retry through each server gets the first answer')
        for server in cluster.servers:
            assert txn(server, body, 'move-1') == (200, first)
        other = {'then': [{'add': {'key': 'n', 'by': 2}}]}
        assert txn(two, other, 'move-1')[0] == 422
        say('and so it does when the leader has been killed')
        killed = kill_leader(cluster)
        alive = [server for server in (one, two, three) if server is not killed]
        for server in alive:
            assert insist_on(lambda server=server: server, body, 'move-1') == first
        come_back(killed)
        assert insist_on(lambda: killed, body, 'move-1') == first
        assert killed.exchange('GET', '/v1/kv/n?read=linear')[2] == b'2'
        say('results that are too long to be remembered are refused before anything is done')
        assert one.put('/v1/kv/long', 'x' * 5000)[0] in (200, 201)
        long = {'then': [{'add': {'key': 'n', 'by': 1}}, {'get': {'key': 'long'}}]}
        status, refusal = txn(two, long, 'long')
        assert status == 413 and refusal['outcome'] == 'not-applied', refusal
        assert two.exchange('GET', '/v1/kv/n?read=linear')[2] == b'2'
        assert txn(two, long)[0] == 200


def transfer(cluster):
    """A client's turn: moves an amount, asking through any server until there is an answer."""
    number = itertools.count()

    def turn(*_):
        source, target = random.sample(ACCOUNTS, 2)
        amount = random.randint(1, 30)
        body = {'if': [{'key': source, 'value': str(amount), 'op': '>'}],
                'then': [{'add': {'key': source, 'by': -amount}}, {'add': {'key': target, 'by': amount}}],
                'else': [{'get': {'key': account}} for account in ACCOUNTS]}
        answer = insist_on(lambda: random.choice(cluster.servers), body, f'transfer-{next(number)}')
        assert answer['succeeded'] or sum_of(answer) == START * len(ACCOUNTS), answer

    return turn


def sum_of(answer):
    values = [int(one['value']) for one in answer['results']]
    assert min(values) >= 0, answer
    return sum(values)


def transfers(binary):
    with Cluster(binary, servers=3) as cluster:
        fill = {'then': [{'add': {'key': account, 'by': START}} for account in ACCOUNTS]}
        assert txn(cluster.servers[0], fill)[0] == 200
        with Clients([*cluster.servers, cluster.servers[0]], transfer(cluster)) as clients:
            for _ in range(3):
                clients.go_on()
                killed = kill_leader(cluster)
                say(f'the leader {killed.name} is killed')
                clients.go_on()
                come_back(killed)
        look = {'then': [{'get': {'key': account}} for account in ACCOUNTS]}
        for server in cluster.servers:
            status, answer = txn(server, look)
            assert status == 200 and sum_of(answer) == START * len(ACCOUNTS), answer
        say(f'{sum(clients.turns)} transfers later the sum is what it was')


run_case({
    'transactions do what one expects of them': walk,
    'a transaction is done once however often it is sent': retries,
    'no amount is lost while leaders are killed': transfers,
})
