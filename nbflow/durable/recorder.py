"""What ran, written down beside the work: a sink of the bus that collects, and some time later one write for many.

A hit is no run and costs no write: it is told apart at the first glance. What was not written yet when a process is
killed is lost, seconds of it; nothing rests on it.
"""

import atexit
import os
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from typing import Any, Final, NamedTuple

from nbflow.clock import Clock
from nbflow.durable.ledger import Execute, Ledger
from nbflow.errors import StoreError
from nbflow.events import Began, Cancelled, Completed, Crashed, Event, Failed, Hit, Missed, Started, TimedOut

__all__ = ["Recorder", "Run", "runs"]

_MOST: Final = 100_000
"""Runs that are kept, of all tasks."""
_SPARE: Final = 1_000
_SOON: Final = 2.0
_MANY: Final = 500
_AHEAD: Final = 4096
_ERROR: Final = 300

_Row = tuple[str, float, float, int, str, str, str]
"""The columns of a `Run`."""
_ROWS: Final = 100
_PUT: Final = "INSERT INTO Runs (task, began, seconds, attempts, outcome, key, error) VALUES "
_ROW: Final = "(?, ?, ?, ?, ?, ?, ?)"
_OLD: Final = "DELETE FROM Runs WHERE number <= (SELECT max(number) FROM Runs) - ?"
_READ: Final = """
SELECT task, began, seconds, attempts, outcome, key, error FROM Runs
WHERE {} ({} OR outcome IN ('Failed', 'TimedOut', 'Crashed', 'Stale')) ORDER BY number DESC LIMIT ?"""


class Run(NamedTuple):
    """One run of a step, which was no hit.

    Attributes:
        task: The step's label.
        began: In seconds since the epoch.
        seconds: How long it ran; of one that failed, with all attempts and waits.
        attempts: How many there were.
        outcome: `Completed`, `Failed`, `TimedOut`, `Cancelled`, `Crashed`, or `Stale`: all failed, and an old
            result stood in.
        key: Its lookup key; `""` where it had none.
        error: What it ended by, in one line; `""` where it completed.
    """

    task: str
    began: float
    seconds: float
    attempts: int
    outcome: str
    key: str
    error: str


class Recorder:
    """The sink.

    Args:
        ledger: Where it is written to, asked at each write; None: nowhere.
    """

    def __init__(self, ledger: Callable[[], Ledger | None]) -> None:
        self._ledger = ledger
        self._clock = Clock()
        self._began: list[Began | None] = [None] * _AHEAD
        """The latest steps that have begun, by their number: of these some are about to start."""
        self._keys: list[Missed | None] = [None] * _AHEAD
        self._running: dict[int, tuple[str, str, float, int]] = {}
        """Steps that run, by their number: task, key, when the first attempt began, how many there were."""
        self._ended: deque[_Row] = deque(maxlen=10 * _MANY)
        self._due = self._hurries = self._registered = False
        self._written = 0
        _recorders.add(self)

    def __call__(self, event: Event) -> None:
        """Take an event, in whichever thread."""
        kind = type(event)
        if kind is Began:
            self._began[event.step % _AHEAD] = event  # type: ignore[assignment]
        elif kind is Missed:
            self._keys[event.step % _AHEAD] = event  # type: ignore[assignment]
        elif kind is Started:
            self._started(*event)
        elif kind in _OUTCOMES and event.step in self._running:
            self._end(event, kind)

    def _started(self, step: int, at: float, attempt: int, _: int) -> None:
        run = self._running.get(step)
        if run is not None:
            self._running[step] = (*run[:3], attempt)
            return
        began, missed = self._began[step % _AHEAD], self._keys[step % _AHEAD]
        if began is not None and began.step == step:
            key = missed.key if missed is not None and missed.step == step else ""
            self._running[step] = began.task, key, at, attempt

    def _end(self, event: Any, kind: type) -> None:
        if kind is Hit and not event.stale:
            return
        task, key, began, attempts = self._running.pop(event.step)
        if kind is Completed:
            self._ended.append((task, began, event.cost, attempts, "Completed", key, ""))
        else:
            error = event.stale if kind is Hit else event.error
            self._ended.append((task, began, event.at - began, attempts, _OUTCOMES[kind], key, error[:_ERROR]))
        if not self._due:
            self._due = True
            if not self._registered:
                self._registered = True
                atexit.register(self.flush)
            self._clock.after(_SOON, self.flush)
        elif len(self._ended) >= _MANY and not self._hurries:  # not here: each thread that writes opens a connection
            self._hurries = True
            self._clock.after(0.0, self.flush)

    def flush(self) -> None:
        """Write what has ended. Trouble costs these runs, and nobody is told: no result rests on them."""
        self._due = self._hurries = False
        runs: list[_Row] = []
        with suppress(IndexError):
            while True:
                runs.append(self._ended.popleft())
        if not runs:
            return
        with suppress(StoreError):
            ledger = self._ledger()
            if ledger is not None:
                ledger.write(lambda execute: self._write(execute, runs))

    def _write(self, execute: Execute, runs: list[_Row]) -> None:
        for i in range(0, len(runs), _ROWS):
            those = runs[i : i + _ROWS]
            execute(_PUT + ", ".join([_ROW] * len(those)), tuple(chain.from_iterable(those)))
        self._written += len(runs)
        if self._written > _SPARE:
            self._written = 0
            execute(_OLD, (_MOST,))

    def read(self, task: str | None, limit: int) -> list[Run]:
        """The latest runs, newest first: of a task, or of all.

        Raises:
            StoreError: The ledger cannot be read.
        """
        self.flush()
        ledger = self._ledger()
        return [] if ledger is None else runs(ledger, task, limit)

    def forget(self) -> None:
        """In a child: what its parent has seen is its parent's to write."""
        self._ended.clear()
        self._running.clear()
        self._due = self._hurries = False


def runs(ledger: Ledger, task: str | None, limit: int, *, failed: bool = False) -> list[Run]:
    """What is written down, newest first: of a task or of all, all of it or what failed.

    Raises:
        StoreError: The ledger cannot be read.
    """
    query = _READ.format("" if task is None else "task = ? AND", int(not failed))
    return [Run._make(row) for row in ledger.read(query, *(() if task is None else (task,)), limit)]


_OUTCOMES: Final[dict[type, str]] = {
    **{kind: kind.__name__ for kind in (Completed, Failed, TimedOut, Cancelled, Crashed)},
    Hit: "Stale",
}
_recorders: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


def _in_child() -> None:
    for each in list(_recorders):
        each.forget()


os.register_at_fork(after_in_child=_in_child)
