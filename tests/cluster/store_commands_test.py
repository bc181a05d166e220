#!/usr/bin/python3
"""kvd get, put, del, ls, txn, add and watch with real servers: what they print, each of their exit codes, and that a
write is done once, whatever becomes of the servers meanwhile. Usage: store_commands_test.py KVD CASE"""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading

from services_cluster import (
    LONG, PATIENCE_S, Cluster, Standalone, all_in_sync, eventually, free_port, leader_of, run_case, say)
from store_commands import CONFIG, DONE, IO_ERROR, MISSING, REFUSED, UNAVAILABLE, UNKNOWN, USAGE, Commands

ODD = [bytes([byte]) for byte in range(1, 256)]  # of what may stand on a command line


def one_alone(binary):
    return Standalone(binary, keeps=False)


def get_and_put(binary):
    with one_alone(binary) as server:
        kvd = Commands(binary, server.name)
        say('what is put comes back byte by byte')
        assert kvd.good('put', 'a', 'hello') == b'1\n'
        assert kvd.good('get', 'a') == b'hello'
        assert kvd.good('put', 'a', '') == b'2\n'
        assert kvd.good('get', 'a') == b''
        every = bytes(range(256)) * 1000
        for arguments in (['put', 'b'], ['put', 'b', '-']):
            kvd.good(*arguments, given=every)
            assert kvd.good('get', 'b') == every
        assert kvd.good('put', 'b', given=b'') == b'5\n'
        path = os.path.join(server.directory, 'a file')
        with open(path, 'wb') as file:
            file.write(every[:1000])
        kvd.good('put', 'c', '@' + path)
        assert kvd.good('get', 'c') == every[:1000]
        kvd.good('put', '--', '-c', '-1')
        assert kvd.good('get', '--', '-c') == b'-1'

        say('as JSON')
        assert json.loads(kvd.good('get', '--json', 'a')) == {'key': 'a', 'value': '', 'revision': 2, 'version': 2}
        told = json.loads(kvd.good('get', '--json', 'c'))
        assert base64.b64decode(told['value_b64']) == every[:1000] and told['version'] == 1, told
        told = json.loads(kvd.good('put', 'd', 'x', '--json'))
        assert told == {'key': 'd', 'revision': told['revision'], 'created': True}, told

        say('what is not there')
        kvd.good('put', 'prefix/of', 'x')
        for flags in ([], ['--json'], ['--linear']):
            kvd.bad(MISSING, 'get', 'prefix', *flags, says=b'no such key')

        say('conditions and fences')
        revision = int(kvd.good('put', 'e', '1', '--if-absent'))
        kvd.bad(MISSING, 'put', 'e', '2', '--if-absent', says=b'412')
        kvd.bad(MISSING, 'put', 'e', '2', '--if-rev', str(revision - 1), says=b'412')
        assert int(kvd.good('put', 'e', '2', '--if-rev', str(revision))) > revision
        kvd.good('put', 'e', '3', '--fence', 'l: &/k:7')
        kvd.bad(MISSING, 'put', 'e', '4', '--fence', 'l: &/k:6', says=b'has seen the token 7')
        assert kvd.good('get', 'e') == b'3'

        say('the newest state, and a revision that comes later')
        assert kvd.good('get', '--linear', 'e') == b'3'
        newest = int(kvd.good('put', 'e', '5'))
        assert kvd.good('get', 'e', '--min-rev', str(newest)) == b'5'
        with kvd.start('get', 'e', '--min-rev', str(newest + 1)) as waiting:
            kvd.good('put', 'e', '6')
            assert waiting.communicate(timeout=PATIENCE_S) == (b'6', b'')


def odd_keys(binary):
    with one_alone(binary) as server:
        kvd = Commands(binary, server.name)
        keys = [b'a' + byte for byte in ODD] + ['\u00e4/\u20ac'.encode(), b'a/../b', b'a//', b'%41', b'?x=1&y#z']
        for key in keys:
            kvd.good('put', key, b'of ' + key)
        for key in keys:
            assert kvd.good('get', key) == b'of ' + key, key
        listed = kvd.good('ls', '-0').split(b'\0')
        assert listed == sorted(keys) + [b''], listed
        pairs = kvd.good('ls', '--values', '-0').split(b'\0')
        assert pairs[:-1:2] == sorted(keys) and pairs[1::2] == [b'of ' + key for key in sorted(keys)], pairs
        for line, key in zip(kvd.good('ls', '--json').splitlines(), sorted(keys)):
            told = json.loads(line)
            assert base64.b64decode(told['key_b64']) == key if 'key_b64' in told else told['key'].encode() == key, line
            assert 'value' not in told and 'value_b64' not in told, told
        for key in keys:
            assert kvd.good('del', '--', key) == b'1\n'
        assert kvd.good('ls') == b''


def many_keys(binary):
    with one_alone(binary) as server:
        kvd = Commands(binary, server.name)
        names = [f'many/{number:05}' for number in range(25_000)]
        for first in range(0, len(names), 1000):
            status, _ = server.post('/v1/kv', json.dumps(
                {'ops': [{'put': {'key': name, 'value': name * 3}} for name in names[first:first + 1000]]}))
            assert status == 200
        kvd.good('put', 'manx', 'x')
        kvd.good('put', 'other', 'a\tb')
        say('listed over several pages')
        assert kvd.good('ls', 'many/').decode().splitlines() == names
        assert kvd.good('ls').decode().splitlines() == ['manx', *names, 'other']
        assert kvd.good('ls', '--values', 'many/').decode() == ''.join(f'{name}\t{name * 3}\n' for name in names)
        told = [json.loads(line) for line in kvd.good('ls', '--json', '--values', '--linear').splitlines()]
        assert [one['key'] for one in told] == ['manx', *names, 'other'], len(told)
        assert told[8]['value'] == names[7] * 3 and told[8]['version'] == 1, told[8]
        assert kvd.good('ls', '--values', 'o') == b'other\ta\tb\n'
        assert kvd.good('ls', 'nothing') == b''
        with kvd.start('ls') as listing:
            listing.stdout.close()
            assert (listing.wait(PATIENCE_S), listing.stderr.read()) == (IO_ERROR, b'')

        say('deleted over several pages')
        kvd.bad(MISSING, 'del', '--prefix', 'nothing', says=b'no such key')
        kvd.good('del', '--prefix', 'many/0', '--fence', 'l:7')
        kvd.bad(MISSING, 'del', '--prefix', 'many/', '--fence', 'l:6', says=b'412')
        assert kvd.good('del', '--prefix', 'many/') == b'15000\n'
        assert kvd.good('ls') == b'manx\nother\n'

        say('one key')
        revision = json.loads(kvd.good('get', '--json', 'manx'))['revision']
        kvd.bad(MISSING, 'del', 'manx', '--if-rev', str(revision + 1), says=b'412')
        kvd.bad(MISSING, 'del', 'manx', '--fence', 'l:6', says=b'412')
        assert kvd.good('del', 'manx', '--if-rev', str(revision), '--fence', 'l:7') == b'1\n'
        kvd.bad(MISSING, 'del', 'manx', says=b'no such key')


def sums_and_transactions(binary):
    with one_alone(binary) as server:
        kvd = Commands(binary, server.name)
        assert [kvd.good('add', 'n', *by) for by in ([], ['5'], ['-9'])] == [b'1\n', b'6\n', b'-3\n']
        kvd.good('add', 'n', '--fence', 'l:7')
        kvd.bad(MISSING, 'add', 'n', '--fence', 'l:6', says=b'412')
        kvd.good('put', 'text', 'x')
        kvd.bad(MISSING, 'add', 'text', says=b'409')
        kvd.bad(MISSING, 'add', 'n', '-9223372036854775808', says=b'409')
        assert kvd.good('get', 'n') == b'-2'

        def txn(value):
            return json.dumps({'if': [{'key': 'n', 'value': value}], 'then': [{'add': {'key': 'n', 'by': 1}}],
                               'else': [{'get': {'key': 'n'}}]}).encode()

        told = json.loads(kvd.good('txn', given=txn('-2')))
        assert told['succeeded'] and told['results'] == [{'value': -1}], told
        code, output, errors = kvd.run('txn', '-', given=txn('-2'))
        told = json.loads(output)
        assert (code, errors) == (MISSING, b'') and not told['succeeded'], (code, errors, told)
        assert told['results'][0]['value'] == '-1', told
        path = os.path.join(server.directory, 'txn')
        with open(path, 'wb') as file:
            file.write(txn('-1'))
        assert json.loads(kvd.good('txn', path))['results'] == [{'value': 0}]
        kvd.bad(MISSING, 'txn', given=b'{"then":[{"add":{"key":"text","by":1}}]}', says=b'409')
        kvd.bad(MISSING, 'txn', '--fence', 'l:6', given=txn('0'), says=b'412')
        for wrong in (b'', b'{', b'{"then":[{"put":{"key":"a"}}]}', b'{"then":[], "els":[]}'):
            kvd.bad(REFUSED, 'txn', given=wrong, says=b'400')
        assert kvd.good('get', 'n') == b'0'


def exit_codes(binary):
    with one_alone(binary) as server:
        kvd = Commands(binary, server.name)
        say('64 and 78')
        for arguments in (['get'], ['get', ''], ['get', 'a', 'b'], ['put', 'a', '-1'], ['del'], ['add', 'a', 'x'],
                          ['del', 'a', '--prefix', 'b'], ['ls', '-x'], ['get', 'a', '--servers', 'b']):
            kvd.bad(USAGE, *arguments)
        Commands(binary, 'nonsense').bad(CONFIG, 'get', 'a', says=b'KVD_SERVERS=nonsense')
        say('65')
        kvd.bad(REFUSED, 'put', 'a', given=b'x' * (1 << 20) + b'x', says=b'413')
        kvd.bad(REFUSED, 'put', 'a', given=b'x' * (16 << 20) + b'x', says=b'which no server takes')
        kvd.bad(REFUSED, 'txn', given=b' ' * (5 << 20), says=b'413')
        kvd.good('put', 'a', given=b'x' * (1 << 20))
        say('74')
        kvd.bad(IO_ERROR, 'put', 'a', '@' + os.path.join(server.directory, 'nothing'), says=b'No such file')
        kvd.bad(IO_ERROR, 'txn', server.directory, says=b'Is a directory')
        with open('/dev/full', 'wb') as full:
            code, _, errors = kvd.run('get', 'a', stdout=full)
        assert (code, errors) == (IO_ERROR, b'kvd: standard output: No space left on device\n'), (code, errors)

        say('servers that are not there')
        dead = [f'127.0.0.1:{free_port()}' for _ in range(2)]
        nobody = Commands(binary, *dead)
        for arguments in (['get', 'a'], ['ls'], ['put', 'a', 'x'], ['del', 'a'], ['del', '--prefix', 'a'], ['add', 'n'],
                          ['txn']):
            nobody.bad(UNAVAILABLE, *arguments, '--timeout', '500', given=b'{}', says=b'connection refused')
        some = Commands(binary, dead[0], server.name, dead[1])
        assert some.good('add', 'n') == b'1\n'
        assert some.good('get', 'n') == b'1'
        assert some.good('ls') == b'a\nn\n'

        say('a server that stands still')
        server.running.signal(signal.SIGSTOP)
        kvd.bad(UNAVAILABLE, 'get', 'a', '--timeout', '1000', says=b'silent')
        kvd.bad(UNKNOWN, 'add', 'n', '--timeout', '1000', says=b'the outcome is unknown')
        both = Commands(binary, dead[0], server.name)
        both.bad(UNKNOWN, 'put', 'a', 'x', '--timeout', '1000')
        server.running.signal(signal.SIGCONT)
        for key, value in (('n', '2'), ('a', 'x')):
            eventually('what was sent is done', lambda now=(200, value), key=key: server.get(f'/v1/kv/{key}') == now)
        with kvd.start('add', 'n', '--timeout', '60000') as late:
            assert late.communicate(timeout=PATIENCE_S) == (b'3\n', b'')


def watched(binary):
    """What is printed of each key; that it goes on over restarts is in watch_test.py."""
    with Standalone(binary, keeps=False, flags=('--history', '1M')) as server:
        kvd = Commands(binary, server.name)
        keys = [b'a' + byte for byte in ODD] + ['\u00e4/\u20ac'.encode(), b'%41', b'?x=1&y#z']
        for key in keys:
            kvd.good('put', key, b'of ' + key)
        kvd.good('del', keys[0])

        def prints(expected, *arguments):
            """That, until it is stopped."""
            with kvd.start('watch', *arguments) as watch:
                output = watch.stdout.read(len(expected))
                watch.send_signal(signal.SIGINT)
                rest, errors = watch.communicate(timeout=PATIENCE_S)
            assert (watch.returncode, rest, errors) == (DONE, b'', b''), (watch.returncode, rest, errors)
            assert output == expected, (arguments, output)

        say('from the beginning on')
        revisions = range(1, len(keys) + 1)
        expected = b''.join(b'%d\0put\0%s\0of %s\0' % (revision, key, key) for revision, key in zip(revisions, keys))
        expected += b'%d\0delete\0%s\0\0' % (len(keys) + 1, keys[0])
        prints(expected, '--since', '0', '--values', '-0')
        prints(b'1\tput\ta\x01\n%d\tdelete\ta\x01\n' % (len(keys) + 1), keys[0], '--since', '0')
        say('a key that ends by itself')
        _, told = server.put('/v1/kv/brief?ttl=100', 'x')
        at = told['revision']
        prints(b'%d\tput\tbrief\n%d\texpire\tbrief\n' % (at, at + 1), 'brief', '--since', str(at - 1))
        say('what is there, and as JSON')
        expected = b''.join(b'%d\tput\t%s\n' % (revision, key) for revision, key in zip(revisions, keys)
                            if key.startswith(b'ax'))
        expected += b'%d\tsynced\t\n' % (at + 1)
        prints(expected, '--prefix', 'ax', '--state')
        with kvd.start('watch', 'json', '--json', '--values', '--linear') as watch:
            assert json.loads(watch.stdout.readline())['linear'] is True
            kvd.good('put', 'json', b'\xff')
            line = json.loads(watch.stdout.readline())
            assert (line['type'], line['key'], line['value_b64'], line['version']) == ('put', 'json', '/w==', 1), line
            watch.kill()

        say('its exit codes')
        for arguments in ([''], ['a', 'b'], ['a', '--prefix', 'b'], ['a', '--since', 'x'], ['-x']):
            kvd.bad(USAGE, 'watch', *arguments)
        Commands(binary, 'nonsense').bad(CONFIG, 'watch', 'a', says=b'KVD_SERVERS=nonsense')
        for _ in range(2):
            kvd.good('put', 'large', given=b'x' * 900_000)
        kvd.bad(UNAVAILABLE, 'watch', 'a', '--since', '1', says=b'410')
        with open('/dev/full', 'wb') as full:
            code, _, errors = kvd.run('watch', '--state', stdout=full)
        assert (code, errors) == (IO_ERROR, b'kvd: standard output: No space left on device\n'), (code, errors)
        with kvd.start('watch', 'a') as watch:
            watch.stdout.close()
            assert (watch.wait(PATIENCE_S), watch.stderr.read()) == (IO_ERROR, b'')


class LosesAnswers:
    """A server's door that takes requests to it, and loses the answer to the first ones, after they have come."""

    def __init__(self, server, lost):
        self.server, self.lost = server, lost
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.name = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.requests = []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                request = self.request_of(client)
                if request:
                    self.pass_on(request, client)

    def pass_on(self, request, client):
        self.requests.append(request)
        with socket.create_connection(('127.0.0.1', self.server.port), timeout=PATIENCE_S) as inner:
            inner.sendall(request)
            answer = b''
            while part := inner.recv(65536):
                answer += part
        if len(self.requests) > self.lost:
            client.sendall(answer)

    @staticmethod
    def request_of(client):
        """None where it has given up before."""
        text, length = b'', None
        while length is None or len(text) < length:
            part = client.recv(65536)
            if not part:
                return None
            text += part
            found = re.search(rb'\r\nContent-Length: (\d+)\r\n(?:.*\r\n)*?\r\n', text)
            if found:
                length = found.end() + int(found.group(1))
        return text

    def keys(self):
        return [line for request in self.requests for line in request.split(b'\r\n')
                if line.startswith(b'Idempotency-Key:')]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def lost_answers(binary):
    with one_alone(binary) as server:
        for arguments, given, printed in (
                (['add', 'n', '5'], None, b'5\n'),
                (['put', 'a', 'x', '--if-absent'], None, b'2\n'),
                (['del', 'a'], None, b'1\n'),
                (['txn'], b'{"then":[{"add":{"key":"n","by":1}}]}',
                 b'{"succeeded":true,"revision":4,"results":[{"value":6}]}\n')):
            say(f'{arguments[0]}: two answers are lost')
            door = LosesAnswers(server, 2)
            assert Commands(binary, door.name).good(*arguments, given=given, trying=True) == printed
            door.close()
            assert len(door.keys()) == 3 and len(set(door.keys())) == 1, door.keys()
        say('every answer is lost')
        door = LosesAnswers(server, 1 << 30)
        kvd = Commands(binary, door.name)
        kvd.bad(UNKNOWN, 'add', 'n', '--timeout', '1000', says=b'the outcome is unknown')
        kvd.bad(UNAVAILABLE, 'get', 'n', '--timeout', '1000', says=b'no server answered in time')
        door.close()
        assert server.get('/v1/kv/n')[1] == '7'
        say('an answer is lost, and the next server is not there')
        door = LosesAnswers(server, 1)
        kvd = Commands(binary, door.name, f'127.0.0.1:{free_port()}')
        kvd.good('add', 'n', trying=True)
        door.close()
        assert server.get('/v1/kv/n')[1] == '8'


def leaders_fail(binary):
    """One of the counting clients has too little time for a change of the leader."""
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster:
        everybody = [server.name for server in cluster.servers]
        codes, problems, ends = {DONE: 0, UNAVAILABLE: 0, UNKNOWN: 0}, [], threading.Event()
        sums = []

        def count(first, timeout_ms):
            kvd = Commands(binary, *everybody[first:], *everybody[:first])
            while not ends.is_set():
                code, output, errors = kvd.run('add', 'n', '--timeout', str(timeout_ms))
                if code not in codes:
                    problems.append((code, errors))
                    return
                codes[code] += 1
                if code == DONE:
                    sums.append(int(output))

        threads = [threading.Thread(target=count, args=one) for one in ((0, 10_000), (1, 10_000), (2, 100))]
        for thread in threads:
            thread.start()
        try:
            for turn in range(40):
                leader = leader_of(cluster)
                before = len(sums)
                if turn % 2:
                    leader.kill()
                    eventually('others go on', lambda before=before: problems or len(sums) >= before + 3)
                    leader.start()
                else:
                    leader.running.signal(signal.SIGSTOP)
                    eventually('others go on', lambda before=before: problems or len(sums) >= before + 3)
                    leader.running.signal(signal.SIGCONT)
                assert not problems, problems
                eventually('all are in sync', lambda: all_in_sync(cluster))
        finally:
            ends.set()
            for thread in threads:
                thread.join()
        assert not problems, problems
        say(f'{codes[DONE]} done, {codes[UNKNOWN]} unknown, {codes[UNAVAILABLE]} certainly not')
        total = int(Commands(binary, *everybody).good('get', '--linear', 'n', trying=True))
        assert len(set(sums)) == len(sums), 'two additions had the same sum'
        assert codes[DONE] <= total <= codes[DONE] + codes[UNKNOWN], (codes, total)


run_case({
    'values are put and got byte by byte': get_and_put,
    'keys of every odd byte': odd_keys,
    'keys are listed and deleted over many pages': many_keys,
    'sums and transactions from the command line': sums_and_transactions,
    'the exit codes of the store\'s commands': exit_codes,
    'what changes is printed as it is': watched,
    'a command whose answer is lost is done once': lost_answers,
    'a counter by commands while leaders are killed and frozen': leaders_fail,
})
