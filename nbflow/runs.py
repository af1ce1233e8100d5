"""One run of a task, as its hooks, its retry conditions and its own code see it."""

from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from nbflow import events as e
from nbflow.context import FlowRun, current_task_run
from nbflow.states import State, StateType, state_of
from nbflow.step.commands import Outcome
from nbflow.step.phases import Phase, after

__all__ = ["TaskRun", "current_run"]

_TYPES = {
    Phase.PENDING: StateType.PENDING,
    Phase.AWAITING_RETRY: StateType.SCHEDULED,
    Phase.NOT_READY: StateType.PENDING,
    Phase.COMPLETED: StateType.COMPLETED,
    Phase.CACHED: StateType.COMPLETED,
    Phase.ROLLED_BACK: StateType.COMPLETED,
    Phase.FAILED: StateType.FAILED,
    Phase.TIMED_OUT: StateType.FAILED,
    Phase.CANCELLED: StateType.CANCELLED,
    Phase.CRASHED: StateType.CRASHED,
}

_RUNS = frozenset({Phase.RUNNING, Phase.RETRYING})
_SMALL = frozenset({type(None), bool, int, float})


class TaskRun:
    """A run: it hears the events of its step, and can be asked at any time.

    Each run that misses makes one, so what few ask for is made when it is asked for.

    Attributes:
        step: The number that its events carry.
        task_name: The task's label.
        name: The run's own, as `task_run_name` says; else the task's.
        tags: The task's and those that held where it was called.
        flow_run: The flow run that it belongs to.
        run_count: The attempt, counted from 1; 0 before the first.
        start_time: When that attempt began; None before the first.
        end_time: When the last one ended; None where none began, or it runs.
        total_run_time: Seconds that all attempts took; waits are not part of it.
        keys: What its key functions gave, which are asked once a run.
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_began",
        "_id",
        "_kept",
        "_parameters",
        "_phase",
        "_settled",
        "_state",
        "_total",
        "_wait",
        "flow_run",
        "keys",
        "name",
        "names",
        "run_count",
        "step",
        "tags",
        "task_name",
        "values",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - it is all that its hooks may ask for
        self,
        step: int,
        task_name: str,
        names: tuple[str, ...] = (),
        values: tuple[Any, ...] = (),
        tags: frozenset[str] = frozenset(),
        flow_run: FlowRun | None = None,
    ) -> None:
        self.step, self.task_name, self.name = step, task_name, task_name
        self.names, self.values, self.tags, self.flow_run = names, values, tags, flow_run
        self.run_count = 0
        self.keys: tuple[str | None, ...] | None = None
        self._id: list[str] = []
        self._kept: TaskRun | None = None
        self._phase: Phase | None = Phase.PENDING
        self._settled = False
        self._at = self._began = self._wait = self._total = 0.0
        self._state: State[Any] | None = None
        self._parameters: dict[str, Any] | None = None

    def __repr__(self) -> str:
        """`<TaskRun fetch>`."""
        return f"<TaskRun {self.name}>"

    @property
    def id(self) -> str:
        """32 hex digits."""
        if not self._id:
            self._id.append(uuid4().hex)
        return self._id[0]

    @property
    def flow_run_id(self) -> str | None:
        """The id of the flow run that it belongs to."""
        return None if self.flow_run is None else self.flow_run.id

    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments by name, with defaults."""
        if self._parameters is None:
            self._parameters = dict(zip(self.names, self.values, strict=False))
        return self._parameters

    @property
    def start_time(self) -> datetime | None:
        """When the latest attempt began."""
        return _date(self._began) if self.run_count else None

    @property
    def end_time(self) -> datetime | None:
        """When the last attempt ended."""
        return _date(self._at) if self.run_count and self.state.is_final() else None

    @property
    def total_run_time(self) -> float:
        """Seconds that all attempts so far took."""
        return self._total

    @property
    def state(self) -> State[Any]:
        """What it has come to by now."""
        if self._state is None:
            phase = self._phase or Phase.PENDING
            when = _date(self._at + self._wait) if phase is Phase.AWAITING_RETRY else None
            self._state = State(_TYPES.get(phase, StateType.RUNNING), phase.value, scheduled_time=when)
        return self._state

    @property
    def state_name(self) -> str:
        """The name of its state."""
        return self.state.name

    @property
    def state_type(self) -> StateType:
        """The kind of its state."""
        return self.state.type

    def hear(self, event: Any) -> None:
        """Take an event of its step."""
        if self._settled:
            return
        kind = type(event)
        if kind is e.Started:
            self.run_count, self._began = event.attempt, event.at
        elif kind is e.Logged:
            return
        elif self._phase in _RUNS and kind is not e.Unsaved:
            self._total += max(0.0, event.at - self._began)
        if kind is e.Waiting:
            self._wait = event.seconds
        self._phase, self._at, self._state = after(self._phase, event), event.at, None

    def settle(self, outcome: Outcome) -> State[Any]:
        """Take what it came to; the state that this is."""
        if not self._settled:
            state = state_of(outcome, cached=self._phase is Phase.CACHED)
            undone = self._phase is Phase.ROLLED_BACK
            self._state = State(StateType.COMPLETED, Phase.ROLLED_BACK, data=state.data) if undone else state
            self._settled = True
        return self.state

    def roll_back(self) -> None:
        """What it did was undone, with the transaction that it belonged to."""
        self._phase, self._settled, self._state = Phase.ROLLED_BACK, False, None
        if self._kept is not None:
            self._kept.roll_back()

    def without_values(self) -> "TaskRun":
        """The same run for whoever keeps it for long: large arguments are let go of."""
        if _SMALL.issuperset(map(type, self.values)):
            return self
        made = TaskRun(self.step, self.task_name, tags=self.tags, flow_run=self.flow_run)
        made.name, made.run_count = self.name, self.run_count
        made._id = self._id  # shared: whichever is asked first, both have it
        made._phase, made._settled, made._state = self._phase, self._settled, self._state
        made._at, made._began, made._wait, made._total = self._at, self._began, self._wait, self._total
        self._kept = made
        return made


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


current_run: ContextVar[TaskRun | None] = current_task_run
"""The innermost run that goes on here."""
