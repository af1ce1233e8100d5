"""What can be done to a step from outside, by its number: wake it, stop it, run it again.

Whoever drives a step says here what holds at the moment, and takes it back; a panel's button looks it up. What
is not here cannot be done, and the button says so.
"""

import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

__all__ = ["Wait", "again", "calling", "failed", "park", "stop", "wait", "wake"]

_FAILED: Final = 1000

_lock = threading.Lock()
_waits: "dict[int, Wait]" = {}
_stops: dict[int, Callable[[], object]] = {}
_again: OrderedDict[int, Callable[[], Any]] = OrderedDict()
_main = threading.main_thread().ident or 0


class Wait:
    """A wait before a retry, which somebody may cut short.

    Attributes:
        over: Set when it has ended.
        stopped: Whether the step shall end with it.
    """

    def __init__(self, step: int, tell: Callable[[], object]) -> None:
        self.over = threading.Event()
        self.stopped = False
        self._step, self._tell = step, tell

    def end(self) -> bool:
        """End it; true for the one call that did, which also tells."""
        with _lock:
            first = not self.over.is_set()
            self.over.set()
        if first:
            _waits.pop(self._step, None)
            self._tell()
        return first


def park(step: int, tell: Callable[[], object]) -> Wait:
    """A wait that holds no thread; `tell` is called once when it ends, by the clock or by somebody."""
    made = _waits[step] = Wait(step, tell)
    return made


@contextmanager
def wait(step: int, tell: Callable[[], object] = lambda: None) -> Iterator[Wait]:
    """A wait of the thread or task that enters it; `tell` is called if it is cut short, from another thread."""
    made = park(step, tell)
    try:
        yield made
    finally:
        made.over.set()
        _waits.pop(step, None)


class calling:  # noqa: N801 - used as a word
    """While an attempt runs: how to stop it, by default with an interrupt where it has the main thread.

    A signal that comes late would end whatever runs next, so none is sent once the attempt is over: both ends
    hold the lock.
    """

    __slots__ = ("_step", "_stop")

    def __init__(self, step: int, stop: Callable[[], object] | None = None) -> None:
        if stop is None and threading.get_ident() == _main:
            stop = _interrupt
        self._step, self._stop = step, stop

    def __enter__(self) -> None:
        if self._stop is not None:
            _stops[self._step] = self._stop

    def __exit__(self, *_: object) -> None:
        if self._stop is not None:
            _stops.pop(self._step, None)
            with _lock:  # an interrupt that is on its way arrives here
                pass


def _interrupt() -> None:
    # Breaks a blocking call at once, which `_thread.interrupt_main` does not.
    signal.pthread_kill(_main, signal.SIGINT)


def wake(step: int) -> bool:
    """End a step's wait before a retry; false where it does not wait."""
    waiting = _waits.get(step)
    return waiting is not None and waiting.end()


def stop(step: int) -> bool:
    """End a step that waits, or runs where it can be interrupted; false where neither is so."""
    waiting = _waits.get(step)
    if waiting is not None:
        waiting.stopped = True
        if waiting.end():
            return True
    with _lock:
        interrupt = _stops.get(step)
        if interrupt is not None:
            interrupt()
    return interrupt is not None


def failed(step: int, run: Callable[[], Any]) -> None:
    """Remember how to run a step that failed again; of very many the latest."""
    with _lock:
        _again[step] = run
        while len(_again) > _FAILED:
            _again.popitem(last=False)


def again(step: int) -> Callable[[], Any] | None:
    """How to run a failed step again, once; None where that is not known any more."""
    with _lock:
        return _again.pop(step, None)


def _in_child() -> None:
    global _main  # noqa: PLW0603 - the thread that forked is the main one of the child
    _main = threading.get_ident()


os.register_at_fork(after_in_child=_in_child)
