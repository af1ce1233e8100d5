"""What somebody may have meant who wrote a word that there is not."""

from collections.abc import Iterable

__all__ = ["near"]


def near(word: str, known: Iterable[str]) -> str:
    """A hint at the nearest of the words that there are; `""` where none is near.

    >>> near("expalin", ["ls", "explain"])
    "; did you mean 'explain'?"
    """
    from difflib import get_close_matches  # noqa: PLC0415 - for those alone who mistyped

    found = get_close_matches(word, [*known], 1)
    return f"; did you mean {found[0]!r}?" if found else ""
