#!/usr/bin/env python3
"""kvd topic before a scripted server: what is sent and printed, and how kvd topic tail goes on at the next server. What
it shares with kvd queue is tested there. Usage: topic_commands_test.py KVD"""
import json
import signal
import sys

import fake_server
from fake_server import ClientTest, FakeServer, refusing_name

DONE, NOTHING, REFUSED, IO_ERROR = 0, 1, 65, 74
NO_TOPIC = {'type': 'urn:kvd:no-topic', 'detail': 'there is no topic t', 'outcome': 'not-applied'}
TOPIC = {'name': 't', 'messages': 5, 'bytes': 7, 'subscriptions': 2, 'first': '3'}
SUBSCRIPTION = {'topic': 't', 'name': 's', 'behind': 4, 'ready': 3, 'in_flight': 1, 'dead': 2, 'gaps': 0}
GAP = {'after': '3', 'last': '7'}
GAP_TOLD = 'kvd: a gap: what was behind message 3, up to 7, is gone'
# Command lines, what is asked, and what the answer leads to.
WRITES = {
    ('rm', 'a/b'): ('DELETE', '/v1/topics/a%2Fb', b'', (204,), ''),
    ('publish', 't', 'x', '--group', 'g h', '--dedup', 'd'):
        ('POST', '/v1/topics/t/messages?group=g%20h&dedup=d', b'x', (200, {'id': '5', 'duplicate': True}), '5\n'),
    ('publish', 't', '--lines'): ('POST', '/v1/topics/t/messages', b'', (201, {'ids': ['5']}), '5\n'),
    ('unsubscribe', 't', 'a b'): ('DELETE', '/v1/topics/t/subscriptions/a%20b', b'', (204,), ''),
    ('seek', 't', 's', '90.1'):
        ('POST', '/v1/topics/t/subscriptions/s/seek?to=90.1', b'', (200, {'cursor': '90.1', 'revision': 9}), '9\n'),
    ('seek', 't', 's', '--since', '5'):
        ('POST', '/v1/topics/t/subscriptions/s/seek?time=5', b'', (200, {'revision': 9}), '9\n'),
    ('kick', 't', 's'):
        ('POST', '/v1/topics/t/subscriptions/s/kick?state=dead&max=16384', b'', (200, {'moved': 3}), '3\n'),
}
READS = {
    ('ls', 'a'): ('/v1/topics?limit=10000&prefix=a', {'topics': [TOPIC]}, 't\t5\t7\t2\n'),
    ('subscriptions', 't', '--linear'):
        ('/v1/topics/t/subscriptions?limit=10000&read=linear', {'subscriptions': [SUBSCRIPTION]}, 's\t4\t1\t2\t0\n'),
    ('stats', 't'): ('/v1/topics/t', {'name': 't', 'messages': 5}, 'name\tt\nmessages\t5\n'),
    ('stats', 't', 's'): ('/v1/topics/t/subscriptions/s', {'name': 's'}, 'name\ts\n'),
    ('peek', 't', 's'): ('/v1/topics/t/subscriptions/s/messages?limit=10000&state=ready',
                         {'messages': [{'id': '7', 'body': 'x'}]}, '{"id":"7","body":"x"}\n'),
    ('read', 't', '--since', '5', '--limit', '3'):
        ('/v1/topics/t/messages?limit=3&time=5', {'messages': [{'id': '7', 'body': 'x'}]}, '{"id":"7","body":"x"}\n'),
}


def message(number, **more):
    return {'message': {'id': str(number), **more}}


class TopicCommands(ClientTest):
    def topic(self, action, *rest, **options):
        return self.run_alone('topic', action, '--servers', self.server.name, *rest, **options)

    def test_what_is_sent_and_printed(self):
        for arguments, (method, target, body, answer, printed) in WRITES.items():
            with self.subTest(arguments):
                running = self.topic(*arguments)
                if '--lines' in arguments:
                    running.tell('x')
                    body = b'{"body":"x"}\n'
                    running.process.stdin.close()
                    running.process.stdin = None
                self.asked_in_time(method, target, body).answer(*answer)
                self.assertEqual(self.ends(running, DONE, printed), [])
        self.check_commands(self.topic, self.asked_in_time, {}, READS)

    def test_what_is_made(self):
        bounds = {'dedup_window': 300_000, 'max_messages': 0, 'max_bytes': 65_536, 'max_age': 0, 'discard': 'old'}
        subscription = {'ttr': 500, 'max_deliveries': 20, 'backoff': [1, 2], 'dead_letter': 'd', 'max_in_flight': 4096,
                        'ordered': True, 'expires': 0}
        made = ('subscribe', 't', 's', '--ttr', '500', '--backoff', '1,2', '--dead-letter', 'd', '--ordered')
        for arguments, path, body in (
                (('make', 't', '--max-bytes', '64K', '--discard', 'old'), '/v1/topics/t', bounds),
                (made, '/v1/topics/t/subscriptions/s', {**subscription, 'from': 'now'}),
                ((*made, '--from', '7'), '/v1/topics/t/subscriptions/s', {**subscription, 'from': '7'}),
                ((*made, '--since', '7'), '/v1/topics/t/subscriptions/s', {**subscription, 'from': {'time': 7}})):
            running = self.topic(*arguments)
            exchange = self.asked_in_time('PUT', path, None)
            self.assertEqual(json.loads(exchange.body), body)
            exchange.answer(201, {'revision': 3})
            self.ends(running, DONE, '3\n')

    def test_a_topic_is_read_page_by_page(self):
        running = self.topic('read', 't', '--from', '2', '--limit', '3')
        link = '</v1/topics/t/messages?limit=3&after=7.1>; rel="next"'
        self.asked_in_time('GET', '/v1/topics/t/messages?limit=3&after=2').answer(
            200, {'messages': [{'id': '7'}, {'id': '7.1'}], 'gap': GAP}, {'Link': link, 'Kvd-Revision': '9'})
        self.asked_in_time('GET', '/v1/topics/t/messages?limit=1&min_rev=9&after=7.1').answer(
            200, {'messages': [{'id': '8'}]}, {'Link': link, 'Kvd-Revision': '9'})
        errors = self.ends(running, DONE, '{"id":"7"}\n{"id":"7.1"}\n{"id":"8"}\n')
        self.assertEqual(errors, [GAP_TOLD])

    def test_a_gap_alone_is_no_message(self):
        running = self.topic('receive', 't', 's')
        exchange = self.asked_in_time('POST', '/v1/topics/t/subscriptions/s/receive?max=1', keyed=False)
        exchange.answer(200, {'messages': [], 'gap': GAP})
        self.assertEqual(self.ends(running, NOTHING, says='there is no message')[0], GAP_TOLD)
        running = self.topic('receive', 't', 's', '--wait', '60000')
        self.server.next().answer(200, {'messages': [], 'gap': GAP})
        self.server.next().answer(200, {'messages': [{'id': '8', 'body': 'x'}]})
        self.assertEqual(self.ends(running, DONE, 'x'), [GAP_TOLD])

    def test_work_on_a_subscription(self):
        running = self.topic('work', 't', 's', '--exec',
                             'echo "$KVD_QUEUE" $KVD_TOPIC $KVD_SUBSCRIPTION $KVD_MESSAGE_ID; cat')
        path = '/v1/topics/t/subscriptions/s'
        exchange = self.server.next()
        self.assertEqual(exchange.target.partition('?')[0], path)
        exchange.answer(404, NO_TOPIC)
        self.assertIn('subscription s of topic t: the server says 404', running.error_line())
        self.server.next().answer(200, {'name': 's', 'ttr': 30_000})
        exchange = self.server.next()
        self.assertEqual(exchange.target.partition('?')[0], path + '/receive')
        exchange.answer(200, {'messages': [{'id': '8', 'receipt': 9, 'attempt': 1, 'body': 'x\n'}], 'gap': GAP})
        self.assertEqual(running.error_line(), GAP_TOLD)
        self.assertEqual((running.line(), running.line()), (' t s 8', 'x'))
        exchange = self.server.next()
        self.assertEqual(exchange.target.partition('?')[0], path + '/settle')
        self.assertEqual(json.loads(exchange.body), {'ack': [{'id': '8', 'receipt': 9}]})
        exchange.answer(200, {'results': ['ok']})
        self.server.next()
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[0], DONE)


class TopicTail(ClientTest):
    def tail(self, *flags, servers=None):
        names = ','.join(servers or [self.server.name])
        return self.run_alone('topic', 'tail', 't', '--servers', names, *flags)

    def streamed(self, place, *lines, server=None):
        """The next request, for what is behind that place, is answered with these lines."""
        exchange = (server or self.server).next()
        self.assertEqual((exchange.method, exchange.target), ('GET', f'/v1/topics/t/stream?{place}'))
        return exchange.stream(*lines)

    def stops(self, running, output='', number=signal.SIGTERM):
        running.send(number)
        code, printed, errors = running.end()
        self.assertEqual((code, printed), (DONE, output), errors)
        return errors

    def lines_are(self, running, *lines):
        self.assertEqual([json.loads(running.line()) for _ in lines], list(lines))

    def test_where_it_begins(self):
        for flags, place in (((), 'after=now'), (('--from', 'first'), 'after=first'), (('--from', '7.1'), 'after=7.1'),
                             (('--since', '5'), 'time=5')):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                running = self.tail(*flags)
                self.streamed(place, message(8, sent_ms=5, body='a\nb'))
                self.lines_are(running, {'id': '8', 'sent_ms': 5, 'body': 'a\nb'})
                self.assertEqual(self.stops(running, number=number), [])

    def test_it_goes_on_behind_what_was_said_and_prints_nothing_twice(self):
        """Each time the connection is closed behind these lines."""
        running = self.tail()
        for place, lines, printed in (
                ('after=now', [], []),
                ('after=now', [{'progress': '3'}], []),
                ('after=3', [message(4), message(4), message(2), {'news': 1}, message('4.1')], ['4', '4.1']),
                ('after=4.1', [message(4), {'gap': {'after': '4.1', 'last': '7'}}, message(7), message(10)], ['10']),
                ('after=10', [{'progress': '9'}, {'state': 'stopping'}], []),
                ('after=10', [{'progress': '11'}, {'state': 'lost', 'reason': 'no topic'}], []),
                ('after=11', [message(12), {'message': {'id': 'nonsense'}}, message(13)], ['12'])):
            exchange = self.streamed(place, *lines)
            self.lines_are(running, *({'id': number} for number in printed))
            exchange.close()
        self.streamed('after=12', message(14))
        self.lines_are(running, {'id': '14'})
        errors = self.stops(running)
        self.assertIn('kvd: a gap: what was behind message 4.1, up to 7, is gone', errors)
        self.assertIn('kvd: the server cannot go on (no topic); trying on', errors)

    def test_the_next_server(self):
        other = FakeServer()
        self.addCleanup(other.close)
        running = self.tail(servers=[refusing_name(), self.server.name, other.name])
        self.server.next().answer(404, NO_TOPIC)  # it may be made yet
        self.streamed('after=now', {'progress': '3'}, server=other).close()
        self.assertIn('connection refused; trying on', running.error_line())
        self.assertEqual(running.error_line(), 'kvd: the server says 404: there is no topic t; trying on')
        self.server.next().answer(500, b'')
        self.streamed('after=3', message(5), server=other)
        self.lines_are(running, {'id': '5'})
        self.stops(running)

    def test_a_server_that_knows_less(self):
        running = self.tail()
        exchange = self.server.next()
        exchange.connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKvd-Complete: false\r\n\r\n')
        self.assertEqual(running.error_line(), "kvd: this server's copy may lack messages")
        exchange.say({'state': 'stale', 'silent_ms': 400})
        self.assertEqual(running.error_line(), 'kvd: the server does not hear the leader: others may know more')
        exchange.say({'state': 'current'}, message(5))
        self.lines_are(running, {'id': '5'})
        self.stops(running)

    def test_a_refusal_ends_it(self):
        for status in (400, 403, 404):
            running = self.tail()
            self.server.next().answer(status, {'detail': 'no'})
            self.ends(running, REFUSED, says=str(status))

    def test_nobody_reads(self):
        running = self.tail()
        self.streamed('after=now')
        running.process.stdout.close()
        self.assertEqual((running.process.wait(fake_server.DEADLINE_S), running.process.stderr.read()), (IO_ERROR, ''))


if __name__ == '__main__':
    fake_server.main(sys.argv)
