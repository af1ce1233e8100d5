"""What `map` goes through: one set of arguments for each item."""

from collections.abc import Iterator
from typing import Any

from nbflow.futures import Future, allow_failure, futures_in, unmapped

__all__ = ["items"]

_SCALARS = (str, bytes, bytearray, dict)


def items(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of each call of a map."""
    names = [*range(len(args)), *kwargs]
    given = [*args, *kwargs.values()]
    columns: dict[Any, list[Any]] = {}
    for key, value in zip(names, given, strict=True):
        allowed = isinstance(value, allow_failure)
        column = value.value if allowed else value
        column = column.result() if isinstance(column, Future) else column  # the list it will be
        if not isinstance(column, (*_SCALARS, unmapped)) and hasattr(column, "__iter__"):
            columns[key] = [allow_failure(each) if allowed and futures_in(each) else each for each in column]
    if not columns:
        raise ValueError(f"{name}.map() has nothing to go through: give at least one list or other iterable")
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{key}: {length}" for key, length in lengths.items())
        raise ValueError(f"{name}.map() goes through its arguments in step, and their lengths differ ({told})")
    fixed = {
        k: v.value if isinstance(v, unmapped) else v for k, v in zip(names, given, strict=True) if k not in columns
    }
    for i in range(next(iter(lengths.values()))):
        each = {key: columns[key][i] if key in columns else fixed[key] for key in names}
        yield tuple(each[key] for key in range(len(args))), {key: each[key] for key in kwargs}
