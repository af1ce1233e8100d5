"""Tables and data as the command line prints them."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from nbflow.store import Store, open_store
from nbflow.widget import plain

__all__ = ["as_json", "known", "store", "table", "tell"]

_LEAST: Final = 8
"""Characters that the first column keeps on a narrow terminal."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; on a terminal the first column gives way, so that lines fit."""
    cells = [list(row) for row in rows]
    lines = [*plain.table(head, cells)]
    surplus = len(lines[0]) - shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    if surplus > 0:
        longest = max(len(plain.line(row[0], 48)) for row in cells)
        for row in cells:
            row[0] = plain.line(row[0], max(_LEAST, longest - surplus))
        lines = [*plain.table(head, cells)]
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


def known(where: Store) -> str:
    """What there is instead of what was asked for."""
    names = [each.task for each in where.stats().tasks if each.entries]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"; there is {', '.join(names[:8])}{more}" if names else f": nothing is kept in {where.folder}"
