#!/usr/bin/env python3
"""The audit log: what is in it and what is not, that it follows a file that is moved away, that what belongs into it is
refused while it cannot be written, and that nothing of it is lost meanwhile. Usage: audit_test.py KVD"""
import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import unittest

from auth_test import Connection, GuardedServer, id_of, kv
from tls_test import DEADLINE_S, KVD, free_port, wait_until


class AuditedServer(GuardedServer):
    """With an audit log, in a directory of its own where nothing else is said."""

    def __init__(self, *flags, audit=None):
        self.kept = tempfile.TemporaryDirectory()
        self.audit = audit or os.path.join(self.kept.name, 'audit')
        super().__init__('on', '--audit-log', self.audit, *flags)

    def __exit__(self, *_):
        super().__exit__()
        self.kept.cleanup()

    def new_token(self):
        """Of a user who may do everything with keys."""
        return self.user('app', [kv('')])

    def audited(self, path=None):
        with open(path or self.audit, encoding='utf-8') as file:
            return [json.loads(line) for line in file if line.endswith('\n')]

    def line_of(self, **members):
        """Once there is one with these members."""
        return wait_until(lambda: next((one for one in self.audited() if members.items() <= one.items()), None))


class Audit(unittest.TestCase):
    def test_what_is_in_it(self):
        with AuditedServer() as server:
            token = server.new_token()
            line = server.line_of(method='POST', path='/v1/auth/tokens', status=201)
            self.assertEqual((line['user'], line['via'], line['address']), ('root', f'uid:{os.getuid()}', 'socket'))
            self.assertGreater(line['revision'], 0)
            self.assertRegex(line['time'], r'\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z')
            self.assertEqual(server.ask('PUT', '/v1/kv/secret-key?timeout=77', 'secret-value', token)[0], 201)
            self.assertEqual(server.ask('PUT', '/v1/cluster/settings', '{"min_in_sync":1}', token)[0], 403)
            line = server.line_of(method='PUT', path='/v1/cluster/settings', status=403)
            self.assertEqual((line['user'], line['via']), ('app', f'token:{id_of(token)}'))
            self.assertTrue(line['address'].startswith('127.0.0.1:'), line)
            self.assertEqual(server.ask('GET', '/v1/kv/secret-key', token=token[:-1] + '_')[0], 401)
            self.assertEqual(server.ask('GET', '/v1/kv/other')[0], 401)
            server.line_of(path='/v1/kv/other', status=401, user='anonymous', via='nothing')
            self.assertEqual(server.root('GET', '/v1/snapshot')[0], 200)
            server.line_of(method='GET', path='/v1/snapshot', status=200)
            self.assertEqual(server.root('PUT', '/v1/snapshot?auth=replace', 'this is none')[0], 400)
            server.line_of(method='PUT', path='/v1/snapshot', status=400, auth='replace')
            self.assertEqual(server.ask('PUT', '/v1/snapshot?auth=replace', 'this is none', token)[0], 403)
            server.line_of(method='PUT', path='/v1/snapshot', status=403, auth='replace', user='app')
            self.assertEqual(server.ask('PUT', '/v1/snapshot?auth=replace', 'this is none')[0], 401)
            server.line_of(method='PUT', path='/v1/snapshot', status=401, auth='replace', user='anonymous')
            self.assertEqual(server.ask('PUT', '/v1/snapshot', 'this is none', token)[0], 403)
            wait_until(lambda: any(one['path'] == '/v1/snapshot' and one['status'] == 403 and 'auth' not in one
                                   for one in server.audited()))
            self.assertEqual(server.root('DELETE', f'/v1/auth/tokens/{id_of(token)}')[0], 204)
            server.line_of(method='DELETE', path=f'/v1/auth/tokens/{id_of(token)}', status=204)
            with open(server.audit, encoding='utf-8') as file:
                text = file.read()
            for secret in ('secret-value', token[13:], 'timeout=77'):
                self.assertNotIn(secret, text)
            done = [one for one in server.audited() if one['method'] == 'PUT' and one['path'] == '/v1/kv/secret-key']
            self.assertEqual(done, [])  # an acknowledged write of a key is not in it ...
            self.assertEqual(os.stat(server.audit).st_mode & 0o777, 0o600)

    def test_writes(self):
        with AuditedServer('--audit-writes') as server:
            token = server.new_token()
            self.assertEqual(server.ask('PUT', '/v1/kv/k', 'v', token)[0], 201)
            line = server.line_of(method='PUT', path='/v1/kv/k', status=201)  # ... but with --audit-writes
            self.assertEqual(line['user'], 'app')
            self.assertEqual(server.ask('GET', '/v1/kv/k', token=token)[0], 200)
            self.assertEqual(server.ask('DELETE', '/v1/kv/k', token=token)[0], 204)
            server.line_of(method='DELETE', path='/v1/kv/k', status=204)
            self.assertEqual([one for one in server.audited() if one.get('method') == 'GET'], [])

    def test_a_file_that_is_moved_away(self):
        with AuditedServer() as server:
            server.new_token()
            server.line_of(path='/v1/auth/tokens', status=201)
            os.rename(server.audit, server.audit + '.1')
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: os.path.exists(server.audit))
            server.line_of(event='reload')
            self.assertEqual(server.root('DELETE', '/v1/auth/users/app')[0], 204)
            server.line_of(path='/v1/auth/users/app', status=204)
            self.assertEqual([one for one in server.audited(server.audit + '.1') if one.get('status') == 204], [])

    def test_a_full_disk(self):
        with tempfile.TemporaryDirectory() as directory:
            log = os.path.join(directory, 'audit')
            os.symlink('/dev/full', log)
            with AuditedServer('--audit-writes', audit=log) as server:
                self.assertEqual(server.ask('GET', '/v1/kv/k')[0], 401)  # the first line shows that it is full
                wait_until(lambda: server.root('GET', '/v1/auth/users')[0] == 503)
                status, told = server.root('PUT', '/v1/auth/policies/all', '{"rules":[]}')
                self.assertEqual((status, json.loads(told)['outcome']), (503, 'not-applied'))
                self.assertIn(b'audit log', told)
                self.assertEqual(server.root('PUT', '/v1/kv/k', 'v')[0], 201)  # writes go on
                self.assertIn(b'kvd_audit_failed 1', server.root('GET', '/metrics')[1])
                os.remove(log)
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: server.root('GET', '/v1/auth/users')[0] == 200)
                for members in ({'path': '/v1/kv/k', 'status': 401}, {'path': '/v1/kv/k', 'status': 201}):
                    server.line_of(**members)  # what waited is there
                self.assertIn(b'kvd_audit_failed 0', server.root('GET', '/metrics')[1])
                self.assertIn(b'kvd_audit_dropped_total 0', server.root('GET', '/metrics')[1])

    def test_what_was_answered_is_written_before_the_end(self):
        with AuditedServer() as server:
            for _ in range(50):
                self.assertEqual(server.ask('GET', '/v1/kv/k')[0], 401)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(timeout=DEADLINE_S)
            self.assertEqual(len([one for one in server.audited() if one.get('path') == '/v1/kv/k']), 50)

    def test_clients_that_go_before_they_are_answered(self):
        with tempfile.TemporaryDirectory() as data, AuditedServer('--data-dir', os.path.join(data, 'data')) as server:
            for number in range(40):
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.connect(server.socket)
                connection.sendall(f'PUT /v1/auth/users/u{number} HTTP/1.1\r\nHost: kvd\r\n'
                                   'Content-Length: 2\r\n\r\n{}'.encode())
                connection.close()
            server.root('PUT', '/v1/auth/users/last', '{}')
            server.line_of(path='/v1/auth/users/last')
            made = json.loads(server.root('GET', '/v1/auth/users')[1])['users']
            told = {one.get('path') for one in server.audited()}
            self.assertEqual([one['name'] for one in made if f'/v1/auth/users/{one["name"]}' not in told], [])

    def test_a_body_that_comes_after_the_revocation(self):
        with AuditedServer() as server:
            token = server.new_token()
            with socket.create_connection(('127.0.0.1', server.port), timeout=DEADLINE_S) as connection:
                connection.sendall(f'PUT /v1/kv/late HTTP/1.1\r\nHost: kvd\r\nAuthorization: Bearer {token}\r\n'
                                   'Expect: 100-continue\r\nContent-Length: 1\r\n\r\n'.encode())
                self.assertIn(b' 100 ', connection.recv(4096))  # the head was taken
                self.assertEqual(server.root('DELETE', f'/v1/auth/tokens/{id_of(token)}')[0], 204)
                connection.sendall(b'x')
                self.assertIn(b' 401 ', connection.recv(4096))
            self.assertEqual(server.root('GET', '/v1/kv/late')[0], 404)
            line = server.line_of(path='/v1/kv/late', status=401)
            self.assertEqual(line['via'], f'token:{id_of(token)}')

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
        with AuditedServer('--max-per-user', '2') as server:
            token = server.new_token()
            held = [self.enterContext(contextlib.closing(Connection(server.port))) for _ in range(2)]
            for connection in held:
                answer = connection.ask('GET', '/v1/kv/k', token=token)
                answer.read()
                self.assertEqual(answer.status, 404)
            status, told = server.ask('GET', '/v1/kv/k', token=token)
            self.assertEqual(status, 429, told)
            self.assertEqual(server.root('GET', '/v1/kv/k')[0], 404)
            held[0].close()
            wait_until(lambda: server.ask('GET', '/v1/kv/k', token=token)[0] == 404)


if __name__ == '__main__':
    unittest.main()
