"""Keeping house: what was used and what it saved, what is left over, what goes."""

import os
from contextlib import closing

import numpy as np
import pytest

from nbflow.store import Draft, Store

KEYS = [f"{n:032x}" for n in range(6)]


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    """Three entries of `f` that took 2 s each and three of `g`, each of 80 KB."""
    store = Store(tmp_path / "store", b"s" * 32, warn=lambda text: None, clock=clock)
    for at, key in enumerate(KEYS):
        store.save(Draft(key, "fg"[at % 2], np.arange(10_000), 2.0, (), {}, clock.now + at))
    yield store
    store.close()


def hit(store, key, times=1):
    for _ in range(times):
        store.load(store.find(key)[0])


def test_hits_and_what_they_saved_are_counted(store, tmp_path):
    """`nbflow stats` could not say whether caching was worth it."""
    hit(store, KEYS[0], 3)
    hit(store, KEYS[1], 1)
    hit(store, KEYS[2], 2)
    full = store.stats()
    assert (full.entries, full.hits, full.saved) == (6, 6, 12.0)
    assert [(each.task, each.entries, each.cost, each.hits, each.saved) for each in full.tasks] == [
        ("f", 3, 6.0, 5, 10.0),
        ("g", 3, 6.0, 1, 2.0),
    ]
    assert full.size == sum(each.size for each in full.tasks) == sum(each.size for each in store.entries())
    hit(store, KEYS[0])
    store.close()
    store.clear("f")
    again = Store(tmp_path / "store", b"s" * 32, warn=print)
    assert again.stats().hits == 7, "another process, after the entries went"
    assert [(each.task, each.entries) for each in again.stats().tasks] == [("f", 0), ("g", 3)]
    again.close()


def test_a_hit_writes_nothing(store):
    """A hit would wait for the disk, or for other processes' locks."""
    store.stats()
    hit(store, KEYS[0])
    index = store.folder / "index"

    def files():
        return [
            (path.name, path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(index.iterdir())
            if "shm" not in path.name
        ]

    before = files()
    hit(store, KEYS[0], 50)
    assert files() == before
    assert store.stats().hits == 51


def test_all_entries_are_listed_page_by_page(store, tmp_path):
    """Listings would end after the first page."""
    store._index.run(
        lambda execute: execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1300) "
            "INSERT INTO Cache (key, raw, store_time, access_time, access_count, tag, size, mode, value) "
            "SELECT printf('%032x.1', i), 1, 1, 1, 0, iif(i % 2, 'odd', NULL), 1, 1, X'00' FROM n"
        )
    )
    assert len({each.row for each in store.entries()}) == 1306
    assert len(list(store.entries("odd"))) == 650
    assert {each.tag for each in store.entries()} == {"f", "g", "odd", ""}
    assert store.stats().entries == sum(each.entries for each in store.stats().tasks) == 1306


@pytest.mark.parametrize(
    ("how", "left"),
    [
        ({"older": 3.5, "task": "f"}, {0: 1, 1: 3}),
        ({"max_size": 100_000, "task": "g"}, {0: 3, 1: 1}),
        ({"max_size": 200_000}, None),
        ({"task": "g"}, {0: 3, 1: 3}),
    ],
)
def test_one_task_can_be_pruned(store, clock, how, left):
    """Making room for one task would throw out the results of all others."""
    clock.now += 6
    freed = store.prune(**how)
    tasks = {each.task: each.entries for each in store.stats().tasks}
    if left is not None:
        assert (tasks["f"], tasks["g"]) == (left[0], left[1])
    assert freed >= 80_000 * (6 - sum(tasks.values()))
    assert len(list(store.folder.glob("blobs/*/*"))) == sum(tasks.values())


def test_leftovers_are_listed_and_repaired(store, clock):
    """Nobody would know where the space went, or what became of a damaged result."""
    one, two, *_ = sorted(store.folder.glob("blobs/*/*"))
    data = one.read_bytes()
    one.write_bytes(data[:-3000] + b"\xff" * 100 + data[-2900:])
    two.unlink()
    for name, age in ((".old.tmp", 4000), (".new.tmp", 10)):
        path = one.with_name(name)
        path.write_bytes(b"x" * 1000)
        os.utime(path, (clock.now - age, clock.now - age))
    assert store.leftovers() == (((f"blobs/{one.parent.name}/.old.tmp", 1000),), ())
    damaged = store.verify().damaged
    assert damaged in (1, 2)  # where the file was hit may be the trailer, which no row needs
    assert store.verify(repair=True).damaged == damaged
    assert store.verify() == (6 - damaged, 0, 0)
    orphans, quarantine = store.leftovers()
    assert orphans == () and len(quarantine) == damaged - 1
    assert one.with_name(".new.tmp").exists()


def test_a_check_changes_nothing(store):
    """Looking would delete evidence."""
    one = next(store.folder.glob("blobs/*/*"))
    one.write_bytes(b"")
    before = sorted(store.folder.rglob("*"))
    assert store.verify() == store.verify() == (5, 1, 0)
    assert sorted(store.folder.rglob("*")) == before


def test_the_index_is_checked_as_diskcache_does_it(store, tmp_path):
    """A page that no entry needs now may be the next entry's."""
    import sqlite3

    assert store.faults() == ()
    store.close()
    with closing(sqlite3.connect(tmp_path / "store" / "index" / "cache.db", isolation_level=None)) as table:
        table.execute("PRAGMA writable_schema=ON")
        table.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'tag, rowid', 'rowid, tag') WHERE name LIKE '%tag_rowid'"
        )
    again = Store(tmp_path / "store", b"s" * 32, warn=lambda text: None)
    assert any("Cache_tag_rowid" in line for line in again.faults()), again.faults()
    again.close()
