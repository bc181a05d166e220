"""Every call of the HTTP interface, with the rights that it needs: a table that says once more, for people's eyes, what
core/access/judge.cpp says, and what the manual documents, so that nothing is there without a row. See auth_test.py."""
import collections
import glob
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVICES = ('locks', 'elections', 'barriers', 'ids', 'names', 'tasks', 'workers', 'znodes', 'zkqueues')
PATHLESS = ('leases', 'cluster', 'metrics', 'snapshot', 'auth')
RESOURCES = ('kv', 'fences', 'queues', 'topics', *SERVICES, *PATHLESS)

# `path` is the manual's, `target` what is asked. Each need is (resource, right, path).
Route = collections.namedtuple('Route', 'method path target needs body')
Need = collections.namedtuple('Need', 'resource right path', defaults=('',))
# A session is its user's own: whoever may write to any of the services has use for one.
ANY_SERVICE = Need('any service', 'write')


def reads(resource, path=''):
    return [Need(resource, 'read', path)]


def writes(resource, path=''):
    return [Need(resource, 'write', path)]


def changes(resource, path=''):
    return writes(resource, path) + reads(resource, path)


def of_keys():
    key, read, write = '/v1/kv/KEY', reads('kv', 'app/x'), writes('kv', 'app/x')
    fence = writes('fences', 'app/lock')
    yield Route('GET', key, '/v1/kv/app/x', read, None)
    yield Route('GET', key, '/v1/kv/app/x?read=linear', read, None)
    yield Route('GET', key, '/v1/kv/app/x?since=0&wait=1', read, None)
    for method in ('PUT', 'POST'):
        yield Route(method, key, '/v1/kv/app/x', write, 'v')
        yield Route(method, key, '/v1/kv/app/x?ttl=60000', write, 'v')
    yield Route('PUT', key, '/v1/kv/app/x?fence=app/lock:1', write + fence, 'v')
    yield Route('POST', key, '/v1/kv/app/x?append=1', write, 'v')
    yield Route('POST', key, '/v1/kv/app/x?touch=60000', write, None)
    yield Route('POST', key, '/v1/kv/app/x?add=1', changes('kv', 'app/x'), None)
    yield Route('DELETE', key, '/v1/kv/app/x', write, None)
    yield Route('GET', '/v1/kv', '/v1/kv?prefix=app/', reads('kv', 'app/'), None)
    yield Route('GET', '/v1/kv', '/v1/kv', reads('kv'), None)
    yield Route('DELETE', '/v1/kv', '/v1/kv?prefix=app/', writes('kv', 'app/'), None)
    yield Route('POST', '/v1/kv', '/v1/kv', writes('kv', 'a') + writes('kv', 'b'),
                '{"ops":[{"put":{"key":"a","value":"1"}},{"delete":{"key":"b"}}]}')
    yield Route('POST', '/v1/kv', '/v1/kv?fence=app/lock:1', writes('kv', 'a') + fence,
                '{"ops":[{"put":{"key":"a","value":"1"}}]}')
    yield Route('GET', '/v1/watch', '/v1/watch?prefix=app/', reads('kv', 'app/'), None)
    yield Route('GET', '/v1/watch', '/v1/watch?key=app/x&state=1', read, None)


def of_transactions():
    path = '/v1/txn'
    for body, needs in (
            ('{"then":[{"put":{"key":"a","value":"1"}}]}', writes('kv', 'a')),
            ('{"then":[{"append":{"key":"a","value":"1"}}]}', writes('kv', 'a')),
            ('{"then":[{"touch":{"key":"a","ttl":60000}}]}', writes('kv', 'a')),
            ('{"then":[{"get":{"key":"a"}}]}', reads('kv', 'a')),
            ('{"then":[{"add":{"key":"n","by":1}}]}', changes('kv', 'n')),
            ('{"if":[{"key":"a","exists":true}],"then":[],"else":[{"delete":{"key":"b"}}]}',
             reads('kv', 'a') + writes('kv', 'b')),
            ('{"if":[{"lease":1}],"then":[{"put":{"key":"a","value":"1"}}]}', reads('leases') + writes('kv', 'a')),
            ('{"if":[{"queue":"q","id":"1","receipt":1}],"then":[{"put":{"key":"a","value":"1"}}]}',
             reads('queues', 'q') + writes('kv', 'a')),
            ('{"then":[{"ack":{"queue":"q","id":"1","receipt":1}},{"send":{"queue":"r","body":"b"}}]}',
             writes('queues', 'q') + writes('queues', 'r')),
            ('{"then":[{"ack":{"topic":"t","subscription":"s","id":"1","receipt":1}}]}', writes('topics', 't')),
            ('{"then":[{"publish":{"topic":"t","body":"b"}}]}', writes('topics', 't'))):
        yield Route('POST', path, path, needs, body)
    yield Route('POST', path, f'{path}?fence=app/lock:1', writes('kv', 'a') + writes('fences', 'app/lock'),
                '{"then":[{"put":{"key":"a","value":"1"}}]}')


def of_leases():
    write, read = writes('leases'), reads('leases')
    yield Route('POST', '/v1/leases', '/v1/leases?ttl=60000', write, None)
    yield Route('POST', '/v1/leases', '/v1/leases?ttl=60000&hold=1', write, None)
    yield Route('GET', '/v1/leases', '/v1/leases', read, None)
    yield Route('POST', '/v1/leases/renew', '/v1/leases/renew', write, '{"leases":[1]}')
    yield Route('GET', '/v1/leases/ID', '/v1/leases/1', read, None)
    yield Route('GET', '/v1/leases/ID', '/v1/leases/1?keys=1', read + reads('kv'), None)
    for method in ('PUT', 'DELETE'):
        yield Route(method, '/v1/leases/ID', '/v1/leases/1', write, None)
    yield Route('POST', '/v1/leases/ID', '/v1/leases/1?hold=1', write, None)


def of_messages(path, target, read, write):
    """What queues and subscriptions share."""
    yield Route('GET', f'{path}/messages', f'{target}/messages', read, None)
    yield Route('GET', f'{path}/messages/ID', f'{target}/messages/1', read, None)
    yield Route('POST', f'{path}/receive', f'{target}/receive', write, None)
    yield Route('POST', f'{path}/consume', f'{target}/consume?hold=1', write, None)
    yield Route('POST', f'{path}/settle', f'{target}/settle', write, '{"ack":[{"id":"1","receipt":1}]}')
    yield Route('DELETE', f'{path}/messages/ID', f'{target}/messages/1?receipt=1', write, None)
    yield Route('PUT', f'{path}/messages/ID', f'{target}/messages/1?receipt=1', write, None)
    yield Route('POST', f'{path}/kick', f'{target}/kick', write, None)


def of_queues():
    path, target, read, write = '/v1/queues/Q', '/v1/queues/app', reads('queues', 'app'), writes('queues', 'app')
    yield Route('PUT', path, target, write, None)
    yield Route('PUT', path, target, write + writes('queues', 'dead'), '{"dead_letter":"dead"}')
    yield Route('GET', path, target, read, None)
    yield Route('GET', '/v1/queues', '/v1/queues?prefix=ap', reads('queues', 'ap'), None)
    yield Route('POST', f'{path}/messages', f'{target}/messages', write, 'body')
    yield from of_messages(path, target, read, write)
    yield Route('POST', f'{path}/kick', f'{target}/kick?to=dead', write + writes('queues', 'dead'), None)
    yield Route('DELETE', f'{path}/messages', f'{target}/messages?state=all', write, None)
    yield Route('DELETE', path, target, write, None)


def of_topics():
    path, target, read, write = '/v1/topics/T', '/v1/topics/app', reads('topics', 'app'), writes('topics', 'app')
    one, its = f'{path}/subscriptions/S', f'{target}/subscriptions/s'
    yield Route('PUT', path, target, write, None)
    yield Route('GET', path, target, read, None)
    yield Route('GET', '/v1/topics', '/v1/topics?prefix=ap', reads('topics', 'ap'), None)
    yield Route('POST', f'{path}/messages', f'{target}/messages', write, 'body')
    yield Route('GET', f'{path}/messages', f'{target}/messages', read, None)
    yield Route('GET', f'{path}/messages', f'{target}/messages?after=now&wait=1', read, None)
    yield Route('GET', f'{path}/stream', f'{target}/stream', read, None)
    yield Route('PUT', one, its, write, None)
    yield Route('PUT', one, its, write + writes('queues', 'dead'), '{"dead_letter":"dead"}')
    yield Route('GET', one, its, read, None)
    yield Route('GET', f'{path}/subscriptions', f'{target}/subscriptions', read, None)
    yield from of_messages(one, its, read, write)
    yield Route('POST', f'{one}/seek', f'{its}/seek?to=first', write, None)
    yield Route('DELETE', one, its, write, None)
    yield Route('DELETE', path, target, write, None)


def of_service(name, path, target, methods, suffix='', body=None):
    """GET is a read, and all else a write."""
    resource = 'names' if name == 'hosts' else name
    for method in methods:
        needs = reads(resource, target) if method == 'GET' else writes(resource, target)
        full = '/v1/' + name + ('/' + target if target else '')
        yield Route(method, f'/v1/{name}{path}', full + suffix, needs, body if method != 'GET' else None)


def of_services():
    for method, path in (('POST', ''), ('GET', '/ID'), ('PUT', '/ID'), ('DELETE', '/ID')):
        yield Route(method, f'/v1/sessions{path}', '/v1/sessions' + path.lower(), [ANY_SERVICE], None)
    for name, suffix in (('locks', '?hold=1'), ('elections', '?hold=1&candidate=a')):
        yield from of_service(name, '/PATH', 'app/a', ['POST'], suffix)
        yield from of_service(name, '/PATH', 'app/a', ['GET', 'DELETE'])
    yield from of_service('barriers', '/PATH', 'app/b', ['PUT', 'GET', 'DELETE'])
    yield from of_service('barriers', '/PATH/enter', 'app/b/enter', ['POST'], '?size=1&hold=1')
    yield from of_service('barriers', '/PATH/leave', 'app/b/leave', ['POST'])
    yield from of_service('ids', '/POOL', 'pool', ['POST'], '?hold=1')
    yield from of_service('ids', '/POOL', 'pool', ['GET'])
    yield from of_service('ids', '/POOL/ID', 'pool/1', ['PUT', 'DELETE'])
    yield from of_service('names', '/PATH', 'app/n', ['PUT'], body='{"address":"10.0.0.5"}')
    yield from of_service('names', '/PATH', 'app/n', ['POST'], '?hold=1', '{"address":"10.0.0.5"}')
    yield from of_service('names', '/PATH', 'app/n', ['GET', 'DELETE'])
    yield from of_service('names', '/PATH', 'app/n', ['GET'], '?recurse=1')
    yield from of_service('names', '', '', ['GET'], '?recurse=1')
    yield from of_service('hosts', '', '', ['GET'])
    yield from of_service('tasks', '', '', ['POST'], body='1')
    yield from of_service('tasks', '', '', ['GET'])
    yield from of_service('tasks', '/ID', 'task-1', ['GET', 'DELETE'])
    for last in ('progress', 'result'):
        yield from of_service('tasks', f'/ID/{last}', f'task-1/{last}', ['PUT'], '?fence=1', '1')
    yield from of_service('workers', '', '', ['POST'], '?name=w&hold=1')
    yield from of_service('workers', '/NAME/next', 'w/next', ['POST'])
    yield from of_service('znodes', '/PATH', 'app/z', ['POST'], '?parents=1', 'v')
    for suffix in ('', '?view=children', '?view=stat'):
        yield from of_service('znodes', '/PATH', 'app/z', ['GET'], suffix)
    yield from of_service('znodes', '/PATH', 'app/z', ['PUT', 'DELETE'], body='v')
    yield from of_service('zkqueues', '/PATH', 'app/q', ['POST'], body='1')
    yield from of_service('zkqueues', '/PATH', 'app/q', ['GET'])
    yield from of_service('zkqueues', '/PATH/take', 'app/q/take', ['POST'])
    yield from of_service('zkqueues', '/PATH/take', 'app/q/take', ['POST'], '?locking=1&hold=1')
    yield from of_service('zkqueues', '/PATH/NAME', 'app/q/entry', ['DELETE'], '?fence=1')


def of_cluster():
    yield Route('GET', '/v1/snapshot', '/v1/snapshot', reads('snapshot'), None)
    yield Route('PUT', '/v1/snapshot', '/v1/snapshot', writes('snapshot'), 'this is none')
    for path in ('', '/leader', '/why'):
        yield Route('GET', f'/v1/cluster{path}', f'/v1/cluster{path}', reads('cluster'), None)
    for path in ('/leader', '/lineage'):
        yield Route('POST', f'/v1/cluster{path}', f'/v1/cluster{path}', writes('cluster'), None)
    yield Route('PUT', '/v1/cluster/settings', '/v1/cluster/settings', writes('cluster'), '{"min_in_sync":1}')
    yield Route('DELETE', '/v1/fences/R', '/v1/fences/app/lock', writes('cluster'), None)
    yield Route('GET', '/livez', '/livez', [], None)
    for path in ('/readyz', '/healthz'):
        yield Route('GET', path, path, [], None)
        yield Route('GET', path, f'{path}?verbose', reads('cluster'), None)
    yield Route('GET', '/metrics', '/metrics', reads('metrics'), None)


def of_auth():
    write, read = writes('auth'), reads('auth')
    for kind, body in (('policies', '{"rules":[]}'), ('users', '{"policies":[]}'), ('tokens', None)):
        path, one = f'/v1/auth/{kind}', '/ID' if kind == 'tokens' else '/NAME'
        target = f'{path}/aaaaaaaa'
        yield Route('GET', path, path, read, None)
        yield Route('GET', path + one, target, read, None)
        yield Route('DELETE', path + one, target, write, None)
        if body:
            yield Route('PUT', path + one, f'{path}/other', write, body)
    yield Route('POST', '/v1/auth/tokens', '/v1/auth/tokens', write, '{"user":"other"}')
    yield Route('GET', '/v1/auth/test', '/v1/auth/test?user=root&right=read&resource=kv&path=a', read, None)
    yield Route('GET', '/v1/auth/whoami', '/v1/auth/whoami', [], None)


ROUTES = [*of_keys(), *of_transactions(), *of_leases(), *of_queues(), *of_topics(), *of_services(), *of_cluster(),
          *of_auth()]


def without(needs, left_out):
    """The rules of somebody who may do everything else: the whole of each resource, but for the right that is left
    out. Of that one, if it has paths, he has others."""
    rules = []
    for resource in RESOURCES:
        missing = resource == left_out.resource or left_out is ANY_SERVICE and resource in SERVICES
        may = [right for right in ('read', 'write') if not missing or right != left_out.right]
        rules.append({resource: '', 'may': may})
        if missing and resource not in PATHLESS and left_out is not ANY_SERVICE:
            rules.append({resource: 'elsewhere/', 'may': [left_out.right]})
    same = [need for need in needs if need is not left_out and need[:2] == left_out[:2]]
    return rules + [{need.resource: need.path, 'may': [need.right]} for need in same]


def exactly(needs):
    return [{'zkqueues' if need is ANY_SERVICE else need.resource: need.path, 'may': [need.right]} for need in needs]


def same_names(path):
    """A path with one word for all that the manual writes in capitals."""
    return '/'.join('*' if part.isupper() else part for part in path.split('/'))


def documented():
    """(method, path) of every call in the manual's tables and lists, and the page."""
    found = {}
    for page in sorted(glob.glob(os.path.join(ROOT, 'src', 'manual', '*.md'))):
        with open(page, encoding='utf-8') as file:
            lines = [line for line in file if re.match(r'\| `|- `(GET|PUT|POST|DELETE) ', line)]
        for line in lines:
            methods = []
            for code in re.findall('`([^`]*)`', line.split(' | ')[0] if line.startswith('|') else line):
                call = re.fullmatch(r'(GET|PUT|POST|DELETE) ((?:/|\.\.\./)[^ ?]*).*', code)
                if re.fullmatch('GET|PUT|POST|DELETE', code):
                    methods.append(code)
                elif call:
                    methods.append(call[1])
                    path = same_names(call[2].replace('...', '/v1/topics/T/subscriptions'))
                    found.update(dict.fromkeys(((method, path) for method in methods), os.path.basename(page)))
                    methods = []
    return found


def paths_in_the_source():
    """The paths that the source of the HTTP interface names, each with its file."""
    found = {}
    for name in glob.glob(os.path.join(ROOT, 'src', 'shell', 'http', 'http_*.cpp')):
        with open(name, encoding='utf-8') as file:
            for path in re.findall(r'"(/(?:v1/|metrics|livez|readyz|healthz)[a-z/]*)"', file.read()):
                found[path.rstrip('/')] = os.path.basename(name)
    return found
