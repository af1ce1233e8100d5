"""Futures and states among a call's arguments: found at any depth, and replaced by what they came to."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import fields, is_dataclass, replace
from itertools import chain
from typing import Any, cast

from nbflow.annotations import Annotation, alive, allow_failure, opaque, quote
from nbflow.errors import InterfaceError, NotReadyError
from nbflow.futures.future import Future, FutureList, spelled
from nbflow.states import State, raised
from nbflow.step.plan import reason

__all__ = ["ended", "futures_in", "marked", "resolve_futures_to_results", "resolve_futures_to_states"]

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
_COLLECTIONS = (list, tuple, set, frozenset, dict)


def marked(value: Any) -> list[Any]:
    """All futures, states and annotations within a value: in lists, tuples, sets, dicts and dataclasses, at any depth.

    Goes down layer by layer, so that a million rows are looked at by their types, which is quick.
    """
    if not alive:
        return []
    found: list[Any] = []
    seen: dict[int, Any] = {}  # holds what it names, so that no identity is used twice
    layer: list[Any] = [value]
    while layer:
        below: list[Any] = []
        for kind in set(map(type, layer)) - _ATOMS:
            if issubclass(kind, (Future, State, Annotation)):
                those: list[Any] = [each for each in layer if type(each) is kind]
                found += those
                if issubclass(kind, Annotation) and kind is not quote:
                    inner = [each.value for each in those]
                    below += [each for each in inner if isinstance(each, Future)] if kind is opaque else inner
            elif issubclass(kind, _COLLECTIONS) or is_dataclass(kind):
                members = {id(each): each for each in layer if type(each) is kind}
                fresh = [each for name, each in members.items() if name not in seen]
                seen |= members
                below += _within(kind, fresh)
        layer = below
    return found


def futures_in(value: Any) -> list[Future[Any]]:
    """All futures within a value."""
    return [each for each in marked(value) if isinstance(each, Future)]


async def ended(futures: Iterable[Future[Any]]) -> None:
    """Wait until all have ended, however they did, while the other tasks of the loop go on."""
    left = [each for each in futures if not each.done()]
    if not left:
        return
    import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

    loop = asyncio.get_running_loop()
    for future in left:
        over = asyncio.Event()
        future.add_done_callback(lambda _, over=over: loop.call_soon_threadsafe(over.set))  # type: ignore[misc]
        await over.wait()


def _within(kind: type, values: list[Any]) -> Iterable[Any]:
    """All members of values of one type, keys included."""
    if issubclass(kind, dict):
        return chain(chain.from_iterable(map(dict.keys, values)), chain.from_iterable(map(dict.values, values)))
    plain: Any = next((each for each in _COLLECTIONS if issubclass(kind, each)), None)
    if plain is not None:  # what it holds, whatever a class of the user's makes of it
        return chain.from_iterable(map(plain.__iter__, values))
    names = [each.name for each in fields(cast("Any", kind))]
    return [getattr(each, name, None) for each in values for name in names]


def resolve_futures_to_results(value: Any) -> Any:
    """The same value with each future and state in it replaced by its result; waits for them.

    >>> from nbflow import task
    >>> resolve_futures_to_results({"sizes": task(len).map(["Oslo", "Bergen"])})
    {'sizes': [4, 6]}

    Raises:
        NotReadyError: One of them failed; its error is the cause.
    """
    return _replaced(value, _result)


def resolve_futures_to_states(value: Any) -> Any:
    """The same value with each future in it replaced by its state, whatever that is; waits for them."""
    return _replaced(value, _state)


def _replaced(value: Any, replacement: Callable[[Any], Any]) -> Any:
    """A value with its futures and states replaced, and the words around its parts taken off."""
    if isinstance(value, (Future, State)):
        return replacement(value)
    if isinstance(value, Annotation):
        return _bared(value, replacement)
    if not marked(value):
        return value
    if isinstance(value, _COLLECTIONS):
        return _remade(value, replacement)
    return _replaced_fields(value, replacement)


def _remade(value: Any, replacement: Callable[[Any], Any]) -> Any:
    """A collection of the same class, a named tuple or a `defaultdict` too; of a `FutureList` a plain list."""
    if isinstance(value, (list, dict)):
        made: Any = [] if type(value) is FutureList else copy(value)
        made.clear()
        if isinstance(value, list):
            made.extend(_replaced(each, replacement) for each in list.__iter__(value))
        else:
            made.update({_replaced(key, replacement): _replaced(item, replacement) for key, item in value.items()})
        return made
    return getattr(type(value), "_make", type(value))([_replaced(each, replacement) for each in value])


def _bared(value: Annotation, replacement: Callable[[Any], Any]) -> Any:
    """What stands within an annotation, as that says."""
    inner = value.value
    if isinstance(value, quote) or (isinstance(value, opaque) and not isinstance(inner, (Future, State))):
        return inner
    return _replaced(inner, _result_or_error if isinstance(value, allow_failure) else replacement)


def _replaced_fields(value: Any, replacement: Callable[[Any], Any]) -> Any:
    changed: Mapping[str, Any] = {
        each.name: _replaced(getattr(value, each.name), replacement) for each in fields(value) if each.init
    }
    return replace(value, **changed)


def _result_or_error(value: Future[Any] | State[Any]) -> Any:
    return value.result(raise_on_failure=False)


def _state(value: Future[Any] | State[Any]) -> Any:
    if isinstance(value, State):
        return value
    value.wait()
    return value.state


def _result(value: Future[Any] | State[Any]) -> Any:
    error: BaseException | None
    if isinstance(value, State):
        if value.is_completed():
            return value.data
        try:
            error = raised(value)
        except TypeError as wrong:
            error = wrong
        raise NotReadyError(f"a state that it was given is {value.name}: {reason(error)}") from error
    try:
        return value.result()
    except InterfaceError:
        raise
    except (KeyboardInterrupt, SystemExit):
        if not value.done():  # it came to this thread, not to the step
            raise
        error = value.exception()
    except BaseException as failure:  # noqa: BLE001 - whatever it was, what comes after is not ready
        error = failure
    raise NotReadyError(f"{spelled(value)} failed: {reason(error)}") from error  # type: ignore[arg-type]
