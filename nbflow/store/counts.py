"""What the index knows beside the entries themselves: how often each task's were used, and what that saved.

A table of its own, so that evicting an entry, or replacing it, forgets nothing of what it saved. It goes with a
damaged index: it is a figure for people, and no entry depends on it.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from nbflow.store.index import Execute, Index, transaction
from nbflow.store.row import Info
from nbflow.store.seal import ID_SIZE, SEAL_SIZE

__all__ = ["Owner", "Stats", "TaskStats", "beginning", "count", "entries", "owners", "rows", "tasks"]

_MAKE: Final = "CREATE TABLE IF NOT EXISTS Uses (tag TEXT PRIMARY KEY, hits INTEGER NOT NULL, saved REAL NOT NULL)"
_COUNT: Final = """
INSERT INTO Uses (tag, hits, saved)
SELECT coalesce(tag, ''), ?, ? * access_count / 1e6 FROM Cache WHERE key = ? AND raw = 1
ON CONFLICT (tag) DO UPDATE SET hits = hits + excluded.hits, saved = saved + excluded.saved"""
_TASKS: Final = """
SELECT coalesce(tag, ''), count(*), sum(size), sum(access_count) / 1e6, max(store_time), max(access_time)
FROM Cache WHERE raw = 1 GROUP BY 1"""
_USES: Final = "SELECT tag, hits, saved FROM Uses"

_OWNERS: Final = f"""
SELECT lower(hex(substr(value, {SEAL_SIZE + 1}, {ID_SIZE}))), count(*), sum(size)
FROM Cache WHERE raw = 1 GROUP BY 1 ORDER BY 2 DESC"""  # noqa: S608 - constants of ours

_PAGE: Final = 500
_ENTRIES: Final = """
SELECT rowid, key, tag, store_time, access_count, size, access_time FROM Cache
WHERE rowid > ? AND raw = 1 {} ORDER BY rowid LIMIT ?"""
_ROWS: Final = "SELECT rowid, key, value FROM Cache WHERE rowid > ? {} ORDER BY rowid LIMIT ?"
_BEGINNING: Final = "SELECT key, value FROM Cache WHERE key >= ? AND key < ? AND raw = 1 LIMIT ?"
_TAGGED: Final = "AND tag = ?"


class TaskStats(NamedTuple):
    """What is kept of one task, and what that was good for.

    Attributes:
        task: Its label.
        entries: How many are kept.
        size: Bytes in them.
        cost: Seconds that they took to compute.
        newest: When the newest was made, in seconds since the epoch; 0 where none is left.
        used: When one was last used, likewise.
        hits: How often one was used, since the index was made.
        saved: Seconds that these hits saved.
    """

    task: str
    entries: int = 0
    size: int = 0
    cost: float = 0.0
    newest: float = 0.0
    used: float = 0.0
    hits: int = 0
    saved: float = 0.0


class Stats(NamedTuple):
    """How full a store is, and what it was good for.

    Attributes:
        entries: How many there are.
        size: Bytes in them.
        max_size: Bytes that they may take.
        hits: How often one was used, since the index was made.
        saved: Seconds that these hits saved.
        tasks: The same for each task, by name.
    """

    entries: int
    size: int
    max_size: int
    hits: int = 0
    saved: float = 0.0
    tasks: tuple[TaskStats, ...] = ()


class Owner(NamedTuple):
    """What one key sealed, by what the entries say; they are not checked for it.

    Attributes:
        key: Id of the key, in hex.
        entries: How many.
        size: Bytes in them.
        standing: `yours`, `trusted` or `not trusted`.
    """

    key: str
    entries: int
    size: int
    standing: str


def count(execute: Execute, hits: dict[str, int]) -> None:
    """Write down how often entries were used, all at once."""
    with transaction(execute):
        execute(_MAKE)
        for row, times in hits.items():
            execute(_COUNT, (times, times, row))


def tasks(execute: Execute) -> tuple[TaskStats, ...]:
    """All tasks that are, or were, of use."""
    found = {tag: TaskStats(tag, *figures) for tag, *figures in execute(_TASKS)}
    try:
        uses = execute(_USES).fetchall()
    except sqlite3.OperationalError:  # nothing was used yet: there is no such table
        uses = []
    for tag, hits, saved in uses:
        found[tag] = found.get(tag, TaskStats(tag))._replace(hits=hits, saved=saved)
    return tuple(found[tag] for tag in sorted(found))


def owners(execute: Execute) -> list[tuple[str, int, int]]:
    """Ids of the keys that entries name, how many name each, and bytes in them."""
    return execute(_OWNERS).fetchall()


def beginning(execute: Execute, row: str, most: int) -> list[tuple[Any, Any]]:
    """Keys and bodies of rows whose key begins so."""
    return execute(_BEGINNING, (row, row + "\x7f", most)).fetchall()


def entries(index: Index, tag: str | None) -> Iterator[Info]:
    """All entries, or those of one task, some at a time: what is stored or deleted meanwhile may be missed."""
    for _, row, label, created, cost, size, used in _paged(index, _ENTRIES, tag, _PAGE):
        yield Info(row, label or "", created, (cost or 0) / 1e6, size, used)


def rows(index: Index, tag: str | None = None) -> Iterator[tuple[Any, Any]]:
    """Keys and bodies of all rows, or those of one task, whatever lies in the table; few are in memory at a time."""
    for _, row, body in _paged(index, _ROWS, tag, 16):
        yield row, body


def _paged(index: Index, query: str, tag: str | None, size: int) -> Iterator[tuple[Any, ...]]:
    query, values = (query.format(""), ()) if tag is None else (query.format(_TAGGED), (tag,))
    last = 0
    while True:
        those = (last, *values, size)
        found = index.run(lambda execute, those=those: execute(query, those).fetchall(), create=False)  # type: ignore[misc]
        if not found:
            return
        yield from found
        last = found[-1][0]
