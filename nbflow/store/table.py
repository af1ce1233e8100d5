"""The statements that write, read and thin out the index."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from nbflow.store.index import Execute, transaction
from nbflow.store.row import Found

__all__ = [
    "FIND",
    "KEYS",
    "NAMES",
    "SIZE",
    "TRAITS",
    "Row",
    "beside",
    "delete",
    "put",
    "salvage",
    "touch",
    "victims",
]

FIND: Final = "SELECT key, value FROM Cache WHERE key > ? AND key < ? AND raw = 1"
TRAITS: Final = "SELECT key, value FROM Cache WHERE tag = ? AND store_time <= ? ORDER BY rowid DESC LIMIT ?"
KEYS: Final = "SELECT key FROM Cache WHERE tag = ? AND raw = 1"
SIZE: Final = "SELECT coalesce(sum(size), 0) FROM Cache"
NAMES: Final = "SELECT filename FROM Cache WHERE filename IS NOT NULL"

_UPSERT: Final = """
INSERT INTO Cache (key, raw, store_time, access_time, access_count, tag, size, mode, filename, value)
VALUES (?, 1, ?, ?, ?, ?, ?, 1, ?, ?)
ON CONFLICT (key, raw) DO UPDATE SET rowid = (SELECT max(rowid) + 1 FROM Cache), store_time = excluded.store_time,
access_time = excluded.access_time, access_count = excluded.access_count, tag = excluded.tag, size = excluded.size,
mode = 1, filename = excluded.filename, value = excluded.value"""
"""`access_count` holds the cost in µs: diskcache counts there only under a policy that we do not use. A row that
is saved again becomes the last one, so that the newest entries of a task are those with the highest numbers."""

_NAME: Final = "SELECT filename FROM Cache WHERE key = ? AND raw = 1"
_BESIDE: Final = "SELECT key, store_time FROM Cache WHERE key > ? AND key < ? AND raw = 1 ORDER BY store_time DESC"
_TOUCH: Final = "UPDATE Cache SET access_time = ? WHERE key = ? AND raw = 1 AND access_time < ?"


class Row(NamedTuple):
    """A row as the table has it. Only `body` is sealed: the rest serves to list and to evict."""

    key: str
    created: float
    cost: float
    tag: str
    size: int
    name: str | None
    body: bytes

    @classmethod
    def of(cls, found: Found, name: str | None) -> "Row":
        """The row of an entry, with its container's name if it has one."""
        return cls(found.row, found.created, found.cost, found.tag, found.size, name, found.body)


def put(execute: Execute, row: Row) -> list[object]:
    """Enter a row; gives the name of the container that it takes the place of, if this is one."""
    old: list[object] = []
    if row.name:  # a new index may know the new one already
        old = [name for (name,) in execute(_NAME, (row.key,)) if name not in (None, row.name)]
    micros = int(min(max(row.cost, 0.0), 1e12) * 1e6)
    execute(_UPSERT, (row.key, row.created, row.created, micros, row.tag, row.size, row.name, row.body))
    return old


def beside(execute: Execute, key: str) -> list[str]:
    """Rows of a lookup key, newest first."""
    return [row for row, _ in execute(_BESIDE, (key + ".", key + "/"))]


def delete(execute: Execute, where: str, values: tuple[object, ...]) -> tuple[int, list[object]]:
    """Delete rows; gives how many, and the names of their containers, which are deleted after the rows."""
    with transaction(execute):
        query = f"SELECT filename FROM Cache WHERE {where}"  # noqa: S608 - constants of ours
        names = [name for (name,) in execute(query, values)]
        execute(f"DELETE FROM Cache WHERE {where}", values)  # noqa: S608 - likewise
    return len(names), [name for name in names if name]


def touch(execute: Execute, used: dict[str, float]) -> None:
    """Write down when entries were used, all at once: 3 µs each."""
    with transaction(execute):
        for row, at in used.items():
            execute(_TOUCH, (at, row, at))


def victims(execute: Execute, surplus: int, now: float, tag: str | None = None) -> list[int]:
    """Which rows to give up, of all or of one task, to free so many bytes.

    An entry's worth is the seconds it saves, for each byte it takes and each second since its last use: the
    first to go is a big one that was cheap to compute and has not been asked for in a while.
    """
    query, values = "SELECT rowid, size, access_time, access_count FROM Cache WHERE ? IS NULL OR tag = ?", (tag, tag)
    worth = sorted(
        (((cost or 0) + 1e3) / max(size or 0, 1) / max(now - (used or 0), 1.0), rowid, size or 0)
        for rowid, size, used, cost in execute(query, values)
    )
    chosen: list[int] = []
    for _, rowid, size in worth:
        if surplus <= 0:
            break
        chosen.append(rowid)
        surplus -= size
    return chosen


def salvage(lost: Path) -> Iterator[tuple[object, object]]:
    """Rows that a damaged index still gives, up to where it breaks; each is sealed, so none need be trusted."""
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(sqlite3.connect(lost / "cache.db")) as old:
        old.text_factory = lambda text: text.decode("utf-8", "replace")
        yield from old.execute("SELECT key, value FROM Cache WHERE raw = 1 AND mode = 1")
