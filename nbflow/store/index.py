"""The index: diskcache's table, read and written by a connection of our own in each thread.

One connection reads and writes, because a second one's writes would empty the first one's page cache. To open it
takes 0.3 ms and no write. A hit goes straight to `link`; all else goes through `run`, which mends what can be mended:
a folder deleted under way, a damaged file.
"""

import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nbflow.store.lockfile import LockFile
from nbflow.store.schema import MADE, make
from nbflow.store.trouble import CORRUPT, REFUSALS, code_of, trouble

__all__ = ["Execute", "Index", "Owner", "transaction"]

T = TypeVar("T")
Execute = Callable[..., sqlite3.Cursor]

_forking = threading.Lock()
_alive: set[int] = set()
"""Connections from before they open until after they closed."""
_indexes: "weakref.WeakSet[Index]" = weakref.WeakSet()

_MOMENT = 5.0
"""Seconds that a fork waits for statements under way in other threads."""


class Owner(Protocol):
    """What the index asks of the store around it."""

    @property
    def shared(self) -> bool:
        """Whether the folder is on a network mount."""

    def prepare(self) -> None:
        """Make the store's folder fit for use, or raise a `StoreError`."""

    def refill(self, execute: Execute, lost: Path | None) -> None:
        """Enter what the containers, and a damaged index set aside, still tell."""

    def say(self, text: str) -> None:
        """Tell the user."""


class _ForkingError(sqlite3.Error):
    """A process is about to fork: let go of the connection and come again."""


class _Connection:
    """Closes its connection in time: the garbage collector would complain of it (since Python 3.13)."""

    def __init__(self, path: Path) -> None:
        _alive.add(id(self))
        if _forking.locked():  # whoever waited here would keep its link, and so other threads' connections, open
            raise _ForkingError
        self.sqlite = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=60, isolation_level=None, check_same_thread=False
        )

    def __del__(self) -> None:
        with suppress(Exception):
            self.sqlite.close()
        _alive.discard(id(self))


class Link(threading.local):
    """A connection for each thread that asks; they close when it goes, so keep it while `execute` runs."""

    def __init__(self, path: Path) -> None:
        self._connection = _Connection(path)
        self._connection.sqlite.executescript("PRAGMA synchronous=NORMAL; PRAGMA cache_size=8192")
        self.execute: Execute = self._connection.sqlite.cursor().execute


class Index:
    """The table of a store.

    Attributes:
        link: Where a statement can be run at once, None before the first `run`.
        folder: The index's own folder.
    """

    def __init__(self, folder: Path, locks: LockFile, owner: Owner) -> None:
        self.folder = folder
        self.link: Link | None = None
        self._path = folder / "cache.db"
        self._locks, self._owner = locks, owner
        self._identity: tuple[int, int] | None = None
        _indexes.add(self)

    def run(self, work: Callable[[Execute], T], *, create: bool = True) -> T | None:
        """What `work` gives for a function that executes statements; None if there is no store and none shall be.

        Raises:
            StoreError: The index can be neither used nor mended.
        """
        try:
            for again in (False, True):
                try:
                    return self._run(work, create=create)
                except REFUSALS as error:
                    if not self._mend(error, again=again):
                        raise
            return self._run(work, create=create)
        except REFUSALS as error:
            raise trouble(self.folder.parent, error) from error

    def _run(self, work: Callable[[Execute], T], *, create: bool) -> T | None:
        while True:
            try:
                link = self.link or self._open(create=create)
                return None if link is None else work(link.execute)
            except _ForkingError:
                self.link = link = None
            with _forking:
                pass

    def check(self) -> bool:
        """Whether the file is still the one that was opened; if not, the next use opens what is there now."""
        if self.link is None or self._identity == self._look():
            return True
        self.link = None
        self._locks.moved()
        return False

    def close(self) -> None:
        """Close the connections of all threads, each once its thread no longer uses it."""
        self.link = None

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - a Path takes twice as long
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self, *, create: bool) -> Link | None:
        """One process at a time opens the store, and makes it if it is not there."""
        if not create and not self._path.exists():
            return None
        self._owner.prepare()
        with self._locks.making():
            if self.link is not None:
                return self.link
            link = self._whole() or self._make(None)
            self._identity = self._look()
            self.link = link
            return link

    def _whole(self) -> Link | None:
        """A connection to what is there, or to a new one made from it; None where it is nothing."""
        if not self._path.exists() or not self._path.stat().st_size:
            return None
        try:
            link = Link(self._path)
            if link.execute(MADE).fetchone():
                return link
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if code_of(error) not in CORRUPT:
                raise
        return self._make(self._set_aside())

    def _make(self, lost: Path | None) -> Link:
        make(self.folder, shared=self._owner.shared)
        link = Link(self._path)
        self._owner.refill(link.execute, lost)
        return link

    def _mend(self, error: Exception, *, again: bool) -> bool:
        """Whether it is worth trying again.

        Our statements are right, so one that makes no sense to SQLite meets a table that lacks something, which
        opening sees, or if it does so again, one whose description is damaged.
        """
        if not self.check():
            return True
        senseless = code_of(error) == sqlite3.SQLITE_ERROR
        if code_of(error) in CORRUPT or (senseless and again):
            with self._locks.making():
                if self._identity == self._look():
                    self._make(self._set_aside())
                self.link = None
            return True
        if senseless or isinstance(error, sqlite3.ProgrammingError):  # it was closed
            self.link = None
        return self.link is None and not isinstance(error, OSError)

    def _set_aside(self) -> Path:
        """Move a damaged index away, whole."""
        aside = self.folder.parent / "quarantine" / f"index-{secrets.token_hex(4)}"
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        self.folder.rename(aside)
        self._owner.say(
            f"the index of the store {self.folder.parent} was damaged: a new one was made from what is left, "
            f"the old one is in {aside}"
        )
        return aside


@contextmanager
def transaction(execute: Execute) -> Iterator[Any]:
    """All statements or none; never held while something is computed or pickled."""
    execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        execute("ROLLBACK")
        raise
    execute("COMMIT")


def _before_fork() -> None:
    """Close all connections: SQLite's locks are not the child's, though it would think so.

    A child that opened the same file beside an inherited connection lost rows, when its parent closed the last
    connection that the kernel knew of and deleted the log: https://www.sqlite.org/howtocorrupt.html section 2.6.
    To close one that another thread uses could crash, so it is given a moment to finish; new ones wait.
    """
    _forking.acquire()
    for index in list(_indexes):
        index.close()
    until = time.monotonic() + _MOMENT
    while _alive and time.monotonic() < until:
        time.sleep(0.0005)


def _in_child() -> None:
    _alive.clear()
    _forking.release()


os.register_at_fork(before=_before_fork, after_in_parent=_forking.release, after_in_child=_in_child)
