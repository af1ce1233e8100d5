"""A view as static HTML: for saved notebooks, GitHub, nbconvert, and as what the live panel shows.

Notebooks that a reader does not trust lose scripts, `<style>`, classes and `var()`, so styles are inline,
literal and few: greys are translucent and text keeps its colour, which suits light and dark themes alike.
Without any style it is still a plain table whose icons and words say everything.
"""

from html import escape
from typing import Final

from nbflow.step.phases import ACTIVE, FAILURES, Phase
from nbflow.widget import plain
from nbflow.widget.lines import Line, View
from nbflow.widget.rows import Segment

__all__ = ["colour", "details", "headline", "html", "receipt", "table"]

_LIMIT: Final = 12_000
_TEXTS: Final = 2
_TEXT: Final = 800
_NAME: Final = 60
_REASON: Final = 80
_BLOCKS: Final = 9

# At least 3:1 against white and against JupyterLab's dark #111 and #212121.
_COLOURS: Final = {
    Phase.PENDING: "#7f7f7f",
    Phase.RUNNING: "#008f68",
    Phase.AWAITING_RETRY: "#b57c00",
    Phase.RETRYING: "#008f68",
    Phase.COMPLETED: "#1f7dbd",
    Phase.CACHED: "#8a6fd1",
    Phase.ROLLED_BACK: "#7f7f7f",
    Phase.FAILED: "#d55e00",
    Phase.TIMED_OUT: "#d55e00",
    Phase.CANCELLED: "#7f7f7f",
    Phase.CRASHED: "#d55e00",
    Phase.NOT_READY: "#7f7f7f",
}
_FONT: Final = "font:13px/1.4 var(--jp-ui-font-family,system-ui,sans-serif)"
_EDGE: Final = "1px solid #8883"
_LEFT: Final = "padding:2px 8px;text-align:left"
_CLIP: Final = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_COLUMNS: Final = "<col width=116><col><col><col width=44><col width=116><col width=122><col width=72>"
_NUMBER: Final = '<td style="padding:2px 8px;text-align:right">'


def html(view: View) -> str:
    """The rows as HTML that needs nothing but itself: at most some KB, what does not fit is counted."""
    return (
        f'<details open style="{_FONT};margin:2px 0;border:{_EDGE};border-radius:4px">'
        f'<summary style="padding:3px 8px;cursor:default">{headline(view)}</summary>'
        f"{table(view, _LIMIT)}{details(view, _TEXTS, _TEXT)}</details>"
    )


def receipt(view: View) -> str:
    """One line, for a run that only took results from the store."""
    return f'<div style="{_FONT};opacity:.8">{_icon(Phase.CACHED)} {escape(view.receipt)}</div>'


def headline(view: View) -> str:
    """The counts in a line, with their icon."""
    return f"{_icon(view.state)} <b>nbflow</b> {escape(view.headline)}"


def table(view: View, limit: int) -> str:
    """A row for each line, within `limit` characters; then how many more there are.

    Groups come in first, then what failed, then what runs; all in the order of the view.
    """
    rows = {}
    for number in sorted(range(len(view.lines)), key=lambda each: (_rank(view.lines[each]), each)):
        row = _row(view.lines[number], view)
        limit -= len(row)
        if limit < 0:
            break
        rows[number] = row
    missing = view.left_out + sum(line.steps for number, line in enumerate(view.lines) if number not in rows)
    shown = [rows[number] for number in sorted(rows)]
    if missing:
        shown.append(
            f'<tr><td colspan=7 style="{_LEFT};opacity:.7">and {plain.spell_count(missing, "more step")}</td></tr>'
        )
    if not shown:
        return ""
    return (
        f'<table style="width:100%;margin:0;table-layout:fixed;border-collapse:collapse;border-top:{_EDGE};'
        f'font-size:13px;line-height:1.4;font-variant-numeric:tabular-nums">{_COLUMNS}'
        f"<tbody>{''.join(shown)}</tbody></table>"
    )


def colour(state: Phase) -> str:
    """What a state is painted with, beside its icon and word."""
    return _COLOURS[state]


def details(view: View, count: int, length: int) -> str:
    """The tracebacks of the first `count` lines that have one, folded away."""
    failed = [line for line in view.lines if line.trace][:count]
    return "".join(
        f'<details style="padding:2px 8px;line-height:1.4"><summary style="cursor:default;{_CLIP}">{_icon(line.state)} '
        f"{escape(plain.line(line.name, _NAME))}: traceback</summary>"
        f'<pre style="margin:2px 0;padding:4px 8px;border-left:3px solid {_COLOURS[line.state]};background:#8881;'
        f'font-size:12px;white-space:pre-wrap">{escape(plain.block(line.trace, length))}</pre></details>'
        for line in failed
    )


def _rank(line: Line) -> int:
    """What must not be left out comes first."""
    if line.steps > 1:
        return 0
    return 1 if line.state in FAILURES else 2 if line.state in ACTIVE else 3


def _row(line: Line, view: View) -> str:
    word = escape(line.word)
    return (
        f'<tr><td style="{_LEFT}">{_icon(line.state)} '
        f"{f'<b>{word}</b>' if line.state in FAILURES else word}</td>"
        f"{_words(line.name, _NAME, f';padding-left:{8 + 14 * line.depth}px' if line.depth else '')}"
        f"{_words(line.reason, _REASON, ';opacity:.7')}"
        f"{_number(line.tries)}<td>{_bar(line.segments, view)}</td>{_number(line.time)}{_number(line.size)}</tr>"
    )


def _words(text: str, limit: int, style: str) -> str:
    """A cell of words; what is cut is told when pointed at."""
    if not text:
        return "<td></td>"
    short = plain.line(text, limit)
    title = f' title="{escape(text)}"' if short != text else ""
    return f'<td style="{_LEFT};{_CLIP}{style}"{title}>{escape(short)}</td>'


def _number(text: str) -> str:
    return f"{_NUMBER}{escape(text)}</td>" if text else "<td></td>"


def _icon(state: Phase) -> str:
    """The icon in the colour of its state; U+FE0E asks for a letter in place of a coloured picture."""
    return f'<span style="color:{_COLOURS[state]}">{state.icon}\ufe0e</span>'


def _bar(segments: tuple[Segment, ...], view: View) -> str:
    """A row's place on the common timeline: attempts are thick, waits thin.

    Blocks that float beside each other: of all that could draw a bar, this is what readers who do not trust a
    notebook get to see as well.
    """
    span = max(view.until - view.began, 1e-9)
    blocks, drawn = "", 0.0
    for segment in segments[-_BLOCKS:]:
        end = _percent((view.until if segment.end is None else segment.end) - view.began, span)
        start = max(min(_percent(segment.start - view.began, span), 99.0), drawn)
        if end < 0 or start >= 100:
            continue
        width = min(max(end - start, 1.0), 100 - start)
        gap = f"margin-left:{start - drawn:.3g}%;" if start > drawn else ""
        shape = "height:2px;margin-top:4px" if segment.state is Phase.AWAITING_RETRY else "height:10px"
        blocks += f'<div style="float:left;{gap}width:{width:.3g}%;{shape};background:{_COLOURS[segment.state]}"></div>'
        drawn = start + width
    return f'<div style="height:10px;background:#8882">{blocks}</div>'


def _percent(part: float, span: float) -> float:
    return round(100 * part / span, 1)
