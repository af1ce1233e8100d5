"""What `map` goes through: one set of arguments for each item."""

from collections.abc import Iterator
from io import IOBase
from itertools import repeat
from typing import Any

from nbflow.annotations import Annotation, allow_failure, unmapped
from nbflow.futures.future import Future
from nbflow.futures.inputs import marked, resolve_futures_to_results
from nbflow.states import State

__all__ = ["items"]

_SCALARS = (str, bytes, bytearray, dict, IOBase, Annotation)


def items(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of each call of a map.

    Raises:
        ValueError: The arguments are of different lengths, or none of them can be gone through.
        NotReadyError: One of them is to come from a step that failed.
    """
    names = [*range(len(args)), *kwargs]
    given = dict(zip(names, (*args, *kwargs.values()), strict=True))
    columns: dict[Any, list[Any]] = {}
    for key, value in given.items():
        allowed = isinstance(value, allow_failure)
        column = value.value if allowed else value
        if isinstance(column, (Future, State)):  # the list that it will be
            column = resolve_futures_to_results(column)
        if not isinstance(column, _SCALARS) and hasattr(column, "__iter__"):
            columns[key] = [allow_failure(each) if allowed and marked(each) else each for each in column]
    if not columns:
        raise ValueError(f"{name}.map() has nothing to go through: give at least one list or other iterable")
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{key}: {length}" for key, length in lengths.items())
        raise ValueError(f"{name}.map() goes through its arguments in step, and their lengths differ ({told})")
    fixed = {key: value.value if isinstance(value, unmapped) else value for key, value in given.items()}
    for row in zip(*(columns[key] if key in columns else repeat(fixed[key]) for key in names), strict=False):
        yield row[: len(args)], dict(zip(kwargs, row[len(args) :], strict=True))
