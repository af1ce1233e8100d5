"""The index as a folder of diskcache's: `Cache(folder / "index", disk=SealedDisk)`. Lookups and saves go without it.

diskcache's own `Disk` pickles keys and values, and unpickles whatever lies in the table (CVE-2025-69872). Ours does
neither: keys are text, values are bytes, anything else is not there.
"""

import os
import warnings
from pathlib import Path
from typing import Any, Final

from diskcache import Cache, Disk, UnknownFileWarning

__all__ = ["SealedDisk", "faults"]

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


def faults(index: Path) -> tuple[str, ...]:
    """What diskcache's own check finds wrong with the pages and the counts of an index, a line each.

    Containers lie elsewhere: the store looks after them.
    """
    with warnings.catch_warnings(), Cache(os.fspath(index), disk=SealedDisk) as cache:
        warnings.simplefilter("always")  # it finds by warnings, each of which counts
        found = cache.check()
    texts = (str(each.message) for each in found if not issubclass(each.category, UnknownFileWarning))
    return tuple(text for text in texts if not text.startswith("file not found"))
