"""What is known of a job's items: which are done, in whichever process, and the values that they have."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from nbflow.durable.items import Items
from nbflow.durable.ledger import ledger_of
from nbflow.durable.marks import Mark, Marks, latest
from nbflow.durable.shown import Shown
from nbflow.errors import DamagedError, InterfaceError, LedgerError, StoreError
from nbflow.logs import warn
from nbflow.session import session
from nbflow.store import Store

__all__ = ["Kept", "Progress"]


class Progress(NamedTuple):
    """How many items of a job are done, of how many; `str` of it is `37/100`, `float` of it 0.37.

    `total` is None while an iterator has not come to its end: then it is `37 done`, and no share.
    """

    done: int
    total: int | None

    def __str__(self) -> str:
        return f"{self.done:,} done" if self.total is None else f"{self.done:,}/{self.total:,}"

    def __float__(self) -> float:
        return float("nan") if self.total is None else self.done / self.total if self.total else 1.0


class Kept:
    """The items of one job and what is known of them.

    Args:
        name: Of the job.
        items: As they come.
    """

    def __init__(self, name: str, items: Items) -> None:
        self.name, self.items = name, items
        self._store: Store | None = None
        self._marks: Marks | None = None
        self._version: bytes | None = None
        self._head = b""
        self._kept: dict[bytes, Any] = {}
        """Values that the store would not take."""
        self._starting = threading.RLock()
        self._shown = Shown(name)

    # What is done

    def start(self, version: bytes) -> None:
        """Learn what is done of the items, as a certain version of the work did it. Costs no write.

        Raises:
            LedgerError: The ledger is damaged: running what may be done already is not safe.
        """
        with self._starting:
            if self._version != version:
                self._start(version)
                self._version = version

    def _start(self, version: bytes) -> None:
        self.items.come()
        self._kept, self._head = {}, self._spelled(version)
        self._store, self._marks = session.store_or_none(), None
        if self._store is not None:
            marks = Marks(ledger_of(self._store, session.durability), self.name, version)
            if self._try(marks.load):
                self._marks = marks
                self._check()
        if self._version is not None:
            self.items.again()
        self._settle()

    def _try(self, work: Callable[[], object]) -> bool:
        """Use the ledger; what the disk refuses costs one warning, and a rerun some day."""
        try:
            work()
        except LedgerError:
            raise
        except StoreError as error:
            warn(f"the job {self.name!r} cannot be resumed: {error}")
            return False
        return True

    def _settle(self) -> None:
        """Of the items that have come, those that are known to be done are not left."""
        left = self.items.left
        if self._marks is not None:
            known = self._marks.known
            if left.keys() <= known.keys():
                left.clear()
            else:
                for key in left.keys() & known.keys():
                    left.pop(key, None)

    def _check(self) -> None:
        """Values that are gone from the store make their items undone."""
        marks, store = self._marks, self._store
        assert marks is not None
        assert store is not None
        entries = {entry for entry, _ in marks.known.values() if entry is not None}
        if entries:
            there = store.keys(self.name)
            gone = {entry for entry in entries if entry.hex() not in there}
            self._undo(
                [key for key, (entry, _) in marks.known.items() if entry in gone] if gone else (), "gone from the store"
            )

    def _undo(self, keys: Sequence[bytes], why: str) -> None:
        """Items whose values cannot be had are not done after all."""
        if keys and self._marks is not None:
            known = self._marks.known
            lost = [key for key in keys if key in known]
            self._try(partial(self._marks.drop, lost))
            for key in lost:
                known.pop(key, None)
                self.items.again(key)
            count = "1 value" if len(lost) == 1 else f"{len(lost):,} values"
            warn(f"{count} of the job {self.name!r} {'is' if len(lost) == 1 else 'are'} {why}: run again")

    def done_of(self, keys: Sequence[bytes]) -> list[bytes]:
        """Those of some items that are done by now, whoever did them."""
        marks, left = self._marks, self.items.left
        if marks is not None:
            self._try(partial(marks.look, keys))
            for key in keys:
                if key in marks.known:
                    left.pop(key, None)
        done = [key for key in keys if key not in left]
        if done:
            self.tell()
        return done

    def _refresh(self) -> None:
        """Learn what others did meanwhile."""
        if self._version is None:
            store = session.store_or_none()
            self.start(b"" if store is None else latest(ledger_of(store, session.durability), self.name))
        elif self._marks is not None:
            self._try(self._marks.load)
        self._settle()

    @property
    def done(self) -> int:
        """How many items are done: here, in other processes, before a restart."""
        return self.progress.done

    @property
    def remaining(self) -> int | None:
        """How many are not; None while an iterator has not come to its end."""
        done, total = self.progress
        return None if total is None else total - done

    @property
    def progress(self) -> Progress:
        """Both: `37/100`."""
        self._refresh()
        return self._progress()

    def _progress(self) -> Progress:
        items, left = self.items, len(self.items.left)
        return Progress(len(items.known) - left - len(self._kept), items.total)

    def _entry(self, keys: Sequence[bytes]) -> bytes:
        """What the values of items are kept under."""
        return blake2b(b"".join((self._head, *keys)), digest_size=16, person=b"nbflow value").digest()

    def _spelled(self, version: bytes) -> bytes:
        name = self.name.encode("utf-8", "surrogatepass")
        return b"%d:%b%d:%b" % (len(name), name, len(version), version)

    @property
    def step(self) -> int | None:
        """Its number in the panel; None before it began."""
        return self._shown.step

    def tell(self) -> None:
        """Let the panel know how far it has come."""
        self._shown.tell(self._progress)

    # Values

    def results(self, *, partial: bool = False) -> list[Any]:
        """The values of all items, old and new, in the order of the items; None for one that was done without a value.

        Args:
            partial: Leave out items that are not done.

        Raises:
            InterfaceError: Some items are not done.
            DamagedError: Some values are damaged or gone; their items are not done any more.
        """
        self._refresh()
        self.items.all()
        self._settle()
        if self.items.left and not partial:
            raise InterfaceError(f"the job {self.name!r} has come to {self._progress()}: loop over it until its end")
        found, lost = self.values()
        if lost:
            raise DamagedError(f"{len(lost):,} values of the job {self.name!r} are damaged or gone: loop over it again")
        return [found[key] for key in self.items.order if key in found]

    def values(self) -> tuple[dict[bytes, Any], list[bytes]]:
        """The values of the items that are done, by key, and the items whose values turned out to be damaged."""
        found: dict[bytes, Any] = {}
        lost: list[bytes] = []
        chunks: dict[bytes, Any] = {}
        known = {} if self._marks is None else self._marks.known
        for key in self.items.known:
            mark = known.get(key)
            try:
                if mark is not None:
                    found[key] = self._value(mark, chunks)
                elif key in self._kept:
                    found[key] = self._kept[key]
            except StoreError:
                lost.append(key)
        self._undo(lost, "damaged or gone from the store")
        return found, lost

    def _value(self, mark: Mark, chunks: dict[bytes, Any]) -> Any:
        entry, place = mark
        if entry is None:
            return None
        if place < 0:
            return self._load(entry)
        if entry not in chunks:
            chunks[entry] = self._load(entry)
        return chunks[entry][place]

    def _load(self, entry: bytes) -> Any:
        assert self._store is not None
        found = self._store.find(entry.hex())
        if not found:
            raise DamagedError("it is gone")
        return self._store.load(found[0])
