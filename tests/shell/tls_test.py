#!/usr/bin/env python3
"""HTTPS as an operator and clients meet it: curl, openssl and kvd's own clients against a server that stands alone,
with certificates that kvd makes. Every process it starts is ended by pid. Usage: tls_test.py KVD"""
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from free_port import free_port  # pylint: disable=wrong-import-position

KVD = os.path.abspath(sys.argv.pop(1))
DEADLINE_S = 60


def run(*command, env=None, data=None):
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, input=data,
                          env={**os.environ, **(env or {})})


def wait_until(condition):
    end = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError('waited in vain')
        time.sleep(0.02)
    return found


class Certificates:
    """A directory of its own, with three authorities and a certificate for this machine."""

    def __init__(self):
        self.path = tempfile.mkdtemp()
        self.cert('create-ca')
        self.cert('create-server', 'localhost', '127.0.0.1')

    def cert(self, *arguments):
        made = run(KVD, 'cert', *arguments, '--dir', self.path)
        assert made.returncode == 0, made.stderr

    def file(self, name):
        return os.path.join(self.path, name)

    def remove(self):
        shutil.rmtree(self.path)


class Server:
    def __init__(self, *flags, by=()):
        self.port = free_port()
        self.log = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(
            [*by, KVD, '--standalone', '--port', str(self.port), '--log-format', 'json', *flags], stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def lines(self, message):
        self.log.seek(0)
        return [line for line in map(json.loads, self.log.read().splitlines()) if line['msg'] == message]

    def connect(self):
        return socket.create_connection(('127.0.0.1', self.port), timeout=DEADLINE_S)


class Https(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.all = Certificates()

    @classmethod
    def tearDownClass(cls):
        cls.all.remove()

    def serve(self, *flags, certificates=None):
        made = certificates or self.all
        server = Server('--tls-cert', made.file('localhost.crt'), '--tls-key', made.file('localhost.key'), *flags)
        self.enterContext(server)
        wait_until(lambda: self.curl(server, '/readyz', certificates=made)[0] == '200' or
                   server.process.poll() is not None)
        self.assertIsNone(server.process.poll())
        return server

    def curl(self, server, path, *flags, host='localhost', certificates=None):
        made = certificates or self.all
        answer = run('curl', '-s', '--cacert', made.file('ca.crt'), '-w', '\n%{http_code} %{exitcode}', *flags,
                     f'https://{host}:{server.port}{path}')
        body, _, codes = answer.stdout.rpartition('\n')
        return codes.split()[0], body, codes.split()[1]

    def serial(self, server):
        shown = run('openssl', 's_client', '-connect', f'127.0.0.1:{server.port}', data='').stdout
        return run('openssl', 'x509', '-noout', '-serial', data=shown).stdout.strip()

    def test_curl_writes_and_reads(self):
        server = self.serve()
        self.assertEqual(self.curl(server, '/v1/kv/a', '-X', 'PUT', '-d', 'one')[0], '201')
        self.assertEqual(self.curl(server, '/v1/kv/a', host='127.0.0.1')[:2], ('200', 'one'))
        large = 'x' * 1_000_000
        with tempfile.NamedTemporaryFile('w') as file:
            file.write(large)
            file.flush()
            self.assertEqual(self.curl(server, '/v1/kv/large', '-X', 'PUT', '--data-binary', f'@{file.name}')[0], '201')
        self.assertEqual(self.curl(server, '/v1/kv/large')[1], large)
        self.assertIn('kvd_tls_certificate_expiry_timestamp_seconds{use="http"}', self.curl(server, '/metrics')[1])

    def test_many_requests_of_one_connection_are_answered_in_order(self):
        server = self.serve()
        for i in range(20):
            self.curl(server, f'/v1/kv/many{i}', '-X', 'PUT', '-d', f'v{i}')
        answer = run('curl', '-s', '--cacert', self.all.file('ca.crt'),
                     f'https://localhost:{server.port}/v1/kv/many[0-19]')
        self.assertEqual(answer.stdout, ''.join(f'v{i}' for i in range(20)))

    def test_who_is_not_believed_is_not_spoken_to(self):
        server = self.serve()
        others = Certificates()
        self.addCleanup(others.remove)
        self.assertEqual(self.curl(server, '/v1/kv/a', certificates=others)[::2], ('000', '60'))
        wait_until(lambda: any('unknown ca' in line['reason'] for line in server.lines('no TLS with a client')))
        other_name = run('curl', '-s', '--cacert', self.all.file('ca.crt'), '--resolve',
                         f'elsewhere:{server.port}:127.0.0.1', f'https://elsewhere:{server.port}/livez')
        self.assertEqual(other_name.returncode, 60)

    def test_nothing_older_than_tls_1_3(self):
        server = self.serve()
        where = f'localhost:{server.port}'
        good = run('openssl', 's_client', '-connect', where, '-tls1_3', '-CAfile', self.all.file('ca.crt'),
                   '-verify_return_error', '-verify_hostname', 'localhost', data='')
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertIn('TLSv1.3', good.stdout)
        for old in ('-tls1', '-tls1_1', '-tls1_2'):
            self.assertNotEqual(run('openssl', 's_client', '-connect', where, old, data='').returncode, 0)

    def test_key_exchanges_that_are_slow_are_not_offered(self):
        server = self.serve()
        where = f'localhost:{server.port}'
        for group, good in (('X25519', True), ('P-256', True), ('ffdhe2048', False), ('ffdhe8192', False)):
            tried = run('openssl', 's_client', '-connect', where, '-groups', group, data='')
            self.assertEqual(tried.returncode == 0, good, group)

    def test_plain_bytes_are_told_and_never_served(self):
        server = self.serve()
        for first in (b'GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n', b'ruok'):
            with server.connect() as plain:
                plain.sendall(first)
                answer = b''.join(iter(lambda p=plain: p.recv(4096), b''))
            self.assertTrue(answer.startswith(b'HTTP/1.1 400 '), answer)
            self.assertIn(b'this port speaks TLS: use https://', answer)
        failed = re.search(r'^kvd_http_handshakes_failed_total (\d+)$', self.curl(server, '/metrics')[1], re.M)
        self.assertGreaterEqual(int(failed[1]), 2)

    def test_another_protocol_inside_is_refused(self):
        server = self.serve()
        h2 = run('openssl', 's_client', '-connect', f'localhost:{server.port}', '-alpn', 'h2', data='')
        self.assertNotEqual(h2.returncode, 0)
        both = run('openssl', 's_client', '-connect', f'localhost:{server.port}', '-alpn', 'h2,http/1.1', data='')
        self.assertIn('ALPN protocol: http/1.1', both.stdout)

    def test_new_files_are_taken_on_sighup_and_connections_stand(self):
        made = Certificates()
        self.addCleanup(made.remove)
        server = self.serve(certificates=made)
        before = self.serial(server)
        stream = subprocess.Popen(['curl', '-sN', '--cacert', made.file('ca.crt'),
                                   f'https://localhost:{server.port}/v1/watch?prefix='], stdout=subprocess.PIPE)
        self.addCleanup(stream.stdout.close)
        self.addCleanup(stream.wait)
        self.addCleanup(stream.kill)
        stream.stdout.readline()
        for name in ('localhost.crt', 'localhost.key', 'localhost-peer.crt', 'localhost-peer.key'):
            os.remove(made.file(name))
        made.cert('create-server', 'localhost', '127.0.0.1')
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.lines('read the TLS files again'))
        self.assertNotEqual(self.serial(server), before)
        self.assertEqual(self.curl(server, '/v1/kv/a', '-X', 'PUT', '-d', 'new', certificates=made)[0], '201')
        self.assertIn(b'"a"', stream.stdout.readline())

    def test_new_files_are_found_without_a_signal(self):
        made = Certificates()
        self.addCleanup(made.remove)
        server = self.serve(certificates=made)
        before = self.serial(server)
        for name in ('localhost.crt', 'localhost.key', 'localhost-peer.crt', 'localhost-peer.key'):
            os.remove(made.file(name))
        made.cert('create-server', 'localhost', '127.0.0.1')
        wait_until(lambda: self.serial(server) != before)

    def test_files_that_do_not_fit_leave_the_old_ones_in_use(self):
        made = Certificates()
        self.addCleanup(made.remove)
        server = self.serve(certificates=made)
        before = self.serial(server)
        shutil.copy(made.file('ca.key'), made.file('localhost.key'))
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.lines('cannot use the new TLS files: those of before stay in use'))
        self.assertEqual(self.serial(server), before)
        status = json.loads(self.curl(server, '/v1/cluster', certificates=made)[1])
        self.assertTrue(any('cannot be used' in line and 'localhost.key' in line for line in status['degraded']))

    def test_a_certificate_that_expires_soon_is_told(self):
        made = Certificates()
        self.addCleanup(made.remove)
        made.cert('create-server', 'soon', 'localhost', '127.0.0.1', '--days', '5')
        for kind in ('crt', 'key'):
            shutil.copy(made.file(f'soon.{kind}'), made.file(f'localhost.{kind}'))
        server = self.serve(certificates=made)
        status = json.loads(self.curl(server, '/v1/cluster', certificates=made)[1])
        self.assertTrue(any(re.search('expires in [45] days', line) for line in status['degraded']), status['degraded'])

    def test_clients_certificates(self):
        self.all.cert('create-client', 'app1')
        server = Server('--tls-cert', self.all.file('localhost.crt'), '--tls-key', self.all.file('localhost.key'),
                        '--client-ca', self.all.file('client-ca.crt'), '--client-cert', 'required')
        self.enterContext(server)
        shown = ('--cert', self.all.file('app1-client.crt'), '--key', self.all.file('app1-client.key'))
        wait_until(lambda: self.curl(server, '/readyz', *shown)[0] == '200')
        self.assertEqual(self.curl(server, '/livez')[0], '000')
        # A server's certificate is no client's, whoever it is from.
        peer = ('--cert', self.all.file('localhost-peer.crt'), '--key', self.all.file('localhost-peer.key'))
        self.assertEqual(self.curl(server, '/livez', *peer)[0], '000')
        env = {'KVD_SERVERS': f'https://localhost:{server.port}', 'KVD_CACERT': self.all.file('ca.crt')}
        refused = run(KVD, 'get', 'a', '--timeout', '2000', env=env)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn('certificate required', refused.stderr)
        write = run(KVD, 'put', 'a', 'one', '--timeout', '2000', env=env)
        self.assertNotEqual(write.returncode, 0)
        self.assertNotIn('may', write.stderr)
        env['KVD_CERT'], env['KVD_KEY'] = shown[1], shown[3]
        self.assertEqual(run(KVD, 'put', 'a', 'one', env=env).returncode, 0)

    def test_clients_of_kvd(self):
        server = self.serve()
        servers = ('--servers', f'https://localhost:{server.port}')
        trusted = ('--cacert', self.all.file('ca.crt'))
        self.assertEqual(run(KVD, 'put', 'k', 'value', *servers, *trusted).returncode, 0)
        self.assertEqual(run(KVD, 'get', 'k', *servers, *trusted).stdout.strip(), 'value')
        held = run(KVD, 'lock', 'app/x', *servers, *trusted, '--', 'echo', 'held')
        self.assertEqual((held.returncode, held.stdout), (0, 'held\n'), held.stderr)
        unknown = run(KVD, 'get', 'k', *servers, '--timeout', '2000')
        self.assertNotEqual(unknown.returncode, 0)
        self.assertIn('the certificate of dns:localhost, ip:127.0.0.1 is not believed', unknown.stderr)
        absent = run(KVD, 'get', 'k', *servers, '--cacert', self.all.file('nothing'))
        self.assertEqual(absent.returncode, os.EX_USAGE)
        self.assertIn('nothing: ', absent.stderr)
        plain = run(KVD, 'get', 'k', '--servers', f'localhost:{server.port}', '--timeout', '2000')
        self.assertIn('this port speaks TLS', plain.stderr)

    def test_tls_to_a_plain_port(self):
        with Server() as server:
            wait_until(lambda: run('curl', '-s', f'http://127.0.0.1:{server.port}/readyz').stdout == 'ok\n' or
                       server.process.poll() is not None)
            asked = run(KVD, 'get', 'k', '--servers', f'https://127.0.0.1:{server.port}', '--cacert',
                        self.all.file('ca.crt'), '--timeout', '2000')
            self.assertNotEqual(asked.returncode, 0)
            self.assertIn('wrong version number', asked.stderr)

    def test_a_unix_socket(self):
        path = self.all.file('kvd.sock')
        server = self.serve('--socket', path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
        self.assertEqual(run('curl', '-s', '--unix-socket', path, 'http://localhost/readyz').stdout, 'ok\n')
        self.assertEqual(run(KVD, 'put', 's', 'one', '--servers', f'unix:{path}').returncode, 0)
        self.assertEqual(run(KVD, 'get', 's', '--servers', f'unix:{path}').stdout.strip(), 'one')
        second = run(KVD, '--standalone', '--port', str(free_port()), '--socket', path)
        self.assertEqual(second.returncode, os.EX_UNAVAILABLE)
        self.assertIn('somebody listens there', second.stderr)
        server.process.kill()
        server.process.wait()
        self.assertTrue(os.path.exists(path))  # left behind, and made anew
        third = self.serve('--socket', path)
        self.assertEqual(run(KVD, 'put', 't', 'one', '--servers', f'unix:{path}').returncode, 0)
        third.process.terminate()
        self.assertEqual(third.process.wait(DEADLINE_S), 0)
        self.assertFalse(os.path.exists(path))

    def test_what_cannot_be_is_one_line(self):
        key = ('--tls-key', self.all.file('localhost.key'))
        certificate = ('--tls-cert', self.all.file('localhost.crt'))
        for flags, code, words in (
                (certificate, os.EX_USAGE, 'give --tls-key FILE'),
                (key, os.EX_USAGE, 'also give --tls-cert FILE'),
                ((*certificate, *key, '--client-cert', 'required'), os.EX_USAGE, 'also give --client-ca FILE'),
                (('--tls-cert', '/nowhere', *key), os.EX_CONFIG, '/nowhere: '),
                ((*certificate, '--tls-key', self.all.file('ca.key')), os.EX_CONFIG, 'ca.key: '),
                ((*certificate, *key, '--client-ca', self.all.file('ca.key')), os.EX_CONFIG, 'ca.key: '),
                (('--peer-ca', self.all.file('peer-ca.crt')), os.EX_USAGE, 'leave one of the two out')):
            refused = run(KVD, '--standalone', '--port', str(free_port()), *flags)
            self.assertEqual(refused.returncode, code, refused.stderr)
            self.assertEqual(len(refused.stderr.splitlines()), 1, refused.stderr)
            self.assertIn(words, refused.stderr)

    def test_a_key_that_everybody_may_read_is_warned_of(self):
        made = Certificates()
        self.addCleanup(made.remove)
        os.chmod(made.file('localhost.key'), 0o644)
        server = self.serve(certificates=made)
        self.assertEqual(server.lines('everybody on this machine may read this private key')[0]['file'],
                         made.file('localhost.key'))


if __name__ == '__main__':
    unittest.main()
