"""Who encodes values of a type: what the user registered, then our encoders, found without importing any library.

An encoder for a library's types lives in a module of this package that is imported when the first value of such a type
is met; by then the library itself is loaded.
"""

import sys
from collections.abc import Callable
from enum import Enum
from importlib import import_module
from typing import Any

from nbflow.keys import handles
from nbflow.keys.nodes import Node, join, unnamed

__all__ = ["Handler", "find", "register", "register_digest"]

Handler = Callable[[Any, Any], bytes | Node | tuple[object, ...]]
"""`encode(encoder, value)`: a `Node` for what has members, a 16-byte digest made with `join` for bulk, and for what
is small a plain tuple that begins with the type's name and goes on with atoms (no floats) or tuples of them."""

_LIBRARIES = {  # by the first or the first two parts of the name of the type's module
    "PIL": "images",
    "builtins": "builtin",
    "numpy": "arrays",
    "pandas": "frames",
    "polars": "polar",
    "pyarrow": "arrow",
    "scipy.sparse": "sparse",
    "torch": "tensors",
    "types": "hints",
    "typing": "hints",
    "xarray": "labelled",
} | dict.fromkeys(
    ("array", "collections", "datetime", "decimal", "enum", "fractions", "pathlib", "random", "re", "uuid", "zoneinfo"),
    "standard",
)
_exact: dict[type, Handler] = {}
_bases: dict[type, Handler] = {}
_custom: dict[type, Callable[[Any], object]] = {}
_loaded: set[str] = set()
_found: dict[type, Handler] = {}  # of types that nothing can be added to, and that live for ever
_IMMUTABLE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE


def register(kind: type, encode: Handler, *, subclasses: bool = False) -> None:
    """Teach how values of a type are encoded.

    Args:
        kind: The type.
        encode: Its encoder. What has members should be returned as a `Node`, not encoded by `encoder.of(member)`:
            nodes may nest to any depth and be part of a circle.
        subclasses: Also use it for types derived from this one; the encoder then has to tell them apart, for which
            there is `objects.derived`.
    """
    _found.clear()
    _exact[kind] = encode
    if subclasses:
        _bases[kind] = encode


def register_digest(kind: type, function: Callable[[Any], object]) -> None:
    """Let a function say what values of a type, and of types derived from it, are made of.

    It is asked before anything else, and gives anything keyable: a number of a version, a tuple of the parts that
    count. A class of your own can have a method `__nbflow_digest__` instead.

    >>> class Model:
    ...     def __init__(self, path): self.path = path
    >>> register_digest(Model, lambda model: model.path)
    """
    _found.clear()
    _custom[kind] = function


def find(kind: type) -> Handler:
    """The encoder for values of a type."""
    encode = _found.get(kind)
    if encode is None:
        encode = _search(kind)
        if kind.__flags__ & _IMMUTABLE:
            _found[kind] = encode
    return encode


def _search(kind: type) -> Handler:
    for base in kind.__mro__:
        function = _custom.get(base) or vars(base).get("__nbflow_digest__")
        if function is not None:
            return _standing_in(function)
    label = handles.live(kind)
    if label:
        return _live(label)
    for base in kind.__mro__:
        _load(base.__module__)
    if kind in _exact:
        return _exact[kind]
    why = handles.spent(kind)
    if why:
        return _refused(why)
    if Enum in kind.__mro__:  # before the builtin that its members may also be
        return _bases[Enum]
    return next(_bases[base] for base in kind.__mro__ if base in _bases)


def _load(module: object) -> None:
    if type(module) is not str or module in _loaded:
        return
    first, _, rest = module.partition(".")
    for name in (first, f"{first}.{rest.partition('.')[0]}"):
        if name in _LIBRARIES and name in sys.modules:
            import_module(f"nbflow.keys.{_LIBRARIES[name]}")
    _loaded.add(module)  # last: another thread that comes meanwhile waits for the import


def _standing_in(function: Callable[[Any], object]) -> Handler:
    def encode(encoder: Any, value: Any) -> Node:
        try:
            stand_in = function(value)
        except Exception as error:
            name = getattr(function, "__qualname__", type(function).__qualname__)
            raise encoder.refusal(value, f"and its digest function {name} raised {type(error).__name__}") from error
        if stand_in is value:
            raise encoder.refusal(value, "its own digest function gives it back")
        return Node(join(b"stand-in", [encoder.kind(type(value))]), [stand_in], label=unnamed)

    return encode


def _live(label: str) -> Handler:
    def encode(encoder: Any, value: Any) -> bytes:
        if encoder.handles is None:
            raise encoder.refusal(value, "a live handle")
        encoder.handles.append(label)
        return join(b"handle", [label.encode()])

    return encode


def _refused(why: str) -> Handler:
    def encode(encoder: Any, value: Any) -> bytes:
        raise encoder.refusal(value, why)

    return encode
