"""What keeps a store within bounds and sound: eviction, sweeping, access times, checking everything."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple

from nbflow.errors import DamagedError, StoreError
from nbflow.store.container import Blob, read
from nbflow.store.index import Execute
from nbflow.store.row import BIG, Info
from nbflow.store.table import COUNTS, ENTRIES, NAMES, NEXT, touch, victims
from nbflow.store.vault import Vault

__all__ = ["Stats", "Upkeep", "Verified"]

_MOST: Final = 10 << 30
_DAY: Final = 86400.0
_FLUSH: Final = 512
"""Access times that are written at once."""
_DOWN_TO: Final = 0.9
"""Eviction goes on to this part of the bound, so that the next save does not evict again."""
_BATCH: Final = 500


class Stats(NamedTuple):
    """How full a store is: entries, bytes in them, bytes they may take."""

    entries: int
    size: int
    max_size: int


class Verified(NamedTuple):
    """What a check of all entries saw: sound ones, damaged ones, and others' that this key does not open."""

    sound: int
    damaged: int
    foreign: int


class Upkeep:
    """Bounds and checks of one store.

    Attributes:
        used: Row to the time it was last loaded; collected here, so that a hit writes nothing.
    """

    def __init__(self, vault: Vault, max_size: int | None, clock: Callable[[], float]) -> None:
        self._vault, self._max_size, self._clock = vault, max_size, clock
        self.used: dict[str, float] = {}
        self._unseen: int | None = None

    @property
    def max_size(self) -> int:
        """Bytes that the store may hold."""
        if self._max_size is None:
            place = self._vault.folder
            while not place.exists() and place != place.parent:
                place = place.parent
            self._max_size = min(_MOST, shutil.disk_usage(place).total // 10)
        return self._max_size

    def stored(self, size: int) -> None:
        """So many bytes were just stored: evict if it is time to look. Trouble here is none of the saver's."""
        with suppress(StoreError, OSError):
            if self._unseen is None:
                self._unseen = 0
                self._daily()
            self._unseen += size
            if self._unseen > self.max_size // 64:
                self._unseen = 0
                self.flush()
                self._shrink(self.max_size)
            elif len(self.used) >= _FLUSH:
                self.flush()

    def flush(self) -> None:
        """Write down when entries were used."""
        used = dict(self.used)
        self.used.clear()
        if used:
            self._vault.index.run(lambda execute: touch(execute, used), create=False)

    def close(self) -> None:
        """Write down what is left to write."""
        with suppress(StoreError):
            self.flush()

    def entries(self, tag: str | None) -> Iterator[Info]:
        """All entries, or those of one task."""
        self.flush()
        query, values = (ENTRIES, ()) if tag is None else (f"{ENTRIES} AND tag = ?", (tag,))
        found = self._vault.index.run(lambda execute: execute(query, values).fetchall(), create=False) or []
        for row, label, created, cost, size, used in found:
            yield Info(row, label or "", created, (cost or 0) / 1e6, size, used)

    def stats(self) -> Stats:
        """How full the store is."""
        found = self._vault.index.run(lambda execute: execute(COUNTS).fetchall(), create=False) or [(0,), (0,)]
        entries, size = (number or 0 for (number,) in found)
        return Stats(entries, size, self.max_size)

    def prune(self, max_size: int | None, older: float | None) -> int:
        """Delete what is too old or too much, and files that nothing names; gives bytes freed."""
        before = self.stats().size
        self.flush()
        if older is not None:
            self._vault.delete("store_time < ?", (self._clock() - older,))
        self._shrink(self.max_size if max_size is None else max_size)
        return before - self.stats().size + self._sweep()

    def verify(self, *, repair: bool) -> Verified:
        """Check every entry; one row is in memory at a time."""
        counts = [0, 0, 0]
        last = 0
        while found := self._vault.index.run(partial(_next, last), create=False):
            last, row, body = found
            counts[self._judge(row, body, repair=repair)] += 1
        return Verified(*counts)

    def _judge(self, row: Any, body: Any, *, repair: bool) -> int:
        """0 sound, 1 damaged, 2 foreign."""
        if self._vault.is_foreign(body):
            return 2
        entry = self._vault.sound(row, body)
        if entry is None:
            if repair:
                self._vault.drop(row, body, "its row was changed")
            return 1
        if not entry.flags & BIG:
            return 0
        blob = Blob.unpack(entry.payload)
        try:
            read(self._vault.blobs.folder, blob, "full", mapped=not self._vault.shared)
        except (DamagedError, OSError) as error:
            if repair:
                self._vault.blobs.set_aside(blob.name)
                self._vault.drop(row, body, str(error))
            return 1
        return 0

    def _shrink(self, bound: int) -> None:
        surplus = self.stats().size - bound
        if surplus <= 0:
            return
        surplus += int(bound * (1 - _DOWN_TO))
        chosen = self._vault.index.run(lambda execute: victims(execute, surplus, self._clock()), create=False) or []
        for at in range(0, len(chosen), _BATCH):
            numbers = ",".join(map(str, chosen[at : at + _BATCH]))
            self._vault.delete(f"rowid IN ({numbers})", ())

    def _sweep(self) -> int:
        found = self._vault.index.run(lambda execute: execute(NAMES).fetchall(), create=False) or []
        return self._vault.blobs.sweep(frozenset(name for (name,) in found), self._clock())

    def _daily(self) -> None:
        """Sweep once a day, whichever process comes first."""
        mark = self._vault.folder / "swept"
        try:
            if self._clock() - mark.stat().st_mtime < _DAY:
                return
        except FileNotFoundError:
            pass
        mark.touch()
        self._sweep()


def _next(last: int, execute: Execute) -> Any:
    return execute(NEXT, (last,)).fetchone()
