"""The identity of a user's class: what it is made of now, whatever its source says.

Its own functions count by their code, its other attributes by their values; so `Model.rate = 5` and a method that
`%autoreload` replaced are seen. What Python generates for a dataclass, an enum or a named tuple counts by what it was
generated from.
"""

import copyreg
import dataclasses
import inspect
import re
from collections.abc import Callable
from enum import Enum
from functools import partial, partialmethod
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

from nbflow.keys import origin
from nbflow.keys.encode import Encoder
from nbflow.keys.gather import DESCRIPTORS, Gather, carries, constant

__all__ = ["walk_class"]

COUNTED = frozenset({"__slots__", "__match_args__", "__hash__"})
"""Special attributes that are no functions, and count."""

MADE = frozenset({
    "__abstractmethods__", "__doc__", "__firstlineno__", "__module__", "__orig_bases__", "__parameters__",
    "__qualname__", "__static_attributes__", "__type_params__",
})  # fmt: skip
"""Special attributes that Python makes, not always and not all of them in every version."""

OPTIONS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
FIELDS = ("__dataclass_fields__", "__attrs_attrs__", "__pydantic_fields__")
FIELD = (
    "name",
    "default",
    "default_factory",
    "factory",
    "init",
    "eq",
    "repr",
    "compare",
    "order",
    "hash",
    "kw_only",
    "converter",
    "validator",
    "alias",
    "validation_alias",
    "serialization_alias",
    "exclude",
    "frozen",
)
INNER = ("func", "dispatcher", "__wrapped__", "wrapped", "fget", "__func__")
"""Where descriptors of libraries keep functions."""

KEYABLE = (partial, partialmethod)
"""Descriptors of Python's, in some of its versions, that have a content."""

UNSET = frozenset({"_MISSING_TYPE", "_Nothing", "PydanticUndefinedType"})
"""Types of what stands where a field has no default."""

address = re.compile(r" at 0x[0-9a-fA-F]+").sub


def walk_class(gather: Gather, kind: type, label: str, function: Callable[[FunctionType, str], None]) -> None:
    """Collects what a class is made of; `function` collects one of its methods."""
    copyreg._slotnames(kind)  # type: ignore[attr-defined]  # noqa: SLF001 - else the first pickle adds to the class
    body = vars(kind)
    guard = gather.guard
    me, inside = guard.hold(kind), guard.hold(body)
    guard.same(f"{me}.__mro__", kind.__mro__)
    guard.test(f"len({inside}) == {len(body)}")
    gather.add(label, b"class", kind.__name__.encode())
    # What a library's class derives from is of that library, and differs between versions of Python.
    direct = {base for each in kind.__mro__ if each is kind or origin.users(each) for base in each.__bases__}
    for base in (*[each for each in kind.__mro__[1:] if each in direct], type(kind)):
        if base not in (object, type):
            gather.add(label, gather.refer(base).encode())
    if isinstance(kind, type) and issubclass(kind, Enum):
        for name, member in kind.__members__.items():
            gather.add(label, name.encode(), member.name.encode())
            value(gather, f"{me}.__members__[{name!r}]._value_", member._value_, label, name)
    gather.add(label, *annotations(gather, kind))
    fields(gather, kind, label)
    for name in sorted(body):
        thing = body[name]
        if left_out(kind, name, thing):
            continue
        where = f"{inside}[{name!r}]"
        functions = [*parts_of(thing)]
        if functions:
            guard.same(where, thing)
            gather.add(label, name.encode(), type(thing).__name__.encode())
            for each in functions:
                if isinstance(each, FunctionType) and origin.users(each) and (id(each), "") not in gather.labels:
                    gather.label(label + "." + name, of=each)
                    gather.add(label, b"method")
                    function(each, label)
                else:
                    gather.add(label, gather.refer(each).encode())
        else:
            value(gather, where, thing, label, name)


def value(gather: Gather, where: str, thing: Any, label: str, name: str) -> None:
    """An attribute that is no method. A library's descriptor (a column, a trait) counts by its type."""
    descriptor = hasattr(type(thing), "__get__") and not isinstance(thing, (FunctionType, type, *KEYABLE))
    if descriptor and not constant(thing) and not origin.users(type(thing)):
        gather.guard.same(where, thing)
        gather.add(label, name.encode(), gather.refer(type(thing)).encode())
    else:
        gather.bound(where, thing, label, name)
        gather.shorts.pop(label, None)


def parts_of(thing: Any) -> list[Any]:
    """The functions that a method, a property or a descriptor is made of."""
    if isinstance(thing, FunctionType):
        return [thing]
    if isinstance(thing, DESCRIPTORS):
        parts = [getattr(thing, part, None) for part in ("__func__", "fget", "fset", "fdel")]
    elif hasattr(type(thing), "__get__") and not isinstance(thing, (type, *KEYABLE)) and not origin.users(type(thing)):
        parts = [getattr(thing, part, None) for part in INNER]
    else:
        return []
    return [part for part in parts if callable(part)]


def left_out(kind: type, name: str, thing: Any) -> bool:
    """Whether an attribute was made by Python or by a library, from something that counts already."""
    special = name.startswith("__") and name.endswith("__")
    if isinstance(thing, MemberDescriptorType | GetSetDescriptorType):
        return True
    if isinstance(thing, (FunctionType, *DESCRIPTORS)):
        functions = [part for part in parts_of(thing) if isinstance(part, FunctionType)]
        return bool(functions) and not any(origin.written(part) or carries(part) for part in functions)
    if special and not isinstance(thing, DESCRIPTORS):
        return name not in COUNTED and (name in MADE or not constant(thing))
    if issubclass(kind, Enum):
        return name in kind.__members__ or (name.startswith("_") and name.endswith("_"))
    return name in ("_abc_impl", "_field_defaults") or type(thing).__name__ == "_tuplegetter"


def annotations(gather: Gather, kind: type) -> list[bytes]:
    """Names and types of annotated attributes: dataclasses and their kin are made of them."""
    try:
        found = inspect.get_annotations(kind)
    except Exception:  # noqa: BLE001 - from Python 3.14 on they are evaluated here, and a name may not be bound yet
        return [b"annotations"]
    return [part for name, hint in found.items() for part in (name.encode(), written(gather, hint).encode())]


def written(gather: Gather, hint: Any) -> str:
    """A type, as text that does not change from run to run; the user's classes in it are visited."""
    arguments = getattr(hint, "__args__", None)
    if isinstance(arguments, tuple) and not isinstance(hint, type):
        inner = ", ".join([written(gather, each) for each in (*arguments, *getattr(hint, "__metadata__", ()))])
        return f"{written(gather, getattr(hint, '__origin__', type(hint)))}[{inner}]"
    return gather.refer(hint) if isinstance(hint, type) else address("", repr(hint))


def fields(gather: Gather, kind: type, label: str) -> None:
    """Fields of a dataclass, an attrs class or a pydantic model."""
    for source in FIELDS:
        found = vars(kind).get(source)
        items = found.items() if isinstance(found, dict) else [(f.name, f) for f in found or ()]
        where = f"{gather.guard.hold(kind)}.{source}"
        for at, (name, field) in enumerate(items):
            place = f"{where}[{name!r}]" if isinstance(found, dict) else f"{where}[{at}]"
            for part in FIELD:
                thing = getattr(field, part, dataclasses.MISSING)
                if type(thing).__name__ in UNSET:
                    continue
                if constant(thing):  # as the class was made: setting it later changes nothing
                    gather.add(label, f"{name}.{part}".encode(), Encoder().of(thing))
                else:
                    gather.bound(f"{place}.{part}", thing, label, f"{name}.{part}", loose=True)
            if getattr(field, "metadata", None):
                gather.add(label, address("", repr(field.metadata)).encode())
    defaults = vars(kind).get("_field_defaults")
    if isinstance(defaults, dict):  # of a named tuple
        for name, thing in defaults.items():
            gather.bound(f"{gather.guard.hold(kind)}._field_defaults[{name!r}]", thing, label, name)
    parameters = vars(kind).get("__dataclass_params__")
    if parameters is not None:
        gather.add(label, Encoder().of([bool(getattr(parameters, option)) for option in OPTIONS]))
    gather.shorts.pop(label, None)
