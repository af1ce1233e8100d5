"""The states of a step: one transition table, as data.

Each state has the name that Prefect gives it (https://docs.prefect.io/v3/concepts/states) and, for people, an
icon and a word, which always stand together: neither colour nor shape alone says what happened.
"""

from enum import StrEnum
from typing import Final, Self

from nbflow.events import (
    Began,
    Cancelled,
    Completed,
    Crashed,
    Event,
    Failed,
    Hit,
    Logged,
    Missed,
    NotReady,
    Queued,
    Started,
    TimedOut,
    Unsaved,
    Waiting,
)

__all__ = ["ACTIVE", "FAILURES", "TERMINAL", "TRANSITIONS", "State", "after"]


class State(StrEnum):
    """Where a step stands: its value is Prefect's name of the state, `icon` and `word` are what users read."""

    icon: str
    word: str

    def __new__(cls, name: str, icon: str, word: str) -> Self:
        """A member: the first of its three values is the one that it equals."""
        state = str.__new__(cls, name)
        state._value_ = name
        state.icon = icon
        state.word = word
        return state

    PENDING = "Pending", "○", "queued"
    RUNNING = "Running", "◐", "running"
    AWAITING_RETRY = "AwaitingRetry", "↻", "waiting"
    RETRYING = "Retrying", "◐", "running"
    COMPLETED = "Completed", "✓", "ran"
    CACHED = "Cached", "⚡", "cached"
    FAILED = "Failed", "✗", "failed"
    TIMED_OUT = "TimedOut", "◷", "timed out"
    CANCELLED = "Cancelled", "⊘", "cancelled"
    CRASHED = "Crashed", "⊗", "crashed"
    NOT_READY = "NotReady", "–", "not ready"  # noqa: RUF001 - a dash is meant


FAILURES: Final = frozenset({State.FAILED, State.TIMED_OUT, State.CRASHED})
"""The step itself went wrong."""
TERMINAL: Final = FAILURES | {State.COMPLETED, State.CACHED, State.CANCELLED, State.NOT_READY}
"""Nothing but a log line comes after these."""
ACTIVE: Final = frozenset(State) - TERMINAL
"""The step has not ended yet."""

_ENDS: Final = {Failed: State.FAILED, TimedOut: State.TIMED_OUT, Cancelled: State.CANCELLED, Crashed: State.CRASHED}

TRANSITIONS: Final[dict[tuple[State | None, type], State]] = {
    # from None: nothing is known of the step yet
    (None, Queued): State.PENDING,
    (None, Began): State.PENDING,
    (State.PENDING, Began): State.PENDING,
    (State.PENDING, Missed): State.PENDING,
    (State.PENDING, Hit): State.CACHED,
    (State.PENDING, NotReady): State.NOT_READY,
    (State.PENDING, Started): State.RUNNING,
    (State.AWAITING_RETRY, Started): State.RETRYING,
    # a retry without a delay may come without `Waiting`
    (State.RUNNING, Started): State.RETRYING,
    (State.RETRYING, Started): State.RETRYING,
    (State.RUNNING, Waiting): State.AWAITING_RETRY,
    (State.RETRYING, Waiting): State.AWAITING_RETRY,
    (State.RUNNING, Completed): State.COMPLETED,
    (State.RETRYING, Completed): State.COMPLETED,
    (State.COMPLETED, Unsaved): State.COMPLETED,
    (State.RUNNING, Unsaved): State.RUNNING,
    (State.RETRYING, Unsaved): State.RETRYING,
    # `stale_on_error` serves an old entry when all attempts have failed
    (State.RUNNING, Hit): State.CACHED,
    (State.RETRYING, Hit): State.CACHED,
    (State.AWAITING_RETRY, Hit): State.CACHED,
    # a deadline, an interrupt or a lost worker ends a step wherever it stands
    **{(state, event): end for state in ACTIVE for event, end in _ENDS.items()},
    **{(state, Logged): state for state in State},
}


def after(state: State | None, event: Event) -> State | None:
    """The state of a step once `event` happened to it; None is a step that nobody heard of.

    An order that the table does not know changes nothing: what shows steps can never break one, and a
    runaway thread may speak up long after its step has ended.

    >>> after(None, Began(1, 0.0, "fetch", (), None))
    <State.PENDING: 'Pending'>
    """
    return TRANSITIONS.get((state, type(event)), state)
