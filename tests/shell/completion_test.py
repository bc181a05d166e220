#!/usr/bin/env python3
"""The completion of kvd in the shells themselves: each is asked for the same command lines, bash and fish by their
commands, zsh on a terminal. A shell that is not installed is a failure. Usage: completion_test.py KVD"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

KVD = os.path.abspath(sys.argv.pop(1))
SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'tools', 'completion')
DEADLINE_S = 60

BASH = r'''
. "$1"
read -ra COMP_WORDS <<<"${2//=/ = }"
[[ $2 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
compopt() { :; }
_kvd
printf '%s\n' "${COMPREPLY[@]}"
'''

# A shell on a terminal of its own, as only there the completion runs; its Tab prints the words that it would insert.
ZSH = r'''
zmodload zsh/zpty
zpty shell zsh -f -i
expect() {
  local all= part
  until [[ $all == *$~1* ]]; do zpty -r shell part || return; all+=$part; done
  print -r -- $all
}
zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d \$HOME/dump; setopt no_beep"
zpty -w shell 'answer() { local -a all; compadd() { local -a found; builtin compadd -O found "$@"'
zpty -w shell 'all+=(${IPREFIX}${^found}); builtin compadd "$@" }'
zpty -w shell '_main_complete; print -r -- "<"${(j:|:)all}">"; print -r -- "en""ded"'
zpty -w shell 'compstate[insert]=; compstate[list]= }'
zpty -w shell 'zle -C answer complete-word answer; bindkey "^I" answer; print -r -- rea"dy"'
expect '*ready*' >/dev/null
zpty -w -n shell "$2"$'\t'
expect '*ended*'
zpty -d shell
'''


class Shell(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = self.directory.name
        os.symlink(KVD, os.path.join(self.path, 'kvd'))
        os.mkdir(os.path.join(self.path, 'place'))
        with open(os.path.join(self.path, 'plain'), 'w', encoding='utf-8'):
            pass

    def run_shell(self, *command):
        environment = {'PATH': self.path + ':/usr/bin:/bin', 'HOME': self.path, 'TERM': 'dumb', 'LC_ALL': 'C.UTF-8'}
        ended = subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True,
                               timeout=DEADLINE_S, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual(ended.stderr, '')
        return ended.stdout

    def check_all(self, ask):
        for line, words in {
                'kvd lo': ['lock'],
                'kvd ': ['add', 'auth', 'cert', 'config', 'del', 'elect', 'export', 'get', 'hosts-sync', 'inspect',
                         'lease', 'lock', 'ls', 'put', 'queue', 'topic', 'txn', 'watch', 'work', 'zookeeper-acl'],
                'kvd zookeeper-acl ': ['apply', 'show'],
                'kvd --zookeeper-a': ['--zookeeper-acl', '--zookeeper-auth-file'],
                'kvd zookeeper-acl show --zookeeper-auth-file pl': ['place', 'plain'],
                'kvd lease ': ['end', 'grant', 'hold', 'ls', 'renew', 'show'],
                'kvd queue p': ['peek', 'purge'], 'kvd queue peek q --state d': ['dead', 'delayed'],
                'kvd queue send q --m': ['--max-age'], 'kvd topic su': ['subscribe', 'subscriptions'],
                'kvd lease show 7 --k': ['--key', '--keys'], 'kvd lease hold 5000 ': ['--'],
                'kvd --data': ['--data-dir'], 'kvd lock a --gr': ['--grace'], 'kvd lock a ': ['--'],
                'kvd --log-format ': ['json', 'logfmt'], 'kvd --sync int': ['interval:'],
                'kvd inspect pl': ['place', 'plain'], 'kvd txn pl': ['place', 'plain'],
                'kvd put a --if': ['--if-absent', '--if-rev'],
                'kvd ls --v': ['--values'], 'kvd del --pr': ['--prefix'], 'kvd get k --li': ['--linear'],
                'kvd add k --fe': ['--fence'], 'kvd watch k --s': ['--servers', '--since', '--state'],
                'kvd cert create-s': ['create-server'], 'kvd cert create-client a --u': ['--uri'],
                'kvd cert create-ca --dir pl': ['place'],
                'kvd --data-dir pl': ['place'], 'kvd config s': ['status', 'sync'],
                'kvd config sync --to pl': ['place'],
                'kvd auth ': ['policy', 'root-token', 'test', 'token', 'user', 'whoami'],
                'kvd auth token c': ['create'], 'kvd auth user put u --i': ['--identity'],
                'kvd auth root-token pl': ['place', 'plain'], 'kvd get k --token-file pl': ['place', 'plain'],
                'kvd lock a -- kv': ['kvd']}.items():
            with self.subTest(line):
                self.assertEqual(sorted({word.rstrip('/') for word in ask(line)}), words)


    def check_behind_equals(self, ask, whole_words):
        """`whole_words`: the shell's answer begins with the flag."""
        for flag, typed, word in (('--log-format=', 'j', 'json'), ('--data-dir=', 'pl', 'place')):
            with self.subTest(flag):
                before = flag if whole_words else ''
                self.assertEqual({answer.rstrip('/') for answer in ask('kvd ' + flag + typed)}, {before + word})


class Bash(Shell):
    def ask(self, line):
        script = os.path.join(SCRIPTS, 'kvd.bash')
        return self.run_shell('bash', '--norc', '-c', BASH, 'bash', script, line).split('\n')[:-1]

    def test_it_completes(self):
        self.check_all(self.ask)
        self.check_behind_equals(self.ask, False)


class Fish(Shell):
    def ask(self, line):
        script = f'source {os.path.join(SCRIPTS, "kvd.fish")}; complete -C "{line}"'
        return [row.split('\t')[0] for row in self.run_shell('fish', '--no-config', '-c', script).split('\n')[:-1]]

    def test_it_completes(self):
        self.check_all(self.ask)
        self.check_behind_equals(self.ask, True)


class Zsh(Shell):
    def ask(self, line):
        output = self.run_shell('zsh', '-f', '-c', ZSH, 'zsh', SCRIPTS, line)
        return re.search('<([^<>]*)>', output).group(1).split('|')

    def test_it_completes(self):
        self.check_all(self.ask)
        self.check_behind_equals(self.ask, True)


if __name__ == '__main__':
    unittest.main()
