"""What the ledger says of jobs: which items are done, and where their values are."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

from nbflow.durable.ledger import Execute, Ledger

__all__ = ["JobStatus", "Mark", "Marks", "forget", "jobs", "latest"]

# In the order of the table: an index that leads from row to row takes five times as long.
_LOAD: Final = """
SELECT item, entry, place FROM Items NOT INDEXED WHERE number IN (SELECT number FROM Items WHERE job = ?)"""
_SINCE: Final = "SELECT item, entry, place FROM Items NOT INDEXED WHERE number > ? AND job = ?"
_LAST: Final = "SELECT coalesce(max(number), 0) FROM Items"
_ONE: Final = "SELECT entry, place FROM Items WHERE job = ? AND item = ?"
_PUT: Final = """
INSERT INTO Items (job, item, entry, place) VALUES (?, ?, ?, ?)
ON CONFLICT (job, item) DO UPDATE SET entry = excluded.entry, place = excluded.place"""
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
            since = (_SINCE, self._last, self._job) if self._last else (_LOAD, self._job)
            rows = self._ledger.read(*since)
            self.known |= {item: (entry, place) for item, entry, place in rows}
            self._last = last

    def enter(self, total: int | None, now: float) -> None:
        """Write down that the job begins, with so many items.

        Raises:
            StoreError: It cannot be written.
        """
        values = self._job, self._name, self._version, total, now
        self._ledger.write(lambda execute: execute(_ENTER, values))

    def has(self, item: bytes) -> bool:
        """Whether an item is done by now, whoever did it.

        Raises:
            StoreError: The ledger cannot be read.
        """
        found = self._ledger.read(_ONE, self._job, item)
        for entry, place in found:
            self.known[item] = entry, place
        return bool(found)

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

        def work(execute: Execute) -> None:
            for item, mark in marks.items():
                execute(_PUT, (self._job, item, *mark))

        self._ledger.write(work)
        self.known |= marks

    def drop(self, items: Sequence[bytes]) -> None:
        """Write down that items are not done after all.

        Raises:
            StoreError: It cannot be written.
        """

        def work(execute: Execute) -> None:
            for item in items:
                execute(_DROP, (self._job, item))

        self._ledger.write(work)
        for item in items:
            self.known.pop(item, None)


def _number(name: str, version: bytes) -> int:
    """A job's number: of its name and version alone, so that it is the same in a ledger that was made anew."""
    digest = blake2b(version, digest_size=8, person=b"nbflow job")
    digest.update(name.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "big") >> 1


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
