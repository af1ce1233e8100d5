"""Peak memory of storing and of loading a big value, and that what is loaded shares nothing with the file."""

import hashlib
import os
import re
from pathlib import Path

import numpy as np

from nbflow.store import Draft, Store
from tests.faults.parts import SECRET, ended, fork

KEY = "ab" * 16
WARM = "cd" * 16


def peak():
    """Most bytes that this process had in memory since `reset`."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def reset():
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def value_of(size):
    return np.arange(size // 8, dtype=np.uint64)


def digest(folder):
    _, path = sorted(folder.glob("blobs/*/*.nbf"), key=lambda path: path.stat().st_size)
    with path.open("rb") as file:
        return path.stat().st_mtime_ns, hashlib.file_digest(file, "blake2b").hexdigest()


def store_it(folder, size, report):
    store = Store(folder, SECRET, warn=print, max_size=4 * size + (1 << 30))
    store.save(Draft(WARM, "f", np.arange(200_000, dtype=np.uint64), 1.0, (), {}, 1.0))
    store.save(Draft(KEY, "f", np.arange(200_000), 1.0, (), {}, 1.0))
    value = value_of(size)
    before = reset()
    store.save(Draft(KEY, "f", value, 1.0, (), {}, 1.0))
    os.write(report, b"%d" % (peak() - before))
    store.close()


def load_it(folder, size, report):
    store = Store(folder, SECRET, warn=print)
    warm = store.load(store.find(WARM)[0])  # code that is read from disk once is not the value's
    warm += np.uint64(1)
    before = reset()
    value = store.load(store.find(KEY)[0])
    above = peak() - before - size
    whole = digest(folder)
    value += np.uint64(1)  # every page of it
    value[::4096] = 0
    assert peak() - before - size < 0.05 * size, "a change took more than the value"
    assert digest(folder) == whole, "the file was changed"
    again = store.load(store.find(KEY)[0])
    assert np.array_equal(again, value_of(size)), "the next hit was changed"
    assert shared_writable(folder) == [], "pages are shared with the file"
    os.write(report, b"%d" % above)


def shared_writable(folder):
    """Writable maps of the store's containers that are shared with the file."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if f"{folder}/blobs" in line and re.search(r" .w.s ", line)]


def memory(folder, mib):
    """Store and load a value of so many MiB; gives the peaks above the value itself, in per cent of it."""
    size = mib << 20
    seen = {}
    for label, work in (("storing", store_it), ("loading with all digests checked", load_it)):
        read, report = os.pipe()
        child = fork(work, folder, size, report)
        os.close(report)
        with open(read) as lines:
            text = lines.read()
        assert ended(child) == 0
        percent = 100 * int(text) / size
        assert percent < 5, f"{label}: {percent:.1f} % above the value"
        seen[f"{label}, peak above the value"] = f"{percent:.2f} %"
    return seen | {"changed pages in the file, or in the next hit": 0}
