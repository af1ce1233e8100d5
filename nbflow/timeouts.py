"""Ending an attempt that runs too long, and saying honestly what could not be stopped.

* On the main thread an alarm interrupts Python code and blocking calls. A handler that raises while an
  async cell awaits would kill the kernel, so it raises only if the guarded frame is on the interrupted
  stack, and otherwise rings again a moment later.
* In any other thread nothing can be stopped: the call runs in a thread of its own, is given up at the
  limit, and its late result is dropped. `PyThreadState_SetAsyncExc` is never used: its exception can
  arrive after the call has returned.
* Native code that does not look at signals ends when it returns.
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

__all__ = ["call_within", "late"]

_AGAIN = 0.05  # seconds until an alarm that found the wrong stack rings again


def call_within(call: Callable[[], Any], limit: float | None) -> Any:
    """Call, and raise `StepTimeout` where it takes more than `limit` seconds; None is no limit."""
    if limit is None:
        return call()
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _on_main_thread(call, limit)
    return _on_own_thread(call, limit)


def late(limit: float, more: str = "") -> StepTimeout:
    """The error for an attempt that took more than `limit` seconds."""
    return StepTimeout(f"the attempt took more than {spell(limit)}{more}")


class _Expired(BaseException):
    """On its way from the alarm to the guard that set it; no `except Exception` stops it."""


class _Guard:
    """One limit on the main thread. Rings at most once."""

    def __init__(self, frame: FrameType, due: float) -> None:
        self.frame: FrameType | None = frame
        self.due, self.rang = due, False
        self.outer: Any = None
        self.outer_due = math.inf  # when the limit around this one, or the user's own alarm, was to ring

    def ring(self, number: int, interrupted: FrameType | None) -> None:
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
                raise _Expired(self)
            frame = frame.f_back


def _on_main_thread(call: Callable[[], Any], limit: float) -> Any:
    now = time.monotonic()
    left, again = signal.getitimer(signal.ITIMER_REAL)
    guard = _Guard(sys._getframe(), now + limit)  # noqa: SLF001 - the documented way to one's own frame
    guard.outer_due = now + left if left else math.inf
    guard.outer = signal.getsignal(signal.SIGALRM)
    try:
        signal.signal(signal.SIGALRM, guard.ring)
        signal.setitimer(signal.ITIMER_REAL, min(limit, left or limit), _AGAIN)
        value = call()
        if guard.rang:  # the body swallowed even this
            raise late(limit)
    except _Expired as expired:
        if expired.args[0] is not guard:
            raise
        raise late(limit) from None
    finally:
        try:  # noqa: SIM105 - `suppress` would leave its own frames open to the alarm
            guard.frame = None
        except _Expired:
            pass  # it rang in the last moment, and cannot ring again
        due, guard.outer_due = guard.outer_due, math.inf  # from here on it is put back, and rings by itself
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, guard.outer)
        if due < math.inf:
            signal.setitimer(signal.ITIMER_REAL, max(due - time.monotonic(), 0.001), again)
        elif again:
            signal.setitimer(signal.ITIMER_REAL, again, again)
    return value


def _on_own_thread(call: Callable[[], Any], limit: float) -> Any:
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
