"""`Board`: what is known of the steps, from their events, for whoever draws them.

Hearing an event costs an append, whatever the thread; folding happens when somebody looks. Memory is
bounded: finished rows, logs and tracebacks go when there are too many, the counts stay exact.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import inf
from threading import Lock
from typing import Final, TypeVar

from nbflow.events import Began, Event, Missed, Queued
from nbflow.step.phases import FAILURES, TERMINAL, Phase
from nbflow.widget.estimate import Estimate
from nbflow.widget.lines import Line, View, line_of, line_of_group, task_of
from nbflow.widget.rows import Row, Tally, fold

__all__ = ["Board"]

T = TypeVar("T")

_INBOX: Final = 8192
_TASKS: Final = 1000
_FAILURES: Final = 100
_UNEXPLAINED: Final = 256
_TEXTS: Final = 8_000_000
_EXPLAINED_PER_DRAW: Final = 20
_EXPLAINED_PER_NEWS: Final = 4  # ten times a second
_SHOWN_FAILURES: Final = 24
_SHOWN_ACTIVE: Final = 8
_SHOWN_GROUPS: Final = 40
_SMALL_TASK: Final = 3
_OTHERS: Final = "other tasks"


class Board:
    """Rows of steps, thread-safe: `hear` is a sink for a `Bus`, `view` what a renderer takes.

    Args:
        explain: A better reason for a miss, from the task's label and the event, asked when the row is shown, in
            the thread that looks, for at most 20 rows a look; `""` where there is none.
        skip: Steps to leave out, by the event that introduces them.
        expect: Seconds that a step of this label usually takes; None where nobody knows.
        keep: Rows to keep at most; beyond it the oldest that have ended go. Steps that still run always stay.
        pause: Seconds without any step after which the timeline begins anew.
        clock: Seconds since the epoch.
    """

    def __init__(  # noqa: PLR0913 - how it asks, what it keeps, and the time
        self,
        explain: Callable[[str, Missed], str] | None = None,
        *,
        skip: Callable[[Queued | Began], bool] | None = None,
        expect: Callable[[str], float | None] | None = None,
        keep: int = 10_000,
        pause: float = inf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._explain, self._skip, self._keep, self._pause, self._clock = explain, skip, keep, pause, clock
        self._estimate = Estimate(expect or (lambda _: None))
        self._lock = Lock()
        self._inbox: deque[Event] = deque()
        self._sealed = False
        self._rows: dict[int, Row] = {}
        self._active: dict[int, Row] = {}
        self._ended: deque[int] = deque()
        self._failures: deque[int] = deque()
        self._unexplained: deque[Row] = deque()
        self._texts: dict[int, int] = {}
        self._characters = 0
        self._tallies: dict[str, Tally] = {}
        self._changed: dict[int, Row] | None = None
        self._gone: list[int] = []
        self._began = 0.0
        self._last = -inf

    def hear(self, event: Event) -> None:
        """Take an event; from any thread, and never blocking."""
        self._inbox.append(event)
        if len(self._inbox) >= _INBOX and self._lock.acquire(blocking=False):
            try:
                self._catch_up()
            finally:
                self._lock.release()

    def recall(self, past: Iterable[Event]) -> None:
        """Take what was told before it heard of anything; what it has heard since may be among that."""
        with self._lock:
            heard = [self._inbox.popleft() for _ in range(len(self._inbox))]
            once = {id(event): event for event in (*past, *heard)}
            self._inbox.extendleft(reversed(once.values()))

    def seal(self) -> None:
        """Take no new steps from now on; those that are known go on."""
        with self._lock:
            self._catch_up()
            self._sealed = True

    @property
    def busy(self) -> bool:
        """Whether a step has not ended."""
        with self._lock:
            self._catch_up()
            return bool(self._active)

    @property
    def pending(self) -> bool:
        """Whether something was heard that no view has shown."""
        return bool(self._inbox)

    def view(self, whole: int = 200) -> View:
        """This moment.

        Args:
            whole: Up to so many steps each has its line; of more, those that failed or run have one, some dozens at
                most, and the others share a line by task.
        """
        with self._lock:
            self._catch_up()
            every = sum(tally.total for tally in self._tallies.values()) <= min(whole, self._keep)
            rows = list(self._tree() if every else self._notable())
            unexplained = [(row, row.missed) for row, _ in rows if row.missed is not None]
        self._ask(unexplained[:_EXPLAINED_PER_DRAW])
        with self._lock:
            now = max(self._clock(), self._last)
            lines = [line_of(row, now, depth) for row, depth in rows] if every else self._grouped(rows, now)
            tallies = self._tallies.values()
            left_out = 0 if every else sum(tally.total for tally in islice(tallies, _SHOWN_GROUPS, None))
            return self._totals(now)._replace(lines=tuple(lines), left_out=left_out)

    def news(self, look: Callable[[Row, float], T]) -> tuple[View, list[T], list[int]]:
        """What changed since the last call: this moment without its lines, the rows, and the steps of rows that went.

        The first call has all rows. There is one who asks, at most.

        Args:
            look: What is wanted of a row at a time; the row may change as soon as it returns.
        """
        with self._lock:
            self._catch_up()
            if self._changed is None:
                self._changed = dict(self._rows)
            unexplained = [(row, row.missed) for row in self._changed.values() if row.missed is not None]
        self._ask(unexplained[:_EXPLAINED_PER_NEWS])
        with self._lock:
            now = max(self._clock(), self._last)
            looked = [look(row, now) for row in self._changed.values()]
            later = [row for row, missed in unexplained[_EXPLAINED_PER_NEWS:] if row.missed is missed]
            self._changed = {row.step: row for row in later}
            gone, self._gone = self._gone, []
            return self._totals(now), looked, gone

    def row(self, step: int, look: Callable[[Row], T]) -> T | None:
        """What is wanted of one row, None if it is not known."""
        with self._lock:
            self._catch_up()
            row = self._rows.get(step)
            return None if row is None else look(row)

    def steps(self, task: str | None = None) -> list[int]:
        """The steps that have a row: of one task, by its label as it is shown, or all."""
        with self._lock:
            self._catch_up()
            return [step for step, row in self._rows.items() if task is None or task_of(row) == task]

    def _totals(self, now: float) -> View:
        tallies = self._tallies.values()
        counts = {state: sum(tally.counts[state] for tally in tallies) for state in Phase}
        saved = sum(tally.saved for tally in tallies)
        ended = None if self._active else self._last
        return View(now, self._began, ended, counts, saved, left=self._estimate.left(self._active, now))

    # -- from events to rows, under the lock --

    def _catch_up(self) -> None:
        inbox, rows = self._inbox, self._rows
        for _ in range(len(inbox)):
            event = inbox.popleft()
            row = rows.get(event.step)
            if row is None:
                if type(event) is Queued or type(event) is Began:
                    self._welcome(event)
                continue
            before = row.state
            fold(row, event)
            if self._changed is not None:
                self._changed[event.step] = row
            if event.at > self._last:  # noqa: PLR1730 - half the time of max(), for every event
                self._last = event.at
            if row.state is not before:
                self._count(row, before)
            if row.missed is event:
                self._keep_to_explain(row)
            if row.log is not None or row.trace:
                self._weigh(row)

    def _welcome(self, event: Queued | Began) -> None:
        if self._sealed or (self._skip is not None and self._skip(event)):
            return
        at, row = event.at, Row(event)
        task = row.task
        if not self._active and (not self._rows or at - self._last > self._pause):
            self._began = at
        self._last = max(self._last, at)
        tally = self._tallies.get(task)
        if tally is None:
            task = task if len(self._tallies) < _TASKS else _OTHERS
            tally = self._tallies.setdefault(task, Tally(task, at))
        self._rows[event.step] = self._active[event.step] = row
        if self._changed is not None:
            self._changed[event.step] = row
        row.tally = tally
        tally.total += 1
        tally.counts[Phase.PENDING] += 1
        if tally.total <= _SMALL_TASK:
            tally.rows = (*tally.rows, row)

    def _count(self, row: Row, before: Phase) -> None:
        tally: Tally = row.tally
        tally.counts[before] -= 1
        tally.counts[row.state] += 1
        if row.ended is None or before in TERMINAL:
            return
        tally.saved += row.saved
        tally.size += row.size
        if row.state is Phase.COMPLETED:
            tally.ran += 1
            tally.cost += row.cost
        if row.ended > tally.ended:  # noqa: PLR1730 - as above
            tally.ended = row.ended
        del self._active[row.step]
        if row.state in FAILURES:
            self._failures.append(row.step)
            if len(self._failures) > _FAILURES:
                self._ended.append(self._failures.popleft())
        else:
            self._ended.append(row.step)
        while len(self._rows) > self._keep and self._ended:
            gone = self._rows.pop(self._ended.popleft())
            self._characters -= self._texts.pop(gone.step, 0)
            gone.log, gone.trace = None, ""
            if self._changed is not None:
                self._changed.pop(gone.step, None)
                self._gone.append(gone.step)

    def _weigh(self, row: Row) -> None:
        """Logs and tracebacks share one budget; the row that spoke up first loses its own first."""
        weight = row.log_characters + len(row.trace)
        self._characters += weight - self._texts.get(row.step, 0)
        self._texts[row.step] = weight
        while self._characters > _TEXTS and len(self._texts) > 1:
            step, weight = next(iter(self._texts.items()))
            del self._texts[step]
            self._characters -= weight
            old = self._rows[step]
            old.log, old.log_characters, old.trace = None, 0, ""

    def _keep_to_explain(self, row: Row) -> None:
        """The traits of a miss can be large: only the latest are kept, and only if someone can explain them."""
        self._unexplained.append(row)
        if self._explain is None or len(self._unexplained) > _UNEXPLAINED:
            self._unexplained.popleft().missed = None

    # -- from rows to lines --

    def _notable(self) -> Iterator[tuple[Row, int]]:
        """Of too many rows those that have a line of their own: they run, they failed, or their task has few."""
        running = (row for row in self._active.values() if row.state is not Phase.PENDING)
        rows = {row.step: row for row in islice(running, _SHOWN_ACTIVE)}
        rows.update((step, self._rows[step]) for step in list(self._failures)[-_SHOWN_FAILURES:])
        for tally in islice(self._tallies.values(), _SHOWN_GROUPS):
            if tally.total <= _SMALL_TASK:
                rows.update((row.step, row) for row in tally.rows)
        return ((rows[step], 0) for step in sorted(rows))

    def _tree(self) -> Iterator[tuple[Row, int]]:
        """All rows in the order in which they came, each below the one that called it."""
        children: dict[int | None, list[Row]] = {}
        seen: set[int] = set()
        for row in self._rows.values():
            children.setdefault(row.parent if row.parent in seen else None, []).append(row)
            seen.add(row.step)
        stack = [(row, 0) for row in reversed(children.get(None, []))]
        while stack:
            row, depth = stack.pop()
            yield row, depth
            stack.extend((child, depth + 1) for child in reversed(children.get(row.step, [])))

    def _grouped(self, rows: list[tuple[Row, int]], now: float) -> list[Line]:
        """A line for each task with many steps, the notable ones of them below it."""
        lines = [
            (tally.rows[0].step, -1, line_of_group(tally, now))
            for tally in islice(self._tallies.values(), _SHOWN_GROUPS)
            if tally.total > _SMALL_TASK
        ]
        for row, _ in rows:
            tally = row.tally
            lines.append((tally.rows[0].step, row.step, line_of(row, now, int(tally.total > _SMALL_TASK))))
        return [line for _, _, line in sorted(lines, key=lambda entry: entry[:2])]

    def _ask(self, unexplained: list[tuple[Row, Missed]]) -> None:
        """Have some misses explained, without the lock: that looks into the store."""
        for row, missed in unexplained:
            assert self._explain is not None
            try:
                why = self._explain(row.task, missed)
            except Exception:  # noqa: BLE001 - an explanation is a courtesy; without it the engine's word stands
                why = ""
            with self._lock:
                if row.missed is missed:
                    row.missed = None
                    row.why = why or row.why
