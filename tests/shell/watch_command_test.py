#!/usr/bin/env python3
"""kvd watch before a scripted server: what it asks, what it prints of each line, from where it goes on at the next
server, and with which exit code it ends. Usage: watch_command_test.py KVD"""
import json
import signal
import sys

import fake_server
from fake_server import ClientTest, FakeServer, refusing_name

DONE, REFUSED, UNAVAILABLE, IO_ERROR = 0, 65, 69, 74
GONE = {'status': 410, 'detail': 'no longer kept'}


def put(key, revision, value=None, **more):
    return {'type': 'put', 'key': key, **({} if value is None else {'value': value}), 'revision': revision, **more}


def progress(revision, **more):
    return {'type': 'progress', 'revision': revision, **more}


def synced(revision):
    return {'type': 'synced', 'revision': revision}


def reset(revision, reason):
    return {'type': 'reset', 'revision': revision, 'reason': reason}


def gone(revision, oldest, reason):
    return {'type': 'gone', 'revision': revision, 'oldest': oldest, 'reason': reason}


def target(what='key=a', since=None, state=False):
    return f'/v1/watch?{what}' + (f'&since={since}' if since else '') + ('&state=1' if state else '') + '&values=0'


class WatchCommand(ClientTest):
    def asked(self, what, server=None):
        exchange = (server or self.server).next()
        self.assertEqual((exchange.method, exchange.target), ('GET', what))
        return exchange

    def opened(self, what, *lines, revision=5, server=None):
        """The next request is answered with a stream, whose head says that it begins at `revision`."""
        exchange = self.asked(what, server)
        exchange.connection.sendall(
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKvd-Revision: %d\r\n\r\n' % revision)
        return exchange.say(*lines)

    def lines_are(self, running, *lines):
        self.assertEqual([running.line() for _ in lines], list(lines))

    def stops(self, running, output=''):
        """By a signal, having printed that besides."""
        running.send(signal.SIGTERM)
        code, printed, errors = running.end()
        self.assertEqual((code, printed), (DONE, output), errors)
        return errors

    def ends(self, running, code, output='', says=''):
        ended, printed, errors = running.end()
        self.assertEqual((ended, printed), (code, output), errors)
        self.assertIn(says, ' '.join(errors))

    def test_what_is_asked(self):
        for arguments, what in {
                ('a b',): '/v1/watch?key=a%20b&values=0',
                ('a', '--values'): '/v1/watch?key=a',
                ('--prefix', 'a&b/', '--since', '7', '--state'): '/v1/watch?prefix=a%26b%2F&since=7&state=1&values=0',
                ('--json', '--linear'): '/v1/watch?prefix=&values=0&read=linear'}.items():
            with self.subTest(arguments):
                running = self.start('watch', *arguments)
                self.opened(what, put('a', 6))
                running.line()
                self.assertEqual(self.stops(running), [])

    def test_what_is_printed(self):
        lines = [put('a', 6, 'x'), put('b', 7, '', more=True), {'type': 'delete', 'key': 'a', 'revision': 7},
                 {'type': 'expire', 'key': 'b', 'revision': 8},
                 {'type': 'stale', 'silent_ms': 5}, {'type': 'current', 'revision': 7}, progress(8),
                 {'type': 'waiting', 'revision': 8}, {'type': 'later', 'revision': 8}, put('last', 9, 'y')]
        for flags, printed in {
                (): ['6\tput\ta', '7\tput\tb', '7\tdelete\ta', '8\texpire\tb', '9\tput\tlast'],
                ('--values',): ['6\tput\ta\tx', '7\tput\tb\t', '7\tdelete\ta\t', '8\texpire\tb\t',
                                '9\tput\tlast\ty'],
                ('--json', '--values'): [json.dumps(line) for line in lines]}.items():
            with self.subTest(flags):
                running = self.start('watch', '--prefix', 'a', *flags)
                self.opened('/v1/watch?prefix=a' + ('' if '--values' in flags else '&values=0'), *lines)
                self.lines_are(running, *printed)
                self.stops(running)
        running = self.start('watch', 'a', '-0', '--values')
        self.opened('/v1/watch?key=a', put('a\nb', 6, 'x\ty'), put('end', 7, '\n'))
        self.lines_are(running, '6\0put\0a', 'b\0x\ty\x007\0put\0end\0')
        self.stops(running, '\0')

    def test_how_far_it_is(self):
        running = self.start('watch', 'a', '--linear', '--values')
        self.opened('/v1/watch?key=a&read=linear', progress(6), progress(7, linear=True))
        self.lines_are(running, '7\tprogress\t\t')
        self.stops(running)

    def test_the_state(self):
        running = self.start('watch', 'a', '--state')
        self.opened(target(state=True), put('a', 3, state=True), synced(5),
                    put('a', 6), reset(9, 'history'), put('a', 9, state=True),
                    synced(9))
        self.lines_are(running, '3\tput\ta', '5\tsynced\t', '6\tput\ta', '9\treset\t', '9\tput\ta', '9\tsynced\t')
        self.stops(running)

    def test_it_goes_on_behind_the_last_line_that_was_whole(self):
        """Each time the connection is closed behind these lines."""
        running = self.start('watch', '--prefix', 'a')
        for at, lines, printed in (
                (None, [], []),                                       # from where the head says that it begins
                (5, [put('a', 6)], ['6\tput\ta']),
                (6, [progress(8)], []),
                (8, [put('a', 9, more=True)], []),                    # it comes again
                (8, [put('a', 9, more=True), put('ab', 9)], ['9\tput\ta', '9\tput\tab']),
                (9, [{'type': 'current', 'revision': 12}, {'type': 'waiting', 'revision': 12}], []),
                (9, [put('a', 13)], ['13\tput\ta'])):
            exchange = self.opened(target('prefix=a', at), *lines)
            self.lines_are(running, *printed)
            exchange.close()
        self.assertTrue(self.stops(running)[0].endswith('; trying on'))

    def test_a_state_that_is_cut_off_begins_again(self):
        as_json = '{"type":"reset","revision":6,"reason":"connection"}'
        for flags, told in (((), '6\treset\t'), (('--json',), as_json)):
            running = self.start('watch', 'a', '--state', *flags)
            self.opened(target(state=True)).close()  # nothing was printed that would have to be taken back
            exchange = self.opened(target(state=True), put('a', 3, state=True))
            running.line()
            exchange.close()
            exchange = self.opened(target(state=True), put('a', 6, state=True), synced(6), revision=6)
            self.assertEqual(running.line(), told)
            running.line()
            running.line()
            exchange.close()
            self.opened(target(since=6, state=True), put('a', 7))
            running.line()
            self.stops(running)

    def test_between_a_reset_and_its_end_it_begins_again(self):
        running = self.start('watch', 'a', '--state', '--since', '5')
        exchange = self.opened(target(since=5, state=True), put('a', 6), reset(9, 'copy'),
                               put('a', 9, more=True, state=True))
        self.lines_are(running, '6\tput\ta', '9\treset\t')
        exchange.close()
        self.opened(target(state=True), put('a', 9, state=True), revision=9)
        self.lines_are(running, '9\tput\ta')
        self.stops(running)

    def test_a_server_that_cannot_go_on_leads_to_another(self):
        other = FakeServer()
        self.addCleanup(other.close)
        running = self.start('watch', 'a', servers=[self.server.name, other.name])
        self.opened(target(), put('a', 6), gone(9, 2, 'stopping'))
        self.lines_are(running, '6\tput\ta')
        self.asked(target(since=6), other).answer(503, {'detail': 'no copy yet'})
        self.asked(target(since=6)).answer(410, GONE)
        self.opened(target(since=6), put('a', 7), gone(9, 8, 'history'),
                    server=other)
        self.lines_are(running, '7\tput\ta')
        self.asked(target(since=7)).answer(410, GONE)
        self.asked(target(since=7), other).answer(410, GONE)
        self.ends(running, UNAVAILABLE, says='410: no longer kept')

    def test_what_was_told_may_not_be_so(self):
        for reason in ('lineage', 'copy'):
            running = self.start('watch', 'a', servers=[self.server.name, refusing_name()])
            self.opened(target(), gone(9, 9, reason))
            self.ends(running, UNAVAILABLE, says=f'({reason}): read what is there')

    def test_a_refusal_ends_it(self):
        for status in (400, 403, 404):
            running = self.start('watch', 'a')
            self.asked(target()).answer(status, {'detail': 'no'})
            self.ends(running, REFUSED, says=str(status))

    def test_it_waits_for_servers(self):
        running = self.start('watch', 'a', servers=[refusing_name(), self.server.name])
        self.asked(target()).answer(503, {'detail': 'not now'})
        self.asked(target()).answer(500, b'')
        self.asked(target()).answer(200, b'not JSON\n', {'Kvd-Revision': '5'})
        self.asked(target(since=5)).answer(200, json.dumps(put('a', 6)) + '\n', {'Kvd-Revision': '5'})
        self.lines_are(running, '6\tput\ta')
        running.send(signal.SIGINT)
        code, printed, errors = running.end()
        self.assertEqual((code, printed), (DONE, ''))
        self.assertIn('connection refused; trying on', errors[0])

    def test_a_copy_that_lacks_keys_and_a_server_without_a_leader_are_told(self):
        running = self.start('watch', 'a', '--state')
        exchange = self.asked(target(state=True))
        exchange.connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKvd-Revision: 5\r\n'
                                    b'Kvd-Complete: false\r\n\r\n')
        self.assertEqual(running.error_line(), "kvd: this server's copy may lack keys")
        exchange.say({'type': 'stale', 'silent_ms': 400})
        self.assertEqual(running.error_line(), 'kvd: the server does not hear the leader: others may know more')
        self.stops(running)

    def test_nobody_reads(self):
        running = self.start('watch', 'a')
        self.opened(target())
        running.process.stdout.close()
        self.assertEqual((running.process.wait(fake_server.DEADLINE_S), running.process.stderr.read()), (IO_ERROR, ''))

    def test_long_lines(self):
        """Longer than what any other stream has, in pieces, with others behind it."""
        running = self.start('watch', 'a', '--values')
        exchange = self.opened('/v1/watch?key=a')
        text = (json.dumps(put('a', 6, 'x' * (9 << 20))) + '\n' + json.dumps(put('a', 7, 'y')) + '\n').encode()
        for begin in range(0, len(text), 1 << 20):
            exchange.chunk(text[begin:begin + (1 << 20)])
        head = running.process.stdout.read(8 + (9 << 20))
        self.assertEqual(head, '6\tput\ta\t' + 'x' * (9 << 20))
        self.assertEqual(running.process.stdout.readline() + running.process.stdout.readline(), '\n7\tput\ta\ty\n')
        self.stops(running)


if __name__ == '__main__':
    fake_server.main(sys.argv)
