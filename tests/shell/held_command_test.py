#!/usr/bin/env python3
"""kvd lock and kvd elect before a scripted server: a command runs only while its grant is held, whatever ends the grant
ends the command, and what exit codes and lines tell of it. Usage: held_command_test.py KVD"""
import os
import signal
import sys

import fake_server
from fake_server import ClientTest, FOR_EVER, refusing_name

WAITING = {'state': 'waiting', 'ahead': 3}
HELD = {'state': 'held', 'fence': 12345}
LOST = {'state': 'lost', 'reason': 'ZooKeeper is gone'}

# Until SIGTERM, which it tells.
UNTIL_TERM = f'trap "echo term; exit 3" TERM; echo started; {FOR_EVER}'
DEAF = f'trap "" TERM; echo $$; {FOR_EVER}'
# Three that leave the command's process group, in a session of their own: a child, an orphan, and one that is deaf.
STRAYS = ('setsid sh -c "echo \\$\\$; exec sleep 100" & (setsid sh -c "echo \\$\\$; exec sleep 100" &) ; '
          f"setsid sh -c '{DEAF}' & ")
# What asks a program to do something else than to end, by number: the shell does not know all names.
OTHER_SIGNALS = [int(number) for number in (
    signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR,
    signal.SIGSTKFLT, signal.SIGXCPU, signal.SIGWINCH, signal.SIGRTMIN, signal.SIGRTMAX)]


class Lock(ClientTest):
    def lock(self, script, *flags, **options):
        return self.start('lock', 'app/job', *flags, '--', 'sh', '-c', script, **options)

    def held(self, script, *flags, **options):
        running = self.lock(script, *flags, **options)
        return running, self.server.next().stream(HELD)

    def test_the_command_runs_only_while_the_lock_is_held(self):
        state = self.write('state', 'nothing')
        done = self.path('done')
        running = self.lock(f'echo $(cat {state}) $KVD_LOCK $KVD_FENCE $KVD_FENCE_PARAM; read go; touch {done}; exit 5',
                            '--name', 'me & you')
        exchange = self.server.next()
        self.assertEqual((exchange.method, exchange.target), ('POST', '/v1/locks/app/job?hold=1&name=me%20%26%20you'))
        self.write('state', 'waiting')
        exchange.stream(WAITING, {'state': 'waiting', 'ahead': 1})
        self.write('state', 'held')
        exchange.say(HELD)
        self.assertEqual(running.line(), 'held app/job 12345 app/job:12345')
        exchange.say(HELD, {'state': 'something new'})
        self.assertTrue(exchange.is_open())
        self.assertFalse(os.path.exists(done))
        running.tell('go')
        exchange.wait_closed()
        self.assertTrue(os.path.exists(done))
        self.assertEqual(running.end(), (5, '', []))

    def test_a_path_that_needs_escapes(self):
        running = self.start('lock', '/a b/c&d', '--wait', '5000', '--name', 'me', '--', 'sh', '-c',
                             'echo $KVD_LOCK $KVD_FENCE_PARAM')
        exchange = self.server.next()
        path, _, query = exchange.target.partition('?')
        self.assertEqual(path, '/v1/locks/a%20b/c%26d')
        self.assertRegex(query, r'\Ahold=1&wait=[1-9][0-9]*&name=me\Z')
        exchange.stream(HELD)
        self.assertEqual(running.end(), (0, 'a b/c&d a%20b/c%26d:12345\n', []))

    def test_a_lost_lock_stops_the_command(self):
        running, exchange = self.held(UNTIL_TERM)
        self.assertEqual(running.line(), 'started')
        exchange.say(LOST)
        line = 'kvd: lost the lock app/job (ZooKeeper is gone): the command is being stopped'
        self.assertEqual(running.end(), (75, 'term\n', [line]))

    def test_the_grant_is_not_given_back_before_the_command_has_ended(self):
        running, exchange = self.held(self.deaf_until_go(), '--grace', '60000')
        self.check_closed_behind_the_command(running, exchange, LOST, HELD)

    def test_whatever_ends_the_stream_stops_the_command(self):
        ends = {
            'the connection was closed': lambda exchange: exchange.close(),
            'the server ended it': lambda exchange: exchange.end_stream(),
            "'held' is no JSON object": lambda exchange: exchange.chunk(b'held\n'),
            'the server has queued it again': lambda exchange: exchange.say(WAITING),
            'the server has granted it anew': lambda exchange: exchange.say({'state': 'held', 'fence': 12346}),
            'a grant without a fence': lambda exchange: exchange.say({'state': 'held'}),
            'the server says that it was not granted in time': lambda exchange: exchange.say({'state': 'timeout'}),
            'the server says so': lambda exchange: exchange.say({'state': 'lost'}),
            'protocol error': lambda exchange: exchange.connection.sendall(b'no chunk'),
        }
        for why, end in ends.items():
            with self.subTest(why):
                running, exchange = self.held(UNTIL_TERM)
                self.assertEqual(running.line(), 'started')
                end(exchange)
                code, output, errors = running.end()
                self.assertEqual((code, output), (75, 'term\n'))
                self.assertEqual(errors, [f'kvd: lost the lock app/job ({why}): the command is being stopped'])

    def test_a_command_that_is_deaf_is_killed_after_the_grace_time(self):
        running, exchange = self.held(DEAF, '--grace', '50')
        pid = running.line()
        exchange.say(LOST)
        code, _, errors = running.end()
        self.assertEqual((code, len(errors)), (75, 1), errors)
        self.assertTrue(self.is_gone(pid))

    def test_what_the_command_has_started_is_stopped_with_it(self):
        running, exchange = self.held(f'({DEAF}) & sh -c "echo \\$\\$; exec sleep 100" & wait', '--grace', '50')
        pids = [running.line(), running.line()]
        exchange.say(LOST)
        self.assertEqual(running.end()[0], 75)
        for pid in pids:
            self.assertTrue(self.is_gone(pid))

    def test_what_the_command_leaves_running_is_stopped_before_the_release(self):
        running, exchange = self.held('sh -c "echo \\$\\$; exec sleep 100" & read go; exit 4')
        pid = running.line()
        running.tell('go')
        exchange.wait_closed()
        self.assertTrue(self.is_gone(pid))
        self.assertEqual(running.end(), (4, '', []))

    def lines(self, running, count):
        return [running.line() for _ in range(count)]

    def all_gone(self, pids):
        self.assertEqual([pid for pid in pids if not self.is_gone(pid)], [])

    def test_what_has_left_the_process_group_is_stopped_by_a_loss(self):
        running, exchange = self.held(STRAYS + 'wait', '--grace', '50')
        pids = self.lines(running, 3)
        exchange.say(LOST)
        exchange.wait_closed()
        self.all_gone(pids)
        self.assertEqual(running.end()[0], 75)

    def test_what_has_left_the_process_group_is_stopped_before_the_release(self):
        for end in (lambda running: running.tell('go'), lambda running: running.send(signal.SIGTERM)):
            running, exchange = self.held(STRAYS + 'trap "exit 4" TERM; echo ready; read go; exit 4', '--grace', '50')
            pids = self.lines(running, 4)
            pids.remove('ready')
            end(running)
            exchange.wait_closed()
            self.all_gone(pids)
            self.assertEqual(running.end(), (4, '', []))

    def nested(self, script, *flags):
        """A lock within a lock: the program, and both connections."""
        running = self.start('lock', 'outer', *flags, '--', fake_server.KVD, 'lock', 'inner', '--grace', '60000',
                             '--servers', self.server.name, '--', 'sh', '-c', script)
        outer = self.server.next().stream(HELD)
        inner = self.server.next()
        self.assertTrue(inner.target.startswith('/v1/locks/inner?'))
        return running, outer, inner.stream(HELD)

    def test_the_end_of_a_lock_ends_what_runs_under_one_within(self):
        running, outer, inner = self.nested(STRAYS + DEAF, '--grace', '50')
        pids = self.lines(running, 4)
        outer.say(LOST)
        outer.wait_closed()
        self.all_gone(pids)
        inner.wait_closed()
        self.assertEqual(running.end()[0], 75)

    def test_a_command_under_a_lock_within_hears_sigterm_once(self):
        running, outer, inner = self.nested(f'trap "echo term" TERM; echo started; exec 2>/dev/null; {self.until_go()}',
                                            '--grace', '60000')
        self.assertEqual(running.line(), 'started')
        outer.say(LOST)
        self.assertEqual(running.line(), 'term')
        self.go()
        inner.wait_closed()
        self.assertEqual(running.end()[:2], (75, ''))

    def test_the_grant_outlives_kvd_until_the_command_is_dead(self):
        running, exchange = self.held(STRAYS + DEAF)
        pids = self.lines(running, 4)
        running.process.kill()
        exchange.wait_closed()
        self.all_gone(pids)

    def test_a_guard_that_is_killed_takes_the_command_with_it(self):
        running, exchange = self.held(STRAYS + DEAF)
        pids = self.lines(running, 4)
        guard, = self.guards(running.process.pid)
        os.kill(guard, signal.SIGKILL)
        exchange.wait_closed()
        for pid in pids:
            self.wait_state(pid, 'XZ')
        self.assertEqual(running.end(), (128 + signal.SIGKILL, '', []))

    def test_a_command_that_a_signal_ends(self):
        running, exchange = self.held('kill -9 $$')
        exchange.wait_closed()
        self.assertEqual(running.end(), (128 + signal.SIGKILL, '', []))

    def test_a_command_that_cannot_be_started(self):
        for command, code, words in (('/no/such/program', 127, 'no such file'), ('/etc/passwd', 126, 'permission')):
            running = self.start('lock', 'app/job', '--', command)
            exchange = self.server.next().stream(HELD)
            exchange.wait_closed()
            got, _, errors = running.end()
            self.assertEqual((got, len(errors)), (code, 1), errors)
            self.assertIn(words, errors[0])

    def test_not_in_time(self):
        running = self.lock('echo started', '--wait', '100')
        self.server.next().stream(WAITING, {'state': 'timeout'})
        self.assertEqual(running.end(), (69, '', ['kvd: the lock app/job was not granted in time']))

    def test_a_refusal_is_told_in_the_servers_words(self):
        for status in (400, 404, 408, 409, 500):
            running = self.lock('echo started')
            self.server.next().answer(status, {'title': 'No', 'detail': 'held by\nsomebody'})
            line = f'kvd: the lock app/job is not to be had: the server says {status}: held by somebody'
            self.assertEqual(running.end(), (69, '', [line]))

    def test_the_next_server_is_tried(self):
        last = fake_server.FakeServer()
        self.addCleanup(last.close)
        dead = refusing_name()
        running = self.lock('echo started', servers=[dead, self.server.name, last.name])
        self.server.next().answer(503, {'detail': 'no leader'})
        last.next().stream(HELD)
        code, output, errors = running.end()
        self.assertEqual((code, output), (0, 'started\n'))
        self.assertEqual(errors, [f'kvd: {dead}: connection refused; trying on',
                                  f'kvd: {self.server.name}: the server says 503: no leader; trying on'])

    def test_a_lost_place_in_the_queue_is_sought_again(self):
        running = self.lock('echo $KVD_FENCE')
        for end in (lambda exchange: exchange.close(), lambda exchange: exchange.say(LOST)):
            end(self.server.next().stream(WAITING))
        self.server.next().stream(WAITING, HELD)
        code, output, errors = running.end()
        self.assertEqual((code, output, len(errors)), (0, '12345\n', 2), errors)

    def test_nobody_answers_in_time(self):
        names = [refusing_name(), refusing_name()]
        running = self.lock('echo started', '--wait', '0', servers=names)
        code, output, errors = running.end()
        self.assertEqual((code, output), (69, ''))
        self.assertEqual(errors, [f'kvd: {names[0]}: connection refused; trying on',
                                  f'kvd: no server took the request in time: {names[1]}: connection refused'])

    def test_a_silent_server_does_not_stretch_the_wait(self):
        running = self.lock('echo started', '--wait', '100')
        code, output, (error,) = running.end()
        self.assertEqual((code, output), (69, ''))
        self.assertRegex(error, r'\Akvd: no server took the request in time: 127.0.0.1:\d+: silent for \d{1,4} ms\Z')

    def test_a_server_that_falls_silent_does_not_stretch_the_wait(self):
        running = self.lock('echo started', '--wait', '100')
        self.server.next().stream(WAITING)
        line = 'kvd: the lock app/job was not granted in time: the server is silent'
        self.assertEqual(running.end(), (69, '', [line]))

    def test_a_silent_server_leaves_time_for_the_next_one(self):
        last = fake_server.FakeServer()
        self.addCleanup(last.close)
        running = self.lock('echo started', '--wait', '4000', servers=[self.server.name, last.name])
        self.server.next()
        last.next().stream(HELD)
        self.assertEqual(running.end()[:2], (0, 'started\n'))

    def test_closed_standard_descriptors(self):
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            with self.subTest(closed):
                done = self.path('done')
                running, exchange = self.held(f'read line; echo out; echo error >&2; echo $line >{done}; exit 7',
                                              closed=closed)
                running.process.stdin.close()
                running.process.stdin = None
                exchange.wait_closed()
                self.assertEqual(running.end()[0], 7)
                self.assertEqual(self.read('done'), '\n')
                os.remove(done)

    def test_servers_from_the_environment(self):
        running = self.run_alone('lock', 'a', '--', 'true', env={'KVD_SERVERS': self.server.name})
        self.server.next().stream(HELD)
        self.assertEqual(running.end(), (0, '', []))

    def test_a_server_by_name(self):
        running = self.lock('echo started', servers=[self.server.name.replace('127.0.0.1', 'localhost')])
        self.server.next().stream(HELD)
        self.assertEqual(running.end()[:2], (0, 'started\n'))

    def test_a_signal_before_the_grant(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            running = self.lock('echo started')
            exchange = self.server.next().stream(WAITING)
            running.send(number)
            exchange.wait_closed()
            self.assertEqual(running.end(), (128 + number, '', []))

    def test_a_signal_that_was_ignored_stays_so(self):
        running = self.lock('echo started', ignoring=[signal.SIGHUP])
        exchange = self.server.next().stream(WAITING)
        running.send(signal.SIGHUP)
        exchange.say(HELD)
        self.assertEqual(running.end(), (0, 'started\n', []))

    def test_what_is_ignored_is_ignored_by_the_command_too(self):
        running, _ = self.held('kill -HUP $$; echo lives', ignoring=[signal.SIGHUP])
        self.assertEqual(running.end(), (0, 'lives\n', []))

    def test_a_signal_for_the_command_before_there_is_one(self):
        running = self.lock('echo started')
        exchange = self.server.next().stream(WAITING)
        for number in OTHER_SIGNALS:
            running.send(number)
            self.pause(running)  # has heard it
            running.send(signal.SIGCONT)
        exchange.say(HELD)
        self.assertEqual(running.end(), (0, 'started\n', []))

    def test_a_command_stands_still_with_kvd(self):
        for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
            running, exchange = self.held('echo $$; setsid sh -c "echo \\$\\$; exec sleep 100" & read go; exit 7')
            self.pause(running, *self.lines(running, 2), number=number)
            self.assertTrue(exchange.is_open())
            running.send(signal.SIGCONT)
            running.tell('go')
            self.assertEqual(running.end(), (7, '', []))

    def test_a_grant_that_is_lost_while_kvd_stands_still(self):
        running, exchange = self.held('trap "echo term; exit 0" TERM; trap "echo went on" CONT; echo $$; read go')
        self.pause(running, running.line())
        exchange.say(LOST)
        running.send(signal.SIGCONT)
        code, output, errors = running.end()
        self.assertEqual((code, output, len(errors)), (75, 'term\n', 1), errors)

    def test_a_signal_is_passed_on_to_the_command(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, *OTHER_SIGNALS):
            running, _ = self.held(f'trap "exit 7" {int(number)}; echo started; {FOR_EVER}')
            self.assertEqual(running.line(), 'started')
            running.send(number)
            self.assertEqual(running.end(), (7, '', []))

    def test_standard_input_is_the_commands(self):
        running, _ = self.held('read line; echo got $line')
        running.tell('this')
        self.assertEqual(running.end()[:2], (0, 'got this\n'))


class Election(ClientTest):
    def test_the_command_runs_while_the_candidate_leads(self):
        running = self.start('elect', 'app', '--candidate', 'me', '--', 'sh', '-c',
                             'echo $KVD_ELECTION $KVD_FENCE $KVD_FENCE_PARAM; exit 5')
        exchange = self.server.next()
        self.assertEqual((exchange.method, exchange.target), ('POST', '/v1/elections/app?candidate=me&hold=1'))
        exchange.stream({'leading': False, 'ahead': 2}, {'leading': True, 'fence': 7})
        exchange.wait_closed()
        self.assertEqual(running.end(), (5, 'app 7 app:7\n', []))

    def test_a_lost_lead_stops_the_command(self):
        for end in (LOST, {'leading': False, 'ahead': 1}):
            running = self.start('elect', 'app', '--', 'sh', '-c', UNTIL_TERM)
            exchange = self.server.next().stream({'leading': True, 'fence': 7})
            self.assertEqual(running.line(), 'started')
            exchange.say(end)
            code, output, errors = running.end()
            self.assertEqual((code, output, len(errors)), (75, 'term\n', 1), errors)
            self.assertTrue(errors[0].startswith('kvd: lost the lead of app ('), errors)

    def test_again_it_stands_anew_after_the_command_has_ended(self):
        running = self.start('elect', 'app', '--again', '--', 'sh', '-c',
                             'trap "echo over; exit 3" TERM; echo $KVD_FENCE; [ $KVD_FENCE = 9 ] && exit 6; '
                             f'{FOR_EVER}')
        for fence in (7, 8):
            exchange = self.server.next().stream({'leading': True, 'fence': fence})
            self.assertEqual(running.line(), str(fence))
            exchange.say(LOST)
            self.assertEqual(running.line(), 'over')
            exchange.wait_closed()
        self.server.next().stream({'leading': True, 'fence': 9})
        self.assertEqual(running.line(), '9')
        code, output, errors = running.end()
        self.assertEqual((code, output, len(errors)), (6, '', 2), errors)

    def test_again_ends_by_a_signal(self):
        running = self.start('elect', 'app', '--again', '--', 'sh', '-c', UNTIL_TERM)
        self.server.next().stream({'leading': True, 'fence': 7}).say(LOST)
        self.server.next().stream({'leading': False, 'ahead': 0})
        running.send(signal.SIGTERM)
        self.assertEqual(running.end()[0], 128 + signal.SIGTERM)

    def test_a_refusal(self):
        running = self.start('elect', 'app', '--', 'true')
        self.server.next().answer(403, {'detail': 'not here'})
        line = 'kvd: the lead of app is not to be had: the server says 403: not here'
        self.assertEqual(running.end(), (69, '', [line]))


class CommandLine(ClientTest):
    def test_unusable_flags(self):
        for arguments in (['lock'], ['lock', 'a'], ['elect', 'a', '--wait', '1', '--', 'true'], ['work'],
                          ['hosts-sync'], ['lock', 'a', '--grace', 'x', '--', 'true']):
            code, output, errors = self.run_alone(*arguments).end()
            self.assertEqual((code, output, len(errors)), (64, '', 1), errors)
            self.assertTrue(errors[0].startswith('kvd: '), errors)

    def test_a_variable_that_means_nothing(self):
        running = self.run_alone('lock', 'a', env={'KVD_SERVER': self.server.name})
        code, _, errors = running.end()
        line = 'kvd: KVD_SERVER: there is no such variable; the nearest is KVD_SERVERS'
        self.assertEqual((code, errors[0]), (64, line))

    def test_help(self):
        texts = {}
        for arguments in ([], ['lock'], ['elect'], ['work'], ['hosts-sync']):
            code, texts[' '.join(arguments)], errors = self.run_alone(*arguments, '--help').end()
            self.assertEqual((code, errors), (0, []))
        for name in ('lock', 'elect', 'work', 'hosts-sync'):
            self.assertIn(f'\n  {name} ', texts[''])
            self.assertIn(f'Usage: kvd {name} ', texts[name])
        for line in ('get, put, del, ls, txn, add, watch\n', 'lease ', 'config sync ', 'config status '):
            self.assertIn('\n  ' + line, texts[''])
        for name in ('lock', 'elect'):
            self.assertIn('What is not:', texts[name])


if __name__ == '__main__':
    fake_server.main(sys.argv)
