"""Text from anywhere, made harmless and short, and sizes in words."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from nbflow.widget.columns import columns, pad

__all__ = ["block", "line", "size", "spell_count", "table"]

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
# Controls, what is invisible, and what turns the direction of text around (https://trojansource.codes); a
# lone surrogate could not even be encoded.
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_SPACE: Final = re.compile(r"\s+")
_GAP: Final = "  "
_LEAST: Final = 8
"""Columns that words keep on a narrow terminal."""


def line(text: object, limit: int) -> str:
    r"""One printable line of at most `limit` characters: no escape codes, controls or direction marks.

    >>> line("a\x1b[31m red\x1b[0m\n\tword " + "x" * 99, 16)
    'a red word xxxx…'
    """
    try:
        raw = text if isinstance(text, str) else str(text)
    except Exception:  # noqa: BLE001 - a user's own __str__ may do anything
        raw = f"<{type(text).__name__}>"
    # A name of many megabytes costs no more than a long one; escape codes may take most of what is read.
    clean = _HIDDEN.sub("", _SPACE.sub(" ", _ANSI.sub("", raw[: 8 * limit + 256]))).strip()
    return clean if len(clean) <= limit else clean[: limit - 1].rstrip() + "…"


def block(text: str, limit: int) -> str:
    """Printable lines: the last `limit` characters of them, since that is where a traceback says what happened."""
    clean = _HIDDEN.sub("", _ANSI.sub("", text[-2 * limit - 256 :].replace("\r\n", "\n"))).strip("\n")
    if len(clean) <= limit and len(text) <= 2 * limit + 256:
        return clean
    end = clean[-limit:]
    lines = end.partition("\n")[2]
    return f"…\n{lines}" if len(lines) >= limit // 2 else f"…{end}"  # not even a line that is longer than all that


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    most: int = 48,
    *,
    words: Collection[str] = (),
    room: int | None = None,
) -> Iterator[str]:
    """Lines of a table: the first column and those of words to the left, figures to the right.

    Args:
        head: Names of the columns.
        rows: Cells of each row.
        most: Characters that a column of words may take.
        words: Names of the columns of words; the first is one in any case.
        room: Columns that a line may take. Where that is too little, words give way, the longest first; then what is
            to the right is left out.

    >>> [*table(("task", "took"), [("prices", "2.5 s")])]
    ['task     took', 'prices  2.5 s']
    """
    text = [not at or name in words for at, name in enumerate(head)]
    cells = [[line(cell, most if text[at] else 48) for at, cell in enumerate(row)] for row in (head, *rows)]
    widths = [max(map(columns, column)) for column in zip(*cells, strict=True)]
    if room is not None:
        _narrow(widths, text, room)
    for row in cells:
        shown = (pad(cell, width, right=not text[at]) for at, (cell, width) in enumerate(zip(row, widths)))  # noqa: B905 - what is left out has no width
        yield _GAP.join(shown).rstrip()


def _narrow(widths: list[int], text: Sequence[bool], room: int) -> None:
    """Make columns fit, in place; those that have no room go."""
    room += len(_GAP)
    while len(widths) > 1:
        least = sum(len(_GAP) + (min(width, _LEAST) if text[at] else width) for at, width in enumerate(widths))
        if least <= room:
            break
        widths.pop()
    for _ in range(sum(widths) + len(_GAP) * len(widths) - room):
        longest = max((at for at in range(len(widths)) if text[at]), key=widths.__getitem__)
        widths[longest] -= widths[longest] > 1


def size(count: int) -> str:
    """Bytes in words.

    >>> size(812), size(52_430), size(1_887_437)
    ('812 B', '51.2 KB', '1.8 MB')
    """
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KB", "MB", "GB"):
        amount /= 1024
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TB"


def spell_count(count: int, noun: str) -> str:
    """A number of things.

    >>> spell_count(1, "step"), spell_count(12_000, "step")
    ('1 step', '12,000 steps')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
