"""Steps on threads of our own."""

import os
import threading

import pytest

from nbflow.errors import ConfigurationError
from nbflow.task_runners import ConcurrentTaskRunner, ThreadPoolTaskRunner

PATIENCE = 20


class Gate:
    """Work that tells that it runs, and ends when it is let go."""

    def __init__(self, count):
        self.lock, self.open, self.full = threading.Lock(), threading.Event(), threading.Event()
        self.running = self.most = self.ended = 0
        self.count, self.all = count, threading.Event()

    def work(self):
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.open.wait(PATIENCE)
        with self.lock:
            self.running -= 1
            self.ended += 1
            if self.ended == self.count:
                self.all.set()


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, "4"])
def test_workers_are_a_whole_number(workers):
    """A pool of no workers would wait for ever."""
    with pytest.raises(ConfigurationError, match="max_workers="):
        ThreadPoolTaskRunner(workers)


def test_default_number_of_workers():
    """A hundred downloads would go one by one, or a thousand threads start."""
    assert 8 <= ThreadPoolTaskRunner().max_workers <= 32


def test_never_more_than_max_workers():
    """A service that allows three connections would get ten."""
    pool, gate = ThreadPoolTaskRunner(3), Gate(20)
    for _ in range(20):
        pool.start(gate.work)
    gate.open.set()
    assert gate.all.wait(PATIENCE)
    assert 1 <= gate.most <= 3


def test_workers_are_used_again():
    """Every item would cost a new thread."""
    pool, names = ThreadPoolTaskRunner(4), set()
    for _ in range(50):
        done = threading.Event()

        def work(done=done):
            names.add(threading.current_thread().name)
            done.set()

        pool.start(work)
        assert done.wait(PATIENCE)
    assert len(names) <= 4


def test_nothing_starts_before_the_first_step():
    """`import nbflow` would start threads."""
    before = threading.active_count()
    ThreadPoolTaskRunner(8)
    assert threading.active_count() == before


def test_workers_are_daemons():
    """The exit of a process, or Ctrl-C, would wait for a hung download."""
    pool, found = ThreadPoolTaskRunner(1), []
    done = threading.Event()
    pool.start(lambda: (found.append(threading.current_thread()), done.set()))
    assert done.wait(PATIENCE)
    assert found[0].daemon and found[0].name.startswith("nbflow-worker")


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_nested_waits_deeper_than_the_pool(workers):
    """A step that submits steps and waits for them would hang once all workers wait."""
    pool, end = ThreadPoolTaskRunner(workers), threading.Event()

    def descend(depth):
        if depth == 33:
            end.set()
            return
        below = threading.Event()

        def work():
            descend(depth + 1)
            below.set()

        pool.start(work)
        with pool.lend():
            assert below.wait(PATIENCE)

    top = threading.Event()
    pool.start(lambda: (descend(0), top.set()))
    assert end.wait(PATIENCE) and top.wait(PATIENCE)


def test_after_lending_the_bound_holds_again():
    """After one nested map the pool would stay larger than it may be."""
    pool = ThreadPoolTaskRunner(2)
    lenders, back = Gate(2), threading.Event()

    def lend():
        with pool.lend():
            lenders.work()
        if lenders.all.is_set():
            back.set()

    for _ in range(2):
        pool.start(lend)
    inner = Gate(6)
    for _ in range(6):
        pool.start(inner.work)
    inner.open.set()
    assert inner.all.wait(PATIENCE) and inner.most <= 2
    lenders.open.set()
    assert back.wait(PATIENCE)
    later = Gate(12)
    for _ in range(12):
        pool.start(later.work)
    later.open.set()
    assert later.all.wait(PATIENCE)
    assert later.most <= 2


def test_many_producers():
    """Work would get lost between threads that submit at the same time."""
    pool, gate = ThreadPoolTaskRunner(4), Gate(400)
    gate.open.set()
    makers = [threading.Thread(target=lambda: [pool.start(gate.work) for _ in range(50)]) for _ in range(8)]
    for each in makers:
        each.start()
    for each in makers:
        each.join()
    assert gate.all.wait(PATIENCE) and gate.most <= 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_workers_of_its_own():
    """In a forked child every submitted step would wait for threads that are not there."""
    pool, done = ThreadPoolTaskRunner(1), threading.Event()
    pool.start(done.set)
    assert done.wait(PATIENCE)
    child = os.fork()
    if not child:
        ran = threading.Event()
        pool.start(ran.set)
        os._exit(0 if ran.wait(5) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_prefects_older_name():
    """`ConcurrentTaskRunner(max_workers=4)` of an older program would not import."""
    assert ConcurrentTaskRunner(max_workers=4).max_workers == 4
