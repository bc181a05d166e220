#!/usr/bin/env python3
"""Users, tokens and policies as operators, clients and strangers meet them, at a server that stands alone with
`--auth`. Every process it starts is ended by pid. Usage: auth_test.py KVD"""
import contextlib
import hashlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import auth_routes
from tls_test import DEADLINE_S, KVD, Certificates, Server, free_port, run, wait_until

NOBODY = 65534
OTHER_SECRET = 'A' * 43
WRONG_TOKEN = f'kvd_aaaaaaaa_{OTHER_SECRET}'
HELD_MS = 600_000  # far longer than the test may take


class Connection(http.client.HTTPConnection):
    """To a port, or to a Unix socket."""

    def __init__(self, where):
        super().__init__('127.0.0.1', where if isinstance(where, int) else None, timeout=DEADLINE_S)
        self.where = where

    def connect(self):
        if isinstance(self.where, int):
            return super().connect()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        return self.sock.connect(self.where)

    def ask(self, method, target, body=None, token=None, **fields):
        shown = {'Authorization': f'Bearer {token}'} if token else {}
        self.request(method, target, body, {**shown, **{name.replace('_', '-'): v for name, v in fields.items()}})
        return self.getresponse()


class Ongoing:
    """A request whose answer is not there yet, or has begun and goes on."""

    def __init__(self, where, method, target, token=None):
        with contextlib.closing(Connection(where)) as connection:
            connection.connect()
            self.socket = connection.sock.dup()
        self.socket.settimeout(DEADLINE_S)
        self.bytes = self.socket.makefile('rb')
        shown = f'Authorization: Bearer {token}\r\n' if token else ''
        self.socket.sendall(f'{method} {target} HTTP/1.1\r\nHost: x\r\n{shown}Connection: close\r\n\r\n'.encode())

    def line(self):
        """The next one of a stream; of what is around it nothing."""
        return next((line for line in self.bytes if line.startswith(b'{')), b'')

    def rest(self):
        """What comes until the connection ends, which may be before an answer has begun."""
        found = b''
        with contextlib.suppress(ConnectionError):
            for line in self.bytes:
                found += line
        return found

    def close(self):
        self.bytes.close()
        self.socket.close()


class GuardedServer(Server):
    """Whose root is asked by a socket, in a directory of its own."""

    def __init__(self, mode='on', *flags, by=()):
        self.directory = tempfile.mkdtemp()
        os.chmod(self.directory, 0o755)
        self.socket = os.path.join(self.directory, 'kvd.sock')
        super().__init__('--auth', mode, '--socket', self.socket, *flags, by=by)
        try:
            wait_until(lambda: self.process.poll() is not None or self.is_ready())
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        super().__exit__()
        shutil.rmtree(self.directory)

    def is_ready(self):
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):  # it is bound before it listens
            return self.root('GET', '/readyz')[0] == 200
        return False

    def ask(self, method, target, body=None, token=None, where=None, **fields):
        """Status and body, on a connection of its own."""
        with contextlib.closing(Connection(where or self.port)) as connection:
            answer = connection.ask(method, target, body, token, **fields)
            return answer.status, answer.read()

    def status(self, method, target, body=None, token=None, where=None):
        """Without the body, which of a stream does not end."""
        with contextlib.closing(Connection(where or self.port)) as connection:
            return connection.ask(method, target, body, token).status

    def root(self, method, target, body=None):
        return self.ask(method, target, body if isinstance(body, (str, bytes, type(None))) else json.dumps(body),
                        where=self.socket)

    def put(self, kind, name, value):
        status, body = self.root('PUT', f'/v1/auth/{kind}/{name}', value)
        assert status in (200, 201), body
        return status

    def user(self, name, rules, identities=()):
        """With a policy of his name, and a token, which is returned."""
        self.put('policies', name, {'rules': rules})
        self.put('users', name, {'policies': [name], 'identities': list(identities)})
        return self.token(name)

    def token(self, user, **wish):
        status, body = self.root('POST', '/v1/auth/tokens', {'user': user, **wish})
        assert status == 201, body
        return json.loads(body)['token']

    def refused(self, who):
        metrics = self.root('GET', '/metrics')[1].decode()
        return int(re.search(f'^kvd_refused_by_rights_total{{who="{who}"}} (\\d+)$', metrics, re.M)[1])

    def waits(self, count=1):
        """Until so many requests wait in the server."""
        pattern = re.compile(r'^kvd_waiting_requests (\d+)$', re.M)
        wait_until(lambda: int(pattern.search(self.root('GET', '/metrics')[1].decode())[1]) >= count)


def id_of(token):
    return token.split('_')[1]


def kv(prefix, *may):
    return {'kv': prefix, 'may': list(may or ('read', 'write'))}


class Guarded(unittest.TestCase):
    def serve(self, mode='on', *flags):
        return self.enterContext(GuardedServer(mode, *flags))

    def ongoing(self, *arguments):
        request = Ongoing(*arguments)
        self.addCleanup(request.close)
        return request

    def assert_problem(self, answer, status, kind, detail=''):
        self.assertEqual(answer[0], status, answer)
        problem = json.loads(answer[1])
        self.assertEqual(problem['type'], f'urn:kvd:{kind}')
        self.assertIn(detail, problem['detail'])


class Routes(Guarded):
    def test_there_is_a_row_for_every_call(self):
        rows = {(route.method, auth_routes.same_names(route.path)) for route in auth_routes.ROUTES}
        documented = auth_routes.documented()
        self.assertGreater(len(documented), 90)
        self.assertEqual({call: page for call, page in documented.items() if call not in rows}, {})
        named = auth_routes.paths_in_the_source()
        self.assertIn('/v1/auth', named)
        self.assertEqual({path: file for path, file in named.items()
                          if not any(route.path.startswith(path) for route in auth_routes.ROUTES)}, {})

    def test_who_may_do_what(self):
        server = self.serve()
        token = server.user('other', [])
        for route in auth_routes.ROUTES:
            call = (route.method, route.target, route.body)
            for where in (server.port, server.socket):
                with self.subTest(call=call, who='a wrong token'):
                    self.assertEqual(server.status(*call, token=WRONG_TOKEN, where=where), 401)
            if route.needs:
                with self.subTest(call=call, who='nobody'):
                    self.assertEqual(server.status(*call), 401)
            for need in route.needs:
                server.put('policies', 'other', {'rules': auth_routes.without(route.needs, need)})
                with self.subTest(call=call, who='a user without the right', need=need):
                    self.assertEqual(server.status(*call, token=token), 403)
            if route.needs:
                server.put('policies', 'other', {'rules': auth_routes.exactly(route.needs)})
                with self.subTest(call=call, who='a user with the right'):
                    self.assertNotIn(server.status(*call, token=token), (401, 403))
            elif '/auth/' not in route.path:
                with self.subTest(call=call, who='nobody'):
                    self.assertEqual(server.status(*call), 200)
            with self.subTest(call=call, who='root'):
                self.assertNotIn(server.status(*call, where=server.socket), (401, 403))
            # Some of these calls take him away, or his policy.
            server.put('policies', 'other', {'rules': []})
            server.put('users', 'other', {'policies': ['other']})

    def test_head_is_judged_as_get_is(self):
        server = self.serve()
        token = server.user('other', [])
        for route in auth_routes.ROUTES:
            if route.method != 'GET' or not route.needs or '/watch' in route.path or '/stream' in route.path:
                continue
            with self.subTest(target=route.target):
                self.assertEqual(server.status('HEAD', route.target), 401)
                self.assertEqual(server.status('HEAD', route.target, token=token), 403)

    def word(self, text, where):
        with contextlib.closing(Connection(where)) as connection:
            connection.connect()
            connection.sock.sendall(text)
            return b''.join(iter(lambda: connection.sock.recv(4096), b''))

    def test_four_letter_words(self):
        server = self.serve()
        self.assertEqual(self.word(b'ruok', server.port), b'imok')
        for text in (b'stat', b'mntr'):
            self.assertEqual(self.word(text, server.port), b'anonymous may not read cluster\n')
        server.put('policies', 'look', {'rules': [{'cluster': '', 'may': ['read']}]})
        server.put('users', 'anonymous', {'policies': ['look']})
        for text in (b'stat', b'mntr'):
            self.assertGreater(len(self.word(text, server.port).splitlines()), 5)

    def test_four_letter_words_of_root(self):
        server = self.serve()
        for text in (b'stat', b'mntr'):
            self.assertGreater(len(self.word(text, server.socket).splitlines()), 5)

    def test_health_checks_say_no_more_to_strangers(self):
        server = self.serve()
        for path in ('/livez', '/readyz', '/healthz'):
            self.assertEqual(server.ask('GET', path), (200, b'ok\n'))
        self.assertEqual(server.ask('GET', '/livez?verbose'), (200, b'ok\n'))
        self.assertIn(b'\nready\n', server.root('GET', '/readyz?verbose')[1])


class Users(Guarded):
    def test_whoami(self):
        server = self.serve()
        token = server.user('app', [kv('app/')])
        rules = [{'kv': 'app/', 'may': ['read', 'write']}]
        self.assertEqual(json.loads(server.root('GET', '/v1/auth/whoami')[1]),
                         {'user': 'root', 'via': f'uid:{os.getuid()}', 'auth': 'on', 'root': True})
        self.assertEqual(json.loads(server.ask('GET', '/v1/auth/whoami')[1]),
                         {'user': 'anonymous', 'via': 'nothing', 'auth': 'on', 'rules': []})
        self.assertEqual(json.loads(server.ask('GET', '/v1/auth/whoami', token=token)[1]),
                         {'user': 'app', 'via': f'token:{id_of(token)}', 'auth': 'on', 'rules': rules})

    def test_may_somebody(self):
        server = self.serve()
        token = server.user('app', [kv('app/', 'read')])
        server.user('other', [])

        def test(user, right, path, **who):
            return server.ask('GET', f'/v1/auth/test?user={user}&right={right}&resource=kv&path={path}', **who)
        for right, path, allowed in (('read', 'app/x', True), ('write', 'app/x', False), ('read', 'ap', False)):
            expected = {'user': 'app', 'right': right, 'resource': 'kv', 'path': path, 'allowed': allowed}
            self.assertEqual(json.loads(test('app', right, path, where=server.socket)[1]), expected)
            self.assertEqual(json.loads(test('app', right, path, token=token)[1]), expected)  # of oneself
        self.assertEqual(test('other', 'read', 'x', token=token)[0], 403)
        self.assertEqual(test('app', 'read', 'x')[0], 401)
        self.assertEqual(test('absent', 'read', 'x', where=server.socket)[0], 404)

    def test_what_is_granted_to_anonymous(self):
        server = self.serve()
        server.put('policies', 'open', {'rules': [kv('open/')]})
        server.put('users', 'anonymous', {'policies': ['open']})
        self.assertEqual(server.ask('PUT', '/v1/kv/open/x', 'v')[0], 201)
        self.assertEqual(server.ask('GET', '/v1/kv/closed')[0], 401)

    def test_what_cannot_be_made(self):
        server = self.serve()
        server.user('app', [], ['uid:4711'])
        for kind, name, value, status in (
                ('users', 'root', {'policies': []}, 400), ('users', 'other', {'policies': ['absent']}, 400),
                ('users', 'other', {'policies': [], 'identities': ['uid:4711']}, 409),
                ('users', 'other', {'policies': [], 'identities': ['uid:0']}, 400),
                ('users', 'anonymous', {'policies': [], 'identities': ['uid:5']}, 400),
                ('users', 'a%2Fb', {'policies': []}, 400), ('policies', 'p', {'rules': [{'kv': 'a'}]}, 400),
                ('policies', 'p', {'rules': [{'cluster': 'a', 'may': ['read']}]}, 400),
                ('policies', 'p', {'rules': [{'keys': 'a', 'may': ['read']}]}, 400),
                ('policies', 'p', {'rules': [kv('a')] * 65}, 400),
                ('policies', 'p', {'rules': [kv('a' * 1024)] * 64}, 413)):
            answer = server.root('PUT', f'/v1/auth/{kind}/{name}', value)
            self.assertEqual(answer[0], status, (kind, name, answer))
        for user in ('root', 'anonymous'):
            self.assertEqual(server.root('POST', '/v1/auth/tokens', {'user': user})[0], 400)
        self.assertEqual(server.root('POST', '/v1/auth/tokens', {'user': 'absent'})[0], 404)

    def test_lists_have_pages(self):
        server = self.serve()
        for i in range(5):
            server.user(f'u{i}', [])
        for kind in ('policies', 'users', 'tokens'):
            found, target = [], f'/v1/auth/{kind}?limit=2'
            while target:
                with contextlib.closing(Connection(server.socket)) as connection:
                    answer = connection.ask('GET', target)
                    found += [item.get('name', item.get('id')) for item in json.loads(answer.read())[kind]]
                    link = re.fullmatch('<(.*)>; rel="next"', answer.getheader('Link', ''))
                    target = link and link[1]
            self.assertEqual(len(found), 5)
            self.assertEqual(found, sorted(found))

    def test_a_certificate_shows_who_one_is(self):
        made = Certificates()
        self.addCleanup(made.remove)
        made.cert('create-client', 'billing', '--uri', 'spiffe://corp/billing')
        made.cert('create-client', 'stranger')
        server = self.serve('on', '--tls-cert', made.file('localhost.crt'), '--tls-key', made.file('localhost.key'),
                            '--client-ca', made.file('client-ca.crt'))
        token = server.user('app', [kv('app/')])
        server.user('billing', [kv('bills/')], ['uri:spiffe://corp/billing'])

        def ask(path, *flags, client=None):
            shown = ('--cert', made.file(f'{client}-client.crt'), '--key', made.file(f'{client}-client.key'))
            answer = run('curl', '-s', '--cacert', made.file('ca.crt'), '-w', '\n%{http_code}',
                         *(shown if client else ()), *flags, f'https://localhost:{server.port}{path}').stdout
            return answer.rpartition('\n')[::2]
        self.assertEqual(json.loads(ask('/v1/auth/whoami', client='billing')[0]),
                         {'user': 'billing', 'via': 'uri:spiffe://corp/billing', 'auth': 'on', 'rules': [kv('bills/')]})
        self.assertEqual(ask('/v1/kv/bills/1', '-X', 'PUT', '-d', 'v', client='billing')[1], '201')
        self.assertEqual(ask('/v1/kv/app/1', client='billing')[1], '403')
        self.assertEqual(ask('/v1/kv/bills/1', client='stranger')[1], '401')
        self.assertEqual(ask('/v1/kv/bills/1')[1], '401')
        # A token counts for more, and a wrong one is refused all the same.
        for shown, code in ((token, '404'), (WRONG_TOKEN, '401')):
            self.assertEqual(ask('/v1/kv/app/1', '-H', f'Authorization: Bearer {shown}', client='billing')[1], code)

    def as_nobody(self, server, *command):
        if os.getuid() != 0 or not shutil.which('setpriv'):
            self.skipTest('this needs root, and setpriv')
        os.chown(server.socket, 0, NOBODY)
        return ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups', 'curl', '-sN', '--unix-socket',
                server.socket, *command]

    def test_a_uid_shows_who_one_is(self):
        server = self.serve()
        whoami = self.as_nobody(server, 'http://localhost/v1/auth/whoami')
        self.assertEqual(json.loads(run(*whoami).stdout)['user'], 'anonymous')
        server.user('app', [kv('app/')], [f'uid:{NOBODY}'])
        self.assertEqual(json.loads(run(*whoami).stdout), {'user': 'app', 'via': f'uid:{NOBODY}', 'auth': 'on',
                                                           'rules': [kv('app/')]})

    def test_a_stream_ends_with_the_identity_that_it_was_opened_by(self):
        server = self.serve()
        watch = self.as_nobody(server, 'http://localhost/v1/watch?prefix=app/&since=0&progress=100')
        server.user('app', [kv('app/')], [f'uid:{NOBODY}'])
        with subprocess.Popen(watch, stdout=subprocess.PIPE) as stream:
            try:
                self.assertIn(b'progress', stream.stdout.readline())
                server.put('users', 'app', {'policies': ['app'], 'identities': []})
                server.root('PUT', '/v1/kv/app/secret', 'v')
                for line in stream.stdout:
                    self.assertNotIn(b'secret', line)
            finally:
                stream.kill()

    def test_the_root_token(self):
        with tempfile.NamedTemporaryFile('w') as file:
            file.write(f'root2345 {hashlib.sha256(OTHER_SECRET.encode()).hexdigest()}\n')
            file.flush()
            server = self.serve('on', '--root-token-file', file.name)
        token = f'kvd_root2345_{OTHER_SECRET}'
        self.assertEqual(server.ask('PUT', '/v1/auth/policies/p', '{"rules":[]}', token)[0], 201)
        self.assertEqual(json.loads(server.ask('GET', '/v1/auth/whoami', token=token)[1]),
                         {'user': 'root', 'via': 'token:root2345', 'auth': 'on', 'root': True})
        self.assertEqual(server.ask('GET', '/v1/kv/a', token=f'kvd_root2345_{"B" * 43}')[0], 401)


class Revocation(Guarded):
    def test_a_token_that_is_deleted(self):
        server = self.serve()
        token, other = server.user('app', [kv('app/'), {'queues': 'app', 'may': ['write']}]), server.token('app')
        self.assertEqual(server.ask('PUT', '/v1/kv/app/x', 'v', token)[0], 201)
        server.root('PUT', '/v1/queues/app')
        streams = [self.ongoing(server.port, 'GET', '/v1/watch?prefix=app/&since=0&progress=100', shown)
                   for shown in (token, other)]
        for stream in streams:
            self.assertIn(b'app/x', stream.line())
        receive = self.ongoing(server.port, 'POST', f'/v1/queues/app/receive?wait={HELD_MS}', token)
        server.waits()
        with contextlib.closing(Connection(server.port)) as connection:  # that has known the token before
            self.assertEqual(connection.ask('GET', '/v1/kv/app/x', token=token).read(), b'v')
            self.assertEqual(server.root('DELETE', f'/v1/auth/tokens/{id_of(token)}')[0], 204)
            refused = connection.ask('GET', '/v1/kv/app/x', token=token)
            self.assert_problem((refused.status, refused.read()), 401, 'unauthenticated')
            self.assertEqual(refused.getheader('WWW-Authenticate'), 'Bearer')
        self.assertNotIn(b'200 OK', receive.rest())
        streams[0].rest()  # it ends
        server.root('PUT', '/v1/kv/app/y', 'w')  # and the one of the other token goes on
        self.assertIn(b'app/y', streams[1].line())
        self.assertEqual(server.root('DELETE', f'/v1/auth/tokens/{id_of(token)}')[0], 404)

    def test_a_read_that_waits_ends(self):
        server = self.serve()
        token = server.user('app', [kv('app/')])
        for target in ('/v1/kv/app/x?', '/v1/kv?prefix=app/&'):
            wait = f'{target}since=1000&wait='
            poll = self.ongoing(server.port, 'GET', f'{wait}{HELD_MS}', token)
            self.assertEqual(server.ask('GET', f'{wait}1', token=token)[0], 304)  # so that one waits by now, too
            server.root('DELETE', f'/v1/auth/tokens/{id_of(token)}')
            ended = select.select([poll.socket], [], [], 0)[0]
            while not ended:  # up to the revision that it waits for
                server.root('PUT', '/v1/kv/app/x', 'secret')
                ended = select.select([poll.socket], [], [], 0)[0]
            self.assertNotIn(b'secret', poll.rest())
            token = server.token('app')

    def test_a_topic_is_read_no_further(self):
        server = self.serve()
        token = server.user('app', [{'topics': 'app', 'may': ['read']}])
        server.root('PUT', '/v1/topics/app')
        stream = self.ongoing(server.port, 'GET', '/v1/topics/app/stream?after=now', token)
        self.assertIn(b'progress', stream.line())
        page = self.ongoing(server.port, 'GET', f'/v1/topics/app/messages?after=now&wait={HELD_MS}', token)
        server.put('policies', 'app', {'rules': []})
        server.root('POST', '/v1/topics/app/messages', 'secret')
        self.assertNotIn(b'secret', stream.rest())
        self.assertNotIn(b'secret', page.rest())

    def test_who_waits_for_a_lock_does_not_get_it(self):
        server = self.serve()
        token = server.user('app', [{'locks': 'app/', 'may': ['write']}])
        session = json.loads(server.ask('POST', '/v1/sessions?ttl=3600', token=token)[1])['id']
        holder = self.ongoing(server.socket, 'POST', '/v1/locks/app/db?hold=1')
        self.assertIn(b'held', holder.line())
        lock = self.ongoing(server.port, 'POST', f'/v1/locks/app/db?session={session}&wait={HELD_MS}', token)
        wait_until(lambda: json.loads(server.root('GET', '/v1/locks/app/db')[1])['waiting'] == 1)
        server.root('DELETE', '/v1/auth/users/app')
        holder.close()
        self.assertNotIn(b'held', lock.rest())

    def test_who_waits_for_a_service_is_told_nothing(self):
        server = self.serve()
        token = server.user('app', [{'barriers': 'app/', 'may': ['read']}])
        server.root('PUT', '/v1/barriers/app/b')
        barrier = self.ongoing(server.port, 'GET', f'/v1/barriers/app/b?wait={HELD_MS}', token)
        self.assertNotIn(server.ask('GET', '/v1/barriers/app/b', token=token)[0], (401, 403))  # one waits
        server.root('DELETE', '/v1/auth/users/app')
        server.root('DELETE', '/v1/barriers/app/b')
        self.assertNotIn(b'200 OK', barrier.rest())

    def test_what_is_held_goes_with_the_right_to_it(self):
        server = self.serve()
        token = server.user('app', [{'locks': 'app/', 'may': ['write']}, {'leases': '', 'may': ['write']}])
        lock = self.ongoing(server.port, 'POST', '/v1/locks/app/db?hold=1', token)
        self.assertIn(b'held', lock.line())
        lease = self.ongoing(server.port, 'POST', '/v1/leases?ttl=2592000000&hold=1', token)
        self.assertIn(b'hold', lease.line())
        server.root('DELETE', '/v1/auth/users/app')
        lock.rest()
        lease.rest()
        wait_until(lambda: json.loads(server.root('GET', '/v1/locks/app/db')[1])['holder'] is None)
        wait_until(lambda: json.loads(server.root('GET', '/v1/leases')[1])['leases'] == [])

    def test_a_user_of_the_same_name_is_another_one(self):
        server = self.serve()
        token = server.user('app', [kv('app/')])
        self.assertEqual(server.root('DELETE', '/v1/auth/users/app')[0], 204)
        self.assertEqual(server.ask('GET', '/v1/kv/app/x', token=token)[0], 401)
        server.put('users', 'app', {'policies': ['app']})
        self.assertEqual(server.ask('GET', '/v1/kv/app/x', token=token)[0], 401)
        self.assertEqual(json.loads(server.root('GET', f'/v1/auth/tokens/{id_of(token)}')[1])['state'], 'void')
        self.assertEqual(server.ask('GET', '/v1/kv/app/x', token=server.token('app'))[0], 404)

    def test_a_policy_that_grants_less(self):
        server = self.serve()
        token = server.user('app', [kv('app/')])
        watch = self.ongoing(server.port, 'GET', '/v1/watch?prefix=app/&since=0&progress=100', token)
        self.assertIn(b'progress', watch.line())
        self.assertEqual(server.put('policies', 'app', {'rules': [kv('app/', 'write')]}), 200)
        self.assert_problem(server.ask('GET', '/v1/kv/app/x', token=token), 403, 'forbidden',
                            "app may not read kv 'app%2Fx'")
        self.assertEqual(server.ask('PUT', '/v1/kv/app/x', 'secret', token)[0], 201)
        self.assertNotIn(b'secret', watch.rest())
        self.assertEqual(server.root('DELETE', '/v1/auth/policies/app')[0], 204)  # what is missing grants nothing
        self.assertEqual(server.ask('PUT', '/v1/kv/app/x', 'v', token)[0], 403)

    def test_a_token_that_expires(self):
        server = self.serve()
        server.user('app', [kv('app/')])
        token = server.token('app', ttl_ms=2000)
        watch = self.ongoing(server.port, 'GET', '/v1/watch?prefix=app/&since=0&progress=100', token)
        self.assertIn(b'progress', watch.line())
        wait_until(lambda: server.ask('GET', '/v1/kv/app/x', token=token)[0] == 401)
        self.assertEqual(json.loads(server.root('GET', f'/v1/auth/tokens/{id_of(token)}')[1])['state'], 'expired')
        watch.rest()  # it ends

    def test_a_token_that_expires_while_it_waits(self):
        server = self.serve()
        server.user('app', [{'queues': 'app', 'may': ['read', 'write']}])
        server.root('PUT', '/v1/queues/app')
        token = server.token('app', ttl_ms=2000)
        receive = self.ongoing(server.port, 'POST', f'/v1/queues/app/receive?wait={HELD_MS}', token)
        wait_until(lambda: server.ask('GET', '/v1/queues/app', token=token)[0] == 401)
        server.root('POST', '/v1/queues/app/messages', 'secret')
        self.assertNotIn(b'secret', receive.rest())


class Crowds(Guarded):
    def test_the_oldest_stranger_makes_room(self):
        # Of 128 descriptors 72 are for clients, and half of these for strangers.
        server = self.enterContext(GuardedServer(by=('prlimit', '--nofile=128')))
        token = server.user('app', [kv('app/')])

        def connection():
            return self.enterContext(contextlib.closing(Connection(server.port)))

        def status(client, **shown):
            with client.ask('GET', '/v1/kv/app/x', **shown) as answer:
                answer.read()
                return answer.status

        user = connection()
        self.assertEqual(status(user, token=token), 404)
        strangers = [connection() for _ in range(36)]
        for stranger in strangers:
            self.assertEqual(status(stranger), 401)
        self.assertEqual(status(connection()), 401)
        self.assertEqual(strangers[0].sock.recv(1), b'')
        self.assertEqual(status(strangers[1]), 401)
        for _ in range(100):
            self.assertEqual(status(connection()), 401)
        self.assertEqual(status(user, token=token), 404)
        self.assertEqual(status(connection(), token=token), 404)


class Restarts(Guarded):
    def test_rights_outlive_the_process(self):
        with tempfile.TemporaryDirectory() as directory:
            flags = ('--id', 'one', '--data-dir', os.path.join(directory, 'data'))
            with GuardedServer('on', *flags) as server:
                token, gone = server.user('app', [kv('app/')]), server.token('app')
                server.root('DELETE', f'/v1/auth/tokens/{id_of(gone)}')
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(DEADLINE_S), 0)
            with GuardedServer('on', *flags) as server:
                self.assertEqual(server.ask('PUT', '/v1/kv/app/x', 'v', token)[0], 201)
                self.assertEqual(server.ask('PUT', '/v1/kv/b', 'v', token)[0], 403)
                self.assertEqual(server.ask('PUT', '/v1/kv/app/x', 'v', gone)[0], 401)
            for root, _, files in os.walk(directory):
                for name in files:
                    with open(os.path.join(root, name), 'rb') as file:
                        self.assertNotIn(token.split('_', 2)[2].encode(), file.read(), name)


class Requests(Guarded):
    def test_a_batch_is_done_as_a_whole_or_not_at_all(self):
        server = self.serve()
        token = server.user('app', [kv('app/')])
        body = {'ops': [{'put': {'key': 'app/a', 'value': '1'}}, {'put': {'key': 'foreign', 'value': '1'}}]}
        self.assert_problem(server.ask('POST', '/v1/kv', json.dumps(body), token), 403, 'forbidden', 'foreign')
        transaction = {'then': body['ops']}
        self.assertEqual(server.ask('POST', '/v1/txn', json.dumps(transaction), token)[0], 403)
        self.assertEqual(json.loads(server.root('GET', '/v1/kv')[1])['items'], [])
        answer = json.loads(server.ask('POST', '/v1/txn', json.dumps(transaction), token)[1])
        self.assertEqual(answer['outcome'], 'not-applied')

    def test_nobody_sends_a_body_in_vain(self):
        server = self.serve()
        token = server.user('app', [kv('app/')])
        for target, shown, status in (('/v1/kv/app/x', None, b'401'), ('/v1/kv/b', token, b'403'),
                                      ('/v1/snapshot', token, b'403'), ('/v1/kv/app/x', token, b'100')):
            field = f'Authorization: Bearer {shown}\r\n' if shown else ''
            with server.connect() as plain:
                plain.sendall(f'PUT {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n{field}'
                              'Expect: 100-continue\r\n\r\n'.encode())
                answer = plain.recv(65536)
            self.assertTrue(answer.startswith(b'HTTP/1.1 ' + status), (target, answer))

    def test_a_connection_ends_after_eight_wrong_tokens(self):
        server = self.serve()
        with contextlib.closing(Connection(server.port)) as connection:
            connection.connect()
            for number in range(1, 9):
                connection.auto_open = 0  # never a second connection
                answer = connection.ask('GET', '/v1/kv/a', token=WRONG_TOKEN)
                answer.read()
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer.getheader('Connection') == 'close', number == 8, number)
        lines = server.lines('a client shows who it is, and nobody is known by it')
        self.assertIn('127.0.0.1', lines[0]['client'])
        self.assertNotIn(OTHER_SECRET, json.dumps(lines))
        self.assertEqual(server.refused('unknown'), 8)

    def test_what_is_no_token_is_refused(self):
        server = self.serve()
        for shown in ('Bearer', 'Bearer x', 'Basic cm9vdDpyb290', f'Bearer {WRONG_TOKEN}x', ''):
            with contextlib.closing(Connection(server.socket)) as connection:
                for _ in range(2):  # also when the connection is known
                    self.assertEqual(connection.ask('GET', '/v1/auth/whoami').read()[:13], b'{"user":"root')
                    refused = connection.ask('GET', '/v1/kv/a', Authorization=shown)
                    refused.read()
                    self.assertEqual(refused.status, 401, repr(shown))

    def test_answers_that_are_remembered_are_their_users(self):
        server = self.serve()
        tokens = [server.user(name, [kv('')]) for name in ('app', 'other')]
        for token, value in zip([*tokens, *tokens], (1, 2, 1, 2)):
            answer = server.ask('POST', '/v1/kv/n?add=1', token=token, Idempotency_Key='one')
            self.assertEqual(json.loads(answer[1])['value'], value)

    def test_sessions_are_their_users(self):
        server = self.serve()
        rules = [{'locks': '', 'may': ['read', 'write']}]
        token, other = server.user('app', rules), server.user('other', rules)
        session = json.loads(server.ask('POST', '/v1/sessions', token=token)[1])['id']
        self.assertEqual(server.ask('GET', f'/v1/sessions/{session}', token=token)[0], 200)
        for method, target in (('GET', f'/v1/sessions/{session}'), ('PUT', f'/v1/sessions/{session}'),
                               ('DELETE', f'/v1/sessions/{session}'), ('POST', f'/v1/locks/a?session={session}')):
            self.assertEqual(server.ask(method, target, token=other)[0], 410, (method, target))
        self.assertEqual(server.ask('GET', f'/v1/sessions/{session}', token=token)[0], 200)
        self.assertEqual(server.ask('POST', f'/v1/locks/a?session={session}', token=token)[0], 200)


class Modes(Guarded):
    def test_warn_refuses_nothing_and_tells(self):
        server = self.serve('warn')
        token = server.user('app', [kv('app/')])
        self.assertEqual((server.refused('unknown'), server.refused('user')), (0, 0))
        self.assertEqual(server.ask('PUT', '/v1/kv/app/x', 'v', token)[0], 201)
        self.assertEqual((server.refused('unknown'), server.refused('user')), (0, 0))
        for shown in (None, token, WRONG_TOKEN):
            self.assertIn(server.ask('PUT', '/v1/kv/b', 'v', shown)[0], (200, 201))
        self.assertEqual(server.refused('user'), 1)
        self.assertGreaterEqual(server.refused('unknown'), 2)
        self.assertLessEqual({"app may not write kv 'b'", "anonymous may not write kv 'b'"},
                             {line['why'] for line in server.lines('would be refused with --auth on')})

    def test_warn_tells_of_every_call_that_would_be_refused(self):
        server = self.serve('warn')
        for route in auth_routes.ROUTES:
            if not route.needs or '/auth/' in route.path:
                continue
            with self.subTest(method=route.method, target=route.target):
                before = server.refused('unknown')
                self.assertNotIn(server.status(route.method, route.target, route.body), (401, 403))
                self.assertGreater(server.refused('unknown'), before)

    def test_rights_are_guarded_in_every_mode(self):
        for mode in ('off', 'warn'):
            server = self.serve(mode)
            token, admin = server.user('app', [kv('')]), server.user('admin', [{'auth': '', 'may': ['write']}])
            for method, target, body in (
                    ('PUT', 'policies/app', '{"rules":[]}'), ('PUT', 'users/app', '{"policies":[]}'),
                    ('DELETE', 'policies/app', None), ('DELETE', 'users/app', None),
                    ('DELETE', f'tokens/{id_of(token)}', None), ('POST', 'tokens', '{"user":"app"}')):
                for shown, status in ((None, 401), (WRONG_TOKEN, 401), (token, 403)):
                    self.assertEqual(server.ask(method, f'/v1/auth/{target}', body, shown)[0], status,
                                     (mode, method, target, shown))
            self.assertEqual(server.ask('GET', '/v1/auth/users', token=token)[0], 403)
            self.assertEqual(server.ask('POST', '/v1/auth/tokens', '{"user":"app"}', admin)[0], 201)
            self.assertEqual(json.loads(server.ask('GET', '/v1/auth/whoami', token=token)[1])['auth'], mode)

    def test_off_is_as_before(self):
        server = self.serve('off')
        for shown in (None, WRONG_TOKEN):
            self.assertIn(server.ask('PUT', '/v1/kv/b', 'v', shown)[0], (200, 201))
        self.assertEqual(server.refused('unknown'), 0)

    def test_root_token_files_that_are_none(self):
        digest = hashlib.sha256(b'secret').hexdigest()
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'root-token')
            for line in (None, '', 'nonsense', f'rooT2345 {digest}', f'root2345 {digest[:-2]}', f'root2345 {digest}00',
                         f'root2345 {digest}\nroot2346 {digest}\n', f'root2345 {digest[:-1]}g', 'x' * 1000):
                if line is not None:
                    with open(path, 'w', encoding='utf-8') as file:
                        file.write(line)
                refused = run(KVD, '--standalone', '--port', str(free_port()), '--root-token-file', path)
                self.assertEqual(refused.returncode, os.EX_CONFIG, (line, refused.stderr))
                self.assertIn(f'--root-token-file {path}: ', refused.stderr)
                self.assertEqual(len(refused.stderr.splitlines()), 1)

    def test_what_other_machines_reach_is_guarded(self):
        made = Certificates()
        self.addCleanup(made.remove)
        tls = ('--tls-cert', made.file('localhost.crt'), '--tls-key', made.file('localhost.key'))
        for flags, missing in ((('--standalone',), '--auth on, --tls-cert'),
                               (('--standalone', '--auth', 'warn', *tls), '--auth on'),
                               (('--standalone', '--auth', 'on'), '--tls-cert'),
                               (('--advertise', 'localhost', '--auth', 'on', *tls), '--peer-ca')):
            refused = run(KVD, '--host', '0.0.0.0', '--port', str(free_port()), *flags)
            self.assertEqual(refused.returncode, os.EX_USAGE, refused.stderr)
            self.assertIn(f'without {missing} whoever', refused.stderr)
        server = self.serve('on', '--host', '0.0.0.0', *tls)
        self.assertEqual(run('curl', '-s', '--cacert', made.file('ca.crt'),
                             f'https://localhost:{server.port}/readyz').stdout, 'ok\n')
        self.assertEqual(server.lines('whoever reaches this server may read and change everything'), [])
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(DEADLINE_S), 0)


if __name__ == '__main__':
    unittest.main()
