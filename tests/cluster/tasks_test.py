#!/usr/bin/python3
"""Tasks with real servers, real workers (`kvd work`) and a real ZooKeeper, as clients/workers/masters: who fails, and
what becomes of the task; what becomes of tasks when ZooKeeper's servers end and the master's session expires; and a
client and a worker written with kazoo beside kvd's. Usage: tasks_test.py KVD CASE"""
import os
import signal
import subprocess
import threading

from services_cluster import LONG, Clients, Cluster, Process, eventually, insist, run_case, say


class Stage:
    """A cluster, and workers whose command notes that it began and goes on once the gate is open."""

    def __init__(self, binary, ensemble=1, flags=()):
        self.binary = binary
        self.cluster = Cluster(binary, ensemble=ensemble, flags=flags)
        self.workers = {}

    def __enter__(self):
        self.cluster.__enter__()
        self.journal = os.path.join(self.cluster.directory, 'journal')
        self.gate = os.path.join(self.cluster.directory, 'gate')
        self.kazoo = self.cluster.kazoo()
        return self

    def __exit__(self, *problem):
        self.open_gate()
        for worker in self.workers.values():
            worker.end()
        self.cluster.__exit__(*problem)

    @property
    def servers(self):
        return self.cluster.servers

    def open_gate(self):
        with open(self.gate, 'w', encoding='ascii'):
            pass

    def close_gate(self):
        os.remove(self.gate)

    def begun(self):
        """(task, attempt) of each time that a worker's command began."""
        if not os.path.exists(self.journal):
            return []
        with open(self.journal, encoding='ascii') as journal:
            return [tuple(line.split()) for line in journal]

    def work(self, name, server, *flags):
        command = (f'echo $KVD_TASK $KVD_ATTEMPT >> {self.journal}; while [ ! -e {self.gate} ]; do sleep 0.02; done; '
                   'tr a-z A-Z')
        self.workers[name] = Process(
            [self.binary, 'work', '--exec', command, '--name', name, '--servers', server.name, *flags],
            os.path.join(self.cluster.directory, f'worker-{name}.log'))
        eventually(f'{name} is registered', lambda: self.registered(name))

    def registered(self, name):
        """How many of that name."""
        known = self.kazoo.get_children('/workers') if self.kazoo.exists('/workers') else []
        return sum(one.split('.')[0] == name for one in known)

    def leave(self, server, data):
        status, answer = insist(server.post, '/v1/tasks', data)
        assert status == 202, (status, answer)
        return answer['id']

    def result(self, server, task):
        """Of a task that ends in time, as JSON."""
        status, answer = insist(server.get, f'/v1/tasks/{task}?wait=60000')
        assert status == 200 and answer['state'] == 'done', (status, answer)
        return answer

    def master(self):
        """The server whose contender is the first."""
        def first():
            if not self.kazoo.exists('/master'):
                return None
            contenders = sorted(self.kazoo.get_children('/master'), key=lambda name: name[-10:])
            if not contenders:
                return None
            name = self.kazoo.get(f'/master/{contenders[0]}')[0].decode()
            return next((one for one in self.servers if name == f'127.0.0.1:{one.port}'), None)
        return eventually('a master', first)

    def backup(self):
        master = self.master()
        return next(one for one in self.servers if one is not master)


def worker_fails(binary):
    with Stage(binary) as stage:
        one, two = stage.servers
        say('(1/1/1) the only worker is killed with a task; another one comes')
        stage.work('a', one)
        task = stage.leave(two, 'data')
        eventually('it began', lambda: stage.begun() == [(task, '1')])
        stage.workers['a'].end()
        stage.work('b', two)
        eventually('it began again', lambda: stage.begun() == [(task, '1'), (task, '2')])
        stage.open_gate()
        answer = stage.result(one, task)
        assert answer['result'] == 'DATA' and answer['worker'] == 'b' and answer['attempt'] == 2, answer
        assert stage.kazoo.get(f'/tasks/{task}')[0] == f'{task}=DATA'.encode()


def client_fails(binary):
    with Stage(binary) as stage:
        one, two = stage.servers
        say('(1/1/1) the client is killed while it waits for its result')
        task = stage.leave(one, 'data')
        client = subprocess.Popen(['curl', '-s', f'http://127.0.0.1:{one.port}/v1/tasks/{task}?wait=600000'])
        client.kill()
        client.wait()
        stage.open_gate()
        stage.work('a', two)
        assert stage.result(two, task)['result'] == 'DATA'


def other_worker_takes_over(binary):
    with Stage(binary) as stage:
        one, two = stage.servers
        say('(1/2/1) a worker is killed while it executes; the other is free')
        stage.work('a', one)
        task = stage.leave(one, 'data')
        eventually('it began', lambda: stage.begun() == [(task, '1')])
        stage.work('b', two)
        stage.workers['a'].end()
        eventually('the other began', lambda: (task, '2') in stage.begun())
        stage.open_gate()
        assert stage.result(two, task)['worker'] == 'b'
        assert stage.begun() == [(task, '1'), (task, '2')]


def workers_compete(binary):
    with Stage(binary) as stage:
        one, two = stage.servers
        say('(2/2/1) two clients leave twenty tasks each, two workers compete for them')
        stage.open_gate()
        stage.work('a', one)
        stage.work('b', two)
        tasks = []

        def client(server):
            for number in range(20):
                tasks.append((server, stage.leave(server, f'task {number}'), f'TASK {number}'))

        clients = [threading.Thread(target=client, args=(server,)) for server in (one, two)]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        workers = set()
        for server, task, wanted in tasks:
            answer = stage.result(server, task)
            assert answer['result'] == wanted and answer['attempt'] == 1, answer
            workers.add(answer['worker'])
        assert sorted(stage.begun()) == sorted((task, '1') for _, task, _ in tasks)
        assert workers == {'a', 'b'}, workers


def master_fails(binary):
    with Stage(binary) as stage:
        task = stage.leave(stage.servers[0], 'before')
        master, backup = stage.master(), stage.backup()
        say('(2/2/2) the master is killed while a worker of the backup executes and a task waits')
        stage.work('a', backup)
        eventually('it began', lambda: stage.begun() == [(task, '1')])
        waiting = stage.leave(backup, 'after')
        master.kill()
        eventually('the backup is master', lambda: stage.master() is backup)
        stage.work('b', backup)
        stage.open_gate()
        assert stage.result(backup, task)['attempt'] == 1
        assert stage.result(backup, waiting)['result'] == 'AFTER'
        assert sorted(stage.begun()) == sorted([(task, '1'), (waiting, '1')])


def next_assigns_at_once(binary):
    # Beyond all that a test waits for.
    with Stage(binary, flags=('--session-timeout', '600000')) as stage:
        stage.open_gate()
        first = stage.leave(stage.servers[0], 'first')
        master, backup = stage.master(), stage.backup()
        stage.work('a', backup)
        assert stage.result(backup, first)['result'] == 'FIRST'
        say('(2/2/2) the master is killed, and ZooKeeper keeps its session for ten minutes')
        Worker(master, 'lost')
        life = next(name for name in stage.kazoo.get_children('/kvd/lives') if name.startswith(f'{master.name}.'))
        master.kill()
        answer = stage.result(backup, stage.leave(backup, 'data'))
        assert answer['result'] == 'DATA' and answer['worker'] == 'a' and answer['attempt'] == 1, answer
        assert stage.kazoo.exists(f'/kvd/lives/{life}')
        say('the name of its worker is free')
        Worker(backup, 'lost')
        assert len(stage.kazoo.get_children('/master')) == 1
        say('it is back; now the other one is killed')
        master.start()
        eventually('it stands again', lambda: len(stage.kazoo.get_children('/master')) == 2)
        assert stage.master() is backup
        stage.work('b', master)
        backup.kill()
        answer = stage.result(master, stage.leave(master, 'more'))
        assert answer['result'] == 'MORE' and answer['worker'] == 'b' and answer['attempt'] == 1, answer


def layout_stands(binary):
    layout = ('/tasks', '/data', '/workers', '/master', '/kvd/tasks')
    with Cluster(binary) as cluster:
        say('the servers are up, and nobody has used tasks')
        kazoo = cluster.kazoo()
        for path in layout:
            kazoo.get_children(path)
        say('somebody deletes what is not in use')
        deleted = [path for path in layout if path != '/master']
        for path in deleted:
            kazoo.delete(path)
        for path in deleted:
            eventually(f'{path} is there again', lambda path=path: kazoo.exists(path))
        kazoo.create('/workers/k', b'non', ephemeral=True)
        task = kazoo.create('/tasks/task-', sequence=True).rsplit('/', 1)[1]
        kazoo.create(f'/data/{task}', b'data')
        eventually('it was assigned', lambda: kazoo.get('/workers/k')[0] == task.encode())


def master_lags(binary):
    with Stage(binary, flags=('--session-timeout', '4000')) as stage:
        stage.open_gate()
        first = stage.leave(stage.servers[0], 'first')
        master, backup = stage.master(), stage.backup()
        stage.work('a', backup)
        assert stage.result(backup, first)['attempt'] == 1
        say('the master sleeps; tasks are left meanwhile')
        master.running.signal(signal.SIGSTOP)
        tasks = [stage.leave(backup, f'task {number}') for number in range(5)]
        eventually('the backup is master', lambda: stage.master() is backup)
        for task in tasks:
            assert stage.result(backup, task)['attempt'] == 1
        say('the former master wakes: nothing is given out twice')
        master.running.signal(signal.SIGCONT)
        eventually('it stands again', lambda: len(stage.kazoo.get_children('/master')) == 2)
        assert stage.master() is backup
        last = stage.leave(master, 'last')
        assert stage.result(master, last)['attempt'] == 1
        assert sorted(stage.begun()) == sorted((task, '1') for task in [first, *tasks, last])


class Worker:
    """One that speaks HTTP, by a session."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.session = server.open_session()
        assert insist(server.post, f'/v1/workers?name={name}&session={self.session}')[0] == 201

    def next(self):
        status, task = insist(self.server.post, f'/v1/workers/{self.name}/next?session={self.session}&wait=60000')
        assert status == 200, (status, task)
        return task


def ensemble(binary):
    with Stage(binary, ensemble=3, flags=LONG) as stage:
        say('(2/2/2) clients leave tasks while the servers of ZooKeeper end one after another')
        stage.open_gate()
        stage.work('a', stage.servers[0])
        stage.work('b', stage.servers[1])
        left = []

        def turn(server, _):
            task = stage.leave(server, f'task {len(left)}')
            left.append(task)
            answer = stage.result(server, task)
            assert answer['result'].startswith('TASK ') and answer['attempt'] == 1, answer

        with Clients(stage.servers, turn) as clients:
            for _ in stage.cluster.each_zookeeper_away():
                clients.go_on()
            clients.go_on()
        # Others were left by calls whose answers got lost: they are done, too, and once.
        assert len(set(stage.begun())) == len(stage.begun())
        assert {(task, '1') for task in left} <= set(stage.begun())
        eventually('all are done', lambda: all(
            task['state'] == 'done' for task in insist(stage.servers[0].get, '/v1/tasks')[1]['tasks']))
        stage.workers.pop('a').end()
        stage.workers.pop('b').end()
        for worker in ('a', 'b'):
            eventually('it is gone', lambda worker=worker: not stage.kazoo.exists(f'/workers/{worker}'))

        say('the session of the master expires; a worker of its own has a task, so has one of the backup')
        stage.close_gate()
        former, backup = stage.master(), stage.backup()
        worker = Worker(former, 'c')
        lost = stage.leave(former, 'lost')
        first = worker.next()
        assert first['id'] == lost and first['attempt'] == 1, first
        stage.work('d', backup)
        kept = stage.leave(backup, 'kept')
        eventually('it began', lambda: (kept, '1') in stage.begun())
        waiting = stage.leave(former, 'waiting')
        stage.cluster.expire(former)
        eventually('the backup is master', lambda: stage.master() is backup)
        assert insist(former.post, f'/v1/workers/c/next?session={worker.session}')[0] == 410
        for server in stage.servers:
            status, answer = insist(server.put, f'/v1/tasks/{lost}/result?fence={first["fence"]}', 'late')
            assert status == 412, answer
        say('the task goes to another worker, of the former master again; the late result is refused')
        other = Worker(former, 'c')
        again = other.next()
        assert again['id'] == lost and again['attempt'] == 2 and again['fence'] > first['fence'], again
        result = f'/v1/tasks/{lost}/result?fence='
        assert insist(backup.put, f'{result}{first["fence"]}', 'late')[0] == 412
        for _ in range(2):
            status, answer = insist(backup.put, f'{result}{again["fence"]}', 'in time')
            assert (status, answer) == (200, {'id': lost, 'state': 'done'}), answer
        assert stage.result(former, lost)['result'] == 'in time'
        third = other.next()
        assert third['id'] == waiting and third['attempt'] == 1, third
        assert insist(former.put, f'/v1/tasks/{waiting}/result?fence={third["fence"]}', 'done')[0] == 200
        stage.open_gate()
        answer = stage.result(former, kept)
        assert answer['result'] == 'KEPT' and answer['attempt'] == 1, answer
        assert stage.master() is backup and len(stage.kazoo.get_children('/master')) == 2


def worker_outlives(binary):
    with Stage(binary, ensemble=3, flags=LONG) as stage:
        one, two = stage.servers
        say('the sessions of a worker\'s server end one after another, while it registers anew')
        stage.open_gate()
        stage.work('a', one, '--parallel', '16')
        worker = stage.workers['a'].process
        for _ in range(20):
            stage.cluster.end_session(one)
            eventually('it registers', lambda: worker.poll() is not None or stage.registered('a'))
            assert worker.poll() is None, f'it ended with {worker.poll()}'
        tasks = [stage.leave(two, 'data') for _ in range(8)]
        assert all(stage.result(two, task)['result'] == 'DATA' for task in tasks)


def with_kazoo(binary):
    with Stage(binary) as stage:
        one, _ = stage.servers
        kazoo = stage.kazoo
        say('a client with kazoo, a worker of kvd\'s')
        stage.open_gate()
        for path in ('/tasks', '/data', '/workers'):
            kazoo.ensure_path(path)
        stage.work('a', one)
        path = kazoo.create('/tasks/task-', b'', sequence=True)
        task = path.rsplit('/', 1)[1]
        kazoo.create(f'/data/{task}', b'by kazoo')
        eventually('kvd\'s worker did it', lambda: kazoo.get(path)[0] == f'{task}=BY KAZOO'.encode())
        eventually('it is idle', lambda: kazoo.get('/workers/a')[0] == b'non')
        stage.workers.pop('a').end()
        eventually('it is gone', lambda: not kazoo.exists('/workers/a'))
        say('a client of kvd\'s, a worker with kazoo')
        kazoo.create('/workers/k', b'non', ephemeral=True)
        other = stage.leave(one, 'for kazoo')
        eventually('it was assigned', lambda: kazoo.get('/workers/k')[0] == other.encode())
        data = kazoo.get(f'/data/{other}')[0]
        kazoo.set(f'/tasks/{other}', f'{other}='.encode() + data[::-1])
        kazoo.set('/workers/k', b'non')
        assert stage.result(one, other)['result'] == 'oozak rof'


run_case({
    'a task whose worker fails': worker_fails,
    'a task whose client fails': client_fails,
    'a task whose worker fails while it executes goes to the other': other_worker_takes_over,
    'workers compete and each task runs once': workers_compete,
    'the master of tasks fails and the backup resumes': master_fails,
    'the next in line assigns tasks before the session of a killed master ends': next_assigns_at_once,
    'the layout of tasks stands with the servers': layout_stands,
    'a master of tasks that lags gives nothing out late': master_lags,
    'no task is lost with ZooKeeper servers and the master\'s session': ensemble,
    'a worker outlives the sessions of its server': worker_outlives,
    'a client and a worker of tasks with kazoo': with_kazoo,
})
