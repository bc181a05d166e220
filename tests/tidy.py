#!/usr/bin/env python3
"""House rules that neither compiler nor linker can see: what a layer may include and call, how files open, how long
they are, what the tree's top level holds. Prints one line for each breach and exits 1 when there is any.

Each rule is a function from one file to its breaches; `--self-test` feeds every one of them planted bad files, since a
check that cannot fail is a defect of its own. Run by `meson test --suite unit`."""
import functools
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAYERS = ['base', 'msg', 'journal', 'core', 'net', 'shell', 'client', 'main']
# What a layer may include beside itself. A client knows the words that travel, and not what servers do with them.
BUILT_ON = {
    'base': [], 'msg': ['base'], 'journal': ['base', 'msg'], 'core': ['base', 'msg', 'journal'], 'net': ['base'],
    'shell': ['base', 'msg', 'journal', 'core', 'net'], 'client': ['base', 'msg', 'net'], 'main': LAYERS}
LINES_MAX = 800
WIDTH_MAX = 120
TOP_LEVEL = {'meson.build', 'src', 'subprojects', 'tests', 'tools', 'compose', 'README.md', 'LICENSE'}

SHELL_HEADERS = re.compile(r'(uv|llhttp|zookeeper/.*|zookeeper)(\.h|\.hpp)?$')
HANDLES = re.compile(
    r'\buv_(tcp|timer|idle|getaddrinfo|freeaddrinfo|listen|accept|connect|shutdown|write|try_write)\w*\b')
IMPURE_HEADERS = re.compile(
    r'(thread|mutex|shared_mutex|condition_variable|future|semaphore|iostream|ostream|istream|fstream|filesystem|ctime|'
    r'(time|unistd|fcntl|poll|pthread|signal|netdb|semaphore)\.h|(sys|netinet|arpa|net)/.*)$')
PURE_USES = {('src/base/ip_address.cpp', 'arpa/inet.h')}  # the text of addresses
IMPURE_CALLS = re.compile(
    r'(::now\s*\(|std::\w+_distribution|std::random_device|\bgetenv\s*\(|\bclock_gettime\b|\bgettimeofday\b|'
    r'\bstd::time\s*\(|\btime\s*\(\s*(nullptr|NULL|0)\s*\)|\bs?rand\s*\(|\bfopen\s*\(|'
    r'\b(u|nano)?sleep(_for|_until)?\s*\(|\bstd::this_thread\b)')
UNORDERED = re.compile(r'(std::unordered_\w+|absl::(flat|node)_hash_\w+|'
                       r'(std::(multi)?|absl::btree_(multi)?)(map|set)<\s*(const\s+)?[\w:]+\s*\*)')
# Who knows OpenSSL, and the tests of these.
TLS_USES = re.compile(r'(src/net/(tls|certificates|secrets)\.cpp|src/net/openssl\.hpp|'
                      r'tests/\w+/(tls|certificates)_\w+\.cpp)$')
PRECOMPILED = re.compile(r'src/pch/\w+\.hpp$')
NEVER_WALKED = {'src/core/replica/table.hpp'}  # hashes, but walks a tree
STORED_AS_JSON = {f'src/core/services/{name}.cpp' for name in (
    'barriers/barriers_double', 'ids/ids', 'names/name_entry', 'tasks/task_layout')}  # they make the data of znodes
# One letter of each word stands in brackets, so that this list does not find itself.
BANNED = re.compile(
    r'(\.\./share[d]\b|(?<![\w.}])/wor[k]/|/tmp/(buil[d]-|commo[n])|\bA[I]s?\b|\bassistan[t]s?\b|'
    r'\bco-authore[d]-by\b|\bassignmen[t]s?\b|\b(replicatio[n]|architectur[e]|styl[e]|ap[i])s?\.md\b|'
    r'\b(issue|pull request|PR)s? ?#?[0-9]+\b|(^|[\s(])#[0-9]+\b|\bhelpe[r]s? [A-F]\b)', re.IGNORECASE)
# Of the standard library what is used most: the header in which it stands, and the names.
STANDARD = {
    'algorithm': 'adjacent_find all_of any_of binary_search clamp copy count count_if equal fill find find_if '
                 'find_if_not for_each is_sorted lower_bound max max_element min min_element mismatch none_of '
                 'nth_element partition_point remove remove_if reverse rotate search sort stable_sort transform '
                 'unique upper_bound',
    'array': 'array', 'chrono': 'chrono', 'deque': 'deque', 'functional': 'function', 'map': 'map multimap',
    'memory': 'make_shared make_unique shared_ptr unique_ptr weak_ptr', 'optional': 'nullopt optional',
    'set': 'multiset set', 'string': 'string to_string', 'string_view': 'string_view', 'utility': 'pair',
    'variant': 'get_if holds_alternative monostate variant visit', 'vector': 'vector'}
HEADER_OF = {name: header for header, names in STANDARD.items() for name in names.split()}
DECLARED = re.compile(r'\b(?:struct|class|union|enum class|enum|using|typename) (\w+)|\b(\w+) = [^=]')
TYPE = re.compile(r'(?:struct|class|union|enum class|enum) (\w+)(?: final)?(?: :[^:{;]*)? \{')


def is_code(path):
    return path.endswith(('.cpp', '.hpp', '.py', '.sh')) or path.startswith(('tools/', '.ci/'))


def layer_of(path):
    """The rank in LAYERS of a file below src, or None."""
    if path == 'src/main.cpp':
        return LAYERS.index('main')
    match = re.match(r'src/(\w+)/', path)
    return LAYERS.index(match.group(1)) if match and match.group(1) in LAYERS else None


def code_lines(text):
    """(number, line) without comments and without what stands in string literals."""
    text = re.sub(r'/\*.*?\*/', lambda match: '\n' * match.group().count('\n'), text, flags=re.DOTALL)
    for number, line in enumerate(text.split('\n'), 1):
        if not line.lstrip().startswith('#include'):
            line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        yield number, line.split('//')[0]


def includes(text):
    for number, line in code_lines(text):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def check_layers(path, text):
    """A file includes only its own layer and what that is built on; the simulator and the scenarios never the shell."""
    own = layer_of(path)
    if re.match(r'tests/(sim|services|mutants|scenario)/', path):
        own = LAYERS.index('core')
    if own is None:
        return
    for number, quoted, header in includes(text):
        layer = header.split('/')[0]
        if quoted and layer in LAYERS and layer not in [LAYERS[own], *BUILT_ON[LAYERS[own]]]:
            yield f'{path}:{number}: {LAYERS[own]} includes {header}'
        if not quoted and own < LAYERS.index('shell') and SHELL_HEADERS.match(header) and \
                (LAYERS[own], header) != ('net', 'uv.h'):
            yield f'{path}:{number}: {LAYERS[own]} includes <{header}>'


def check_precompiled(path, text):
    """What is precompiled is the build's: it is in no layer, so nothing may rest on it."""
    for number, quoted, header in includes(text) if path.endswith(('.cpp', '.hpp')) else ():
        if quoted and header.startswith('pch/') and not PRECOMPILED.match(path):
            yield f'{path}:{number}: includes {header} instead of what it needs'


def check_uses(path, text):
    """What a file uses it includes, itself or by what it includes: what is precompiled hides that it does not."""
    if not path.startswith(('src/', 'tools/', 'tests/')) or not path.endswith(('.cpp', '.hpp')) or \
            PRECOMPILED.match(path):
        return
    code = '\n'.join(line for _, line in code_lines(re.sub(r'R"\(.*?\)"', '', text, flags=re.DOTALL)))
    headers, declared = reached(path, text)
    for name in sorted(set(re.findall(r'\bstd::(\w+)', code))):
        if name in HEADER_OF and HEADER_OF[name] not in headers:
            yield f'{path}: uses std::{name} and does not include <{HEADER_OF[name]}>'
    types = {name for _, name in known_types()}
    for name in sorted(set(re.findall(r'(?<![\w.>:])([A-Z]\w+)\b', code)) & types - declared):
        yield f'{path}: uses {name} and does not include what defines it'


def reached(path, text):
    """Over all that is included from there: the headers of the system, and the names that are declared."""
    headers, declared, seen, left = set(), set(), set(), [(path, text)]
    while left:
        path, text = left.pop()
        seen.add(path)
        named, names, quoted = directly(path, text)
        headers |= named
        declared |= names
        for other in quoted - seen:
            seen.add(other)
            left.append((other, source(other)))
    return headers, declared


@functools.lru_cache(maxsize=None)
def directly(path, text):
    headers, quoted = set(), set()
    for _, own, header in includes(text):
        places = [f'{place}/{header}' for place in ('src', 'tools', 'tests', os.path.dirname(path))]
        if own:
            quoted |= {place for place in places if os.path.isfile(os.path.join(ROOT, place))}
        else:
            headers.add(header)
    code = '\n'.join(line for _, line in code_lines(text))
    return headers, {name for pair in DECLARED.findall(code) for name in pair if name}, quoted


@functools.cache
def source(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as file:
        return file.read()


def check_layer_names(path, _text):
    """Code below src lies in a layer, but for what is precompiled."""
    if path.startswith('src/') and path.endswith(('.cpp', '.hpp')) and not PRECOMPILED.match(path) and \
            layer_of(path) is None:
        yield f'{path}: below src there are only main.cpp and {", ".join(LAYERS[:-1])}'


def check_purity(path, text):
    """base, msg and core know no threads, clocks, files, environment and no randomness but base/prng."""
    own = layer_of(path)
    if own is None or own > LAYERS.index('core'):
        return
    for number, quoted, header in includes(text):
        if not quoted and IMPURE_HEADERS.match(header) and (path, header) not in PURE_USES:
            yield f'{path}:{number}: <{header}> has no place below the shell'
    for number, line in code_lines(text):
        match = IMPURE_CALLS.search(line)
        if match:
            yield f'{path}:{number}: {match.group().strip()} has no place below the shell'


def check_handles(path, text):
    """libuv's sockets, look-ups and timers are in net alone. Signals, the pipes of child processes, work for other
    threads and the loop's turns have one user each, which has them by hand."""
    if layer_of(path) in (None, LAYERS.index('net')):
        return
    for number, line in code_lines(text):
        match = HANDLES.search(line)
        if match:
            yield f'{path}:{number}: {match.group()} instead of what src/net has'


def check_tls_library(path, text):
    """Two files know OpenSSL, so that another library could take its place there."""
    if not path.endswith(('.cpp', '.hpp')) or TLS_USES.match(path):
        return
    for number, _, header in includes(text):
        if header.startswith('openssl/'):
            yield f'{path}:{number}: includes <{header}>: only src/net/tls.cpp and src/net/certificates.cpp do'


def check_order(path, text):
    """The core iterates in an order that the content decides: no hashed containers, no pointers as keys."""
    if layer_of(path) != LAYERS.index('core') or path in NEVER_WALKED:
        return
    for number, line in code_lines(text):
        match = UNORDERED.search(line)
        if match:
            yield f'{path}:{number}: {match.group()} in the core: its order is not the same in every run'


def check_json(path, text):
    """A service answers with values, of which each face makes its words: there only what ZooKeeper keeps is JSON."""
    if not path.startswith('src/core/services/') or path in STORED_AS_JSON:
        return
    for number, _, header in includes(text):
        if header == 'base/json_writer.hpp':
            yield f'{path}:{number}: writes JSON; an answer is a Document'


def check_rule_sources(path, text):
    """src/meson.build knows which files ask for rules that are switched off: only those does a test compile anew."""
    if layer_of(path) is None or path == 'src/core/mutation.hpp':
        return
    asks = any(header == 'core/mutation.hpp' for _, _, header in includes(text))
    if asks != (path in rule_sources()):
        yield f'{path}: core_rule_sources in src/meson.build lists what includes core/mutation.hpp, and nothing else'


@functools.cache
def rule_sources():
    with open(os.path.join(ROOT, 'src/meson.build'), encoding='utf-8') as file:
        listed = re.search(r'^core_rule_sources = files\(([^)]*)\)', file.read(), re.MULTILINE)
    return {f'src/{name}' for name in re.findall(r"'([^']+)'", listed.group(1))}


def check_opening(path, text):
    """A file says what it is in two lines or more; a .cpp may point to its header instead."""
    if not is_code(path):
        return
    lines = text.split('\n')
    if lines[0].startswith('#!'):
        lines = lines[1:]
    mark = '//' if path.endswith(('.cpp', '.hpp')) else '#'
    if lines[0].startswith('"""'):
        ok = '"""' not in lines[0][3:]
    else:
        ok = len(lines) > 1 and lines[0].startswith(mark) and lines[1].startswith(mark)
        ok = ok or (path.endswith('.cpp') and re.match(r'// (.*\b[Ss]ee \w+\.hpp|See the header)', lines[0]))
    if not ok:
        yield f'{path}: must open with a comment of two lines or more that says what lives here'


def check_length(path, text):
    """A file that passes the limit wants a second room."""
    count = text.count('\n')
    if is_code(path) and count > LINES_MAX:
        yield f'{path}: {count} lines, more than {LINES_MAX}: split it'


def check_width(path, text):
    """Code and builds below src and tests fit on a screen; .clang-format breaks C++ at 110."""
    if not path.startswith(('src/', 'tests/')) or not (is_code(path) or path.endswith('meson.build')):
        return
    for number, line in enumerate(text.split('\n'), 1):
        if len(line) > WIDTH_MAX:
            yield f'{path}:{number}: {len(line)} columns, more than {WIDTH_MAX}'


def check_whitespace(path, text):
    """No trailing blanks, a line end at the end, no carriage returns."""
    if path == 'LICENSE':
        return
    for number, line in enumerate(text.split('\n'), 1):
        if line != line.rstrip():
            yield f'{path}:{number}: trailing whitespace'
    if text and not text.endswith('\n'):
        yield f'{path}: no line end at the end'


def types_of(text):
    """(number, namespace, name) of the types defined at namespace scope, but for those that are their file's own."""
    inside = []
    for number, line in enumerate(text.split('\n'), 1):
        opened = re.match(r'(?:inline )?namespace ?([\w:]*) ?\{$', line)
        if opened:
            inside.append(opened.group(1))
        elif line.startswith('}  // namespace') and inside:
            inside.pop()
        defined = TYPE.match(line)
        if defined and '' not in inside:
            yield number, '::'.join(inside), defined.group(1)


@functools.cache
def known_types():
    known = {}
    for path in files():
        if path.startswith(('src/', 'tools/')) and path.endswith(('.cpp', '.hpp')):
            with open(os.path.join(ROOT, path), encoding='utf-8') as file:
                for _, namespace, name in types_of(file.read()):
                    known.setdefault((namespace, name), set()).add(path)
    return known


def check_types(path, text):
    """A type has one definition: of two with one name the linker takes either's functions for both."""
    if not path.startswith(('src/', 'tools/')) or not path.endswith(('.cpp', '.hpp')):
        return
    for number, namespace, name in types_of(text):
        for other in sorted(known_types().get((namespace, name), set()) - {path}):
            yield f'{path}:{number}: {namespace}::{name} is defined in {other}, too'


def check_words(path, text):
    """What belongs to the making of the project stays out of it."""
    for number, line in enumerate(text.split('\n'), 1):
        match = BANNED.search(line)
        if match:
            yield f'{path}:{number}: "{match.group().strip()}" does not belong here'


def check_top_level(path, _text):
    """The top level holds few things, and everybody knows them."""
    top = path.split('/')[0]
    if top not in TOP_LEVEL and not top.startswith('.'):
        yield f'{path}: {top} does not belong on the top level'


CHECKS = [check_layers, check_precompiled, check_uses, check_layer_names, check_purity, check_handles,
          check_tls_library, check_order, check_json, check_rule_sources, check_opening, check_length, check_width,
          check_whitespace, check_types, check_words, check_top_level]

PLANTED = {  # per check: files that must be found, then files that must not
    check_layers: ([
        ('src/core/a.cpp', '#include "shell/log.hpp"\n'), ('src/base/a.hpp', '#include "msg/types.hpp"\n'),
        ('src/msg/a.hpp', '#include <uv.h>\n'), ('src/core/a.cpp', '#  include <zookeeper/zookeeper.h>\n'),
        ('src/core/a.hpp', '#include <llhttp.h>\n'), ('src/base/a.cpp', '#include <uv.h>\n'),
        ('src/msg/a.cpp', '#include <llhttp.h>\n'), ('tests/sim/a.cpp', '#include "shell/log.hpp"\n'),
        ('src/client/a.cpp', '#include "shell/log.hpp"\n'), ('src/client/a.cpp', '#include "core/node.hpp"\n'),
        ('src/shell/a.cpp', '#include "client/child.hpp"\n'), ('src/msg/a.cpp', '#include "client/child.hpp"\n'),
        ('src/journal/a.cpp', '#include "core/node.hpp"\n'), ('tests/services/a.cpp', '#include "shell/log.hpp"\n'),
        ('src/net/a.cpp', '#include "msg/types.hpp"\n'), ('src/net/a.cpp', '#include <llhttp.h>\n'),
        ('src/core/a.cpp', '#include "net/loop.hpp"\n'), ('src/net/a.cpp', '#include "shell/log.hpp"\n'),
    ], [
        ('src/net/a.cpp', '#include <uv.h>\n#include <netdb.h>\n#include "base/check.hpp"\n'),
        ('src/shell/a.cpp', '#include "net/loop.hpp"\n'), ('src/client/a.cpp', '#include "net/loop.hpp"\n'),
        ('src/shell/a.cpp', '#include <uv.h>\n#include "core/node.hpp"\n'),
        ('src/main.cpp', '#include "shell/a.hpp"\n#include "client/a.hpp"\n'),
        ('src/client/a.cpp', '#include <uv.h>\n#include "msg/types.hpp"\n#include "client/b.hpp"\n'),
        ('src/core/a.cpp', '// #include "shell/log.hpp"\n#include "core/node.hpp"\n'),
    ]),
    check_precompiled: ([
        ('src/core/a.cpp', '#include "pch/core.hpp"\n'), ('tests/sim/a.hpp', '#include "pch/core.hpp"\n'),
    ], [('src/pch/core.hpp', '#include "pch/standard.hpp"\n'), ('src/core/a.cpp', '#include <map>\n')]),
    check_uses: ([
        ('src/core/a.cpp', 'std::map<int, int> m;\n'),
        ('tests/sim/a.hpp', '#include "base/time.hpp"\nServerInfo info;\n'),
        ('tools/a.cpp', '#include <vector>\nauto most = std::max(1, 2);\n'),
    ], [
        ('src/core/a.cpp', '#include "msg/client.hpp"\nstd::vector<ServerInfo> all;\n'),
        ('src/core/a.hpp', 'class ServerInfo;\n// std::map\n'), ('src/pch/a.hpp', 'std::map<int, int> m;\n'),
    ]),
    check_layer_names: ([('src/other/a.cpp', ''), ('src/a.cpp', ''), ('src/pch/a.cpp', '')],
                        [('src/core/a.cpp', ''), ('src/main.cpp', ''), ('src/pch/a.hpp', '')]),
    check_purity: ([
        ('src/core/a.cpp', '#include <thread>\n'), ('src/base/a.cpp', '#include <mutex>\n'),
        ('src/msg/a.cpp', '#include <iostream>\n'), ('src/core/a.cpp', '#include <sys/socket.h>\n'),
        ('src/core/a.cpp', 'auto t = std::chrono::steady_clock::now();\n'), ('src/core/a.cpp', 'getenv("X");\n'),
        ('src/core/a.cpp', 'std::uniform_int_distribution<int> d;\n'), ('src/core/a.cpp', 'x = time(nullptr);\n'),
        ('src/core/a.cpp', 'std::random_device d;\n'), ('src/msg/a.cpp', 'fopen("a", "r");\n'),
    ], [
        ('src/base/a.hpp', '// never calls steady_clock::now()\n#include <chrono>\n#include <random>\n'),
        ('src/core/a.cpp', 'f("getenv(");\n'), ('src/shell/a.cpp', '#include <thread>\n'),
    ]),
    check_handles: ([
        ('src/shell/a.hpp', 'uv_tcp_t tcp;\n'), ('src/client/a.cpp', 'uv_getaddrinfo(loop, &r, done, h, p, &hints);\n'),
        ('src/shell/a.cpp', 'uv_timer_t timer;\n'), ('src/client/a.cpp', 'uv_timer_start(&timer, f, 1, 0);\n'),
        ('src/shell/a.cpp', 'uv_listen(stream, 8, f);\n'), ('src/main.cpp', 'uv_write_t request;\n'),
    ], [
        ('src/net/a.hpp', 'uv_tcp_t tcp;\n'), ('src/shell/a.cpp', '// uv_tcp_t\nuv_buf_t piece;\nuv_prepare_t turn;\n'),
        ('src/client/a.cpp', 'uv_signal_t signal;\nuv_pipe_t pipe;\nuv_read_start(pipe, f, g);\n'),
        ('src/shell/a.cpp', 'uv_work_t work;\nuv_strerror(code);\n'), ('tests/shell/a.cpp', 'uv_tcp_t tcp;\n'),
    ]),
    check_tls_library: ([
        ('src/shell/a.cpp', '#include <openssl/ssl.h>\n'), ('src/net/tls.hpp', '#include <openssl/ssl.h>\n'),
        ('src/net/certificates.hpp', '#  include <openssl/x509.h>\n'),
        ('src/client/cert_command.cpp', '#include <openssl/x509.h>\n'),
        ('tests/shell/a.cpp', '#include <openssl/bio.h>\n'), ('tools/rig/a.hpp', '#include <openssl/ssl.h>\n'),
    ], [
        ('src/net/tls.cpp', '#include <openssl/ssl.h>\n'), ('src/net/openssl.hpp', '#include <openssl/err.h>\n'),
        ('src/net/certificates.cpp', '#include <openssl/x509.h>\n'),
        ('tests/unit/tls_test.cpp', '#include <openssl/ssl.h>\n'),
        ('tests/fuzz/tls_fuzz.cpp', '#include <openssl/ssl.h>\n'),
        ('tests/unit/certificates_test.cpp', '#include <openssl/pem.h>\n'),
        ('src/net/a.cpp', '// #include <openssl/ssl.h>\n#include "net/certificates.hpp"\n'),
    ]),
    check_order: ([
        ('src/core/a.hpp', 'std::unordered_map<int, int> m;\n'), ('src/core/a.hpp', 'std::set<const Peer*> s;\n'),
        ('src/core/a.hpp', 'absl::flat_hash_set<int> s;\n'), ('src/core/a.hpp', 'absl::btree_map<Peer*, int> m;\n'),
    ], [('src/core/a.hpp', 'std::map<int, Peer*> m;\n'), ('src/shell/a.hpp', 'std::unordered_map<int, int> m;\n')]),
    check_json: ([
        ('src/core/services/a.hpp', '#include "base/json_writer.hpp"\n'),
        ('src/core/services/locks/locks.cpp', '#include "base/json_writer.hpp"\n'),
    ], [
        ('src/core/services/ids/ids.cpp', '#include "base/json_writer.hpp"\n'),
        ('src/core/services/a.cpp', '// base/json_writer.hpp\n#include "msg/document.hpp"\n'),
        ('src/shell/http/a.cpp', '#include "base/json_writer.hpp"\n'),
    ]),
    check_rule_sources: ([
        ('src/core/replica/store.cpp', '#include "core/mutation.hpp"\n'),
        ('src/core/a.hpp', '#include "core/mutation.hpp"\n'),
        ('src/core/cluster/links.cpp', ''),
    ], [('src/core/replica/store.cpp', ''), ('src/core/cluster/links.cpp', '#include "core/mutation.hpp"\n')]),
    check_opening: ([
        ('src/core/a.hpp', '#pragma once\n'), ('src/core/a.hpp', '// One line only.\n#pragma once\n'),
        ('tests/a.py', '#!/usr/bin/env python3\nimport os\n'), ('tools/a', '#!/bin/sh\nset -e\n'),
    ], [
        ('src/core/a.hpp', '// One.\n// Two.\n'), ('src/core/a.cpp', '// See a.hpp.\n'),
        ('tests/a.py', '#!/usr/bin/env python3\n"""One.\nTwo."""\n'), ('tools/a', '#!/bin/sh\n# One.\n# Two.\n'),
        ('README.md', 'kvd\n'),
    ]),
    check_length: ([('src/core/a.cpp', 'x\n' * (LINES_MAX + 1))], [('src/core/a.cpp', 'x\n' * LINES_MAX)]),
    check_width: ([
        ('src/core/a.cpp', 'x' * (WIDTH_MAX + 1)), ('tests/a.py', 'x\n' + 'x' * (WIDTH_MAX + 1)),
        ('tests/sim/meson.build', 'x' * (WIDTH_MAX + 1) + '\n'),
    ], [
        ('src/core/a.cpp', '\u00e9' * WIDTH_MAX), ('src/README.md', 'x' * (WIDTH_MAX + 1)),
        ('tests/scenario/a.txt', 'x' * (WIDTH_MAX + 1)),
    ]),
    check_whitespace: ([('a.md', 'x \n'), ('a.md', 'x\r\n'), ('a.md', 'x')], [('a.md', 'x\n'), ('a.md', '')]),
    check_types: ([
        ('src/shell/a.hpp', 'namespace kvd {\nclass Log {\n};\n}\n'),
        ('src/client/a.cpp', 'namespace kvd {\nnamespace {\n}  // namespace\nstruct Entry final : Base {\n};\n}\n'),
        ('src/msg/a.hpp', 'namespace kvd {\nenum class LogLevel : uint8_t { kA };\n}\n'),
    ], [
        ('src/client/a.hpp', 'namespace kvd::client {\nclass Log {\n};\n}\n'),
        ('src/shell/a.cpp', 'namespace kvd {\nnamespace {\nclass Log {\n};\n}  // namespace\n}\n'),
        ('src/shell/a.hpp', 'namespace kvd {\nclass Log;\nstruct A {\n  struct Log {\n  };\n};\n}\n'),
    ]),
    check_words: ([
        ('a.md', 'see ../share' + 'd/design\n'), ('a.md', 'in /wor' + 'k/main\n'), ('a.md', 'closes issue' + ' 12\n'),
        ('a.md', 'fixes (#' + '7)\n'), ('a.md', 'an A' + 'I wrote it\n'), ('a.md', 'helpe' + 'r B does that\n'),
        ('a.md', "the assignmen" + "t's rule\n"), ('a.md', 'see styl' + 'e.md\n'), ('a.md', 'in docs/ap' + 'i.md\n'),
        ('a.md', 'two A' + 'Is\n'), ('a.md', 'of course assignmen' + 'ts\n'), ('a.md', 'issue' + 's 3\n'),
    ], [('a.md', 'a ZooKeeper session; GET /v1/work/x; {:#04x}; said the air; see README.md, map_api.md\n')]),
    check_top_level: ([('notes.txt', ''), ('docs/a.md', '')], [('src/a', ''), ('.ci/run', ''), ('README.md', '')]),
}


def self_test():
    wrong = [f'{check.__name__} has no planted files' for check in CHECKS if check not in PLANTED]
    for check, (bad, good) in PLANTED.items():
        wrong += [f'{check.__name__} misses {path}: {text[:60]!r}' for path, text in bad if not list(check(path, text))]
        wrong += [f'{check.__name__} refuses {path}: {text[:60]!r}' for path, text in good if list(check(path, text))]
    return wrong


def files():
    """Everything that is or could be committed; without git, everything but builds and dotfiles."""
    listed = subprocess.run(['git', '-C', ROOT, 'ls-files', '--cached', '--others', '--exclude-standard', '-z'],
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [path for path in listed.stdout.split('\0') if path]
    found = []
    for directory, names, leaves in os.walk(ROOT):
        names[:] = [name for name in names if not name.startswith(('.', 'build', '__pycache__'))]
        found += [os.path.relpath(os.path.join(directory, leaf), ROOT) for leaf in leaves]
    return found


def main():
    if sys.argv[1:] == ['--self-test']:
        wrong = self_test()
    else:
        wrong = []
        checked = 0
        for path in sorted(files()):
            if re.search(r'corpus/', path):  # bytes for a fuzzer, not text
                continue
            try:
                with open(os.path.join(ROOT, path), encoding='utf-8', newline='') as file:
                    text = file.read()
            except FileNotFoundError:  # deleted, but still in git's index
                continue
            except UnicodeDecodeError:
                wrong.append(f'{path}: is no UTF-8')
                continue
            checked += 1
            wrong += [breach for check in CHECKS for breach in check(path, text)]
        if checked == 0:
            wrong.append(f'{ROOT}: found no files to check')
    print('\n'.join(wrong) if wrong else 'tidy')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
