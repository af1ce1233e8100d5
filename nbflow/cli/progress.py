"""What is known of a run: its cells, the steps of each, and what they add up to."""

from collections import Counter
from typing import Final, NamedTuple

from nbflow.durations import spell
from nbflow.events import Began, Crashed, Event, Failed, Hit, Missed, Queued, TimedOut, Waiting
from nbflow.step.phases import Phase
from nbflow.widget import plain
from nbflow.widget.lines import Line, View, spell_counts
from nbflow.widget.view import Board

__all__ = ["TITLE", "Cell", "Progress", "reason"]

TITLE: Final = 56


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

    def line(self, view: View, width: int = TITLE) -> str:
        """`[ 3/14] ✓ months = fetch.map(...)  9 ran · 3 cached  4.2 s`, its title in a column of `width`."""
        steps = "" if view.total == 0 else spell_counts(view.counts)
        if view.total == 1 and view.lines:
            steps = f"{view.lines[0].word}{reason(view.lines[0])}"
        state = view.state if self.state is Phase.COMPLETED and view.total and not view.active else self.state
        title = plain.line(self.title, width)
        return f"{self.label} {state.icon} {title:{width}}  {spell(self.seconds):>10}  {steps}".rstrip()


def reason(line: Line) -> str:
    """Why, behind the word that says what: `cached` is followed by ` 2 h ago`, `ran` by ` · miss: clean() changed`."""
    if line.reason.startswith(f"{line.word} "):
        return line.reason.removeprefix(line.word)
    return f" · {line.reason}" if line.reason else ""


class Progress:
    """The steps of each cell, and totals. A step belongs to the cell that ran when it was first heard of.

    Attributes:
        total: How many cells there are to run.
    """

    def __init__(self) -> None:
        self.total = 0
        self._board = Board()
        self._boards: dict[int, Board] = {}
        self._kinds: Counter[type] = Counter()
        self._saved = self._seconds = 0.0
        self._cells = 0

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
        self._cells += 1
        self._seconds += seconds

    def view(self, lines: int = 200) -> View:
        """The steps of the cell that runs, or that ran last."""
        return self._board.view(lines)

    @property
    def summary(self) -> str:
        """`14 cells in 2.3 s · 17 hits saved 58.1 s · 0 misses`."""
        hits, misses, retries = self._kinds[Hit], self._kinds[Missed], self._kinds[Waiting]
        cells = plain.spell_count(self.total, "cell")
        ended = cells if self._cells == self.total else f"{self._cells} of {cells}"
        parts = [f"{ended} in {spell(self._seconds)}"]
        if hits or misses:
            parts.append(plain.spell_count(hits, "hit") + (f" saved {spell(self._saved)}" if hits else ""))
            parts.append(f"{misses:,} " + ("miss" if misses == 1 else "misses"))
        if retries:
            parts.append(f"{retries:,} " + ("retry" if retries == 1 else "retries"))
        failed = sum(self._kinds[kind] for kind in (Crashed, Failed, TimedOut))
        if failed:
            parts.append(f"{failed:,} failed")
        return " · ".join(parts)
