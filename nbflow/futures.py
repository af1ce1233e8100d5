"""Results that are still on their way.

A `Future` is a `concurrent.futures.Future`: it works with `concurrent.futures.as_completed`, with
`asyncio.wrap_future`, and with `await`.
"""

import concurrent.futures
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from dataclasses import fields, is_dataclass, replace
from itertools import chain
from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast
from weakref import WeakSet

from nbflow.errors import InterfaceError, NotReadyError
from nbflow.keys.short import redacted
from nbflow.step.plan import reason

__all__ = [
    "Future",
    "FutureList",
    "allow_failure",
    "as_completed",
    "blocking",
    "futures_in",
    "resolve_futures_to_results",
    "unmapped",
    "wait",
]

R = TypeVar("R")

blocking: ContextVar[Callable[[], AbstractContextManager[object]]] = ContextVar("nbflow_blocking", default=nullcontext)
"""What a worker enters while it waits for a future, so that its pool can put another one in its place."""

_alive: "WeakSet[Future[Any]]" = WeakSet()
"""All futures of this process: while there is none, no argument needs to be searched for one."""


class Future(concurrent.futures.Future[R], Generic[R]):
    """The result of a submitted step.

    Attributes:
        task: The step's label.
        arguments: Short forms of its arguments, for messages.
        stopping: Somebody asked a running step to end.
        step: The step's number, by which events tell of it.
    """

    step = 0

    def __init__(self, task: str = "", arguments: tuple[object, ...] = ()) -> None:
        super().__init__()
        self.task, self.arguments = task, arguments
        self.stopping = False
        _alive.add(self)

    def __repr__(self) -> str:
        """`<Future fetch(3) finished>`."""
        inputs = ", ".join(map(str, map(redacted, self.arguments)))
        return f"<Future {self.task}({inputs}) {self._state.lower()}>"

    def cancel(self) -> bool:
        """Cancel the step; True where it had not begun. A running one ends before its next attempt, if there is one."""
        self.stopping = True
        return super().cancel()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the step ended, however it did, or `timeout` seconds have passed."""
        if not self.done():
            with blocking.get()():
                concurrent.futures.wait([self], timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:  # noqa: FBT001, FBT002 - Prefect's signature
        """The value; raises the step's own error, or returns it where `raise_on_failure` is false.

        Raises:
            TimeoutError: It takes more than `timeout` seconds.
            CancelledError: The step was cancelled before it began.
        """
        self.wait(timeout)
        if not raise_on_failure and self.done() and not self.cancelled():
            error = self.exception(0)
            if error is not None:
                return error  # type: ignore[return-value]
        return super().result(None if self.done() else 0)

    def __await__(self) -> Generator[Any, None, R]:
        """The value, without blocking the loop."""
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        return asyncio.wrap_future(self).__await__()


class FutureList(list[Future[R]]):
    """The futures of a `map`, in input order."""

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all have ended, or `timeout` seconds have passed in all. An interrupt cancels those left."""
        try:
            wait(self, timeout)
        except KeyboardInterrupt:
            for each in self:
                each.cancel()
            raise

    def result(
        self,
        timeout: float | None = None,
        raise_on_failure: bool = True,  # noqa: FBT001, FBT002 - Prefect's signature
        *,
        errors: Literal["raise", "skip", "return"] = "raise",
    ) -> list[R]:
        """All values in input order, once every item has ended.

        Args:
            timeout: Seconds to wait for all of them.
            raise_on_failure: False is the same as `errors="return"`.
            errors: `raise` the first failure in input order, with a note for each of the others;
                `skip` items that failed; `return` the exceptions in their places.

        Raises:
            TimeoutError: Some have not ended in time.
        """
        self.wait(timeout)
        unfinished = [each for each in self if not each.done()]
        if unfinished:
            raise TimeoutError(f"{len(unfinished)} (of {len(self)}) futures unfinished")
        failed = [(i, each) for i, each in enumerate(self) if _failure(each) is not None]
        if failed and raise_on_failure and errors == "raise":
            raise _first(failed, len(self))
        if errors == "skip":
            return [each.result() for each in self if _failure(each) is None]
        return [cast("R", error) if (error := _failure(each)) is not None else each.result() for each in self]


def _failure(future: Future[Any]) -> BaseException | None:
    return concurrent.futures.CancelledError() if future.cancelled() else future.exception()


def _first(failed: list[tuple[int, Future[Any]]], total: int) -> BaseException:
    """The first failure, itself; notes name its own place and each of the others."""
    errors = [_failure(future) for _, future in failed]
    first = errors[0]
    assert first is not None
    more = f"; {len(failed) - 1} more failed:" if len(failed) > 1 else ""
    lines = [f"nbflow: item {failed[0][0]} of {total}, {_spell(failed[0][1])}, failed{more}"]
    lines += [
        f"  item {i}, {_spell(each)}: {reason(e)}" for (i, each), e in zip(failed[1:20], errors[1:20], strict=True) if e
    ]
    if len(failed) > 20:
        lines.append(f"  and {len(failed) - 20} others")
    note = "\n".join(lines)
    if note not in getattr(first, "__notes__", ()):  # asked for twice, it is still told once
        first.add_note(note)
    return first


def _spell(future: Future[Any]) -> str:
    return f"{future.task}({', '.join(map(str, map(redacted, future.arguments)))})"


class _DoneAndNotDone(NamedTuple):
    done: set[Future[Any]]
    not_done: set[Future[Any]]


def wait(futures: Iterable[Future[Any]], timeout: float | None = None) -> _DoneAndNotDone:
    """Wait for all futures, `timeout` seconds at most; never raises for a step that failed."""
    futures = list(futures)
    if all(each.done() for each in futures):
        return _DoneAndNotDone(set(futures), set())
    with blocking.get()():
        done, not_done = concurrent.futures.wait(futures, timeout)
    return _DoneAndNotDone(set(done), set(not_done))  # type: ignore[arg-type]


def as_completed(futures: Iterable[Future[R]], timeout: float | None = None) -> Iterator[Future[R]]:
    """The futures as they end, each once.

    Raises:
        TimeoutError: Some have not ended `timeout` seconds after the call.
    """
    if timeout is not None and timeout < 0:
        raise ValueError(f"timeout={timeout!r}: give 0 or more seconds")
    ended = concurrent.futures.as_completed(futures, timeout)
    while True:
        with blocking.get()():  # not while the caller works on what it got
            future = next(ended, None)
        if future is None:
            return
        yield cast("Future[R]", future)


class unmapped(NamedTuple):  # noqa: N801 - Prefect's name, read as a word beside an argument
    """An argument that `map` gives to every item as it is."""

    value: Any


class allow_failure(NamedTuple):  # noqa: N801 - as above
    """A future as an argument: should it fail, its exception is passed in place of its value."""

    value: Any


_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
_COLLECTIONS = frozenset({list, tuple, set, frozenset, dict, FutureList, allow_failure, unmapped})


def futures_in(value: Any) -> list[Future[Any]]:
    """All futures within a value: in lists, tuples, sets, dicts and dataclasses, at any depth.

    Goes down layer by layer, so that a million rows are looked at by their types, which is quick.
    """
    if not _alive:
        return []
    found: list[Future[Any]] = []
    seen: dict[int, Any] = {}  # holds what it names, so that no identity is used twice
    layer: list[Any] = [value]
    while layer:
        below: list[Any] = []
        for kind in set(map(type, layer)) - _ATOMS:
            if issubclass(kind, Future):
                found += [each for each in layer if type(each) is kind]
            elif kind in _COLLECTIONS or is_dataclass(kind):
                members = {id(each): each for each in layer if type(each) is kind}
                fresh = [each for name, each in members.items() if name not in seen]
                seen |= members
                below += _within(kind, fresh)
        layer = below
    return found


def _within(kind: type, values: list[Any]) -> Iterable[Any]:
    """All members of values of one type, keys included."""
    if kind is dict:
        return chain(chain.from_iterable(values), chain.from_iterable(map(dict.values, values)))
    if kind in _COLLECTIONS:
        return chain.from_iterable(values)
    names = [each.name for each in fields(kind)]
    return [getattr(each, name, None) for each in values for name in names]


def resolve_futures_to_results(value: Any) -> Any:
    """The same value with each future in it replaced by its result; waits for them.

    Raises:
        NotReadyError: One of them failed; its error is the cause.
    """
    if isinstance(value, Future):
        return _result(value)
    if isinstance(value, allow_failure):
        return _allowed(value.value)
    if not futures_in(value):
        return value
    if type(value) is dict:
        return {resolve_futures_to_results(k): resolve_futures_to_results(v) for k, v in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: resolve_futures_to_results(getattr(value, f.name)) for f in fields(value) if f.init}
        )
    items = [resolve_futures_to_results(each) for each in value]
    return items if isinstance(value, list) else type(value)(items)


def _allowed(value: Any) -> Any:
    if isinstance(value, Future):
        return value.result(raise_on_failure=False)
    if isinstance(value, list):
        return [_allowed(each) for each in value]
    return resolve_futures_to_results(value)


def _result(future: Future[R]) -> R:
    error = _failure(future) if future.done() else None
    if error is None:
        try:
            return future.result()
        except BaseException as raised:  # noqa: BLE001 - whatever it was, what comes after is not ready
            error = raised
    if isinstance(error, InterfaceError):
        raise error
    raise NotReadyError(f"{_spell(future)} failed: {reason(error)}") from error
