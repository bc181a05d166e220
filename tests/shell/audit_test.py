#!/usr/bin/env python3
"""The audit log: what is in it and what is not, that it follows a file that is moved away, that what belongs into it is
refused while it cannot be written, and that nothing of it is lost meanwhile. Usage: audit_test.py KVD"""
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


class OverSocket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=DEADLINE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class Server:
    """One with --auth on, in a directory of its own."""

    def __init__(self, *flags, log=None):
        self.directory = tempfile.TemporaryDirectory(dir='/tmp')  # paths of sockets are short
        self.log = log or os.path.join(self.directory.name, 'audit')
        self.socket = os.path.join(self.directory.name, 'socket')
        self.port = free_port()
        self.process = subprocess.Popen([KVD, '--standalone', '--port', str(self.port), '--auth', 'on', '--socket',
                                         self.socket, '--audit-log', self.log, *flags], stderr=subprocess.DEVNULL)

    def __enter__(self):
        self.until(lambda: self.ask('GET', '/readyz')[0] == 200)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.directory.cleanup()

    def until(self, condition):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                value = condition()
                if value:
                    return value
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError('in vain')

    @staticmethod
    def exchange(connection, method, path, body, fields):
        try:
            connection.request(method, path, body, fields)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors='replace')
        finally:
            connection.close()

    def ask(self, method, path, body=None, token=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=DEADLINE_S)
        fields = {'Authorization': f'Bearer {token}'} if token else {}
        return self.exchange(connection, method, path, body, fields)

    def as_root(self, method, path, body=None):
        return self.exchange(OverSocket(self.socket), method, path, body, {})

    def new_token(self):
        """Of a user who may do everything with keys."""
        rules = {'rules': [{'kv': '', 'may': ['read', 'write']}]}
        assert self.as_root('PUT', '/v1/auth/policies/all', json.dumps(rules))[0] == 201
        assert self.as_root('PUT', '/v1/auth/users/app', '{"policies":["all"]}')[0] == 201
        status, made = self.as_root('POST', '/v1/auth/tokens', '{"user":"app"}')
        assert status == 201, made
        return json.loads(made)['token']

    def lines(self, path=None):
        with open(path or self.log, encoding='utf-8') as file:
            return [json.loads(line) for line in file if line.endswith('\n')]

    def line_of(self, **members):
        """Once there is one with these members."""
        def found():
            return next((one for one in self.lines() if members.items() <= one.items()), None)
        return self.until(found)


class Audit(unittest.TestCase):
    def test_what_is_in_it(self):
        with Server() as server:
            token = server.new_token()
            line = server.line_of(method='POST', path='/v1/auth/tokens', status=201)
            self.assertEqual((line['user'], line['via'], line['address']), ('root', f'uid:{os.getuid()}', 'socket'))
            self.assertGreater(line['revision'], 0)
            self.assertRegex(line['time'], r'\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z')
            self.assertEqual(server.ask('PUT', '/v1/kv/secret-key?timeout=77', 'secret-value', token)[0], 201)
            self.assertEqual(server.ask('PUT', '/v1/cluster/settings', '{"min_in_sync":1}', token)[0], 403)
            line = server.line_of(method='PUT', path='/v1/cluster/settings', status=403)
            self.assertEqual((line['user'], line['via']), ('app', f'token:{token[4:12]}'))
            self.assertTrue(line['address'].startswith('127.0.0.1:'), line)
            self.assertEqual(server.ask('GET', '/v1/kv/secret-key', token=token[:-1] + '_')[0], 401)
            self.assertEqual(server.ask('GET', '/v1/kv/other')[0], 401)
            server.line_of(path='/v1/kv/other', status=401, user='anonymous', via='nothing')
            self.assertEqual(server.as_root('GET', '/v1/snapshot')[0], 200)
            server.line_of(method='GET', path='/v1/snapshot', status=200)
            self.assertEqual(server.as_root('DELETE', f'/v1/auth/tokens/{token[4:12]}')[0], 204)
            server.line_of(method='DELETE', path=f'/v1/auth/tokens/{token[4:12]}', status=204)
            with open(server.log, encoding='utf-8') as file:
                text = file.read()
            for secret in ('secret-value', token[13:], 'timeout=77'):
                self.assertNotIn(secret, text)
            done = [one for one in server.lines() if one['method'] == 'PUT' and one['path'] == '/v1/kv/secret-key']
            self.assertEqual(done, [])  # an acknowledged write of a key is not in it ...
            self.assertEqual(os.stat(server.log).st_mode & 0o777, 0o600)

    def test_writes(self):
        with Server('--audit-writes') as server:
            token = server.new_token()
            self.assertEqual(server.ask('PUT', '/v1/kv/k', 'v', token)[0], 201)
            line = server.line_of(method='PUT', path='/v1/kv/k', status=201)  # ... but with --audit-writes
            self.assertEqual(line['user'], 'app')
            self.assertEqual(server.ask('GET', '/v1/kv/k', token=token)[0], 200)
            self.assertEqual(server.ask('DELETE', '/v1/kv/k', token=token)[0], 204)
            server.line_of(method='DELETE', path='/v1/kv/k', status=204)
            self.assertEqual([one for one in server.lines() if one.get('method') == 'GET'], [])

    def test_a_file_that_is_moved_away(self):
        with Server() as server:
            server.new_token()
            server.line_of(path='/v1/auth/tokens', status=201)
            os.rename(server.log, server.log + '.1')
            server.process.send_signal(signal.SIGHUP)
            server.until(lambda: os.path.exists(server.log))
            server.line_of(event='reload')
            self.assertEqual(server.as_root('DELETE', '/v1/auth/users/app')[0], 204)
            server.line_of(path='/v1/auth/users/app', status=204)
            self.assertEqual([one for one in server.lines(server.log + '.1') if one.get('status') == 204], [])

    def test_a_full_disk(self):
        with tempfile.TemporaryDirectory() as directory:
            log = os.path.join(directory, 'audit')
            os.symlink('/dev/full', log)
            with Server('--audit-writes', log=log) as server:
                self.assertEqual(server.ask('GET', '/v1/kv/k')[0], 401)  # the first line shows that it is full
                server.until(lambda: server.as_root('GET', '/v1/auth/users')[0] == 503)
                status, told = server.as_root('PUT', '/v1/auth/policies/all', '{"rules":[]}')
                self.assertEqual((status, json.loads(told)['outcome']), (503, 'not-applied'))
                self.assertIn('audit log', told)
                self.assertEqual(server.as_root('PUT', '/v1/kv/k', 'v')[0], 201)  # writes go on
                self.assertIn('kvd_audit_failed 1', server.as_root('GET', '/metrics')[1])
                os.remove(log)
                server.process.send_signal(signal.SIGHUP)
                server.until(lambda: server.as_root('GET', '/v1/auth/users')[0] == 200)
                for members in ({'path': '/v1/kv/k', 'status': 401}, {'path': '/v1/kv/k', 'status': 201}):
                    server.line_of(**members)  # what waited is there
                self.assertIn('kvd_audit_failed 0', server.as_root('GET', '/metrics')[1])
                self.assertIn('kvd_audit_dropped_total 0', server.as_root('GET', '/metrics')[1])

    def test_what_was_answered_is_written_before_the_end(self):
        with Server() as server:
            for _ in range(50):
                self.assertEqual(server.ask('GET', '/v1/kv/k')[0], 401)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(timeout=DEADLINE_S)
            self.assertEqual(len([one for one in server.lines() if one.get('path') == '/v1/kv/k']), 50)

    def test_clients_that_go_before_they_are_answered(self):
        with tempfile.TemporaryDirectory() as data, Server('--data-dir', os.path.join(data, 'data')) as server:
            for number in range(40):
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.connect(server.socket)
                connection.sendall(f'PUT /v1/auth/users/u{number} HTTP/1.1\r\nHost: kvd\r\n'
                                   'Content-Length: 2\r\n\r\n{}'.encode())
                connection.close()
            server.as_root('PUT', '/v1/auth/users/last', '{}')
            server.line_of(path='/v1/auth/users/last')
            made = json.loads(server.as_root('GET', '/v1/auth/users')[1])['users']
            told = {one.get('path') for one in server.lines()}
            self.assertEqual([one['name'] for one in made if f'/v1/auth/users/{one["name"]}' not in told], [])

    def test_a_body_that_comes_after_the_revocation(self):
        with Server() as server:
            token = server.new_token()
            with socket.create_connection(('127.0.0.1', server.port), timeout=DEADLINE_S) as connection:
                connection.sendall(f'PUT /v1/kv/late HTTP/1.1\r\nHost: kvd\r\nAuthorization: Bearer {token}\r\n'
                                   'Expect: 100-continue\r\nContent-Length: 1\r\n\r\n'.encode())
                self.assertIn(b' 100 ', connection.recv(4096))  # the head was taken
                self.assertEqual(server.as_root('DELETE', f'/v1/auth/tokens/{token[4:12]}')[0], 204)
                connection.sendall(b'x')
                self.assertIn(b' 401 ', connection.recv(4096))
            self.assertEqual(server.as_root('GET', '/v1/kv/late')[0], 404)
            line = server.line_of(path='/v1/kv/late', status=401)
            self.assertEqual(line['via'], f'token:{token[4:12]}')

    def test_unusable_flags(self):
        def run(*flags):
            ended = subprocess.run([KVD, '--standalone', '--port', str(free_port()), *flags], capture_output=True,
                                   text=True, timeout=DEADLINE_S, check=False)
            return ended.returncode, ended.stderr
        for flags, code, words in ((['--audit-writes'], 64, '--audit-log'),
                                   (['--max-per-user', '3'], 64, '--auth on'),
                                   (['--audit-log', '/nowhere/audit'], 73, '/nowhere/audit')):
            ended, text = run(*flags)
            self.assertEqual(ended, code, text)
            self.assertIn(words, text)


class Bounds(unittest.TestCase):
    def test_connections_of_one_user(self):
        with Server('--max-per-user', '2') as server:
            token = server.new_token()
            held = []
            for _ in range(2):
                connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=DEADLINE_S)
                connection.request('GET', '/v1/kv/k', headers={'Authorization': f'Bearer {token}'})
                answer = connection.getresponse()
                answer.read()
                self.assertEqual(answer.status, 404)
                held.append(connection)
            status, told = server.ask('GET', '/v1/kv/k', token=token)
            self.assertEqual(status, 429, told)
            self.assertEqual(server.as_root('GET', '/v1/kv/k')[0], 404)
            held.pop().close()
            server.until(lambda: server.ask('GET', '/v1/kv/k', token=token)[0] == 404)
            held.pop().close()


if __name__ == '__main__':
    unittest.main()
