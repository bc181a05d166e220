#!/usr/bin/python3
"""The coordination services of one server without ZooKeeper: each of them once, over HTTP and by its command, and what
of it outlives a kill with --data-dir and without. Usage: standalone_test.py KVD CASE"""
import contextlib
import json
import os
import signal
import subprocess
import time

from services_cluster import PATIENCE_S, Standalone, run_case, say


def good(answer, status=(200, 201)):
    assert answer[0] in status, answer
    return answer[1]


def run_command(server, *words):
    done = subprocess.run([server.command[0], *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, (words, done)
    return done.stdout


def use_each(server):
    """Each service once; what it told that must not be told again: numbers that grow."""
    told = {}
    session, other = server.open_session(), server.open_session()

    say('znodes')
    good(server.post('/v1/znodes/app/kept?parents=1', 'hello'))
    told['number'] = good(server.post('/v1/znodes/app/item-?seq=1'))['path']
    told['czxid'] = good(server.post(f'/v1/znodes/app/mine?mode=ephemeral&session={session}', 'x'))['czxid']
    assert server.put('/v1/znodes/app/kept?version=0', 'again') == (200, {'version': 1})
    assert server.put('/v1/znodes/app/kept?version=0', 'late')[0] == 412
    assert good(server.get('/v1/znodes/app?view=children'))['children'] == ['item-0000000001', 'kept', 'mine']

    say('locks and elections')
    told['lock'] = good(server.post(f'/v1/locks/db?session={session}'))['fence']
    assert server.post(f'/v1/locks/db?session={other}')[0] == 409
    with contextlib.closing(server.hold('/v1/locks/db?hold=1')) as stream:
        stream.until(state='waiting')
        assert server.delete(f'/v1/locks/db?session={session}')[0] == 204
        assert stream.until(state='held')['fence'] > told['lock']
    assert good(server.post(f'/v1/elections/chief?candidate=a&session={session}'))['leading'] is True
    out = run_command(server, 'lock', '--servers', server.name, 'jobs', '--', 'printenv', 'KVD_FENCE')
    assert int(out) > told['lock'], out

    say('ids')
    lent = good(server.post(f'/v1/ids/machines?session={session}&max=16&rest=600000'))
    told['id'] = lent['fence']
    assert good(server.post(f'/v1/ids/machines?session={other}&max=16'))['id'] != lent['id']

    say('names')
    good(server.put('/v1/names/db/main', json.dumps({'address': '10.0.0.5', 'port': 5432})))
    assert '10.0.0.5' in server.exchange('GET', '/v1/hosts')[2].decode()

    say('barriers')
    good(server.put('/v1/barriers/deploy'))
    assert server.get('/v1/barriers/deploy?wait=0')[0] == 408
    with contextlib.closing(server.hold('/v1/barriers/meet/enter?size=2&member=a&hold=1')) as stream:
        released = server.post(f'/v1/barriers/meet/enter?size=2&member=b&session={session}&wait={PATIENCE_S * 1000}')
        assert good(released)['state'] == 'released', released
        stream.until(state='released')

    say('queues of kazoo')
    good(server.post('/v1/zkqueues/mail', 'kept'))
    told['entry'] = good(server.post('/v1/zkqueues/work?locking=1', 'mine'))['entry']
    mine = good(server.post(f'/v1/zkqueues/work/take?locking=1&session={session}'))
    assert mine['entry'] <= told['entry'], (mine, told)
    told['taken'] = mine['fence']

    say('tasks')
    task = good(server.post('/v1/tasks?kind=sum', '1 2 3'), (201, 202))['id']
    good(server.post(f'/v1/workers?name=w1&session={session}'))
    mine = good(server.post(f'/v1/workers/w1/next?wait={PATIENCE_S * 1000}&session={session}'))
    assert mine['id'] == task, mine
    good(server.put(f'/v1/tasks/{task}/result?fence={mine["fence"]}', '6'), (200, 201, 204))
    assert good(server.get(f'/v1/tasks/{task}?wait={PATIENCE_S * 1000}'))['state'] == 'done'
    told['task'] = task
    return told


def in_memory(binary):
    with Standalone(binary, keeps=False, flags=('--session-timeout', '100')) as server:
        use_each(server)
        say('a pause longer than its session is no reason to doubt itself')
        with contextlib.closing(server.hold('/v1/locks/paused?hold=1')) as stream:
            fence = stream.until(state='held')['fence']
            server.running.signal(signal.SIGSTOP)
            time.sleep(0.5)
            server.running.signal(signal.SIGCONT)
            assert good(server.get('/v1/locks/paused'))['holder']['fence'] == fence
            assert not stream.has_come('lost')
        server.restart()
        say('after a restart nothing is there, and all of it works')
        assert server.get('/v1/znodes/app/kept')[0] == 404
        use_each(server)


def on_disk(binary):
    with Standalone(binary, keeps=True) as server:
        before = use_each(server)
        for _ in range(2):
            server.restart()
            say('after a kill: what was persistent is there, what was held is free')
            status, fields, data = server.exchange('GET', '/v1/znodes/app/kept')
            assert (status, data, fields['Kvd-Znode-Version']) == (200, b'again', '1'), (status, data)
            assert server.get('/v1/znodes/app/mine')[0] == 404
            assert good(server.get('/v1/names/db/main'))['address'] == '10.0.0.5'
            assert server.get('/v1/barriers/deploy?wait=0')[0] == 408
            work = good(server.get('/v1/zkqueues/work?locking=1'))
            assert work['entries'] == [before['entry']] and work['taken'] == [], work
            assert good(server.get('/v1/zkqueues/mail'))['entries'] == ['entry-100-0000000000']
            assert good(server.get(f'/v1/tasks/{before["task"]}'))['state'] == 'done'
            session = server.open_session()
            number = good(server.post('/v1/znodes/app/item-?seq=1'))
            assert number['path'] > before['number'], (number, before)
            lock = good(server.post(f'/v1/locks/db?session={session}'))['fence']
            lent = good(server.post(f'/v1/ids/machines?session={session}&max=16'))['fence']
            taken = good(server.post(f'/v1/zkqueues/work/take?locking=1&session={session}'))['fence']
            assert taken > before['taken'], (taken, before)
            before['taken'] = taken
            assert number['czxid'] > before['czxid'] and lock > before['lock'] and lent > before['id'], (before, lock)
            before.update(number=number['path'], czxid=number['czxid'], lock=lock, id=lent)
        server.kill()
        say('inspect knows nothing of it, and is content')
        run_command(server, 'inspect', server.data)
        file = os.path.join(server.data, 'zookeeper', 'znodes')
        with open(file, 'r+b') as znodes:
            content = znodes.read()
            znodes.seek(content.index(b'again'))
            znodes.write(b'AGAIN')
        say('damaged before its end: it does not start')
        ended = subprocess.run(server.command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert ended.returncode == 69 and 'damaged' in ended.stderr, ended


run_case({
    'a standalone server serves every service from memory': in_memory,
    'a standalone server keeps its znodes on disk': on_disk,
})
