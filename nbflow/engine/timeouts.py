"""Ending an attempt that runs too long, and saying honestly what could not be stopped.

On the main thread an alarm interrupts Python code and blocking calls; native code that does not look at signals ends
when it returns. In any other thread nothing can be stopped: `PyThreadState_SetAsyncExc` is never used, because its
exception can arrive after the call has returned. A coroutine is cancelled; one that holds up its loop is interrupted
like a function.
"""

import math
import signal
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import wait
from types import FrameType
from typing import TYPE_CHECKING, Any

from nbflow.durations import spell
from nbflow.engine.aside import aside
from nbflow.errors import StepTimeout
from nbflow.logs import warn

if TYPE_CHECKING:
    import asyncio

__all__ = ["Cancelling", "Expired", "Guard", "await_within", "call_within", "interruptible", "late"]

_AGAIN = 0.05  # seconds until an alarm that found the wrong stack rings again
_GRACE = 0.25  # seconds that a body has at least to tidy up before its alarm rings a second time
_FRAMES = 8  # that the stack of an attempt is shown with
_SWALLOWING = frozenset({"weakref", "_weakrefset"})  # their callbacks cannot raise: Python prints the error and goes on
_SLACK = 0.5  # seconds past its limit after which an attempt is said to have been uninterruptible


def call_within(call: Callable[[], Any], limit: float | None) -> Any:
    """Call, and raise `StepTimeout` where it takes more than `limit` seconds; None is no limit."""
    if limit is None:
        return call()
    if interruptible():
        return _on_main_thread(call, limit)
    return _on_own_thread(call, limit)


def late(limit: float, more: str = "", *, elapsed: float | None = None, stack: str = "") -> StepTimeout:
    """The error for an attempt that took more than `limit` seconds, and ended `elapsed` seconds after it began."""
    if elapsed is not None and elapsed > limit + _SLACK:
        more = f"{more}; what it was doing could be interrupted only after {spell(elapsed)}"
    error = StepTimeout(f"the attempt took more than {spell(limit)}{more}")
    error.limit, error.elapsed, error.stack = limit, elapsed, stack
    if stack:
        error.add_note(f"nbflow: it was here:\n{stack.rstrip()}")
    return error


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

    def __reduce__(self) -> tuple[Any, ...]:
        """As what it is seen as: what pickles an error with its context (tblib, which Dask brings) comes past it."""
        return StepTimeout, self.args


Expired.__name__ = Expired.__qualname__ = StepTimeout.__name__


class Guard:
    """One limit on the main thread, for a frame and all that it calls. Rings by raising `Expired`.

    A handler that raises while an async cell awaits would kill the kernel, so it raises only if the frame is on the
    interrupted stack, and otherwise rings again a moment later. Where the body swallows what was raised, it rings
    again, each time after twice as long.

    Args:
        frame: Whose.
        limit: Seconds.
        ended: Whether somebody else has ended it already, as a loop does that cancels a coroutine: then it is silent.

    Attributes:
        rang: Whether it has.
        stack: What the body was doing then, as the text of a traceback.
    """

    def __init__(self, frame: FrameType, limit: float, ended: Callable[[], bool] = lambda: False) -> None:
        self.frame: FrameType | None = frame
        self._ended = ended
        self.limit, self.rang, self.stack = limit, False, ""
        self.due = math.inf
        self._pause = max(limit, _GRACE)
        self._began = 0.0
        self._alarm: _Alarm | None = None

    def start(self) -> None:
        """Begin to count."""
        self._began = time.monotonic()
        self.due = self._began + self.limit
        self._alarm = _alarm()
        self._alarm.join(self)

    def ring(self, now: float, interrupted: FrameType | None) -> None:
        """Raise, if what was interrupted is the guarded frame or was called by it, and can raise."""
        frame = None if self._ended() or _swallows(interrupted) else interrupted
        while frame is not None and self.frame is not None:
            if frame is self.frame:
                self.due, self._pause = now + self._pause, self._pause * 2
                if not self.rang:
                    self.rang = True
                    self.stack = _spelled(interrupted, self.frame)
                raise Expired(self)
            frame = frame.f_back

    def stop(self) -> None:
        """It cannot ring any more; again changes nothing. It may ring while this begins: then call it again."""
        self.frame = None
        if self._alarm is not None:
            self._alarm.leave(self)
            self._alarm = None

    def late(self) -> StepTimeout:
        """The error of an attempt that it ended."""
        return late(self.limit, elapsed=time.monotonic() - self._began, stack=self.stack)


class _Alarm:
    """The one alarm of the process while there are guards. Coroutines start and stop theirs in any order.

    The user's own alarm, or that of whoever runs us, still rings in its time, and is set again at the end.
    """

    def __init__(self, outer: Any) -> None:
        self.outer = signal.SIG_DFL if outer is None else outer
        self.outer_due, self.again = math.inf, 0.0
        self.guards: list[Guard] = []
        self.changing = False

    def join(self, guard: Guard) -> None:
        self.changing = True  # no alarm, of whoever, may raise between the steps of this
        if not self.guards:
            left, self.again = signal.getitimer(signal.ITIMER_REAL)
            self.outer_due = time.monotonic() + left if left else math.inf
            signal.signal(signal.SIGALRM, self.ring)
        self.guards.append(guard)
        self._arm()
        self.changing = False

    def leave(self, guard: Guard) -> None:
        self.changing = True
        if guard in self.guards:
            self.guards.remove(guard)
            if self.guards:
                self._arm()
            else:
                self._put_back()
        self.changing = False

    def ring(self, number: int, interrupted: FrameType | None) -> None:
        """The alarm's handler; the outermost guard counts first."""
        if self.changing:  # it rings again at once
            return
        now = time.monotonic()
        if now >= self.outer_due and callable(self.outer):
            self.outer_due = now + self.again if self.again else math.inf
            self.outer(number, interrupted)
        for guard in tuple(self.guards):
            if now >= guard.due:
                guard.ring(now, interrupted)

    def _arm(self) -> None:
        due = min(self.outer_due, *(guard.due for guard in self.guards))
        signal.setitimer(signal.ITIMER_REAL, max(due - time.monotonic(), 0.0001), _AGAIN)

    def _put_back(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.outer)
        if self.outer_due < math.inf:
            signal.setitimer(signal.ITIMER_REAL, max(self.outer_due - time.monotonic(), 0.001), self.again)
        elif self.again:
            signal.setitimer(signal.ITIMER_REAL, self.again, self.again)


def _alarm() -> _Alarm:
    """The alarm that holds now, or a new one over whatever the user has set."""
    handler = signal.getsignal(signal.SIGALRM)
    holder = getattr(handler, "__self__", None)
    return holder if isinstance(holder, _Alarm) else _Alarm(handler)


def _on_main_thread(call: Callable[[], Any], limit: float) -> Any:
    guard = Guard(sys._getframe(), limit)  # noqa: SLF001 - the documented way to one's own frame
    try:
        try:
            guard.start()
            value = call()
        finally:
            guard.stop()
    except BaseException as error:
        guard.stop()  # an alarm, of whoever, may have come while it stopped
        if _is_of(guard, error):
            raise guard.late() from None
        raise
    if guard.rang:  # the body swallowed even this
        raise guard.late()
    return value


class Cancelling:
    """One limit on what a coroutine awaits: its task is cancelled; one that holds up its loop is interrupted.

    Args:
        frame: The coroutine's own.
        limit: Seconds.

    Attributes:
        rang: Whether the time was over.
        ours: Whether the cancellation was this one's alone; known once it has stopped.
    """

    def __init__(self, frame: FrameType, limit: float) -> None:
        self.limit, self.ours, self._cancelled, self._before = limit, False, False, 0
        self.guard = Guard(frame, limit, lambda: self._cancelled)
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def rang(self) -> bool:
        """Whether the time was over."""
        return self._cancelled or self.guard.rang

    def start(self) -> None:
        """Begin to count."""
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        self._task = asyncio.current_task()
        assert self._task is not None
        self._before = self._task.cancelling()
        self._timer = asyncio.get_running_loop().call_later(self.limit, self._ring)
        if interruptible():
            self.guard.start()

    def _ring(self) -> None:
        assert self._task is not None
        self._cancelled = True
        self._task.cancel()

    def stop(self) -> None:
        """It cannot ring any more; again changes nothing. An alarm may come while this begins: then call it again."""
        if self._timer is not None:
            self._timer.cancel()
        self.guard.stop()
        task, self._task = self._task, None
        if self._cancelled and task is not None:
            self.ours = task.uncancel() <= self._before


async def await_within(call: Callable[[], Awaitable[Any]], limit: float | None) -> Any:
    """Await, and raise `StepTimeout` where it takes more than `limit` seconds; None is no limit."""
    if limit is None:
        return await call()
    cancelling, began = Cancelling(sys._getframe(), limit), time.monotonic()  # noqa: SLF001 - as above
    try:
        try:
            cancelling.start()
            value = await call()
        finally:
            cancelling.stop()
    except BaseException as error:
        cancelling.stop()
        if _is_of(cancelling.guard, error):
            raise cancelling.guard.late() from None
        if cancelling.ours and type(error).__name__ == "CancelledError":
            stack = _as_text(list(traceback.walk_tb(error.__traceback__)))
            raise late(limit, elapsed=time.monotonic() - began, stack=stack) from None
        raise
    if cancelling.rang:  # the body swallowed even this
        raise late(limit, elapsed=time.monotonic() - began, stack=cancelling.guard.stack)
    return value


def _is_of(guard: Guard, error: BaseException) -> bool:
    """Whether a guard raised an error; a group of tasks packs it in."""
    if isinstance(error, BaseExceptionGroup):
        return any(_is_of(guard, each) for each in error.exceptions)
    return isinstance(error, Expired) and error.guard is guard


def _on_own_thread(call: Callable[[], Any], limit: float) -> Any:
    """Call in a thread that is given up at the limit; its late result is dropped."""
    warn(
        'timeout_seconds on a thread ends the waiting, not the work: a thread cannot be stopped; isolate="process" can'
    )
    began = time.monotonic()
    answer, thread = aside(call, "timed")
    wait([answer], limit)
    if not answer.done():
        stack = _spelled(sys._current_frames().get(thread.ident or 0), None)  # noqa: SLF001 - the documented way
        more = f"; a thread cannot be stopped: {thread.name} runs on, its result will be dropped"
        raise late(limit, more, elapsed=time.monotonic() - began, stack=stack)
    return answer.result()


def _swallows(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_globals.get("__name__") in _SWALLOWING


def _spelled(last: FrameType | None, first: FrameType | None) -> str:
    """What a thread is doing, from what `first` called on."""
    frames = []
    while last is not None and last is not first:
        frames.append((last, last.f_lineno))
        last = last.f_back
    return _as_text(frames[::-1])


def _as_text(frames: list[tuple[FrameType, int]]) -> str:
    """Frames as the text of a traceback, outermost first, without ours."""
    users = [each for each in frames if not each[0].f_globals.get("__name__", "").startswith(("nbflow.", "threading"))]
    return "".join(traceback.format_list(traceback.StackSummary.extract(iter(users), limit=-_FRAMES)))
