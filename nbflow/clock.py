"""Time, waiting and chance, in one object that tests replace: no test of nbflow sleeps.

Jitter is drawn from the operating system: it never consumes the user's seeded generators, and two
processes forked from one parent draw different delays.
"""

import heapq
import itertools
import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["Clock", "slices", "taken"]

T = TypeVar("T")

_OFTEN = 0.04  # seconds


def slices(timeout: float | None) -> Iterator[float | None]:
    """A wait of the main thread in short pieces, of any other thread in one; None is without end.

    An interrupt that comes after Python's last look for one, and before the thread sleeps, wakes nobody: a wait in one
    piece would go on for as long as it was to last, on a busy machine once in fifty times.
    """
    if threading.current_thread() is not threading.main_thread():
        yield timeout
        return
    end = math.inf if timeout is None else time.monotonic() + timeout
    while (left := end - time.monotonic()) > _OFTEN:
        yield _OFTEN
    yield max(left, 0.0)


def taken(queue: "SimpleQueue[T]", timeout: float | None = None) -> T:
    """The next item of a queue, waited for in such pieces.

    Raises:
        Empty: There was none for `timeout` seconds.
    """
    for piece in slices(timeout):
        with suppress(Empty):
            return queue.get(timeout=piece)
    raise Empty


class Clock:
    """The machine's own clock."""

    def __init__(self) -> None:
        self._timer = _Timer()
        self.time: Callable[[], float] = time.time
        self.monotonic: Callable[[], float] = time.monotonic
        self.sleep: Callable[[float], None] = time.sleep
        self.draw: Callable[[], float] = random.SystemRandom().random

    def pause(self, seconds: float, over: threading.Event) -> None:
        """Sleep, but no longer than until `over` is set."""
        if self.sleep is time.sleep:
            any(map(over.wait, slices(seconds)))
        else:  # time that a test moves
            self.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Wait without holding the thread."""
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        with _Beat.of(asyncio.get_running_loop()):
            await asyncio.sleep(seconds)

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call back from a thread of its own when that many seconds have passed; it must return quickly."""
        self._timer.after(seconds, callback)


class _Beat:
    """Wakes the main thread's loop while something waits in it: ipykernel hears of an interrupt only when it wakes."""

    _last: "_Beat | None" = None

    def __init__(self, loop: "AbstractEventLoop") -> None:
        self.loop, self.waiting, self._due = loop, 0, False

    @classmethod
    def of(cls, loop: "AbstractEventLoop") -> "_Beat":
        """The one of a loop."""
        if threading.current_thread() is not threading.main_thread():
            return cls(loop)
        if cls._last is None or cls._last.loop is not loop:
            cls._last = cls(loop)
        return cls._last

    def __enter__(self) -> None:
        self.waiting += 1
        if not self._due and self is _Beat._last:
            self._beat()

    def __exit__(self, *_: object) -> None:
        self.waiting -= 1

    def _beat(self) -> None:
        self._due = self.waiting > 0
        if self._due:
            self.loop.call_later(_OFTEN, self._beat)


class _Timer:
    """One daemon thread for all waits of steps that hold no worker; it starts with the first one."""

    def __init__(self) -> None:
        self.forget()
        _timers.add(self)

    def forget(self) -> None:
        """A forked child has neither its parent's thread nor its parent's waits."""
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), callback))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="nbflow-timer", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    if (
                        not self._changed.wait(self._due[0][0] - time.monotonic() if self._due else 60.0)
                        and not self._due
                    ):
                        self._thread = None  # nothing to wait for: the next wait starts another one
                        return
                _, _, callback = heapq.heappop(self._due)
            callback()


_timers: "weakref.WeakSet[_Timer]" = weakref.WeakSet()


def _in_child() -> None:
    for timer in list(_timers):
        timer.forget()


os.register_at_fork(after_in_child=_in_child)
