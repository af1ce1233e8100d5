"""The small parts of the store."""

import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing

import numpy as np
import pytest
from xxhash import xxh3_128_digest

from nbflow.store import Draft, Store
from nbflow.store.digests import CHUNK, digest, digesting
from nbflow.store.disk import SealedDisk
from nbflow.store.locks import Flights
from nbflow.store.row import row_key
from nbflow.store.schema import make
from nbflow.store.serializers import PICKLE
from nbflow.store.table import SIZE, victims
from nbflow.store.unstorable import explain
from nbflow.trace import Fact


def test_importing_the_store_is_light():
    """`import nbflow` would take as long as importing pandas."""
    code = "import sys, nbflow.store; print(sorted({'numpy', 'pandas', 'joblib', 'diskcache', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 2 * CHUNK + 5])
def test_digests_do_not_depend_on_threads(size):
    """Entries stored by one machine would be damaged on another."""
    data = memoryview(np.arange(size, dtype=np.uint8))
    chunks = [xxh3_128_digest(data[at : at + CHUNK]) for at in range(0, max(size, 1), CHUNK)]
    expected = chunks[0] if len(chunks) == 1 else xxh3_128_digest(b"".join(chunks))
    assert digest(data) == expected
    with digesting([data, data]) as digests:
        assert list(digests.results()) == [expected, expected]


def test_rows_differ_by_key_facts_and_owner():
    """Entries with other facts, or of other users, would overwrite each other."""
    facts = [Fact("file", "a", "00"), Fact("file", "b", "00")]
    rows = {
        row_key("ab", (), b"me"),
        row_key("ab", (), b"you"),
        row_key("ab", facts, b"me"),
        row_key("ab", facts[:1], b"me"),
        row_key("ab", facts[::-1], b"me"),
        row_key("ab", [Fact("file", "ab", "0"), Fact("0file", "b", "00")], b"me"),
        row_key("ac", (), b"me"),
    }
    assert len(rows) == 7
    assert row_key("ab", [Fact("file", "a", "00", [1])], b"me") == row_key("ab", [Fact("file", "a", "00")], b"me")
    assert all(len(row) == 2 + 1 + 16 for row in rows)


def test_diskcache_never_pickles_nor_unpickles(tmp_path):
    """A row with diskcache's pickle mode would run code (CVE-2025-69872)."""
    disk = SealedDisk(str(tmp_path))
    assert disk.put("key") == ("key", True)
    assert disk.fetch(1, None, b"value", False) == b"value"
    for mode in (0, 2, 3, 4):
        assert disk.fetch(mode, "file", b"value", False) is None
    assert disk.get("key", 0) is None
    for call in (lambda: disk.put(1), lambda: disk.store("text", False), lambda: disk.store(b"x", True)):
        with pytest.raises(TypeError):
            call()


def test_diskcache_agrees_with_the_table(tmp_path):
    """The counts of diskcache would drift from what is stored, and its own tools call the store broken."""
    store = Store(tmp_path / "store", b"s" * 32, warn=print)
    for n in range(5):
        store.save(Draft(f"{n:032}", "f", [n] * 100, 1.0, (), {}, 1.0))
    store.save(Draft(f"{0:032}", "f", "shorter", 1.0, (), {}, 1.0))
    store.forget(f"{1:032}")
    from diskcache import Cache

    layout = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    run = store._index.run
    before = run(lambda execute: execute(layout).fetchall())
    with Cache(str(tmp_path / "store" / "index"), disk=SealedDisk) as cache:
        assert cache.check() == []
        assert len(cache) == store.stats().entries == 4
        assert all(type(cache[key]) is bytes for key in cache)
        assert run(lambda execute: execute(layout).fetchall()) == before, "each save would cost more from now on"
        store.save(Draft(f"{7:032}", "f", "later", 1.0, (), {}, 1.0))
        cache["mine"] = b"bytes"
        assert (cache.eviction_policy, cache.cull_limit, cache.cull(), cache.expire(), len(cache)) == (
            "none",
            0,
            0,
            0,
            6,
        )
        assert cache.volume() >= cache.reset("size") == store.stats().size > 0
        assert cache.delete("mine")
        assert cache.check() == []
        cache.reset("statistics", 1)
        assert [key in cache for key in ("mine", f"{7:032}")] == [False, False]
        assert cache.get("none") is None
        assert cache.stats() == (0, 1)
    with Cache(str(tmp_path / "plain"), tag_index=1) as plain, cache:
        described = [table.execute("PRAGMA table_info(Cache)").fetchall() for table in (plain._con, cache._con)]
        assert described[0] == described[1], "the table of another version of diskcache"
    assert {info.tag for info in store.entries()} == {"f"}
    ((*_, way),) = run(lambda execute: execute(f"EXPLAIN QUERY PLAN {SIZE}").fetchall())
    assert "COVERING" in way, "to see how full it is, a store would be read whole"
    store.close()


def test_what_is_worth_least_goes_first(tmp_path):
    """Eviction would throw out hours of work to keep a second's."""
    make(tmp_path / "index", shared=False)
    with closing(sqlite3.connect(tmp_path / "index" / "cache.db")) as table:
        for size, used, cost in ((100, 0, 10), (100, 0, 1), (1000, 0, 10), (100, 90, 1), (100, 0, 0)):
            table.execute(
                "INSERT INTO Cache (size, access_time, access_count) VALUES (?, ?, ?)", (size, used, cost * 1_000_000)
            )
        assert victims(table.execute, 10_000, 100.0) == [5, 3, 2, 1, 4]
        assert victims(table.execute, 150, 100.0) == [5, 3]
        assert victims(table.execute, 0, 100.0) == []


def test_the_search_for_what_cannot_be_stored_ends():
    """A cell with a huge or circular result would hang while its error is being made."""
    circle = []
    circle += [circle, lambda: 1]
    error = explain(circle, PICKLE, TypeError("no"))
    assert error.path.endswith("[1]")
    many = explain([object()] * 100_000 + [lambda: 1], PICKLE, TypeError("no"))
    assert many.path == ""


def test_a_claim_without_a_file_holds_in_this_process(tmp_path):
    """On a read-only disk, two threads would run the same step at once."""
    flights = Flights(tmp_path / "none" / "locks")
    assert flights.claim("ab", 1)
    assert not flights.claim("ab", 2, wait=False)
    flights.release("ab")
    assert flights.claim("ab", 2, wait=False)
    flights.release("ab")
    assert flights.claim("not hex at all", 2, wait=False)
    flights.release("not hex at all")


def test_an_interrupted_claim_is_given_up(tmp_path):
    """Ctrl-C while waiting would leave the key locked for the rest of the session."""

    class Stop(BaseException):
        pass

    class Owner:
        """Interrupts when it is compared, that is while it waits."""

        def __eq__(self, other):
            raise Stop

        __hash__ = object.__hash__

    flights = Flights(tmp_path / "locks")
    flights.claim("ab", 1)
    with pytest.raises(Stop):
        flights.claim("ab", Owner())
    flights.release("ab")
    assert flights.claim("ab", 2, wait=False)
    flights.release("ab")


def test_a_row_that_was_checked_once_is_checked_again_once_it_changes(tmp_path):
    """What is written over an entry that was used before would be unpickled unseen, or go unnoticed."""
    said: list[str] = []
    store = Store(tmp_path / "store", b"s" * 32, warn=said.append)
    key = "7a" * 16
    store.save(Draft(key, "f", "mine", 1.0, (), {}, 1.0))
    assert [store.load(*store.find(key)) for _ in range(3)] == ["mine"] * 3
    with closing(sqlite3.connect(tmp_path / "store" / "index" / "cache.db", isolation_level=None)) as table:
        [(body,)] = table.execute("SELECT value FROM Cache").fetchall()
        table.execute("UPDATE Cache SET value = ?", (body.replace(b"mine", b"evil"),))
        assert (store.find(key), len(said)) == ([], 1)
        store.save(Draft(key, "f", "again", 1.0, (), {}, 2.0))
        assert store.load(*store.find(key)) == "again"
        table.execute("DELETE FROM Cache")
    assert (store.find(key), len(said)) == ([], 1)
    store.close()


def test_the_rows_that_are_remembered_are_bounded(tmp_path):
    """A loop over many entries would keep them all in memory."""
    store = Store(tmp_path / "store", b"s" * 32, warn=print)
    for n in range(400):
        store.save(Draft(f"{n:032x}", "f", b"x" * 30_000, 1.0, (), {}, 1.0))
    tracemalloc.start()
    for n in range(400):
        store.find(f"{n:032x}")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 1 << 20 < held < 9 << 20
    store.close()
