#!/usr/bin/env python3
"""kvd auth before a scripted server: what is sent and printed, what is sent again and what is not, which exit code the
answers lead to, and the file of a root token. Usage: auth_commands_test.py KVD"""
import hashlib
import json
import os
import re
import sys

import fake_server
from fake_server import ClientTest

DONE, NO, REFUSED, CANNOT_CREATE, UNKNOWN = 0, 1, 65, 73, 75
RULES = [{'kv': 'app/', 'may': ['read', 'write']}, {'cluster': '', 'may': ['read']}]
RULES_TEXT = '[{"kv":"app/","may":["read","write"]},{"cluster":"","may":["read"]}]'
TOKEN = 'kvd_abcdef27_' + 'x-_1' * 10 + 'abc'
MADE = {'id': 'abcdef27', 'token': TOKEN, 'user': 'billing', 'expires_ms': 1_795_000_000_000}
NO_POLICY = {'type': 'urn:kvd:no-such-name', 'detail': 'there is no policy app', 'outcome': 'not-applied'}
NO_USER = {'type': 'urn:kvd:no-such-name', 'detail': 'there is no user billing', 'outcome': 'not-applied'}
USER = {'name': 'billing', 'policies': ['app', 'more'], 'identities': ['uri:spiffe://corp/billing', 'uid:1000']}
TOKENS = [{'id': 'abcdef27', 'user': 'billing', 'note': 'a\tb', 'made_ms': 1, 'expires_ms': 1_795_000_000_000,
           'state': 'valid'},
          {'id': 'bbcdef27', 'user': 'gone', 'note': '', 'made_ms': 1, 'expires_ms': None, 'state': 'void'}]
# Command lines, what is asked, the answer, and what is printed.
WRITES = {
    ('user', 'put', 'billing', '--policy', 'app', '--policy', 'more', '--identity', 'uid:1000'):
        ('PUT', '/v1/auth/users/billing', b'{"policies":["app","more"],"identities":["uid:1000"]}',
         (201, {'revision': 7}), '7\n'),
    ('user', 'put', 'billing'):
        ('PUT', '/v1/auth/users/billing', b'{"policies":[],"identities":[]}', (200, {'revision': 8}), '8\n'),
    ('policy', 'rm', 'app'): ('DELETE', '/v1/auth/policies/app', b'', (204,), ''),
    ('user', 'rm', 'billing'): ('DELETE', '/v1/auth/users/billing', b'', (204,), ''),
    ('token', 'rm', 'abcdef27'): ('DELETE', '/v1/auth/tokens/abcdef27', b'', (204,), ''),
}
READS = {
    ('policy', 'get', 'app'):
        ('/v1/auth/policies/app', {'name': 'app', 'rules': RULES}, '{"rules":' + RULES_TEXT + '}\n'),
    ('policy', 'ls'):
        ('/v1/auth/policies?limit=10000', {'policies': [{'name': 'app', 'rules': RULES}, {'name': 'b', 'rules': []}]},
         'app\t' + RULES_TEXT[1:-1] + '\nb\t\n'),
    ('policy', 'ls', '--json'):
        ('/v1/auth/policies?limit=10000', {'policies': [{'name': 'app', 'rules': RULES}]},
         '{"name":"app","rules":' + RULES_TEXT + '}\n'),
    ('user', 'get', 'billing'):
        ('/v1/auth/users/billing', USER,
         'name\tbilling\npolicies\tapp,more\nidentities\turi:spiffe://corp/billing,uid:1000\n'),
    ('user', 'get', 'billing', '--json'): ('/v1/auth/users/billing', USER, json.dumps(USER)),
    ('user', 'ls'): ('/v1/auth/users?limit=10000', {'users': [USER]},
                     'billing\tapp,more\turi:spiffe://corp/billing,uid:1000\n'),
    ('token', 'ls'): ('/v1/auth/tokens?limit=10000', {'tokens': TOKENS},
                      'abcdef27\tbilling\tvalid\t2026-11-18T11:06:40Z\ta b\nbbcdef27\tgone\tvoid\tnever\t\n'),
    ('whoami',): ('/v1/auth/whoami', {'user': 'root', 'via': 'uid:0', 'auth': 'on', 'root': True},
                  'user\troot\nvia\tuid:0\nauth\ton\nroot\ttrue\n'),
    ('test', 'billing', 'read', 'kv', 'app/a b'):
        ('/v1/auth/test?user=billing&right=read&resource=kv&path=app%2Fa%20b', {'allowed': True}, 'allowed\n'),
    ('test', 'billing', 'write', 'cluster'):
        ('/v1/auth/test?user=billing&right=write&resource=cluster', {'allowed': True}, 'allowed\n'),
}


class AuthCommands(ClientTest):
    def auth(self, *words, servers=1, **options):
        """With the same server so many times."""
        return self.run_alone('auth', *words, '--servers', ','.join([self.server.name] * servers), **options)

    def asked(self, method, target, body=b''):
        return self.asked_in_time(method, target, body, keyed=False)

    def test_what_is_sent_and_printed(self):
        self.check_commands(self.auth, self.asked, WRITES, READS)

    def test_a_policy_out_of_a_file_and_out_of_standard_input(self):
        document = json.dumps({'rules': RULES})
        file = self.write('policy.json', document)
        for arguments in ([file], ['-'], []):
            running = self.auth('policy', 'put', 'app', *arguments)
            if file not in arguments:
                running.process.stdin.write(document)
                running.process.stdin.close()
                running.process.stdin = None
            self.asked('PUT', '/v1/auth/policies/app', document.encode()).answer(201, {'revision': 7})
            self.ends(running, DONE, '7\n')
        self.ends(self.auth('policy', 'put', 'app', self.path('nothing')), 74, says='nothing: No such file')

    def test_pages(self):
        running = self.auth('user', 'ls')
        first = '/v1/auth/users?limit=10000'
        self.asked('GET', first).answer(200, {'users': [{'name': 'a', 'policies': [], 'identities': []}]},
                                        {'Link': '</v1/auth/users?limit=10000&after=a>; rel="next"'})
        self.asked('GET', first + '&after=a').answer(
            200, {'users': [{'name': 'b', 'policies': [], 'identities': []}]})
        self.ends(running, DONE, 'a\t\t\nb\t\t\n')

    def test_refusals(self):
        for answer, code in (((404, NO_POLICY), NO), ((404, {'detail': 'an older version'}), REFUSED),
                             ((400, {'detail': 'no'}), REFUSED), ((413, {'detail': 'too much'}), REFUSED),
                             ((409, {'detail': 'in use'}), NO), ((403, {'detail': 'auth: may not write'}), REFUSED),
                             ((401, {'detail': 'who is there?'}), REFUSED)):
            for arguments in (['policy', 'rm', 'app'], ['policy', 'get', 'app']):
                running = self.auth(*arguments)
                self.server.next().answer(*answer)
                self.ends(running, code, says=f'the server says {answer[0]}: {answer[1]["detail"]}')

    def test_what_is_sent_again(self):
        running = self.auth('policy', 'rm', 'app')
        self.asked('DELETE', '/v1/auth/policies/app').close()
        self.asked('DELETE', '/v1/auth/policies/app').answer(503, {'detail': 'no leader', 'outcome': 'not-applied'})
        self.asked('DELETE', '/v1/auth/policies/app').answer(204)
        self.ends(running, DONE)

    def test_what_was_perhaps_done_before(self):
        running = self.auth('policy', 'rm', 'app')
        self.asked('DELETE', '/v1/auth/policies/app').close()
        self.asked('DELETE', '/v1/auth/policies/app').answer(404, NO_POLICY)
        self.ends(running, UNKNOWN, says='the outcome of an earlier try is unknown')

    # ---- tokens ----

    def created(self, body):
        exchange = self.asked('POST', '/v1/auth/tokens', None)
        self.assertEqual(json.loads(exchange.body), body)
        return exchange

    def test_a_token_goes_to_standard_output_alone(self):
        running = self.auth('token', 'create', 'billing', '--ttl', '90d', '--note', 'ci "x"')
        self.created({'user': 'billing', 'ttl_ms': 7_776_000_000, 'note': 'ci "x"'}).answer(201, MADE)
        self.assertEqual(running.end(), (DONE, TOKEN + '\n', [
            'kvd: token abcdef27 of billing; it expires: 2026-11-18T11:06:40Z']))
        running = self.auth('token', 'create', 'billing')
        self.created({'user': 'billing'}).answer(201, {**MADE, 'expires_ms': None})
        self.assertEqual(running.end(), (DONE, TOKEN + '\n', [
            'kvd: token abcdef27 of billing; it expires: never']))

    def test_a_token_of_nobody(self):
        running = self.auth('token', 'create', 'billing')
        self.created({'user': 'billing'}).answer(404, NO_USER)
        self.ends(running, NO, says='there is no user billing')

    def test_a_token_is_not_made_twice(self):
        for end in (lambda exchange: exchange.close(), lambda exchange: exchange.answer(502, '<html>'),
                    lambda exchange: exchange.answer(504, {'detail': 'silent', 'outcome': 'unknown'})):
            running = self.auth('token', 'create', 'billing', servers=2)
            end(self.created({'user': 'billing'}))
            self.ends(running, UNKNOWN, says='the outcome is unknown: ')
            self.assertTrue(self.server.exchanges.empty())

    def test_a_token_that_was_certainly_not_made_is_asked_for_again(self):
        running = self.auth('token', 'create', 'billing')
        self.created({'user': 'billing'}).answer(503, {'detail': 'no leader', 'outcome': 'not-applied'})
        self.created({'user': 'billing'}).answer(504, {'detail': 'silent', 'outcome': 'not-applied'})
        self.created({'user': 'billing'}).answer(201, MADE)
        self.assertEqual(running.end()[:2], (DONE, TOKEN + '\n'))

    def test_what_is_no_token_is_not_printed(self):
        for token in ('', 'kvd_abcdef27_x', TOKEN + '\x1b'):
            running = self.auth('token', 'create', 'billing')
            self.created({'user': 'billing'}).answer(201, {**MADE, 'token': token})
            self.ends(running, UNKNOWN, says='no token in the answer')

    # ---- who may do what ----

    def test_what_is_not_allowed(self):
        running = self.auth('test', 'billing', 'write', 'kv', 'x')
        self.server.next().answer(200, {'allowed': False})
        self.ends(running, NO, 'not allowed\n')
        running = self.auth('test', 'billing', 'write', 'kv', 'x')
        self.server.next().answer(404, NO_USER)
        self.ends(running, NO, says='there is no user billing')

    # ---- root's token ----

    def test_a_root_token(self):
        file = self.path('root')
        code, token, errors = self.run_alone('auth', 'root-token', file).end()
        self.assertEqual((code, errors), (DONE, []))
        mark, number, secret = token.rstrip('\n').split('_', 2)
        self.assertEqual((mark, len(number), len(secret)), ('kvd', 8, 43))
        self.assertEqual(self.read('root'), f'{number} {hashlib.sha256(secret.encode()).hexdigest()}\n')
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        self.assertTrue(re.fullmatch('[a-z2-7]{8}', number))
        # It is a token for the other commands.
        running = self.auth('whoami', '--token-file', self.write('token', token))
        exchange = self.server.next()
        self.assertEqual(exchange.headers['authorization'], 'Bearer ' + token.rstrip('\n'))
        exchange.answer(401, {'detail': 'who?'})
        running.end()
        before = self.read('root')
        self.ends(self.run_alone('auth', 'root-token', file), CANNOT_CREATE, says='root: is there already')
        self.assertEqual(self.read('root'), before)
        self.ends(self.run_alone('auth', 'root-token', self.path('no/root')), CANNOT_CREATE, says='cannot be made')


if __name__ == '__main__':
    fake_server.main(sys.argv)
