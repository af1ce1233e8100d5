"""The ledger: one SQLite file beside the index that says what is done. Items of jobs, effects, runs of steps.

A write-ahead log, and `BEGIN IMMEDIATE` for every write: a transaction that only becomes a writer half-way is refused
at once when somebody else wrote meanwhile (https://www.sqlite.org/rescode.html#busy_snapshot). Reads take no lock that
a writer feels. The index may be lost and made again; this file may not, so a damaged one is never replaced: nobody
could know what was done.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from nbflow.errors import ConfigurationError, LedgerError
from nbflow.store import Store
from nbflow.store.folder import sync
from nbflow.store.links import Execute, Link, Linked, transaction
from nbflow.store.trouble import CORRUPT, REFUSALS, code_of, trouble

__all__ = ["Durability", "Execute", "Ledger", "Statement", "durability_of", "ledger_of"]

T = TypeVar("T")
Durability = Literal["process", "power"]
Statement = tuple[str, Sequence[object]]
"""A query and its values."""

_NAME: Final = "ledger.db"
_VERSION: Final = 1
_PATIENCE: Final = 30.0
_PAUSE: Final = 0.005
_BUSY: Final = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))
_SYNC: Final = {"process": "NORMAL", "power": "FULL"}

_TABLES: Final = f"""
PRAGMA synchronous = OFF;
BEGIN;
CREATE TABLE Jobs (
    job INTEGER PRIMARY KEY, name TEXT NOT NULL, version BLOB NOT NULL, total INTEGER, changed REAL NOT NULL
);
CREATE INDEX Jobs_name ON Jobs (name);
CREATE TABLE Items (
    number INTEGER PRIMARY KEY, job INTEGER NOT NULL, item BLOB NOT NULL, entry BLOB, place INTEGER NOT NULL
);
CREATE UNIQUE INDEX Items_item ON Items (job, item);
CREATE TABLE Effects (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, made_by TEXT NOT NULL, state TEXT NOT NULL, round INTEGER NOT NULL,
    calls INTEGER NOT NULL, began REAL NOT NULL, ended REAL, error TEXT, result BLOB
) WITHOUT ROWID;
CREATE TABLE Runs (
    number INTEGER PRIMARY KEY, task TEXT NOT NULL, began REAL NOT NULL, seconds REAL NOT NULL,
    attempts INTEGER NOT NULL, outcome TEXT NOT NULL, key TEXT NOT NULL, error TEXT NOT NULL
);
CREATE INDEX Runs_task ON Runs (task, number);
PRAGMA user_version = {_VERSION};
COMMIT;
"""


class Ledger(Linked):
    """The ledger of one store. Any thread may use it, and any number of processes at a time.

    Args:
        store: Where it lies. The file is made at the first write.
        durability: `process`: what was written outlives the process, however it ends. `power`: and the machine.
    """

    def __init__(self, store: Store, durability: Durability = "process") -> None:
        super().__init__()
        self.path = store.folder / _NAME
        self._name = str(self.path)
        self.durability: Durability = durability
        self._vault = store.vault
        self._identity: tuple[int, int] | None = None

    def read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows; none where there is no ledger yet.

        Raises:
            StoreError: It cannot be read.
        """
        return self._run(lambda execute: execute(query, values).fetchall(), create=False) or []

    def write(self, work: Callable[[Execute], T]) -> T:
        """What `work` gives, in a transaction of its own; it may be called again, and must do nothing else.

        Raises:
            StoreError: Nothing was written.
        """

        def alone(execute: Execute) -> T:
            with transaction(execute):
                return work(execute)

        return self._run(alone, create=True)  # type: ignore[return-value]  # it was made

    def change(self, *statements: Statement) -> int:
        """Run statements that write, all or none; how many rows they changed.

        A single one is a transaction by itself, without statements that begin and commit one.

        Raises:
            StoreError: Nothing was written.
        """

        def work(execute: Execute) -> int:
            if len(statements) == 1 and not execute.__self__.connection.in_transaction:  # type: ignore[attr-defined]  # a cursor's
                return execute(*statements[0]).rowcount
            with transaction(execute):  # refused, and begun anew, where an interrupt left one open
                return sum([execute(*each).rowcount for each in statements])

        return self._run(work, create=True) or 0

    def adjust(self, durability: Durability) -> None:
        """Sync as asked from now on."""
        if durability != self.durability:
            self.durability = durability
            self.close()

    def _run(self, work: Callable[[Execute], T], *, create: bool) -> T | None:
        """The one place where statements run, and where those that only came at a bad moment are tried again."""
        until, fresh = time.monotonic() + _PATIENCE, False
        while True:
            try:
                if self.link is not None and self._identity != self._look():
                    self.close()  # the folder was deleted, or is another one
                return self.use(work, lambda: self._open(create=create))
            except REFUSALS as error:
                code = code_of(error)
                if code in CORRUPT:
                    raise LedgerError(
                        f"the ledger {self.path} is damaged, so nobody knows what was done: nothing was run; put a "
                        "backup in its place, or move it away to begin anew"
                    ) from error
                if code in _BUSY and time.monotonic() < until:
                    time.sleep(_PAUSE)
                elif fresh or isinstance(error, OSError) or code not in (0, sqlite3.SQLITE_ERROR):
                    raise trouble(self.path.parent, error) from error
                else:  # an interrupt left a transaction open, or the link was closed
                    fresh = True
                    self.close()

    def _open(self, *, create: bool) -> Link | None:
        if not self.path.exists():
            if not create:
                return None
            self._vault.prepare()
        with self._vault.flights.file.making():
            if self.link is not None:
                return self.link
            if not self.path.exists():
                _make(self.path, "delete" if self._vault.shared else "wal")
            link = Link(self.path, _SYNC[self.durability])
            ((version,),) = link.execute("PRAGMA user_version").fetchall()
            if version != _VERSION:
                raise LedgerError(
                    f"the ledger {self.path} was made by another version of nbflow (its number is {version}, "
                    f"{_VERSION} is understood): nothing was run"
                )
            self._identity = self._look()
            self.link = link
            return link

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._name)  # noqa: PTH116 - a Path takes twice as long
        except OSError:
            return None
        return found.st_dev, found.st_ino


_guard = threading.Lock()


def ledger_of(store: Store, durability: Durability = "process") -> Ledger:
    """The process's one ledger of a store; it is closed with the store."""
    with _guard:
        found = store.vault.beside.get(_NAME)
        if not isinstance(found, Ledger):
            found = store.vault.beside[_NAME] = Ledger(store, durability)
        found.adjust(durability)
        return found


def durability_of(given: object, what: str = "durability") -> Durability:
    """How much what is written shall outlive.

    Raises:
        ConfigurationError: There is no such word.
    """
    if given not in _SYNC:
        raise ConfigurationError(f"{what}={given!r}: give {' or '.join(_SYNC)}")
    found: Durability = given  # type: ignore[assignment]
    return found


def _make(path: Path, mode: str) -> None:
    """Make the file in one piece: whoever finds it finds all of it."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(draft, isolation_level=None)) as table:
        table.executescript(_TABLES)
        table.execute(f"PRAGMA journal_mode = {mode}")
    draft.chmod(0o600)
    sync(draft)
    for left in ("-journal", "-shm", "-wal"):  # of one that is gone
        path.with_name(path.name + left).unlink(missing_ok=True)
    draft.rename(path)
    sync(path.parent)
