"""Tables and data as the command line prints them."""

import json
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence

from nbflow.cli.paint import painted
from nbflow.store import Store, open_store
from nbflow.widget import plain

__all__ = ["as_json", "room", "store", "table", "tell"]

_WHOLE = 100_000


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[str] = ()) -> None:
    """Print a table: on a terminal its lines fit, elsewhere all words are whole.

    Args:
        head: Names of the columns.
        rows: Cells of each row.
        words: Names of the columns of words, which give way where there is little room; the first one does always.
    """
    width = room()
    first, *lines = plain.table(head, rows, _WHOLE, words=words, room=width)
    print(painted(first, "bold"), *lines, sep="\n")


def room() -> int | None:
    """Columns of the terminal; None elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def as_json(data: object) -> None:
    """Print data for another program."""
    print(json.dumps(data, indent=2))


def tell(text: str) -> None:
    """Say one line to the user, on stderr."""
    print(f"nbflow: {text}", file=sys.stderr)


def store() -> Store:
    """The store of this folder; what it has to say goes to stderr."""
    return open_store(warn=tell)
