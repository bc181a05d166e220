#!/usr/bin/python3
"""A program of two_nodes_test.py, one of two that pass tokens to and fro: what it receives from its topic it
acknowledges, counts, and publishes to the other one's topic, in one transaction. It may be killed at any time.
Usage: passing_node.py HERE THERE HOPS SERVER..."""
import contextlib
import http.client
import json
import random
import sys
import time

PATIENCE_S = 15
WAIT_MS = 5000


class Servers:
    """One connection, to one of them; to the next one when it fails."""

    def __init__(self, names):
        self.names, self.connection = names, None

    def exchange(self, path, body):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.names[0], timeout=PATIENCE_S)
        self.connection.request('POST', path, json.dumps(body))
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read() or '{}')

    def ask(self, path, body):
        """The first answer that is one. Whatever was sent may have been done before that, and more than once."""
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, answer = self.exchange(path, body)
                if status < 500 and status != 408:
                    return status, answer
            self.connection.close()
            self.connection = None
            self.names.append(self.names.pop(0))
            time.sleep(random.uniform(0.01, 0.1))


def step(message, here, there, hops):
    """What becomes of a message: "TOKEN HOP"."""
    token, hop = (int(word) for word in message['body'].split())
    operations = [{'ack': {'topic': f'to-{here}', 'subscription': here, 'id': message['id'],
                           'receipt': message['receipt']}},
                  {'add': {'key': f'count/{here}', 'by': 1}},
                  {'add': {'key': f'sum/{here}', 'by': token * hops + hop}}]
    if hop + 1 < hops:
        operations.append({'publish': {'topic': f'to-{there}', 'body': f'{token} {hop + 1}'}})
    return operations


def main():
    here, there, hops, *names = sys.argv[1:]
    servers = Servers(names)
    while True:
        path = f'/v1/topics/to-{here}/subscriptions/{here}/receive?wait={WAIT_MS}&max={random.randint(1, 3)}'
        status, answer = servers.ask(path, {})
        assert status in (200, 204), (status, answer)
        assert 'gap' not in answer, answer
        operations = [one for message in answer.get('messages', [])
                      for one in step(message, here, there, int(hops))]
        if operations:
            status, answer = servers.ask('/v1/txn', {'then': operations})
            assert status in (200, 404, 412), (status, answer)  # done now, or before; or others have it


main()
