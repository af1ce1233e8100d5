"""Connections to SQLite: one for each thread that asks, none over a fork.

SQLite's locks are not the child's after a fork, though it would think so. A child that opened the same file beside an
inherited connection lost rows, when its parent closed the last connection that the kernel knew of and deleted the log:
https://www.sqlite.org/howtocorrupt.html section 2.6. So all are closed before, and opened again when they are needed.
"""

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["Execute", "Link", "Linked", "transaction"]

T = TypeVar("T")
Execute = Callable[..., sqlite3.Cursor]

_forking = threading.Lock()
_alive: set[int] = set()
"""Connections from before they open until after they closed."""
_linked: "weakref.WeakSet[Linked]" = weakref.WeakSet()

_MOMENT = 5.0
"""Seconds that a fork waits for statements under way in other threads."""
_LOG = 4000
"""Pages of a write-ahead log, of 4 KiB, after which they are taken over: each time syncs twice, which takes as long as
a hundred small writes and more. SQLite's own 1000 made four times as many syncs."""


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

    def __init__(self, path: Path, synchronous: str = "NORMAL") -> None:
        self._connection = _Connection(path)
        self._connection.sqlite.executescript(
            f"PRAGMA synchronous={synchronous}; PRAGMA cache_size=8192; PRAGMA wal_autocheckpoint={_LOG}"
        )
        self.execute: Execute = self._connection.sqlite.cursor().execute


class Linked:
    """Whoever has connections to one file.

    Attributes:
        link: Where a statement can be run at once, None before the first use.
    """

    def __init__(self) -> None:
        self.link: Link | None = None
        _linked.add(self)

    def close(self) -> None:
        """Close the connections of all threads, each once its thread no longer uses it."""
        self.link = None

    def use(self, work: Callable[[Execute], T], connect: Callable[[], Link | None]) -> T | None:
        """What `work` gives for a function that executes statements; None where `connect` finds nothing."""
        while True:
            try:
                link = self.link or connect()
                return None if link is None else work(link.execute)
            except _ForkingError:
                self.link = link = None
            with _forking:
                pass


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
    """Close all connections. One that another thread uses could crash, so it is given a moment; new ones wait."""
    _forking.acquire()
    for each in list(_linked):
        each.close()
    until = time.monotonic() + _MOMENT
    while _alive and time.monotonic() < until:
        time.sleep(0.0005)


def _in_child() -> None:
    _alive.clear()
    _forking.release()


os.register_at_fork(before=_before_fork, after_in_parent=_forking.release, after_in_child=_in_child)
