"""One run of a task, as its hooks, its retry conditions and its own code see it."""

import os
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from nbflow import events as e
from nbflow.context import FlowRun
from nbflow.states import State, StateType, state_of
from nbflow.step.commands import Outcome
from nbflow.step.phases import Phase, after

__all__ = ["TaskRun"]

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


class _Story(NamedTuple):
    """What the first so many events of a run come to."""

    events: int = 0
    phase: Phase | None = Phase.PENDING
    attempt: int = 0
    began: float = 0.0
    at: float = 0.0
    wait: float = 0.0
    total: float = 0.0

    def then(self, event: Any) -> "_Story":
        """With the next one."""
        kind, attempt, began, wait, total = type(event), self.attempt, self.began, self.wait, self.total
        if kind is e.Started:
            attempt, began = event.attempt, event.at
        elif self.phase in _RUNS and kind is not e.Unsaved:
            total += max(0.0, event.at - began)
        if kind is e.Waiting:
            wait = event.seconds
        return _Story(self.events + 1, after(self.phase, event), attempt, began, event.at, wait, total)


_NOTHING: Final = _Story()


class TaskRun:
    """A run: it hears the events of its step, and can be asked at any time.

    Each run that misses makes one, so what few ask for is made of the events when it is asked for.

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

    keys: tuple[str | None, ...] | None = None
    _story = _NOTHING
    _final: State[Any] | None = None
    _shown: tuple[int, State[Any]] | None = None
    _parameters: dict[str, Any] | None = None

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
        self._id: list[str] = []
        self._heard: list[Any] = []

    def __repr__(self) -> str:
        """`<TaskRun fetch>`."""
        return f"<TaskRun {self.name}>"

    @property
    def id(self) -> str:
        """32 hex digits."""
        if not self._id:
            self._id.append(os.urandom(16).hex())
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
    def run_count(self) -> int:
        """The attempt, counted from 1."""
        return self._told().attempt

    @property
    def start_time(self) -> datetime | None:
        """When the latest attempt began."""
        story = self._told()
        return _date(story.began) if story.attempt else None

    @property
    def end_time(self) -> datetime | None:
        """When the last attempt ended."""
        story = self._told()
        return _date(story.at) if story.attempt and self.state.is_final() else None

    @property
    def total_run_time(self) -> float:
        """Seconds that all attempts so far took."""
        return self._told().total

    @property
    def state(self) -> State[Any]:
        """What it has come to by now."""
        story, shown = self._told(), self._shown
        if shown is None or shown[0] != story.events:
            shown = self._shown = story.events, self._state(story)
        return shown[1]

    @property
    def state_name(self) -> str:
        """The name of its state."""
        return self.state.name

    @property
    def state_type(self) -> StateType:
        """The kind of its state."""
        return self.state.type

    def _told(self) -> _Story:
        story = self._story
        if story.events < len(self._heard):
            for event in self._heard[story.events :]:
                story = story.then(event)
            self._story = story
        return story

    def _state(self, story: _Story) -> State[Any]:
        final, phase = self._final, story.phase or Phase.PENDING
        if final is None:
            when = _date(story.at + story.wait) if phase is Phase.AWAITING_RETRY else None
            return State(_TYPES.get(phase, StateType.RUNNING), phase.value, scheduled_time=when)
        return State(StateType.COMPLETED, phase, data=final.data) if phase is Phase.ROLLED_BACK else final

    def hear(self, event: Any) -> None:
        """Take an event of its step, but for its log."""
        if self._final is None or type(event) is e.RolledBack:
            self._heard.append(event)

    def settle(self, outcome: Outcome) -> State[Any]:
        """Take what it came to; the state that this is."""
        if self._final is None:
            story = self._told()
            self._final = state_of(outcome, cached=story.phase is Phase.CACHED)
            self._shown = story.events, self._state(story)
        return self.state

    def without_values(self) -> "TaskRun":
        """The same run for whoever keeps it for long: large arguments are let go of."""
        if _SMALL.issuperset(map(type, self.values)):
            return self
        made = TaskRun(self.step, self.task_name, tags=self.tags, flow_run=self.flow_run)
        made.name, made._final, made._shown = self.name, self._final, self._shown
        made._id, made._heard = self._id, self._heard  # shared: whichever is asked first, or hears more, both have it
        return made


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
