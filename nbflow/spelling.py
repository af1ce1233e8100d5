"""What somebody may have meant who wrote a word that there is not."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["near"]


def near(word: str, known: Iterable[str]) -> str:
    """A hint at the nearest of the words that there are; `""` where none is near.

    >>> near("expalin", ["ls", "explain"])
    "; did you mean 'explain'?"
    """
    found = get_close_matches(word, [*known], 1)
    return f"; did you mean {found[0]!r}?" if found else ""
