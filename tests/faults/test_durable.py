"""The short forms of `python -m tests.faults durable`, and what processes that share a job owe each other."""

import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from nbflow import InDoubt, StoreError, checkpoint, configure, once
from nbflow.durable.ledger import ledger_of
from nbflow.session import session
from nbflow.store import Store
from tests.faults import durable
from tests.faults.parts import SECRET, ended, fork, kill

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_killed_processes_leave_nothing_in_the_dark(ram):
    """A payment would be made twice, an order lost, an item done again, because a kernel died at a bad moment."""
    seen = durable.rounds(ram, 20, 7)
    assert seen["kills"] == 80
    assert seen["effects with their row"] == 20 * durable.KEYS


def test_killed_processes_with_many_threads(ram):
    """A pool of threads in each of some kernels would enter an order twice, or lose one when a kernel dies."""
    seen = durable.rounds(ram, 6, 5, durable.crowd)
    assert seen["kills"] == 24
    assert seen["effects with their row"] == 6 * durable.KEYS


@pytest.mark.parametrize("point", durable.POINTS)
def test_a_process_may_end_at_any_named_point(ram, point):
    """A crash between an effect and its row would be taken for none, or for done."""
    place = durable.Place(ram)
    assert ended(fork(durable.until_point, place, point)) == 99
    durable.sound(place, [2])
    durable.check(place)


def test_a_process_may_end_before_any_line(ram):
    """A crash at one unlucky instant would leave a ledger that never works again."""
    assert durable.every_line(ram, 211)["ends"] > 5


def child(folder, work, *args):
    """Run a function in a process with a store of its own in a folder."""

    def inside():
        configure(store=Store(folder, SECRET, warn=print))
        work(*args)

    return fork(inside)


def test_processes_share_the_items_of_a_job(ram):
    """Two notebooks on one job would both do all of it, or one would not see what the other has done."""
    lines = ram / "lines"

    def work():
        with checkpoint("job", range(120), chunk_size=3) as job:
            for chunk in job:
                with lines.open("a") as file:
                    file.write("".join(f"{n}\n" for n in chunk))
                job.save([-n for n in chunk])
            assert job.progress == (120, 120)
            assert job.results() == [-n for n in range(120)]

    children = [child(ram / "store", work) for _ in range(4)]
    assert [ended(each) for each in children] == [0] * 4
    assert sorted(map(int, lines.read_text().split())) == list(range(120))


def test_killed_while_the_log_is_taken_over(tmp_path):
    """A kernel that dies while SQLite copies its log into the file would lose what had been done, or the ledger.

    On the disk, where copying takes long: whether it was under way is read from the log's index beside it.
    """
    store, lines = tmp_path / "store", tmp_path / "lines"
    files = store / "ledger.db", store / "index" / "cache.db"
    often = "PRAGMA wal_autocheckpoint = 8"

    def work(report):
        with checkpoint("job", range(2000)) as job, lines.open("a", buffering=1) as told:
            for n in job:
                ledger_of(session.store).read(often)
                session.store.vault.index.run(lambda execute: execute(often).fetchall())
                job.save([n, "x" * 500])
                told.write(f"{n}\n")
                os.write(report, b".")

    def check():
        done = {int(line) for line in lines.read_text().split()}
        with checkpoint("job", range(2000)) as job:
            kept = job.results(partial=True)
        assert done <= {n for n, _ in kept}
        assert all(text == "x" * 500 for _, text in kept)

    dice, within = random.Random(3), 0
    for _ in range(60):
        read, report = os.pipe()
        worker = child(store, work, report)
        os.close(report)
        os.read(read, 3)
        time.sleep(dice.uniform(0, 0.02))
        assert kill(worker) == -9
        os.close(read)
        within += any(taking_over(path) for path in files)
        assert ended(child(store, check)) == 0
        for path in files:
            with closing(sqlite3.connect(path)) as table:
                assert table.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
        if within >= 5:
            return
    raise AssertionError(f"only {within} kills came while a log was taken over")


def taking_over(path):
    """Whether a checkpoint was begun and not ended: https://www.sqlite.org/walformat.html#the_wal_index_file_format."""
    index = path.with_name(f"{path.name}-shm").read_bytes()
    (ended,), (begun,) = struct.unpack_from("=I", index, 96), struct.unpack_from("=I", index, 128)
    return begun > ended


def test_whoever_waits_for_a_dead_process_goes_on(ram):
    """A kernel that was killed would keep its item, or its effect, for ever."""
    read, report = os.pipe()

    def hold():
        for _ in checkpoint("job", [1]):
            once("k", lambda: (os.write(report, b"."), time.sleep(60)))

    def take_over():
        start = time.monotonic()
        assert list(checkpoint("job", [1])) == [1]
        try:
            once("k", lambda: None)
            raise AssertionError
        except InDoubt as doubt:
            assert "its process died" in str(doubt)
        assert once.status("k").state == "in doubt"
        os.write(report, b"%f " % (time.monotonic() - start))

    holder = child(ram / "store", hold)
    os.read(read, 1)
    waiter = child(ram / "store", take_over)
    time.sleep(0.3)  # in all likelihood it waits by now
    killed = time.monotonic()
    assert kill(holder) == -9
    assert ended(waiter) == 0
    assert time.monotonic() - killed < 5
    os.close(read)
    os.close(report)


def test_progress_is_known_at_once_after_a_kill(ram):
    """A job of a night would look as if it began anew."""
    read, report = os.pipe()

    def work():
        with checkpoint("job", range(100)) as job:
            for n in job:
                job.save(n * n)
                if n == 36:
                    os.write(report, b".")
                    time.sleep(60)

    def resume():
        job = checkpoint("job", range(100))
        assert str(job.progress) == "37/100"
        calls = []

        def left():
            for n in job:
                calls.append(n)
                job.save(n * n)

        left()
        assert calls == list(range(37, 100))
        assert job.results() == [n * n for n in range(100)]

    first = child(ram / "store", work)
    os.read(read, 1)
    assert kill(first) == -9
    assert ended(child(ram / "store", resume)) == 0
    os.close(read)
    os.close(report)


@pytest.mark.skipif(os.geteuid() != 0, reason="a full disk needs a mount, so root")
def test_a_full_disk(tmp_path):
    """An effect would happen that cannot be written down, or a job end because its values find no room."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("a full disk is not tried: nothing can be mounted here")
    try:
        assert ended(child(folder / "store", _fill, folder)) == 0
    finally:
        subprocess.run(["umount", folder], check=True)


def _fill(folder):
    once("before", len, "abc")
    (folder / "ballast").write_bytes(b"")
    with (folder / "ballast").open("ab", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            pass
    calls = []
    for n in range(200):  # the log may have some room of its own left
        try:
            once(f"k{n}", lambda n=n: calls.append(n))
        except StoreError:
            break
    else:
        raise AssertionError("the disk was never full")
    assert calls == list(range(n))
    with checkpoint("job", range(3)) as job:
        for n in job:
            job.save("x" * 100_000)
        assert job.results() == ["x" * 100_000] * 3
        assert job.done == 0


def test_an_interrupt_while_waiting(ram):
    """Ctrl-C would not end a wait for another kernel's item."""
    code = f"""
import sys
from nbflow import checkpoint, configure
from nbflow.store import Store
configure(store=Store(__import__("pathlib").Path({str(ram / "store")!r}), {SECRET!r}, warn=print))
print("go", flush=True)
try:
    list(checkpoint("job", [1]))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    read, report = os.pipe()

    def hold():
        for _ in checkpoint("job", [1]):
            os.write(report, b".")
            time.sleep(60)

    holder = child(ram / "store", hold)
    os.read(read, 1)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    waiter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environ, text=True)
    assert waiter.stdout.readline() == "go\n"
    time.sleep(0.5)  # in all likelihood it waits by now
    waiter.send_signal(signal.SIGINT)
    assert waiter.communicate(timeout=10)[0] == "interrupted\n"
    kill(holder)
    os.close(read)
    os.close(report)


def test_the_ledger_is_sound_after_all_that(ram):
    """What was written by many at once would not be readable by anybody."""

    def work(seed):
        for n in range(50):
            once(f"{(n * 7 + seed) % 50}", len, "abc")

    children = [child(ram / "store", work, seed) for seed in range(4)]
    assert [ended(each) for each in children] == [0] * 4
    with closing(sqlite3.connect(ram / "store" / "ledger.db")) as table:
        assert table.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert table.execute("SELECT count(*), min(calls), max(calls) FROM Effects").fetchall() == [(50, 1, 1)]
