"""What an encoder says about a value: a digest, or a node whose members are still to be encoded.

Encoders return `Node`s rather than call back, so that the walk of `encode.Encoder` can keep its own stack: nesting of
any depth, cycles, and the path of a member that has no digest all come from there.
"""

import marshal
import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

__all__ = ["Node", "by_attribute", "by_index", "by_key", "join", "unnamed"]

Label = Callable[[Sequence[Any], int], str]
"""How the member at an index is written in a path: `["db"]`, `[3]`, `.lock`."""

_tame = re.compile(r"[\w .:/-]{1,40}").fullmatch  # a key that may be shown: nothing long, nothing that looks like data


def join(tag: bytes, parts: Iterable[bytes] = ()) -> bytes:
    """16-byte BLAKE2b digest over a tag and parts; marshal writes each with its length in front.

    Version 2 of the format has no references: https://docs.python.org/3/library/marshal.html.
    """
    return blake2b(marshal.dumps((tag, *parts), 2), digest_size=16).digest()


def by_index(_: Sequence[Any], index: int) -> str:
    """`[3]`: members of a sequence."""
    return f"[{index}]"


def by_key(members: Sequence[Any], index: int) -> str:
    """`["db"]`: keys and values by turns."""
    key = members[index & ~1]
    if type(key) is int or (type(key) is str and _tame(key)):
        return f'["{key}"]' if type(key) is str else f"[{key}]"
    return "[…]"


def by_attribute(members: Sequence[Any], index: int) -> str:
    """`.lock`: names and values by turns."""
    name = members[index & ~1]
    return f".{name}" if type(name) is str and name.isidentifier() else by_key(members, index)


def unnamed(_members: Sequence[Any], _index: int) -> str:
    """Nothing: a member that has no name of its own in Python."""
    return ""


class Node(NamedTuple):
    """A value by its parts.

    Attributes:
        tag: What it is: its exact type, and all of its content that is not in the members.
        members: The values below it, by turns name and value where it has names.
        ordered: Whether the order of the members is part of the value.
        label: How a member is written in a path.
    """

    tag: bytes
    members: Sequence[Any]
    ordered: bool = True
    label: Label = by_index
