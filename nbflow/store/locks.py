"""One flight per key: of all threads, tasks and processes of a host, one computes and the others wait.

In the process a table, then between processes a byte of one file for each key: 0.8 µs, where a lock file of its
own costs 10 and a lock library's 107, and the kernel frees it at once when its holder dies. POSIX locks belong to
processes: closing *any* descriptor of the file drops them all, so there is one `Flights` for a file and it opens
it once. https://pubs.opengroup.org/onlinepubs/9799919799/functions/fcntl.html
"""

import errno
import fcntl
import hashlib
import heapq
import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nbflow.errors import InterfaceError
from nbflow.logs import logger

__all__ = ["Flights", "flights_of"]

_PATIENCE = 30.0
"""Seconds that the kernel may call a wait a deadlock before the key is run beside its other holder."""

_MOMENT = 5.0
"""Seconds that a fork waits for a store to be made."""

_SHORTEST, _LONGEST = 0.002, 0.25
_WAIT, _TRY = fcntl.LOCK_EX, fcntl.LOCK_EX | fcntl.LOCK_NB
_TAKEN = (errno.EAGAIN, errno.EACCES)


class _Flight:
    """Who runs a key, a lock that is free once they are done, and who wants to hear of it."""

    __slots__ = ("done", "held", "owner", "place", "waiters")

    def __init__(self, key: str, owner: object) -> None:
        self.owner = owner
        self.held = False
        self.done = threading.Lock()
        self.done.acquire()
        self.waiters: list[Callable[[], object]] = []
        try:
            self.place = 1 + int(key[:15], 16)
        except ValueError:
            self.place = _place(key)


class Flights:
    """Claims on keys, for all stores of this process that share a folder.

    Args:
        path: The file whose bytes are locked. Until `making` has opened it, and where that fails (a read-only
            folder), claims hold in this process only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._flights: dict[str, _Flight] = {}
        self._waiting: dict[object, str] = {}
        self._file = -1
        self._left: list[int] = []
        self._making = threading.RLock()
        self._poller = _Poller(self)

    def claim(self, key: str, owner: object = None, *, wait: bool = True) -> bool:
        """As `Store.claim` says."""
        if owner is None:
            owner = threading.get_ident()
        mine = _Flight(key, owner)
        while (front := self._flights.setdefault(key, mine)) is not mine:
            if front.owner in _lineage(owner):
                raise InterfaceError("a step waits for its own result: it calls itself with the same inputs")
            if not wait:
                return False
            self._queue(key, owner, front)
        try:
            fcntl.lockf(self._file, _WAIT if wait else _TRY, 1, mine.place)
            mine.held = True
        except (OSError, ValueError):  # ValueError: the file is not open yet
            mine.held = self._insist(key, mine, wait=wait)
        except BaseException:
            self._land(key, mine)
            raise
        return mine.held

    def release(self, key: str, owner: object = None) -> None:
        """Give up a claim, from any thread; a key that is not claimed, or by another owner, is left alone."""
        flight = self._flights.get(key)
        if flight is None or not flight.held or (owner is not None and flight.owner != owner):
            return
        try:  # before others of this process may lock it: the lock is the process's
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, flight.place)
        except (OSError, ValueError):
            logger.debug("there was no lock to give up")
        self._land(key, flight)

    def when_free(self, key: str, callback: Callable[[], object]) -> None:
        """Call back once, soon after the key may be claimed again, from whichever thread notices.

        Somebody else may be faster: claim again without waiting, and come back here if that fails.
        """
        flight = self._flights.get(key)
        if flight is None:
            self._poller.add(key, callback)
            return
        flight.waiters.append(callback)
        if self._flights.get(key) is not flight:  # it landed meanwhile, and perhaps had told its waiters already
            try:
                flight.waiters.remove(callback)
            except ValueError:
                return
            _tell(callback)

    @contextmanager
    def making(self) -> Iterator[None]:
        """Alone on this host to make or mend the store. Without locks there, alone in this process.

        Raises:
            OSError: The folder or the file cannot be made.
        """
        with self._making:
            if self._file < 0:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            file = self._file
            try:
                self._lock_first(file)
                yield
            finally:
                with suppress(OSError):
                    fcntl.lockf(file, fcntl.LOCK_UN, 1, 0)

    @staticmethod
    def _lock_first(file: int) -> None:
        while True:
            try:
                fcntl.lockf(file, _WAIT, 1, 0)
            except OSError as error:
                if error.errno == errno.EDEADLK:
                    time.sleep(_SHORTEST)  # no circle: whoever has this byte waits for nobody
                    continue
            return  # alone, or without locks

    def moved(self) -> None:
        """The folder is another one now: lock there from the next claim on. Somebody may still wait in the old."""
        with self._making:
            if self._file >= 0:
                self._left.append(self._file)
            self._file = -1

    def close(self) -> None:
        """Close the file, unless a claim is held."""
        with self._making:
            if self._flights:
                return
            for file in (*self._left, self._file):
                if file >= 0:
                    os.close(file)
            self._left.clear()
            self._file = -1

    def hold(self, timeout: float) -> bool:
        """Keep this process from making the store, until `let_go`; whether that went in time."""
        return self._making.acquire(timeout=timeout)

    def let_go(self) -> None:
        """Undo `hold`, in the same thread."""
        self._making.release()

    def forked(self) -> None:
        """In a child: its parent's claims are not its own, and the threads that would end them are not here."""
        self.__init__(self.path)  # type: ignore[misc]

    def _insist(self, key: str, flight: _Flight, *, wait: bool) -> bool:
        """Lock where it did not go at once: somebody is in front, or there are no locks here."""
        try:
            if self._file >= 0:
                fcntl.lockf(self._file, _WAIT if wait else _TRY, 1, flight.place)
        except OSError as error:
            if error.errno in _TAKEN and not wait:
                self._land(key, flight)
                return False
            if error.errno == errno.EDEADLK:
                self._wait_on(key, flight)
        except BaseException:
            self._land(key, flight)
            raise
        return True  # without locks a key may run twice, which is safe

    def _wait_on(self, key: str, flight: _Flight) -> None:
        """Wait although the kernel sees a circle: it takes processes for threads, so there may be none.

        If it insists, the key is run beside its other holder, because work that is done twice ends.
        """
        delay, until = _SHORTEST, time.monotonic() + _PATIENCE
        try:
            while time.monotonic() < until:
                try:
                    fcntl.lockf(self._file, _WAIT, 1, flight.place)
                except OSError as error:
                    if error.errno != errno.EDEADLK:
                        return
                    time.sleep(delay)
                    delay = min(2 * delay, _LONGEST)
                else:
                    return
        except BaseException:
            self._land(key, flight)
            raise

    def _queue(self, key: str, owner: object, front: _Flight) -> None:
        """Wait for the flight in front; its end says nothing about who is next."""
        self._waiting[owner] = key
        try:
            if self._circular(key, _lineage(owner), {key}):
                raise InterfaceError("steps wait for each other in a circle: each needs the other's result")
            with front.done:
                pass
        finally:
            self._waiting.pop(owner, None)

    def _circular(self, key: str, lineage: list[object], seen: set[str]) -> bool:
        """Whether the key's holder, or a step that runs inside it, waits for one of a lineage."""
        flight = self._flights.get(key)
        if flight is None:
            return False
        if flight.owner in lineage:
            return True
        for waiting, wanted in list(self._waiting.items()):
            if wanted not in seen and flight.owner in _lineage(waiting):
                seen.add(wanted)
                if self._circular(wanted, lineage, seen):
                    return True
        return False

    def _land(self, key: str, flight: _Flight) -> None:
        if self._flights.pop(key, None) is None:
            return
        flight.done.release()
        while flight.waiters:
            with suppress(IndexError):
                _tell(flight.waiters.pop(0))


class _Poller:
    """Asks for keys that other processes hold, ever more rarely, from one thread that ends when there are none."""

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        self._due: list[tuple[float, int, float, str, Callable[[], object]]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._running = False

    def add(self, key: str, callback: Callable[[], object]) -> None:
        """Call back once the key is free."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic(), next(self._count), _SHORTEST, key, callback))
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="nbflow-waits", daemon=True).start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._due:
                    self._running = False
                    return
                at, _, delay, key, callback = self._due[0]
                if (left := at - time.monotonic()) > 0:
                    self._changed.wait(left)
                    continue
                heapq.heappop(self._due)
            if self._free(key):
                _tell(callback)
                continue
            with self._changed:
                delay = min(2 * delay, _LONGEST)
                heapq.heappush(self._due, (time.monotonic() + delay, next(self._count), delay, key, callback))

    def _free(self, key: str) -> bool:
        """Whether the key can be claimed; asked by claiming it, because a lock of ours would not keep us out."""
        try:
            if not self._flights.claim(key, self, wait=False):
                return False
        except OSError:
            return True
        self._flights.release(key)
        return True


_all: "weakref.WeakValueDictionary[str, Flights]" = weakref.WeakValueDictionary()
_guard = threading.Lock()
_held: list[Flights] = []


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
    _held.extend(flights for flights in list(_all.values()) if flights.hold(_MOMENT))


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


def _lineage(owner: object) -> list[object]:
    """An owner and those it runs in, innermost first."""
    found = []
    while owner is not None:
        found.append(owner)
        owner = getattr(owner, "parent", None)
    return found


def _place(key: str) -> int:
    """A byte of the file for each key: of 2^60, so strangers practically never share one. 0 is for `making`."""
    return 1 + (int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 4)


def _tell(callback: Callable[[], object]) -> None:
    """Whatever a waiter does (its event loop may be gone), the one who lands goes on."""
    with suppress(Exception):
        callback()
