#!/usr/bin/env python3
"""The store's commands before a scripted server: what is sent, what is sent again and with which idempotency key, and
which exit code the answers lead to. Usage: store_commands_test.py KVD"""
import sys

import fake_server
from fake_server import ClientTest, FakeServer, refusing_name

DONE, MISSING, REFUSED, UNAVAILABLE, UNKNOWN = 0, 1, 65, 69, 75
NOT_APPLIED = {'detail': 'no', 'outcome': 'not-applied'}
PERHAPS = {'detail': 'perhaps', 'outcome': 'unknown'}
WRITES = {
    ('put', 'a b', 'x'): ('PUT', '/v1/kv/a%20b', b'x', (200, {'revision': 7}), '7\n'),
    ('add', 'a/b', '-2'): ('POST', '/v1/kv/a/b?add=-2', b'', (200, {'value': -2}), '-2\n'),
    ('del', 'a'): ('DELETE', '/v1/kv/a', b'', (204,), '1\n'),
    ('del', '--prefix', 'a&b'): ('DELETE', '/v1/kv?limit=10000&prefix=a%26b', b'',
                                 (200, {'deleted': 3, 'more': False}), '3\n'),
    ('put', 'a', '', '--if-rev', '5', '--fence', 'l/k:7'): ('PUT', '/v1/kv/a?fence=l%2Fk%3A7', b'',
                                                            (201, {'revision': 8}), '8\n'),
}
READS = {
    ('get', 'a'): ('/v1/kv/a', (200, b'of a'), 'of a'),
    ('get', 'a', '--linear', '--min-rev', '5'): ('/v1/kv/a?read=linear&min_rev=5', (200, b''), ''),
    ('get', 'a', '--json'): ('/v1/kv?limit=1&prefix=a', (200, {'revision': 7, 'items': [{'key': 'a'}]}),
                             '{"key":"a"}\n'),
    ('ls', 'a'): ('/v1/kv?limit=10000&keys=true&prefix=a',
                  (200, {'revision': 7, 'items': [{'key': 'a'}, {'key': 'a2'}]}), 'a\na2\n'),
}
# What an addition ends with when it is answered so, at once, or behind a try that may have been done.
REFUSALS = [
    (400, NOT_APPLIED, REFUSED, UNKNOWN),
    (403, NOT_APPLIED, REFUSED, UNKNOWN),
    (404, NOT_APPLIED, REFUSED, UNKNOWN),
    (404, b'', MISSING, MISSING),
    (409, NOT_APPLIED, MISSING, MISSING),
    (412, NOT_APPLIED, MISSING, MISSING),
    (413, NOT_APPLIED, REFUSED, UNKNOWN),
    (422, NOT_APPLIED, REFUSED, UNKNOWN),
    (501, NOT_APPLIED, UNAVAILABLE, UNKNOWN),
    (507, NOT_APPLIED, UNAVAILABLE, UNKNOWN),
]


class StoreCommands(ClientTest):
    def asked(self, method, target, body=b''):
        """The next request, with the time that the server has beside what was expected."""
        exchange = self.server.next()
        asked, between, timeout = exchange.target.rpartition('timeout=')
        self.assertEqual((exchange.method, asked[:-1], between), (method, target, 'timeout='))
        self.assertTrue(0 < int(timeout) <= 600_000)
        self.assertEqual(exchange.body, body)
        self.assertEqual('idempotency-key' in exchange.headers, method != 'GET')
        return exchange

    def add(self, *flags, **options):
        return self.start('add', 'n', *flags, **options)

    def added(self):
        return self.asked('POST', '/v1/kv/n?add=1')

    def test_what_is_sent_and_printed(self):
        self.check_commands(self.start, self.asked, WRITES, READS)

    def test_conditions(self):
        for flags, field, content in ((('--if-rev', '5'), 'if-match', '"5"'), (('--if-absent',), 'if-none-match', '*')):
            running = self.start('put', 'a', 'x', *flags)
            exchange = self.asked('PUT', '/v1/kv/a', b'x')
            self.assertEqual(exchange.headers[field], content)
            exchange.answer(412, NOT_APPLIED)
            self.ends(running, MISSING, says='412')

    def test_each_write_has_a_key_and_its_repetitions_have_the_same(self):
        keys = set()
        for _ in range(2):
            running = self.add('--timeout', '60000')
            first = self.added()
            keys.add(first.headers['idempotency-key'])
            first.answer(503, PERHAPS)
            second = self.added()
            second.close()
            third = self.added()
            third.answer(504, PERHAPS)
            fourth = self.added()
            fourth.answer(200, {'value': 1})
            self.ends(running, DONE, '1\n')
            self.assertEqual({each.headers['idempotency-key'] for each in (second, third, fourth)},
                             {first.headers['idempotency-key']})
        self.assertEqual(len(keys), 2)

    def test_pages_of_a_deletion_have_keys_of_their_own(self):
        running = self.start('del', '--prefix', 'a')
        keys = set()
        for deleted, more in ((10000, True), (10000, True), (0, False)):
            exchange = self.asked('DELETE', '/v1/kv?limit=10000&prefix=a')
            keys.add(exchange.headers['idempotency-key'])
            exchange.answer(200, {'deleted': deleted, 'more': more})
        self.ends(running, DONE, '20000\n')
        self.assertEqual(len(keys), 3)

    def test_a_deletion_that_is_cut_off_says_how_far_it_came(self):
        running = self.start('del', '--prefix', 'a')
        self.asked('DELETE', '/v1/kv?limit=10000&prefix=a').answer(200, {'deleted': 10000, 'more': True})
        self.asked('DELETE', '/v1/kv?limit=10000&prefix=a').answer(412, NOT_APPLIED)
        self.ends(running, MISSING, says='(10000 keys were deleted before that)')

    def test_a_later_page_is_not_older(self):
        running = self.start('ls', '--values')
        self.asked('GET', '/v1/kv?limit=10000').answer(
            200, {'revision': 7, 'items': [{'key': 'a', 'value': 'x'}, {'key_b64': '/w==', 'value_b64': 'Jg=='}]},
            {'Link': '</elsewhere>; rel="next"'})
        self.asked('GET', '/v1/kv?limit=10000&min_rev=7&after=%FF').answer(
            200, {'revision': 9, 'items': []}, {'Kvd-Complete': 'false'})
        # The bytes are not what a text file is read as.
        running.process.stdout.reconfigure(encoding='latin-1')
        self.assertEqual(self.ends(running, DONE, 'a\tx\n\xff\t&\n'), ["kvd: this server's copy may lack keys"])

    def test_what_refusals_lead_to(self):
        for status, body, code, _ in REFUSALS:
            with self.subTest(status):
                running = self.add()
                self.added().answer(status, body)
                self.ends(running, code)

    def test_what_refusals_lead_to_behind_a_try_that_may_have_been_done(self):
        """The store's own are remembered with the key, so that they speak of that try, too; the others do not."""
        for status, body, _, code in REFUSALS:
            with self.subTest(status):
                running = self.add()
                self.added().close()
                self.added().answer(status, body)
                self.ends(running, code)

    def last_try(self, answer):
        """Of an addition before servers that refuse connections, but for one try, which has this answer."""
        self.server = FakeServer()
        self.addCleanup(self.server.close)
        running = self.add('--timeout', '1000', servers=[self.server.name, refusing_name()])
        exchange = self.added()
        self.server.refuse()
        answer(exchange)
        return running

    def test_what_is_certainly_not_done(self):
        running = self.last_try(lambda exchange: exchange.answer(503, NOT_APPLIED))
        self.ends(running, UNAVAILABLE, says='no server answered in time')

    def test_what_may_be_done(self):
        """Also a 503 that says nothing, as a proxy's."""
        for answer in (lambda exchange: exchange.close(), lambda exchange: exchange.answer(503, PERHAPS),
                       lambda exchange: exchange.answer(503, b'<html>'), lambda exchange: exchange.answer(504, PERHAPS),
                       lambda exchange: exchange.answer(409, PERHAPS)):
            self.ends(self.last_try(answer), UNKNOWN, says='the outcome is unknown')

    def test_a_later_refusal_for_now_settles_nothing(self):
        running = self.add('--timeout', '2000')
        self.added().close()
        exchange = self.added()
        self.server.refuse()
        exchange.answer(503, NOT_APPLIED)
        self.ends(running, UNKNOWN, says='the outcome is unknown')

    def test_a_server_that_is_silent(self):
        running = self.add('--timeout', '1000')
        self.added()
        self.ends(running, UNKNOWN, says='silent')
        running = self.start('get', 'a', '--timeout', '1000')
        self.asked('GET', '/v1/kv/a')
        self.ends(running, UNAVAILABLE, says='silent')

    def test_an_answer_that_cannot_be_read(self):
        running = self.add()
        self.added().answer(200, b'<html>')
        self.ends(running, UNKNOWN)
        running = self.start('ls')
        self.asked('GET', '/v1/kv?limit=10000&keys=true').answer(200, b'<html>')
        self.ends(running, UNAVAILABLE)


if __name__ == '__main__':
    fake_server.main(sys.argv)
