#!/usr/bin/python3
"""The operators' drills, by the very commands of the manual's page: its cluster of three servers with TLS and rights,
with a ZooKeeper of its own, and then one of its drills, while a client writes. What each command prints is compared
with the page, and what was acknowledged is there at the end. Usage: drills_test.py KVD CASE"""
import contextlib
import functools
import http.client
import os
import ssl
import sys

from documents_test import Command, commands_of, compare, run
from services_cluster import Background, Cluster, eventually, free_port, run_case, say

PAGE = 'src/manual/drills.md'
SETUP = 'A cluster to drill with'
SERVERS = 3
# None is suspected because the machine is slow.
PATIENT = {'KVD_FOLLOWER_LAG': '30000', 'KVD_LEADER_SILENCE': '60000', 'KVD_SESSION_TIMEOUT': '30000'}


# Files of the writer: it has begun a turn after the first was removed, and ended it; it writes no more.
TURN, ENDED = '.turn', '.ended'
NEXT_TURN = f'rm -f {TURN}; until [ -e {TURN} ] || [ -e {ENDED} ]; do sleep 0.02; done'


class Writer(Background):
    """The page's client. It writes in turn to each server by a connection that stands, and by one of its own. Where
    `strict`, nothing may be refused and nothing that stands may break; else it goes on with the next server, and reads
    its token again where that does not count any more."""

    def __init__(self, ports, strict, here):
        super().__init__()
        self.ports, self.strict, self.here = ports, strict, here
        self.token, self.written, self.turns, self.standing = '', [], 0, {}

    def file(self, name):
        return os.path.join(self.here, 'app', name)

    def connect(self, port):
        context = ssl.create_default_context(cafile=self.file('ca.crt'))
        return http.client.HTTPSConnection('127.0.0.1', port, timeout=60, context=context)

    def ask(self, connection, method, path, body=None):
        connection.request(method, path, body, {'Authorization': f'Bearer {self.token}'})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def ask_once(self, port, method, path, body=None):
        with contextlib.closing(self.connect(port)) as connection:
            return self.ask(connection, method, path, body)

    def has_token(self):
        with open(self.file('token'), encoding='ascii') as file:
            self.token = file.read().strip()
        return self.token

    def is_known(self, port):
        return self.ends or self.ask_once(port, 'PUT', '/v1/kv/app/known', 'x')[0] in (200, 201)

    def run(self):
        try:
            eventually('the client has a token', lambda: self.ends or self.has_token())
            for port in self.ports:
                eventually('the token counts', functools.partial(self.is_known, port))
            while not self.ends:
                self.turn()
        finally:
            self.mark(ENDED)

    def turn(self):
        asked = not os.path.exists(os.path.join(self.here, TURN))
        for port in self.ports:
            for stands in (True, False):
                self.write(port, stands)
        self.turns += 1
        if asked:
            self.mark(TURN)

    def mark(self, name):
        with open(os.path.join(self.here, name), 'w', encoding='ascii'):
            pass

    def write(self, port, stands):
        key = f'{port}-{self.turns}-{"stands" if stands else "new"}'
        try:
            status, told = self.put(port, stands, f'/v1/kv/app/{key}', key)
        except (OSError, http.client.HTTPException) as problem:
            assert not self.strict, (key, problem)
            self.standing.pop(port, None)
            return
        if status in (200, 201):
            self.written.append(key)
        elif status in (401, 403) and not self.strict:
            eventually('the client has a token', lambda: self.ends or self.has_token())
        else:
            assert not self.strict and status in (503, 504), (key, status, told)

    def put(self, port, stands, path, value):
        if not stands:
            return self.ask_once(port, 'PUT', path, value)
        if port not in self.standing:
            self.standing[port] = self.connect(port)
        return self.ask(self.standing[port], 'PUT', path, value)

    def go_on(self):
        """Returns when each server has been asked once more from the beginning on."""
        before = self.turns
        eventually('the writer goes on', lambda: self.problem or self.turns > before + 1)

    def check_all_is_there(self):
        for port in self.ports:
            with contextlib.closing(self.connect(port)) as connection:
                for key in self.written:
                    status, value = self.ask(connection, 'GET', f'/v1/kv/app/{key}?read=linear')
                    assert (status, value) == (200, key.encode()), (port, key, status, value)
        say(f'{len(self.written)} writes were acknowledged, and are there')

    def __exit__(self, kind, *_):
        try:
            if not kind:
                self.go_on()
        finally:
            super().__exit__()
        if not kind:
            self.check_all_is_there()
        for connection in self.standing.values():
            connection.close()


def commands_for(heading):
    """Those of the cluster, and those of the drill, with a turn of the writer before and after each."""
    commands = [one for one in commands_of(PAGE) if one.heading == SETUP]
    drilled = [one for one in commands_of(PAGE) if one.heading == heading]
    assert commands and drilled, f'{PAGE} has no such headings'
    turns = [Command(one.line, NEXT_TURN, heading) for one in drilled]
    first = Command(drilled[0].line, NEXT_TURN, heading)
    return [*commands, first, *(one for pair in zip(drilled, turns) for one in pair)]


def drill(heading, strict, binary):
    commands = commands_for(heading)
    ports = [free_port() for _ in range(SERVERS + 1)]
    addresses = {str(8001 + number): str(port) for number, port in enumerate(ports)}
    addresses |= {str(18001 + number): str(port + 10_000) for number, port in enumerate(ports)}
    os.environ.update(PATIENT)
    with Cluster(binary, servers=0) as cluster:
        printed = run(commands, addresses | {'127.0.0.1:2181': cluster.zookeeper_names}, binary,
                      functools.partial(Writer, ports[:SERVERS], strict))
    if compare(PAGE, commands, printed):
        sys.exit(1)


CASES = {
    'servers get new certificates while writes go on': ('New certificates', True),
    'all authorities are replaced while writes go on': ('New authorities', True),
    'what is revoked is refused everywhere': ('Revocations', True),
    'root is lost and made anew': ('A lost root', False),
}
run_case({case: functools.partial(drill, *how) for case, how in CASES.items()})
