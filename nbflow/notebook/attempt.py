"""One turn of a cell's loop: what is recorded and watched while the user's statements run, and the time they have.

A cell that awaits is cancelled at its limit; any other, and one that holds up its loop, is interrupted by an alarm, as
a function is.
"""

import asyncio
import sys
from types import FrameType, TracebackType
from typing import Any

from nbflow import world
from nbflow.engine import controls
from nbflow.engine.around import Around
from nbflow.engine.timeouts import Cancelling, Expired, Guard, interruptible, late
from nbflow.engine.work import Work
from nbflow.errors import StepTimeout
from nbflow.notebook.tee import Event, Tee, fold
from nbflow.step.commands import Call

__all__ = ["Attempt", "behind_cell"]


class Attempt:
    """One attempt, from before the user's first statement to what it left behind.

    Args:
        call: Which attempt, and how long it may take.
        shell: Where it shows things.
        work: The step that it belongs to.
        frame: The cell's own frame.
        awaits: Whether the cell does.
    """

    def __init__(self, call: Call, shell: Any, work: Work, frame: FrameType, *, awaits: bool) -> None:
        self.shell = shell
        self.values: list[Any] = []
        self._limit: Guard | Cancelling | None = None
        if call.timeout is not None and awaits:
            self._limit = Cancelling(frame, call.timeout)
        elif call.timeout is not None and interruptible():
            self._limit = Guard(frame, call.timeout)
        self._calling = controls.calling(work.step)
        self._tee = Tee(shell)
        self.sight = world.watch()
        self._around = Around(work, call, self.sight)
        self._around.__enter__()
        self._tee.__enter__()

    def start(self) -> None:
        """The clock runs, and a panel's button may interrupt it."""
        self._calling.__enter__()
        if self._limit is not None:
            self._limit.start()

    def stop(self) -> None:
        """The clock stands still; the world is no longer watched."""
        self._calling.__exit__()
        if self._limit is not None:
            try:
                self._limit.stop()
            except Expired:  # it rang in the last moment, and cannot ring again
                self._limit.stop()
        self._around.leave()

    def timed_out(self, error: BaseException | None, trace: TracebackType | None) -> StepTimeout | None:
        """The error of an attempt that ran too long, whatever became of it; None if it did not."""
        if self._limit is None or not self._limit.rang:
            return None
        if not isinstance(error, (Expired, asyncio.CancelledError, type(None))):
            return None
        if isinstance(error, Expired):
            error.__traceback__ = _users(trace)
        found = late(self._limit.limit)
        if trace is not None and not isinstance(error, Expired):
            found.add_note(f"nbflow: it was waiting in line {trace.tb_lineno} of the cell")
            found.__traceback__ = trace.tb_next  # a frame that goes on would be shown where it is now
        return found

    def flush(self) -> None:
        """What IPython shows only after a cell is shown now, while it is recorded."""
        if inline := sys.modules.get("matplotlib_inline.backend_inline"):
            inline.flush_figures()
        self.close()

    def close(self) -> None:
        """Nothing is recorded any more; again changes nothing."""
        self.stop()
        self._tee.__exit__()

    def keep(self, value: Any) -> Any:
        """The value of an expression, on its way to the display hook."""
        result = self.shell.displayhook.exec_result
        if result is not None and result.info.silent:
            return None
        self.values.append(value)
        return value

    def shown(self) -> list[Event]:
        """What is left to see of it."""
        return fold(self._tee.events)


def behind_cell(error: BaseException, frame: FrameType) -> BaseException:
    """An error that a cell raised, to be raised by it once more: it names the line in place of the cell's frame."""
    trace = error.__traceback__
    if trace is not None and trace.tb_frame is frame:
        error.add_note(f"nbflow: it was raised in line {trace.tb_lineno} of the cell")
        trace = trace.tb_next
    return error.with_traceback(trace)


def _users(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frame of the alarm at its end."""
    if trace is None or trace.tb_frame.f_globals.get("__name__", "").startswith("nbflow."):
        return None
    return TracebackType(_users(trace.tb_next), trace.tb_frame, trace.tb_lasti, trace.tb_lineno)
