"""The index: diskcache's table, read and written by a connection of our own in each thread.

One connection reads and writes, because a second one's writes would empty the first one's page cache. To open it
takes 0.3 ms and no write. A hit goes straight to `link`; all else goes through `run`, which mends what can be mended:
a folder deleted under way, a damaged file.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from nbflow.store.links import Execute, Link, Linked, transaction
from nbflow.store.lockfile import LockFile
from nbflow.store.schema import MADE, make
from nbflow.store.trouble import CORRUPT, REFUSALS, code_of, trouble

__all__ = ["Execute", "Index", "Owner", "transaction"]

T = TypeVar("T")


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


class Index(Linked):
    """The table of a store.

    Attributes:
        folder: The index's own folder.
    """

    def __init__(self, folder: Path, locks: LockFile, owner: Owner) -> None:
        super().__init__()
        self.folder = folder
        self._path = folder / "cache.db"
        self._locks, self._owner = locks, owner
        self._identity: tuple[int, int] | None = None

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
        return self.use(work, lambda: self._open(create=create))

    def check(self) -> bool:
        """Whether the file is still the one that was opened; if not, the next use opens what is there now."""
        if self.link is None or self._identity == self._look():
            return True
        self.link = None
        self._locks.moved()
        return False

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
        aside = self.folder.parent / "quarantine" / f"index-{os.urandom(4).hex()}"
        aside.parent.mkdir(mode=0o700, exist_ok=True)
        self.folder.rename(aside)
        self._owner.say(
            f"the index of the store {self.folder.parent} was damaged: a new one was made from what is left, "
            f"the old one is in {aside}"
        )
        return aside
