"""Who waits for whom, in this process and in others: a circle of them would wait for ever.

A step that holds keys and waits for one more writes that down in the file whose bytes are the locks, and locks a
byte for each record: a record counts as long as its byte is locked, so none outlives its process. The kernel's own
search for deadlocks is no help: it takes all threads of a process for one, and so it sees circles that are none
and misses others. https://man7.org/linux/man-pages/man2/F_SETLK.2const.html
"""

import errno
import fcntl
import itertools
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from nbflow.errors import InterfaceError

__all__ = ["Waits", "holder", "insist", "is_locked"]

_RECORD: Final = struct.Struct("<QQ")
"""The byte of a key that is held, and the byte of the key that its holder waits for."""
_TABLE: Final = 1 << 61
"""The byte that whoever reads and writes records holds; theirs follow it. Those of keys are all below."""
_SHORTEST, _LONGEST = 0.002, 0.25
_TAKEN: Final = (errno.EAGAIN, errno.EACCES)
_FLOCK: Final = struct.Struct("hhqqi4x")
"""`struct flock` on Linux: kind, from where, start, length, process."""

Edges = Mapping[int, tuple[int, int]]


class Waits:
    """The waits of one process's steps, by the bytes of the keys that they hold and want."""

    def __init__(self) -> None:
        self._mine: dict[int, tuple[int, int]] = {}
        self._guard = threading.Lock()

    def enter(self, file: int, held: Collection[int], wanted: int) -> Callable[[], None]:
        """Write down a wait; gives what ends it, which may be called more than once.

        Args:
            file: The file of the locks; below 0 only this process's own waits are known.
            held: What the step that waits holds, and those that it runs in.
            wanted: What it waits for.

        Raises:
            InterfaceError: Whoever holds what is wanted waits, perhaps around others, for what is held here.
        """
        if not held:
            return _nothing
        with self._guard, _alone(file):
            theirs = self._theirs(file)
            if _circular({*theirs.values(), *self._mine.values()}, wanted, held):
                raise InterfaceError("steps wait for each other in a circle: each needs the other's result")
            free = (number for number in itertools.count() if number not in theirs and number not in self._mine)
            edges = {number: (place, wanted) for place, number in zip(held, free, strict=False)}
            for number, edge in edges.items():
                self._mine[number] = edge
                with suppress(OSError):  # a full disk, or no locks: others may miss a circle
                    os.pwrite(file, _RECORD.pack(*edge), number * _RECORD.size)
                    _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _of(number))
        return partial(self._leave, file, edges)

    def _leave(self, file: int, edges: dict[int, tuple[int, int]]) -> None:
        with self._guard:
            while edges:
                number, _ = edges.popitem()
                del self._mine[number]
                with suppress(OSError):
                    _lock(file, fcntl.LOCK_UN, _of(number))

    def _theirs(self, file: int) -> Edges:
        """What other processes wait for now."""
        if file < 0:
            return {}
        data = os.pread(file, os.fstat(file).st_size, 0)
        records = _RECORD.iter_unpack(data[: len(data) // _RECORD.size * _RECORD.size])
        return {
            number: (held, wanted)
            for number, (held, wanted) in enumerate(records)
            if held and number not in self._mine and is_locked(file, _of(number))
        }


def insist(file: int, place: int) -> None:
    """Lock a byte, although the kernel may see a circle where there is none.

    Raises:
        OSError: There are no locks here.
    """
    delay = _SHORTEST
    while True:
        try:
            return _lock(file, fcntl.LOCK_EX, place)
        except OSError as error:
            if error.errno != errno.EDEADLK:
                raise
        time.sleep(delay)
        delay = min(2 * delay, _LONGEST)


def is_locked(file: int, place: int) -> bool:
    """Whether another process has locked a byte. One of our own looks free, and asking sets it free."""
    try:
        _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB, place)
    except OSError as error:
        return error.errno in _TAKEN
    _lock(file, fcntl.LOCK_UN, place)
    return False


def holder(file: int, place: int) -> tuple[int, bool]:
    """The other process that has locked a byte, 0 if nobody can tell, and whether it is stopped."""
    process = 0
    if sys.platform == "linux":
        with suppress(OSError, ValueError):
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
            kind, *_, process = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
            process = process if kind != fcntl.F_UNLCK and process > 0 else 0
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            return process, state in "Tt"
    return process, False


def _lock(file: int, how: int, place: int) -> None:
    if file < 0:
        raise OSError(errno.EBADF, "no file to lock")
    fcntl.lockf(file, how, 1, place)


def _of(number: int) -> int:
    return _TABLE + 1 + number


@contextmanager
def _alone(file: int) -> Iterator[None]:
    """While records are read and written; whoever does waits for nothing meanwhile."""
    with suppress(OSError):
        insist(file, _TABLE)
    try:
        yield
    finally:
        with suppress(OSError):
            _lock(file, fcntl.LOCK_UN, _TABLE)


def _circular(edges: set[tuple[int, int]], start: int, ends: Collection[int]) -> bool:
    """Whether one comes from a key, along the waits, to one of others."""
    seen, ahead = set(), [start]
    while ahead:
        place = ahead.pop()
        if place in ends:
            return True
        if place not in seen:
            seen.add(place)
            ahead += [wanted for held, wanted in edges if held == place]
    return False


def _nothing() -> None:
    """There was no wait to end."""
