"""One run of a `%%task` cell: a hit, or attempts. The wrapped cell drives it as an iterator of itself.

The decision is the one plan that functions have too; the cell's own loop is its driver: `Call` is a turn of the
loop, `Claim` and `Sleep` happen between two turns. All our work is done in `__next__` and `__exit__`, under a guard:
whatever stops it there (an interrupt above all) is raised by the cell's own line, so that a traceback never shows a
frame of ours.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

from IPython import get_ipython

from nbflow.engine.loop import Hands, advance
from nbflow.engine.timeouts import Expired
from nbflow.engine.work import Work
from nbflow.errors import UnstorableError
from nbflow.keys.handles import reaches
from nbflow.notebook.attempt import Attempt, behind_cell
from nbflow.notebook.decide import Decision
from nbflow.notebook.heap import below
from nbflow.notebook.outside import Outside, outside
from nbflow.notebook.places import speaks_of
from nbflow.notebook.replay import chosen, replay
from nbflow.notebook.report import Report
from nbflow.notebook.restore import Recording, put_into_effect
from nbflow.notebook.stage import Stage
from nbflow.notebook.status import Status
from nbflow.notebook.tells import mark_of
from nbflow.notebook.transform import Cell, cell_of
from nbflow.session import session
from nbflow.step.commands import Call, Claim, Command, Err, Load, Ok, Outcome, Sleep, Tell
from nbflow.step.plan import Plan
from nbflow.world import rng

__all__ = ["Step", "plain", "start"]

_BEAT = 0.04  # seconds


def start(token: int) -> "Step":
    """What the loop of a wrapped cell runs over. Nothing is done yet that could be interrupted."""
    return Step(cell_of(token), get_ipython(), sys._getframe(1))  # noqa: SLF001 - the documented way to a caller


def plain(token: int) -> None:
    """The cell has as many nested blocks as Python allows: it runs, and nothing else."""
    cell = cell_of(token)
    Status(get_ipython(), cell.label).tell(
        "·", "not cached, not retried: its blocks are nested too deeply; put the inner ones into a function"
    )


class Step:
    """One run of one cell.

    Attributes:
        broken: What the cell's own line is to raise, if anything.
    """

    decision: Decision
    report: Report
    work: Work
    outside: Outside

    def __init__(self, cell: Cell, shell: Any, frame: FrameType) -> None:
        self.cell, self.shell, self.frame = cell, shell, frame
        self.namespace: dict[str, Any] = shell.user_ns
        self.broken: BaseException | None = None
        self.state: Command | Outcome | None = None
        self.plan: Plan | None = None
        self.hands: Hands = {}
        self.stage: Stage | None = None
        self.attempt: Attempt | None = None
        self.beating: asyncio.TimerHandle | None = None
        self.unserved = ""

    # The loop in the cell

    def __iter__(self) -> Self:
        return self

    __aiter__ = __iter__

    def __next__(self) -> Self:
        self._guard(self._proceed)
        while self.broken is None and isinstance(self.state, (Claim, Sleep)):
            self._guard(self._wait, self.state)
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
        if self.beating is None:
            self._beat()
        return self

    def __enter__(self) -> None:
        assert self.attempt is not None
        self.attempt.start()

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> bool:
        try:
            return self._attempted(error, trace)
        except BaseException as stop:  # noqa: BLE001 - it is raised by the cell's own line
            self._stopped(stop)
            return True

    def keep(self, value: Any) -> Any:
        """The value of an expression, on its way to the display hook."""
        return value if self.attempt is None else self.attempt.keep(value)

    def touch(self, *names: str) -> None:
        """Before a read of names that may or may not have been bound by now."""
        if self.stage is not None:
            self.stage.touch(names)

    def made(self, name: str) -> None:
        """The statement of a class or a decorated function has run."""
        if self.stage is not None:
            self.stage.made(name)

    def seeds(self, function: object, number: object) -> None:
        """A statement that may seed numpy's generator is next."""
        if self.attempt is not None and isinstance(number, int):
            self.attempt.sight.seeds(function)

    def leave(self, outcome: BaseException | None = None) -> BaseException | None:
        """Let go of everything; gives back what it is given."""
        try:
            self._leave()
        except BaseException:  # the stop button was pressed once more
            self._leave()
            raise
        return outcome

    def _leave(self) -> None:
        if self.beating is not None:
            self.beating.cancel()
        if self.attempt is not None:
            self.attempt.close()
        if self.hands:
            self.work.close()
        for name in (self.cell.step, *(mark_of(self.cell.step, told) for told in self.cell.told)):
            self.namespace.pop(name, None)
        self.__dict__.pop("frame", None)  # which holds the whole cell
        self.stage = self.attempt = None

    # Between attempts

    def _guard(self, work: Callable[..., object], *args: Any) -> None:
        if self.broken is None:
            try:
                work(*args)
            except BaseException as error:  # noqa: BLE001 - it is raised by the cell's own line
                self._stopped(error)

    def _stopped(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            error.__context__ = None  # an interrupt has no part in the error that an attempt is just failing with
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
        if isinstance(self.state, Call):
            self._guard(self._prepare, self.state)
        elif self.broken is None:
            self.leave()
            return True
        return False

    def _proceed(self) -> None:
        if self.state is None:
            self._begin()
        elif isinstance(self.state, Call) and self.attempt is not None:  # the attempt worked
            self._advance(Ok(None, self.attempt.sight.touched))

    def _begin(self) -> None:
        decision = self.decision = Decision(self.cell, self.shell, self.frame.f_code.co_filename)
        status = Status(self.shell, decision.label)
        self.state = Ok(None)
        if decision.options.explain:
            decision.explain(status)
            return
        if decision.slot is not None:
            decision.slot.record = self._record
        self.plan = decision.look()
        self.report = Report(status, decision)
        if decision.recording is not None:
            self._restore(decision.recording)
            return
        self.work = Work(decision.number, _nothing, decision.slot, session.clock, session.bus)
        self.work.files = decision.inputs.files
        self.work.touching = {kind for handle in decision.inputs.handles if (kind := reaches(handle))}
        self.hands = {**self.work.hands(Call, Claim, Sleep), Tell: self.report.tell, Load: self._load}
        self._advance()

    def _advance(self, answer: Any = None) -> None:
        assert self.plan is not None
        self.state = advance(self.plan, self.hands, answer)
        if not isinstance(self.state, Ok):
            return
        if isinstance(self.state.value, Recording):  # another kernel stored it while this one waited
            self._restore(self.state.value)
        else:
            assert self.attempt is not None
            self.report.finished(self.report.marks(self.attempt.sight.touched))

    def _wait(self, command: Claim | Sleep) -> None:
        if isinstance(command, Sleep):
            self.work.sleep(command)
        elif self.decision.slot is not None:
            self.decision.slot.claim(command)

    def _prepare(self, call: Call) -> None:
        decision = self.decision
        if self.stage is None:
            policy = decision.policy
            keep = policy.attempts > 1 or policy.stale or decision.options.rollback
            self.stage = Stage(self.cell, self.namespace, decision.inputs, keep=keep)
            self.outside = outside()
        else:
            self.shell.display_pub.clear_output(wait=True)
        self.report.begins(call.attempt)
        mentions = decision.mentions()
        self.attempt = Attempt(call, self.shell, self.work, self.frame, awaits=self.cell.awaits)
        self.attempt.sight.mention(mentions)
        if speaks_of(self.cell.body, rng.SETTERS):
            self.attempt.sight.may_seed()

    # After an attempt

    def _attempted(self, error: BaseException | None, trace: TracebackType | None) -> bool:
        """Whether the error of an attempt is held back: there is another attempt, or another error to raise."""
        attempt = self.attempt
        assert attempt is not None
        attempt.stop()
        if self.stage is not None:
            self.stage.assigned |= attempt.sight.assigned
        late: BaseException | None = attempt.timed_out(error, trace)
        failure = late or error
        if failure is None:
            attempt.flush()
            return False
        attempt.close()
        if isinstance(failure, Exception):
            assert self.plan is not None
            self.state = advance(self.plan, self.hands, Err(failure))
        else:
            self.state = Err(failure)
            self._end_plan(failure)
        if isinstance(self.state, Ok):  # an old result, in place of the error
            self.shell.display_pub.clear_output(wait=True)
            self.report.status.cleared()
            self._restore(self.state.value)
            return True
        if isinstance(self.state, Sleep) and self._put_back(failure):
            return True
        asked = self.state.error if isinstance(self.state, Err) else failure
        if asked is not failure:  # what `Retry` was raised from
            late = asked = behind_cell(asked, self.frame)
        self._failed(asked)
        if late is not None and not isinstance(error, Expired):  # another error than the one that is on its way
            self.broken = late
            return True
        if late is not None and error is not None:
            for note in getattr(late, "__notes__", ()):
                error.add_note(note)
        self.leave()
        return False

    def _load(self, load: Load) -> Recording:
        """What the cell left behind when an entry was made; it goes into effect on the inputs as they were."""
        assert self.decision.slot is not None
        if self.stage is not None:
            try:
                self.stage.rollback()
            except UnstorableError as refused:
                self.unserved = f"no stale result instead: {refused}"
                raise
        found: Recording = self.decision.slot.load(load)
        return found

    def _put_back(self, error: BaseException) -> bool:
        """Whether everything is as it was before the cell, so that there can be another attempt."""
        assert self.stage is not None
        try:
            self.stage.rollback()
        except UnstorableError as refused:
            error.add_note(f"nbflow: not retried: {refused}")
            self._end_plan(error)
            return False
        return True

    def _failed(self, error: BaseException) -> None:
        more = self.unserved
        if more:
            error.add_note(f"nbflow: {more}")
        if self.decision.options.rollback and self.stage is not None:
            try:
                self.stage.rollback()
                more = "names and inputs put back"
            except UnstorableError as refused:
                more = f"not put back: {refused}"
        self.report.failed(error, more)

    def _record(self) -> Recording:
        """What the attempt left behind, for the store."""
        attempt = self.attempt
        assert self.stage is not None
        assert attempt is not None
        decision, sight = self.decision, attempt.sight
        decision.ask_store_if(attempt.values)
        if changed := self.outside.changed():
            raise UnstorableError(f"it changed {changed}; do that in a cell of its own")
        recording, around = self.stage.record(decision.options.out, keyed=decision.options.key is None)
        recording.environment = {name: os.environ.get(name) for name in sorted(sight.assigned)}
        recording.random, recording.marks = sight.state, self.report.marks(sight.touched)
        recording.events, recording.values = attempt.shown(), attempt.values
        decision.surround(around, (*sight.trace(), *self.stage.facts()))
        return recording

    def _restore(self, recording: Recording) -> None:
        put_into_effect(recording, self.namespace, self.decision.before)
        if recording.random:
            rng.restore(recording.random)
        self.report.restored(recording.marks)
        ids = replay(self.shell, *chosen(self.decision.options.output, recording.events, recording.values))
        for value in below(recording.names) if ids else ():
            if type(value).__name__ == "DisplayHandle" and type(value).__module__.startswith("IPython."):
                value.display_id = ids.get(value.display_id, value.display_id)

    def _beat(self) -> None:
        """An interrupt of a cell that waits is heard by ipykernel only when its loop wakes up: wake it."""
        self.beating = asyncio.get_running_loop().call_later(_BEAT, self._beat)


def _nothing() -> None:
    """Stands where a function's step has its body: a cell's is in the cell."""
