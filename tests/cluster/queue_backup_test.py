#!/usr/bin/python3
"""Queues in a backup, with real servers: what of them is restored into an empty cluster, and in place of what is there,
also when the server that restores is killed in the midst of it.
Usage: queue_backup_test.py KVD CASE"""
import http.client
import json

from services_cluster import Call, Cluster, Standalone, come_back, eventually, leader_of, run_case, say

FLAGS = ('--expect', '3', '--min-in-sync', '2')
MANY = 20_000
IN_A_BATCH = 1000
HOUR_MS = 3_600_000  # longer than the test


def send(server, queue, messages):
    for i in range(0, len(messages), IN_A_BATCH):
        lines = '\n'.join(json.dumps(message) for message in messages[i:i + IN_A_BATCH])
        status, _, told = server.exchange('POST', f'/v1/queues/{queue}/messages', lines.encode(),
                                          {'Content-Type': 'application/x-ndjson'})
        assert status == 201, (status, told)


def good(answer):
    status, told = answer
    assert status in (200, 201, 204), (status, told)
    return told


def make(server, queue, **config):
    good(server.put(f'/v1/queues/{queue}', json.dumps(config)))


def receive(server, queue, count):
    told = good(server.post(f'/v1/queues/{queue}/receive?max={count}'))
    return told['messages'] if told else []


def settle(server, queue, kind, messages, **more):
    settlings = [{'id': one['id'], 'receipt': one['receipt'], **more} for one in messages]
    told = good(server.post(f'/v1/queues/{queue}/settle', json.dumps({kind: settlings})))
    assert told['results'] == ['ok'] * len(messages), told


def fill(server):
    """Queues of several kinds. Returns what is in flight, of `full`."""
    make(server, 'graves')
    make(server, 'mail', dead_letter='graves', max_deliveries=3, backoff=[HOUR_MS])
    send(server, 'mail', [{'body': f'{i} {"x" * (i % 50)}', 'priority': i % 3, 'type': f't{i % 2}'}
                          for i in range(1000)])
    send(server, 'mail', [{'body': f'g{i}', 'group': f'group {i % 7}'} for i in range(100)])
    send(server, 'mail', [{'body': f'late {i}', 'delay': HOUR_MS + i} for i in range(10)])
    settle(server, 'mail', 'dead', receive(server, 'mail', 20), reason='moved')
    settle(server, 'mail', 'nack', receive(server, 'mail', 5), reason='waits')
    settle(server, 'graves', 'dead', receive(server, 'graves', 3), reason='stays')
    make(server, 'fifo', order='fifo')
    send(server, 'fifo', [{'body': f'{i}', 'priority': 9 - i % 10} for i in range(50)])
    settle(server, 'fifo', 'nack', receive(server, 'fifo', 1), delay=HOUR_MS)
    send(server, 'full', [{'body': f'{i}'} for i in range(200)])
    make(server, 'full', max_messages=10, discard='old', max_age=1000, ttr=HOUR_MS)
    make(server, 'none', ttr=100)
    send(server, 'purged', [{'body': 'old'}] * 5000)
    good(server.delete('/v1/queues/purged/messages?state=all'))
    send(server, 'deleted', [{'body': 'old'}] * 5000)
    good(server.delete('/v1/queues/deleted'))
    good(server.put('/v1/kv/key', 'value'))
    return receive(server, 'full', 30)


def place(message):
    revision, _, index = message['id'].partition('.')
    return int(revision), int(index or 0)


def content(server):
    """Of each queue its configuration and how many messages are in which state, and what is told of each, in the order
    in which they were sent. What is in flight counts as ready, and so does what is refused in a queue that keeps the
    order."""
    found = {}
    for queue in good(server.get('/v1/queues?read=linear&limit=10000'))['queues']:
        name = queue['name']
        config = {key: value for key, value in queue.items() if key not in (
            'oldest_ms', 'ready', 'delayed', 'in_flight', 'blocked', 'waiting')}
        messages = []
        for state in ('ready', 'delayed', 'in_flight', 'dead'):
            after = ''
            while True:
                page = good(server.get(f'/v1/queues/{name}/messages?state={state}&limit=1000&read=linear{after}'))
                messages += page['messages']
                if not page['more']:
                    break
                after = '&after=' + page['messages'][-1]['id']
        found[name] = config, [as_restored(one, name == 'fifo') for one in sorted(messages, key=place)]
    return found


def as_restored(message, in_order):
    ready = message['state'] == 'in_flight' or (message['state'] == 'delayed' and in_order)
    state = 'ready' if ready else message['state']
    kept = {key: message.get(key) for key in ('body', 'priority', 'group', 'type', 'sent_ms', 'dead_from', 'attempts')}
    told = state == 'dead' or 'dead_from' in message
    return {**kept, 'state': state, 'reason': message.get('reason') if told else None}


def drained(server):
    """The bodies of each queue in the order in which they are received."""
    orders = {}
    for queue in good(server.get('/v1/queues?read=linear'))['queues']:
        name = queue['name']
        for state in ('delayed', 'dead'):
            good(server.post(f'/v1/queues/{name}/kick?state={state}'))
        order = orders[name] = []
        while got := receive(server, name, 100):
            order += [one['body'] for one in got]
            settle(server, name, 'ack', got)
    return orders


def snapshot_of(server):
    status, _, snapshot = server.exchange('GET', '/v1/snapshot')
    assert status == 200
    return snapshot


def restore(server, snapshot, query=''):
    """Where servers fall behind meanwhile it is ended as the manual says: once more, in place of what is there."""
    def once():
        nonlocal query
        status, _, told = server.exchange('PUT', f'/v1/snapshot{query}', snapshot)
        assert status == 200 or status >= 500, (status, told)
        query = '?replace=true'
        return json.loads(told) if status == 200 else None
    return eventually('it is restored', once)


def into_an_empty_cluster(binary):
    with Standalone(binary, keeps=False) as source, Cluster(binary, servers=3, flags=FLAGS) as cluster:
        held = fill(source)
        snapshot = snapshot_of(source)
        before = content(source)
        settle(source, 'full', 'release', held)
        total = sum(len(messages) for _, messages in before.values())
        say(f'{total} messages in {len(before)} queues')
        leader = leader_of(cluster)
        follower = next(server for server in cluster.servers if server is not leader)
        make(leader, 'q')
        status, told = follower.put('/v1/snapshot', snapshot)
        assert status == 409 and 'queues' in told['detail'], (status, told)
        good(leader.delete('/v1/queues/q'))
        told = restore(follower, snapshot)
        assert (told['keys'], told['queues'], told['messages']) == (1, len(before), total), told
        assert content(leader) == before
        status, told = follower.put('/v1/snapshot', snapshot)
        assert status == 409, (status, told)
        orders = drained(leader)
        assert orders == drained(source)
        assert orders['fifo'] == [f'{i}' for i in range(50)], orders['fifo']


def in_place(binary):
    with Standalone(binary, keeps=False) as source, Cluster(binary, servers=3, flags=FLAGS) as cluster:
        fill(source)
        send(source, 'many', [{'body': f'{i}', 'group': f'{i % 100}'} for i in range(MANY)])
        snapshot = snapshot_of(source)
        before = content(source)
        leader = leader_of(cluster)
        spoil(leader)
        others = [server for server in cluster.servers if server is not leader]
        told = restore(others[0], snapshot, '?replace=true')
        assert told['queues'] == len(before), told
        assert content(leader) == before
        say('Through a follower it replaces what was there.')
        spoil(leader)
        call = Call(lambda: leader.exchange('PUT', '/v1/snapshot?replace=true', snapshot))
        eventually('it has begun', lambda: others[0].get('/v1/queues/a-stranger')[0] == 404)
        leader.kill()
        try:
            call.result()
        except (OSError, http.client.HTTPException):
            pass  # it was killed
        say('The server that restores is killed; the same once more, through another one.')
        restore(others[1], snapshot, '?replace=true')
        come_back(cluster, leader)
        assert content(leader_of(cluster)) == before


def spoil(server):
    make(server, 'a-stranger', dead_letter='fifo')
    server.delete('/v1/queues/fifo')
    make(server, 'fifo', order='priority', dead_letter='mail')
    for name in ('a-stranger', 'fifo', 'mail', 'many'):
        send(server, name, [{'body': 'spoiled', 'group': 'g'}] * 500)
        receive(server, name, 10)
    good(server.put('/v1/kv/stranger', 'value'))


run_case({
    'queues of a backup are restored into an empty cluster': into_an_empty_cluster,
    'queues of a backup are restored in place of what is there': in_place,
})
