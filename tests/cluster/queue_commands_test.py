#!/usr/bin/python3
"""kvd queue with real servers: what its commands print, and their exit codes; and that kvd queue work has each message
done, and done by one worker at a time, whatever becomes of workers and servers.
Usage: queue_commands_test.py KVD CASE"""
import json
import signal

from message_workers import SCRIPT, Bench, done_over_leaders, is_gone
from services_cluster import (
    LONG, PATIENCE_S, Cluster, Standalone, come_back, eventually, free_port, leader_of, run_case, say)
from store_commands import DONE, MISSING, UNAVAILABLE, USAGE, Commands

NOTHING = MISSING


def from_the_command_line(binary):
    with Standalone(binary, keeps=False) as server:
        kvd = Commands(binary, server.name)
        say('make, send, look')
        assert int(kvd.good('queue', 'make', 'q', '--backoff', '60000', '--max-deliveries', '1')) > 0
        every = bytes(range(256)) * 1000
        ids = [kvd.good('queue', 'send', 'q', given=every).strip(),
               kvd.good('queue', 'send', 'q', 'first', '--priority', '0', '--group', 'g', '--type', 't').strip(),
               kvd.good('queue', 'send', 'q', 'later', '--delay', '60000').strip()]
        lines = kvd.good('queue', 'send', 'other/q', '--lines', given=b'one\n\n\xff').split()
        assert len(lines) == 3, lines
        assert kvd.good('queue', 'ls') == b'other/q\t3\t0\t0\t0\nq\t2\t1\t0\t0\n'
        assert kvd.good('queue', 'ls', 'q') == b'q\t2\t1\t0\t0\n'
        assert json.loads(kvd.good('queue', 'ls', 'q', '--json'))['backoff'] == [60000]
        stats = dict(line.split('\t') for line in kvd.good('queue', 'stats', 'q', '--linear').decode().splitlines())
        assert (stats['ready'], stats['delayed'], stats['max_deliveries'], stats['waiting']) == ('2', '1', '1', '0')
        assert json.loads(kvd.good('queue', 'stats', 'q', '--json'))['ready'] == 2
        assert peeked(kvd, 'q') == ids[:2] and peeked(kvd, 'q', 'delayed') == ids[2:]

        say('receive')
        told = json.loads(kvd.good('queue', 'receive', 'q', '--json', '--ack'))
        assert (told['id'], told['body'], told['group'], told['type']) == (ids[1].decode(), 'first', 'g', 't'), told
        assert kvd.good('queue', 'receive', 'q', '--ack') == every
        kvd.bad(NOTHING, 'queue', 'receive', 'q', says=b'there is no message')
        with kvd.start('queue', 'receive', 'q', '--wait', '60000', '--ack') as waiting:
            kvd.good('queue', 'send', 'q', 'soon')
            assert waiting.communicate(timeout=PATIENCE_S) == (b'soon', b'')
        assert kvd.good('queue', 'receive', 'other/q', '--max', '10').count(b'\n') == 3
        assert peeked(kvd, 'other/q', 'in_flight') == lines

        say('kick, purge, remove')
        assert kvd.good('queue', 'kick', 'q', '--state', 'delayed') == b'1\n'
        assert kvd.good('queue', 'receive', 'q') == b'later'
        kvd.good('queue', 'send', 'q', 'again')
        assert kvd.good('queue', 'kick', 'q', '--state', 'ready', '--to', 'other/q') == b'1\n'
        assert kvd.good('queue', 'purge', 'other/q', '--state', 'ready') == b'1\n'
        assert kvd.good('queue', 'purge', 'other/q', '--all') == b'3\n'
        kvd.bad(MISSING, 'queue', 'rm', 'q', '--if-empty', says=b'409')
        for queue in ('q', 'other/q'):
            assert kvd.good('queue', 'rm', queue) == b''
        for action in (['rm'], ['receive'], ['stats'], ['peek'], ['kick'], ['purge', '--all']):
            kvd.bad(MISSING, 'queue', action[0], 'q', *action[1:], says=b'there is no queue q')

        say('what is sent once, and what is too much')
        once = [kvd.good('queue', 'send', 'q', 'x', '--dedup', 'd') for _ in range(2)]
        assert once[0] == once[1], once
        kvd.good('queue', 'make', 'q', '--max-messages', '1')
        kvd.bad(UNAVAILABLE, 'queue', 'send', 'q', 'y', says=b'507')
        for arguments in ([], ['push'], ['send'], ['send', 'q', 'x', '--lines'], ['purge', 'q'], ['work', 'q']):
            kvd.bad(USAGE, 'queue', *arguments)
        nobody = Commands(binary, f'127.0.0.1:{free_port()}')
        for arguments in (['send', 'q', 'x'], ['receive', 'q'], ['ls']):
            nobody.bad(UNAVAILABLE, 'queue', *arguments, '--timeout', '500', says=b'connection refused')


def peeked(kvd, queue, state='ready'):
    lines = kvd.good('queue', 'peek', queue, '--state', state, '--linear', trying=True).splitlines()
    return [json.loads(line)['id'].encode() for line in lines]


# ---- work ----

def worker_killed(binary):
    with Standalone(binary, keeps=False) as server, Bench(binary, [server], 'queue', 'q') as bench:
        bench.kvd.good('queue', 'make', 'q', '--ttr', '2000')
        sent = bench.kvd.good('queue', 'send', 'q', 'x').decode().strip()
        say('a worker is killed: its command goes with it, and the message comes again')
        first = bench.work()
        (number, attempt, pid), = bench.begun(1)
        assert (number, attempt) == (sent, '1')
        first.kill()
        bench.work()
        second = bench.begun(2)[1]
        assert second[:2] == [sent, '2'], second
        assert is_gone(pid)
        bench.go()
        bench.wait_empty()
        assert bench.journal('ends') == [second], bench.journal('ends')


def worker_frozen(binary):
    with Standalone(binary, keeps=False) as server, Bench(binary, [server], 'queue', 'q') as bench:
        bench.kvd.good('queue', 'make', 'q', '--ttr', '2000')
        bench.kvd.good('queue', 'send', 'q', 'x')
        say('a worker stands still past the time of its message: another one has it')
        first = bench.work()
        pid = bench.begun(1)[0][2]
        first.send_signal(signal.SIGSTOP)
        bench.work()
        assert bench.begun(2)[1][1] == '2'
        say('it goes on, and ends its command')
        first.send_signal(signal.SIGCONT)
        eventually('its command is gone', lambda: is_gone(pid))
        bench.go()
        bench.wait_empty()
        assert [line[1] for line in bench.journal('ends')] == ['2']
        bench.end(first)


def worker_stopped(binary):
    with Standalone(binary, keeps=False) as server, Bench(binary, [server], 'queue', 'q') as bench:
        sent = bench.kvd.good('queue', 'send', 'q', 'x').decode().strip()
        say('a worker that is to end gives back what it cannot finish, and that delivery does not count')
        worker = bench.work(SCRIPT, '--grace', '100')
        bench.begun(1)
        bench.end(worker)
        told = json.loads(bench.kvd.good('queue', 'peek', 'q'))
        assert (told['id'], told['attempt']) == (sent, 0), told
        assert bench.journal('ends') == []
        say('and else finishes it')
        worker = bench.work(SCRIPT, '--grace', '60000')
        assert bench.begun(2)[1][:2] == [sent, '1']
        worker.send_signal(signal.SIGTERM)
        bench.go()
        assert worker.wait(PATIENCE_S) == DONE
        bench.wait_empty()
        assert len(bench.journal('ends')) == 1


def extended_over_leaders(binary):
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster, \
            Bench(binary, cluster.servers, 'queue', 'q') as bench:
        bench.kvd.good('queue', 'make', 'q', '--ttr', '9000')
        bench.kvd.good('queue', 'send', 'q', 'x')
        bench.work()
        bench.begun(1)
        receipt = bench.in_flight()['receipt']
        for _ in range(3):
            say('the leader is killed while a command runs: its message is extended all the same')
            leader = leader_of(cluster)
            leader.kill()
            left = [bench.in_flight()['left_ms']]

            def extended(left=left):
                left.append(bench.in_flight()['left_ms'])
                return left[-1] > left[-2]
            eventually('it is extended', extended)
            come_back(cluster, leader)
        assert bench.in_flight()['receipt'] == receipt
        bench.go()
        bench.wait_empty()
        assert [line[1] for line in bench.journal('begins')] == ['1'], bench.journal('begins')
        assert len(bench.journal('ends')) == 1


run_case({
    'queues from the command line': from_the_command_line,
    'a worker of a queue is killed and its message comes again': worker_killed,
    'a worker of a queue stands still and ends its command': worker_frozen,
    'a worker of a queue is asked to end': worker_stopped,
    'a message is extended while leaders are killed': extended_over_leaders,
    'messages are done once while leaders are killed': lambda binary: done_over_leaders(binary, 'queue', 'q'),
})
