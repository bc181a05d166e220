#!/usr/bin/python3
"""kvload's producers and consumers, of queues and of a topic, on a cluster of real processes whose leader is killed
again and again while they work: every message that was acknowledged is received, in each subscription and by who only
reads, none by two within its time, each group in its order."""
import functools
import json
import signal
import subprocess
import sys

from services_cluster import LONG, PATIENCE_S, Cluster, come_back, eventually, leader_of, run_case, say

KILLS = 3
FLAGS = {
    'queue': {'one by one': ['--producers', '8', '--groups', '20'],
              'in batches': ['--producers', '8', '--batch', '20', '--queues', '3']},
    'topic': {'one by one': ['--publishers', '8', '--groups', '20', '--subscriptions', '2'],
              'in batches': ['--publishers', '8', '--batch', '20', '--subscriptions', '3', '--readers', '2']}}


def nothing_is_lost(command, binary):
    kvload = sys.argv[3]
    kills = int(sys.argv[4]) if len(sys.argv) > 4 else KILLS
    with Cluster(binary, servers=3, flags=('--min-in-sync', '1', *LONG)) as cluster:
        for how, flags in FLAGS[command].items():
            with subprocess.Popen([kvload, command, '--servers', ','.join(server.name for server in cluster.servers),
                                   '--consumers', '8', '--ttr', '2000', '--duration', '3600', '--json', *flags],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as load:
                try:
                    for _ in range(kills):
                        moves_on(cluster)
                        leader = leader_of(cluster)
                        leader.kill()
                        come_back(cluster, leader)
                    moves_on(cluster)
                finally:
                    load.send_signal(signal.SIGINT)
                    output, errors = load.communicate(timeout=2 * PATIENCE_S)
            told = json.loads(output)
            verdict = told['verdict']
            say(f'{how}: {kills} kills, {verdict["acknowledged"]} messages acknowledged, {verdict["maybe_sent"]} more '
                f'maybe, {verdict["received"]} received, {verdict["granted_anew"]} times once more')
            assert load.returncode == 0 and told['ok'], (told['unjudged'], verdict, errors)
            everybody = [verdict] if command == 'queue' else verdict['subscriptions'] + verdict['readers']
            for one in everybody:
                assert verdict['acknowledged'] <= one['received'], verdict
                assert one['received'] <= verdict['acknowledged'] + verdict['maybe_sent'], verdict
                assert one['received'] == everybody[0]['received'], verdict
            assert leader_of(cluster).get(f'/v1/{command}s')[1] == {f'{command}s': []}


def moves_on(cluster):
    """Returns when so many writes more are committed: of sends, grants and settlements."""
    def revision():
        return int(leader_of(cluster).exchange('GET', '/readyz')[1]['Kvd-Revision'])
    before = revision()
    eventually('messages are on their way', lambda: revision() >= before + 300)


run_case({f'nothing of {command}s is lost while leaders are killed': functools.partial(nothing_is_lost, command)
          for command in FLAGS})
