"""Tables and data as the command line prints them."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from nbflow.store import Store, open_store
from nbflow.widget import plain

__all__ = ["as_json", "store", "table", "tell"]

_LEAST: Final = 8
"""Characters that the first column keeps on a narrow terminal."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; on a terminal the first column gives way, so that lines fit, elsewhere it is whole."""
    cells = [*rows]
    most = max((len(row[0]) for row in cells), default=0)
    lines = [*plain.table(head, cells, most)]
    surplus = len(lines[0]) - shutil.get_terminal_size().columns
    if surplus > 0 and sys.stdout.isatty():
        longest = max(len(plain.line(row[0], most)) for row in cells)
        lines = [*plain.table(head, cells, max(_LEAST, longest - surplus))]
    print(*lines, sep="\n")


def as_json(data: object) -> None:
    """Print data for another program."""
    print(json.dumps(data, indent=2))


def tell(text: str) -> None:
    """Say one line to the user, on stderr."""
    print(f"nbflow: {text}", file=sys.stderr)


def store() -> Store:
    """The store of this folder; what it has to say goes to stderr."""
    return open_store(warn=tell)
