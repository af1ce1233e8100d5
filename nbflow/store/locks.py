"""One flight per key: of all threads, tasks and processes of a host, one computes and the others wait.

In the process a table, then between processes a byte of one file for each key: 0.8 µs, where a lock file of its
own costs 10 and a lock library's 107, and the kernel frees it at once when its holder dies.
"""

import errno
import fcntl
import hashlib
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from nbflow.clock import Clock
from nbflow.errors import InterfaceError
from nbflow.logs import logger, warn
from nbflow.store.lockfile import LockFile
from nbflow.store.waits import Waits, holder, insist

__all__ = ["Flights", "flights_of"]

_MOMENT: Final = 5.0
"""Seconds that a fork waits for a store to be made."""

_SHORTEST, _LONGEST = 0.002, 0.25
"""Seconds between two looks at a key that another process holds, for those who may not block a thread."""

_PATIENCE: Final = 10.0
"""Seconds after which somebody who waits for another process is told so."""


class _Flight:
    """Who runs a key, a lock that is free once they are done, and who wants to hear of it.

    Attributes:
        file: Where its byte is locked, also if the store has moved meanwhile; below 0 there are no locks.
        held: Whether its turn has come.
    """

    __slots__ = ("done", "file", "held", "owner", "place", "waiters")

    def __init__(self, key: str, owner: object) -> None:
        self.owner = owner
        self.file = -1
        self.held = False
        self.done = threading.Lock()
        self.done.acquire()
        self.waiters: list[Callable[[], object]] = []
        self.place = _place(key)


class Flights:
    """Claims on keys, for all stores of this process that share a folder.

    Args:
        path: The file whose bytes are locked.

    Attributes:
        file: That file. Until it was opened, and where that fails (a read-only folder), claims hold in this process
            only.
    """

    def __init__(self, path: Path) -> None:
        self.file = LockFile(path)
        self._forget()

    def _forget(self) -> None:
        self._flights: dict[str, _Flight] = {}
        self._inherited: dict[int, object] = {}
        self._waits = Waits()
        self._clock = Clock()

    def claim(self, key: str, owner: object = None, *, wait: bool = True) -> bool:
        """As `Store.claim` says."""
        if owner is None:
            owner = threading.get_ident()
        mine = _Flight(key, owner)
        try:
            return self._claim(key, mine, wait=wait)
        except BaseException:  # an interrupt may come between any two lines
            self._drop(key, mine)
            raise

    def _claim(self, key: str, mine: _Flight, *, wait: bool) -> bool:
        while (front := self._flights.setdefault(key, mine)) is not mine:
            if front.owner in _lineage(mine.owner):
                raise InterfaceError("a step waits for its own result: it calls itself with the same inputs")
            if not wait:
                return False
            leave = self._enter(mine.owner, front.place)
            try:
                with front.done:  # its end says nothing about who is next
                    pass
            finally:
                leave()
        mine.file = self.file.number
        try:
            fcntl.lockf(mine.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, mine.place)
        except (OSError, ValueError) as error:  # ValueError: the file is not open yet
            if getattr(error, "errno", 0) in (errno.EAGAIN, errno.EACCES) and not self._behind(key, mine, wait=wait):
                return False  # without locks a key may run twice, which is safe
        mine.held = True
        return True

    def release(self, key: str, owner: object = None) -> None:
        """Give up a claim, from any thread; a key that is not claimed, or by another owner, is left alone."""
        flight = self._flights.get(key)
        if flight is None or not flight.held or (owner is not None and flight.owner != owner):
            return
        self._drop(key, flight)

    def when_free(self, key: str, callback: Callable[[], object], owner: object = None) -> Callable[[], None]:
        """As `Store.when_free` says."""
        leave = self._enter(owner, _place(key))

        def tell() -> None:
            leave()
            with suppress(Exception):  # whatever a waiter does (its event loop may be gone), the one who lands goes on
                callback()

        flight = self._flights.get(key)
        if flight is None:
            self._clock.after(_SHORTEST, partial(self._poll, key, owner, tell, _SHORTEST, 0.0))
            return leave
        flight.waiters.append(tell)
        if self._flights.get(key) is not flight:  # it landed meanwhile, and perhaps had told its waiters already
            with suppress(ValueError):
                flight.waiters.remove(tell)
                tell()
        return leave

    def close(self) -> None:
        """Close the file, unless a claim is held."""
        if not self._flights:
            self.file.close()

    def after(self, seconds: float, work: Callable[[], object]) -> None:
        """Do what the store has to do later, and quickly, unless the process has ended by then."""
        self._clock.after(seconds, work)

    def forked(self) -> None:
        """In a child: its parent's claims are not its own, and the threads that would end them are not here.

        But what it runs may be a part of what its parent runs, which waits for it.
        """
        inherited = self._inherited | {each.place: each.owner for each in self._flights.values() if each.held}
        self.file.forked()
        self._forget()
        self._inherited = inherited

    # Waiting

    def _enter(self, owner: object, wanted: int) -> Callable[[], None]:
        """Write down that an owner waits; gives what ends it."""
        lineage = _lineage(owner)
        if not lineage:
            return self._waits.enter(self.file.number, (), wanted)
        held = {each.place for each in list(self._flights.values()) if each.held and each.owner in lineage}
        held |= {place for place, parent in self._inherited.items() if parent in lineage}
        return self._waits.enter(self.file.number, held, wanted)

    def _behind(self, key: str, mine: _Flight, *, wait: bool) -> bool:
        """Another process is in front: wait for it, or give up."""
        if wait:
            leave = self._enter(mine.owner, mine.place)
            self._clock.after(_PATIENCE, partial(self._remind, key, mine))
            try:
                with suppress(OSError):
                    insist(mine.file, mine.place)
            finally:
                leave()
            return True
        self._land(key, mine)
        return False

    def _poll(self, key: str, owner: object, tell: Callable[[], object], delay: float, waited: float) -> None:
        """Look whether a key can be claimed, by claiming it: a lock of ours would not keep us out."""
        if waited <= _PATIENCE < waited + delay:
            _say(self.file.number, _place(key), owner)
        try:
            free = self.claim(key, self, wait=False)
        except OSError:
            free = True
        if free:
            self.release(key, self)
            tell()
        else:
            later = min(2 * delay, _LONGEST)
            self._clock.after(later, partial(self._poll, key, owner, tell, later, waited + delay))

    def _remind(self, key: str, mine: _Flight) -> None:
        if self._flights.get(key) is mine and not mine.held:
            _say(mine.file, mine.place, mine.owner)

    def _drop(self, key: str, flight: _Flight) -> None:
        """Give up a flight with its lock. One that is not in the air, or was half given up, is done with as well."""
        if self._flights.get(key) is flight:
            try:  # before others of this process may lock it: the lock is the process's
                fcntl.lockf(flight.file, fcntl.LOCK_UN, 1, flight.place)
            except (OSError, ValueError):
                logger.debug("there was no lock to give up")
        self._land(key, flight)

    def _land(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is not flight:
            return
        try:
            self._flights.pop(key, None)
        finally:
            if self._flights.get(key) is not flight:
                flight.done.release()
        while flight.waiters:
            with suppress(IndexError):
                flight.waiters.pop(0)()


_all: "weakref.WeakValueDictionary[str, Flights]" = weakref.WeakValueDictionary()
_guard = threading.Lock()
_held: list[LockFile] = []


def flights_of(path: Path) -> Flights:
    """The process's one `Flights` for a file."""
    with _guard:
        name = os.path.realpath(path)
        found = _all.get(name)
        if found is None:
            found = _all[name] = Flights(path)
        return found


def _before_fork() -> None:
    """Let whoever makes a store finish: a child could not use one that was half made when it came into being."""
    _held.extend(flights.file for flights in list(_all.values()) if flights.file.hold(_MOMENT))


def _after_fork() -> None:
    while _held:
        _held.pop().let_go()


def _in_child() -> None:
    global _guard  # noqa: PLW0603 - a thread that is not here may have held it
    _guard = threading.Lock()
    _held.clear()
    for flights in list(_all.values()):
        flights.forked()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _say(file: int, place: int, owner: object) -> None:
    """Tell whoever waits long what for: a holder that is stopped ends no wait."""
    process, stopped = holder(file, place)
    who = f"process {process}" if process else "another process"
    text = f"{getattr(owner, 'task', 'a step')} waits for {who}, which is computing the same result"
    warn(f"{text}, but is stopped: `kill -CONT {process}` lets it go on" if stopped else text)


def _lineage(owner: object) -> list[object]:
    """An owner and those it runs in, innermost first."""
    found = []
    while owner is not None:
        found.append(owner)
        owner = getattr(owner, "parent", None)
    return found


def _place(key: str) -> int:
    """A byte of the file for each key: of 2^60, so strangers practically never share one. 0 is for `making`."""
    try:
        return 1 + int(key[:15], 16)
    except ValueError:
        return 1 + (int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 4)
