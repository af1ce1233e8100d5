"""What holds around the user's code while an attempt runs, in a function's step and in a cell's."""

from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING

from nbflow import world
from nbflow.context import open_transaction
from nbflow.engine.slot import running
from nbflow.logging import get_run_logger
from nbflow.logs import current_step, hearing, listened, prints_to, warn
from nbflow.runs import current_run
from nbflow.step.commands import Call

if TYPE_CHECKING:
    from nbflow.engine.work import Work

__all__ = ["Around", "own_frames"]

_retried: ContextVar[tuple[str, int] | None] = ContextVar("nbflow_retried", default=None)
"""The innermost step around this one that is retried: its name, and how often it is tried at most."""


class Around:
    """What holds while the user's code runs: which step it is, where prints go, what is seen of the world.

    Written out instead of as an `ExitStack`, which costs as much as all that it would hold.
    """

    __slots__ = ("_call", "_hearing", "_open", "_outer", "_prints", "_run", "_sight", "_slot", "_step", "work")

    def __init__(self, work: "Work", call: Call, sight: world.Sight | None = None) -> None:
        self.work, self._call, self._sight = work, call, sight or world.watch()

    def __enter__(self) -> world.Sight:
        work = self.work
        self._outer = None if self._call.attempts == 1 else _nested(work, self._call)
        self._step = current_step.set(work.step)
        self._run = current_run.set(work.run)
        self._slot = running.set(work.slot or running.get())
        self._hearing = hearing.set(work.logged)
        self._open = None if work.transaction is None else open_transaction.set(work.transaction)
        prints = work.log_prints
        self._prints = prints_to(_log) if prints else prints_to(None) if prints is False and listened() else None
        if self._prints is not None:
            self._prints.__enter__()
        sight = self._sight.__enter__()
        if sight.again:
            return sight
        sight.mention(work.mentions)
        if work.seeds:
            sight.may_seed()
        if work.files:
            world.declare(work.files)
        for kind in work.touching:
            sight.touch(kind)
        return sight

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sight.__exit__(kind, error, trace)
        if self._prints is not None:
            self._prints.__exit__(kind, error, trace)
        hearing.reset(self._hearing)
        if self._open is not None:
            open_transaction.reset(self._open)
            if error is not None:
                self.work.transaction.undo()
        running.reset(self._slot)
        current_run.reset(self._run)
        current_step.reset(self._step)
        if self._outer is not None:
            _retried.reset(self._outer)


def _log(line: str) -> None:
    get_run_logger().info("%s", line)


def _nested(work: "Work", call: Call) -> Token[tuple[str, int] | None]:
    """Let steps within know that this one is retried. When it is, within one that is too, their attempts multiply."""
    if work.repeats:
        return _retried.set(None)
    outer = _retried.get()
    if outer is not None and call.attempt == 2:
        name, most = outer
        tries = f"{call.attempts} x {most} = {call.attempts * most} times" if call.attempts and most else "many times"
        warn(f"{work.name} is retried within {name}, which is retried too: up to {tries} in all; retry one of them")
    return _retried.set((work.name, call.attempts))


def own_frames(error: BaseException) -> BaseException:
    """The error without the frames of nbflow at the top of its traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("nbflow."):
        trace = trace.tb_next
    return error.with_traceback(trace)
