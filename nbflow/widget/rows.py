"""One row per step: a fold over its events.

A row is touched for every event of every step, so it is a plain object whose rare parts are class
attributes until they are set: a hit sets eight of them.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

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
    Named,
    NotReady,
    Progressed,
    Queued,
    RolledBack,
    Started,
    TimedOut,
    Unsaved,
    Waiting,
)
from nbflow.step.phases import TERMINAL, Phase, after

__all__ = ["Row", "Segment", "Tally", "fold"]

_LOG_LINES: Final = 200
_LOG_CHARACTERS: Final = 64 * 1024
_SEGMENTS: Final = 24
_LABEL: Final = 200
_ERROR: Final = 500
_TRACE: Final = 8192


class Segment(NamedTuple):
    """A stretch of a row's time, in seconds since the epoch: an attempt or a wait.

    `end` is None while it lasts. `state` is what the stretch came to: `FAILED` for an attempt that was
    retried, `AWAITING_RETRY` for a wait, the state of the step for its last attempt.
    """

    start: float
    end: float | None
    state: Phase


class Tally:
    """Running totals of one task; `rows` are its first few, `cost` is what those took that `ran`."""

    __slots__ = ("began", "cost", "counts", "ended", "ran", "rows", "saved", "size", "task", "total")

    def __init__(self, task: str, began: float) -> None:
        self.task, self.began, self.ended = task, began, began
        self.counts = dict.fromkeys(Phase, 0)
        self.total = self.size = self.ran = 0
        self.saved = self.cost = 0.0
        self.rows: tuple[Row, ...] = ()


class Row:
    """What is known of one step. Times are in seconds since the epoch, sizes in bytes.

    Attributes:
        tally: The totals of its task.
        why: Why there was no hit, in words.
        missed: The miss while nobody explained it, else None.
        note: Why its result is not in the store.
        stale: Why an old result was served, in words; `""`: it was fresh.
        since: When its first attempt began, or when it was found, or when it was queued.
        retry_at: When the next attempt begins.
        progress: Of a job: how many of its items are done, of how many; these are None while nobody knows.
        errors: What each attempt that was retried failed with, by its number: the latest ones.
        name: What this run is called, `""` where it has no name of its own.
        key: What its result is kept under, `""` where it is not.
    """

    tally: Tally
    ended: float | None = None
    why: str = ""
    missed: Missed | None = None
    note: str = ""
    error: str = ""
    trace: str = ""
    attempt: int = 0
    attempts: int = 1
    retry_at: float = 0.0
    progress: tuple[int, int | None] | None = None
    segments: tuple[Segment, ...] = ()
    errors: tuple[tuple[int, str], ...] = ()
    name: str = ""
    key: str = ""
    cost: float = 0.0
    age: float = 0.0
    stale: str = ""
    saved: float = 0.0
    size: int = 0
    log: deque[str] | None = None
    log_characters: int = 0

    def __init__(self, event: Queued | Began) -> None:
        self.step, self.since, task, self.arguments, self.parent = event
        self.task = task if len(task) <= _LABEL else task[:_LABEL]
        self.state: Phase = Phase.PENDING

    def close(self, at: float, state: Phase) -> None:
        """End the segment that lasts, if there is one."""
        if self.segments and self.segments[-1].end is None:
            last = self.segments[-1]
            self.segments = (*self.segments[:-1], Segment(last.start, max(at, last.start), state))

    def open(self, at: float, state: Phase) -> None:
        """Begin a segment; of very many the oldest go."""
        self.segments = (*self.segments[-_SEGMENTS + 1 :], Segment(at, None, state))


def _began(row: Row, event: Began) -> None:
    row.since = event.at
    row.arguments, row.parent = event.arguments, event.parent


def _named(row: Row, event: Named) -> None:
    row.name = event.name[:_LABEL]


def _hit(row: Row, event: Hit) -> None:
    _, _, row.age, row.saved, row.size, row.stale, key = event
    row.key = key or row.key
    if row.segments:
        row.close(event.at, Phase.FAILED)
        row.error = ""


def _missed(row: Row, event: Missed) -> None:
    row.why = event.why[:_ERROR]
    row.missed, row.key = event, event.key


def _started(row: Row, event: Started) -> None:
    if row.attempt:
        row.close(event.at, Phase.FAILED if row.segments[-1].state is Phase.RUNNING else row.segments[-1].state)
    else:
        row.since = event.at
    row.attempt, row.attempts = event.attempt, event.attempts
    row.open(event.at, Phase.RUNNING)


def _waiting(row: Row, event: Waiting) -> None:
    row.close(event.at, Phase.FAILED)
    row.open(event.at, Phase.AWAITING_RETRY)
    row.error = event.error[:_ERROR]
    row.errors = (*row.errors[-_SEGMENTS + 1 :], (event.attempt, row.error))
    row.retry_at = event.at + event.seconds


def _progressed(row: Row, event: Progressed) -> None:
    row.progress = event.done, event.total


def _completed(row: Row, event: Completed) -> None:
    row.close(event.at, Phase.COMPLETED)
    row.cost, row.size = event.cost, event.size
    row.error = ""


def _unsaved(row: Row, event: Unsaved) -> None:
    row.note = event.why[:_ERROR]


def _ended(row: Row, event: Failed | TimedOut | Cancelled | Crashed | NotReady) -> None:
    waited = bool(row.segments) and row.segments[-1].state is Phase.AWAITING_RETRY
    row.close(event.at, Phase.AWAITING_RETRY if waited else row.state)
    row.error = event.error[:_ERROR]
    row.trace = getattr(event, "trace", "")[-_TRACE:]


def _logged(row: Row, event: Logged) -> None:
    if row.log is None:
        row.log = deque()
    text = event.text if event.level == "INFO" else f"{event.level}: {event.text}"
    text = text[-_LOG_CHARACTERS:]
    row.log.append(text)
    row.log_characters += len(text)
    while len(row.log) > _LOG_LINES or row.log_characters > _LOG_CHARACTERS:
        row.log_characters -= len(row.log.popleft())


_NOTES: Final[dict[type, Callable[[Row, Any], None]]] = {
    Began: _began,
    Named: _named,
    Hit: _hit,
    Missed: _missed,
    Started: _started,
    Waiting: _waiting,
    Progressed: _progressed,
    Completed: _completed,
    Unsaved: _unsaved,
    Failed: _ended,
    TimedOut: _ended,
    Cancelled: _ended,
    Crashed: _ended,
    NotReady: _ended,
    Logged: _logged,
}


_LATE: Final = frozenset({Logged, Unsaved, RolledBack})


def fold(row: Row, event: Event) -> None:
    """Note one event in its row.

    What comes after the end changes nothing, but for a log line, a note about the store, and that it was undone.
    """
    kind = type(event)
    if row.state in TERMINAL and kind not in _LATE:
        return
    state = after(row.state, event)
    assert state is not None
    row.state = state
    note = _NOTES.get(kind)
    if note is not None:
        note(row, event)
    if state in TERMINAL and row.ended is None:
        row.ended = event.at
