"""What holds around the user's code while an attempt runs, in a function's step and in a cell's."""

from types import TracebackType
from typing import TYPE_CHECKING, Any

from nbflow import world
from nbflow.context import Here, here, open_transaction
from nbflow.logging import get_run_logger
from nbflow.logs import listened, prints_to, warn
from nbflow.step.commands import Call

if TYPE_CHECKING:
    from nbflow.engine.work import Work

__all__ = ["Around", "own_frames"]

_OURS = ("nbflow.", "concurrent.futures.")


class Around:
    """What holds while the user's code runs: which step it is, where prints go, what is seen of the world.

    Written out instead of as an `ExitStack`, which costs as much as all that it would hold. An interrupt, or the alarm
    of a step around this one, may come between any two lines: so what is undone is noted before it is done, and `leave`
    can be called again.

    Args:
        work: The step.
        call: The attempt.
        sight: What sees the attempt; None: nothing does.
    """

    __slots__ = ("_call", "_outer", "_prints", "_sight", "_transaction", "work")

    def __init__(self, work: "Work", call: Call, sight: world.Sight | None) -> None:
        self.work, self._call, self._sight = work, call, sight
        self._outer: Here | None = None
        self._transaction: Any = None
        self._prints: prints_to | None = None

    def __enter__(self) -> None:
        work, outer = self.work, here.get()
        self._outer = outer
        retried = outer.retried if self._call.attempts == 1 else _nested(work, self._call, outer.retried)
        here.set(Here(work.step, work.run, work.slot or outer.slot, work.logged, retried))
        if work.transaction is not None:
            self._transaction = open_transaction.get()
            open_transaction.set(work.transaction)
        prints = work.log_prints
        if prints or (prints is False and listened()):
            self._prints = prints_to(_log if prints else None)
            self._prints.__enter__()
        sight = self._sight
        if sight is None or sight.__enter__().again:
            return
        if work.seeds:
            sight.may_seed()
        if work.files:
            world.declare(work.files)
        for each in sight.chain:
            each.mention(work.mentions)
            for kind in work.touching:
                each.touch(kind)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
        if error is not None and self.work.transaction is not None:
            self.work.transaction.undo()

    def leave(self) -> None:
        """Let everything be as it was before; again changes nothing."""
        outer = self._outer
        if outer is None:
            return
        if self._sight is not None:
            self._sight.__exit__()
        if self._prints is not None:
            self._prints.__exit__()
        if self.work.transaction is not None and open_transaction.get() is self.work.transaction:
            open_transaction.set(self._transaction)
        here.set(outer)
        self._outer = None


def _log(line: str) -> None:
    get_run_logger().info("%s", line)


def _nested(work: "Work", call: Call, outer: tuple[str, int] | None) -> tuple[str, int] | None:
    """What steps within know of this one's retries. When it is retried within one that is too, attempts multiply."""
    if work.repeats:
        return None
    if outer is not None and call.attempt == 2:
        name, most = outer
        tries = f"{call.attempts} x {most} = {call.attempts * most} times" if call.attempts and most else "many times"
        warn(f"{work.name} is retried within {name}, which is retried too: up to {tries} in all; retry one of them")
    return work.name, call.attempts


def own_frames(error: BaseException) -> BaseException:
    """The error without the frames of nbflow, and of what that waits by, at the top of its traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        trace = trace.tb_next
    return error.with_traceback(trace)
