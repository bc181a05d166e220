#!/usr/bin/env python3
"""kvd config sync and kvd config status before a scripted server: what is published and when, what the command is told,
what others are told of the node, and with which exit code they end. Usage: config_commands_test.py KVD"""
import collections
import json
import os
import signal
import sys

import fake_server
from fake_server import ClientTest, FakeServer, refusing_name

DONE, NOT_WELL, REFUSED, UNAVAILABLE, IO_ERROR = 0, 1, 65, 69, 74
WATCH = '/v1/watch?prefix=app%2F&state=1&read=linear&progress='
RECORD = '/v1/kv/app/.running/n1'
# What the command prints: the revision, and the names of the files with what is in them.
SHOW = 'cd "$KVD_CONFIG_DIR" && echo $KVD_CONFIG_REVISION $(for f in *; do [ -f $f ] && echo $f=$(cat $f); done)'


def put(key, revision, value='', **more):
    return {'type': 'put', 'key': 'app/' + key, 'value': value, 'revision': revision, **more}


def delete(key, revision, **more):
    return {'type': 'delete', 'key': 'app/' + key, 'revision': revision, **more}


def synced(revision):
    return {'type': 'synced', 'revision': revision}


def progress(revision, **more):
    return {'type': 'progress', 'revision': revision, **more}


STALE, CURRENT = {'type': 'stale', 'silent_ms': 500}, {'type': 'current', 'revision': 1}


class ConfigTest(ClientTest):
    def setUp(self):
        super().setUp()
        self.waiting = collections.defaultdict(list)
        self.to = self.path('conf')

    def call(self, method, what, server=None):
        """The next request of this kind: a sync has several under way, in any order."""
        server = server or self.server
        while not self.waiting[server, method, what]:
            exchange = server.next()
            self.waiting[server, exchange.method, exchange.target].append(exchange)
        return self.waiting[server, method, what].pop(0)

    def opened(self, *lines, server=None, what=WATCH + '2000', fields=''):
        exchange = self.call('GET', what, server)
        exchange.connection.sendall(
            f'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKvd-Revision: 1\r\n{fields}\r\n'.encode())
        return exchange.say(*lines)

    def granted(self, lease=7):
        self.call('POST', '/v1/leases?ttl=10000&name=config%20app%2F%20n1').answer(
            201, {'lease': lease, 'ttl_ms': 10000})

    def told(self, revision, **wanted):
        """The next record, which has these members, is taken at that revision."""
        exchange = self.call('PUT', RECORD)
        record = json.loads(exchange.body)
        self.assertEqual({name: record.get(name) for name in wanted}, wanted)
        self.assertTrue(exchange.headers['idempotency-key'])
        exchange.answer(200, {'key': 'app/.running/n1', 'revision': revision, 'created': False})
        return record

    def told_at_last(self, **wanted):
        """One of the next records has these members."""
        while True:
            exchange = self.call('PUT', RECORD)
            exchange.answer(200, {'key': 'app/.running/n1', 'revision': 50, 'created': False})
            record = json.loads(exchange.body)
            if wanted.items() <= record.items():
                return record

    def sync(self, *arguments, servers=None):
        return self.start('config', 'sync', '--prefix', 'app/', '--to', self.to, '--node', 'n1', *arguments,
                          servers=servers)

    def start(self, *arguments, servers=None, **options):
        first, second, *rest = arguments
        return self.run_alone(first, second, '--servers', ','.join(servers or [self.server.name]), *rest, **options)

    def stops(self, running, lease=7):
        """By a signal; the lines on standard error. None: it may have no lease, or nobody answers."""
        running.send(signal.SIGTERM)
        if lease:
            self.call('DELETE', f'/v1/leases/{lease}').answer(204)
        code, printed, errors = running.end()
        self.assertEqual((code, printed), (DONE, ''), errors)
        return errors

    def files(self):
        found = {}
        for place, _, names in os.walk(self.to):
            for name in names:
                path = os.path.join(place, name)
                with open(path, 'rb') as file:
                    found[os.path.relpath(path, self.to)] = file.read()
        return found


class Sync(ConfigTest):
    def test_what_is_published_is_whole(self):
        """Each line is the command's, of one version: those that are not whole would have one, too."""
        running = self.sync('--exec', SHOW)
        exchange = self.opened(put('a', 3, '1', state=True), put('b', 4, '2', state=True), delete('a', 5, state=True))
        self.granted()
        exchange.say(synced(6))
        self.assertEqual(running.line(), '4 b=2')
        exchange.say(put('a', 7, 'x', more=True))
        exchange.say(put('b', 7, 'y', more=True))
        exchange.say(put('d/e', 7, 'z'))
        self.assertEqual(running.line(), '7 a=x b=y')
        self.assertEqual(self.files(), {'a': b'x', 'b': b'y', 'd/e': b'z'})
        exchange.say({'type': 'put', 'key': 'app/.c', 'value_b64': 'AP8=', 'revision': 8, 'more': True},
                     delete('d/e', 8))
        self.told_at_last(revision=8, state='running', exit=0)
        self.assertEqual(self.files(), {'a': b'x', 'b': b'y', '.c': b'\x00\xff'})
        running.line()
        exchange.say(put('.running/n2', 10, 'other'), progress(11), put('a', 12, 'last'))
        self.assertEqual(running.line(), '12 a=last b=y')
        self.assertEqual(self.stops(running), [])

    def test_what_others_are_told(self):
        running = self.sync()
        exchange = self.opened()
        self.granted()
        first = self.told(revision=20, state='applying', lease=7)
        self.assertEqual(first['revision'], 0)
        exchange.say(put('a', 3, '1', state=True), synced(20), progress(21))
        record = self.told(revision=22, state='running', lease=7)
        self.assertEqual((record['revision'], len(record['digest'])), (3, 16))
        self.assertNotIn('exit', record)
        exchange.say(put('.running/n1', 22, json.dumps(record)), delete('.running/n1', 23))
        self.assertEqual({**self.told(revision=24), 'time': ''}, {**record, 'time': ''})
        # The lease is renewed, and another one taken when it is over.
        self.call('PUT', '/v1/leases/7').answer(200, {'left_ms': 10000})
        exchange.say(put('.running/n1', 24, json.dumps(record)), progress(25))
        self.call('PUT', '/v1/leases/7').answer(410, {'detail': 'over'})
        self.granted(lease=30)
        self.told(revision=31, state='running', lease=30)
        exchange.say(put('.running/n1', 32, json.dumps({**record, 'lease': 40})))
        self.assertIn('another kvd config sync runs under the name of this node', running.error_line())
        self.stops(running, lease=30)

    def test_a_record_that_is_refused_or_lost_is_written_again(self):
        running = self.sync()
        self.granted()
        key = self.call('PUT', RECORD)
        key.close()
        again = self.call('PUT', RECORD)
        self.assertEqual(again.headers['idempotency-key'], key.headers['idempotency-key'])
        again.answer(504, {'detail': 'silent', 'outcome': 'unknown'})
        third = self.call('PUT', RECORD)
        self.assertEqual(third.headers['idempotency-key'], key.headers['idempotency-key'])
        third.answer(409, {'detail': 'no', 'outcome': 'not-applied'})
        self.assertNotEqual(self.call('PUT', RECORD).headers['idempotency-key'], key.headers['idempotency-key'])
        running.send(signal.SIGINT)
        self.call('DELETE', '/v1/leases/7').answer(410, {'detail': 'over'})
        self.assertEqual(running.end()[0], DONE)

    def test_keys_that_can_be_no_files(self):
        running = self.sync('--exec', SHOW)
        exchange = self.opened(put('a', 3, '1', state=True), put('x//y', 4, state=True), synced(4))
        self.granted()
        why = 'the key app/x//y has an empty component'
        self.assertEqual(running.error_line(), f'kvd: {why}: nothing is published until it is mended')
        self.told_at_last(revision=0, state='failed', problem=why)
        self.assertFalse(os.path.lexists(self.to))
        exchange.say(delete('x//y', 5))
        self.assertEqual(running.line(), '3 a=1')
        exchange.say(put('../../up', 6), put('b', 7, '2'))
        self.told_at_last(revision=3, state='failed', problem='the key app/../../up has a component that is no name')
        exchange.say(delete('../../up', 8, more=True), put('a/c', 8))
        self.told_at_last(state='failed',
                          problem='the key app/a/c is below a key, which cannot be a file and a directory')
        self.assertEqual(self.files(), {'a': b'1'})
        exchange.say(delete('a', 10))
        self.assertEqual(running.line(), '8 b=2')
        self.told_at_last(revision=8, state='running')
        self.assertNotIn('up', os.listdir(self.directory))
        self.assertIn('../../up', ''.join(self.stops(running)))

    def test_a_server_without_a_leader_tells_nothing(self):
        running = self.sync('--exec', SHOW)
        exchange = self.opened(put('a', 3, '1', state=True), synced(4))
        self.assertEqual(running.line(), '3 a=1')
        exchange.say(STALE, put('a', 5, '2'))
        exchange.say(put('b', 6, '3'), CURRENT)
        self.assertEqual(running.line(), '6 a=2 b=3')
        exchange.say(STALE, put('a', 7, '4'))
        # Some seconds later another one is asked.
        self.assertIn('no server tells the newest configuration', running.error_line())
        self.opened(put('a', 7, '4', state=True), synced(8))
        self.assertEqual(running.line(), '7 a=4')
        self.stops(running, lease=None)

    def test_a_server_that_lags_takes_nothing_back(self):
        other = FakeServer()
        self.addCleanup(other.close)
        running = self.sync('--exec', SHOW, servers=[self.server.name, other.name])
        exchange = self.opened(put('a', 3, '1', state=True), put('a', 21, '2', state=True), synced(21))
        self.assertEqual(running.line(), '21 a=2')
        exchange.say({'type': 'gone', 'revision': 21, 'oldest': 1, 'reason': 'stopping'})
        exchange = self.opened(put('a', 3, '1', state=True), synced(19), server=other)
        exchange.say(put('b', 20, '0'), progress(20), put('b', 22, '3', more=True), put('a', 22, '2'))
        self.assertEqual(running.line(), '22 a=2 b=3')
        # Also to a process that begins.
        self.stops(running, lease=None)
        running = self.sync('--exec', SHOW, servers=[other.name])
        exchange = self.opened(put('a', 3, '1', state=True), synced(19), server=other)
        exchange.say(put('a', 23, '4'), put('b', 24, '5'))
        while (line := running.line()) != '24 a=4 b=5':
            self.assertIn(line, ('22 a=2 b=3', '23 a=4'))
        # When the leader confirms that there is no more the servers have lost it.
        exchange.close()
        exchange = self.opened(put('a', 3, '1', state=True), synced(9), progress(9, linear=True), server=other)
        self.assertIn('the servers have gone back from revision 24 to 9', running.error_line() + running.error_line())
        self.assertEqual(running.line(), '3 a=1')
        self.stops(running, lease=None)

    def test_a_copy_that_lacks_keys_is_not_taken(self):
        other = FakeServer()
        self.addCleanup(other.close)
        running = self.sync('--exec', SHOW, servers=[self.server.name, other.name])
        self.opened(synced(5), fields='Kvd-Complete: false\r\n').wait_closed()
        self.opened(put('a', 3, '1', state=True), synced(5), server=other)
        self.assertEqual(running.line(), '3 a=1')
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[0], DONE)

    def test_all_servers_away(self):
        running = self.sync('--exec', SHOW, servers=[refusing_name(), self.server.name, refusing_name()])
        exchange = self.opened(put('a', 3, '1', state=True), synced(4))
        self.assertEqual(running.line(), '3 a=1')
        exchange.close()
        for _ in range(3):
            self.call('GET', WATCH + '2000').answer(503, {'detail': 'not now'})
        self.assertEqual(self.files(), {'a': b'1'})
        self.opened(put('a', 7, '2', state=True), synced(9))
        self.assertEqual(running.line(), '7 a=2')
        running.send(signal.SIGTERM)
        code, _, errors = running.end()
        said = [line for line in errors if 'no server tells the newest configuration' in line]
        self.assertEqual((code, len(said)), (DONE, 1), errors)
        self.assertIn(f'{self.to} stays as it is; trying on', said[0])

    def test_one_command_at_a_time(self):
        first = f'[ $KVD_CONFIG_REVISION != 3 ] || {self.until_go()}; {SHOW}'
        running = self.sync('--exec', f'echo begins; {first}; [ -e b ]')
        exchange = self.opened(put('a', 3, '1', state=True), synced(4))
        self.granted()
        self.assertEqual(running.line(), 'begins')
        self.told_at_last(revision=3, state='applying')
        for revision in range(5, 9):
            exchange.say(put('a', revision, str(revision)))
            self.told_at_last(revision=revision, state='applying')
        exchange.say(put('b', 9, '9'))
        self.told_at_last(revision=9, state='applying')
        self.assertEqual(sorted(os.listdir(self.to + '.kvd')), ['3', '8', '9'])
        self.go()
        self.assertEqual([running.line() for _ in range(3)], ['3 a=1', 'begins', '9 a=8 b=9'])
        self.told_at_last(revision=9, state='running', exit=0)
        exchange.say(delete('b', 10))
        self.assertEqual([running.line() for _ in range(2)], ['begins', '8 a=8'])
        self.told_at_last(revision=8, state='failed', exit=1)
        self.assertIn('kvd: the command ended with 1', self.stops(running))

    def test_a_command_that_has_not_ended_well_runs_again_at_the_next_start(self):
        running = self.sync('--exec', 'echo began; trap "exit 9" TERM; ' + fake_server.FOR_EVER)
        self.opened(put('a', 3, '1', state=True), synced(4)).say()
        self.assertEqual(running.line(), 'began')
        self.granted()
        self.stops(running)
        for code, runs in ((7, True), (0, True), (0, False)):
            running = self.sync('--exec', f'echo again; exit {code}')
            if runs:
                self.assertEqual(running.line(), 'again')
            self.granted()
            self.told_at_last(revision=3, state='failed' if code else 'running', exit=code)
            self.stops(running)

    def test_the_directory_is_there(self):
        os.mkdir(self.to)
        code, printed, errors = self.sync().end()
        self.assertEqual((code, printed), (REFUSED, ''))
        self.assertIn('conf: is there, and is no link that kvd config sync has made', errors[0])
        self.assertEqual(os.listdir(self.directory), ['conf'])

    def test_the_directory_cannot_be_written_for_a_while(self):
        running = self.sync()
        exchange = self.opened(put('a', 3, '1', state=True), synced(4))
        self.granted()
        self.told_at_last(revision=3, state='running')
        os.rename(self.to, self.path('away'))
        os.mkdir(self.to)
        exchange.say(put('a', 5, '2'))
        self.assertIn('is no link that kvd config sync has made', self.told_at_last(state='failed')['problem'])
        os.rmdir(self.to)
        self.told_at_last(revision=5, state='running')
        self.assertEqual(self.files(), {'a': b'2'})
        self.stops(running)

    def test_one_server_that_refuses_is_left(self):
        other = FakeServer()
        self.addCleanup(other.close)
        running = self.sync('--exec', SHOW, servers=[self.server.name, other.name])
        self.call('GET', WATCH + '2000').answer(404, {'detail': 'no such path'})
        exchange = self.opened(put('a', 3, '1', state=True), synced(4), server=other)
        self.assertEqual(running.line(), '3 a=1')
        exchange.close()
        self.call('GET', WATCH + '2000').answer(400, {'detail': 'not here'})
        self.call('GET', WATCH + '2000', other).answer(503, {'detail': 'not now'})
        self.call('GET', WATCH + '2000').answer(404, {'detail': 'no such path'})
        self.opened(put('a', 7, '2', state=True), synced(8), server=other)
        self.assertEqual(running.line(), '7 a=2')
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[0], DONE)

    def test_all_servers_refuse(self):
        other = FakeServer()
        self.addCleanup(other.close)
        running = self.sync(servers=[self.server.name, other.name])
        self.call('GET', WATCH + '2000').answer(404, {'detail': 'no such path'})
        self.call('GET', WATCH + '2000', other).answer(400, {'detail': 'what?'})
        code, printed, errors = running.end()
        self.assertEqual((code, printed), (REFUSED, ''))
        self.assertIn('400: what?', errors[-1])

    def test_a_server_that_knows_no_watches(self):
        running = self.sync()
        self.call('GET', WATCH + '2000').answer(404, {'detail': 'no such path'})
        code, printed, errors = running.end()
        self.assertEqual((code, printed), (REFUSED, ''))
        self.assertIn('404: no such path', errors[0])


class Status(ConfigTest):
    what = WATCH + '100'

    def lease(self, number, status):
        exchange = self.server.next()
        self.assertEqual((exchange.method, exchange.target.partition('&')[0]),
                         ('GET', f'/v1/leases/{number}?read=linear'))
        exchange.answer(status, {'lease': number} if status == 200 else {'detail': 'over'})

    @staticmethod
    def record(revision, digest, state='running', lease=5, **more):
        return json.dumps({'revision': revision, 'digest': digest, 'state': state, 'lease': lease, 'time': 'T', **more})

    def digest(self):
        """Of one key, a, with the value 1."""
        running = self.start('config', 'status', '--prefix', 'app/', '--json')
        self.opened(put('a', 3, '1', state=True), synced(4), progress(4, linear=True), what=self.what)
        code, printed, _ = running.end()
        self.assertEqual(code, NOT_WELL)
        return json.loads(printed)['digest']

    def test_who_runs_what(self):
        digest = self.digest()
        running = self.start('config', 'status', '--prefix', 'app/')
        exchange = self.opened(put('.running/n1', 3, self.record(3, digest, lease=5), state=True),
                               put('.running/n2', 3, self.record(2, 'old', lease=6), state=True),
                               put('.running/n3', 3, self.record(3, digest, 'failed', 0, exit=2), state=True),
                               put('.running/n4', 3, 'no record', state=True), put('a', 2, '0', state=True), synced(4),
                               what=self.what)
        exchange.say(progress(4), put('a', 3, '1'), progress(5, linear=True))
        self.lease(5, 200)
        self.lease(6, 410)
        code, printed, errors = running.end()
        self.assertEqual((code, errors), (NOT_WELL, []))
        self.assertEqual(printed.splitlines(), [
            'revision 3 of app/: 1 key, 4 nodes', 'n1\t3\trunning\talive\tcurrent',
            'n2\t2\trunning\tblind since T or later\tbehind',
            'n3\t3\tfailed: the command ended with 2\tblind since T or later\tcurrent',
            "n4\t0\tapplying: the record is none of kvd config sync's\tblind since ? or later\tbehind"])

    def test_all_is_well(self):
        digest = self.digest()
        running = self.start('config', 'status', '--prefix', 'app/', '--json')
        self.opened(put('.running/n1', 3, self.record(3, digest, lease=5), state=True), put('a', 3, '1', state=True),
                    synced(4), progress(5, linear=True), what=self.what)
        self.lease(5, 200)
        code, printed, errors = running.end()
        self.assertEqual((code, errors), (DONE, []))
        node = {'node': 'n1', 'revision': 3, 'digest': digest, 'state': 'running', 'lease': 5, 'time': 'T',
                'alive': True, 'current': True}
        self.assertEqual(json.loads(printed),
                         {'prefix': 'app/', 'revision': 3, 'digest': digest, 'keys': 1, 'nodes': [node]})

    def test_nobody_tells(self):
        running = self.start('config', 'status', '--prefix', 'app/', '--timeout', '700',
                             servers=[refusing_name(), self.server.name])
        self.opened(put('a', 3, '1', state=True), synced(4), progress(4), what=self.what)
        code, printed, errors = running.end()
        self.assertEqual((code, printed), (UNAVAILABLE, ''))
        self.assertIn('no server has told the newest configuration in time', errors[0])
        running = self.start('config', 'status', '--prefix', 'app/')
        self.call('GET', self.what).answer(400, {'detail': 'what?'})
        self.assertEqual(running.end()[0], REFUSED)


if __name__ == '__main__':
    fake_server.main(sys.argv)
