#!/usr/bin/env python3
"""The commands of kvload against real processes: `kvload_test.py KVLOAD KVD CASE`. What is checked is that the figures
are there and add up, never how large they are. A case that needs ZooKeeper is skipped (77) where there is none."""
import contextlib
import http.server
import json
import os
import re
import shlex
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import xml.dom.minidom

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'support'))
from free_port import free_port  # pylint: disable=wrong-import-position

KVLOAD, KVD, CASE = sys.argv[1:4]
SKIPPED = 77


@contextlib.contextmanager
def standalone(count, *flags, context=None):
    """That many servers that know nothing of each other, and their addresses. `context`: they speak TLS."""
    processes, names = [], []
    try:
        for port in (free_port() for _ in range(count)):
            processes.append(
                subprocess.Popen([KVD, '--standalone', '--port', str(port), '--log-level', 'error', *flags]))
            names.append(f'127.0.0.1:{port}')
        for name in names:
            wait_ready(name, context)
        yield processes, names
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


def wait_ready(name, context=None):
    deadline = time.monotonic() + 30
    while True:
        try:
            scheme = 'https' if context else 'http'
            urllib.request.urlopen(f'{scheme}://{name}/readyz', timeout=1, context=context).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert time.monotonic() < deadline, f'{name} is not ready'
            time.sleep(0.02)


def kvload(*arguments, code=0):
    """What it prints, as JSON where --json is asked for."""
    done = subprocess.run([KVLOAD, *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, f'{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}'
    return json.loads(done.stdout) if '--json' in arguments else done.stdout + done.stderr


def check_latency(latency):
    order = [latency[name] for name in ('min', 'p50', 'p75', 'p90', 'p95', 'p99', 'p99.9', 'p99.99', 'max')]
    assert order == sorted(order), latency
    assert latency['min'] <= latency['mean'] <= latency['max'], latency


def check_run(result):
    assert result['requests'] == result['ok'] + result['failed'], result
    assert result['ok'] == sum(kind['count'] for kind in result['by_kind'].values()), result
    assert result['failed'] == sum(failure['count'] for failure in result['failures']), result
    assert result['ok'] == sum(server['ok'] for server in result['by_server']), result
    assert result['latency_us']['count'] == result['ok'] + result['unsent'], result
    assert 0 < result['in_time'] <= result['ok'], result
    assert abs(result['rate'] * result['seconds'] - result['in_time']) < 1, result
    assert result['gap_ms'] > 0, result
    check_latency(result['latency_us'])
    for kind in result['by_kind'].values():
        check_latency(kind)


def check_plot(path):
    root = xml.dom.minidom.parse(path).documentElement
    assert root.tagName == 'svg' and root.getElementsByTagName('path'), path


def run():
    with tempfile.TemporaryDirectory() as directory, standalone(1) as (processes, names):
        plot = os.path.join(directory, 'run.svg')
        closed = kvload('run', '--servers', names[0], '--put', '30', '--delete', '5', '--linear', '5', '--order',
                        'zipfian', '--keys', '500', '--value-size', '10-200', '--duration', '1', '--warm-up', '0.1',
                        '--json', '--plot', plot)
        check_run(closed)
        check_plot(plot)
        assert set(closed['by_kind']) == {'get', 'put', 'delete', 'linear'}, closed
        assert closed['failed'] == 0 and closed['intervals'], closed
        assert [one['pid'] for one in closed['cpu']] == [processes[0].pid], closed
        counted = kvload('run', '--servers', names[0], '--count', '1000', '--pipeline', '8', '--json', '--warm-up', '0')
        check_run(counted)
        assert counted['requests'] == 1000, counted
        opened = kvload('run', '--servers', names[0], '--rate', '500', '--duration', '1', '--to', 'leader', '--json')
        check_run(opened)
        assert opened['ok'] + opened['failed'] + opened['unsent'] == 500, opened
        assert 'p99.99_us' in kvload('run', '--servers', names[0], '--count', '10', '--csv')


def check_yardstick(*servers):
    result = kvload('run', '--servers', *servers, '--yardstick', '--rounds', '3', '--duration', '0.3', '--keys', '100',
                    '--warm-up', '0.1', '--json')
    check_run(result)
    yard = result['yardstick']
    assert len(yard['rounds']) == 3, yard
    ratios = sorted(one['target']['rate'] / one['bare']['rate'] for one in yard['rounds'])
    for name, value in zip(('min', 'median', 'max'), ratios):
        assert abs(yard['ratio_of_rates'][name] - value) < 1e-9, yard
    for one in yard['rounds']:
        check_run(one['target'])
        check_run(one['bare'])
    return yard['rounds'][0]['bare']['by_server'][0]['server']


def yardstick():
    with standalone(1) as (_, names):
        assert check_yardstick(names[0]).startswith('127.0.0.1:')
    with tempfile.TemporaryDirectory() as directory:
        authority = os.path.join(directory, 'ca.crt')
        for what in ('create-ca',), ('create-server', '127.0.0.1'):
            subprocess.run([KVD, 'cert', *what, '--dir', directory], check=True, stdout=subprocess.DEVNULL)
        shown = [part for flag, name in (('--tls-cert', 'crt'), ('--tls-key', 'key'))
                 for part in (flag, os.path.join(directory, f'127.0.0.1.{name}'))]
        with standalone(1, *shown, context=ssl.create_default_context(cafile=authority)) as (_, names):
            # The bare server, too: else the ratio would be TLS's price.
            bare = check_yardstick(f'https://{names[0]}', '--cacert', authority)
            assert bare.startswith('https://127.0.0.1:'), bare


def outage():
    """A server that goes away and comes back costs requests and leaves a gap; the run goes on to its end."""
    with standalone(2) as (processes, names):
        load = subprocess.Popen([KVLOAD, 'run', '--servers', ','.join(names), '--put', '100', '--duration', '3',
                                 '--warm-up', '0', '--json'], stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        processes[0].kill()
        processes[0].wait()
        time.sleep(0.5)
        processes[0] = subprocess.Popen([KVD, '--standalone', '--port', names[0].split(':')[1], '--log-level', 'error'])
        result = json.loads(load.communicate(timeout=60)[0])
        assert load.returncode == 0, load.returncode
        check_run(result)
        dead, alive = result['by_server']
        assert dead['gap_ms'] > 400, result
        assert dead['connections_lost'] > 0 and alive['failed'] == 0, result
        assert {one['outcome'] for one in result['failures']} == {'unknown'}, result


def verify():
    with standalone(2) as (_, names):
        good = kvload('verify', '--servers', names[0], '--duration', '1', '--json')
        assert good['ok'] and good['acknowledged'] > 0 and good['linear_reads'] > 0 and good['local_reads'] > 0, good
        # Two servers that know nothing of each other are no cluster: what one acknowledged the other never has.
        bad = kvload('verify', '--servers', ','.join(names), '--duration', '1', '--json', code=1)
        assert not bad['ok'] and 'is not linearizable' in bad['violation'], bad


def verify_txn():
    with standalone(1) as (_, names):
        good = kvload('verify', '--txn', '--servers', names[0], '--duration', '1', '--keys', '4', '--json')
        assert good['ok'] and good['acknowledged'] > 0 and good['linear_reads'] > 0, good
        assert good['local_reads'] == 0 and 4 <= good['keys'], good
    with standalone(2) as (_, names):
        bad = kvload('verify', '--txn', '--servers', ','.join(names), '--duration', '1', '--json', code=1)
        assert not bad['ok'] and 'is not serializable' in bad['violation'], bad


def terms():
    with standalone(1) as (_, names):
        for flags in ([], ['--bulk']):
            leases = kvload('terms', '--servers', names[0], '--leases', '50', '--ttl', '1000', '--duration', '1',
                            '--json', *flags)
            assert leases['ok'] and leases['early'] == 0 and leases['bulk'] == bool(flags), leases
            assert leases['renewals'] >= leases['requests'] > 0, leases
            assert leases['p50_ms'] <= leases['p99_ms'] <= leases['max_ms'], leases
        with urllib.request.urlopen(f'http://{names[0]}/v1/leases', timeout=30) as answer:
            assert json.load(answer) == {'leases': []}
        keys = kvload('terms', '--servers', names[0], '--keys', '1500', '--expire-after', '1500', '--duration', '0.5',
                      '--json')
        assert keys['ok'] and keys['early'] == 0 and keys['left'] == 0, keys
        assert keys['writes_before'] > 0 and keys['writes_meanwhile'] > 0 and keys['failed'] == 0, keys
        assert keys['ratio_p50'] > 0 and keys['ratio_p99'] > 0 and keys['gone_s'] >= 0, keys
        late = kvload('terms', '--servers', names[0], '--keys', '10000000', '--expire-after', '500', '--duration',
                      '0.1', code=69)
        assert 'give a longer --expire-after' in late, late


class TellsOnce(http.server.BaseHTTPRequestHandler):
    """A leader that takes every write, and shows its metrics once."""
    protocol_version = 'HTTP/1.1'

    def answer(self, body):
        self.send_response(200)
        self.send_header('Kvd-Epoch', '1')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_GET(self):  # pylint: disable=invalid-name
        name = f'127.0.0.1:{self.server.server_address[1]}'
        if self.path == '/v1/cluster':
            self.answer(json.dumps({'node': 'a', 'members': [{'id': 'a', 'http': name}]}))
        elif self.path == '/v1/cluster/leader':
            self.answer(name)
        elif not self.server.told:
            self.server.told = True
            self.answer('# metrics\nkvd_terms 0\n')
        else:
            self.rfile.read(1)  # until the client goes

    def do_POST(self):  # pylint: disable=invalid-name
        self.rfile.read(int(self.headers['Content-Length']))
        self.answer('{}')

    do_PUT = do_POST

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


def terms_untold():
    """Whether keys were early is not claimed where nobody could see it."""
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), TellsOnce) as server:
        server.told = False
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = kvload('terms', '--servers', f'127.0.0.1:{server.server_address[1]}', '--keys', '10', '--expire-after',
                      '1000', '--duration', '0.1', code=69)
        server.shutdown()
    assert said.startswith('not measured: the leader told nothing between the last write and the first end'), said


class Recorder(socketserver.BaseRequestHandler):
    """What a client sends goes to `server.target`, and is kept; what comes back goes to the client."""

    def handle(self):
        with socket.create_connection(self.server.target) as onward:
            back = threading.Thread(target=self.pass_on, args=[onward, self.request, None])
            back.start()
            self.pass_on(self.request, onward, self.server.sent)
            back.join()

    @staticmethod
    def pass_on(source, target, kept):
        try:
            content = bytearray()
            if kept is not None:
                kept.append(content)
            while part := source.recv(65536):
                content += part if kept is not None else b''
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


class RecordingProxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def token():
    """Every request of every command that asks servers shows the token."""
    text = 'kvd_abcdef27_' + 'x' * 43
    commands = {'run': ['--put', '30', '--delete', '5', '--linear', '5', '--keys', '50', '--warm-up', '0', '--to',
                        'leader'],
                'verify': [], 'watch': ['--streams', '3', '--rate', '50'], 'terms': ['--leases', '10'],
                'terms --bulk': ['--leases', '10'], 'terms --keys 10': ['--expire-after', '1000'],
                'queue': ['--producers', '2', '--consumers', '2'], 'topic': ['--publishers', '2', '--consumers', '2']}
    with tempfile.TemporaryDirectory() as directory, standalone(1) as (_, names):
        file = os.path.join(directory, 'token')
        with open(file, 'w', encoding='utf-8') as opened:
            opened.write(text + '\n')
        host, port = names[0].split(':')
        with RecordingProxy(('127.0.0.1', 0), Recorder) as proxy:
            proxy.target, proxy.sent = (host, int(port)), []
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            for command, flags in commands.items():
                for shown in (['--token-file', file], []):
                    proxy.sent.clear()
                    kvload(*command.split(' '), '--servers', f'{host}:{proxy.server_address[1]}', '--duration', '0.3',
                           *flags, *shown)
                    sent = b''.join(proxy.sent)
                    requests = sent.count(b' HTTP/1.1\r\nHost: ')
                    field = f'\r\nAuthorization: Bearer {text}\r\n'.encode()
                    assert requests > 3 and requests == sent.count(b' HTTP/1.1\r\n'), (command, requests)
                    assert sent.count(field) == (requests if shown else 0), (command, requests, sent.count(field))
            proxy.shutdown()
        with open(file, 'w', encoding='utf-8') as opened:
            opened.write(text[:-1])
        line = kvload('run', '--servers', names[0], '--token-file', file, code=64)
        assert line == f'kvload: no token: {file}: give a file with one line, kvd_ID_SECRET\n', line


def leases_end_early():
    """Somebody else ends one: it was over within its time."""
    with standalone(1) as (_, names):
        load = subprocess.Popen([KVLOAD, 'terms', '--servers', names[0], '--leases', '10', '--ttl', '5000',
                                 '--duration', '60', '--json'], stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        listed = []
        while len(listed) < 10:
            assert time.monotonic() < deadline
            with urllib.request.urlopen(f'http://{names[0]}/v1/leases', timeout=30) as answer:
                listed = json.load(answer)['leases']
        first = listed[0]['lease']
        urllib.request.urlopen(urllib.request.Request(f'http://{names[0]}/v1/leases/{first}', method='DELETE')).close()
        while len(listed) < 10 or listed[0]['lease'] == first:  # another one is granted in its place
            assert time.monotonic() < deadline
            with urllib.request.urlopen(f'http://{names[0]}/v1/leases', timeout=30) as answer:
                listed = json.load(answer)['leases']
        load.send_signal(signal.SIGINT)
        result = json.loads(load.communicate(timeout=60)[0])
        assert load.returncode == 1 and result['early'] == 1 and not result['ok'], result


def check_messages(result, copies=1):
    """Of queue, or of topic with so many subscriptions."""
    told = result['verdict']
    assert result['ok'] and result['unmeasured'] == result['unjudged'] == '' and told['examples'] == [], result
    for what in ('lost', 'unexpected', 'twice', 'after_settled', 'out_of_order', 'stuck', 'maybe_sent'):
        assert told[what] == 0, result
    assert told['acknowledged'] * copies == told['received'], result
    assert told['acknowledged'] >= result['sent']['ok'] > 0, result
    assert 0 < result['received']['in_time'] == result['received']['ok'] <= told['received'], result
    assert result['settled'] <= told['received'] + told['granted_anew'], result
    for side in (result['sent'], result['received']):
        check_latency(side['latency_us'])
        assert side['failed'] == 0 and side['failures'] == [] and side['gap_ms'] > 0, result
        assert side['latency_us']['count'] == side['ok'] + side['unsent'], result
        assert abs(side['rate'] * result['seconds'] - side['in_time']) < 1, result


def made_of(command, name):
    """The queues, or the topics, that `kvload COMMAND` has made and not deleted."""
    with urllib.request.urlopen(f'http://{name}/v1/{command}s?prefix=kvload-{command}-', timeout=30) as answer:
        return json.load(answer)[f'{command}s']


def queue():
    with tempfile.TemporaryDirectory() as directory, standalone(1) as (_, names):
        plot = os.path.join(directory, 'queue.svg')
        for flags in ([], ['--batch', '20', '--groups', '7'], ['--rate', '300', '--plot', plot],
                      ['--rate', '300', '--batch', '3', '--consumers', '5'],
                      ['--queues', '9', '--consumers', '2', '--groups', '2'],
                      ['--queues', '9', '--consumers', '2', '--batch', '5', '--size', '1000'],
                      ['--backlog', '2000', '--queues', '3'], ['--backlog', '2000', '--batch', '10']):
            result = kvload('queue', '--servers', names[0], '--duration', '0.5', '--producers', '8', '--json', *flags)
            check_messages(result)
            assert result['options']['batch'] == (int(flags[flags.index('--batch') + 1]) if '--batch' in flags else 1)
            if '--backlog' in flags:
                assert result['fill_s'] > 0 and result['verdict']['received'] > 2000, result
            assert made_of('queue', names[0]) == []
        check_plot(plot)
        said = kvload('queue', '--servers', names[0], '--duration', '0.2', '--groups', '4')
        assert said.splitlines()[-1].endswith('within its time, each group in its order'), said


def topic():
    with tempfile.TemporaryDirectory() as directory, standalone(1) as (_, names):
        plot = os.path.join(directory, 'topic.svg')
        for flags in ([], ['--batch', '20', '--groups', '7', '--readers', '2'], ['--readers', '0'],
                      ['--subscriptions', '3', '--consumers', '2', '--groups', '3'],
                      ['--rate', '300', '--batch', '3', '--subscriptions', '2', '--plot', plot]):
            result = kvload('topic', '--servers', names[0], '--duration', '0.5', '--publishers', '8', '--json', *flags)
            told = result['verdict']
            subscriptions = result['options']['subscriptions']
            check_messages(result, subscriptions)
            assert len(told['subscriptions']) == subscriptions, result
            assert all(one['received'] == told['acknowledged'] for one in told['subscriptions']), result
            assert len(told['readers']) == result['options']['readers'], result
            assert all(one['received'] == told['acknowledged'] for one in told['readers']), result
            assert (result['read']['ok'] > 0) == (told['readers'] != []), result
            assert made_of('topic', names[0]) == []
        check_plot(plot)
        said = kvload('topic', '--servers', names[0], '--duration', '0.2', '--groups', '4')
        assert said.splitlines()[-1].endswith(
            'within its time, each group in its order; who only reads saw each, once and in order'), said


def ask(method, name, path, body=None):
    request = urllib.request.Request(f'http://{name}{path}', data=body, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


@contextlib.contextmanager
def queue_load(name, *flags):
    """`kvload queue` under way, with a backlog in its queue; and that queue's path."""
    before = [one['name'] for one in made_of('queue', name)]
    load = subprocess.Popen([KVLOAD, 'queue', '--servers', name, '--duration', '3600', '--producers', '1',
                             '--backlog', '50', '--rate', '0.0001', '--json', *flags],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        found = []
        while not found or found[0]['ready'] < 50:
            found = [one for one in made_of('queue', name) if one['name'] not in before]
            assert time.monotonic() < deadline and load.poll() is None, found
            time.sleep(0.02)
        yield load, f'/v1/queues/{found[0]["name"]}'
    finally:
        if load.poll() is None:
            load.kill()
        load.wait()


def end_load(load, code):
    load.send_signal(signal.SIGINT)
    output, said = load.communicate(timeout=120)
    assert load.returncode == code, (load.returncode, output, said)
    return json.loads(output), said


def queue_wrong():
    """Somebody else does to its queue what no server may: the verdict says so, and the queue is left to be seen."""
    with standalone(1) as (_, names):
        with queue_load(names[0]) as (load, path):
            ask('DELETE', names[0], f'{path}/messages?state=all')
            result, said = end_load(load, 1)
            # The first one of the schedule may have been sent by then, and another one granted for it.
            assert 49 <= result['verdict']['lost'] <= 51 and not result['ok'], result
            assert len(result['verdict']['examples']) == 10, result
            assert re.search(r'the queues kvload-queue-[0-9a-f]+-0 to 0 are left', said), said
        with queue_load(names[0]) as (load, path):
            ask('POST', names[0], f'{path}/messages', b'of somebody else')
            result, _ = end_load(load, 1)
            assert result['verdict']['unexpected'] == 1 and result['verdict']['lost'] == 0, result
            assert 'nobody sent it' in result['verdict']['examples'][0], result


def queue_interrupted():
    """A second signal ends the emptying: then nothing is said of what is lost."""
    with standalone(1) as (processes, names):
        with queue_load(names[0]) as (load, _):
            processes[0].send_signal(signal.SIGSTOP)  # it cannot be emptied
            load.send_signal(signal.SIGINT)
            end = time.monotonic() + 30
            while load.poll() is None and time.monotonic() < end:
                load.send_signal(signal.SIGINT)
                time.sleep(0.2)
            processes[0].send_signal(signal.SIGCONT)
            output, said = load.communicate(timeout=120)
        assert load.returncode == 69, (load.returncode, output)
        assert json.loads(output)['unjudged'] == 'interrupted before the queues were empty', output
        assert 'are left' in said, said


def topic_wrong():
    """Somebody else does to its topic what no server may: the verdict says who noticed, and the topic is left."""
    def publish(name, path, _):
        ask('POST', name, f'{path}/messages', b'of somebody else')

    def settle(name, path, _):
        received = json.loads(ask('POST', name, f'{path}/subscriptions/1/receive?wait=20000'))['messages'][0]
        ask('DELETE', name, f'{path}/subscriptions/1/messages/{received["id"]}?receipt={received["receipt"]}')

    def seek(name, path, acknowledged):
        acknowledged(200)
        ask('POST', name, f'{path}/subscriptions/0/seek?to=first')

    def check_publish(told):
        assert [one['unexpected'] for one in (*told['subscriptions'], *told['readers'])] == [1, 1, 1], told

    def check_settle(told):
        assert [one['lost'] for one in (*told['subscriptions'], *told['readers'])] == [0, 1, 0], told

    def check_seek(told):
        assert told['subscriptions'][0]['after_settled'] > 0, told
        assert [one['after_settled'] for one in (*told['subscriptions'][1:], *told['readers'])] == [0, 0], told

    for wrong, check in ((publish, check_publish), (settle, check_settle), (seek, check_seek)):
        with standalone(1) as (_, names):
            load = subprocess.Popen([KVLOAD, 'topic', '--servers', names[0], '--duration', '3600', '--publishers', '2',
                                     '--subscriptions', '2', '--consumers', '1', '--rate', '300', '--json'],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            try:
                deadline = time.monotonic() + 30

                def published(count, name=names[0], end=deadline):
                    while not made_of('topic', name) or made_of('topic', name)[0]['messages'] < count:
                        assert time.monotonic() < end, made_of('topic', name)
                        time.sleep(0.02)
                published(20)
                wrong(names[0], f'/v1/topics/{made_of("topic", names[0])[0]["name"]}', published)
                result, said = end_load(load, 1)
            finally:
                if load.poll() is None:
                    load.kill()
                load.wait()
            check(result['verdict'])
            assert not result['ok'] and result['verdict']['examples'], result
            assert re.search(r'the topic kvload-topic-[0-9a-f]+ is left', said), said


def leftovers():
    """What is written stays, and the line that says so names the command that deletes it."""
    with standalone(1) as (_, names):
        def left():
            with urllib.request.urlopen(f'http://{names[0]}/v1/kv?prefix=kvload-&keys=1', timeout=30) as answer:
                return json.load(answer)['items']

        def delete(said):
            command = re.search(r"curl -X DELETE '[^']+'", said)
            assert command, said
            more = True
            while more:
                done = subprocess.run(shlex.split(command[0]) + ['-s'], capture_output=True, text=True, timeout=60,
                                      check=True)
                more = json.loads(done.stdout)['more']

        for arguments in (('run', '--count', '10', '--keys', '12000'), ('run', '--put', '100', '--count', '10'),
                          ('verify', '--duration', '0.3')):
            said = kvload(*arguments, '--servers', names[0])
            assert left(), said
            delete(said)
            assert not left(), said
        assert 'are left' not in kvload('run', '--servers', names[0], '--no-prefill', '--count', '10')
        assert 'no prefix' in kvload('run', '--servers', names[0], '--key-prefix', '', '--put', '100', '--count', '10')


def refusals():
    port = free_port()
    for command in ('run', 'verify'):
        line = kvload(command, '--servers', f'127.0.0.1:{port}', code=69)
        assert line.count('\n') == 1 and line.startswith('kvload: '), line
        line = kvload(command, '--servers', 'nowhere', code=64)
        assert line.count('\n') == 1 and line.startswith('kvload: '), line
    with tempfile.TemporaryDirectory() as directory:
        # The plot's file comes first, and a run that fails leaves none behind.
        run_nowhere = ('run', '--servers', f'127.0.0.1:{port}', '--plot')
        line = kvload(*run_nowhere, os.path.join(directory, 'none', 'run.svg'), code=73)
        assert line.startswith('kvload: cannot write ') and 'No such file' in line, line
        kvload(*run_nowhere, os.path.join(directory, 'run.svg'), code=69)
        assert not os.listdir(directory), os.listdir(directory)
    line = kvload('queue', '--servers', f'127.0.0.1:{port}', '--duration', '1', code=69)
    assert line == 'not measured: none of --servers takes connections\n', line
    for command in ([], ['run'], ['verify'], ['queue'], ['topic'], ['election']):
        assert '73 the file of --plot' in ' '.join(kvload(*command, '--help').split())


def election():
    if not os.path.exists('/usr/share/java/zookeeper.jar') or not shutil.which('java'):
        print('skipped: needs the packages zookeeper and libslf4j-java, and java in PATH')
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory() as directory:
        os.environ['TMPDIR'] = directory
        plot = os.path.join(directory, 'election.svg')
        result = kvload('election', '--runs', '2', '--zookeeper-delay', '0,5', '--kvd', KVD, '--json', '--plot', plot)
        check_plot(plot)
        os.unlink(plot)
        assert [one['zookeeper_delay_ms'] for one in result['series']] == [0, 5], result
        for series in result['series']:
            assert len(series['runs']) == 2, series
            for one in series['runs']:
                assert one['cause'] in ('dead', 'silent', 'first-in-line'), one
                assert one['first_write_ms'] > 0 and one['gap_ms'] > 0 and one['in_sync_ms'] > 0, one
                assert 0 <= one['new_leader_ms'] <= one['first_write_ms'] + 2, one
                assert one['detected_ms'] is None or one['detected_ms'] <= one['new_leader_ms'], one
            writes = sorted(one['first_write_ms'] for one in series['runs'])
            assert series['summary']['first_write_ms']['min'] == writes[0], series
            assert series['summary']['first_write_ms']['max'] == writes[1], series
        assert not os.listdir(directory), os.listdir(directory)
        interrupt_election(directory)


def children_of(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as file:
        return [int(child) for child in file.read().split()]


def interrupt_election(directory):
    """SIGINT ends all that was started, and leaves nothing behind."""
    process = subprocess.Popen([KVLOAD, 'election', '--runs', '1000', '--zookeeper-delay', '1', '--kvd', KVD],
                               stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(children_of(process.pid)) < 5:  # ZooKeeper, the proxy, three servers
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    children = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    line = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and line == 'kvload: interrupted\n', (process.returncode, line)
    assert not [pid for pid in children if os.path.exists(f'/proc/{pid}')], children
    assert not os.listdir(directory), os.listdir(directory)


{'run': run, 'yardstick': yardstick, 'outage': outage, 'verify': verify, 'verify_txn': verify_txn, 'terms': terms,
 'terms_untold': terms_untold, 'leases_end_early': leases_end_early, 'token': token, 'queue': queue,
 'queue_wrong': queue_wrong, 'queue_interrupted': queue_interrupted, 'topic': topic, 'topic_wrong': topic_wrong,
 'leftovers': leftovers, 'refusals': refusals,
 'election': election}[CASE]()
