#!/usr/bin/env python3
"""What `meson install` puts where: the programs, the man pages, which have to render without a warning, and the
completion. Usage: install_test.py BUILD_DIRECTORY PREFIX PAGE..."""
import os
import subprocess
import sys
import tempfile
import unittest

BUILD, PREFIX, *PAGES = sys.argv[1:]
del sys.argv[1:]
DEADLINE_S = 60
COMPLETION = ('share/bash-completion/completions/kvd', 'share/zsh/site-functions/_kvd',
              'share/fish/vendor_completions.d/kvd.fish')


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        run('meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', directory.name)
        cls.prefix = directory.name + PREFIX

    def files(self):
        return {os.path.relpath(os.path.join(at, name), self.prefix)
                for at, _, names in os.walk(self.prefix) for name in names}

    def pages(self):
        return [f'share/man/man7/kvd-{page}.7' for page in PAGES] + ['share/man/man1/kvd.1']

    def test_everything_is_where_it_belongs(self):
        self.assertEqual(self.files(), {'bin/kvd', 'bin/kvload', *COMPLETION, *self.pages()})

    def test_the_programs_run(self):
        for program in ('kvd', 'kvload'):
            self.assertIn('Usage: ' + program, run(os.path.join(self.prefix, 'bin', program), '--help').stdout)

    def test_man_shows_each_page_without_a_warning(self):
        for page in self.pages():
            with self.subTest(page):
                path = os.path.join(self.prefix, page)
                shown = run('env', 'LC_ALL=C.UTF-8', 'MANWIDTH=80', 'man', '--warnings', '-l', path)
                self.assertEqual(shown.stderr, '')
                self.assertIn('NAME\n', shown.stdout)
                self.assertNotRegex(shown.stdout, r'\]\(|<[\w-]+\.md')  # links that lead nowhere
                name = os.path.basename(page).rsplit('.', 1)[0]
                self.assertIn(f'"{name} - ', run('lexgrog', path).stdout)  # what apropos finds


if __name__ == '__main__':
    unittest.main()
