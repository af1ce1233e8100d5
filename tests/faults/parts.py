"""What the commands and the tests of this folder share: children, values that tell whether they are right, checks."""

import functools
import os
import signal
import sqlite3
import time
import warnings
from contextlib import closing

import numpy as np

from nbflow.store import Draft, Store

SECRET = b"s" * 32
SIZES = (1, 40, 3_000, 40_000, 400_000)
"""Of small values in the row, of arrays beside a row's pickle, of streams and of arrays in containers."""


@functools.lru_cache(4096)
def value_of(key, version):
    """A value that nobody could mistake for another one."""
    size = SIZES[(int(key[-6:], 16) + version) % len(SIZES)]
    seed = f"{key} {version} "
    return [key, version, seed * (size // len(seed)) if version % 2 else np.arange(size // 8) + version]


def draft(key, version=0, tag="f"):
    return Draft(key, tag, value_of(key, version), 1.0, (), {}, 1.0 + version)


def version_of(key, value):
    """Which version a value is; it must be one of them, whole."""
    found, version, data = value
    assert found == key
    _, _, right = value_of(key, version)
    assert np.array_equal(data, right) if isinstance(right, np.ndarray) else data == right, f"a wrong value of {key}"
    return version


def fork(work, *args):
    """Run a function in a child that ends as it ends: 0, or 1 after its error is printed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.alarm(600)  # should its parent fail to end it
        work(*args)
        code = 0
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def ended(child):
    """The exit code of a child, below 0 the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill(child):
    os.kill(child, signal.SIGKILL)
    return ended(child)


def until(condition, seconds=30):
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def index_is_sound(folder):
    path = folder / "index" / "cache.db"
    if path.exists():
        with closing(sqlite3.connect(path)) as table:
            assert table.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def containers(folder):
    return {f"{path.parent.name}/{path.name}" for path in folder.glob("blobs/*/*")}


def examine(folder):
    """Everything that must hold of a store whose writers died; gives the versions it has, and orphans it had."""
    said = []
    store = Store(folder, SECRET, warn=said.append)
    try:
        versions = {}
        for info in list(store.entries()):
            key = info.row.partition(".")[0]
            [found] = store.find(key)
            versions[key] = version_of(key, store.load(found))
        assert store.verify() == (len(versions), 0, 0)
        assert said == []
        index_is_sound(folder)
        named = {name for (name,) in store._index.run(lambda execute: execute(NAMES).fetchall(), create=False) or ()}
        orphans = containers(folder) - named
        for name in orphans:
            os.utime(folder / "blobs" / name, (0, 0))
        store.prune()
        assert containers(folder) == named
        return versions, len(orphans)
    finally:
        store.close()


NAMES = "SELECT filename FROM Cache WHERE filename IS NOT NULL"
