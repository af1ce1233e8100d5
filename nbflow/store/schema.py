"""How the index is laid out: as diskcache 5.6 would, so that diskcache can open it, but for what costs each save.

diskcache keeps count and size in its table `Settings`, by five triggers: a quarter of a save. Here `Settings` is a
view that counts when it is asked, over a table `Options` for all else; triggers of the same names that never fire keep
diskcache from making its own. Its index of expiry times covers only rows that have one, none of ours; that of tags
holds sizes too, to add them up without reading the rows. Made in one transaction and put in place whole: diskcache
takes 20 ms to import, 25 writes and 15 syncs.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

__all__ = ["MADE", "make"]

_OPTIONS: Final = {
    "cull_limit": 0,
    "disk_min_file_size": 2**62,
    "disk_pickle_protocol": 5,
    "eviction_policy": "none",
    "hits": 0,
    "misses": 0,
    "size_limit": 2**62,
    "sqlite_auto_vacuum": 1,
    "sqlite_cache_size": 2**13,
    "sqlite_mmap_size": 0,
    "sqlite_synchronous": 1,
    "statistics": 0,
    "tag_index": 1,
}
"""What diskcache is to do when it opens the index: neither evict nor count hits."""

_TABLES: Final = """
PRAGMA synchronous = OFF;
PRAGMA journal_mode = OFF;
PRAGMA auto_vacuum = FULL;
BEGIN;
CREATE TABLE Options (key TEXT NOT NULL UNIQUE, value);
CREATE TABLE Cache (
    rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL, expire_time REAL, access_time REAL,
    access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0, mode INTEGER DEFAULT 0, filename TEXT, value BLOB
);
CREATE UNIQUE INDEX Cache_key_raw ON Cache (key, raw);
CREATE INDEX Cache_expire_time ON Cache (expire_time) WHERE expire_time IS NOT NULL;
CREATE VIEW Settings (key, value) AS SELECT key, value FROM Options
    UNION ALL SELECT 'count', count(*) FROM Cache UNION ALL SELECT 'size', coalesce(sum(size), 0) FROM Cache;
CREATE TRIGGER Settings_insert INSTEAD OF INSERT ON Settings WHEN NEW.key NOT IN ('count', 'size')
    BEGIN INSERT INTO Options VALUES (NEW.key, NEW.value); END;
CREATE TRIGGER Settings_update INSTEAD OF UPDATE ON Settings
    BEGIN UPDATE Options SET value = NEW.value WHERE key = NEW.key; END;
"""
_IDLE: Final = "CREATE TRIGGER Settings_{}_{} AFTER {} ON Cache WHEN 0 BEGIN SELECT key FROM Settings; END;"
_KEPT_BY: Final = (("count", "insert"), ("count", "delete"), ("size", "insert"), ("size", "update"), ("size", "delete"))

MADE: Final = "SELECT 1 FROM sqlite_master WHERE name = 'Cache_tag_rowid'"
"""Finds the last thing that is made."""


def make(folder: Path, *, shared: bool) -> None:
    """Make the index: there is none, or an empty file. One process at a time.

    Args:
        folder: The index's own folder.
        shared: On a network mount, where a write-ahead log would not work.
    """
    mode = "delete" if shared else "wal"
    folder.mkdir(exist_ok=True)
    draft, place = folder / "cache.db.new", folder / "cache.db"
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(draft, isolation_level=None)) as table:
        idle = "".join(_IDLE.format(what, when, when) for what, when in _KEPT_BY)
        table.executescript(_TABLES + idle)
        table.executemany("INSERT INTO Options VALUES (?, ?)", [*_OPTIONS.items(), ("sqlite_journal_mode", mode)])
        table.execute("CREATE INDEX Cache_tag_rowid ON Cache (tag, rowid, size)")
        table.execute("COMMIT")
        table.execute(f"PRAGMA journal_mode = {mode}")
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    for left in ("-journal", "-shm", "-wal"):  # of one that is gone, whose last changes it would take for its own
        place.with_name(place.name + left).unlink(missing_ok=True)
    draft.rename(place)
