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

__all__ = ["Flights", "flights_of"]

_PATIENCE = 30.0
"""Seconds that the kernel may call a wait a deadlock before the key is run beside its other holder."""

_SHORTEST, _LONGEST = 0.002, 0.25


class _Flight:
    """Who runs a key, a lock that is free once they are done, and who wants to hear of it."""

    __slots__ = ("done", "held", "owner", "waiters")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.done = threading.Lock()
        self.done.acquire()
        self.held = False
        self.waiters: list[Callable[[], object]] = []


class Flights:
    """Claims on keys, for all stores of this process that share a folder.

    Args:
        path: The file whose bytes are locked; without it (a read-only folder) claims hold in this process only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._flights: dict[str, _Flight] = {}
        self._waiting: dict[object, str] = {}
        self._file = -1
        self._making = threading.RLock()
        self._poller = _Poller(self)

    def claim(self, key: str, owner: object = None, *, wait: bool = True) -> bool:
        """Whether the caller alone, of all on this host, may run the key now; then it must `release` it.

        Args:
            key: Lookup key.
            owner: Tells callers apart; None is the calling thread. A step that runs inside another one names
                that one's owner as its `parent`.
            wait: Return only once the answer is yes.

        Raises:
            InterfaceError: The owner would wait for itself or for a step it runs in, also around others of this
                process that wait.
        """
        if owner is None:
            owner = threading.get_ident()
        mine = _Flight(owner)
        while (front := self._flights.setdefault(key, mine)) is not mine:
            if front.owner in _lineage(owner):
                raise InterfaceError("a step waits for its own result: it calls itself with the same inputs")
            if not wait:
                return False
            self._queue(key, owner, front)
        try:
            mine.held = self._lock(_place(key), wait=wait)
        except BaseException:
            self._land(key, mine)
            raise
        if not mine.held:
            self._land(key, mine)
        return mine.held

    def release(self, key: str, owner: object = None) -> None:
        """Give up a claim, from any thread; a key that is not claimed, or by another owner, is left alone."""
        flight = self._flights.get(key)
        if flight is None or not flight.held or (owner is not None and flight.owner != owner):
            return
        if self._file >= 0:
            with suppress(OSError):
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(key))
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
            file = self._open()
            try:
                with suppress(OSError):
                    fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
                yield
            finally:
                with suppress(OSError):
                    fcntl.lockf(file, fcntl.LOCK_UN, 1, 0)

    def moved(self) -> None:
        """The folder is another one now: lock there from the next claim on. The old file stays open."""
        with self._making:
            self._file = -1

    def close(self) -> None:
        """Close the file, unless a claim is held."""
        with self._making:
            if not self._flights and self._file >= 0:
                os.close(self._file)
                self._file = -1

    def forked(self) -> None:
        """In a child: its parent's claims are not its own, and the threads that would end them are not here."""
        self.__init__(self.path)  # type: ignore[misc]

    def _open(self) -> int:
        if self._file < 0:
            with self._making:
                if self._file < 0:
                    self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._file

    def _lock(self, place: int, *, wait: bool) -> bool:
        try:
            fcntl.lockf(self._file if self._file >= 0 else self._open(), _MODES[wait], 1, place)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.EACCES and not wait and self._file >= 0:
                return False
            return error.errno != errno.EDEADLK or self._suspected(place)  # no locks here: to run twice is safe
        return True

    def _suspected(self, place: int) -> bool:
        """Wait although the kernel sees a circle: it takes processes for threads, so there may be none.

        If it insists, the key is run beside its other holder, because work that is done twice ends.
        """
        delay, until = _SHORTEST, time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX, 1, place)
            except OSError as error:
                if error.errno != errno.EDEADLK:
                    break
                time.sleep(delay)
                delay = min(2 * delay, _LONGEST)
            else:
                break
        return True

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
        self._flights.pop(key, None)
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


_MODES = {True: fcntl.LOCK_EX, False: fcntl.LOCK_EX | fcntl.LOCK_NB}
_all: "weakref.WeakValueDictionary[str, Flights]" = weakref.WeakValueDictionary()
_guard = threading.Lock()


def flights_of(path: Path) -> Flights:
    """The process's one `Flights` for a file."""
    with _guard:
        name = os.path.realpath(path)
        found = _all.get(name)
        if found is None:
            found = _all[name] = Flights(path)
        return found


def _forked() -> None:
    global _guard  # noqa: PLW0603 - a thread that is not here may have held it
    _guard = threading.Lock()
    for flights in list(_all.values()):
        flights.forked()


os.register_at_fork(after_in_child=_forked)


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


def _tell(callback: Callable[[], object]) -> None:
    """Whatever a waiter does (its event loop may be gone), the one who lands goes on."""
    with suppress(Exception):
        callback()
