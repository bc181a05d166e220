#!/usr/bin/env python3
"""`kvd cert` by the program: which files it makes, with which rights, what it prints and refuses, that nothing is ever
overwritten; and what the program openssl says of the certificates, where it is installed.
Usage: cert_command_test.py KVD"""
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import unittest

KVD = os.path.abspath(sys.argv.pop(1))
OPENSSL = shutil.which('openssl')
DEADLINE_S = 60
DONE, USAGE, DATA_ERROR, NO_INPUT, CANNOT_CREATE, IO_ERROR = 0, 64, 65, 66, 73, 74
AUTHORITIES = {f'{name}.{kind}' for name in ('ca', 'peer-ca', 'client-ca') for kind in ('crt', 'key')}
DAY_S = 86_400


def seconds_of(text):
    """Since 1970, of a time as openssl prints it."""
    ended = subprocess.run(['date', '-d', text, '+%s'], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    return int(ended.stdout)


class CertTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix='kvd-cert-')
        self.addCleanup(directory.cleanup)
        self.here = directory.name

    def path(self, *names):
        return os.path.join(self.here, *names)

    def run_kvd(self, *arguments, **options):
        return subprocess.run([KVD, 'cert', *arguments], cwd=self.here, text=True, timeout=DEADLINE_S, check=False,
                              **{'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE,
                                 **options})

    def made(self, *arguments):
        """What it prints of each file, by its name."""
        ended = self.run_kvd(*arguments)
        self.assertEqual((ended.returncode, ended.stderr), (DONE, ''))
        return dict(line.split(maxsplit=1) for line in ended.stdout.splitlines())

    def refused(self, code, says, *arguments):
        """It ends so, with that one line, and has changed nothing."""
        before = self.all_files()
        ended = self.run_kvd(*arguments)
        self.assertEqual((ended.returncode, ended.stdout), (code, ''))
        self.assertIn(says, ended.stderr)
        self.assertRegex(ended.stderr, r'\Akvd: [^\n]*\n\Z')
        self.assertEqual(self.all_files(), before)

    def all_files(self):
        found = {}
        for place, directories, names in os.walk(self.here):
            found |= {os.path.join(place, name): None for name in directories}
            for name in names:
                with open(os.path.join(place, name), encoding='utf-8') as file:
                    found[os.path.join(place, name)] = file.read()
        return found

    def write(self, name, content):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(content)


class Files(CertTest):
    def test_what_is_made(self):
        self.assertEqual(set(self.made('create-ca')), {'certs/' + name for name in AUTHORITIES})
        server = self.made('create-server', 'kvd1', '10.0.0.5')
        self.assertEqual({name: uses.split('  ')[1] for name, uses in server.items()},
                         {'certs/kvd1.crt': 'kvd --tls-cert', 'certs/kvd1.key': 'kvd --tls-key',
                          'certs/kvd1-peer.crt': 'kvd --peer-cert', 'certs/kvd1-peer.key': 'kvd --peer-key'})
        self.made('create-server', 'kvd2')
        self.made('create-server', '2001:DB8:0::5', 'kvd3')
        client = self.made('create-client', 'billing', '--uri', 'spiffe://corp/billing')
        self.assertIn('it says uri:spiffe://corp/billing', client['certs/billing-client.crt'])
        pairs = [*('kvd1', 'kvd1-peer', 'kvd2', 'kvd2-peer', '2001:db8::5', '2001:db8::5-peer', 'billing-client')]
        self.assertEqual(set(os.listdir(self.path('certs'))),
                         AUTHORITIES | {f'{name}.{kind}' for name in pairs for kind in ('crt', 'key')})

    def test_rights(self):
        self.made('create-ca')
        self.made('create-server', 'kvd1')
        self.made('create-client', 'app')

        def rights(*names):
            return stat.S_IMODE(os.stat(self.path(*names)).st_mode)
        self.assertEqual(rights('certs'), 0o700)
        for name in os.listdir(self.path('certs')):
            self.assertEqual(rights('certs', name), 0o600 if name.endswith('.key') else 0o644, name)

    def test_another_directory_which_may_be_there(self):
        os.mkdir(self.path('there'), 0o755)
        self.made('create-ca', '--dir', 'there/')
        self.assertEqual(stat.S_IMODE(os.stat(self.path('there')).st_mode), 0o755)
        self.assertIn('there/a.crt', self.made('create-server', 'a', '--dir', 'there/'))
        self.assertFalse(os.path.exists(self.path('certs')))

    def test_nothing_is_overwritten(self):
        self.made('create-ca')
        self.refused(CANNOT_CREATE, 'certs/ca.crt: is there already', 'create-ca')
        self.made('create-server', 'kvd1')
        self.made('create-client', 'app')
        self.refused(CANNOT_CREATE, 'certs/kvd1.crt: is there already', 'create-server', 'kvd1')
        self.refused(CANNOT_CREATE, 'certs/app-client.crt: is there already', 'create-client', 'app')
        self.refused(CANNOT_CREATE, 'certs/peer-ca.crt: is there already', 'create-server', 'peer-ca')
        # Any of the files is in the way of all.
        for left in ('kvd1.crt', 'kvd1.key', 'kvd1-peer.crt', 'kvd1-peer.key'):
            for name in ('kvd1.crt', 'kvd1.key', 'kvd1-peer.crt', 'kvd1-peer.key'):
                if name != left and os.path.exists(self.path('certs', name)):
                    os.rename(self.path('certs', name), self.path(name))
            self.refused(CANNOT_CREATE, f'certs/{left}: is there already', 'create-server', 'kvd1')
            for name in ('kvd1.crt', 'kvd1.key', 'kvd1-peer.crt', 'kvd1-peer.key'):
                if os.path.exists(self.path(name)):
                    os.rename(self.path(name), self.path('certs', name))

    def test_one_authority_that_is_left_is_in_the_way_of_all_three(self):
        os.mkdir(self.path('certs'))
        self.write('certs/client-ca.key', 'somebody\'s')
        self.refused(CANNOT_CREATE, 'certs/client-ca.key: is there already', 'create-ca')

    def test_no_place(self):
        self.refused(CANNOT_CREATE, 'no/certs: No such file', 'create-ca', '--dir', 'no/certs')
        self.write('file', '')
        self.refused(CANNOT_CREATE, 'file/', 'create-ca', '--dir', 'file')

    def test_no_authority(self):
        self.refused(NO_INPUT, 'certs/ca.crt: No such file or directory (kvd cert create-ca', 'create-server', 'a')
        self.refused(NO_INPUT, 'certs/client-ca.crt: No such file', 'create-client', 'a')
        self.made('create-ca')
        os.remove(self.path('certs', 'peer-ca.key'))  # as where authorities' keys are kept elsewhere
        self.refused(NO_INPUT, 'certs/peer-ca.key: No such file', 'create-server', 'a')

    def test_an_authority_that_is_none(self):
        self.made('create-ca')
        self.made('create-server', 'kvd1')
        os.rename(self.path('certs', 'peer-ca.key'), self.path('peer-ca.key'))
        os.rename(self.path('certs', 'client-ca.key'), self.path('certs', 'peer-ca.key'))
        self.refused(DATA_ERROR, 'certs/peer-ca.crt with certs/peer-ca.key: the key is not the certificate\'s',
                     'create-server', 'a')
        self.write('certs/client-ca.key', 'nonsense\n')
        self.refused(DATA_ERROR, 'certs/client-ca.crt with certs/client-ca.key: the key is none in PEM',
                     'create-client', 'a')
        for kind in ('crt', 'key'):
            os.replace(self.path('certs', f'kvd1.{kind}'), self.path('certs', f'ca.{kind}'))
        self.refused(DATA_ERROR, 'certs/ca.crt with certs/ca.key: the certificate is no authority\'s',
                     'create-server', 'a')

    def test_what_is_refused_leaves_nothing(self):
        self.made('create-ca')
        self.refused(USAGE, 'kvd1:8001: give a DNS name', 'create-server', 'kvd1:8001')
        self.refused(USAGE, 'HOST: give every name', 'create-server')
        self.refused(USAGE, '../x: give a name', 'create-client', '../x', '--dns', 'x')
        self.refused(USAGE, 'my app: this is no DNS name', 'create-client', 'my app')

    def test_an_output_that_cannot_be_written(self):
        with open('/dev/full', 'w', encoding='utf-8') as full:
            ended = self.run_kvd('create-ca', stdout=full)
        self.assertEqual(ended.returncode, IO_ERROR)
        self.assertIn('standard output', ended.stderr)
        self.assertEqual(set(os.listdir(self.path('certs'))), AUTHORITIES)  # as --help says

    def test_when_it_expires(self):
        now = time.time()
        ends = {'ca': self.made('create-ca')['certs/ca.crt'],
                'server': self.made('create-server', 'a')['certs/a.crt'],
                'client': self.made('create-client', 'a', '--days', '7')['certs/a-client.crt']}
        for name, days in (('ca', 3650), ('server', 365), ('client', 7)):
            end = seconds_of(re.match('until (\\S+)  ', ends[name]).group(1))
            self.assertLessEqual(int(now) + days * DAY_S, end)
            self.assertLessEqual(end, time.time() + days * DAY_S)

    def test_the_last_years_of_an_authority(self):
        self.made('create-ca')
        ended = self.run_kvd('create-client', 'a', '--days', '3650')
        # At most seconds older than what it signs, and only then is there nothing to tell.
        if ended.stderr:
            self.assertIn('certs/client-ca.crt is not valid for 3650 days any more', ended.stderr)
        ends = {line.split()[2] for line in ended.stdout.splitlines()}
        self.assertEqual(len(ends), 1)


@unittest.skipUnless(OPENSSL, 'openssl is not installed')
class OpenSsl(CertTest):
    def setUp(self):
        super().setUp()
        self.made('create-ca', '--name', 'test')
        self.made('create-server', 'kvd1', 'kvd1.example', '10.0.0.5', '::1')
        self.made('create-client', 'app1.example', '--uri', 'spiffe://corp/app', '--email', 'a@b.example',
                  '--dns', 'app1.example')

    def openssl(self, *arguments):
        return subprocess.run([OPENSSL, *arguments], cwd=self.path('certs'), capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False)

    def printed(self, *arguments):
        ended = self.openssl(*arguments)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout

    def verifies(self, authority, certificate, purpose, *more):
        ended = self.openssl('verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-CAfile', authority, '-purpose',
                             purpose, *more, certificate)
        return ended.returncode == 0

    def test_who_believes_whom(self):
        good = {('ca.crt', 'kvd1.crt', 'sslserver'), ('peer-ca.crt', 'kvd1-peer.crt', 'sslserver'),
                ('peer-ca.crt', 'kvd1-peer.crt', 'sslclient'),
                ('client-ca.crt', 'app1.example-client.crt', 'sslclient')}
        for authority in ('ca.crt', 'peer-ca.crt', 'client-ca.crt'):
            for certificate in ('kvd1.crt', 'kvd1-peer.crt', 'app1.example-client.crt'):
                for purpose in ('sslserver', 'sslclient'):
                    case = (authority, certificate, purpose)
                    with self.subTest(case):
                        self.assertEqual(self.verifies(*case), case in good)

    def test_names(self):
        for certificate, authority in (('kvd1.crt', 'ca.crt'), ('kvd1-peer.crt', 'peer-ca.crt')):
            for flag, name, good in (('-verify_hostname', 'kvd1', True), ('-verify_hostname', 'KVD1.Example', True),
                                     ('-verify_ip', '10.0.0.5', True), ('-verify_ip', '::1', True),
                                     ('-verify_hostname', 'kvd2', False), ('-verify_ip', '10.0.0.6', False)):
                with self.subTest(certificate=certificate, name=name):
                    self.assertEqual(self.verifies(authority, certificate, 'sslserver', flag, name), good)
        names = self.printed('x509', '-in', 'app1.example-client.crt', '-noout', '-ext', 'subjectAltName')
        self.assertIn('DNS:app1.example, URI:spiffe://corp/app, email:a@b.example', names)

    def test_another_call_makes_other_authorities(self):
        self.made('create-ca', '--name', 'test', '--dir', 'other')
        self.assertFalse(self.verifies('../other/ca.crt', 'kvd1.crt', 'sslserver'))

    def test_extensions(self):
        for name, constraints, usage in (('ca.crt', 'CA:TRUE, pathlen:0', 'Certificate Sign, CRL Sign'),
                                         ('kvd1.crt', 'CA:FALSE', 'Digital Signature')):
            text = self.printed('x509', '-in', name, '-noout', '-text')
            self.assertRegex(text, rf'X509v3 Basic Constraints: critical\n\s+{constraints}\n')
            self.assertRegex(text, rf'X509v3 Key Usage: critical\n\s+{usage}\n')
            self.assertIn('X509v3 Subject Key Identifier', text)
            self.assertIn('X509v3 Authority Key Identifier', text)
            self.assertIn('ASN1 OID: prime256v1', text)
            self.assertIn('Signature Algorithm: ecdsa-with-SHA256', text)
        self.assertIn('CN = test peer CA', self.printed('x509', '-in', 'peer-ca.crt', '-noout', '-subject'))

    def test_keys_belong_to_their_certificates(self):
        for name in ('ca', 'peer-ca', 'client-ca', 'kvd1', 'kvd1-peer', 'app1.example-client'):
            of_certificate = self.printed('x509', '-in', name + '.crt', '-noout', '-pubkey')
            self.assertEqual(self.printed('pkey', '-in', name + '.key', '-pubout'), of_certificate)

    def test_valid_from_an_hour_ago(self):
        begins = self.printed('x509', '-in', 'kvd1.crt', '-noout', '-startdate').strip().partition('=')[2]
        self.assertLessEqual(seconds_of(begins), time.time() - 3600)
        self.assertGreater(seconds_of(begins), time.time() - 3600 - 2 * DEADLINE_S)

    def make_authority(self, name, *more, kind_of_key=('ec', '-pkeyopt', 'ec_paramgen_curve:P-256')):
        for kind in ('crt', 'key'):
            os.remove(self.path('certs', f'{name}.{kind}'))
        self.printed('req', '-x509', '-newkey', *kind_of_key, '-subj', '/CN=own', '-addext',
                     'keyUsage=critical,keyCertSign', '-keyout', f'{name}.key', '-out', f'{name}.crt', *more)

    def test_nothing_outlives_an_authority_of_ones_own(self):
        self.make_authority('client-ca', '-nodes', '-days', '3')
        ended = self.run_kvd('create-client', 'app')
        self.assertEqual(ended.returncode, DONE)
        self.assertIn('kvd: certs/client-ca.crt is not valid for 365 days any more', ended.stderr)
        ends = [self.printed('x509', '-in', name, '-noout', '-enddate') for name in ('client-ca.crt', 'app-client.crt')]
        self.assertEqual(*ends)
        self.assertTrue(self.verifies('client-ca.crt', 'app-client.crt', 'sslclient'))

    def test_authorities_of_ones_own_with_keys_of_other_kinds(self):
        for kind_of_key in (('ed25519',), ('rsa:2048',), ('ec', '-pkeyopt', 'ec_paramgen_curve:P-384')):
            self.make_authority('client-ca', '-nodes', '-days', '900', kind_of_key=kind_of_key)
            self.assertEqual(self.run_kvd('create-client', 'app').returncode, DONE, kind_of_key)
            self.assertTrue(self.verifies('client-ca.crt', 'app-client.crt', 'sslclient'), kind_of_key)
            for kind in ('crt', 'key'):
                os.remove(self.path('certs', f'app-client.{kind}'))

    def test_an_authority_with_a_password_is_refused(self):
        self.make_authority('client-ca', '-passout', 'pass:secret')
        self.refused(DATA_ERROR, 'is encrypted', 'create-client', 'app')


if __name__ == '__main__':
    unittest.main()
