#!/usr/bin/env python3
"""kvd queue work before a scripted server: messages are received, worked on and settled; their time is extended while
the command runs, and a command has ended before its message can be another's; a stop finishes or gives back what runs.
Usage: queue_work_test.py KVD"""
import base64
import json
import os
import signal
import sys
import time

import fake_server
from fake_server import DEADLINE_S, FOR_EVER, ClientTest, FakeServer, refusing_name

TTR_MS = 30_000
NO_QUEUE = {'type': 'urn:kvd:no-queue', 'detail': 'there is no queue q', 'outcome': 'not-applied'}
NO_MESSAGE = {'type': 'urn:kvd:no-message', 'detail': 'no such message', 'outcome': 'not-applied'}
STALE = {'type': 'urn:kvd:stale-receipt', 'detail': 'granted to another one', 'outcome': 'not-applied'}


def message(number=7, body='', attempt=1, **more):
    return {'id': str(number), 'receipt': number + 100, 'attempt': attempt, 'body': body, **more}


class QueueWork(ClientTest):
    def work(self, script, *flags, servers=None, **options):
        names = ','.join(servers or [self.server.name])
        return self.run_alone('queue', 'work', 'q', '--servers', names, '--exec', script, *flags, **options)

    def next(self, method, path):
        exchange = self.server.next()
        self.assertEqual((exchange.method, exchange.target.partition('?')[0]), (method, path))
        return exchange

    def learned(self, ttr_ms=TTR_MS):
        exchange = self.next('GET', '/v1/queues/q')
        self.assertIn('read=linear', exchange.target)
        exchange.answer(200, {'name': 'q', 'ttr': ttr_ms})

    def asked(self, ttr_ms=TTR_MS):
        """The request for a message."""
        exchange = self.next('POST', '/v1/queues/q/receive')
        self.assertIn(f'?wait={min(10_000, ttr_ms // 3)}&ttr={ttr_ms}&timeout=', exchange.target)
        self.assertNotIn('idempotency-key', exchange.headers)
        return exchange

    def begun(self, script, *flags, ttr_ms=TTR_MS, **options):
        """A worker that works on the message 7."""
        running = self.work(script, *flags, **options)
        self.learned(ttr_ms)
        self.asked(ttr_ms).answer(200, {'messages': [message()]})
        return running

    def settled(self, verb, number=7, result='ok', **more):
        """What becomes of a message; answered so, unless that is nothing."""
        exchange = self.next('POST', '/v1/queues/q/settle')
        self.assertEqual(json.loads(exchange.body), {verb: [{'id': str(number), 'receipt': number + 100, **more}]})
        if result:
            exchange.answer(200, {'results': [result], 'revision': 200})
        return exchange

    def extended(self, ttr_ms):
        exchange = self.next('PUT', '/v1/queues/q/messages/7')
        self.assertIn(f'?receipt=107&ttr={ttr_ms}&timeout=', exchange.target)
        return exchange

    def stop(self, running):
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[0], 0)

    # ---- messages ----

    def test_messages_are_worked_on_one_after_the_other(self):
        running = self.work('echo $KVD_QUEUE $KVD_MESSAGE_ID $KVD_RECEIPT $KVD_ATTEMPT "$KVD_GROUP" "$KVD_TYPE"; cat',
                            env={'KVD_GROUP': 'of another'})
        self.learned()
        self.asked().answer(204)
        self.asked().answer(200, {'messages': [message(body='body\n', group='g h', type='text/plain')]})
        self.assertEqual(running.line(), 'q 7 107 1 g h text/plain')
        self.assertEqual(running.line(), 'body')
        self.settled('ack')
        self.asked().answer(200, {'messages': [message(8, attempt=3)]})
        self.assertEqual(running.line(), 'q 8 108 3  ')
        self.settled('ack', 8)
        self.asked()
        self.stop(running)

    def test_bytes_that_are_no_text(self):
        content = bytes(range(256)) * 1000
        running = self.work(f'cat > {self.path("got")}')
        self.learned()
        self.asked().answer(200, {'messages': [{'id': '7', 'receipt': 107, 'attempt': 1,
                                               'body_b64': base64.b64encode(content).decode()}]})
        self.settled('ack')
        with open(self.path('got'), 'rb') as file:
            self.assertEqual(file.read(), content)
        self.asked()
        self.stop(running)

    def test_a_command_that_fails(self):
        for script, flags, more in (('exit 3', [], {'reason': 'exit code 3'}),
                                    ('kill -9 $$', [], {'reason': 'ended by signal 9'}),
                                    ('exit 3', ['--delay', '0'], {'reason': 'exit code 3', 'delay': 0})):
            running = self.begun(script, *flags)
            self.settled('nack', **more)
            self.asked()
            self.stop(running)

    def test_what_no_environment_can_hold(self):
        running = self.work('true')
        self.learned()
        self.asked().answer(200, {'messages': [message(group='a\0b')]})
        self.settled('nack', reason='its group or its type holds a NUL, which no environment can')
        self.asked()
        self.stop(running)

    def test_what_has_left_the_process_group_is_stopped_before_the_message_is_settled(self):
        running = self.begun('(setsid sh -c "echo \\$\\$ >&2; exec sleep 100" &); ' + self.until_go())
        pid = running.error_line()
        self.go()
        self.settled('ack')
        self.assertTrue(self.is_gone(pid))
        self.asked()
        self.stop(running)

    def test_a_worker_leaves_no_descriptors_to_its_commands(self):
        running = self.begun('ls /proc/self/fd | wc -l')
        self.assertEqual(running.line(), '4')  # three, and that by which ls reads the directory
        self.settled('ack')
        self.asked()
        self.stop(running)

    # ---- settling ----

    def test_an_answer_that_is_lost(self):
        """Then the message is gone, or the receipt used, as the first try did what it asked."""
        for script, verb, result, more in (('true', 'ack', 'gone', {}),
                                           ('exit 1', 'nack', 'stale', {'reason': 'exit code 1'}),
                                           ('exit 1', 'nack', 'gone', {'reason': 'exit code 1'})):
            running = self.begun(script)
            self.settled(verb, result=None, **more).close()
            self.settled(verb, result=result, **more)
            self.asked()
            running.send(signal.SIGTERM)
            code, _, errors = running.end()
            self.assertEqual((code, len(errors)), (0, 1))
            self.assertIn('message 7 (attempt 1): ', errors[0])
            self.assertIn('the connection was closed; trying on', errors[0])

    def test_refusals_for_now_are_tried_again(self):
        running = self.begun('true')
        for status in (503, 500, 504, 408):
            self.settled('ack', result=None).answer(status, {'detail': 'busy', 'outcome': 'not-applied'})
        self.settled('ack')
        self.asked()
        self.stop(running)

    def test_what_is_not_taken_is_told(self):
        for answer, line in (((200, {'results': ['stale']}), 'its receipt counts no more'),
                             ((200, {'results': ['gone']}), 'it was deleted meanwhile'),
                             ((404, NO_QUEUE), 'what became of it is not taken: the server says 404: there is no '
                                               'queue q')):
            running = self.begun('true')
            self.settled('ack', result=None).answer(*answer)
            self.asked()
            running.send(signal.SIGTERM)
            self.assertEqual(running.end(), (0, '', ['kvd: message 7 (attempt 1): ' + line]))

    def test_a_command_that_is_over_behind_an_answer_that_is_lost_and_a_newer_grant(self):
        running = self.begun('true')
        self.settled('ack', result=None).close()
        self.settled('ack', result='stale')
        self.asked()
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[2][-1], 'kvd: message 7 (attempt 1): its receipt counts no more')

    # ---- the time of a message ----

    def test_its_time_is_extended_while_the_command_runs(self):
        running = self.begun(self.until_go(), ttr_ms=6000)
        for _ in range(2):
            self.extended(6000).answer(200, {'left_ms': 6000})
        self.go()
        while (exchange := self.server.next()).method == 'PUT':
            exchange.answer(200, {'left_ms': 6000})
        self.assertEqual(json.loads(exchange.body), {'ack': [{'id': '7', 'receipt': 107}]})
        exchange.answer(200, {'results': ['ok']})
        self.asked(6000)
        self.stop(running)

    def test_a_message_that_is_anothers(self):
        for answer in ((404, NO_MESSAGE), (412, STALE), (404, NO_QUEUE)):
            running = self.begun(f'exec 3>&2; trap "echo term >&3; exit 0" TERM; echo started >&3; {FOR_EVER}',
                                 ttr_ms=6000)
            self.assertEqual(running.error_line(), 'started')
            self.extended(6000).answer(*answer)
            self.assertEqual(running.error_line(), 'kvd: message 7 (attempt 1): the server says '
                                                   f'{answer[0]}: {answer[1]["detail"]}: the command is being stopped')
            self.assertEqual(running.error_line(), 'term')
            self.asked(6000)  # and nothing is said of the message
            self.stop(running)

    def test_another_server_extends_it(self):
        other = FakeServer()
        self.addCleanup(other.close)
        running = self.begun(self.until_go(), ttr_ms=6000, servers=[self.server.name, other.name])
        self.extended(6000).close()
        exchange = other.next()
        self.assertEqual(exchange.method, 'PUT')
        exchange.answer(200, {'left_ms': 6000})
        self.go()
        exchange = other.next()
        self.assertEqual((exchange.method, exchange.target.partition('?')[0]), ('POST', '/v1/queues/q/settle'))
        exchange.answer(200, {'results': ['ok']})
        self.assertIn('/receive', other.next().target)
        self.stop(running)

    def test_a_command_has_ended_when_its_time_is_over(self):
        """Also one that does not heed SIGTERM, whatever --grace says, and whether the server refuses or is silent."""
        running = self.work(f'trap "" TERM; echo $$ >&2; {FOR_EVER}', '--grace', '60000')
        self.learned(12_000)
        exchange = self.asked(12_000)
        over = time.monotonic() + 12  # the server may have granted it then, and not before
        exchange.answer(200, {'messages': [message()]})
        pid = running.error_line()
        self.extended(12_000).answer(500, {'detail': 'oops'})
        self.extended(12_000)
        while not self.is_gone(pid):
            time.sleep(0.01)
        self.assertLess(time.monotonic(), over)
        while 'no server extended its time: the command is being stopped' not in running.error_line():
            continue
        while '/receive' not in (target := self.server.next().target):
            self.assertNotIn('/settle', target)
        self.stop(running)

    def test_a_command_that_stood_still_with_kvd_past_its_time(self):
        running = self.begun(f'echo $$ >&2; {FOR_EVER}', ttr_ms=3000)
        pid = running.error_line()
        self.pause(running, pid)
        over = time.monotonic() + 3
        while time.monotonic() < over:
            time.sleep(0.1)
        running.send(signal.SIGCONT)
        while 'no server extended its time: the command is being stopped' not in running.error_line():
            continue
        self.wait_state(pid, 'ZX')
        self.stop(running)

    def test_a_message_that_comes_too_late_is_given_back(self):
        """As a kvd finds it that stood still."""
        running = self.work('echo never')
        self.learned(600)
        exchange = self.asked(600)
        running.send(signal.SIGSTOP)
        self.wait_state(running.process.pid, 'T')
        over = time.monotonic() + 0.6
        while time.monotonic() < over:
            time.sleep(0.1)
        exchange.answer(200, {'messages': [message()]})
        running.send(signal.SIGCONT)
        self.settled('release')
        self.asked(600)
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[:2], (0, ''))

    def test_a_command_ends_with_kvd(self):
        running = self.begun(f'trap "" TERM; (setsid sh -c "echo \\$\\$ >&2; exec sleep 100" &); {FOR_EVER}')
        pid = running.error_line()
        running.process.kill()
        self.wait_state(pid, 'ZX')

    # ---- servers and queues ----

    def test_the_next_server_is_tried(self):
        running = self.work('true', servers=[refusing_name(), self.server.name])
        self.learned()
        self.asked().close()
        self.asked().answer(503)
        self.asked().answer(500, {'detail': 'oops'})
        self.asked().answer(200, b'<html>')
        self.asked()
        self.stop(running)

    def test_a_queue_that_is_not_there_yet(self):
        running = self.work('true')
        self.next('GET', '/v1/queues/q').answer(404, NO_QUEUE)
        self.learned()
        self.asked().answer(404, NO_QUEUE)
        self.learned(60_000)
        self.asked(60_000)
        running.send(signal.SIGTERM)
        code, _, errors = running.end()
        self.assertEqual((code, errors[0]),
                         (0, 'kvd: queue q: the server says 404: there is no queue q; trying on'))

    def test_what_servers_refuse_for_good(self):
        for status in (400, 404):
            running = self.work('true')
            self.next('GET', '/v1/queues/q').answer(status, {'detail': 'no'})
            self.assertEqual(running.end(), (69, '', [f'kvd: queue q: the server says {status}: no']))
        running = self.work('true')
        self.learned()
        self.asked().answer(400, {'detail': 'no'})
        self.assertEqual(running.end()[0], 69)

    # ---- stopping ----

    def test_a_stop_while_idle(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            running = self.work('true')
            self.learned()
            asked = self.asked()
            running.send(number)
            asked.wait_closed()
            self.assertEqual(running.end(), (0, '', []))

    def test_a_stop_lets_the_command_finish(self):
        running = self.begun(f'echo started >&2; {self.until_go()}', '--grace', '60000')
        self.assertEqual(running.error_line(), 'started')
        running.send(signal.SIGTERM)
        self.go()
        self.settled('ack')
        self.assertEqual(running.end(), (0, '', []))
        self.assertTrue(self.server.exchanges.empty())

    def test_what_does_not_finish_in_time_is_given_back(self):
        running = self.begun(f'echo $$ >&2; {FOR_EVER}', '--grace', '50')
        pid = running.error_line()
        running.send(signal.SIGTERM)
        exchange = self.settled('release', result=None)
        self.assertTrue(self.is_gone(pid))
        exchange.answer(200, {'results': ['ok']})
        self.assertEqual(running.end(), (0, '', []))

    def test_a_second_signal_stops_at_once(self):
        running = self.begun(f'echo $$ >&2; {FOR_EVER}', '--grace', '60000')
        pid = running.error_line()
        # Two of a kind may count as one.
        running.send(signal.SIGTERM)
        running.send(signal.SIGINT)
        exchange = self.settled('release', result=None)
        self.assertTrue(self.is_gone(pid))
        running.send(signal.SIGINT)
        exchange.wait_closed()
        self.assertEqual(running.end(), (0, '', ['kvd: message 7 (attempt 1): no server was told in time what became '
                                                 'of it']))

    def test_a_stop_while_nobody_takes_the_result(self):
        running = self.begun('true')
        self.settled('ack', result=None)
        running.send(signal.SIGTERM)
        code, _, errors = running.end()
        self.assertEqual((code, errors[-1]),
                         (0, 'kvd: message 7 (attempt 1): no server was told in time what became of it'))

    def test_other_signals_are_passed_on(self):
        for number in (signal.SIGUSR1, signal.SIGWINCH):
            running = self.begun(f'trap "echo one; exit 0" {int(number)}; echo started >&2; {FOR_EVER}')
            self.assertEqual(running.error_line(), 'started')
            running.send(number)
            self.assertEqual(running.line(), 'one')
            self.settled('ack')
            self.asked()
            running.send(number)
            self.stop(running)

    def test_a_command_stands_still_with_kvd(self):
        file = self.path('pipe')
        os.mkfifo(file)
        running = self.begun(f'echo $$ >&2; read go <{file}; echo one')
        pid = running.error_line()
        self.pause(running, pid)
        running.send(signal.SIGCONT)
        self.write('pipe', 'go\n')
        self.assertEqual(running.line(), 'one')
        self.settled('ack')
        self.asked()
        self.stop(running)


if __name__ == '__main__':
    fake_server.main(sys.argv)
