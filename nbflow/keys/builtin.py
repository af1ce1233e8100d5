"""Builtin containers, large strings and the other types of the language itself.

Contents are read by the builtin's own methods, so that a subclass that overrides them cannot hide anything.
"""

import gc
import re
import types
from collections.abc import Callable
from itertools import chain
from typing import Any

from nbflow.keys.bulk import Stream, bulk
from nbflow.keys.encode import Encoder, Handler, Node, by_attribute, by_key, join, register, unnamed
from nbflow.keys.objects import Made, attributes, derived, instance

__all__ = ["mapping"]

_SORTABLE = ({int}, {str}, {bytes})
_names = re.compile(":[^:]*:").sub  # of the fields in the format of a memoryview
_PART = 1 << 20  # characters of a large string encoded at a time


def mapping(tag: bytes, items: Any) -> Node:
    """Keys and values in their order."""
    return Node(tag, [*chain.from_iterable(items)], label=by_key)


def _list(encoder: Encoder, value: list[Any]) -> Made:
    if type(value) is list:
        return Node(b"list", value[:])
    return derived(encoder, value, list, Node(b"list", [*list.__iter__(value)]))


def _tuple(encoder: Encoder, value: tuple[Any, ...]) -> Made:
    if type(value) is tuple:
        return Node(b"tuple", value)
    kind: Any = type(value)
    node = Node(b"tuple", [*tuple.__iter__(value)])
    fields = getattr(kind, "n_fields", None)
    if type(fields) is int and fields > len(node.members):  # as os.stat_result, whose members are whole seconds
        _, (_, more) = kind.__reduce__(value)
        node = Node(b"tuple with more", (node, more), label=unnamed)
    return derived(encoder, value, tuple, node)


def _dict(encoder: Encoder, value: dict[Any, Any]) -> Made:
    return derived(encoder, value, dict, mapping(b"dict", dict.items(value)))


def _set(base: type[set[Any]] | type[frozenset[Any]]) -> Handler:
    tag = base.__name__.encode()

    def encode(encoder: Encoder, value: Any) -> Made:
        members = [*base.__iter__(value)]
        if {*map(type, members)} in _SORTABLE:
            return derived(encoder, value, base, Node(tag + b" in order", sorted(members), label=unnamed))
        return derived(encoder, value, base, Node(tag, members, ordered=False, label=unnamed))

    return encode


def _plain(base: type, exact: Callable[[Any], object]) -> Handler:
    """Atoms need no encoder, only what is derived from them does."""
    tag = base.__name__.encode()

    def encode(encoder: Encoder, value: Any) -> Made:
        return derived(encoder, value, base, Node(tag, (exact(value),), label=unnamed))

    return encode


def _str(encoder: Encoder, value: str) -> Made:
    text = str.__str__(value)
    stream = Stream()
    for at in range(0, len(text), _PART):
        stream.update(text[at : at + _PART].encode("utf-8", "surrogatepass"))
    return derived(encoder, value, str, join(b"str", [stream.digest()]))


def _bytes(encoder: Encoder, value: bytes) -> Made:
    return derived(encoder, value, bytes, join(b"bytes", [bulk(value)]))


def _bytearray(encoder: Encoder, value: bytearray) -> Made:
    return derived(encoder, value, bytearray, join(b"bytearray", [bulk(value)]))


def _memoryview(encoder: Encoder, value: memoryview) -> bytes:
    if not {*"OP&X"}.isdisjoint(_names("", value.format)):
        raise encoder.refusal(value, "of addresses")
    data = value if value.c_contiguous else memoryview(value.tobytes())
    return join(b"memoryview", [value.format.encode(), repr(value.shape).encode(), bulk(data)])


def _complex(encoder: Encoder, value: complex) -> Made:
    exact = complex.__complex__(value)
    return derived(encoder, value, complex, Node(b"complex", (exact.real, exact.imag), label=unnamed))


def _slice(_: Encoder, value: Any) -> Node:
    return Node(type(value).__name__.encode(), (value.start, value.stop, value.step), label=unnamed)


def _view(_: Encoder, value: Any) -> Node:
    return Node(type(value).__name__.encode(), [*value], label=unnamed)


def _namespace(encoder: Encoder, value: types.SimpleNamespace) -> Made:
    node = Node(b"namespace", attributes(value), label=by_attribute)
    return node if type(value) is types.SimpleNamespace else Node(encoder.kind(type(value)), [node], label=unnamed)


def _proxy(_: Encoder, value: Any) -> Node:
    return Node(b"mappingproxy", gc.get_referents(value), label=unnamed)  # nothing else shows what it stands before


def _exception(encoder: Encoder, value: BaseException) -> Made:
    made = instance(encoder, value)
    return made if value.__cause__ is None else Node(b"caused", (made, value.__cause__), label=unnamed)


def _type(encoder: Encoder, value: type) -> bytes:
    return join(b"type", [encoder.kind(value)])


register(list, _list, subclasses=True)
register(tuple, _tuple, subclasses=True)
register(dict, _dict, subclasses=True)
register(set, _set(set), subclasses=True)
register(frozenset, _set(frozenset), subclasses=True)
register(int, _plain(int, int.__int__), subclasses=True)
register(float, _plain(float, float.__float__), subclasses=True)
register(complex, _complex, subclasses=True)
register(str, _str, subclasses=True)
register(bytes, _bytes, subclasses=True)
register(bytearray, _bytearray, subclasses=True)
register(memoryview, _memoryview)
register(range, _slice)
register(slice, _slice)
register(type(...), lambda _, value: (repr(value),))
register(type(NotImplemented), lambda _, value: (repr(value),))
register(types.MappingProxyType, _proxy)
register(type({}.keys()), _view, subclasses=True)
register(type({}.values()), _view, subclasses=True)
register(type({}.items()), _view, subclasses=True)
register(types.SimpleNamespace, _namespace, subclasses=True)
register(Node, lambda _, value: value)
register(type, _type, subclasses=True)
register(BaseException, _exception, subclasses=True)
register(object, instance, subclasses=True)
