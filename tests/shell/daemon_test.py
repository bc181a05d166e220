#!/usr/bin/env python3
"""The program as an operator meets it, without ZooKeeper: exit codes, one clear line for each mistake, signals, and
that a stop answers what is under way. Every process it starts is ended by pid. Usage: daemon_test.py KVD"""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from free_port import free_port  # pylint: disable=wrong-import-position

KVD = os.path.abspath(sys.argv.pop(1))
DEADLINE_S = 60


def run(*flags, env=None):
    """Of a program that ends by itself: exit code, standard output, lines of standard error."""
    ended = subprocess.run([KVD, *flags], capture_output=True, text=True, timeout=DEADLINE_S, check=False,
                           env={**os.environ, **(env or {})})
    return ended.returncode, ended.stdout, ended.stderr.splitlines()


class Server:
    def __init__(self, *flags, descriptors=None, closed=()):
        def close():
            for number in closed:
                os.close(number)
        self.port = free_port()
        limited = [] if descriptors is None else ['prlimit', f'--nofile={descriptors}:{descriptors}']
        self.process = subprocess.Popen([*limited, KVD, '--port', str(self.port), *flags], stderr=subprocess.PIPE,
                                        text=True, preexec_fn=close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def wait_for(self, path, status):
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                if self.ask('GET', path)[0] == status:
                    return
            except OSError:
                pass
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f'{path} did not become {status}')
            time.sleep(0.02)

    def wait_for_line(self, path, line):
        end = time.monotonic() + DEADLINE_S
        while line not in (text := self.ask('GET', path)[1].decode()).splitlines():
            if time.monotonic() > end:
                raise AssertionError(f'{path} did not show {line}: {text}')
            time.sleep(0.02)

    def end(self, number):
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, log


class Daemon(unittest.TestCase):
    def test_version_and_help(self):
        code, text, errors = run('--version')
        self.assertEqual((code, errors), (0, []))
        self.assertRegex(text, r'\Akvd \d+\.\d+\.\d+\n\Z')
        code, text, errors = run('--help')
        self.assertEqual((code, errors), (0, []))
        self.assertIn('--zookeeper-port', text)

    def test_an_unusable_flag(self):
        code, text, errors = run('--port', 'x')
        self.assertEqual((code, text, len(errors)), (64, '', 1))
        self.assertTrue(errors[0].startswith('kvd: --port x: '), errors)

    def test_an_unusable_variable(self):
        code, _, errors = run(env={'KVD_PORT': 'x'})
        self.assertEqual((code, len(errors)), (78, 1))
        self.assertTrue(errors[0].startswith('kvd: KVD_PORT=x: '), errors)

    def test_a_variable_that_means_nothing(self):
        os.environ['KVD_LOGLEVEL'] = 'debug'
        self.addCleanup(os.environ.pop, 'KVD_LOGLEVEL')
        with Server('--standalone', '--log-format', 'json') as server:
            server.wait_for('/readyz', 200)
            _, log = server.end(signal.SIGTERM)
        self.assertIn('"msg":"there is no such variable","variable":"KVD_LOGLEVEL","nearest":"KVD_LOG_LEVEL"', log)

    def test_a_taken_port(self):
        for flags, taken in ((['--standalone'], '--port'), ([], '--peer-port')):
            port = free_port()
            with socket.socket() as holder:
                holder.bind(('127.0.0.1', port if taken == '--port' else port + 10000))
                holder.listen()
                code, _, errors = run('--port', str(port), *flags)
            self.assertEqual((code, len(errors)), (69, 1), errors)
            self.assertIn(f'give another {taken}', errors[0])
            self.assertIn('address already in use', errors[0])

    def test_an_address_that_others_reach(self):
        for host in ('0.0.0.0', '::'):
            code, text, errors = run('--standalone', '--host', host, '--port', str(free_port()))
            self.assertEqual((code, text, len(errors)), (64, '', 1), host)
            self.assertIn('--insecure', errors[0])
            code, _, errors = run('--host', host, '--advertise', 'me', '--port', str(free_port()))
            self.assertEqual((code, len(errors)), (64, 1), host)
        with Server('--standalone', '--host', '0.0.0.0', '--insecure') as server:
            server.wait_for('/readyz', 200)
            self.assertIn(b'kvd_insecure 1', server.ask('GET', '/metrics')[1])
            _, log = server.end(signal.SIGTERM)
            self.assertIn('may read and change everything', log)
        with Server('--standalone') as server:
            server.wait_for('/readyz', 200)
            self.assertIn(b'kvd_insecure 0', server.ask('GET', '/metrics')[1])

    def test_a_file_for_zookeeper_that_cannot_be_used(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'auth')
            for content, reason in ((None, 'No such file'), ('', 'is empty'), ('kvd\n', 'no colon')):
                if content is not None:
                    with open(path, 'w', encoding='ascii') as file:
                        file.write(content)
                for flags, env in ((['--zookeeper-auth-file', path], {}), ([], {'KVD_ZOOKEEPER_AUTH_FILE': path})):
                    code, text, errors = run('--port', str(free_port()), *flags, env=env)
                    self.assertEqual((code, text, len(errors)), (78, '', 1), errors)
                    self.assertTrue(errors[0].startswith(f'kvd: --zookeeper-auth-file {path}: '), errors)
                    self.assertIn(reason, errors[0])
                code, text, errors = run('zookeeper-acl', 'apply', '--zookeeper-auth-file', path)
                self.assertEqual((code, text, len(errors)), (78, '', 1), errors)
                self.assertIn(reason, errors[0])
            # Who is alone has no ZooKeeper, and does not read it.
            with Server('--standalone', '--zookeeper-auth-file', path) as server:
                server.wait_for('/readyz', 200)
                self.assertEqual(server.end(signal.SIGTERM)[0], 0)

    def test_a_file_for_zookeeper_that_all_may_read(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'auth')
            with open(path, 'w', encoding='ascii') as file:
                file.write('kvd:secret\n')
            for mode in (0o644, 0o600):
                os.chmod(path, mode)
                with Server('--zookeeper', f'127.0.0.1:{free_port()}', '--zookeeper-auth-file', path) as server:
                    server.wait_for('/livez', 200)
                    code, log = server.end(signal.SIGTERM)
                self.assertEqual(code, 0, log)
                self.assertEqual('every user of this machine may read the password' in log, mode == 0o644, log)
                self.assertNotIn('secret', log)

    def test_zookeeper_acl_without_what_it_needs(self):
        for arguments, code, reason in (
                ([], 64, 'there are kvd zookeeper-acl apply, kvd zookeeper-acl show'),
                (['set'], 64, 'zookeeper-acl set: there is no such command'),
                (['apply'], 64, '--zookeeper-auth-file: give the file that the servers have'),
                (['show', '--zookeeper', '1:2:3'], 64, '--zookeeper 1:2:3: give host'),
                (['show', 'kvd'], 64, 'kvd'),
                (['show', '--zookeeper', f'127.0.0.1:{free_port()}'], 69, 'no connection within 20 s')):
            with self.subTest(arguments):
                ended, text, errors = run('zookeeper-acl', *arguments)
                self.assertEqual((ended, text, len(errors)), (code, '', 1), errors)
                self.assertIn(reason, errors[0])
        code, text, errors = run('zookeeper-acl', '--help')
        self.assertEqual((code, errors), (0, []))
        self.assertIn('kvd zookeeper-acl apply', text)

    def test_clients_leave_descriptors_to_others(self):
        with Server('--standalone', descriptors=128) as server:
            server.wait_for('/readyz', 200)
            clients = []
            for _ in range(64):  # half of them, and each is served
                clients.append(http.client.HTTPConnection('127.0.0.1', server.port, timeout=DEADLINE_S))
                clients[-1].request('GET', '/livez')
                self.assertEqual(clients[-1].getresponse().read(), b'ok\n')
            for _ in range(200):
                clients.append(socket.create_connection(('127.0.0.1', server.port)))
                # What is left is for files, for other servers and for ZooKeeper.
                self.assertLess(len(os.listdir(f'/proc/{server.process.pid}/fd')), 128 - 16)
            for client in clients:
                client.close()
            server.wait_for('/readyz', 200)

    def test_too_few_descriptors(self):
        with Server('--standalone', descriptors=127) as server:
            _, line = server.process.communicate(timeout=DEADLINE_S)
            self.assertEqual(server.process.returncode, 71)
            self.assertEqual(line, 'kvd: 127 open descriptors are allowed; allow 128 or more (ulimit -n)\n')

    def test_closed_standard_descriptors(self):
        for closed in ((0,), (1,), (2,), (0, 1, 2)):
            level = 'trace' if 2 in closed else 'warn'
            with self.subTest(closed), Server('--standalone', '--log-level', level, closed=closed) as server:
                server.wait_for('/readyz', 200)
                # A log that got the number of a pipe which nobody reads would fill it.
                for i in range(200):
                    self.assertEqual(server.ask('PUT', f'/v1/kv/{i}', b'x')[0], 201)
                self.assertEqual(server.end(signal.SIGTERM), (0, ''))

    def test_serves_alone_and_stops(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU):
            with Server('--standalone', '--log-format', 'json') as server:
                server.wait_for('/readyz', 200)
                self.assertEqual(server.ask('PUT', '/v1/kv/a', 'one')[0], 201)
                self.assertEqual(server.ask('GET', '/v1/kv/a'), (200, b'one'))
                code, log = server.end(number)
            self.assertEqual(code, 0, log)
            self.assertIn('"msg":"stop requested"', log)

    def test_signals_that_do_not_stop(self):
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGPWR):
            with Server('--standalone', '--log-format', 'json') as server:
                server.wait_for('/readyz', 200)
                self.assertEqual(server.ask('PUT', '/v1/kv/a', 'one')[0], 201)
                server.process.send_signal(number)
                self.assertEqual(server.ask('GET', '/v1/kv/a'), (200, b'one'))
                code, log = server.end(signal.SIGTERM)
            self.assertEqual(code, 0, log)
            self.assertIn(f'"msg":"this signal has no effect; SIGTERM stops","signal":"{number}"', log)

    def test_lives_without_zookeeper_and_still_stops(self):
        with Server('--zookeeper', '127.0.0.1', '--zookeeper-port', str(free_port())) as server:
            server.wait_for('/livez', 200)
            self.assertEqual(server.ask('GET', '/readyz')[0], 503)
            for call in ('POST sessions', 'POST locks/a?hold=1', 'GET elections/a?wait=60000&since=1',
                         'POST barriers/a/enter?size=2&hold=1', 'POST ids/a?hold=1', 'GET hosts', 'PUT names/a',
                         'POST tasks', 'POST workers?name=a&hold=1', 'GET znodes/a?wait=60000',
                         'POST zkqueues/a/take?wait=60000'):
                method, path = call.split()
                status, text = server.ask(method, f'/v1/{path}')
                why = json.loads(text)['detail']
                self.assertEqual((status, why), (503, 'this server cannot reach ZooKeeper'), call)
            code, log = server.end(signal.SIGTERM)
        self.assertEqual(code, 0, log)

    def test_a_stop_answers_a_waiting_request(self):
        with Server('--standalone') as server:
            server.wait_for('/readyz', 200)
            with socket.create_connection(('127.0.0.1', server.port), DEADLINE_S) as client:
                client.sendall(b'GET /v1/kv/a?min_rev=99&timeout=60000 HTTP/1.1\r\nHost: a\r\n\r\n')
                server.wait_for_line('/metrics', 'kvd_waiting_requests 1')
                code, log = server.end(signal.SIGTERM)
                answer = client.recv(65536)
            self.assertEqual(code, 0, log)
            self.assertTrue(answer.startswith(b'HTTP/1.1 503 '), answer)


if __name__ == '__main__':
    unittest.main(verbosity=2)
