#!/usr/bin/env python3
"""kvd lease before a scripted server: what grant, renew, show, ls and end send and print; and of hold, that the lease
is taken up at the next server when one fails, that a command ends when it is lost, and that it is ended when the
command has ended. Usage: lease_test.py KVD"""
import json
import select
import signal
import sys
import time

import fake_server
from fake_server import ClientTest, FOR_EVER, FakeServer, refusing_name

DONE, OVER, REFUSED, UNAVAILABLE, LOST, UNKNOWN = 0, 1, 65, 69, 75, 75
NOT_APPLIED = {'detail': 'no', 'outcome': 'not-applied'}
IS_OVER = {'detail': 'there is no such lease, or it is over', 'outcome': 'not-applied'}
PERHAPS = {'detail': 'perhaps', 'outcome': 'unknown'}
LEASE = {'lease': 7, 'ttl_ms': 60000, 'left_ms': 50000, 'name': 'me'}
FIRST = {'lease': 7, 'ttl_ms': 60000, 'hold': 1, 'left_ms': 60000}
HELD = {'state': 'held', 'left_ms': 60000}
UNSURE = {'state': 'unsure'}
IT_IS_LOST = {'state': 'lost', 'reason': 'over'}
IT_IS_TAKEN = {'state': 'lost', 'reason': 'taken'}
GRANT = '/v1/leases?ttl=60000&name=me&hold=1'
TAKE_UP = '/v1/leases/7?hold=1'
# Until SIGTERM, which it tells.
UNTIL_TERM = f'trap "echo term; exit 3" TERM; echo $KVD_LEASE; {FOR_EVER}'

NOT_RENEWED = 'kvd: lost the lease 7 (no server renewed it in time): the command is being stopped'


class LeaseTest(ClientTest):
    def lease(self, action, *arguments, servers=None, **options):
        return self.run_alone('lease', action, '--servers', ','.join(servers or [self.server.name]), *arguments,
                              **options)


class Requests(LeaseTest):
    def asked(self, method, target, body=b'', keyed=None):
        """The next request, but for the time that the server has."""
        exchange = self.server.next()
        asked, _, _ = exchange.target.rpartition('timeout=')
        self.assertEqual((exchange.method, asked[:-1], exchange.body), (method, target, body))
        self.assertEqual('idempotency-key' in exchange.headers, method != 'GET' if keyed is None else keyed)
        return exchange

    def ends(self, running, code, output='', says=''):
        ended, printed, errors = running.end()
        self.assertEqual((ended, printed), (code, output), errors)
        self.assertIn(says, ' '.join(errors))

    def test_a_grant(self):
        for flags, query, printed in (([], '', '7\n'), (['--name', 'a&b'], '&name=a%26b', '7\n'),
                                      (['--json'], '', '{"lease": 7, "ttl_ms": 60000}')):
            running = self.lease('grant', '60000', *flags)
            self.asked('POST', '/v1/leases?ttl=60000' + query).answer(201, {'lease': 7, 'ttl_ms': 60000})
            self.ends(running, DONE, printed)

    def test_a_grant_whose_answer_is_lost_is_repeated_with_its_key(self):
        running = self.lease('grant', '60000')
        first = self.asked('POST', '/v1/leases?ttl=60000')
        first.close()
        second = self.asked('POST', '/v1/leases?ttl=60000')
        self.assertEqual(first.headers['idempotency-key'], second.headers['idempotency-key'])
        second.answer(201, {'lease': 7, 'ttl_ms': 60000})
        self.ends(running, DONE, '7\n')

    def test_refusals(self):
        for status, code in ((400, REFUSED), (507, UNAVAILABLE), (410, OVER)):
            running = self.lease('grant', '60000')
            self.asked('POST', '/v1/leases?ttl=60000').answer(status, NOT_APPLIED)
            self.ends(running, code, says=str(status))

    def test_a_renewal_has_no_key_as_its_answer_is_of_its_moment(self):
        running = self.lease('renew', '7', '8', '9')
        for _ in range(2):
            exchange = self.asked('POST', '/v1/leases/renew', b'{"leases":[7,8,9]}', keyed=False)
            exchange.close()
        exchange = self.asked('POST', '/v1/leases/renew', b'{"leases":[7,8,9]}', keyed=False)
        exchange.answer(200, {'results': [{'left_ms': 5}, None, {'left_ms': 6}]})
        self.ends(running, OVER, '7\t5\n9\t6\n', says='over, or never there: 8')
        running = self.lease('renew', '7', '--json')
        self.asked('POST', '/v1/leases/renew', b'{"leases":[7]}', keyed=False).answer(
            200, {'results': [{'left_ms': 5}]})
        self.ends(running, DONE, '{"results": [{"left_ms": 5}]}')

    def test_a_renewal_that_may_be_done(self):
        running = self.lease('renew', '7', '--timeout', '500', servers=[self.server.name])
        exchange = self.asked('POST', '/v1/leases/renew', b'{"leases":[7]}', keyed=False)
        self.server.refuse()
        exchange.answer(503, PERHAPS)
        self.ends(running, UNKNOWN, says='the outcome is unknown')

    def test_a_lease_is_shown(self):
        running = self.lease('show', '7', '--linear', '--min-rev', '5')
        self.asked('GET', '/v1/leases/7?read=linear&min_rev=5').answer(200, LEASE)
        self.ends(running, DONE, '7\t50000\t60000\tme\n')
        running = self.lease('show', '7', '--keys')
        self.asked('GET', '/v1/leases/7?keys=1').answer(200, {**LEASE, 'keys': ['a', {'key_b64': 'Yg=='}]})
        self.ends(running, DONE, '7\t50000\t60000\tme\na\nb\n')
        running = self.lease('show', '7', '--json')
        self.asked('GET', '/v1/leases/7').answer(200, LEASE)
        self.ends(running, DONE, '{"lease":7,"ttl_ms":60000,"left_ms":50000,"name":"me"}\n')
        running = self.lease('show', '7')
        self.asked('GET', '/v1/leases/7').answer(410, IS_OVER)
        self.ends(running, OVER, says='there is no such lease, or it is over')

    def test_pages_of_leases(self):
        running = self.lease('ls')
        self.asked('GET', '/v1/leases?limit=10000').answer(
            200, {'leases': [LEASE]}, {'Link': '</elsewhere>; rel="next"', 'Kvd-Revision': '40'})
        self.asked('GET', '/v1/leases?limit=10000&min_rev=40&after=7').answer(
            200, {'leases': [{'lease': 9, 'ttl_ms': 1, 'left_ms': 0, 'name': ''}]})
        self.ends(running, DONE, '7\t50000\t60000\tme\n9\t0\t1\t\n')

    def test_an_end(self):
        running = self.lease('end', '7')
        self.asked('DELETE', '/v1/leases/7').answer(204)
        self.ends(running, DONE)
        running = self.lease('end', '7')
        self.asked('DELETE', '/v1/leases/7').answer(410, IS_OVER)
        self.ends(running, OVER, says='410')

    def test_answers_that_cannot_be_read(self):
        for arguments, code in ((('grant', '60000'), UNKNOWN), (('renew', '7'), UNKNOWN), (('show', '7'), UNAVAILABLE),
                                (('ls',), UNAVAILABLE)):
            running = self.lease(*arguments)
            self.server.next().answer(200, b'<html>')
            self.ends(running, code)
        running = self.lease('renew', '7')
        self.server.next().answer(200, {'results': []})
        self.ends(running, UNKNOWN, says='about other leases')

    def test_no_server(self):
        for arguments in (('grant', '60000'), ('renew', '7'), ('show', '7'), ('ls',), ('end', '7')):
            running = self.lease(*arguments, '--timeout', '300', servers=[refusing_name()])
            self.ends(running, UNAVAILABLE, says='no server answered in time')


class Hold(LeaseTest):
    def hold(self, script=None, *flags, **options):
        command = ['--', 'sh', '-c', script] if script else []
        return self.lease('hold', '60000', '--name', 'me', *flags, *command, **options)

    def asked(self, target, server=None, method='POST'):
        exchange = (server or self.server).next()
        asked, _, _ = exchange.target.partition('timeout=')
        self.assertEqual((exchange.method, asked.rstrip('?&')), (method, target))
        return exchange

    def held(self, script=None, *flags, first=FIRST, **options):
        """It runs, and the connection that holds its lease."""
        running = self.hold(script, *flags, **options)
        exchange = self.asked(GRANT).stream(first)
        if not script or '$KVD_LEASE' in script:
            self.assertEqual(running.line(), '7')
        return running, exchange

    def another(self):
        server = FakeServer()
        self.addCleanup(server.close)
        return server

    def ending(self, server=None, hold=1):
        """The client ends it by a request of its own, and waits for the answer."""
        return self.asked(f'/v1/leases/7?hold={hold}' if hold else '/v1/leases/7', server, 'DELETE')

    def is_ended(self, server=None, hold=1):
        self.ending(server, hold).answer(204)

    def test_it_is_held_until_a_signal(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            running, exchange = self.held()
            exchange.say(HELD, {'state': 'something new'})
            running.send(number)
            ending = self.ending()
            self.assertTrue(exchange.is_open())
            ending.answer(204)
            exchange.wait_closed()
            self.assertEqual(running.end(), (DONE, '', []))

    def test_a_second_signal_does_not_wait(self):
        running, exchange = self.held()
        running.send(signal.SIGTERM)
        self.ending()
        running.send(signal.SIGTERM)
        exchange.wait_closed()
        self.assertEqual(running.end(), (DONE, '', []))

    def test_the_command_runs_while_it_is_held(self):
        running, exchange = self.held('echo $KVD_LEASE; read go; exit 5')
        exchange.say(HELD)
        running.tell('go')
        self.is_ended()
        exchange.wait_closed()
        self.assertEqual(running.end(), (5, '', []))

    def test_signals_are_the_commands(self):
        running, _ = self.held('trap "exit 6" TERM; trap "echo hup" HUP; echo $KVD_LEASE; ' + FOR_EVER)
        running.send(signal.SIGHUP)
        self.assertEqual(running.line(), 'hup')
        running.send(signal.SIGTERM)
        self.is_ended()
        self.assertEqual(running.end(), (6, '', []))

    def test_what_ends_it_stops_the_command(self):
        ends = {
            'it is over': IT_IS_LOST,
            'another one has taken it up': IT_IS_TAKEN,
            'something else': {'state': 'lost', 'reason': 'something else'},
        }
        for why, line in ends.items():
            with self.subTest(why):
                running, exchange = self.held(UNTIL_TERM)
                exchange.say(line)
                said = f'kvd: lost the lease 7 ({why}): the command is being stopped'
                self.assertEqual(running.end(), (LOST, 'term\n', [said]))

    def test_without_a_command_a_loss_ends_it(self):
        running, exchange = self.held()
        exchange.say(IT_IS_LOST)
        self.assertEqual(running.end(), (LOST, '', ['kvd: lost the lease 7 (it is over)']))

    def test_the_connection_is_open_until_the_command_has_ended(self):
        running, exchange = self.held(self.deaf_until_go(), '--grace', '60000')
        self.check_closed_behind_the_command(running, exchange, IT_IS_LOST, HELD)

    def test_a_time_that_nobody_renews_is_over(self):
        running, _ = self.held(UNTIL_TERM, first={'lease': 7, 'ttl_ms': 1000, 'left_ms': 300})
        self.assertEqual(running.end(), (LOST, 'term\n', [NOT_RENEWED]))

    def test_what_was_promised_is_over_when_the_server_says_so(self):
        """The line that promised it may have come late."""
        running, exchange = self.held(UNTIL_TERM)
        exchange.say(HELD, UNSURE)
        self.assertEqual(running.end(), (LOST, 'term\n', [NOT_RENEWED]))

    def test_a_server_that_is_sure_again_promises_anew(self):
        running, exchange = self.held('echo $KVD_LEASE; read go; exit 5')
        exchange.chunk(b''.join(json.dumps(line).encode() + b'\n' for line in (HELD, UNSURE, HELD)))
        running.tell('go')
        self.is_ended()
        self.assertEqual(running.end(), (5, '', []))

    def standstill(self, running, seconds, exchange, *lines):
        """The process, but not its command, is stopped for at least so long, and gets these lines meanwhile."""
        running.send(signal.SIGSTOP)
        self.wait_state(running.process.pid, 'T')
        begin = time.monotonic()
        exchange.say(*lines)
        while time.monotonic() < begin + seconds:
            time.sleep(0.05)
        running.send(signal.SIGCONT)

    def test_what_was_promised_is_over_when_a_standstill_ends(self):
        """Whatever the lines say that have waited."""
        running, exchange = self.held(UNTIL_TERM, first={'lease': 7, 'ttl_ms': 1000, 'left_ms': 1000})
        self.standstill(running, 2, exchange, {'state': 'held', 'left_ms': 600000})
        self.assertEqual(running.end(), (LOST, 'term\n', [NOT_RENEWED]))

    def test_lines_that_waited_while_the_process_stood_still_promise_nothing(self):
        """So another server is asked, and what it says counts."""
        other = self.another()
        running, exchange = self.held(UNTIL_TERM, servers=[self.server.name, other.name])
        self.standstill(running, 1.5, exchange, HELD)
        second = self.asked(TAKE_UP, other).stream(FIRST)
        second.say({'state': 'held', 'left_ms': 1})
        silent = f'kvd: {self.server.name}: silent; trying on'
        self.assertEqual(running.end(), (LOST, 'term\n', [silent, NOT_RENEWED]))

    def test_a_grant_that_waited_while_the_process_stood_still_is_not_believed(self):
        running = self.hold(UNTIL_TERM)
        exchange = self.asked(GRANT)
        self.standstill(running, 1.5, exchange.stream(), FIRST)
        second = self.asked(TAKE_UP)
        self.assertFalse(select.select([running.process.stdout], [], [], 0)[0], 'the command runs')
        second.stream(FIRST)
        self.assertEqual(running.line(), '7')
        running.send(signal.SIGTERM)
        self.is_ended()
        self.assertEqual(running.end()[:2], (3, 'term\n'))

    def test_the_next_server_takes_it_up(self):
        """Whatever ends the stream, but that the lease is over."""
        ends = {
            'the connection was closed': lambda exchange: exchange.close(),
            'the server ended it': lambda exchange: exchange.end_stream(),
            "'held' is no JSON object": lambda exchange: exchange.chunk(b'held\n'),
            'the server stops': lambda exchange: exchange.say({'state': 'stopping', 'left_ms': 60000}),
        }
        other = self.another()
        for why, end in ends.items():
            with self.subTest(why):
                running, exchange = self.held('echo $KVD_LEASE; read go; exit 5',
                                              servers=[self.server.name, other.name])
                end(exchange)
                second = self.asked(TAKE_UP, other).stream(FIRST)
                second.say(HELD)
                running.tell('go')
                self.is_ended(other)
                second.wait_closed()
                self.assertEqual(running.end(), (5, '', [f'kvd: {self.server.name}: {why}; trying on']))

    def test_servers_that_cannot_take_it_up_are_asked_again(self):
        other = self.another()
        running, exchange = self.held('echo $KVD_LEASE; read go', servers=[self.server.name, refusing_name(),
                                                                           other.name])
        exchange.close()
        self.asked(TAKE_UP, other).answer(503, NOT_APPLIED)
        self.asked(TAKE_UP).answer(500, PERHAPS)
        self.asked(TAKE_UP, other).stream(FIRST)
        running.tell('go')
        self.is_ended(other)
        code, output, errors = running.end()
        self.assertEqual((code, output), (DONE, ''))
        self.assertEqual([error.rpartition(': ')[2] for error in errors],
                         ['the connection was closed; trying on', 'connection refused; trying on', 'no; trying on',
                          'perhaps; trying on', 'connection refused; trying on'])

    def test_a_lease_that_is_over_at_the_next_server_is_lost(self):
        other = self.another()
        running, exchange = self.held(UNTIL_TERM, servers=[self.server.name, other.name])
        exchange.close()
        self.asked(TAKE_UP, other).answer(410, IS_OVER)
        code, output, errors = running.end()
        self.assertEqual((code, output, len(errors)), (LOST, 'term\n', 2), errors)
        self.assertIn('410', errors[1])

    def test_no_server_takes_it_up_in_time(self):
        running, exchange = self.held(UNTIL_TERM, first={'lease': 7, 'ttl_ms': 1000, 'left_ms': 700})
        self.server.refuse()
        exchange.close()
        code, output, errors = running.end()
        self.assertEqual((code, output), (LOST, 'term\n'))
        self.assertIn('no server renewed it in time', errors[-1])

    def test_a_silent_server_is_left_but_its_connection_stays(self):
        """It would end the lease when it goes on, and sees that the connection is closed."""
        other = self.another()
        running, exchange = self.held('echo $KVD_LEASE; read go', servers=[self.server.name, other.name],
                                      first={'lease': 7, 'ttl_ms': 4000, 'left_ms': 60000})
        second = self.asked(TAKE_UP, other)  # which is silent, too
        third = self.asked(TAKE_UP)
        third.stream(FIRST)
        self.assertTrue(exchange.is_open() and second.is_open())
        running.tell('go')
        self.is_ended()
        for each in (exchange, second, third):
            each.wait_closed()
        self.assertEqual(running.end()[0], DONE)

    def test_a_server_that_has_not_answered_is_not_asked_again(self):
        """Its connections would be without number."""
        silent, third = self.another(), self.another()
        running, exchange = self.held('echo $KVD_LEASE; read go',
                                      servers=[self.server.name, silent.name, third.name],
                                      first={'lease': 7, 'ttl_ms': 1000, 'left_ms': 60000})
        waiting = [self.asked(TAKE_UP, silent)]
        self.asked(TAKE_UP, third).close()
        waiting.append(self.asked(TAKE_UP))
        for _ in range(3):
            self.asked(TAKE_UP, third).close()
        self.assertTrue(self.server.exchanges.empty() and silent.exchanges.empty())
        self.assertTrue(all(one.is_open() for one in [exchange, *waiting]))
        waiting[0].stream(FIRST)
        running.tell('go')
        self.is_ended(silent)
        self.assertEqual(running.end()[0], DONE)

    def test_a_slow_server_may_hold_it_in_the_end(self):
        """It takes the lease up when another one has done so, which is then told that it does not hold it any more."""
        other = self.another()
        running, exchange = self.held('echo $KVD_LEASE; read go', servers=[self.server.name, other.name],
                                      first={'lease': 7, 'ttl_ms': 4000, 'left_ms': 60000})
        second = self.asked(TAKE_UP, other)
        third = self.asked(TAKE_UP)
        third.stream(FIRST)
        exchange.say(IT_IS_TAKEN).end_stream()
        third.say(IT_IS_TAKEN).end_stream()
        second.stream(FIRST)
        running.tell('go')
        self.is_ended(other)
        second.wait_closed()
        self.assertEqual(running.end()[0], DONE)

    def test_a_request_whose_answer_was_lost_may_have_taken_it_up(self):
        """Then it is nobody else's, and is taken up once more; but only once."""
        other = self.another()
        running, exchange = self.held(UNTIL_TERM, servers=[self.server.name, other.name],
                                      first={'lease': 7, 'ttl_ms': 4000, 'left_ms': 60000})
        second = self.asked(TAKE_UP, other)
        exchange.say(HELD)
        second.answer(504, PERHAPS)
        second.wait_closed()
        exchange.say(IT_IS_TAKEN).end_stream()
        third = self.asked(TAKE_UP, other).stream(FIRST)
        third.say(IT_IS_TAKEN)
        code, output, errors = running.end()
        self.assertEqual((code, output), (LOST, 'term\n'), errors)
        self.assertEqual(errors[-2:], ['kvd: a request whose answer was lost may have taken it up; trying on',
                                       'kvd: lost the lease 7 (another one has taken it up): the command is being '
                                       'stopped'])

    def test_a_server_that_was_silent_may_still_say_that_it_is_over(self):
        other = self.another()
        running, exchange = self.held(UNTIL_TERM, servers=[self.server.name, other.name],
                                      first={'lease': 7, 'ttl_ms': 4000, 'left_ms': 60000})
        self.asked(TAKE_UP, other)
        exchange.say(IT_IS_LOST)
        self.assertEqual(running.end()[:2], (LOST, 'term\n'))

    def test_it_is_ended_also_where_no_connection_stands(self):
        other = self.another()
        running, exchange = self.held('echo $KVD_LEASE; read go', servers=[self.server.name, other.name])
        exchange.close()
        self.asked(TAKE_UP, other)
        running.tell('go')
        self.is_ended(other)
        self.assertEqual(running.end()[0], DONE)

    def test_an_end_is_asked_for_until_it_is_known(self):
        other = self.another()
        running, _ = self.held('echo $KVD_LEASE; read go', servers=[self.server.name, other.name])
        running.tell('go')
        self.ending().answer(504, PERHAPS)
        self.ending(other).answer(500)
        self.ending().answer(410, IS_OVER)
        self.assertEqual(running.end(), (DONE, '', []))

    def test_a_lease_that_another_one_has_taken_up_is_not_ended(self):
        running, exchange = self.held('echo $KVD_LEASE; read go')
        running.tell('go')
        self.ending().answer(410, {'detail': 'another one holds it', 'outcome': 'not-applied'})
        exchange.wait_closed()
        self.assertEqual(running.end(), (DONE, '', []))

    def test_the_end_is_that_of_the_newest_take_up(self):
        """Also of one that is answered while the lease is being ended."""
        other = self.another()
        running, exchange = self.held('echo $KVD_LEASE; read go', servers=[self.server.name, other.name])
        exchange.close()
        second = self.asked(TAKE_UP, other)
        running.tell('go')
        ending = self.ending(other)
        second.stream({**FIRST, 'hold': 2})
        ending.answer(410, {'detail': 'another one holds it', 'outcome': 'not-applied'})
        self.is_ended(hold=2)
        self.assertEqual(running.end()[0], DONE)

    def test_a_server_that_does_not_number_take_ups(self):
        running, _ = self.held('echo $KVD_LEASE', first={'lease': 7, 'ttl_ms': 60000, 'left_ms': 60000})
        self.is_ended(hold=None)
        self.assertEqual(running.end(), (DONE, '', []))

    def test_a_lease_by_its_id(self):
        running = self.lease('hold', '--id', '7')
        self.asked(TAKE_UP).stream({**FIRST, 'hold': 3})
        self.assertEqual(running.line(), '7')
        running.send(signal.SIGTERM)
        self.is_ended(hold=3)
        self.assertEqual(running.end(), (DONE, '', []))

    def test_a_refusal(self):
        for arguments, status in ((('60000',), 400), (('60000',), 507), (('--id', '7'), 410)):
            running = self.lease('hold', *arguments, '--', 'echo', 'started')
            self.server.next().answer(status, NOT_APPLIED)
            self.assertEqual(running.end(), (UNAVAILABLE, '', [
                f'kvd: the lease is not to be had: the server says {status}: no']))

    def test_the_next_server_is_asked_for_a_grant(self):
        other = self.another()
        running = self.hold('echo $KVD_LEASE', servers=[refusing_name(), self.server.name, other.name])
        self.asked(GRANT).answer(503, NOT_APPLIED)
        self.asked(GRANT, other).answer(504, PERHAPS)  # as while a leader is being elected
        self.asked(GRANT).answer(502, b'<html>')
        self.asked(GRANT, other).stream(FIRST)
        self.is_ended(other)
        self.assertEqual(running.end()[:2], (DONE, '7\n'))

    def test_a_signal_before_it_is_held(self):
        running = self.hold('echo started')
        self.asked(GRANT)
        running.send(signal.SIGINT)
        self.assertEqual(running.end(), (128 + signal.SIGINT, '', []))

    def test_a_command_that_cannot_be_started(self):
        for command, code in (('/no/such/program', 127), ('/etc/passwd', 126)):
            running = self.lease('hold', '60000', '--name', 'me', '--', command)
            exchange = self.asked(GRANT).stream(FIRST)
            self.is_ended()
            exchange.wait_closed()
            ended, output, errors = running.end()
            self.assertEqual((ended, output, len(errors)), (code, '', 1), errors)

    def test_the_lease_outlives_kvd_until_the_command_is_dead(self):
        running, exchange = self.held(f'trap "" TERM; echo $KVD_LEASE; echo $$; {FOR_EVER}')
        pid = running.line()
        running.process.kill()
        exchange.wait_closed()
        self.assertTrue(self.is_gone(pid))

    def test_the_connection_that_came_last_outlives_kvd_until_the_command_is_dead(self):
        other = self.another()
        running, exchange = self.held(f'trap "" TERM; echo $KVD_LEASE; echo $$; {FOR_EVER}',
                                      servers=[self.server.name, other.name])
        pid = running.line()
        exchange.end_stream()
        second = self.asked(TAKE_UP, other).stream(FIRST)
        exchange.wait_closed()  # by the guard, which has another one now
        running.process.kill()
        second.wait_closed()
        self.assertTrue(self.is_gone(pid))


if __name__ == '__main__':
    fake_server.main(sys.argv)
