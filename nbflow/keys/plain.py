"""Plain trees: lists, tuples and dicts of builtin atoms, which marshal writes canonically in one C call.

Version 2 of marshal writes every value with its type and its length, has no references and does not show which
strings are interned, so equal trees give equal bytes on every Python (https://docs.python.org/3/library/marshal.html).
It also takes things that only look plain (any buffer passes for bytes), so the types of all members are checked first,
one layer of the tree at a time. Whether a tree is plain depends on the value alone, so equal values take equal forms.
"""

import marshal
import re
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from nbflow.keys.bulk import bulk

__all__ = ["ATOMS", "LARGE", "TEXTS", "dump", "has_large", "is_large", "pack"]

ATOMS: frozenset[type] = frozenset({type(None), bool, int, float, str, bytes})
TEXTS: frozenset[type] = frozenset({bytes, str})
LARGE = 1 << 16
"""Length from which on bytes, and strings outside plain trees, are digested by themselves instead of copied."""

_TREES: frozenset[type] = frozenset({list, tuple, dict})
_PLAIN = ATOMS | _TREES
_DICTS, _FLOATS = {dict}, {float}
_MEMBERS = 100_000  # of one tree, sharing expanded: a tower of [x, x] must not explode
_LAYERS = 12  # every member is looked at once for each container above it, up to this many

_nan_like = re.compile(rb"g.{6}[\xf0-\xff][\x7f\xff]", re.DOTALL).search  # finds every NaN, and a few innocents


def dump(members: Sequence[Any], dumps: Callable[[Any, int], bytes] = marshal.dumps) -> bytes | None:
    """The bytes of a list or tuple and all below it, or None if it is not plain, too large, or may hold a NaN."""
    layer: Sequence[Any] = members
    left = _MEMBERS
    floats = False
    for _ in range(_LAYERS):
        kinds = {*map(type, layer)}
        if not kinds <= _PLAIN or (bytes in kinds and has_large(layer)):
            return None
        if kinds == _FLOATS:
            if (total := sum(layer)) != total:  # a NaN, or two infinities
                return None
            break
        floats = floats or float in kinds
        if kinds <= ATOMS:
            break
        trees = layer if kinds <= _TREES else [member for member in layer if type(member) in _TREES]
        left -= sum(map(len, trees))
        if left < 0:
            return None
        layer = _below(trees, kinds)
    else:
        return None
    try:
        blob = dumps(members, 2)
    except ValueError:  # another thread put something in meanwhile
        return None
    return None if floats and _nan_like(blob) else blob


def _below(trees: Sequence[Any], kinds: set[type]) -> list[Any]:
    if dict not in kinds:
        return [*chain.from_iterable(trees)]
    if kinds == _DICTS:
        return [*chain.from_iterable(trees), *chain.from_iterable(map(dict.values, trees))]
    layer: list[Any] = []
    for tree in trees:
        layer += tree
        if type(tree) is dict:
            layer += tree.values()
    return layer


def has_large(layer: Sequence[Any]) -> bool:
    """Whether there is text or data that should not be copied."""
    return bool([True for member in layer if type(member) in TEXTS and len(member) > LARGE])


def is_large(member: Any) -> bool:
    """Whether a value is text or data that should not be copied."""
    return type(member) in TEXTS and len(member) > LARGE


def pack(blob: bytes) -> bytes:
    """The blob itself if it is short, else its digest; told apart by their first byte."""
    return b"=" + blob if len(blob) < 1024 else b"#" + bulk(blob)
