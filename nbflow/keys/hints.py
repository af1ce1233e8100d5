"""Type hints as values: `list[int]`, `int | None`, `Literal["a"]`, type variables.

The members of a union have no order, and `Optional[int]` is `int | None`, as `typing` itself compares them.
"""

import types
import typing
from typing import Any

import nbflow.keys.builtin  # noqa: F401 - what hints are made of
from nbflow.keys.encode import Encoder, Node, register, unnamed


def _union(_: Encoder, value: Any) -> Node:
    return Node(b"union", typing.get_args(value), ordered=False, label=unnamed)


def _alias(encoder: Encoder, value: Any) -> Node:
    origin = typing.get_origin(value)
    if origin is typing.Union:
        return _union(encoder, value)
    if origin is typing.Annotated:  # a class, or a special form, as Python's version has it
        return Node(b"annotated", typing.get_args(value), label=unnamed)
    name = getattr(value, "_name", None) or ""
    unpacked = bool(getattr(value, "__unpacked__", False))
    return Node(b"alias", (str(name), unpacked, origin, *typing.get_args(value)), label=unnamed)


def _bare_alias(_: Encoder, value: Any) -> tuple[str, str]:
    return ("bare alias", getattr(value, "_name", None) or repr(value))


def _variable(_: Encoder, value: Any) -> Node:
    bound = getattr(value, "__bound__", None)
    variance = (getattr(value, "__covariant__", None), getattr(value, "__contravariant__", None))
    limits = getattr(value, "__constraints__", ())
    return Node(b"type variable", (type(value).__name__, value.__name__, bound, limits, variance), label=unnamed)


def _new_type(_: Encoder, value: Any) -> Node:
    return Node(b"new type", (value.__module__, value.__qualname__, value.__supertype__), label=unnamed)


def _forward(_: Encoder, value: typing.ForwardRef) -> tuple[str, str]:
    return ("forward", value.__forward_arg__)


def _named(_: Encoder, value: Any) -> Node:
    return Node(b"type alias", (value.__name__, value.__value__, value.__type_params__), label=unnamed)


register(types.GenericAlias, _alias, subclasses=True)
for _example in (
    list[int],
    typing.Union[int, str],  # noqa: UP007 - another type than int | str before Python 3.14
    typing.Callable[[int], str],
    typing.Literal[1],
    typing.Annotated[int, 1],
):
    register(type(_example), _alias, subclasses=True)
register(types.UnionType, _union)
register(type(typing.List[int]), _alias, subclasses=True)  # noqa: UP006
register(type(typing.List), _bare_alias, subclasses=True)  # noqa: UP006
register(type(typing.Literal), _bare_alias, subclasses=True)
register(type(typing.Optional), _bare_alias, subclasses=True)
register(typing.TypeVar, _variable)
register(typing.ParamSpec, _variable)
register(typing.NewType, _new_type)
register(typing.ForwardRef, _forward)
if hasattr(typing, "TypeAliasType"):  # Python 3.12
    register(typing.TypeAliasType, _named)
