"""What the ledger says of jobs: which items are done, and where their values are."""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from nbflow.durable.ledger import Execute, Ledger

__all__ = ["JobStatus", "Mark", "Marks", "forget", "jobs", "latest"]

# In the order of the table: an index that leads from row to row takes five times as long.
_SINCE: Final = "SELECT item, entry, place FROM Items NOT INDEXED WHERE job = ? AND number > ?"
_AMONG: Final = f"{_SINCE} AND number IN (SELECT number FROM Items WHERE job = ?)"  # noqa: S608 - a constant of ours
_SPAN: Final = "SELECT count(*), coalesce(min(number), 1) FROM Items WHERE job = ?"
_LAST: Final = "SELECT coalesce(max(number), 0) FROM Items"
_FIND: Final = "SELECT item, entry, place FROM Items WHERE job = ? AND item IN ({})"
_PUT: Final = """
INSERT INTO Items (job, item, entry, place) VALUES {}
ON CONFLICT (job, item) DO UPDATE SET entry = excluded.entry, place = excluded.place"""
_ROW: Final = "(?, ?, ?, ?)"
_BLOCK: Final = 200
"""Items of one statement; SQLite may allow 999 values in one."""
_DENSE: Final = 8
"""Where of so many rows one is the job's, all of them are read: to pick rows takes about as long."""
_ENTER: Final = """
INSERT INTO Jobs (job, name, version, total, changed) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (job) DO UPDATE SET total = excluded.total, changed = excluded.changed"""
_LATEST: Final = "SELECT version FROM Jobs WHERE name = ? ORDER BY changed DESC, job DESC LIMIT 1"
_DROP: Final = "DELETE FROM Items WHERE job = ? AND item = ?"
_JOBS: Final = """
SELECT name, (SELECT count(*) FROM Items WHERE Items.job = Jobs.job), total, changed FROM Jobs
WHERE job = (SELECT job FROM Jobs AS Other WHERE Other.name = Jobs.name ORDER BY changed DESC, job DESC LIMIT 1)
ORDER BY changed DESC, job DESC"""

Mark = tuple[bytes | None, int]
"""An item is done: the entry of the store that has its value, None where it was done without one, and the value's place
in the list that the entry is; -1: it is the entry. No class: 100,000 of them are made at a start.
"""


class JobStatus(NamedTuple):
    """A job as it stands: items done, of how many when it last began (None: nobody knows), and when that was."""

    name: str
    done: int
    total: int | None
    changed: float


class Marks:
    """The items of one job that are done, as this process knows them.

    Args:
        ledger: Where they are written down.
        name: Of the job.
        version: Of what is done with its items; others have marks of their own.

    Attributes:
        known: Item to mark.
    """

    def __init__(self, ledger: Ledger, name: str, version: bytes) -> None:
        self.known: dict[bytes, Mark] = {}
        self._ledger, self._name, self._version = ledger, name, version
        self._job, self._last = _number(name, version), 0

    def load(self) -> None:
        """Learn what is done. Nothing is made.

        Raises:
            StoreError: The ledger cannot be read.
        """
        ((last,),) = self._ledger.read(_LAST) or ((0,),)
        if last > self._last:
            query: tuple[Any, ...] = _SINCE, self._job, self._last
            if not self._last:
                ((count, first),) = self._ledger.read(_SPAN, self._job)
                dense = last - first < _DENSE * count
                query = (_SINCE, self._job, first - 1) if dense else (_AMONG, self._job, 0, self._job)
            self.known |= {item: (entry, place) for item, entry, place in self._ledger.read(*query)}
            self._last = last

    def enter(self, total: int | None, now: float) -> None:
        """Write down that the job begins, with so many items.

        Raises:
            StoreError: It cannot be written.
        """
        values = self._job, self._name, self._version, total, now
        self._ledger.change((_ENTER, values))

    def look(self, items: Sequence[bytes]) -> None:
        """Learn which of some items are done by now, whoever did them.

        Raises:
            StoreError: The ledger cannot be read.
        """
        for block in _blocks(items):
            for item, entry, place in self._ledger.read(_find(len(block)), self._job, *block):
                self.known[item] = entry, place

    def put(self, items: Sequence[bytes], entry: bytes | None, *, whole: bool) -> None:
        """Write down that items are done, all or none.

        Args:
            items: In the order of their values.
            entry: Where the values are; None: there are none.
            whole: The entry is the value of the one item, not a list of values.

        Raises:
            StoreError: It cannot be written; none is done.
        """
        marks: dict[bytes, Mark] = {item: (entry, -1 if whole else place) for place, item in enumerate(items)}
        self._ledger.change(
            *(
                (_put(len(block)), [value for item in block for value in (self._job, item, *marks[item])])
                for block in _blocks(items)
            )
        )
        self.known |= marks

    def drop(self, items: Sequence[bytes]) -> None:
        """Write down that items are not done after all.

        Raises:
            StoreError: It cannot be written.
        """
        self._ledger.change(*((_DROP, (self._job, item)) for item in items))
        for item in items:
            self.known.pop(item, None)


def _number(name: str, version: bytes) -> int:
    """A job's number: of its name and version alone, so that it is the same in a ledger that was made anew."""
    digest = blake2b(version, digest_size=8, person=b"nbflow job")
    digest.update(name.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "big") >> 1


def _blocks(items: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (items,) if len(items) <= _BLOCK else [items[i : i + _BLOCK] for i in range(0, len(items), _BLOCK)]


@cache
def _find(count: int) -> str:
    return _FIND.format(", ".join("?" * count))


@cache
def _put(count: int) -> str:
    return _PUT.format(", ".join([_ROW] * count))


def latest(ledger: Ledger, name: str) -> bytes:
    """The version of a job that somebody last worked at."""
    found = ledger.read(_LATEST, name)
    return bytes(found[0][0]) if found else b""


def jobs(ledger: Ledger) -> list[JobStatus]:
    """All jobs, the one that somebody last worked at first."""
    return [JobStatus._make(row) for row in ledger.read(_JOBS)]


def forget(ledger: Ledger, name: str) -> int:
    """Let none of a job's items be done; how many were."""

    def work(execute: Execute) -> int:
        gone = 0
        for (job,) in execute("SELECT job FROM Jobs WHERE name = ?", (name,)).fetchall():
            gone += execute("DELETE FROM Items WHERE job = ?", (job,)).rowcount
        execute("DELETE FROM Jobs WHERE name = ?", (name,))
        return gone

    return ledger.write(work) if ledger.read("SELECT 1 FROM Jobs WHERE name = ?", name) else 0
