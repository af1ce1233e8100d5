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
_CACHING = frozenset({"CachedProperty", "CachedAttribute", "CachedWritableAttribute", "cache_readonly"})
_DERIVED_STATE = frozenset({
    "_attrs_cached_hash",  # attrs keeps a hash there, which differs in every process
    "_deprecated_key_to_warnings",  # of scikit-learn's data sets, and lost in a pickle
})  # fmt: skip


def instance(encoder: Encoder, value: Any) -> bytes | Node:
    """Encode an object that nothing more special is known of."""
    kind = type(value)
    if kind is object:
        raise encoder.refusal(value, "a bare object()")
    if value.__class__ is not kind:
        raise encoder.refusal(value, "a proxy that poses as another type")
    # tblib, which Dask brings, registers exceptions: a key would hang on whether it was imported
    reduce: Any = None if isinstance(value, BaseException) else copyreg.dispatch_table.get(kind)
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
    own = _named(value, state)
    if not args and items is None and pairs is None:
        return Node(tag, own, label=by_attribute)
    more = [None if part is None else Node(b"items", [*part]) for part in (items, pairs)]
    return Node(
        tag, [Node(b"arguments", args, label=unnamed), Node(b"state", own, label=by_attribute), *more], label=unnamed
    )


def attributes(value: Any, base: type = object) -> list[Any]:
    """Names and values, by turns, of an object's own attributes; sorted, for no order of theirs can be relied on.

    Slots of `base` are left out: they hold what its own encoder reads, and what it has worked out so far.
    """
    kind: Any = type(value)
    state = kind.__getstate__(value)
    inner = {*copyreg._slotnames(base)}  # type: ignore[attr-defined]  # noqa: SLF001 - as pickle finds them
    if inner and type(state) is tuple and len(state) == 2 and type(state[1]) is dict:
        state = state[0], {name: member for name, member in state[1].items() if name not in inner}
    return _named(value, state)


def derived(encoder: Encoder, value: Any, base: type, made: Made) -> Made:
    """What `base` makes of a value; with its class and attributes too if it is of a class derived from base."""
    kind = type(value)
    if kind is base and not (base.__dictoffset__ and value.__dict__):  # an OrderedDict can have attributes as well
        return made
    content = Node(made, ()) if type(made) is bytes else Node(b"small", made) if type(made) is tuple else made
    return Node(join(b"derived", [encoder.kind(kind)]), [content, *attributes(value, base)], label=_after_content)


def _named(value: object, state: Any) -> list[Any]:
    kind = type(value)
    slots = None
    if _is_default(state) and (kind.__getstate__ is object.__getstate__ or not hasattr(kind, "__setstate__")):
        state, slots = state
    if state is None and slots is None:
        return []
    if type(state) not in (dict, type(None)):
        return ["", state]
    own = {**(state or {}), **(slots or {})}
    own = {name: member for name, member in own.items() if not _computed(kind, name)}
    inner = own.get("__dict__")  # as pydantic's models keep it
    if type(inner) is dict:
        own["__dict__"] = Node(b"dict", _sorted(inner, value), label=by_attribute)
    return _sorted(own, value)


def _is_default(state: Any) -> bool:
    """Whether it is what Python's own `__getstate__` makes of attributes and slots, and no name is in both."""
    if type(state) is not tuple or len(state) != 2 or type(state[1]) is not dict:
        return False
    return state[0] is None or (type(state[0]) is dict and state[0].keys().isdisjoint(state[1]))


def _sorted(own: dict[Any, Any], value: object) -> list[Any]:
    """Attributes by name. What a `__getstate__` gives besides may be data: it keeps its order."""
    kind = type(value)
    names = sorted([name for name in own if not _computed(kind, name)], key=str)
    known = getattr(value, "__dict__", ())
    others = [name for name in own if name not in known and not any(name in vars(base) for base in kind.__mro__)]
    if len(others) > 1:
        names = [*(name for name in names if name not in others), *others]
    return [part for name in names for part in (name, own[name])]


def _computed(kind: type, name: object) -> bool:
    if name in _DERIVED_STATE:
        return True
    if name == "_cache":  # where the properties of pandas and statsmodels keep what they worked out
        parts = (part for base in kind.__mro__ for part in vars(base).values())
        return any(type(part).__name__ in _CACHING for part in parts)
    for base in kind.__mro__:
        found = base.__dict__.get(name, _MISSING)  # type: ignore[call-overload]
        if found is not _MISSING:
            return any("cached_property" in part.__name__ for part in type(found).__mro__)
    return False


def _after_content(members: Sequence[Any], index: int) -> str:
    return by_attribute(members[1:], index - 1) if index else ""
