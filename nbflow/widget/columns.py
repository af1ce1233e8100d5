"""Text in the columns of a terminal, where a letter may take two of them or none."""

import unicodedata

__all__ = ["columns", "cut", "pad"]


def columns(shown: str) -> int:
    """Columns that a text takes.

    >>> columns("abc"), columns("日本"), columns("e\u0301")
    (3, 4, 1)
    """
    if shown.isascii():
        return len(shown)
    return sum(map(_wide, shown))


def _wide(letter: str) -> int:
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(shown: str, width: int) -> str:
    """As much of a text as fits, with an ellipsis where it was cut.

    >>> cut("日本語", 5), cut("abc", 3), cut("abc", 2)
    ('日本…', 'abc', 'a…')
    """
    if columns(shown) <= width:
        return shown
    taken, at = 0, 0
    while at < len(shown) and taken + _wide(shown[at]) < width:
        taken += _wide(shown[at])
        at += 1
    return shown[:at] + "…" if width > 0 else ""


def pad(shown: str, width: int, *, right: bool = False) -> str:
    """A text in so many columns: cut, or filled up behind it, or before it."""
    shown = cut(shown, width)
    fill = " " * (width - columns(shown))
    return fill + shown if right else shown + fill
