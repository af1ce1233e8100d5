"""Processes that are killed while they write, and processes that want the same key."""

import os
import random
import subprocess
import sys
import threading

import pytest

from nbflow.errors import StoreError
from nbflow.store import Draft, Store

SECRET = b"s" * 32
HEAD = """
import os, random, sys
from pathlib import Path
from nbflow.store import Draft, Store
said = []
store = Store(Path(sys.argv[1]), b"s" * 32, warn=said.append)
dice = random.Random(int(sys.argv[2]))
def value_of(key):
    return [key] * random.Random(key).choice((1, 10, 3000, 30_000))
def save(key):
    store.save(Draft(key, "f", value_of(key), 1.0, (), {}, 1.0))
"""
HOLDER = (
    HEAD
    + """
store.claim(sys.argv[3])
print("held", flush=True)
sys.stdin.readline()
"""
)


@pytest.fixture
def start(tmp_path):
    """Starts Python programs on one store; none is left."""
    started = []

    def run(code, *args):
        command = [sys.executable, "-c", code, str(tmp_path / "store"), *map(str, args)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_a_claim_ends_with_its_holder(start, tmp_path):
    """A killed kernel would block a step for ever."""
    key = "ab" * 16
    holder = start(HOLDER, 0, key)
    holder.stdout.readline()
    store = Store(tmp_path / "store", SECRET, warn=print)
    assert not store.claim(key, wait=False)
    free = []
    store.when_free(key, lambda: free.append(1))
    holder.kill()
    assert store.claim(key)  # waits
    store.release(key)
    store.close()


def test_a_parked_step_hears_of_another_process(start, tmp_path):
    """An async task would wait for ever for a result that another kernel computes."""
    key = "ab" * 16
    holder = start(HOLDER, 0, key)
    holder.stdout.readline()
    store = Store(tmp_path / "store", SECRET, warn=print)
    heard = threading.Event()
    store.when_free(key, heard.set)
    assert not store.claim(key, wait=False)
    assert not heard.is_set()
    holder.communicate(b"\n")
    assert heard.wait(10)
    store.close()


def test_the_kernels_false_deadlocks_are_waited_out(start, tmp_path):
    """Threads of two processes that wait for each other's keys would run them twice, or fail."""
    store = Store(tmp_path / "store", SECRET, warn=print)
    key, other = "ab" * 16, "cd" * 16
    code = (
        HEAD
        + f"""
import threading
store.claim({other!r})
print("held", flush=True)
sys.stdin.readline()
waiter = threading.Thread(target=lambda: (store.claim({key!r}, "second"), store.release({key!r})))
waiter.start()
print("waiting", flush=True)
sys.stdin.readline()
store.release({other!r})
waiter.join()
"""
    )
    store.claim(key)
    process = start(code, 0)
    process.stdout.readline()
    got = threading.Event()

    def wait():
        store.claim(other, "us")
        got.set()

    thread = threading.Thread(target=wait)
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()
    thread.start()
    assert not got.wait(0.3)
    process.stdin.write(b"\n")
    process.stdin.flush()
    assert got.wait(10)
    thread.join()
    store.release(other)
    store.release(key)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    store.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_neither_breaks_nor_inherits(tmp_path):
    """Process pools in a cell would lose rows, drop the parent's claims, or wait for them for ever."""
    said = []
    store = Store(tmp_path / "store", SECRET, warn=said.append)
    mine, childs = "ab" * 16, "cd" * 16
    store.save(Draft(mine, "f", 1, 1.0, (), {}, 1.0))
    store.claim(mine, "parent")
    go, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert store.load(store.find(mine)[0]) == 1
            assert not store.claim(mine, "child", wait=False)
            store.save(Draft(childs, "f", 2, 1.0, (), {}, 1.0))
            os.write(done[1], b".")
            os.read(go[0], 1)
            for n in range(20):
                store.save(Draft(f"{n:032}", "f", n, 1.0, (), {}, 1.0))
            code = 0
        finally:
            os._exit(code)
    os.read(done[0], 1)
    assert not Store(tmp_path / "store", SECRET, warn=print).claim(mine, "other", wait=False)
    assert store.load(store.find(childs)[0]) == 2
    store._index.close()  # the last connection that the kernel knows of, if the child has none of its own
    os.write(go[1], b".")
    assert os.waitpid(child, 0)[1] == 0
    for end in (*go, *done):
        os.close(end)
    assert store.stats().entries == 22
    assert store.verify() == (22, 0, 0)
    store.release(mine)
    store.close()
    assert said == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forking_while_threads_use_the_store(tmp_path):
    """A process pool started beside running tasks would hang or crash the kernel."""
    store = Store(tmp_path / "store", SECRET, warn=print)
    stop = threading.Event()
    errors = []

    def use(seed):
        dice = random.Random(seed)
        try:
            while not stop.is_set():
                key = f"{dice.randrange(50):032}"
                if not store.find(key):
                    store.save(Draft(key, "f", key, 1.0, (), {}, 1.0))
                store.forget(f"{dice.randrange(50):032}")
        except StoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for n in range(15):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store.save(Draft(f"{n:032}", "g", 1, 1.0, (), {}, 1.0))
                code = 0 if store.find(f"{n:032}") else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] in (0, 2 << 8)  # 2: a thread has deleted it meanwhile
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    entries = store.stats().entries
    assert store.verify() == (entries, 0, 0)
    store.close()
