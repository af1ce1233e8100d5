"""What a run looks like while it lasts: redrawn in place on a terminal, lines that only grow anywhere else.

On a terminal only the lines that changed are written again, and in one go, so that nothing flickers.
"""

import shutil
from typing import Final, Protocol, TextIO

from nbflow.cli.paint import painted, tint
from nbflow.cli.progress import TITLE, Cell, Progress, Shown, of_cell, of_step
from nbflow.durations import spell
from nbflow.events import Began, Event, Queued, Waiting
from nbflow.step.phases import FAILURES, TERMINAL, Phase
from nbflow.widget import plain
from nbflow.widget.columns import columns, cut, pad
from nbflow.widget.lines import line_of
from nbflow.widget.rows import Row, fold

__all__ = ["Lines", "Live", "Screen"]

_FIGURES: Final = 20
"""Columns of a line that title and reason do not share."""
_NARROWEST: Final = 23
_BAR: Final = 20
_ICON: Final = 3
"""Columns of an icon and what is behind it: some take two."""
_KEPT: Final = 12
"""Steps of a finished cell that keep a line of their own on a terminal; of more, each task has one."""
_LISTED: Final = 60
"""Steps of a cell that get a line of their own elsewhere; of more, only retries and failures do."""
_BEGIN: Final = "\x1b[?2026h\x1b[?7l"
"""Show nothing before `_END`, where the terminal can do that, and do not wrap lines."""
_END: Final = "\x1b[?7h\x1b[?2026l"


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
        self._drawn: list[str] = []
        self._width = 0

    def hear(self, event: Event) -> None:
        """Take an event; it shows at the next drawing."""

    def draw(self, cell: Cell) -> None:
        """Draw the cell that runs over its last drawing, and below it how far the run is."""
        width, height = shutil.get_terminal_size()
        rows = self._rows(cell, width, max(1, height - 4))
        self._replace([*rows, painted(cut(self._far(cell, width), width - 1), "dim", self._stream)], width)

    def end(self, cell: Cell) -> None:
        """Draw the cell a last time; what comes next is written below."""
        width, _ = shutil.get_terminal_size()
        self._replace(self._rows(cell, width, _KEPT), width)
        self._drawn = []

    def _rows(self, cell: Cell, width: int, room: int) -> list[str]:
        view = self._progress.view(room)
        told = view.total == 1 or view.counts.get(Phase.CACHED) == view.total
        lines = () if told and cell.state in TERMINAL else view.lines
        title = max(_NARROWEST, min(TITLE, (width - _FIGURES) // 2))
        indent = " " * (len(cell.label) + 1)
        rows = [self._row(of_cell(cell, view, title), width)]
        rows += [self._row(of_step(line, indent, title), width) for line in lines[:room]]
        missing = view.left_out + sum(line.steps for line in lines[room:])
        if missing and lines:
            rows.append(f"{indent}and {plain.spell_count(missing, 'more step')}")
        return rows

    def _row(self, shown: Shown, width: int) -> str:
        icon = pad(shown.state.icon, _ICON)
        rest = cut(shown.after, width - 1 - _ICON - columns(shown.before))
        return f"{shown.before}{painted(icon, tint(shown.state), self._stream)}{rest}"

    def _far(self, cell: Cell, width: int) -> str:
        done, total = self._progress.ended, max(1, self._progress.total)
        far = _BAR * done // total
        bar = f"{'━' * far}{'─' * (_BAR - far)} " if width > 3 * _BAR else ""
        return f"{bar}{self._progress.so_far(cell.seconds)}"

    def _replace(self, rows: list[str], width: int) -> None:
        """Write what differs from the last drawing over it."""
        old = self._drawn
        if rows == old and width == self._width:
            return
        moved = width != self._width  # lines that are too long now were wrapped by the terminal
        up = sum(1 + (columns(_bare(row)) - 1) // width for row in old) if moved else len(old)
        parts = [_BEGIN, f"\x1b[{up}F" if up else "", "\x1b[J" if moved and up else ""]
        for at, row in enumerate(rows):
            same = not moved and at < len(old) and old[at] == row
            parts.append("\n" if same else f"{row}\x1b[K\n")
        self._stream.write("".join([*parts, "\x1b[J" if len(rows) < len(old) else "", _END]))
        self._stream.flush()
        self._drawn, self._width = rows, width


def _bare(row: str) -> str:
    return plain.line(row, len(row) + 1)


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
            self._pending.append((str(of_step(line)), step.state in FAILURES))

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
        self._stream.write(f"{of_cell(cell, self._progress.view())}\n")
        self._stream.flush()
