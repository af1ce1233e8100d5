"""What the body of a cell reaches, by the same walk as a function's: of a module only the symbols read count."""

import ast
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from nbflow.keys.encode import Encoder
from nbflow.keys.guard import CHANGED
from nbflow.keys.nodes import Node, join
from nbflow.keys.reach import Reach, body_reach
from nbflow.keys.reads import reads

__all__ = ["digest_of_reach", "known_body"]

KEPT = 256
known: OrderedDict[tuple[bytes, frozenset[str], int], tuple[dict[str, Any], Reach]] = OrderedDict()


def known_body(text: bytes, statements: Iterable[ast.stmt], names: frozenset[str], space: dict[str, Any]) -> Reach:
    """The reach of a cell's body, walked again only when something it reaches was bound to something else.

    Args:
        text: Stands for the statements.
        statements: The body, and code in its strings.
        names: Free names that are bound to code, and count.
        space: Where they are bound.
    """
    key = text, names, id(space)
    held = known.get(key)
    if held is not None and held[0] is space and unchanged(held[1]):
        return held[1]
    found = body_reach(reads(ast.Module([*statements], [])), names, space)
    known[key] = space, found
    known.move_to_end(key)
    if len(known) > KEPT:
        known.popitem(last=False)
    return found


def unchanged(found: Reach) -> bool:
    """Whether every binding is still the same."""
    try:
        return found.unchanged()
    except CHANGED:
        return False


def digest_of_reach(found: Reach) -> bytes:
    """16 bytes: what is reached, with the values of now.

    Raises:
        UnkeyableError: A value has no content; it is named.
    """
    values = found.live() if found.live else ()
    return Encoder(handles=[]).walk(Node(join(b"body", [found.code]), values), found.live_names)
