"""Workers of queues and of subscriptions, kvd queue work and kvd topic work, as processes of a test, and what both
have to do."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile

from services_cluster import LONG, PATIENCE_S, Cluster, come_back, eventually, leader_of, say
from store_commands import DONE, Commands

# Tells its beginning and its end, each in one write, and is at work until the file `go` is there.
SCRIPT = ('echo "begins $KVD_MESSAGE_ID $KVD_ATTEMPT $$" >> journal; until [ -e go ]; do sleep 0.02; done; '
          'echo "ends $KVD_MESSAGE_ID $KVD_ATTEMPT $$" >> journal')


class Bench:
    """Workers of a queue, or of a subscription of a topic, as a context, and what they write. `source`: as the command
    line has it, as in 'queue', 'q'."""

    def __init__(self, binary, servers, *source):
        self.family, *self.source = source
        self.kvd = Commands(os.path.abspath(binary), *(server.name for server in servers))
        self.directory = tempfile.mkdtemp(prefix='kvd-queue-work-')
        self.workers = []

    def work(self, script=SCRIPT, *flags):
        self.workers.append(subprocess.Popen(
            [self.kvd.binary, self.family, 'work', *self.source, '--exec', script, *flags], env=self.kvd.environment,
            cwd=self.directory, stdin=subprocess.DEVNULL))
        return self.workers[-1]

    def ask(self, action, *flags):
        """What the newest state is."""
        return self.kvd.good(self.family, action, *self.source, *flags, '--linear', trying=True)

    def go(self):
        with open(os.path.join(self.directory, 'go'), 'w', encoding='ascii'):
            pass

    def journal(self, what):
        """The id, attempt and process of each of these lines."""
        with contextlib.suppress(FileNotFoundError):
            with open(os.path.join(self.directory, 'journal'), encoding='ascii') as file:
                return [line.split()[1:] for line in file if line.startswith(what)]
        return []

    def begun(self, count):
        return eventually(f'{count} have begun', lambda: len(self.journal('begins')) >= count
                          and self.journal('begins'))

    def in_flight(self):
        """The message that somebody works on, as it is now."""
        lines = self.ask('peek', '--state', 'in_flight').splitlines()
        assert len(lines) == 1, lines
        return json.loads(lines[0])

    def wait_empty(self):
        def is_empty():
            told = json.loads(self.ask('stats', '--json'))
            return not any(told[state] for state in ('ready', 'delayed', 'in_flight', 'dead'))
        eventually('there is no message left', is_empty)

    @staticmethod
    def end(worker, code=DONE):
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE_S) == code, worker.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.wait()
        shutil.rmtree(self.directory)


def is_gone(pid):
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as file:
            return file.read().rpartition(')')[2].split()[0] in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return True


def done_over_leaders(binary, *source):
    """Each command takes a little while, so that one or the other is killed upon."""
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster, \
            Bench(binary, cluster.servers, *source) as bench:
        name = source[1]
        if bench.family == 'queue':
            bench.kvd.good('queue', 'make', name, '--ttr', '12000')
        else:
            bench.kvd.good('topic', 'make', name)
            bench.kvd.good('topic', 'subscribe', *bench.source, '--ttr', '12000')
        lines = ''.join(f'{i}\n' for i in range(120)).encode()
        send = 'send' if bench.family == 'queue' else 'publish'
        ids = bench.kvd.good(bench.family, send, name, '--lines', given=lines, trying=True).decode().split()
        assert len(set(ids)) == 120
        for _ in range(3):
            bench.work('echo "begins $KVD_MESSAGE_ID" >> journal; sleep 0.1; echo "ends $KVD_MESSAGE_ID" >> journal')
        for i in range(4):
            bench.begun(25 * i + 5)
            leader = leader_of(cluster)
            say(f'the leader is killed when {len(bench.journal("ends"))} are done')
            leader.kill()
            come_back(cluster, leader)
        bench.wait_empty()
        done = [line[0] for line in bench.journal('ends')]
        assert sorted(done) == sorted(ids), (len(done), set(ids) - set(done))
        for worker in bench.workers:
            bench.end(worker)
