"""Ending an attempt of a cell that runs too long.

A cell that does not await is interrupted by an alarm, as a function on the main thread is: the alarm raises only
where the cell's own frame is on the interrupted stack, and otherwise rings again. A cell that awaits is cancelled.
"""

import asyncio
import signal
import threading
import time
from types import FrameType
from typing import Any

from nbflow.timeouts import late

__all__ = ["Alarm", "Cancelling", "Expired", "Limit"]

_AGAIN = 0.05  # seconds until an alarm that found the wrong stack rings again


class Expired(BaseException):
    """A `StepTimeout` on its way from the alarm to the end of the cell, which no `except Exception` stops.

    It is what the cell is seen to raise, under that name: whatever is raised anew would not know the user's line.
    """


Expired.__name__ = Expired.__qualname__ = "StepTimeout"


class Limit:
    """How long an attempt may take: as long as it likes."""

    rang: bool = False

    def start(self) -> None:
        """Begin to count."""

    def stop(self) -> None:
        """It cannot ring any more."""


class Alarm(Limit):
    """Rings in the main thread after `limit` seconds, if `frame` is running or has called what runs.

    An alarm that was set before, by an outer step, goes on and is set again at the end.
    """

    def __init__(self, limit: float, frame: FrameType) -> None:
        self.limit = limit
        self.frame: FrameType | None = frame
        self.outer: Any = signal.SIG_DFL
        self.left = self.again = 0.0

    def start(self) -> None:
        """Begin to count."""
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
            self.frame = None
            return
        self.began = time.monotonic()
        self.outer = signal.signal(signal.SIGALRM, self._ring)
        self.left, self.again = signal.setitimer(signal.ITIMER_REAL, self.limit, _AGAIN)
        if self.left and self.left < self.limit:
            signal.setitimer(signal.ITIMER_REAL, self.left, _AGAIN)

    def _ring(self, number: int, interrupted: FrameType | None) -> None:
        elapsed = time.monotonic() - self.began
        if self.left and elapsed >= self.left and callable(self.outer):
            self.outer(number, interrupted)
        frame = interrupted
        while elapsed >= self.limit and frame is not None and self.frame is not None:
            if frame is self.frame:
                self.rang, self.frame = True, None
                raise Expired(*late(self.limit).args)
            frame = frame.f_back

    def stop(self) -> None:
        """It cannot ring any more."""
        if self.frame is None and not self.rang:
            return
        self.frame = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.outer)
        if self.left:
            rest = max(self.left - (time.monotonic() - self.began), 0.001)
            signal.setitimer(signal.ITIMER_REAL, rest, self.again)


class Cancelling(Limit):
    """Cancels the running asyncio task after `limit` seconds."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.task: asyncio.Task[Any] | None = None
        self.timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to count."""
        self.task = asyncio.current_task()
        self.timer = asyncio.get_running_loop().call_later(self.limit, self._ring)

    def _ring(self) -> None:
        assert self.task is not None
        self.rang = True
        self.task.cancel()

    def stop(self) -> None:
        """It cannot ring any more."""
        if self.timer is not None:
            self.timer.cancel()
        if self.rang and self.task is not None:
            self.task.uncancel()
