#!/usr/bin/env python3
"""kvd queue before a scripted server, but for its work: what is sent and printed, what is sent again, and which exit
code the answers lead to. Usage: queue_commands_test.py KVD"""
import base64
import json
import sys
from urllib.parse import parse_qs, urlsplit

import fake_server
from fake_server import DEADLINE_S, ClientTest

DONE, NOTHING, REFUSED, UNAVAILABLE, UNKNOWN = 0, 1, 65, 69, 75
NO_QUEUE = {'type': 'urn:kvd:no-queue', 'detail': 'there is no queue q', 'outcome': 'not-applied'}
QUEUE = {'name': 'q', 'ready': 1, 'delayed': 2, 'in_flight': 3, 'dead': 4, 'backoff': [5, 6]}
# Command lines, what is asked, and what the answer leads to.
WRITES = {
    ('rm', 'a/b'): ('DELETE', '/v1/queues/a%2Fb', b'', (204,), ''),
    ('rm', 'q', '--if-empty'): ('DELETE', '/v1/queues/q?if_empty=1', b'', (204,), ''),
    ('send', 'q', 'x'): ('POST', '/v1/queues/q/messages', b'x', (201, {'id': '7', 'revision': 7}), '7\n'),
    ('send', 'q', 'x', '--delay', '5', '--priority', '0', '--max-age', '6', '--dedup', 'a b'):
        ('POST', '/v1/queues/q/messages?priority=0&delay=5&max_age=6&dedup=a%20b', b'x',
         (200, {'id': '5', 'duplicate': True}), '5\n'),
    ('kick', 'q'): ('POST', '/v1/queues/q/kick?state=dead&max=16384', b'', (200, {'moved': 3}), '3\n'),
    ('kick', 'q', '--to', 'p/q', '--max', '2', '--state', 'delayed'):
        ('POST', '/v1/queues/q/kick?state=delayed&max=2&to=p%2Fq', b'', (200, {'moved': 0}), '0\n'),
    ('purge', 'q', '--all'): ('DELETE', '/v1/queues/q/messages?state=all', b'',
                              (200, {'purged': 3, 'more': False}), '3\n'),
}
READS = {
    ('peek', 'q'): ('/v1/queues/q/messages?limit=10000&state=ready', {'messages': [{'id': '7', 'body': 'x'}]},
                    '{"id":"7","body":"x"}\n'),
    ('peek', 'q', '--state', 'in_flight', '--linear'):
        ('/v1/queues/q/messages?limit=10000&state=in_flight&read=linear', {'messages': []}, ''),
    ('ls', 'a&b'): ('/v1/queues?limit=10000&prefix=a%26b', {'queues': [QUEUE]}, 'q\t1\t2\t3\t4\n'),
    ('stats', 'q', '--min-rev', '5'):
        ('/v1/queues/q?min_rev=5', QUEUE, 'name\tq\nready\t1\ndelayed\t2\nin_flight\t3\ndead\t4\nbackoff\t5,6\n'),
}


def message(number, body='x', **more):
    return {'id': str(number), 'receipt': number + 100, 'attempt': 1, 'body': body, **more}


class QueueCommands(ClientTest):
    def queue(self, action, *rest, servers=1, **options):
        """With the same server so many times."""
        return self.run_alone('queue', action, '--servers', ','.join([self.server.name] * servers), *rest, **options)

    def received(self, target='/v1/queues/q/receive?max=1'):
        return self.asked_in_time('POST', target, keyed=False)

    def test_what_is_sent_and_printed(self):
        self.check_commands(self.queue, self.asked_in_time, WRITES, READS)

    def test_a_queue_that_is_made(self):
        running = self.queue('make', 'q', '--ttr', '500', '--backoff', '1,2', '--dead-letter', 'd', '--order', 'fifo')
        exchange = self.asked_in_time('PUT', '/v1/queues/q', None)
        self.assertEqual(json.loads(exchange.body), {
            'ttr': 500, 'max_deliveries': 20, 'backoff': [1, 2], 'dead_letter': 'd', 'dedup_window': 300_000,
            'max_messages': 0, 'max_bytes': 0, 'max_age': 0, 'max_in_flight': 16_384, 'order': 'fifo',
            'discard': 'none'})
        exchange.answer(201, {'name': 'q', 'revision': 3})
        self.ends(running, DONE, '3\n')

    def test_the_type_of_a_message(self):
        for flags, told in (([], None), (['--type', 'text/plain; a=b'], 'text/plain; a=b')):
            running = self.queue('send', 'q', 'x', *flags)
            exchange = self.asked_in_time('POST', '/v1/queues/q/messages', b'x')
            self.assertEqual(exchange.headers.get('content-type'), told)
            exchange.answer(201, {'id': '7'})
            self.ends(running, DONE, '7\n')

    def batch(self):
        """The next one, and its bodies."""
        exchange = self.asked_in_time('POST', '/v1/queues/q/messages', None)
        self.assertEqual(exchange.headers['content-type'], 'application/x-ndjson')
        lines = [json.loads(line) for line in exchange.body.decode().splitlines()]
        return exchange, lines

    def test_lines_are_sent_as_they_come(self):
        running = self.queue('send', 'q', '--lines', '--priority', '7', '--group', 'g', '--type', 't')
        running.tell('one')
        exchange, lines = self.batch()
        self.assertEqual(lines, [{'body': 'one', 'priority': 7, 'group': 'g', 'type': 't'}])
        exchange.answer(201, {'ids': ['5'], 'revision': 5})
        self.assertEqual(running.line(), '5')
        running.process.stdin.write('\ntwo\nno end')
        running.process.stdin.close()
        running.process.stdin = None
        bodies = []
        while len(bodies) < 3:
            exchange, lines = self.batch()
            bodies += [line['body'] for line in lines]
            exchange.answer(201, {'ids': ['6'] * len(lines)})
        self.assertEqual(bodies, ['', 'two', 'no end'])
        code, output, errors = running.end()
        self.assertEqual((code, output.count('\n'), errors), (DONE, 3, []))

    def test_many_lines_and_bytes_that_are_no_text(self):
        path = self.write('lines', b''.join(b'%d\xff\n' % i for i in range(3000)))
        with open(path, 'rb') as file:
            running = self.queue('send', 'q', '--lines', stdin=file)
        bodies = []
        keys = set()
        while len(bodies) < 3000:
            exchange, lines = self.batch()
            self.assertLessEqual(len(lines), 1024)
            bodies += [base64.b64decode(line['body_b64']) for line in lines]
            keys.add(exchange.headers['idempotency-key'])
            exchange.answer(201, {'ids': [str(len(bodies))] * len(lines)})
        self.assertEqual(bodies, [b'%d\xff' % i for i in range(3000)])
        self.assertGreaterEqual(len(keys), 3)
        code, output, _ = running.end()
        self.assertEqual((code, output.count('\n')), (DONE, 3000))

    def test_lines_that_are_cut_off(self):
        running = self.queue('send', 'q', '--lines')
        running.tell('one')
        exchange, _ = self.batch()
        exchange.answer(201, {'ids': ['5']})
        self.assertEqual(running.line(), '5')
        running.tell('two')
        exchange, _ = self.batch()
        exchange.answer(507, {'detail': 'full', 'outcome': 'not-applied'})
        self.ends(running, UNAVAILABLE, says='507: full (1 messages were sent before that)')

    def test_later_pages(self):
        for arguments, target, pages, after in (
                (('peek', 'q'), '/v1/queues/q/messages?limit=10000&state=ready',
                 [{'messages': [message(7)]}, {'messages': [message(8)]}], '7.1'),
                (('peek', 'q'), '/v1/queues/q/messages?limit=10000&state=ready',
                 [{'messages': []}, {'messages': [message(8)]}], '7'),
                (('ls', '--json'), '/v1/queues?limit=10000', [{'queues': [{**QUEUE, 'name': 'a b'}]},
                                                             {'queues': []}], 'a%20b')):
            running = self.queue(*arguments)
            next_page = {'Link': f'<{target}&after={after}>; rel="next"', 'Kvd-Revision': '9'}
            self.asked_in_time('GET', target).answer(200, pages[0], next_page)
            self.asked_in_time('GET', f'{target}&min_rev=9&after={after}').answer(200, pages[1], {'Kvd-Revision': '9'})
            items = [item for page in pages for item in next(iter(page.values()))]
            self.ends(running, DONE, ''.join(json.dumps(item, separators=(',', ':')) + '\n' for item in items))

    def test_purging_goes_on_until_there_is_no_more(self):
        running = self.queue('purge', 'q', '--state', 'dead')
        keys = set()
        for purged, more in ((16384, True), (5, False)):
            exchange = self.asked_in_time('DELETE', '/v1/queues/q/messages?state=dead')
            keys.add(exchange.headers['idempotency-key'])
            exchange.answer(200, {'purged': purged, 'more': more})
        self.ends(running, DONE, '16389\n')
        self.assertEqual(len(keys), 2)

    def test_a_queue_that_is_not_there(self):
        for arguments in (('receive', 'q'), ('stats', 'q'), ('peek', 'q'), ('rm', 'q'), ('kick', 'q'),
                          ('purge', 'q', '--all')):
            with self.subTest(arguments):
                running = self.queue(*arguments)
                self.server.next().answer(404, NO_QUEUE)
                self.ends(running, NOTHING, says='there is no queue q')
        running = self.queue('receive', 'q')
        self.received().answer(404, {'type': 'urn:kvd:no-such-path', 'detail': 'an older version'})
        self.ends(running, REFUSED, says='404')

    # ---- what is received ----

    def test_a_message_is_written_byte_by_byte(self):
        running = self.queue('receive', 'q')
        self.received().answer(200, {'messages': [{'id': '7', 'receipt': 8, 'attempt': 1, 'body_b64': 'AP8K'}]})
        output = running.process.stdout.buffer.read()
        self.assertEqual(output, b'\0\xff\n')
        self.ends(running, DONE)

    def test_messages_as_lines(self):
        for flags, most in ((['--json'], 1), (['--max', '3'], 3)):
            running = self.queue('receive', 'q', *flags)
            self.received(f'/v1/queues/q/receive?max={most}').answer(200, {'messages': [message(7, 'a\nb')]})
            self.ends(running, DONE, '{"id":"7","receipt":107,"attempt":1,"body":"a\\nb"}\n')

    def test_nothing_in_time(self):
        running = self.queue('receive', 'q')
        self.received().answer(204)
        self.ends(running, NOTHING, says='there is no message')
        running = self.queue('receive', 'q')
        self.received().answer(200, {'messages': []})
        self.ends(running, NOTHING, says='there is no message')

    def waited(self):
        """A receive that waits: how long, and how long the server has beside that, in ms."""
        exchange = self.server.next()
        asked = parse_qs(urlsplit(exchange.target).query)
        return exchange, int(asked['wait'][0]), int(asked['timeout'][0])

    def test_the_wait_is_shared_out_and_asked_for_again(self):
        running = self.queue('receive', 'q', '--wait', '60000', '--timeout', '4000', servers=2)
        exchange, wait, timeout = self.waited()
        # Half of each of two servers' shares of 64 s.
        self.assertTrue(0 < wait <= 16_000 and 0 < timeout <= 14_400, (wait, timeout))
        exchange.answer(204)
        exchange, again, _ = self.waited()
        self.assertLessEqual(again, 16_000)
        exchange.close()
        exchange, _, _ = self.waited()
        exchange.answer(200, {'messages': [message(7, 'late')]})
        self.ends(running, DONE, 'late')

    def test_a_server_that_does_not_wait(self):
        running = self.queue('receive', 'q', '--wait', '300')
        while running.process.poll() is None:
            try:
                self.server.exchanges.get(timeout=0.05).answer(204)
            except fake_server.queue.Empty:
                pass
        self.ends(running, NOTHING, says='there is no message')

    def acknowledged(self, *messages):
        exchange = self.asked_in_time('POST', '/v1/queues/q/settle', None)
        told = [{'id': str(number), 'receipt': number + 100} for number in messages]
        self.assertEqual(json.loads(exchange.body), {'ack': told})
        return exchange

    def test_messages_are_done_once_they_were_written(self):
        running = self.queue('receive', 'q', '--max', '2', '--ack')
        self.received('/v1/queues/q/receive?max=2').answer(200, {'messages': [message(7), message(8)]})
        exchange = self.acknowledged(7, 8)
        self.assertEqual(json.loads(running.line())['id'], '7')
        key = exchange.headers['idempotency-key']
        exchange.close()
        exchange = self.acknowledged(7, 8)
        self.assertEqual(exchange.headers['idempotency-key'], key)
        exchange.answer(200, {'results': ['ok', 'gone'], 'revision': 9})
        self.ends(running, DONE, '{"id":"8","receipt":108,"attempt":1,"body":"x"}\n')

    def test_what_is_not_told_done_may_come_again(self):
        for answer in ((200, {'results': ['stale']}), (400, {'detail': 'no'}), (404, NO_QUEUE), (200, b'<html>')):
            running = self.queue('receive', 'q', '--ack')
            self.received().answer(200, {'messages': [message(7)]})
            self.acknowledged(7).answer(*answer)
            self.ends(running, UNKNOWN, 'x', says='may come again')

    def test_what_nobody_reads_is_not_done(self):
        with open('/dev/full', 'wb') as full:
            running = self.queue('receive', 'q', '--ack', stdout=full)
        self.received().answer(200, {'messages': [message(7)]})
        self.assertEqual(running.process.wait(DEADLINE_S), 74)
        self.assertTrue(self.server.exchanges.empty())

    def test_an_answer_that_is_lost(self):
        running = self.queue('receive', 'q', '--timeout', '1000')
        self.received()
        self.ends(running, UNKNOWN, says='silent')


if __name__ == '__main__':
    fake_server.main(sys.argv)
