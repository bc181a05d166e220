#!/usr/bin/env python3
"""What becomes of users, tokens and policies when a snapshot is restored, at a server that stands alone with `--auth`.
Every process it starts is ended by pid. Usage: auth_restore_test.py KVD"""
import contextlib
import json
import unittest

from auth_test import Guarded, GuardedServer, id_of, kv
from tls_test import wait_until

RESTORE_ALL = '/v1/snapshot?replace=true&auth=replace'
POLICIES_MOST = 1024
# Of one policy, below 16 KiB as it is sent.
LONG_RULES = [kv(f'{number:02}' + 'k' * 1022) for number in range(14)]
LONG_USERS = 150  # of 60 identities of 255 bytes


class Restores(Guarded):
    def test_a_restore_brings_no_right_back(self):
        server = self.serve()
        token = server.user('app', [kv('app/')])
        server.root('PUT', '/v1/kv/app/x', 'v')
        backup = server.root('GET', '/v1/snapshot')[1]
        self.assertNotIn(token.encode(), backup)
        server.root('DELETE', f'/v1/auth/tokens/{id_of(token)}')
        server.root('DELETE', '/v1/auth/policies/app')
        server.put('policies', 'new', {'rules': [kv('new/')]})
        status, body = server.root('PUT', '/v1/snapshot?replace=true', backup)
        self.assertEqual((status, json.loads(body)['keys']), (200, 1), body)
        self.assertEqual(server.ask('GET', '/v1/kv/app/x', token=token)[0], 401)
        self.assertEqual(server.root('GET', '/v1/auth/policies/app')[0], 404)
        self.assertEqual(server.root('GET', '/v1/auth/policies/new')[0], 200)
        self.assertEqual(server.ask('GET', '/v1/kv/app/x', token=server.token('app'))[0], 403)
        with GuardedServer() as empty:
            self.assertEqual(empty.root('PUT', '/v1/snapshot', backup)[0], 200)
            self.assertEqual(json.loads(empty.root('GET', '/v1/auth/users')[1]), {'users': []})

    def test_a_restore_is_cut_off(self):
        server = self.serve()
        token = server.user('keeper', [{'snapshot': '', 'may': ['read', 'write']}])
        server.root('PUT', '/v1/kv/a', 'v')
        backup = server.root('GET', '/v1/snapshot')[1]
        server.root('DELETE', '/v1/kv/a')
        with contextlib.closing(server.connect()) as client:
            client.sendall(f'PUT /v1/snapshot HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n'
                           f'Content-Length: {len(backup)}\r\n\r\n'.encode() + backup[:-1])
            # It has begun: there is one at a time.
            wait_until(lambda: server.root('PUT', '/v1/snapshot', 'this is none')[0] == 503)
            server.root('DELETE', f'/v1/auth/tokens/{id_of(token)}')
            with contextlib.suppress(ConnectionError):
                client.sendall(backup[-1:])
                self.assertEqual(client.recv(100), b'')
        self.assertEqual(server.root('PUT', '/v1/snapshot', 'this is none')[0], 400)
        self.assertEqual(server.root('GET', '/v1/kv/a')[0], 404)

    def test_root_restores_the_rights_with_the_rest(self):
        server = self.serve()
        token = server.user('app', [kv('app/')])
        server.user('keeper', [{'snapshot': '', 'may': ['read', 'write']}, {'auth': '', 'may': ['read', 'write']}])
        keeper = server.token('keeper')
        self.assertEqual(server.ask('PUT', '/v1/kv/app/x', 'v', token)[0], 201)
        backup = server.root('GET', '/v1/snapshot')[1]
        server.root('DELETE', f'/v1/auth/tokens/{id_of(token)}')
        later = server.user('later', [kv('')])
        self.assert_problem(server.ask('PUT', RESTORE_ALL, backup, keeper), 403, 'forbidden', 'root alone')
        self.assertEqual(server.ask('PUT', RESTORE_ALL, backup)[0], 401)
        self.assert_problem(server.root('PUT', '/v1/snapshot?auth=keep', backup), 400, 'bad-request', 'auth')
        self.assertEqual(server.ask('GET', '/v1/kv/app/x', token=token)[0], 401)
        self.assertEqual(server.ask('GET', '/v1/kv/app/x', token=later)[0], 200)
        status, body = server.root('PUT', RESTORE_ALL, backup)
        answer = json.loads(body)
        self.assertEqual((status, answer['keys'], answer['policies'], answer['users'], answer['tokens']),
                         (200, 1, 2, 2, 3), body)
        self.assertEqual(server.ask('GET', '/v1/kv/app/x', token=token)[0], 200)
        self.assertEqual(server.ask('GET', '/v1/kv/app/x', token=later)[0], 401)
        self.assertEqual(server.root('GET', '/v1/auth/users/later')[0], 404)

    def test_rights_are_restored_in_every_mode(self):
        server = self.serve()
        token = server.user('app', [kv('app/')])
        backup = server.root('GET', '/v1/snapshot')[1]
        for mode in ('off', 'warn'):  # where rights do not count yet they are guarded, too
            with GuardedServer(mode) as empty:
                self.assertEqual(empty.ask('PUT', '/v1/snapshot?auth=replace', backup)[0], 401)
                self.assertEqual(empty.ask('GET', '/v1/kv/app/x')[0], 404)
                self.assertEqual(empty.root('PUT', '/v1/snapshot?auth=replace', backup)[0], 200)
                self.assertEqual(empty.root('GET', f'/v1/auth/tokens/{id_of(token)}')[0], 200)

    def test_more_than_is_restored_at_once(self):
        server = self.serve()
        for number in range(POLICIES_MOST):
            server.put('policies', f'p{number}', {'rules': LONG_RULES})
        backup = server.root('GET', '/v1/snapshot')[1]
        self.assertEqual(server.root('PUT', RESTORE_ALL, backup)[0], 200)
        for number in range(LONG_USERS):
            identities = [f'uri:{number:03}{each:02}'.ljust(255, 'x') for each in range(60)]
            server.put('users', f'u{number}', {'policies': [], 'identities': identities})
        server.root('PUT', '/v1/kv/a', 'v')
        backup = server.root('GET', '/v1/snapshot')[1]
        server.root('PUT', '/v1/kv/a', 'other')
        self.assert_problem(server.root('PUT', RESTORE_ALL, backup), 413, 'too-large', 'restored at once')
        self.assertEqual(server.root('GET', '/v1/kv/a')[1], b'other')  # nothing was done
        self.assertEqual(server.root('PUT', '/v1/snapshot?replace=true', backup)[0], 200)


if __name__ == '__main__':
    unittest.main()
