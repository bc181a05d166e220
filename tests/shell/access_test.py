#!/usr/bin/env python3
"""Who asks, for all subcommands that ask servers, before one that the test plays: every request shows the token, and a
server that does not know it, or does not allow what is asked, ends the command at once, with what it says; also in the
midst of what the command does again and again. Usage: access_test.py KVD"""
import json
import signal
import sys

import fake_server
from fake_server import ClientTest, FOR_EVER, FakeServer, refusing_name

USAGE, REFUSED, UNAVAILABLE, LOST = 64, 65, 69, 75
TOKEN = 'kvd_abcdef27_' + 'x-_1' * 10 + 'abc'
NO_ACCESS = {401: {'type': 'urn:kvd:unauthenticated', 'detail': 'show a token'},
             403: {'type': 'urn:kvd:forbidden', 'detail': 'may not do this', 'outcome': 'not-applied'}}
SAYS_403 = 'the server says 403: may not do this'
# Each subcommand, and the exit code of one that is refused; FILE stands for one.
COMMANDS = {
    ('lock', 'a', '--', 'true'): UNAVAILABLE, ('lock', 'a', '--wait', '0', '--', 'true'): UNAVAILABLE,
    ('elect', 'a', '--', 'true'): UNAVAILABLE, ('elect', 'a', '--again', '--', 'true'): UNAVAILABLE,
    ('work', '--exec', 'true'): UNAVAILABLE, ('work', '--exec', 'true', '--parallel', '2'): UNAVAILABLE,
    ('hosts-sync', '--file', 'FILE'): UNAVAILABLE, ('hosts-sync', '--file', 'FILE', '--once'): UNAVAILABLE,
    ('get', 'k'): REFUSED, ('get', 'k', '--json'): REFUSED, ('put', 'k', 'v'): REFUSED, ('del', 'k'): REFUSED,
    ('del', '--prefix', 'k'): REFUSED, ('ls',): REFUSED, ('txn', 'FILE'): REFUSED, ('add', 'k'): REFUSED,
    ('watch',): REFUSED, ('watch', '--since', '5'): REFUSED,
    ('lease', 'grant', '5000'): REFUSED, ('lease', 'renew', '7'): REFUSED, ('lease', 'show', '7'): REFUSED,
    ('lease', 'ls'): REFUSED, ('lease', 'end', '7'): REFUSED, ('lease', 'hold', '5000'): UNAVAILABLE,
    ('lease', 'hold', '--id', '7', '--', 'true'): UNAVAILABLE,
    ('queue', 'make', 'q'): REFUSED, ('queue', 'rm', 'q'): REFUSED, ('queue', 'send', 'q', 'x'): REFUSED,
    ('queue', 'receive', 'q'): REFUSED, ('queue', 'receive', 'q', '--wait', '60000'): REFUSED,
    ('queue', 'kick', 'q'): REFUSED, ('queue', 'purge', 'q', '--all'): REFUSED, ('queue', 'peek', 'q'): REFUSED,
    ('queue', 'ls'): REFUSED, ('queue', 'stats', 'q'): REFUSED, ('queue', 'work', 'q', '--exec', 'true'): UNAVAILABLE,
    ('topic', 'make', 't'): REFUSED, ('topic', 'rm', 't'): REFUSED, ('topic', 'ls'): REFUSED,
    ('topic', 'stats', 't'): REFUSED, ('topic', 'publish', 't', 'x'): REFUSED, ('topic', 'read', 't'): REFUSED,
    ('topic', 'tail', 't'): REFUSED, ('topic', 'subscribe', 't', 's'): REFUSED,
    ('topic', 'unsubscribe', 't', 's'): REFUSED, ('topic', 'subscriptions', 't'): REFUSED,
    ('topic', 'seek', 't', 's', 'first'): REFUSED, ('topic', 'receive', 't', 's'): REFUSED,
    ('topic', 'peek', 't', 's'): REFUSED, ('topic', 'kick', 't', 's'): REFUSED,
    ('topic', 'work', 't', 's', '--exec', 'true'): UNAVAILABLE,
    ('config', 'status', '--prefix', 'a/'): REFUSED,
    ('auth', 'policy', 'put', 'p', 'FILE'): REFUSED, ('auth', 'policy', 'get', 'p'): REFUSED,
    ('auth', 'policy', 'ls'): REFUSED, ('auth', 'policy', 'rm', 'p'): REFUSED,
    ('auth', 'user', 'put', 'u'): REFUSED, ('auth', 'user', 'get', 'u'): REFUSED, ('auth', 'user', 'ls'): REFUSED,
    ('auth', 'user', 'rm', 'u'): REFUSED, ('auth', 'token', 'create', 'u'): REFUSED,
    ('auth', 'token', 'ls'): REFUSED, ('auth', 'token', 'rm', 'abcdef27'): REFUSED, ('auth', 'whoami'): REFUSED,
    ('auth', 'test', 'u', 'read', 'kv', 'k'): REFUSED,
}
# Those that ask no server, and the one that asks for two things at once.
OTHERS = {'cert create-ca', 'cert create-server', 'cert create-client', 'auth root-token', 'config sync'}


class AccessTest(ClientTest):
    def setUp(self):
        super().setUp()
        self.file = self.write('file', '{}')
        self.token = self.write('token', TOKEN + '\n')

    def begin(self, *arguments, servers=None):
        names = ','.join(servers or [self.server.name])
        return self.run_alone(*(self.file if word == 'FILE' else word for word in arguments),
                              env={'KVD_SERVERS': names, 'KVD_TOKEN_FILE': self.token})

    def next(self, method=None, path=None, server=None):
        """The next request, which shows the token."""
        exchange = (server or self.server).next()
        self.assertEqual(exchange.headers['authorization'], 'Bearer ' + TOKEN)
        if method:
            self.assertEqual((exchange.method, exchange.target.partition('?')[0]), (method, path))
        return exchange

    def refuse(self, exchange, status=403):
        exchange.answer(status, NO_ACCESS[status], {'WWW-Authenticate': 'Bearer'} if status == 401 else {})

    def is_over(self, running, code, says=SAYS_403, output=''):
        errors = self.ends(running, code, output, says)
        self.assertNotIn(TOKEN[13:], ' '.join(errors))
        self.assertTrue(self.server.exchanges.empty())
        return errors


class EachCommand(AccessTest):
    def test_the_token_is_shown_and_a_refusal_ends_it(self):
        for arguments, code in COMMANDS.items():
            for status, problem in NO_ACCESS.items():
                with self.subTest(arguments, status=status):
                    running = self.begin(*arguments)
                    for exchange in [self.next() for _ in range(2 if '--parallel' in arguments else 1)]:
                        self.refuse(exchange, status)
                    self.is_over(running, code, f'the server says {status}: {problem["detail"]}')

    def test_no_command_is_left_out(self):
        def below(*words):
            code, output, _ = self.run_alone('complete', *words, '').end()
            self.assertEqual(code, 0)
            return [(*words, line.split('\t')[0]) for line in output.split('\n')
                    if '\t' in line and not line.startswith('-')]

        def commands(*words):
            return [command for one in below(*words) for command in commands(*one)] or [words]

        clients = {' '.join(command) for command in commands()} - {'inspect', 'export', 'zookeeper-acl show',
                                                                  'zookeeper-acl apply'}
        tried = {name for name in clients for words in COMMANDS
                 if words[:name.count(' ') + 1] == tuple(name.split(' '))}
        self.assertEqual(clients - tried, OTHERS)

    def test_at_the_next_server_too(self):
        other = FakeServer()
        self.addCleanup(other.close)
        for arguments in (('get', 'k'), ('watch',), ('lock', 'a', '--', 'true'), ('lease', 'hold', '5000'),
                          ('queue', 'work', 'q', '--exec', 'true'), ('hosts-sync', '--file', 'FILE')):
            with self.subTest(arguments):
                running = self.begin(*arguments, servers=[refusing_name(), self.server.name, other.name])
                self.next().answer(503, {'detail': 'busy', 'outcome': 'not-applied'})
                self.refuse(self.next(server=other))
                self.is_over(running, COMMANDS[arguments])

    def test_without_a_token_none_is_shown(self):
        running = self.start('get', 'k')
        exchange = self.server.next()
        self.assertNotIn('authorization', exchange.headers)
        exchange.answer(200, 'v')
        self.ends(running, 0, 'v')

    def test_files_that_hold_none(self):
        wrong = self.write('wrong', TOKEN[:-1] + '\n')
        for file, says in ((wrong, 'give a file with one line'), (self.path('nothing'), 'No such file')):
            errors = self.ends(self.start('get', 'k', '--token-file', file), USAGE, says=f'kvd: no token: {file}: ')
            self.assertIn(says, errors[0])
            self.assertNotIn(TOKEN[13:20], errors[0])


class InTheMidst(AccessTest):
    def registered(self, *arguments):
        running = self.begin('work', '--name', 'w', *arguments)
        self.next('POST', '/v1/workers').stream({'worker': 'w'})
        return running

    def test_a_worker_that_gets_no_task(self):
        running = self.registered('--exec', 'true')
        self.next('POST', '/v1/workers/w/next').answer(204)
        self.refuse(self.next('POST', '/v1/workers/w/next'))
        self.is_over(running, UNAVAILABLE, 'kvd: worker w: ' + SAYS_403)

    def test_a_worker_whose_result_is_not_taken(self):
        running = self.registered('--exec', 'true')
        self.next().answer(200, {'id': 't', 'attempt': 1, 'fence': 7, 'kind': '', 'data': ''})
        self.refuse(self.next('PUT', '/v1/tasks/t/result'), 401)
        self.is_over(running, UNAVAILABLE, 'task t (attempt 1): its result is dropped: the server says 401')

    def working(self, script, ttr_ms=30_000):
        running = self.begin('queue', 'work', 'q', '--exec', script)
        self.next('GET', '/v1/queues/q').answer(200, {'name': 'q', 'ttr': ttr_ms})
        self.next('POST', '/v1/queues/q/receive').answer(
            200, {'messages': [{'id': '7', 'receipt': 107, 'attempt': 1, 'body': ''}]})
        return running

    def test_a_message_whose_end_is_not_taken(self):
        running = self.working('true')
        self.refuse(self.next('POST', '/v1/queues/q/settle'))
        self.is_over(running, UNAVAILABLE, 'message 7 (attempt 1): what became of it is not taken: ' + SAYS_403)

    def test_a_message_whose_time_is_not_extended(self):
        running = self.working(f'trap "echo term; exit 0" TERM; echo started; {FOR_EVER}', ttr_ms=6000)
        self.assertEqual(running.line(), 'started')
        self.refuse(self.next('PUT', '/v1/queues/q/messages/7'))
        self.assertEqual(running.line(), 'term')
        self.refuse(self.next('POST', '/v1/queues/q/receive'))
        errors = self.is_over(running, UNAVAILABLE)
        self.assertEqual(errors[0], f'kvd: message 7 (attempt 1): {SAYS_403}: the command is being stopped')

    def held(self, *arguments, servers=None):
        running = self.begin('lease', 'hold', '60000', *arguments, servers=servers)
        exchange = self.next('POST', '/v1/leases').stream({'lease': 7, 'ttl_ms': 60000, 'hold': 1, 'left_ms': 60000})
        return running, exchange

    def test_a_lease_that_may_not_be_taken_up_again(self):
        running, exchange = self.held('--', 'sh', '-c', f'trap "echo term; exit 3" TERM; echo started; {FOR_EVER}')
        self.assertEqual(running.line(), 'started')
        exchange.close()
        self.refuse(self.next('POST', '/v1/leases/7'), 401)
        self.assertEqual(self.is_over(running, LOST, 'show a token', 'term\n')[-1],
                         'kvd: lost the lease 7 (the server says 401: show a token): the command is being stopped')

    def test_a_lease_that_may_not_be_ended(self):
        running, exchange = self.held()
        self.assertEqual(running.line(), '7')
        running.send(signal.SIGTERM)
        self.refuse(self.next('DELETE', '/v1/leases/7'))
        exchange.wait_closed()
        self.is_over(running, 0, 'kvd: the lease 7 is not ended: ' + SAYS_403)

    def test_a_candidate_that_has_lost_the_lead(self):
        running = self.begin('elect', 'a', '--again', '--', 'sh', '-c', f'echo started; {FOR_EVER}')
        exchange = self.next().stream({'leading': True, 'fence': 7})
        self.assertEqual(running.line(), 'started')
        exchange.close()
        self.refuse(self.next())
        self.is_over(running, UNAVAILABLE, 'the lead of a is not to be had: ' + SAYS_403)

    def test_names_that_are_not_told_any_more(self):
        for flags in ([], ['--once']):
            running = self.begin('hosts-sync', '--file', 'FILE', *flags)
            if not flags:
                self.next().answer(200, '10.0.0.1 db.example\n', {'Kvd-Hosts-Version': 5})
            self.refuse(self.next())
            self.is_over(running, UNAVAILABLE)

    def test_a_watch_and_a_tail(self):
        for arguments, line in ((('watch',), {'type': 'put', 'key': 'a', 'revision': 7}),
                                (('topic', 'tail', 't'), {'message': {'id': '7'}})):
            running = self.begin(*arguments)
            exchange = self.next()
            exchange.connection.sendall(
                b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKvd-Revision: 5\r\n\r\n')
            exchange.say(line)
            running.line()
            exchange.close()
            self.refuse(self.next())
            self.is_over(running, REFUSED)


class Config(AccessTest):
    LEASE, WATCH, RECORD = '/v1/leases', '/v1/watch', '/v1/kv/app/.running/n1'

    def call(self, path):
        """The next request for this: a sync has several under way, in any order."""
        while path not in self.waiting:
            exchange = self.next()
            self.waiting[exchange.target.partition('?')[0]] = exchange
        return self.waiting.pop(path)

    def sync(self, servers=None):
        self.waiting = {}  # pylint: disable=attribute-defined-outside-init
        return self.begin('config', 'sync', '--prefix', 'app/', '--to', self.path('conf'), '--node', 'n1',
                          servers=servers)

    def granted(self):
        self.call(self.LEASE).answer(201, {'lease': 7, 'ttl_ms': 10000})

    def is_refused(self, running, exchange, ends_lease=True, says=SAYS_403):
        self.refuse(exchange)
        if ends_lease:
            self.refuse(self.call('/v1/leases/7'))  # which does not matter any more
        self.ends(running, REFUSED, says=says)

    def test_the_keys(self):
        running = self.sync()
        self.granted()
        self.call(self.RECORD)
        self.is_refused(running, self.call(self.WATCH))

    def test_the_keys_while_another_server_is_away(self):
        running = self.begin('config', 'status', '--prefix', 'app/', servers=[refusing_name(), self.server.name])
        self.refuse(self.next('GET', self.WATCH))
        self.is_over(running, REFUSED)

    def test_the_lease(self):
        running = self.sync()
        self.call(self.WATCH)
        self.is_refused(running, self.call(self.LEASE), False, 'what runs here cannot be told: ' + SAYS_403)

    def test_the_record(self):
        running = self.sync()
        self.granted()
        self.is_refused(running, self.call(self.RECORD))

    def test_a_renewal(self):
        running = self.sync()
        self.granted()
        record = self.call(self.RECORD)
        self.assertEqual(json.loads(record.body)['lease'], 7)
        record.answer(200, {'key': 'app/.running/n1', 'revision': 9, 'created': False})
        self.is_refused(running, self.call('/v1/leases/7'))

    def test_the_lease_of_a_node(self):
        running = self.begin('config', 'status', '--prefix', 'app/')
        exchange = self.next('GET', self.WATCH)
        exchange.connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKvd-Revision: 1\r\n\r\n')
        record = {'state': 'running', 'revision': 3, 'digest': '0' * 16, 'lease': 5, 'time': '2026-01-01T00:00:00Z'}
        exchange.say({'type': 'put', 'key': 'app/.running/n1', 'value': json.dumps(record), 'revision': 4,
                      'state': True}, {'type': 'synced', 'revision': 4},
                     {'type': 'progress', 'revision': 4, 'linear': True})
        self.refuse(self.next('GET', '/v1/leases/5'))
        self.is_over(running, REFUSED)


if __name__ == '__main__':
    fake_server.main(sys.argv)
