"""What a task's function gives back: a value, a state, or what has to be gone through or awaited first."""

import sys
from collections.abc import Callable
from inspect import isasyncgen, iscoroutine, isgenerator
from typing import Any

from nbflow.errors import InterfaceError
from nbflow.states import State, raised
from nbflow.step.commands import Err, Ok, Outcome

__all__ = ["awhole", "came_to", "whole"]

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, list, tuple, dict, set})
"""What is given back as it is, without a question."""


def whole(body: Callable[[], Any]) -> Any:
    """Call, and make a list of a generator that is returned, which could be gone through only once.

    Raises:
        InterfaceError: It returned a coroutine, which nobody would await.
    """
    value = body()
    if type(value) in _ATOMS:
        return value
    if isgenerator(value):
        return list(value)
    if iscoroutine(value) or _is_loops(value):
        if iscoroutine(value):
            value.close()
        raise InterfaceError(
            "the function is not `async def`, but returned something to await: "
            "declare it with `async def` and await it there, or run it with asyncio.run(...)"
        )
    return value


async def awhole(body: Callable[[], Any]) -> Any:
    """The same for a coroutine function."""
    value = await body()
    if isgenerator(value):
        return list(value)
    if isasyncgen(value):
        return [item async for item in value]
    return value


def _is_loops(value: object) -> bool:
    """Whether it is a future or a task of asyncio's, which is not imported to ask."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(value, asyncio.Future)


def came_to(value: Any, touched: frozenset[str]) -> Outcome:
    """What a returned value means: a state that is a failure is one, and is retried as an exception is."""
    if type(value) is State and (value.is_failed() or value.is_crashed()):
        return Err(raised(value), value)
    return Ok(value, touched)
