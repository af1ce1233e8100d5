"""What is known of a run: its cells, the steps of each, and what they add up to."""

from collections import Counter
from typing import Final, NamedTuple

from nbflow.durations import spell
from nbflow.events import Began, Crashed, Event, Failed, Hit, Missed, Queued, TimedOut, Waiting
from nbflow.step.phases import Phase
from nbflow.widget import plain
from nbflow.widget.columns import pad
from nbflow.widget.lines import Line, View, spell_counts
from nbflow.widget.view import Board

__all__ = ["TITLE", "Cell", "Progress", "Shown", "of_cell", "of_step"]

TITLE: Final = 56
"""Columns of a cell's title where there is room."""
_ROOMY: Final = 40
"""From this width of a title on there is room for sizes."""
_TRIES: Final = 5
_TIME: Final = 10


class Shown(NamedTuple):
    """A line of a run: what comes before the icon, the state whose icon it is, and what follows."""

    before: str
    state: Phase
    after: str

    def __str__(self) -> str:
        return f"{self.before}{self.state.icon} {self.after}"


class Cell(NamedTuple):
    """A code cell: its number among `total`, the line that it is known by, its state and seconds so far."""

    number: int
    total: int
    title: str
    state: Phase = Phase.RUNNING
    seconds: float = 0.0

    @property
    def label(self) -> str:
        """`[ 3/14]`."""
        width = len(str(self.total))
        return f"[{self.number:{width}}/{self.total}]"


def of_cell(cell: Cell, view: View, width: int = TITLE) -> Shown:
    """`[ 3/14] ✓ months = fetch.map(...)  4.2 s  9 ran · 3 cached`, its title in a column of `width`."""
    steps = "" if view.total == 0 else spell_counts(view.counts)
    if view.total == 1 and view.lines:
        line = view.lines[0]
        more = (line.time if line.state is Phase.CACHED else "", line.size if width >= _ROOMY else "")
        steps = " · ".join(part for part in (_came_to(line), *more) if part)
    elif view.counts.get(Phase.CACHED) == view.total and view.saved:
        steps += f" · saved {spell(view.saved)}"
    state = view.state if cell.state is Phase.COMPLETED and view.total and not view.active else cell.state
    title = pad(plain.line(cell.title, TITLE), width)
    return Shown(f"{cell.label} ", state, f"{title}  {spell(cell.seconds):>{_TIME}}  {steps}".rstrip())


def of_step(line: Line, before: str = "", width: int = TITLE) -> Shown:
    """A step below its cell, in the cell's columns: name and attempt take the title's."""
    name = pad("  " * line.depth + line.name, width - _TRIES - 2)
    figures = line.time if line.state is Phase.CACHED else f"{line.tries}  {line.time:>{_TIME}}"
    said = " · ".join(part for part in (_came_to(line), line.size if width >= _ROOMY else "") if part)
    return Shown(before, line.state, f"{name}  {figures:>{_TRIES + 2 + _TIME}}  {said}")


def _came_to(line: Line) -> str:
    """What came of a step, and why: `cached 2 h ago`, `ran · miss: clean() changed`."""
    if line.reason.startswith(f"{line.word} "):
        return line.reason
    return " · ".join(part for part in (line.word, line.reason) if part)


class Progress:
    """The steps of each cell, and totals. A step belongs to the cell that ran when it was first heard of.

    Attributes:
        total: How many cells there are to run.
        ended: How many have ended.
    """

    def __init__(self) -> None:
        self.total = self.ended = 0
        self._board = Board()
        self._boards: dict[int, Board] = {}
        self._kinds: Counter[type] = Counter()
        self._saved = self._seconds = 0.0

    def begin(self) -> None:
        """Another cell begins."""
        self._board = Board()

    def hear(self, event: Event) -> None:
        """Take an event."""
        kind = type(event)
        if kind is Queued or kind is Began:
            self._boards.setdefault(event.step, self._board)
        self._boards.get(event.step, self._board).hear(event)
        self._kinds[kind] += 1
        if type(event) is Hit:
            self._saved += event.saved

    def end(self, seconds: float) -> None:
        """The cell ended after so many seconds."""
        self.ended += 1
        self._seconds += seconds

    def view(self, lines: int = 200) -> View:
        """The steps of the cell that runs, or that ran last."""
        return self._board.view(lines)

    @property
    def summary(self) -> str:
        """`14 cells in 2.3 s · 17 hits saved 58.1 s · 0 misses`."""
        return self.so_far(0.0)

    def so_far(self, seconds: float) -> str:
        """The summary, where a cell has been running for so many seconds."""
        hits, misses, retries = self._kinds[Hit], self._kinds[Missed], self._kinds[Waiting]
        cells = plain.spell_count(self.total, "cell")
        ended = cells if self.ended == self.total else f"{self.ended} of {cells}"
        parts = [f"{ended} in {spell(self._seconds + seconds)}"]
        if hits or misses:
            parts.append(plain.spell_count(hits, "hit") + (f" saved {spell(self._saved)}" if hits else ""))
            parts.append(f"{misses:,} " + ("miss" if misses == 1 else "misses"))
        if retries:
            parts.append(f"{retries:,} " + ("retry" if retries == 1 else "retries"))
        failed = sum(self._kinds[kind] for kind in (Crashed, Failed, TimedOut))
        if failed:
            parts.append(f"{failed:,} failed")
        return " · ".join(parts)
