"""diskcache makes the table, its indexes and the triggers that keep its counts; no more of it is used.

Its own `Disk` pickles keys and values, and unpickles whatever lies in the table (CVE-2025-69872). Ours does
neither: keys are text, values are bytes, anything else is not there. Imported when a store is made, because
`import diskcache` takes 20 ms and opening a cache 7 ms and 25 writes.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from diskcache import Cache, Disk

__all__ = ["SealedDisk", "make"]

_RAW: Final = 1


class SealedDisk(Disk):  # type: ignore[misc]
    """Rows as they are: never a pickle, never a file of diskcache's own."""

    def hash(self, key: Any) -> int:
        """A stable number for a key."""
        return int.from_bytes(self.put(key)[0].encode()[-8:], "big")

    def put(self, key: Any) -> tuple[str, bool]:
        """A key as the table has it."""
        if type(key) is not str:
            raise TypeError(f"keys of the store are text, not {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: Any) -> str | None:
        """A key from the table, None for one that no code of ours wrote."""
        return key if raw and type(key) is str else None

    def store(self, value: Any, read: bool, key: Any = None) -> tuple[int, int, None, bytes]:  # noqa: ARG002, FBT001
        """A value as the table has it."""
        if read or type(value) is not bytes:
            raise TypeError("values of the store are bytes")
        return 0, _RAW, None, value

    def fetch(self, mode: int, filename: Any, value: Any, read: bool) -> bytes | None:  # noqa: ARG002, FBT001
        """A value from the table, None for one that no code of ours wrote."""
        return value if mode == _RAW and type(value) is bytes else None

    def remove(self, file_path: Any) -> None:
        """Containers are deleted by the store, which checks their names first."""


def make(folder: Path, *, shared: bool) -> None:
    """Make the index, or finish one that was left half made. One process at a time.

    Args:
        folder: The index's own folder.
        shared: On a network mount, where a write-ahead log would not work.
    """
    Cache(
        str(folder),
        timeout=60,
        disk=SealedDisk,
        eviction_policy="none",
        cull_limit=0,
        size_limit=2**62,
        statistics=0,
        tag_index=1,
        disk_min_file_size=2**62,
        sqlite_journal_mode="delete" if shared else "wal",
        sqlite_mmap_size=0,
    ).close()
    with closing(sqlite3.connect(folder / "cache.db", timeout=60)) as table:
        table.execute("DROP INDEX IF EXISTS Cache_expire_time")  # never used here, and an eighth of each save
