#!/usr/bin/python3
"""TLS between servers, with certificates that kvd makes: who is none of them, and who is another one than he says.
Real servers and a real ZooKeeper. Usage: peer_tls_test.py KVD CASE"""
import contextlib
import os
import signal
import socket
import ssl
import subprocess

from services_cluster import Cluster, Kvd, eventually, insist, leader_of, run_case, say

THREE = ('--expect', '3', '--min-in-sync', '2')
# Every server is 127.0.0.1 to the others; one that is to be known by another host says so.
HOST = '127.0.0.1'


class Certificates:
    def __init__(self, binary, path):
        self.binary, self.path = binary, path
        self.cert('create-ca')
        self.cert('create-server', HOST, 'localhost')

    def cert(self, *arguments):
        subprocess.run([self.binary, 'cert', *arguments, '--dir', self.path], check=True, stdout=subprocess.DEVNULL)

    def file(self, name):
        return os.path.join(self.path, name)

    def flags(self, name=f'{HOST}-peer', authority='peer-ca.crt'):
        return ('--peer-ca', self.file(authority), '--peer-cert', self.file(f'{name}.crt'), '--peer-key',
                self.file(f'{name}.key'))


def add(cluster, flags):
    server = Kvd(cluster.binary, cluster.directory, cluster.known, len(cluster.servers), flags)
    cluster.servers.append(server)
    server.start()
    return server


def log_of(server):
    with open(server.log, encoding='utf-8') as log:
        return log.read()


def peer_port(server):
    return server.port + 10_000


def in_sync(server):
    status, told = server.get('/v1/cluster')
    return len(told['in_sync']) if status == 200 else 0


def begin(cluster, certificates, count=3):
    servers = [add(cluster, (*THREE, *certificates.flags())) for _ in range(count)]
    eventually('all are in sync', lambda: all(in_sync(one) == count for one in servers))
    return servers


def write(server, key):
    status, _ = insist(server.put, f'/v1/kv/{key}', key)
    assert status in (200, 201), status


def told_by_somebody(cluster, before, words):
    return any(words in log_of(one)[len(was):] for one, was in zip(cluster.servers, before))


def strangers_are_refused(binary):
    """Each of those that the promise names is told, and none has any effect."""
    with Cluster(binary, servers=0) as cluster:
        certificates = Certificates(binary, os.path.join(cluster.directory, 'certs'))
        others = Certificates(binary, os.path.join(cluster.directory, 'others'))
        certificates.cert('create-client', 'app1')
        servers = begin(cluster, certificates)
        for what, flags, words in (('another authority', others.flags(), 'is not believed'),
                                   ('no TLS', (), 'speaks no TLS')):
            say(what)
            before = [log_of(one) for one in servers]
            stranger = add(cluster, (*THREE, *flags))
            eventually(f'{what} is told', lambda b=before, w=words: told_by_somebody(cluster, b, w))
            write(servers[0], what.replace(' ', '-'))
            assert stranger.get('/readyz')[0] != 200
            assert in_sync(servers[0]) == 3
            stranger.kill()
        for what, files in (('another authority', others.file(f'{HOST}-peer')),
                            ("a client's certificate", certificates.file('app1-client')),
                            ("an HTTPS server's certificate", certificates.file(HOST)), ('none', None)):
            say(f'by hand: {what}')
            before = [log_of(one) for one in servers]
            words = 'is not believed' if files else 'peer did not return a certificate'

            def is_told(files=files, what=what, before=before, words=words):
                """Once more each time: a server warns of ten a second, no more."""
                dial_by_hand(servers[0], certificates, files, what)
                return told_by_somebody(cluster, before, words)
            eventually(f'{what} is told', is_told)


def dial_by_hand(server, certificates, files, what):
    context = ssl.create_default_context(cafile=certificates.file('peer-ca.crt'))
    context.set_alpn_protocols(['kvd-peer'])
    if files:
        context.load_cert_chain(f'{files}.crt', f'{files}.key')
    with socket.create_connection((HOST, peer_port(server))) as plain, contextlib.suppress(ssl.SSLError), \
            context.wrap_socket(plain, server_hostname=HOST) as secured:
        assert secured.recv(1) == b'', what


def a_certificate_of_no_use_does_not_start(binary):
    with Cluster(binary, servers=0) as cluster:
        certificates = Certificates(binary, os.path.join(cluster.directory, 'certs'))
        others = Certificates(binary, os.path.join(cluster.directory, 'others'))
        certificates.cert('create-client', 'app1')
        certificates.cert('create-server', 'elsewhere.example')
        for what, flags, words in (
                ('another authority', (*certificates.flags()[:2], *others.flags()[2:]), 'would not believe it'),
                ("a client's certificate", certificates.flags('app1-client'), 'would not believe it'),
                ("an HTTPS server's certificate", certificates.flags(HOST), 'would not believe it'),
                ("the clients' authority", (*certificates.flags(), '--tls-cert', certificates.file(f'{HOST}.crt'),
                                            '--tls-key', certificates.file(f'{HOST}.key'), '--client-ca',
                                            certificates.file('peer-ca.crt')), 'have a certificate in common'),
                ('the name of another server', certificates.flags('elsewhere.example-peer'),
                 f'does not name {HOST}, by which the others reach this server (it names dns:elsewhere.example)')):
            server = Kvd(binary, cluster.directory, cluster.known, 0, flags)
            ended = subprocess.run(server.command, capture_output=True, text=True, timeout=60, check=False)
            assert ended.returncode == os.EX_CONFIG, (what, ended)
            assert words in ended.stderr and len(ended.stderr.splitlines()) == 1, (what, ended.stderr)


def strangers_hold_no_place(binary):
    """More of them than there are places, while a server joins."""
    with Cluster(binary, servers=0) as cluster:
        certificates = Certificates(binary, os.path.join(cluster.directory, 'certs'))
        servers = begin(cluster, certificates)
        silent = []
        try:
            for _ in range(1000):
                silent.append(socket.create_connection((HOST, peer_port(servers[0])), timeout=60))
            fourth = add(cluster, (*THREE, *certificates.flags()))
            eventually('the fourth is in sync', lambda: in_sync(fourth) == 4)
            write(fourth, 'beside-strangers')
        finally:
            for one in silent:
                one.close()


def servers_are_killed(binary):
    with Cluster(binary, servers=0) as cluster:
        certificates = Certificates(binary, os.path.join(cluster.directory, 'certs'))
        begin(cluster, certificates)
        cluster.servers = cluster.servers[:3]
        for number in range(6):
            leader = leader_of(cluster)
            write(leader, f'before-{number}')
            leader.kill()
            others = [one for one in cluster.servers if one is not leader]
            write(others[0], f'after-{number}')
            leader.start()
            eventually('all are in sync', lambda: all(in_sync(one) == 3 for one in cluster.servers))
        for one in cluster.servers:
            for number in range(6):
                for when in ('before', 'after'):
                    assert one.get(f'/v1/kv/{when}-{number}?read=linear')[0] == 200


def certificates_are_rotated(binary):
    """A new authority, by the steps of the manual: both are believed, then the new one signs, then the old one goes. No
    link breaks, and nothing is refused."""
    with Cluster(binary, servers=0) as cluster:
        old = Certificates(binary, os.path.join(cluster.directory, 'old'))
        new = Certificates(binary, os.path.join(cluster.directory, 'new'))
        used = Certificates(binary, os.path.join(cluster.directory, 'used'))
        copy(used, old, 'peer-ca.crt', f'{HOST}-peer.crt', f'{HOST}-peer.key')
        servers = begin(cluster, used)
        read_again = 0

        def reload():
            nonlocal read_again
            read_again += 1
            for one in servers:
                one.running.signal(signal.SIGHUP)
                eventually('the files were read again', lambda one=one: log_of(one).count(
                    'read the TLS files again') == read_again)

        with open(used.file('peer-ca.crt'), 'a', encoding='ascii') as both, \
                open(new.file('peer-ca.crt'), encoding='ascii') as added:
            both.write(added.read())
        reload()
        copy(used, new, f'{HOST}-peer.crt', f'{HOST}-peer.key')
        reload()
        copy(used, new, 'peer-ca.crt')
        reload()
        write(servers[0], 'after')
        # Links that are made from now on are the new authority's alone.
        servers[1].kill()
        servers[1].start()
        eventually('all are in sync', lambda: all(in_sync(one) == 3 for one in servers))
        context = ssl.create_default_context(cafile=new.file('peer-ca.crt'))
        context.load_cert_chain(new.file(f'{HOST}-peer.crt'), new.file(f'{HOST}-peer.key'))
        context.set_alpn_protocols(['kvd-peer'])
        for one in servers:
            with socket.create_connection((HOST, peer_port(one))) as plain, \
                    context.wrap_socket(plain, server_hostname=HOST) as secured:
                assert secured.version() == 'TLSv1.3'


def copy(to, source, *names):
    for name in names:
        with open(source.file(name), 'rb') as content, open(to.file(name), 'wb') as target:
            target.write(content.read())


run_case({
    'strangers at the peer port are refused by name': strangers_are_refused,
    'a server with a certificate of no use does not start': a_certificate_of_no_use_does_not_start,
    'strangers at the peer port hold no place of a server': strangers_hold_no_place,
    'leaders that speak TLS are killed': servers_are_killed,
    'the authority of servers is rotated': certificates_are_rotated,
})
