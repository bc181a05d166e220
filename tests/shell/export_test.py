#!/usr/bin/env python3
"""`kvd export` by the program: what a real server wrote, was killed over and is restored from elsewhere; the standard
output; and servers that are kept out meanwhile. Every process it starts is ended by pid. Usage: export_test.py KVD"""
import hashlib
import http.client
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from free_port import free_port  # pylint: disable=wrong-import-position

KVD = os.path.abspath(sys.argv.pop(1))
DEADLINE_S = 60


def export(*arguments, stdout=subprocess.PIPE):
    """Exit code, standard output, lines of standard error."""
    ended = subprocess.run([KVD, 'export', *arguments], stdout=stdout, stderr=subprocess.PIPE, timeout=DEADLINE_S,
                           check=False)
    return ended.returncode, ended.stdout, ended.stderr.decode().splitlines()


def tree(path):
    """Names, kinds, times and bytes of all that is in a directory and below, itself included."""
    found = {}
    for place, _, names in os.walk(path):
        for name in ['.', *names]:
            one = os.path.join(place, name)
            status = os.stat(one)
            digest = ''
            if name != '.':
                with open(one, 'rb') as file:
                    digest = hashlib.sha256(file.read()).hexdigest()
            found[one] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, digest)
    return found


class Server:
    def __init__(self, directory):
        self.port = free_port()
        self.process = subprocess.Popen(
            [KVD, '--standalone', '--id', 'a', '--port', str(self.port), '--data-dir', directory],
            stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                if self.ask('GET', '/readyz')[0] == 200:
                    return self
            except OSError:
                pass
            if time.monotonic() > end or self.process.poll() is not None:
                self.__exit__()
                raise AssertionError('the server does not begin to serve')
            time.sleep(0.02)

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def write(self, key, value, query='', **headers):
        status, answer = self.ask('PUT', f'/v1/kv/{key}{query}', value, headers)
        assert status in (200, 201), (status, answer)

    def items(self):
        return [(item['key'], item.get('value'), item.get('value_b64'))
                for item in json.loads(self.ask('GET', '/v1/kv?prefix=&limit=10000')[1])['items']]

    def digest(self):
        return json.loads(self.ask('GET', '/v1/cluster')[1])['digest']


class Export(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = scratch.name
        self.data = os.path.join(self.scratch, 'data')
        self.file = os.path.join(self.scratch, 'out.snapshot')

    def restore(self, snapshot):
        """What a server has that is given it."""
        with tempfile.TemporaryDirectory() as directory, Server(os.path.join(directory, 'data')) as server:
            status, answer = server.ask('PUT', '/v1/snapshot', snapshot)
            self.assertEqual(status, 200, answer)
            self.assertEqual(server.ask('PUT', '/v1/kv/key-0?fence=lock:6', 'late')[0], 412)
            return server.items(), server.digest()

    def test_what_a_killed_server_had_is_restored_elsewhere(self):
        with Server(self.data) as server:
            for i in range(300):
                server.write(f'key-{i % 200}', f'value {i}')
            server.write('bytes', b'\x00\xff', **{'Idempotency-Key': 'once'})
            server.write('fenced', 'x', '?fence=lock:7')
            self.assertEqual(server.ask('DELETE', '/v1/kv/key-199')[0], 204)
            items, digest = server.items(), server.digest()
            _, live = server.ask('GET', '/v1/snapshot')
            code, _, errors = export(self.data, self.file)
            self.assertEqual((code, len(errors)), (75, 1), errors)
            self.assertRegex(errors[0], rf'\Akvd: .*\(process {server.process.pid}\): take GET /v1/snapshot')
            self.assertFalse(os.path.exists(self.file))
        before = tree(self.data)
        code, nothing, errors = export(self.data, self.file)
        self.assertEqual((code, nothing), (0, b''), errors)
        self.assertRegex(errors[-1], rf'\Akvd: exported server a, cluster \S+, lineage 0, epoch 1, revision 303, '
                                     rf'201 keys, digest {digest}, to {re.escape(self.file)}\Z')
        with open(self.file, 'rb') as file:
            exported = file.read()
        code, printed, _ = export(self.data)
        self.assertEqual((code, printed), (0, exported))
        code, printed, _ = export(self.data, '-')
        self.assertEqual((code, printed), (0, exported))
        self.assertEqual(tree(self.data), before)
        code, _, errors = export(self.data, self.file)
        self.assertEqual((code, len(errors)), (73, 1), errors)
        self.assertEqual(self.restore(exported), self.restore(live))
        self.assertEqual(self.restore(exported)[0], items)

    def test_a_terminal_gets_no_snapshot(self):
        with Server(self.data) as server:
            server.write('a', 'b')
        master, terminal = pty.openpty()
        try:
            code, _, errors = export(self.data, stdout=terminal)
            self.assertEqual((code, len(errors)), (64, 1), errors)
            self.assertIn('the standard output is a terminal', errors[0])
            os.set_blocking(master, False)
            self.assertRaises(BlockingIOError, os.read, master, 1)
        finally:
            os.close(master)
            os.close(terminal)

    def test_no_server_starts_meanwhile(self):
        with Server(self.data) as server:
            server.write('large', 'v' * 500_000)
        before = tree(self.data)
        # Its output is not read, and more than a pipe holds.
        with subprocess.Popen([KVD, 'export', self.data], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as exporting:
            try:
                self.assertEqual(len(exporting.stdout.read(1)), 1)
                refused = subprocess.run([KVD, '--standalone', '--port', str(free_port()), '--data-dir', self.data],
                                         capture_output=True, text=True, timeout=DEADLINE_S, check=False)
                self.assertEqual(refused.returncode, 69, refused.stderr)
                self.assertIn(f'{self.data}: in use by another process; give', refused.stderr)
                self.assertEqual(tree(self.data), before)
                exporting.send_signal(signal.SIGTERM)
                errors = exporting.communicate(timeout=DEADLINE_S)[1].decode().splitlines()
            finally:
                exporting.kill()
        self.assertEqual((exporting.returncode, len(errors)), (128 + signal.SIGTERM, 1), errors)
        with Server(self.data) as server:
            self.assertEqual(len(server.ask('GET', '/v1/kv/large')[1]), 500_000)

    def test_a_reader_that_goes_is_one_line(self):
        with Server(self.data) as server:
            server.write('large', 'v' * 500_000)
        with subprocess.Popen([KVD, 'export', self.data], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as exporting:
            exporting.stdout.close()
            errors = exporting.stderr.read().decode().splitlines()
        self.assertEqual((exporting.returncode, errors), (74, ['kvd: the standard output: write: Broken pipe']))

    def test_help(self):
        code, text, errors = export('--help')
        self.assertEqual((code, errors), (0, []))
        self.assertIn(b'Usage: kvd export DIR [FILE]', text)
        self.assertIn(b'Exit codes: ', text)
        listed = subprocess.run([KVD, '--help'], capture_output=True, timeout=DEADLINE_S, check=True).stdout
        self.assertIn(b'export DIR [FILE]', listed)


if __name__ == '__main__':
    unittest.main(verbosity=2)
