"""Instances of any class: the identity of the class, and the state that a pickle would carry.

The state is asked of the object's own `__reduce_ex__`, protocol 4, but only as structure (PEP 307): the parts are
encoded like any other values, no pickle is made. What a `cached_property` has computed so far is not state.
"""

import copyreg
from collections.abc import Sequence
from typing import Any

from nbflow.keys.encode import Encoder, Node, by_attribute, join, unnamed

__all__ = ["Made", "attributes", "derived", "instance"]

Made = bytes | Node | tuple[object, ...]
_MISSING = object()
_DERIVED_STATE = frozenset({"_attrs_cached_hash"})  # attrs keeps a hash there, which differs in every process


def instance(encoder: Encoder, value: Any) -> bytes | Node:
    """Encode an object that nothing more special is known of."""
    kind = type(value)
    if kind is object:
        raise encoder.refusal(value, "a bare object()")
    if value.__class__ is not kind:
        raise encoder.refusal(value, "a proxy that poses as another type")
    reduce = copyreg.dispatch_table.get(kind)
    try:
        reduced: Any = reduce(value) if reduce else kind.__reduce_ex__(value, 4)
    except Exception as error:
        raise encoder.refusal(value) from error
    if type(reduced) is str:
        return join(b"global", [encoder.kind(kind), reduced.encode()])
    make, args, state, items, pairs = (*reduced, None, None, None)[:5]
    if make is copyreg.__newobj__:  # type: ignore[attr-defined]
        tag, args = join(b"object", [encoder.kind(args[0])]), args[1:]
    else:
        tag = join(b"made by", [encoder.kind(kind)])
        args = (make, *args)
    own = _named(kind, state)
    if not args and items is None and pairs is None:
        return Node(tag, own, label=by_attribute)
    more = [None if part is None else Node(b"items", [*part]) for part in (items, pairs)]
    return Node(
        tag, [Node(b"arguments", args, label=unnamed), Node(b"state", own, label=by_attribute), *more], label=unnamed
    )


def attributes(value: Any) -> list[Any]:
    """Names and values, by turns, of an object's own attributes; sorted, for no order of theirs can be relied on."""
    kind: Any = type(value)
    return _named(kind, kind.__getstate__(value))


def derived(encoder: Encoder, value: Any, base: type, made: Made) -> Made:
    """What `base` makes of a value; with its class and attributes too if it is of a class derived from base."""
    kind = type(value)
    if kind is base:
        return made
    content = Node(made, ()) if type(made) is bytes else Node(b"small", made) if type(made) is tuple else made
    return Node(join(b"derived", [encoder.kind(kind)]), [content, *attributes(value)], label=_after_content)


def _named(kind: type, state: Any) -> list[Any]:
    slots = None
    if type(state) is tuple and len(state) == 2 and type(state[1]) is dict and type(state[0]) in (dict, type(None)):
        state, slots = state
    if state is None and slots is None:
        return []
    if type(state) not in (dict, type(None)):
        return ["", state]
    own = {**(state or {}), **(slots or {})}
    own = {name: member for name, member in own.items() if not _computed(kind, name)}
    inner = own.get("__dict__")  # as pydantic's models keep it
    if type(inner) is dict:
        own["__dict__"] = Node(b"dict", _sorted(inner, kind), label=by_attribute)
    return _sorted(own, kind)


def _sorted(own: dict[Any, Any], kind: type) -> list[Any]:
    names = [name for name in own if not _computed(kind, name)]
    return [part for name in sorted(names, key=str) for part in (name, own[name])]


def _computed(kind: type, name: object) -> bool:
    if name in _DERIVED_STATE:
        return True
    for base in kind.__mro__:
        found = base.__dict__.get(name, _MISSING)  # type: ignore[call-overload]
        if found is not _MISSING:
            return any("cached_property" in part.__name__ for part in type(found).__mro__)
    return False


def _after_content(members: Sequence[Any], index: int) -> str:
    return by_attribute(members[1:], index - 1) if index else ""
