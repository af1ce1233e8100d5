"""Ending an attempt that runs too long, and saying honestly what could not be stopped.

On the main thread an alarm interrupts Python code and blocking calls; native code that does not look at signals ends
when it returns. In any other thread nothing can be stopped: `PyThreadState_SetAsyncExc` is never used, because its
exception can arrive after the call has returned.
"""

import contextvars
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from nbflow.durations import spell
from nbflow.errors import StepTimeout
from nbflow.step.commands import Err, Ok, Outcome

__all__ = ["Expired", "Guard", "call_within", "interruptible", "late"]

_AGAIN = 0.05  # seconds until an alarm that found the wrong stack rings again


def call_within(call: Callable[[], Any], limit: float | None) -> Any:
    """Call, and raise `StepTimeout` where it takes more than `limit` seconds; None is no limit."""
    if limit is None:
        return call()
    if interruptible():
        return _on_main_thread(call, limit)
    return _on_own_thread(call, limit)


def late(limit: float, more: str = "") -> StepTimeout:
    """The error for an attempt that took more than `limit` seconds."""
    return StepTimeout(f"the attempt took more than {spell(limit)}{more}")


def interruptible() -> bool:
    """Whether an alarm would reach this thread."""
    return threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")


class Expired(BaseException):
    """On its way from the alarm to the guard that set it; no `except Exception` stops it.

    A cell is seen to raise it, as a `StepTimeout`: whatever is raised anew would not know the user's line.
    """

    def __init__(self, guard: "Guard") -> None:
        super().__init__(*late(guard.limit).args)
        self.guard = guard


Expired.__name__ = Expired.__qualname__ = StepTimeout.__name__


class Guard:
    """One limit on the main thread, for a frame and all that it calls. Rings at most once, by raising `Expired`.

    A handler that raises while an async cell awaits would kill the kernel, so it raises only if the frame is on the
    interrupted stack, and otherwise rings again a moment later. A limit around this one, or the user's own alarm, still
    rings in its time, and is set again at the end.
    """

    def __init__(self, frame: FrameType, limit: float) -> None:
        self.frame: FrameType | None = frame
        self.limit, self.rang, self.armed = limit, False, False
        self.due = self.outer_due = math.inf

    def start(self) -> None:
        """Begin to count."""
        now = time.monotonic()
        left, self.again = signal.getitimer(signal.ITIMER_REAL)
        self.due, self.outer_due = now + self.limit, (now + left if left else math.inf)
        self.outer: Any = signal.getsignal(signal.SIGALRM)
        self.armed = True
        signal.signal(signal.SIGALRM, self.ring)
        signal.setitimer(signal.ITIMER_REAL, min(self.limit, left or self.limit), _AGAIN)

    def ring(self, number: int, interrupted: FrameType | None) -> None:
        """The alarm's handler."""
        now = time.monotonic()
        if now >= self.outer_due and callable(self.outer):
            self.outer_due = math.inf
            self.outer(number, interrupted)
        if now < self.due:
            return
        frame = interrupted
        while frame is not None and self.frame is not None:
            if frame is self.frame:
                self.rang, self.frame = True, None
                raise Expired(self)
            frame = frame.f_back

    def stop(self) -> None:
        """It cannot ring any more; again changes nothing. It may ring while this begins: then call it again."""
        self.frame = None
        due, self.outer_due = self.outer_due, math.inf  # from here on it is put back, and rings by itself
        if not self.armed:
            return
        self.armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.outer)
        if due < math.inf:
            signal.setitimer(signal.ITIMER_REAL, max(due - time.monotonic(), 0.001), self.again)
        elif self.again:
            signal.setitimer(signal.ITIMER_REAL, self.again, self.again)


def _on_main_thread(call: Callable[[], Any], limit: float) -> Any:
    guard = Guard(sys._getframe(), limit)  # noqa: SLF001 - the documented way to one's own frame
    try:
        guard.start()
        value = call()
        if guard.rang:  # the body swallowed even this
            raise late(limit)
    except Expired as expired:
        if expired.guard is not guard:
            raise
        raise late(limit) from None
    finally:
        try:  # written out: a helper would leave its own frames open to the alarm
            guard.stop()
        except Expired:
            guard.stop()
    return value


def _on_own_thread(call: Callable[[], Any], limit: float) -> Any:
    """Call in a thread that is given up at the limit; its late result is dropped."""
    done, outcome = threading.Event(), list[Outcome]()

    def body() -> None:
        try:
            outcome.append(Ok(call()))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            outcome.append(Err(error))
        done.set()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(body,), daemon=True)
    thread.name = f"nbflow-timed-{thread.name}"
    thread.start()
    if not done.wait(limit):
        raise late(limit, f"; a thread cannot be stopped: {thread.name} runs on, its result will be dropped")
    if isinstance(outcome[0], Err):
        raise outcome[0].error
    return outcome[0].value
