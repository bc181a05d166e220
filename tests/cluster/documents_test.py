#!/usr/bin/python3
"""Runs the command lines of README.md and of the manual against ZooKeeper and three servers of its own, or against one
alone, and compares what they print with what the page says, so that no document rots.
Usage: documents_test.py KVD PAGE [alone], or documents_test.py every PAGE...

In a block marked `console` a line that begins with `$ ` is a command, lines that begin with `> ` continue it, and the
lines after it are its answer. In an answer `...` stands for anything within a line, and a line of `...` alone for any
number of lines. All commands of a page run in one bash, in a directory of their own, so that variables last. A block
whose mark has a name behind it, as in `python NAME`, is a program in a file of that name: once_test.py runs them. Other
blocks are not run."""
import contextlib
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile

from services_cluster import LONG, Cluster, Standalone, free_port

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT_S = 120
MARK = '---- end of answer'
POOL = ('--names-pool', '10.20.0.0/16')
# The pages without a command that could be run, and why.
PLAIN = {
    'src/manual/calls.md': 'a list alone, which calls_test.cpp compares',
    'src/manual/faq.md': 'questions and answers alone',
    'src/manual/guarantees.md': 'promises alone',
}


class Command:
    def __init__(self, line, text, heading):
        self.line, self.text, self.heading, self.answer = line, text, heading, []


def commands_of(page):
    """The commands of the blocks marked `console`, each with the lines of its answer and the heading above it."""
    found, inside, heading = [], False, ''
    with open(os.path.join(ROOT, page), encoding='utf-8') as file:
        for number, line in enumerate(file.read().split('\n'), 1):
            if line.startswith('```'):
                inside = not inside and line == '```console'
            elif inside and line.startswith('$ '):
                found.append(Command(number, line[2:], heading))
            elif inside and line.startswith('> '):
                found[-1].text += '\n' + line[2:]
            elif inside:
                found[-1].answer.append(line)
            elif line.startswith('## '):
                heading = line[3:]
    return found


def programs_of(page):
    """The programs of a page: what is in them, by their names."""
    with open(os.path.join(ROOT, page), encoding='utf-8') as file:
        return dict(re.findall(r'^```\w+ (\S+)\n(.*?)^```$', file.read(), re.DOTALL | re.MULTILINE))


def pattern_of(answer):
    """What an answer has to match, as a whole."""
    parts = []
    for line in '\n'.join(answer).rstrip().split('\n'):
        if line == '...':
            parts.append(r'(?:[^\n]*\n)*')
        else:
            parts.append('[^\\n]*'.join(re.escape(part) for part in line.split('...')) + '\n')
    return re.compile(''.join(parts))


def matches(answer, printed):
    return bool(pattern_of(answer).fullmatch(printed.rstrip() + '\n'))


def run(page_commands, addresses, binary, beside=contextlib.nullcontext):
    """What each command printed, with the addresses that the page uses. `beside` makes a context, of the directory that
    they run in, which ends while what they have left in the background still runs."""
    another = free_port()
    addresses |= {'127.0.0.1:8009': f'127.0.0.1:{another}', '--port 8009': f'--port {another}'}
    beside_it = os.path.dirname(os.path.abspath(binary))
    programs = [beside_it, os.path.join(beside_it, '..', 'tools')]
    with tempfile.TemporaryDirectory(prefix='kvd-documents-') as directory:
        script, output = os.path.join(directory, 'script'), os.path.join(directory, 'output')
        with open(os.path.join(directory, '.curlrc'), 'w', encoding='utf-8') as file:
            file.write('silent\n')
        text = ''.join(f'{command.text}\nprintf "\\n{MARK}\\n"\n' for command in page_commands)
        with open(script, 'w', encoding='utf-8') as file:
            file.write(with_other_names(text, addresses))
        here = os.path.join(directory, 'here')
        os.mkdir(here)
        environment = {**os.environ, 'CURL_HOME': directory, 'PATH': ':'.join([*programs, os.environ['PATH']])}
        with open(output, 'wb') as file, subprocess.Popen(
                ['bash', script], cwd=here, env=environment, stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, start_new_session=True) as bash:
            try:
                with beside(here):
                    bash.wait(TIMEOUT_S)
            except subprocess.TimeoutExpired:
                print(f'not done within {TIMEOUT_S} s')
            finally:
                with contextlib.suppress(ProcessLookupError):  # what the page has left in the background, if anything
                    os.killpg(bash.pid, signal.SIGKILL)
        with open(output, encoding='utf-8', errors='replace') as file:
            # One that has several is called by the first.
            ours = {theirs: ours for ours, theirs in reversed(addresses.items())}
            printed = with_other_names(file.read(), ours)
    return printed.split(f'\n{MARK}\n')


def with_other_names(text, names):
    either = '|'.join(re.escape(name) + r'(?!\d)' for name in names)
    return re.sub(either, lambda match: names[match.group()], text)


@contextlib.contextmanager
def cluster_of_three(binary):
    """Which servers have the addresses that pages use. None is suspected, or forgotten, because the machine is slow."""
    with Cluster(binary, servers=3, flags=('--expect', '3', '--min-in-sync', '2', '--follower-lag', '30000',
                                           '--leader-silence', '60000', *POOL, *LONG)) as cluster:
        addresses = {f'127.0.0.1:{8001 + number}': server.name for number, server in enumerate(cluster.servers)}
        yield addresses | {'127.0.0.1:2181': cluster.zookeeper_names}


@contextlib.contextmanager
def one_alone(binary):
    """It has all of these addresses."""
    with Standalone(binary, keeps=False, flags=POOL) as server:
        yield {f'127.0.0.1:{8001 + number}': server.name for number in range(3)}


def check_page(binary, page, servers):
    """Ends with 1 when any command has another answer."""
    page_commands = commands_of(page)
    assert page_commands, f'{page} has no command'
    with servers(binary) as addresses:
        printed = run(page_commands, addresses, binary)
    return 1 if compare(page, page_commands, printed) else 0


def compare(page, page_commands, printed):
    """Prints each command whose answer is another one, and returns how many there are."""
    wrong = 0
    for number, command in enumerate(page_commands):
        told = printed[number] if number < len(printed) - 1 else f'(it did not end: {printed[-1]})'
        if not matches(command.answer, told):
            wrong += 1
            print(f'{page}:{command.line}: $ {command.text}\n---- should print\n' + '\n'.join(command.answer)
                  + f'\n---- printed\n{told}')
    print(f'{page}: {len(page_commands)} commands, {wrong} with another answer')
    return wrong


def check_all(tested):
    """Every page is run, but for those that say nothing to run."""
    pages = ['README.md', *(os.path.relpath(path, ROOT) for path in glob.glob(f'{ROOT}/src/manual/*.md'))]
    wrong = [f'{page} has no command, and is not among those that need none' for page in pages
             if not commands_of(page) and page not in PLAIN]
    wrong += [f'{page} has commands now: it is no exception' for page in PLAIN if commands_of(page)]
    wrong += [f'{page} is not among the tests in meson.build' for page in pages
              if commands_of(page) and page not in tested]
    wrong += [breach for page in [*pages, 'src/README.md'] for breach in broken_links(page)]
    print('\n'.join(wrong))
    return 1 if wrong else 0


def anchors_of(page):
    """What links to its headings may name, as GitHub makes it."""
    with open(os.path.join(ROOT, page), encoding='utf-8') as file:
        text = re.sub(r'^```.*?^```', '', file.read(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r'^#+ (.*)$', text, re.MULTILINE)
    return {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in headings}


def broken_links(page):
    """The links of a page to a file or a heading that is not there."""
    with open(os.path.join(ROOT, page), encoding='utf-8') as file:
        links = re.findall(r'\]\(([^):]+)\)', file.read())
    for link in links:
        path, _, anchor = link.partition('#')
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not os.path.exists(os.path.join(ROOT, target)) or anchor and anchor not in anchors_of(target):
            yield f'{page}: leads nowhere: {link}'


def self_test():
    """The comparison can fail."""
    assert matches(['{"revision":...}'], '{"revision":17}')
    assert matches([], '') and not matches([], 'x') and not matches(['x'], '')
    assert not matches(['{"revision":...}'], '{"version":17}')
    assert not matches(['a...c'], 'ab\nc')
    assert matches(['a', '...', 'c'], 'a\nb\nb\nc') and matches(['a', '...', 'c'], 'a\nc')
    assert not matches(['a', '...', 'c'], 'a\nb\nd') and not matches(['a'], 'a\nb')
    assert with_other_names('1:80 and 1:8001', {'1:80': '1:9'}) == '1:9 and 1:8001'


if __name__ == '__main__':
    if sys.argv[1] == 'every':
        self_test()
        sys.exit(check_all(sys.argv[2:]))
    sys.exit(check_page(sys.argv[1], sys.argv[2], one_alone if sys.argv[3:] else cluster_of_three))
