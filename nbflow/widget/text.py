"""A view as plain text: for terminals, and for every output's `text/plain`."""

from typing import Final

from nbflow.step.phases import FAILURES, Phase
from nbflow.widget import plain
from nbflow.widget.columns import columns, pad
from nbflow.widget.lines import Line, View

__all__ = ["receipt", "text"]

_LIMIT: Final = 5000
_GAP: Final = 2
_NARROWEST: Final = 12
_BAR: Final = 16
_WIDE: Final = 110
_ASCII: Final = {
    Phase.PENDING: "o",
    Phase.RUNNING: ">",
    Phase.AWAITING_RETRY: "~",
    Phase.RETRYING: ">",
    Phase.COMPLETED: "+",
    Phase.CACHED: "*",
    Phase.ROLLED_BACK: "<",
    Phase.FAILED: "x",
    Phase.TIMED_OUT: "x",
    Phase.CANCELLED: "/",
    Phase.CRASHED: "x",
    Phase.NOT_READY: "-",
}
_PLAIN: Final = str.maketrans({"·": "|", "…": "~", "×": "x", "→": ">", "–": "-", "█": "#", "▒": ":"})  # noqa: RUF001 - they are what is replaced


def text(view: View, width: int = 80, encoding: str = "utf-8") -> str:
    """The rows as aligned columns, a headline above them.

    Args:
        view: What to show.
        width: Columns of the terminal. From 110 on a timeline is drawn as well.
        encoding: What the terminal can show; where that is not Unicode, icons become ASCII.

    Returns:
        Lines without a newline at the end, at most some KB: what does not fit is counted.
    """
    rich = _can(encoding)
    icons = {state: state.icon if rich else _ASCII[state] for state in Phase}
    table = [_cells(line, icons) for line in view.lines]
    timeline = _BAR + _GAP if width >= _WIDE else 0
    widths = _widths(table, width - timeline)
    lines = _wrapped(f"{icons[view.state]} nbflow: {view.headline}", width)
    room = _LIMIT
    missing = view.left_out
    for line, cells in zip(view.lines, table, strict=True):
        row = _row(cells, widths)
        if timeline:
            row = f"{pad(row, width - timeline)}{' ' * _GAP}{_bar(line, view)}"
        room -= len(row) + 1
        if room < 0:
            missing += line.steps
        else:
            lines.append(row.rstrip())
    if missing:
        lines.append(f"and {plain.spell_count(missing, 'more step')}")
    shown = "\n".join(lines)
    return shown if rich else shown.translate(_PLAIN).encode(encoding, "replace").decode(encoding)


def receipt(view: View) -> str:
    """One line, for a run that only took results from the store."""
    return f"{Phase.CACHED.icon} {view.receipt}"


def _wrapped(head: str, width: int) -> list[str]:
    """A headline in as many lines as it takes."""
    lines = [""]
    for part in head.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if columns(longer) > width and lines[-1]:
            lines.append(f"  {part}")
        else:
            lines[-1] = longer
    return lines


def _cells(line: Line, icons: dict[Phase, str]) -> tuple[str, ...]:
    indent = "  " * line.depth
    return f"{icons[line.state]} {line.word}", indent + line.name, line.reason, line.tries, line.time, line.size


def _widths(table: list[tuple[str, ...]], width: int) -> list[int]:
    """A width for each column: numbers as they are, then the name and the reason share what is left.

    Where that is too little, the size goes, then the reason, then the time.
    """
    widths = [max((columns(cells[i]) for cells in table), default=0) for i in range(6)]
    for drop in (5, 2, 4, None):
        left = width - sum(widths[i] + _GAP for i in (0, 3, 4, 5) if widths[i]) - (_GAP if widths[2] else 0)
        if drop is None or left >= 2 * _NARROWEST:
            break
        widths[drop] = 0
    widths[1] = min(widths[1], max(left - widths[2], left // 2, 1))
    widths[2] = min(widths[2], max(left - widths[1], 0))
    return widths


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    parts = []
    for i, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if width:
            parts.append(pad(cell, width, right=i >= 3))
    return (" " * _GAP).join(parts)


def _bar(line: Line, view: View) -> str:
    """Sixteen columns of the common timeline: attempts are solid, what failed in them and waits are not."""
    span = max(view.until - view.began, 1e-9)
    marks = [" "] * _BAR
    for segment in line.segments:
        end = view.until if segment.end is None else segment.end
        if end < view.began:
            continue
        first = min(int((max(segment.start, view.began) - view.began) / span * _BAR), _BAR - 1)
        last = min(max(int((end - view.began) / span * _BAR), first), _BAR - 1)
        solid = "·" if segment.state is Phase.AWAITING_RETRY else "▒" if segment.state in FAILURES else "█"
        marks[first : last + 1] = solid * (last + 1 - first)
    return "".join(marks)


def _can(encoding: str) -> bool:
    try:
        "○◐↻✓⚡✗◷⊘⊗–·…×█▒".encode(encoding)  # noqa: RUF001 - they are what is tried
    except UnicodeError:
        return False
    return True
