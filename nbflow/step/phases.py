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
    Progressed,
    Queued,
    RolledBack,
    Started,
    TimedOut,
    Unsaved,
    Waiting,
)

__all__ = ["ACTIVE", "FAILURES", "TERMINAL", "TRANSITIONS", "Phase", "after"]


class Phase(StrEnum):
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
    ROLLED_BACK = "RolledBack", "↺", "rolled back"
    FAILED = "Failed", "✗", "failed"
    TIMED_OUT = "TimedOut", "◷", "timed out"
    CANCELLED = "Cancelled", "⊘", "cancelled"
    CRASHED = "Crashed", "⊗", "crashed"
    NOT_READY = "NotReady", "–", "not ready"  # noqa: RUF001 - a dash is meant


FAILURES: Final = frozenset({Phase.FAILED, Phase.TIMED_OUT, Phase.CRASHED})
"""The step itself went wrong."""
TERMINAL: Final = FAILURES | {Phase.COMPLETED, Phase.CACHED, Phase.ROLLED_BACK, Phase.CANCELLED, Phase.NOT_READY}
"""Nothing but a log line comes after these."""
ACTIVE: Final = frozenset(Phase) - TERMINAL
"""The step has not ended yet."""

_ENDS: Final = {Failed: Phase.FAILED, TimedOut: Phase.TIMED_OUT, Cancelled: Phase.CANCELLED, Crashed: Phase.CRASHED}

TRANSITIONS: Final[dict[tuple[Phase | None, type], Phase]] = {
    # from None: nothing is known of the step yet
    (None, Queued): Phase.PENDING,
    (None, Began): Phase.PENDING,
    (Phase.PENDING, Began): Phase.PENDING,
    (Phase.PENDING, Missed): Phase.PENDING,
    (Phase.PENDING, Hit): Phase.CACHED,
    (Phase.PENDING, NotReady): Phase.NOT_READY,
    (Phase.PENDING, Started): Phase.RUNNING,
    (Phase.AWAITING_RETRY, Started): Phase.RETRYING,
    # a retry without a delay may come without `Waiting`
    (Phase.RUNNING, Started): Phase.RETRYING,
    (Phase.RETRYING, Started): Phase.RETRYING,
    (Phase.RUNNING, Progressed): Phase.RUNNING,
    (Phase.RUNNING, Waiting): Phase.AWAITING_RETRY,
    (Phase.RETRYING, Waiting): Phase.AWAITING_RETRY,
    (Phase.RUNNING, Completed): Phase.COMPLETED,
    (Phase.RETRYING, Completed): Phase.COMPLETED,
    (Phase.COMPLETED, Unsaved): Phase.COMPLETED,
    (Phase.COMPLETED, RolledBack): Phase.ROLLED_BACK,
    (Phase.RUNNING, Unsaved): Phase.RUNNING,
    (Phase.RETRYING, Unsaved): Phase.RETRYING,
    # `stale_on_error` serves an old entry when all attempts have failed
    (Phase.RUNNING, Hit): Phase.CACHED,
    (Phase.RETRYING, Hit): Phase.CACHED,
    (Phase.AWAITING_RETRY, Hit): Phase.CACHED,
    # a deadline, an interrupt or a lost worker ends a step wherever it stands
    **{(state, event): end for state in ACTIVE for event, end in _ENDS.items()},
    **{(state, Logged): state for state in Phase},
}


def after(state: Phase | None, event: Event) -> Phase | None:
    """The state of a step once `event` happened to it; None is a step that nobody heard of.

    An order that the table does not know changes nothing: what shows steps can never break one, and a
    runaway thread may speak up long after its step has ended.

    >>> after(None, Began(1, 0.0, "fetch", (), None))
    <Phase.PENDING: 'Pending'>
    """
    return TRANSITIONS.get((state, type(event)), state)
