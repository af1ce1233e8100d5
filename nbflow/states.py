"""What a run came to, as a value: the states of Prefect, by its names (https://docs.prefect.io/v3/concepts/states).

A state never changes. It is equal to itself alone: two runs that ended alike are still two runs.
"""

import concurrent.futures
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar, cast

from nbflow.annotations import note
from nbflow.errors import CancelledRun, CrashedRun, FailedRun, NotReadyError, StepTimeout, UnfinishedRun
from nbflow.step.commands import Err, Outcome
from nbflow.step.plan import reason

__all__ = [
    "AwaitingRetry",
    "Cancelled",
    "Cancelling",
    "Completed",
    "Crashed",
    "Failed",
    "Late",
    "Paused",
    "Pending",
    "Retrying",
    "Running",
    "Scheduled",
    "State",
    "StateType",
    "Suspended",
    "raised",
    "state_of",
]

R = TypeVar("R")


class StateType(StrEnum):
    """The nine kinds of state; a state's name says more."""

    SCHEDULED = "SCHEDULED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    CRASHED = "CRASHED"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"


_FINAL: Final = frozenset({StateType.COMPLETED, StateType.FAILED, StateType.CANCELLED, StateType.CRASHED})
_FAILURES: Final = {
    StateType.FAILED: (FailedRun, "the run failed"),
    StateType.CRASHED: (CrashedRun, "the run crashed"),
    StateType.CANCELLED: (CancelledRun, "the run was cancelled"),
}
_TICK: Final = timedelta(microseconds=1)
_last = datetime.min.replace(tzinfo=UTC)


def _now() -> datetime:
    """The time, later than that of any state before, however coarse the clock is."""
    global _last  # noqa: PLW0603 - states of one process are told apart by it
    _last = max(datetime.now(UTC), _last + _TICK)
    return _last


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False, repr=False)
class State(Generic[R]):
    """What a run came to.

    >>> from nbflow import task
    >>> state = task(ord)("ten", return_state=True)
    >>> state.name, state.is_failed(), state.result(raise_on_failure=False)
    ('Failed', True, TypeError('ord() expected a character, but string of length 3 found'))

    Attributes:
        type: One of nine kinds.
        name: What people read: `Completed`, `Cached`, `TimedOut`, ...; by default that of the kind.
        message: Why, in a line.
        data: The result; of a failure the exception, or a text, a state or states that have it.
        timestamp: When it came to it, in UTC.
        scheduled_time: Of a state that waits: for when.
    """

    type: StateType
    name: str = ""
    message: str | None = None
    data: Any = None
    timestamp: datetime = field(default_factory=_now)
    scheduled_time: datetime | None = None

    def __post_init__(self) -> None:
        """Fill in what was left out."""
        object.__setattr__(self, "type", StateType(self.type))
        object.__setattr__(self, "name", self.name or self.type.value.capitalize())
        note(self)

    def __setstate__(self, values: Any) -> None:
        """Back from a pickle, in whatever process."""
        for name, value in zip(self.__dataclass_fields__, values, strict=True):
            object.__setattr__(self, name, value)
        note(self)

    def __repr__(self) -> str:
        """`Failed(message='ValueError: no rows', type=FAILED)`; values are never part of it."""
        message = f"message={self.message!r}, " if self.message else ""
        return f"{self.name}({message}type={self.type.value})"

    def __str__(self) -> str:
        """`Failed('ValueError: no rows')`."""
        return f"{self.name}({self.message!r})" if self.message else f"{self.name}()"

    def is_scheduled(self) -> bool:
        """Whether it waits for a time."""
        return self.type is StateType.SCHEDULED

    def is_pending(self) -> bool:
        """Whether it has not begun."""
        return self.type is StateType.PENDING

    def is_running(self) -> bool:
        """Whether it runs."""
        return self.type is StateType.RUNNING

    def is_completed(self) -> bool:
        """Whether there is a result."""
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        """Whether it raised, or ran out of time."""
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        """Whether something ended it that is no error of its own."""
        return self.type is StateType.CRASHED

    def is_cancelled(self) -> bool:
        """Whether somebody cancelled it."""
        return self.type is StateType.CANCELLED

    def is_cancelling(self) -> bool:
        """Whether it is about to be cancelled."""
        return self.type is StateType.CANCELLING

    def is_paused(self) -> bool:
        """Whether it was paused."""
        return self.type is StateType.PAUSED

    def is_final(self) -> bool:
        """Whether nothing comes after it."""
        return self.type in _FINAL

    def result(self, raise_on_failure: bool = True, retry_result_failure: bool = True) -> R:  # noqa: ARG002, FBT001, FBT002 - Prefect's signature; there is nothing to retry
        """The run's value; raises its error, or returns it where `raise_on_failure` is false.

        Raises:
            UnfinishedRun: The run has not ended, or never began.
            FailedRun: It failed without an exception of its own.
        """
        if not self.is_final() and not isinstance(self.data, NotReadyError):
            raise UnfinishedRun(f"the run is {self.name}: it has no result yet")
        if self.is_completed():
            return cast("R", self.data)
        error = raised(self)
        if raise_on_failure:
            raise error
        return cast("R", error)

    async def aresult(self, raise_on_failure: bool = True, retry_result_failure: bool = True) -> R:  # noqa: ARG002, FBT001, FBT002 - as above
        """As `result`: nothing is waited for."""
        return self.result(raise_on_failure)


def raised(state: State[Any]) -> BaseException:
    """The exception of a state that is no success, however its data holds it.

    Raises:
        TypeError: Its data is nothing that an exception can be made of.
    """
    data = state.data
    if isinstance(data, BaseException):
        return data
    kind, words = _FAILURES.get(state.type, (UnfinishedRun, f"the run is {state.name}"))
    if isinstance(data, State):
        return raised(data)
    if isinstance(data, str) or data is None:
        return kind(data or state.message or words)
    if isinstance(data, Iterable) and not isinstance(data, (bytes, dict)):
        for each in data:
            if isinstance(each, State) and each.type in _FAILURES:
                return raised(each)
    raise TypeError(f"{state!r} holds a {type(data).__name__}: give an exception, a text or a failed state as its data")


def state_of(outcome: Outcome, *, cached: bool = False) -> State[Any]:
    """The state that an outcome is; one that the task returned is its state as it stands.

    Args:
        outcome: What a step came to.
        cached: It came from the store.
    """
    if not isinstance(outcome, Err):
        value = outcome.value
        if type(value) is State:
            return value
        return State(StateType.COMPLETED, "Cached" if cached else "", data=value)
    if outcome.state is not None:
        return cast("State[Any]", outcome.state)
    if isinstance(outcome.error, FailedRun):  # the words are those of a state
        return State(_kind(outcome.error)[0], "", str(outcome.error), outcome.error)
    kind, name, words = _kind(outcome.error)
    return State(kind, name, f"{words}{reason(outcome.error)}", outcome.error)


_ENDS: Final[tuple[tuple[Any, StateType, str, str], ...]] = (
    (NotReadyError, StateType.PENDING, "NotReady", ""),
    (StepTimeout, StateType.FAILED, "TimedOut", ""),
    (KeyboardInterrupt, StateType.CRASHED, "", "Execution was aborted by an interrupt: "),
    (SystemExit, StateType.CRASHED, "", "Execution was aborted by a system exit: "),
    (concurrent.futures.CancelledError, StateType.CANCELLED, "", ""),
    (CrashedRun, StateType.CRASHED, "", ""),
    (CancelledRun, StateType.CANCELLED, "", ""),
    (FailedRun, StateType.FAILED, "", ""),
    (TimeoutError, StateType.FAILED, "TimedOut", "Task run failed due to timeout: "),
    (Exception, StateType.FAILED, "", "Task run encountered an exception "),
)


def _kind(error: BaseException) -> tuple[StateType, str, str]:
    if type(error).__name__ == "CancelledError":  # asyncio's, which is not imported for its name
        return StateType.CANCELLED, "", ""
    for kind, state, name, words in _ENDS:
        if isinstance(error, kind):
            return state, name, words
    return StateType.CRASHED, "", "Execution was interrupted by "


def _made(kind: StateType, name: str = "") -> Callable[..., State[Any]]:
    """A function that makes states of one name."""

    def make(
        message: str | None = None, data: Any = None, *, name: str = name or kind.value.capitalize(), **more: Any
    ) -> State[Any]:
        return State(kind, name, message, data, **more)

    make.__name__ = make.__qualname__ = name or kind.value.capitalize()
    make.__doc__ = f"The state `{make.__name__}`, to return from a task or a flow."
    return make


Scheduled = _made(StateType.SCHEDULED)
Late = _made(StateType.SCHEDULED, "Late")
AwaitingRetry = _made(StateType.SCHEDULED, "AwaitingRetry")
Pending = _made(StateType.PENDING)
Running = _made(StateType.RUNNING)
Retrying = _made(StateType.RUNNING, "Retrying")
Completed = _made(StateType.COMPLETED)
Failed = _made(StateType.FAILED)
Crashed = _made(StateType.CRASHED)
Cancelled = _made(StateType.CANCELLED)
Cancelling = _made(StateType.CANCELLING)
Paused = _made(StateType.PAUSED)
Suspended = _made(StateType.PAUSED, "Suspended")
