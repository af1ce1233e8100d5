"""What a run looks like while it lasts: redrawn in place on a terminal, lines that only grow anywhere else."""

import shutil
from typing import Final, Protocol, TextIO

from nbflow.cli.progress import TITLE, Cell, Progress, reason
from nbflow.durations import spell
from nbflow.events import Began, Event, Queued, Waiting
from nbflow.step.phases import FAILURES, TERMINAL
from nbflow.widget import plain
from nbflow.widget.lines import Line, line_of
from nbflow.widget.rows import Row, fold

__all__ = ["Lines", "Live", "Screen"]

_NAME: Final = 44
_FIGURES: Final = 62
"""Columns that a step takes beside its name; what comes after them may be cut."""
_KEPT: Final = 12
"""Steps of a finished cell that keep a line of their own on a terminal; of more, each task has one."""
_LISTED: Final = 60
"""Steps of a cell that get a line of their own elsewhere; of more, only retries and failures do."""
_WRAP_OFF: Final = "\x1b[?7l"
_WRAP_ON: Final = "\x1b[?7h"


class Screen(Protocol):
    """Where a run is shown."""

    def hear(self, event: Event) -> None:
        """Take an event of the cell that runs."""

    def draw(self, cell: Cell) -> None:
        """Show the cell that runs, some times a second."""

    def end(self, cell: Cell) -> None:
        """Show the cell as it ended."""


class Live:
    """A terminal: the cell that runs is redrawn in place, those before it scroll away."""

    def __init__(self, progress: Progress, stream: TextIO) -> None:
        self._progress, self._stream = progress, stream
        self._drawn = 0

    def hear(self, event: Event) -> None:
        """Take an event; it shows at the next drawing."""

    def draw(self, cell: Cell) -> None:
        """Draw the cell that runs over its last drawing."""
        rows = self._rows(cell, max(1, shutil.get_terminal_size().lines - 3))
        self._replace(rows)
        self._drawn = len(rows)

    def end(self, cell: Cell) -> None:
        """Draw the cell a last time; what comes next is written below."""
        self._replace(self._rows(cell, _KEPT))
        self._drawn = 0

    def _rows(self, cell: Cell, room: int) -> list[str]:
        view = self._progress.view(room)
        lines = [] if view.total == 1 and cell.state in TERMINAL else view.lines[:room]
        width = shutil.get_terminal_size().columns - len(cell.label)
        title, name = min(TITLE, max(20, width - 30)), min(_NAME, max(16, width - _FIGURES))
        return [cell.line(view, title), *(f"{' ' * len(cell.label)} {row(line, name)}" for line in lines)]

    def _replace(self, rows: list[str]) -> None:
        """Write rows over the last drawing; the terminal cuts what is too long for it."""
        back = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        self._stream.write(f"{back}{_WRAP_OFF}" + "".join(f"{each}\n" for each in rows) + _WRAP_ON)
        self._stream.flush()


class Lines:
    """A file or a pipe: a line for each retry, each step that ended and each cell."""

    def __init__(self, progress: Progress, stream: TextIO) -> None:
        self._progress, self._stream = progress, stream
        self._steps: dict[int, Row] = {}
        self._pending: list[tuple[str, bool]] = []
        self._listed = 0

    def hear(self, event: Event) -> None:
        """Take an event; what is worth a line gets one at the next drawing."""
        if type(event) is Queued or type(event) is Began:
            self._steps.setdefault(event.step, Row(event))
        step = self._steps.get(event.step)
        if step is None:
            return
        fold(step, event)
        line = line_of(step, event.at)
        if type(event) is Waiting:
            again = f"again in {spell(event.seconds)}"
            shown = f"{line.state.icon} {line.name}  {line.tries}  failed: {plain.line(event.error, 100)}; {again}"
            self._pending.append((shown, True))
        elif step.state in TERMINAL:
            del self._steps[event.step]
            self._pending.append((row(line), step.state in FAILURES))

    def draw(self, cell: Cell) -> None:
        """Write what has happened since the last time."""
        for shown, always in self._pending:
            self._listed += 1
            if always or self._listed <= _LISTED:
                self._stream.write(f"{cell.label}   {shown}\n")
        self._pending.clear()
        self._stream.flush()

    def end(self, cell: Cell) -> None:
        """Write the cell's own line below those of its steps."""
        self.draw(cell)
        self._listed = 0
        self._stream.write(f"{cell.line(self._progress.view())}\n")
        self._stream.flush()


def row(line: Line, width: int = _NAME) -> str:
    """A step in columns: icon, name, attempt, time, size, and what came of it and why."""
    name = "  " * line.depth + plain.line(line.name, max(8, width - 2 * line.depth))
    figures = f"{line.tries:>5}  {line.time:>17}  {line.size:>9}"
    return f"{line.state.icon} {name:{width}}  {figures}  {line.word}{reason(line)}"
