#!/usr/bin/env python3
"""kvd work before a scripted server: tasks are fetched, run and reported; what the server takes back is stopped and
never reported; a stop finishes what runs. Usage: work_test.py KVD"""
import base64
import os
import re
import signal
import sys

import fake_server
from fake_server import ClientTest, FOR_EVER, refusing_name


def task(name, data='', fence=7, **more):
    return {'id': name, 'attempt': 1, 'fence': fence, 'kind': 'k', 'data': data, **more}


class Work(ClientTest):
    def work(self, script, *flags, **options):
        return self.start('work', '--exec', script, '--name', 'w', *flags, **options)

    def registered(self, name='w'):
        exchange = self.server.next()
        self.assertEqual((exchange.method, exchange.target), ('POST', f'/v1/workers?name={name}&hold=1&wait=0'))
        return exchange.stream({'worker': name})

    def asked(self, name='w'):
        """The request for a task."""
        exchange = self.server.next()
        self.assertEqual((exchange.method, exchange.target), ('POST', f'/v1/workers/{name}/next?wait=10000'))
        return exchange

    def reported(self, name, body, status='done', fence=7):
        """The result of a task, not answered yet."""
        exchange = self.server.next()
        self.assertEqual((exchange.method, exchange.target),
                         ('PUT', f'/v1/tasks/{name}/result?fence={fence}&status={status}'))
        self.assertEqual(exchange.body, body)
        return exchange

    def begun(self, script, *flags):
        """A worker that runs the task t1."""
        running = self.work(script, *flags)
        registration = self.registered()
        self.asked().answer(200, task('t1'))
        return running, registration

    def stop(self, running):
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[0], 0)

    def test_tasks_are_run_one_after_the_other(self):
        running = self.work('echo $KVD_TASK $KVD_ATTEMPT $KVD_FENCE $KVD_KIND; cat; cat /dev/stdin')
        self.registered().say({'state': 'idle'})
        self.asked().answer(204)
        self.asked().answer(200, task('t1', 'data\n'))
        self.reported('t1', b't1 1 7 k\ndata\ndata\n').answer(200)
        self.asked().answer(200, task('t2', attempt=3, fence=8))
        self.reported('t2', b't2 3 8 k\n', fence=8).answer(204)
        self.asked()
        self.stop(running)

    def test_bytes_that_are_no_text(self):
        content = bytes(range(256)) * 1000
        running = self.work('head -c 300')
        self.registered()
        self.asked().answer(200, {'id': 'a/b', 'attempt': 1, 'fence': 7, 'kind': 'k',
                                  'data_b64': base64.b64encode(content).decode()})
        self.reported('a%2Fb', content[:300]).answer(200)
        self.asked()
        self.stop(running)

    def test_a_command_that_fails(self):
        running, _ = self.begun('echo why; exit 3')
        self.reported('t1', b'why\n', 'failed').answer(200)
        self.asked().answer(200, task('t2'))
        self.reported('t2', b'why\n', 'failed').answer(200)
        self.asked()
        self.stop(running)

    def test_a_result_of_61440_bytes_and_one_of_more(self):
        running, _ = self.begun('head -c 61440 /dev/zero')
        self.reported('t1', b'\0' * 61440).answer(200)
        self.asked()
        self.stop(running)
        running, _ = self.begun('head -c 61441 /dev/zero')
        self.reported('t1', b'the result has more than 61440 bytes\n', 'failed').answer(200)
        self.asked()
        self.stop(running)

    def progress(self, answered=204):
        """The next report of the task t1."""
        exchange = self.server.next()
        self.assertEqual((exchange.method, exchange.target), ('PUT', '/v1/tasks/t1/progress?fence=7'))
        if answered:
            exchange.answer(answered)
        return exchange.body

    def test_progress_is_reported_and_the_last_word_counts(self):
        running, _ = self.begun(f'echo {"x" * 300} >&3; echo not yet ended; {self.until_go()}; '
                                'for i in 1 2 3; do echo $i >&3; done; printf half >&3')
        self.assertEqual(self.progress(), b'x' * 256)
        self.go()
        last = None
        while (exchange := self.server.next()).target.startswith('/v1/tasks/t1/progress?'):
            last = exchange.body
            exchange.answer(204)
        self.assertEqual((last, exchange.target, exchange.body),
                         (b'3', '/v1/tasks/t1/result?fence=7&status=done', b'not yet ended\n'))
        exchange.answer(200)
        self.asked()
        self.stop(running)

    def test_the_last_progress_follows_one_that_is_under_way(self):
        running, _ = self.begun(f'echo first >&3; {self.until_go()}; echo second >&3; echo last >&3; exit 3')
        exchange = self.server.next()
        self.assertEqual(exchange.body, b'first')
        self.go()
        guard, = self.guards(running.process.pid)
        self.wait_state(guard, 'XZ')
        exchange.answer(204)
        self.assertEqual(self.progress(), b'last')
        self.reported('t1', b'', 'failed').answer(200)
        self.asked().answer(200, task('t2'))
        # Of the next task nothing is said before it does.
        self.assertEqual(self.server.next().target, '/v1/tasks/t2/progress?fence=7')
        running.process.kill()

    def test_progress_that_nobody_takes_does_not_hold_the_result_back(self):
        running, _ = self.begun('echo 10 >&3; echo one')
        self.assertEqual(self.progress(answered=None), b'10')
        self.reported('t1', b'one\n').answer(200)
        self.asked()
        self.stop(running)

    def test_progress_that_is_refused_does_not_end_the_command(self):
        running, _ = self.begun(f'echo 10 >&3; {self.until_go()}; echo one')
        self.assertEqual(self.progress(answered=400), b'10')
        self.go()
        self.reported('t1', b'one\n').answer(200)
        self.asked()
        running.send(signal.SIGTERM)
        line = 'kvd: task t1 (attempt 1): its progress is not taken: the server says 400'
        self.assertEqual(running.end(), (0, '', [line]))

    def test_a_command_that_writes_for_ever_is_stopped(self):
        running, _ = self.begun('echo $$ >&2; exec cat /dev/zero')
        pid = running.error_line()
        self.reported('t1', b'the result has more than 61440 bytes\n', 'failed').answer(200)
        self.assertTrue(self.is_gone(pid))
        self.asked()
        self.stop(running)

    def test_a_result_for_a_task_that_was_given_to_another_is_dropped(self):
        running, _ = self.begun('echo one')
        self.reported('t1', b'one\n').answer(412, {'detail': 'reassigned'})
        self.asked()
        running.send(signal.SIGTERM)
        line = 'kvd: task t1 (attempt 1): given to another meanwhile; its result is dropped'
        self.assertEqual(running.end(), (0, '', [line]))

    def test_a_result_that_is_refused_is_dropped(self):
        running, _ = self.begun('echo one')
        self.reported('t1', b'one\n').answer(404, {'detail': 'no such task'})
        self.asked()
        running.send(signal.SIGTERM)
        line = 'kvd: task t1 (attempt 1): its result is dropped: the server says 404: no such task'
        self.assertEqual(running.end(), (0, '', [line]))

    def test_a_result_is_sent_until_a_server_takes_it(self):
        running, _ = self.begun('echo one')
        self.reported('t1', b'one\n').close()
        self.reported('t1', b'one\n').answer(503)
        self.reported('t1', b'one\n').answer(200)
        self.asked()
        self.stop(running)

    def test_what_has_left_the_process_group_is_stopped_before_the_result(self):
        running, _ = self.begun('setsid sh -c "echo \\$\\$ >&2; exec sleep 100" & '
                                '(setsid sh -c "echo \\$\\$ >&2; exec sleep 100" &); '
                                f'{self.until_go()}; echo one')
        pids = [running.error_line(), running.error_line()]
        self.go()
        self.reported('t1', b'one\n').answer(200)
        for pid in pids:
            self.assertTrue(self.is_gone(pid))
        self.asked()
        self.stop(running)

    def test_the_end_of_a_task_leaves_what_another_one_has_started(self):
        running, _, questions = self.two('(setsid sh -c "echo \\$\\$ >&2; exec sleep 100" &); '
                                         f'while [ ! -e {self.path("go")}-$KVD_TASK ]; do sleep 0.02; done')
        pids = {}
        for name, question in questions.items():
            question.answer(200, task(name))
            pids[name] = running.error_line()
        for name, others in (('w.1', ['w.2']), ('w.2', [])):
            self.write(f'go-{name}', '')
            self.reported(name, b'').answer(200)
            self.asked(name)
            self.assertTrue(self.is_gone(pids[name]))
            for other in others:
                self.assertFalse(self.is_gone(pids[other]))
        self.stop(running)

    def test_a_signal_is_passed_on_to_the_command(self):
        for number in (signal.SIGUSR1, signal.SIGALRM, signal.SIGWINCH):
            running, _ = self.begun(f'trap "echo one; exit 0" {int(number)}; echo started >&2; {FOR_EVER}')
            self.assertEqual(running.error_line(), 'started')
            running.send(number)
            self.reported('t1', b'one\n').answer(200)
            self.asked()
            running.send(number)
            self.stop(running)

    def test_tasks_stand_still_with_kvd(self):
        file = self.path('pipe')
        os.mkfifo(file)
        running, _ = self.begun(f'echo $$ >&2; read go <{file}; echo one')
        pid = running.error_line()
        self.pause(running, pid)
        running.send(signal.SIGCONT)
        self.write('pipe', 'go\n')
        self.reported('t1', b'one\n').answer(200)
        self.asked()
        self.stop(running)

    def test_a_registration_outlives_kvd_until_the_command_is_dead(self):
        running, registration = self.begun(f'trap "" TERM; echo $$ >&2; {FOR_EVER}')
        pid = running.error_line()
        running.process.kill()
        registration.wait_closed()
        self.assertTrue(self.is_gone(pid))

    def test_a_cancelled_task_is_stopped_and_not_reported(self):
        script = f'exec 3>&2; trap "echo term >&3; exit 0" TERM; echo started >&3; {FOR_EVER}'
        running, registration = self.begun(script)
        self.assertEqual(running.error_line(), 'started')
        registration.say({'state': 'cancel', 'id': 't1'})
        self.assertEqual(running.error_line(), 'kvd: task t1 (attempt 1): cancelled')
        self.assertEqual(running.error_line(), 'term')
        self.asked()
        self.stop(running)

    def test_a_task_goes_on_when_another_one_is_cancelled(self):
        running, registration = self.begun(f'echo started >&2; {self.until_go()}; echo one')
        self.assertEqual(running.error_line(), 'started')
        registration.say({'state': 'cancel', 'id': 'another'})
        self.go()
        self.reported('t1', b'one\n').answer(200)
        self.asked()
        self.stop(running)

    def test_a_worker_that_is_gone_for_the_server_registers_anew(self):
        ends = (lambda registration: registration.say({'state': 'lost', 'reason': 'gone'}),
                lambda registration: registration.close(),
                lambda registration: registration.chunk(b'no line of JSON\n'))
        running = self.work('true')
        registration = self.registered()
        for end in ends:
            asked = self.asked()
            end(registration)
            asked.wait_closed()
            registration.wait_closed()
            registration = self.registered()
        for status in (410, 404):
            self.asked().answer(status, {'detail': 'no such worker'})
            registration.wait_closed()
            registration = self.registered()
        self.asked()
        running.send(signal.SIGTERM)
        code, _, errors = running.end()
        self.assertEqual(code, 0)
        self.assertEqual(errors[0], 'kvd: worker w is not registered (gone); registering anew')

    def two(self, script, *flags):
        """Two workers that have asked for a task: the program, its registrations and its questions, by name."""
        running = self.work(script, '--parallel', '2', *flags)
        registrations, questions = {}, {}
        while len(questions) < 2:
            exchange = self.server.next()
            name = re.search(r'w\.[12]', exchange.target)[0]
            if exchange.target.startswith('/v1/workers?'):
                registrations[name] = exchange.stream({'worker': name})
            else:
                questions[name] = exchange
        return running, registrations, questions

    def test_a_task_of_a_lost_worker_is_stopped_before_it_registers_anew(self):
        running, registrations, questions = self.two(f'trap "" TERM; echo started >&2; {self.until_go()}',
                                                     '--grace', '60000')
        questions['w.1'].answer(200, task('t1'))
        self.assertEqual(running.error_line(), 'started')
        registrations['w.1'].say({'state': 'lost', 'reason': 'gone'})
        self.assertEqual(running.error_line(), 'kvd: worker w.1 is not registered (gone); registering anew')
        registrations['w.1'].say({'state': 'idle'}, {'state': 'lost'})
        # When it does something else, it is done with what the loss has led to.
        questions['w.2'].answer(204)
        self.asked('w.2')
        self.assertTrue(registrations['w.1'].is_open())
        self.go()
        registrations['w.1'].wait_closed()
        self.registered('w.1')
        self.asked('w.1')
        self.stop(running)

    def test_a_result_that_is_under_way_outlives_the_registration(self):
        running, registration = self.begun('echo one')
        report = self.reported('t1', b'one\n')
        registration.close()
        again = self.server.next()
        self.assertEqual(again.target, '/v1/workers?name=w&hold=1&wait=0')
        again.stream({'worker': 'w'})
        report.answer(200)
        self.asked()
        self.stop(running)

    def test_the_name_that_the_server_gives_counts(self):
        running = self.work('true')
        self.server.next().stream({'worker': 'other name'})
        self.asked('other%20name')
        self.stop(running)

    def test_unusable_tasks_are_asked_for_again(self):
        running = self.work('true')
        self.registered()
        self.asked().answer(200, {'id': 't1'})
        self.asked().answer(500, {'detail': 'oops'})
        self.asked().answer(503)
        self.asked()
        running.send(signal.SIGTERM)
        code, _, errors = running.end()
        self.assertEqual(code, 0)
        self.assertEqual(errors, ['kvd: no task for w: a task without its attempt and fence; trying on',
                                  'kvd: no task for w: the server says 500: oops; trying on',
                                  f'kvd: {self.server.name}: the server says 503; trying on'])

    def test_a_name_that_is_taken_is_tried_again(self):
        running = self.work('true')
        self.server.next().answer(409, {'detail': 'taken'})
        self.registered()
        self.asked()
        self.stop(running)

    def test_a_refused_worker(self):
        running = self.work('true', '--parallel', '2')
        self.server.next().answer(400, {'detail': 'bad name'})
        code, _, errors = running.end()
        self.assertEqual((code, len(errors)), (69, 1))
        self.assertRegex(errors[0], r'\Akvd: worker w\.[12]: the server says 400: bad name\Z')

    def test_several_at_a_time(self):
        running, _, questions = self.two(f'echo $KVD_TASK >&2; {self.until_go()}; echo $KVD_TASK')
        for name, question in questions.items():
            question.answer(200, task('of ' + name))
        self.assertEqual({running.error_line(), running.error_line()}, {'of w.1', 'of w.2'})
        self.go()
        results = [self.server.next(), self.server.next()]
        self.assertEqual({result.body for result in results}, {b'of w.1\n', b'of w.2\n'})
        self.stop(running)

    def test_the_next_server_is_tried(self):
        running = self.work('true', servers=[refusing_name(), self.server.name])
        self.registered()
        self.asked()
        self.stop(running)

    def test_a_stop_while_idle_gives_the_registration_back(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            running = self.work('true')
            registration = self.registered()
            asked = self.asked()
            running.send(number)
            registration.wait_closed()
            asked.wait_closed()
            self.assertEqual(running.end(), (0, '', []))

    def test_a_stop_lets_the_task_finish(self):
        running, registration = self.begun(f'echo started >&2; {self.until_go()}; echo one', '--grace', '60000')
        self.assertEqual(running.error_line(), 'started')
        running.send(signal.SIGTERM)
        self.go()
        report = self.reported('t1', b'one\n')
        self.assertTrue(registration.is_open())
        report.answer(200)
        registration.wait_closed()
        self.assertEqual(running.end(), (0, '', []))

    def test_a_task_that_does_not_finish_in_time_is_stopped_without_a_result(self):
        running, registration = self.begun(f'echo $$ >&2; {FOR_EVER}', '--grace', '50')
        pid = running.error_line()
        running.send(signal.SIGTERM)
        registration.wait_closed()
        self.assertTrue(self.is_gone(pid))
        self.assertEqual(running.end(), (0, '', []))
        self.assertTrue(self.server.exchanges.empty())

    def test_a_second_signal_stops_at_once(self):
        running, registration = self.begun(f'echo $$ >&2; {FOR_EVER}', '--grace', '60000')
        pid = running.error_line()
        # Two of a kind may count as one.
        running.send(signal.SIGTERM)
        running.send(signal.SIGINT)
        registration.wait_closed()
        self.assertTrue(self.is_gone(pid))
        self.assertEqual(running.end(), (0, '', []))

    def test_a_stop_while_nobody_takes_the_result(self):
        running, _ = self.begun('echo one', '--grace', '50')
        self.reported('t1', b'one\n')
        running.send(signal.SIGTERM)
        self.assertEqual(running.end(), (0, '', []))

    def test_a_worker_leaves_no_descriptors_to_its_commands(self):
        running, _ = self.begun('ls /proc/self/fd | wc -l')
        # Three, that for progress, and the one by which ls reads the directory.
        self.reported('t1', b'5\n').answer(200)
        self.asked()
        self.stop(running)


if __name__ == '__main__':
    fake_server.main(sys.argv)
