#!/usr/bin/env python3
"""kvd hosts-sync before a scripted server: which answers are written and which never, what is asked for next, and that
a file that is mounted by itself is kept up to date, too. Usage: hosts_sync_test.py KVD"""
import os
import signal
import subprocess
import sys
import time

import fake_server
from fake_server import ClientTest, DEADLINE_S, refusing_name

FOREIGN = '127.0.0.1\tlocalhost\n'
ONE = '10.0.0.1 db.example\n'
TWO = '10.0.0.1 db.example\n10.0.0.2 web.example\n'


def marked(block):
    return f'# BEGIN kvd n\n{block}# END kvd n\n'


class HostsSync(ClientTest):
    def setUp(self):
        super().setUp()
        self.file = self.write('hosts', FOREIGN)

    def sync(self, *flags, **options):
        return self.start('hosts-sync', '--file', self.file, '--node', 'n', *flags, **options)

    def asked(self, query='', file=FOREIGN):
        """The next question; whatever was answered before has been written by then."""
        exchange = self.server.next()
        self.assertEqual((exchange.method, exchange.target), ('GET', '/v1/hosts?format=hosts' + query))
        self.assertEqual(self.read('hosts'), file)
        return exchange

    def names(self, exchange, block, version, **more):
        exchange.answer(200, block, {'Kvd-Hosts-Version': version, **more})

    def stop(self, running):
        running.send(signal.SIGTERM)
        self.assertEqual(running.end(), (0, '', []))

    def test_the_block_follows_the_names(self):
        running = self.sync('--zone', 'a&b')
        self.names(self.asked('&zone=a%26b'), ONE, 5, **{'Kvd-Complete': 'true'})
        self.names(self.asked('&zone=a%26b&wait=30000&since=5', FOREIGN + marked(ONE)), TWO, 6)
        self.names(self.asked('&zone=a%26b&wait=30000&since=6', FOREIGN + marked(TWO)), ONE, 9)
        self.asked('&zone=a%26b&wait=30000&since=9', FOREIGN + marked(ONE))
        self.stop(running)
        self.assertEqual(os.listdir(self.directory), ['hosts'])

    def test_what_others_write_stays_and_the_block_is_mended(self):
        running = self.sync()
        self.names(self.asked(), ONE, 5)
        for status in (204, 304):
            exchange = self.asked('&wait=30000&since=5', FOREIGN + marked(ONE))
            self.write('hosts', FOREIGN)
            exchange.answer(status)
        exchange = self.asked('&wait=30000&since=5', FOREIGN + marked(ONE))
        self.write('hosts', '::1 me\n' + marked('10.9.9.9 wrong\n') + '::2 you\n')
        self.names(exchange, ONE, 5)
        self.asked('&wait=30000&since=5', '::1 me\n' + marked(ONE) + '::2 you\n')
        self.stop(running)

    def test_answers_that_are_never_written(self):
        running = self.sync()
        self.asked().answer(200, ONE, {'Kvd-Hosts-Version': 5, 'kvd-complete': 'false'})
        self.asked().answer(200, '', {'Kvd-Hosts-Version': 5})
        self.asked().answer(200, ONE)
        self.asked().answer(200, ONE, {'Kvd-Hosts-Version': 'x&y'})
        self.asked().answer(404, {'detail': 'no such zone'})
        self.asked().answer(304)
        self.asked().answer(503, {'detail': 'not ready'})
        self.asked().close()
        exchange = self.asked()
        head = b'HTTP/1.1 200 OK\r\nKvd-Hosts-Version: 5\r\nContent-Length: 99\r\n\r\n'
        exchange.connection.sendall(head + ONE.encode())
        exchange.close()
        self.names(self.asked(), ONE, 5)
        self.asked('&wait=30000&since=5', FOREIGN + marked(ONE))
        running.send(signal.SIGTERM)
        code, _, errors = running.end()
        self.assertEqual(code, 0)
        name = self.server.name
        self.assertEqual(errors, [f'kvd: {line}; trying on' for line in (
            'the server does not know all names yet', 'the server names no hosts',
            'the server does not say which version this is', 'the server says 404: no such zone',
            'the server says 304', f'{name}: the server says 503: not ready', f'{name}: the connection was closed')])

    def test_damaged_markers_are_left_alone_until_they_are_mended(self):
        damaged = FOREIGN + '# BEGIN kvd n\n10.0.0.9 old\n'
        self.write('hosts', damaged)
        running = self.sync()
        for _ in range(2):
            self.names(self.asked('', damaged), ONE, 5)
        exchange = self.asked('', damaged)
        self.write('hosts', damaged + '# END kvd n\n')
        self.names(exchange, ONE, 5)
        self.asked('&wait=30000&since=5', FOREIGN + marked(ONE))
        running.send(signal.SIGTERM)
        line = f"kvd: {self.file}: there is '# BEGIN kvd n' without '# END kvd n'"
        self.assertEqual(running.end(), (0, '', [line]))

    def test_once(self):
        running = self.sync('--once')
        self.names(self.asked(), ONE, 5)
        self.assertEqual(running.end(), (0, '', []))
        self.assertEqual(self.read('hosts'), FOREIGN + marked(ONE))
        running = self.sync('--once')
        self.names(self.asked('', FOREIGN + marked(ONE)), ONE, 5)
        self.assertEqual(running.end(), (0, '', []))

    def test_once_with_the_second_server(self):
        running = self.sync('--once', servers=[refusing_name(), self.server.name])
        self.names(self.asked(), ONE, 5)
        code, _, errors = running.end()
        self.assertEqual((code, len(errors)), (0, 1), errors)
        self.assertEqual(self.read('hosts'), FOREIGN + marked(ONE))

    def test_once_without_an_answer_that_can_be_used(self):
        running = self.sync('--once')
        self.asked().answer(200, ONE, {'Kvd-Hosts-Version': 5, 'Kvd-Complete': 'false'})
        self.assertEqual(running.end(), (69, '', ['kvd: the server does not know all names yet']))
        name = refusing_name()
        running = self.sync('--once', servers=[name])
        self.assertEqual(running.end(), (69, '', [f'kvd: {name}: connection refused']))
        self.assertEqual(self.read('hosts'), FOREIGN)

    def test_once_with_a_file_that_cannot_be_used(self):
        self.write('hosts', '# END kvd n\n')
        running = self.sync('--once')
        self.names(self.asked('', '# END kvd n\n'), ONE, 5)
        line = f"kvd: {self.file}: there is '# END kvd n' without '# BEGIN kvd n'"
        self.assertEqual(running.end(), (65, '', [line]))
        self.file = self.path('none/hosts')
        running = self.sync('--once')
        self.names(self.server.next(), ONE, 5)
        self.assertEqual(running.end()[0], 74)

    def test_a_start_finishes_what_was_cut_off(self):
        self.write('hosts', 'new old old\n')
        self.write('.hosts.kvd-redo', 'kvd-redo 1 12 4\nold old old\nnew\n')
        running = self.sync()
        self.asked('', 'new\n')
        running.send(signal.SIGTERM)
        self.assertEqual(running.end(), (0, '', [f'kvd: {self.file}: finished what was cut off']))

    def test_the_node_is_this_machine_unless_told(self):
        running = self.start('hosts-sync', '--file', self.file, '--once')
        self.names(self.asked(), ONE, 5)
        self.assertEqual(running.end()[0], 0)
        self.assertIn(f'# BEGIN kvd {os.uname().nodename}\n', self.read('hosts'))

    def test_a_file_that_is_mounted_by_itself_keeps_its_inode(self):
        """As /etc/hosts in a container is. The mount is seen by kvd alone."""
        self.write('mounted', FOREIGN)
        mount = f'mount --bind {self.path("mounted")} {self.file}'
        if subprocess.run(['unshare', '-m', 'sh', '-c', mount], capture_output=True, check=False).returncode != 0:
            self.skipTest('may not make mounts')
        inode = os.stat(self.path('mounted')).st_ino
        running = subprocess.Popen(['unshare', '-m', 'sh', '-c', f'{mount} && exec "$@"', 'sh', fake_server.KVD,
                                    'hosts-sync', '--file', self.file, '--node', 'n', '--servers', self.server.name],
                                   stderr=subprocess.PIPE)
        self.addCleanup(self.kill, running)
        for block, version in ((TWO, 5), (ONE, 6), (TWO, 7)):
            self.names(self.server.next(), block, version)
        self.server.next()
        self.assertEqual(self.read('mounted'), FOREIGN + marked(TWO))
        self.assertEqual(os.stat(self.path('mounted')).st_ino, inode)
        self.assertEqual(self.read('hosts'), FOREIGN)
        running.send_signal(signal.SIGTERM)
        self.assertEqual(running.communicate(timeout=DEADLINE_S), (None, b''))
        self.assertEqual(running.returncode, 0)

    def test_whoever_reads_sees_the_old_or_the_new_lines(self):
        long = [''.join(f'10.{kind}.{i // 250}.{i % 250} host-{i}.example\n' for i in range(size))
                for kind, size in ((1, 9000), (2, 6000))]
        allowed = {FOREIGN, *(FOREIGN + marked(block) for block in long)}
        running = self.sync()
        seen = set()
        for version in range(1, 21):
            exchange = self.server.next()
            self.names(exchange, long[version % 2], version)
            before = time.monotonic()
            while self.server.exchanges.empty() and time.monotonic() < before + DEADLINE_S:
                seen.add(self.read('hosts'))
        self.assertLessEqual(seen, allowed)
        self.stop(running)


if __name__ == '__main__':
    fake_server.main(sys.argv)
