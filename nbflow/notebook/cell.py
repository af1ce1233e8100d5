"""One run of a `%%task` cell: a hit, or attempts. The wrapped cell drives it as an iterator of itself.

The decision is the one plan that functions have too; the cell's own loop is its driver: `Call` is a turn of the
loop, `Claim` and `Sleep` happen between two turns. All our work is done in `__next__` and `__exit__`, under a guard:
whatever stops it there (an interrupt above all) is raised by the cell's own line, so that a traceback never shows a
frame of ours.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from IPython import get_ipython

from nbflow import events as e
from nbflow.durations import spell
from nbflow.engine import Hands, advance
from nbflow.errors import UnfitError
from nbflow.notebook.decide import Decision
from nbflow.notebook.limits import Alarm, Cancelling, Expired, Limit
from nbflow.notebook.replay import chosen, replay
from nbflow.notebook.restore import Recording, put_into_effect
from nbflow.notebook.stage import Stage
from nbflow.notebook.status import Status, amount
from nbflow.notebook.tee import Tee, fold
from nbflow.notebook.transform import Cell, cell_of
from nbflow.session import session
from nbflow.step.commands import Call, Claim, Command, Err, Ok, Outcome, Sleep, Tell
from nbflow.step.plan import Plan, reason
from nbflow.timeouts import late
from nbflow.work import Around, Work
from nbflow.world import Sight, rng

__all__ = ["Step", "plain", "start"]

_BEAT = 0.1  # seconds
_SPEND = {"network", "database"}


def start(token: int) -> "Step":
    """What the loop of a wrapped cell runs over. Nothing is done yet that could be interrupted."""
    return Step(cell_of(token), get_ipython(), sys._getframe(1))  # noqa: SLF001 - the documented way to a caller


def plain(token: int) -> None:
    """The cell has as many nested blocks as Python allows: it runs, and nothing else."""
    cell = cell_of(token)
    Status(get_ipython(), cell.label).tell("·", "not cached, not retried: its blocks are nested too deeply")


class Step:
    """One run of one cell.

    Attributes:
        broken: What the cell's own line is to raise, if anything.
    """

    decision: Decision
    work: Work

    def __init__(self, cell: Cell, shell: Any, frame: FrameType) -> None:
        self.cell, self.shell, self.frame = cell, shell, frame
        self.namespace: dict[str, Any] = shell.user_ns
        self.broken: BaseException | None = None
        self.state: Command | Outcome | None = None
        self.plan: Plan | None = None
        self.hands: Hands = {}
        self.stage: Stage | None = None
        self.tee: Tee | None = None
        self.around: Around | None = None
        self.sight: Sight | None = None
        self.limit = Limit()
        self.values: list[Any] = []
        self.attempt = 0
        self.events: dict[type, Any] = {}
        self.beating: asyncio.TimerHandle | None = None

    # The loop in the cell

    def __iter__(self) -> Self:
        return self

    __aiter__ = __iter__

    def __next__(self) -> Self:
        self._guard(self._proceed)
        while self.broken is None and isinstance(self.state, (Claim, Sleep)):
            wait: Callable[[Any], object] = self.work.sleep if isinstance(self.state, Sleep) else self._claim
            self._guard(wait, self.state)
            self._guard(self._advance)
        if self._over():
            raise StopIteration
        return self

    async def __anext__(self) -> Self:
        self._guard(self._proceed)
        while self.broken is None and isinstance(self.state, (Claim, Sleep)):
            self._beat()
            try:
                await self.work.awaited()[type(self.state)](self.state)
            except BaseException as error:  # noqa: BLE001 - it is raised by the cell's own line
                self._stopped(error)
            self._guard(self._advance)
        if self._over():
            raise StopAsyncIteration
        if not self.beating:
            self._beat()
        return self

    def __enter__(self) -> None:
        self.limit.start()

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        try:
            return self._attempted(error, trace)
        except BaseException as stop:  # noqa: BLE001 - it is raised by the cell's own line
            self._stopped(stop)
            return True

    def keep(self, value: Any) -> Any:
        """The value of an expression, on its way to the display hook."""
        result = self.shell.displayhook.exec_result
        if result is not None and result.info.silent:
            return None
        self.values.append(value)
        return value

    def touch(self, *names: str) -> None:
        """Before a read of names that may or may not have been bound by now."""
        if self.stage is not None:
            self.stage.touch(names)

    def made(self, name: str) -> None:
        """A class statement has run."""
        if self.stage is not None:
            self.stage.made(name)

    def leave(self, outcome: BaseException | None = None) -> BaseException | None:
        """Let go of everything; gives back what it is given."""
        if self.beating:
            self.beating.cancel()
        self._close()
        if self.hands:
            self.work.close()
        self.namespace.pop(self.cell.step, None)
        del self.frame
        self.stage = self.sight = None
        self.values = []
        return outcome

    # Between attempts

    def _guard(self, work: Callable[..., object], *args: Any) -> None:
        if self.broken is None:
            try:
                work(*args)
            except BaseException as error:  # noqa: BLE001 - it is raised by the cell's own line
                self._stopped(error)

    def _stopped(self, error: BaseException) -> None:
        self.broken = error.with_traceback(None)
        self._end_plan(error)

    def _end_plan(self, error: BaseException) -> None:
        """Let the plan tell how the step ended, where it does not know yet."""
        trace = error.__traceback__
        if self.plan is not None:
            with suppress(BaseException):
                advance(self.plan, self.hands, error=error)
        error.__traceback__ = trace  # it went through the plan, which is nobody's business

    def _over(self) -> bool:
        """Prepare the next attempt; true if there is none."""
        if self.broken is None and isinstance(self.state, Call):
            self._guard(self._prepare, self.state)
        if self.broken is None and isinstance(self.state, Ok):
            self.leave()
            return True
        return False

    def _proceed(self) -> None:
        if self.state is None:
            self._begin()
        elif isinstance(self.state, Call):  # the attempt worked
            assert self.sight is not None
            self._advance(Ok(None, self.sight.touched))

    def _advance(self, answer: Any = None) -> None:
        assert self.plan is not None
        self.state = advance(self.plan, self.hands, answer)
        if not isinstance(self.state, Ok):
            return
        if isinstance(self.state.value, Recording):  # another kernel stored it while this one waited
            self._restore(self.state.value)
        else:
            self._finished()

    def _begin(self) -> None:
        decision = self.decision = Decision(self.cell, self.shell, self.frame.f_code.co_filename)
        if decision.slot is not None:
            decision.slot.record = self.record
        self.options, self.status = decision.options, Status(self.shell, decision.label)
        self.work = Work(decision.number, _nothing, decision.slot, session.clock, session.bus)
        self.hands = {**self.work.hands(Call, Claim, Sleep), Tell: self._told}
        if self.options.explain:
            decision.explain(self.status)
            self.state = Ok(None)
            return
        self.plan = decision.look()
        if self.plan is not None:
            self._advance()
        elif decision.recording is not None:
            self.events[e.Hit] = decision.verdict
            self._restore(decision.recording)
            self.state = Ok(None)

    def _prepare(self, call: Call) -> None:
        self.attempt = call.attempt
        if self.attempt == 1:
            decision = self.decision
            keep = decision.policy.attempts > 1 or self.options.rollback
            self.stage = Stage(self.cell, self.namespace, decision.inputs, decision.digests, keep=keep)
            self.status.tell("▸", "running", decision.why_missed, passing=True)
        else:
            self.shell.display_pub.clear_output(wait=True)
            self.status.cleared()
            self.status.tell("↻", f"attempt {self.attempt} of {self.decision.policy.attempts}", passing=True)
        self.values = []
        if call.timeout is not None:
            self.limit = Cancelling(call.timeout) if self.cell.awaits else Alarm(call.timeout, self.frame)
        self.tee = Tee(self.shell).__enter__()
        self.around = Around(self.work)
        self.sight = self.around.__enter__()
        self.sight.mention(self.decision.mentions())

    def _claim(self, command: Claim) -> None:
        assert self.decision.slot is not None
        self.decision.slot.claim(command)

    def _close(self) -> None:
        if self.around is not None:
            self.around.__exit__(None, None, None)
            self.around = None
        if self.tee is not None:
            self.tee.__exit__()

    # After an attempt

    def _attempted(self, error: BaseException | None, trace: TracebackType | None) -> bool:
        """Whether the error of an attempt is held back, because there is another one or it is not the right one."""
        with suppress(Expired):
            self.limit.stop()
        with suppress(Expired):
            self.limit.stop()
        self.around, around = None, self.around
        assert around is not None
        around.__exit__(None, None, None)
        timed_out = self.limit.rang and (error is None or isinstance(error, (Expired, asyncio.CancelledError)))
        if timed_out:
            assert isinstance(self.state, Call)
            assert self.state.timeout is not None
            error = late(self.state.timeout).with_traceback(_users(trace))
        if error is None:
            self._flush()
            return False
        self._close()
        if isinstance(error, Exception):
            assert self.plan is not None
            self.state = advance(self.plan, self.hands, Err(error))
        else:
            self.state = Err(error)
            self._end_plan(error)
        if isinstance(self.state, Sleep) and self._put_back(error):
            return True
        self._failed(error)
        if timed_out:
            self.broken = error
        else:
            self.leave()
        return timed_out

    def _flush(self) -> None:
        """What IPython shows after a cell only is shown now, while it is recorded."""
        if inline := sys.modules.get("matplotlib_inline.backend_inline"):
            inline.flush_figures()
        self._close()

    def _put_back(self, error: BaseException) -> bool:
        """Whether everything is as it was before the cell, so that there can be another attempt."""
        assert self.stage is not None
        try:
            self.stage.rollback()
        except UnfitError as refused:
            error.add_note(f"nbflow: not retried: {refused}")
            self._end_plan(error)
            return False
        return True

    def _failed(self, error: BaseException) -> None:
        more = ""
        if self.options.rollback and self.stage is not None:
            try:
                self.stage.rollback()
                more = "names and inputs put back"
            except UnfitError as refused:
                more = f"not put back: {refused}"
        attempts = f"{self.attempt} attempts" if self.attempt > 1 else ""
        self.status.tell("✗", type(error).__name__, attempts, more, passing=True)

    def _told(self, command: Tell) -> None:
        event = command.event
        self.events[type(event)] = event
        session.bus.tell(event)
        if isinstance(event, e.Waiting):
            attempts = f"attempt {event.attempt + 1} of {self.decision.policy.attempts} in {spell(event.seconds)}"
            self.status.tell("↻", attempts, event.error, passing=True)

    def _finished(self) -> None:
        ran: e.Completed = self.events[e.Completed]
        unsaved = self.events.get(e.Unsaved)
        why = self.decision.uncached or (unsaved.why if unsaved else "")
        kept = f"not cached: {why}" if why else f"stored {amount(ran.size)}"
        attempts = f"attempt {self.attempt} of {self.decision.policy.attempts}" if self.attempt > 1 else ""
        marks = () if why else self._marks()
        self.status.done(ran.cost, attempts, kept, self.decision.why_missed if not why else "", *marks)

    def _marks(self) -> tuple[str, ...]:
        """What to know of a result that is kept although it may go stale unseen."""
        assert self.sight is not None
        touched, marks = self.sight.touched, []
        if self.decision.policy.max_age is None and (fresh := sorted(touched & _SPEND)):
            marks.append(f"{', '.join(fresh)}: kept without --expires")
        if "child process" in touched:
            marks.append("child process: its files are unseen")
        return tuple(marks)

    def record(self) -> Recording:
        """What the attempt left behind, for the store.

        Raises:
            UnfitError: It must not or cannot be kept.
        """
        assert self.stage is not None
        assert self.sight is not None
        assert self.tee is not None
        if name := self.stage.unknowable():
            raise UnfitError(f"{name} was read, and has no content that could be compared")
        self._ask_store_if()
        recording, around = self.stage.record(
            self.options.out, self.sight.state, fold(self.tee.events), self.values, list(self._marks())
        )
        self.decision.surround(around, (*self.sight.facts(), *self.stage.facts()))
        return recording

    def _ask_store_if(self) -> None:
        condition = self.options.store_if
        if condition is None:
            return
        names = {"result": self.values[-1] if self.values else None, **self.namespace}
        try:
            fit = bool(eval(condition, names))  # noqa: S307 - the user's own expression
        except Exception as error:
            raise UnfitError(f"--store-if {condition}: {reason(error)}") from None
        if not fit:
            raise UnfitError(f"--store-if {condition} is false")

    def _restore(self, recording: Recording) -> None:
        put_into_effect(recording, self.namespace, self.decision.before)
        if recording.random:
            rng.restore(recording.random)
        hit: e.Hit = self.events[e.Hit]
        self.status.hit(hit.age, hit.saved, hit.size, *recording.marks)
        ids = replay(self.shell, *chosen(self.options.output, recording.events, recording.values))
        for value in recording.names.values():
            if type(value).__name__ == "DisplayHandle" and type(value).__module__.startswith("IPython."):
                value.display_id = ids.get(value.display_id, value.display_id)

    def _beat(self) -> None:
        """ipykernel hears an interrupt of a waiting cell only when its loop wakes up: wake it."""
        self.beating = asyncio.get_running_loop().call_later(_BEAT, self._beat)


def _users(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frame of the alarm at its end."""
    if trace is None or trace.tb_frame.f_globals.get("__name__", "").startswith("nbflow."):
        return None
    return TracebackType(_users(trace.tb_next), trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def _nothing() -> None:
    """Stands where a function's step has its body: a cell's is in the cell."""
