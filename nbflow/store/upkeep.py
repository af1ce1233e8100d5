"""What keeps a store within bounds and sound: eviction, sweeping, access times, checking everything."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any, Final, NamedTuple

from nbflow.errors import StoreError
from nbflow.store import counts
from nbflow.store.check import damage
from nbflow.store.container import Blob
from nbflow.store.counts import Owner, Stats
from nbflow.store.row import Info
from nbflow.store.table import NAMES, SIZE, touch, victims
from nbflow.store.vault import Vault

__all__ = ["Leftovers", "Stats", "Upkeep", "Verified"]

_MOST: Final = 10 << 30
_DAY: Final = 86400.0
_SOON: Final = 5.0
"""Seconds of access times that a process which is killed may lose."""
_DOWN_TO: Final = 0.9
"""Eviction goes on to this part of the bound, so that the next save does not evict again."""
_BATCH: Final = 500


class Verified(NamedTuple):
    """What a check of all entries saw: sound ones, damaged ones, and others' that no key here opens."""

    sound: int
    damaged: int
    foreign: int


class Leftovers(NamedTuple):
    """Files in a store that belong to no entry, with their sizes in bytes.

    Attributes:
        orphans: Left by processes that were killed. Those of the last hour may belong to one that is still saving.
        quarantine: Damaged files that were put aside; they go after a week.
    """

    orphans: tuple[tuple[str, int], ...]
    quarantine: tuple[tuple[str, int], ...]


class Upkeep:
    """Bounds and checks of one store.

    Attributes:
        used: Row to the time it was last loaded; collected here, so that a hit writes nothing.
        hits: Row to a counter of its loads since the last flush; `next` on it is safe in any thread.
    """

    def __init__(self, vault: Vault, max_size: int | None, clock: Callable[[], float]) -> None:
        self._vault, self._max_size, self._clock = vault, max_size, clock
        self.used: dict[str, float] = {}
        self.hits: defaultdict[str, count[int]] = defaultdict(self._first)
        self._flushing = False
        self._unseen, self._often = 0, -1

    @property
    def max_size(self) -> int:
        """Bytes that the store may hold."""
        if self._max_size is None:
            place = self._vault.folder
            while not place.exists() and place != place.parent:
                place = place.parent
            volume = os.statvfs(place)
            self._max_size = min(_MOST, volume.f_blocks * volume.f_frsize // 10)
        return self._max_size

    def adjust(self, max_size: int | None) -> None:
        """Change the bound; None is 10 GB or a tenth of the volume."""
        self._max_size = max_size
        self._often = -1

    def stored(self, size: int) -> None:
        """So many bytes were just stored: evict if it is time to look. Trouble here is none of the saver's."""
        self._unseen += size
        if self._unseen > self._often:
            with suppress(StoreError, OSError):
                self._look()

    def _look(self) -> None:
        if self._often < 0:
            self._often = self.max_size // 64
            self._daily()
        if self._unseen > self._often:
            self._unseen = 0
            self.bound()

    def bound(self) -> None:
        """Evict what is too much now."""
        with suppress(StoreError, OSError):
            self.flush()
            self._shrink(self.max_size)

    def _first(self) -> "count[int]":
        """An entry's first load since the last flush; the next one comes soon, for a process that only loads."""
        if not self._flushing:
            self._flushing = True
            self._vault.flights.after(_SOON, self.close)
        return count(1)

    def flush(self) -> None:
        """Write down when entries were used, and how often."""
        used, hits = dict(self.used), {row: next(times) - 1 for row, times in self.hits.copy().items()}
        self.used.clear()
        self.hits.clear()
        self._flushing = False
        if used:
            self._vault.index.run(lambda execute: touch(execute, used), create=False)
        if hits:
            self._vault.index.run(lambda execute: counts.count(execute, hits), create=False)

    def close(self) -> None:
        """Write down what is left to write."""
        with suppress(StoreError):
            self.flush()

    def entries(self, tag: str | None) -> Iterator[Info]:
        """All entries, or those of one task."""
        self.flush()
        return counts.entries(self._vault.index, tag)

    def stats(self) -> Stats:
        """How full the store is, and what it was good for."""
        self.flush()
        tasks = self._vault.index.run(counts.tasks, create=False) or ()
        entries, size = sum(each.entries for each in tasks), sum(each.size for each in tasks)
        hits, saved = sum(each.hits for each in tasks), sum(each.saved for each in tasks)
        return Stats(entries, size, self.max_size, hits, saved, tasks)

    def _size(self) -> int:
        """Bytes in all entries: 0.3 µs for each of them, read from an index."""
        ((size,),) = self._vault.index.run(lambda execute: execute(SIZE).fetchall(), create=False) or ((0,),)
        return int(size)

    def prune(self, max_size: int | None, older: float | None, tag: str | None) -> int:
        """Delete what is too old or too much, and files that nothing names; gives bytes freed."""
        before = self._size()
        self.flush()
        if older is not None:
            where, values = ("", ()) if tag is None else (" AND tag = ?", (tag,))
            self._vault.delete(f"store_time < ?{where}", (self._clock() - older, *values))
        bound = self.max_size if max_size is None else max_size
        self._shrink(bound, None if max_size is None else tag)
        return before - self._size() + self._sweep()

    def verify(self, *, repair: bool) -> Verified:
        """Check every entry; few rows are in memory at a time."""
        found = [0, 0, 0]
        for row, body in counts.rows(self._vault.index):
            found[self._judge(row, body, repair=repair)] += 1
        if repair:
            self._sweep()
        return Verified(*found)

    def leftovers(self) -> Leftovers:
        """Files that belong to no entry, but those that a save under way may have made."""
        return Leftovers(*map(tuple, self._vault.blobs.strays(self._names(), self._clock())))

    def _judge(self, row: Any, body: Any, *, repair: bool) -> int:
        """0 sound, 1 damaged, 2 foreign."""
        if self._vault.is_foreign(body):
            return 2
        entry = self._vault.sound(row, body)
        why = "its row was changed" if entry is None else damage(self._vault, entry)
        if why and repair:
            if entry is not None:
                self._vault.blobs.set_aside(Blob.unpack(entry.payload).name)
            self._vault.drop(row, body, why)
        return int(bool(why))

    def _shrink(self, bound: int, tag: str | None = None) -> None:
        """Evict until the store, or what it has of one task, is within a bound."""
        if tag is None:
            size = self._size()
        else:
            tasks = self._vault.index.run(counts.tasks, create=False) or ()
            size = sum(each.size for each in tasks if each.task == tag)
        surplus = size - bound
        if surplus <= 0:
            return
        surplus += int(bound * (1 - _DOWN_TO))
        now = self._clock()
        chosen = self._vault.index.run(lambda execute: victims(execute, surplus, now, tag), create=False) or []
        for at in range(0, len(chosen), _BATCH):
            numbers = ",".join(map(str, chosen[at : at + _BATCH]))
            self._vault.delete(f"rowid IN ({numbers})", ())

    def owners(self) -> list[Owner]:
        """Whose entries these are."""
        vault = self._vault
        found = vault.index.run(counts.owners, create=False) or []
        mine, trusted = vault.seal.id.hex(), {number.hex() for number in vault.trusted.ids()}
        return [
            Owner(key, entries, size, "yours" if key == mine else "trusted" if key in trusted else "not trusted")
            for key, entries, size in found
        ]

    def _names(self) -> frozenset[str]:
        found = self._vault.index.run(lambda execute: execute(NAMES).fetchall(), create=False) or []
        return frozenset(name for (name,) in found)

    def _sweep(self) -> int:
        return self._vault.blobs.sweep(self._names(), self._clock())

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
