"""A scripted HTTP server on loopback and kvd's subcommands before it, for tests of the client side: the test itself
takes each request and says what is answered, when, and how the connection ends. Nothing waits for a mere while: what is
waited for comes, or a generous deadline fails the test; that something has not happened is only claimed where it would
have had to come before something that has."""
import contextlib
import json
import os
import queue
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

DEADLINE_S = 60
# What a command does for ever, that is, as long as the test runs. The shell would also tell how its sleep has ended.
FOR_EVER = f'exec 2>/dev/null; while kill -0 {os.getpid()}; do sleep 0.02; done'
KVD = None  # the program; set by main()


class Exchange:
    """One connection with the one request that came on it."""

    def __init__(self, connection):
        self.connection = connection
        file = connection.makefile('rb')
        self.method, self.target, _ = file.readline().decode().split()
        self.headers = {}
        while (line := file.readline().decode().rstrip('\r\n')):
            name, _, content = line.partition(':')
            self.headers[name.lower()] = content.strip()
        self.body = file.read(int(self.headers.get('content-length', 0)))

    def answer(self, status, body=b'', headers=None):
        """A whole answer; the connection stays open."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        lines = [f'HTTP/1.1 {status} Some', *(f'{name}: {content}' for name, content in (headers or {}).items())]
        if status != 204:
            lines.append(f'Content-Length: {len(body)}')
        self.connection.sendall('\r\n'.join(lines).encode() + b'\r\n\r\n' + body)

    def stream(self, *lines):
        """Begins a streamed answer."""
        self.connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        return self.say(*lines)

    def say(self, *lines):
        for line in lines:
            self.chunk((json.dumps(line) + '\n').encode())
        return self

    def chunk(self, content):
        self.connection.sendall(b'%x\r\n%s\r\n' % (len(content), content))

    def end_stream(self):
        self.connection.sendall(b'0\r\n\r\n')

    def close(self):
        with contextlib.suppress(OSError):  # the client was first
            self.connection.shutdown(socket.SHUT_RDWR)

    def wait_closed(self):
        """Until the client has closed the connection."""
        self.connection.settimeout(DEADLINE_S)
        try:
            assert self.connection.recv(1) == b'', 'the client sent more'
        except ConnectionResetError:
            pass

    def is_open(self):
        return not select.select([self.connection], [], [], 0)[0]


class FakeServer:
    def __init__(self):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.name = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.exchanges = queue.Queue()
        self.connections = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.receive, args=[connection], daemon=True).start()

    def receive(self, connection):
        try:
            self.exchanges.put(Exchange(connection))
        except (OSError, ValueError):
            connection.close()

    def next(self):
        return self.exchanges.get(timeout=DEADLINE_S)

    def refuse(self):
        """From here on nobody listens; what is connected stays so."""
        # What is in accept() is woken only by a shutdown.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def close(self):
        if self.listener.fileno() >= 0:
            self.refuse()
        for connection in self.connections:
            connection.close()


def refusing_name():
    """host:port where nobody listens."""
    with socket.create_server(('127.0.0.1', 0)) as taken:
        return '127.0.0.1:%d' % taken.getsockname()[1]


def without_variables(environment):
    """Without kvd's, of which it would tell."""
    return {name: content for name, content in environment.items() if not name.startswith('KVD_')}


class Running:
    """A subcommand that runs."""

    def __init__(self, arguments, env, ignoring=(), closed=(), stdin=subprocess.PIPE, stdout=subprocess.PIPE):
        def prepare():
            # Whatever the test itself was started with.
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN if number in ignoring else signal.SIG_DFL)
            for number in closed:
                os.close(number)
        self.process = subprocess.Popen([KVD, *arguments], preexec_fn=prepare, stdin=stdin,
                                        stdout=stdout, stderr=subprocess.PIPE, text=True,
                                        env={**without_variables(os.environ), **env})

    def line(self):
        """The next line of its standard output, which is also the command's."""
        return self.next_of(self.process.stdout)

    def error_line(self):
        return self.next_of(self.process.stderr)

    @staticmethod
    def next_of(file):
        """One byte after the other, so that nothing is read ahead and select() tells the truth."""
        line = b''
        while not line.endswith(b'\n'):
            assert select.select([file], [], [], DEADLINE_S)[0], f'nothing more than {line}'
            byte = os.read(file.fileno(), 1)
            assert byte, f'nothing more than {line}'
            line += byte
        return line[:-1].decode()

    def tell(self, line):
        """To its standard input, which is the command's, too."""
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        """Exit code, the rest of standard output, lines of standard error."""
        output, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, output, errors.splitlines()


class ClientTest(unittest.TestCase):
    def setUp(self):
        self.server = FakeServer()
        self.addCleanup(self.server.close)
        self.directory = tempfile.mkdtemp(prefix='kvd-')
        self.addCleanup(shutil.rmtree, self.directory)

    def start(self, *arguments, servers=None, **options):
        name, *rest = arguments
        return self.run_alone(name, '--servers', ','.join(servers or [self.server.name]), *rest, **options)

    def run_alone(self, *arguments, env=None, **options):
        """With no servers but those that the test names."""
        running = Running(arguments, env or {}, **options)
        self.addCleanup(self.kill, running.process)
        return running

    @staticmethod
    def kill(process):
        """Its pipes may be held open by what it has left behind."""
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def ends(self, running, code, output='', says=''):
        """The lines of standard error."""
        ended, printed, errors = running.end()
        self.assertEqual((ended, printed), (code, output), errors)
        self.assertIn(says, ' '.join(errors))
        return errors

    def asked_in_time(self, method, target, body=b'', keyed=True):
        """The next request of a command with --timeout, with the time that the server has beside what was expected."""
        exchange = self.server.next()
        asked, between, timeout = exchange.target.rpartition('timeout=')
        self.assertEqual((exchange.method, asked[:-1], between), (method, target, 'timeout='))
        self.assertTrue(0 < int(timeout) <= 600_000)
        if body is not None:
            self.assertEqual(exchange.body, body)
        self.assertEqual('idempotency-key' in exchange.headers, keyed and method != 'GET')
        return exchange

    def check_commands(self, start, asked, writes, reads):
        """By their arguments, command lines that are done: what each asks, the answer, and what it prints."""
        for arguments, (method, target, body, answer, printed) in writes.items():
            with self.subTest(arguments):
                running = start(*arguments)
                asked(method, target, body).answer(*answer)
                self.assertEqual(self.ends(running, 0, printed), [])
        for arguments, (target, answer, printed) in reads.items():
            with self.subTest(arguments):
                running = start(*arguments)
                asked('GET', target).answer(*(answer if isinstance(answer, tuple) else (200, answer)))
                self.assertEqual(self.ends(running, 0, printed), [])

    def pause(self, running, *others, number=signal.SIGTSTP):
        """Until kvd stands still, and then these do."""
        running.send(number)
        for pid in (running.process.pid, *others):
            self.wait_state(pid, 'T')

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, content):
        with open(self.path(name), 'wb') as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return self.path(name)

    def read(self, name):
        with open(self.path(name), 'rb') as file:
            return file.read().decode()

    def until_go(self):
        """For a command: waits for go(), or for the end of the test."""
        return f'until [ -e {self.path("go")} -o ! -d {self.directory} ]; do sleep 0.02; done'

    def go(self):
        self.write('go', '')

    def deaf_until_go(self):
        """For a command: SIGTERM does not end it, and SIGHUP is told."""
        return (f'trap "" TERM; trap "echo passed on" HUP; echo started; exec 2>/dev/null; {self.until_go()}; '
                'echo over')

    def check_closed_behind_the_command(self, running, exchange, lost, held):
        """Of what runs deaf_until_go() under a grant on this connection, when that is lost: what comes later does not
        count, and the connection is closed when the command has ended."""
        self.assertEqual(running.line(), 'started')
        exchange.say(lost)
        self.assertIn('kvd: lost the l', running.error_line())
        exchange.say(held)
        # When it does something else, it is done with what the loss has led to.
        running.send(signal.SIGHUP)
        self.assertEqual(running.line(), 'passed on')
        self.assertTrue(exchange.is_open())
        self.go()
        self.assertEqual(running.line(), 'over')
        exchange.wait_closed()
        self.assertEqual(running.end(), (75, '', []))

    @staticmethod
    def state(pid):
        """Of a process, as ps has it: T stands still, Z is dead and not buried yet; X where there is none."""
        try:
            with open(f'/proc/{pid}/stat', encoding='ascii') as file:
                return file.read().rpartition(')')[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return 'X'

    def is_gone(self, pid):
        """No process of this number runs."""
        return self.state(pid) in 'ZX'

    def wait_state(self, pid, states):
        end = time.monotonic() + DEADLINE_S
        while self.state(pid) not in states:
            assert time.monotonic() < end, f'{pid} is {self.state(pid)} and not {states}'
            time.sleep(0.01)

    @staticmethod
    def guards(pid):
        """The processes between a subcommand and its commands."""
        with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
            return [int(child) for child in file.read().split()]


def main(argv):
    """argv: the test, the program, and what unittest takes."""
    global KVD  # pylint: disable=global-statement
    KVD = os.path.abspath(argv.pop(1))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored, as in a shell's background
    unittest.main(module='__main__', argv=argv, verbosity=2)
