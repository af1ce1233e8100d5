"""Results that are still on their way.

A `Future` is a `concurrent.futures.Future`: it works with `concurrent.futures.as_completed`, with
`asyncio.wrap_future`, and with `await`.
"""

import concurrent.futures
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast

from nbflow.annotations import note
from nbflow.clock import slices, taken
from nbflow.context import here
from nbflow.errors import ConfigurationError, InterfaceError
from nbflow.keys.short import redacted
from nbflow.runs import TaskRun
from nbflow.states import Pending, State
from nbflow.step.commands import Err, Ok, Outcome
from nbflow.step.plan import reason

__all__ = [
    "Future",
    "FutureList",
    "as_completed",
    "blocking",
    "on_their_way",
    "spelled",
    "wait",
]

R = TypeVar("R")

_ERRORS = ("raise", "skip", "return")

blocking: ContextVar[Callable[[], AbstractContextManager[object]]] = ContextVar("nbflow_blocking", default=nullcontext)
"""What a worker enters while it waits for a future, so that its pool can put another one in its place."""

on_their_way: "set[Future[Any]]" = set()
"""What was submitted and has not ended."""


class Future(concurrent.futures.Future[R], Generic[R]):
    """The result of a submitted step.

    Attributes:
        task: The step's label.
        arguments: Short forms of its arguments, for messages.
        stopping: Somebody asked a running step to end.
        step: The step's number, by which events tell of it.
        run: The step's run, once there is one.
        runner: Where it was submitted to, once it was; None for a coroutine that is awaited here.
        looked: Somebody asked what the step came to: a failure that nobody looked at fails the flow.
    """

    step = 0
    looked = False
    run: TaskRun | None = None
    runner: Any = None
    _outcome: Outcome | None = None

    def __init__(self, task: str = "", arguments: tuple[object, ...] = ()) -> None:
        super().__init__()
        self.task, self.arguments = task, arguments
        self.stopping = False
        self.call: concurrent.futures.Future[Any] | None = None
        """Its attempt, where a worker is to make it that may not have begun."""
        note(self)

    def __repr__(self) -> str:
        """`<Future fetch(3) finished>`."""
        inputs = ", ".join(map(str, map(redacted, self.arguments)))
        return f"<Future {self.task}({inputs}) {self._state.lower()}>"

    def cancel(self) -> bool:
        """Cancel the step; True where it had not begun. A running one ends before its next attempt, if there is one."""
        self.stopping = True
        call = self.call
        if super().cancel():
            on_their_way.discard(self)
            return True
        return call is not None and call.cancel()

    @property
    def task_run_id(self) -> str:
        """The id of its run, 32 hex digits."""
        if self.run is None:
            self.run = TaskRun(self.step, self.task)
        return self.run.id

    @property
    def state(self) -> State[R]:
        """What the step has come to by now."""
        if not self.done():
            return Pending() if self.run is None else self.run.state
        outcome = self._outcome
        if outcome is None:
            error = _failure(self)
            outcome = Ok(super().result(0)) if error is None else Err(error)
        if self.run is None:
            self.run = TaskRun(self.step, self.task)
        return self.run.settle(outcome)

    def settle(self, outcome: Outcome) -> None:
        """Take what the step came to; its result is that of a state that it returned, as Prefect's is."""
        if self.run is not None:
            self.run = self.run.without_values()
        if isinstance(outcome, Err):
            self._outcome = outcome if outcome.state is not None else None
            self.set_exception(outcome.error)
        elif type(outcome.value) is State and outcome.value.is_final():
            self._outcome = outcome
            self.set_result(outcome.value.result(raise_on_failure=False))
        else:
            self.set_result(outcome.value)
        on_their_way.discard(self)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the step raised, None where it returned.

        Raises:
            TimeoutError: It takes more than `timeout` seconds.
            CancelledError: The step was cancelled before it began.
        """
        error = super().exception(timeout)
        self.looked = True
        return error

    def failure(self) -> BaseException | None:
        """What the step raised, if it has ended with that; nobody counts as having looked at it."""
        return super().exception() if self.done() and not self.cancelled() else None

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the step ended, however it did, or `timeout` seconds have passed."""
        if not self.done():
            if self.step and here.get().step == self.step:
                raise InterfaceError(f"{spelled(self)} waits for its own result, which would take for ever")
            with blocking.get()():
                any(concurrent.futures.wait([self], piece).done for piece in slices(timeout))

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:  # noqa: FBT001, FBT002 - Prefect's signature
        """The value; raises the step's own error, or returns it where `raise_on_failure` is false.

        Raises:
            TimeoutError: It takes more than `timeout` seconds.
            CancelledError: The step was cancelled before it began.
        """
        self.wait(timeout)
        self.looked = self.looked or self.done()
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
        self._unfinished(timeout)

    def _unfinished(self, timeout: float | None) -> int:
        try:
            return len(wait(self, timeout).not_done)
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
            ConfigurationError: There is no such way to treat errors.
        """
        if errors not in _ERRORS:
            raise ConfigurationError(f"errors={errors!r}: give one of {', '.join(_ERRORS)}")
        unfinished = self._unfinished(timeout)
        if unfinished:
            raise TimeoutError(f"{unfinished} (of {len(self)}) futures unfinished")
        failures = [_failure(each) for each in self]
        failed = [(i, self[i]) for i, error in enumerate(failures) if error is not None]
        if failed and raise_on_failure and errors == "raise":
            raise _first(failed, len(self))
        value = concurrent.futures.Future.result  # they are done, and looked at
        ended = zip(self, failures, strict=True)
        if errors == "skip":
            return [value(each) for each, error in ended if error is None]
        return [value(each) if error is None else cast("R", error) for each, error in ended]


def _failure(future: Future[Any]) -> BaseException | None:
    """What one that is done came to, if not to a value."""
    try:
        return future.exception(0)
    except concurrent.futures.CancelledError as error:
        return error


def _first(failed: list[tuple[int, Future[Any]]], total: int) -> BaseException:
    """The first failure, itself; notes name its own place and each of the others."""
    errors = [_failure(future) for _, future in failed]
    first = errors[0]
    assert first is not None
    more = f"; {len(failed) - 1} more failed:" if len(failed) > 1 else ""
    lines = [f"nbflow: item {failed[0][0]} of {total}, {spelled(failed[0][1])}, failed{more}"]
    lines += [
        f"  item {i}, {spelled(each)}: {reason(e)}"
        for (i, each), e in zip(failed[1:20], errors[1:20], strict=True)
        if e
    ]
    if len(failed) > 20:
        lines.append(f"  and {len(failed) - 20} others")
    note = "\n".join(lines)
    if note not in getattr(first, "__notes__", ()):  # asked for twice, it is still told once
        first.add_note(note)
    return first


def spelled(future: Future[Any]) -> str:
    """The call that it is the result of: `fetch(3)`."""
    return f"{future.task}({', '.join(map(str, map(redacted, future.arguments)))})"


class _DoneAndNotDone(NamedTuple):
    done: set[Future[Any]]
    not_done: set[Future[Any]]


def wait(futures: Iterable[Future[Any]], timeout: float | None = None) -> _DoneAndNotDone:
    """Wait for all futures, `timeout` seconds at most; never raises for a step that failed.

    >>> from nbflow import task
    >>> done, not_done = wait(task(ord).map(["a", "two"]))
    >>> len(done), not_done
    (2, set())
    """
    futures = list(futures)
    until = math.inf if timeout is None else time.monotonic() + timeout
    for each in reversed(futures):  # the last one mostly ends last: then this waits once
        if not each.done():
            with blocking.get()():
                left = None if timeout is None else max(until - time.monotonic(), 0.0)
                any(concurrent.futures.wait([each], piece).done for piece in slices(left))
    not_done = set() if timeout is None else {each for each in futures if not each.done()}
    return _DoneAndNotDone(set(futures) - not_done, not_done)


def as_completed(futures: Iterable[Future[R]], timeout: float | None = None) -> Iterator[Future[R]]:
    """The futures as they end, each once.

    >>> from nbflow import task
    >>> sorted(future.result() for future in as_completed(task(abs).map([-1, -2])))
    [1, 2]

    Raises:
        TimeoutError: Some have not ended `timeout` seconds after the call.
    """
    if timeout is not None and timeout < 0:
        raise ValueError(f"timeout={timeout!r}: give 0 or more seconds")
    until = None if timeout is None else time.monotonic() + timeout
    ended: SimpleQueue[Any] = SimpleQueue()
    different = list(dict.fromkeys(futures))
    total = len(different)
    for each in different:
        each.add_done_callback(ended.put)
    different.clear()  # what was yielded, and its result, is the caller's alone
    for count in range(total):
        left = None if until is None else max(until - time.monotonic(), 0.0)
        try:
            with blocking.get()():  # not while the caller works on what it got
                future: Future[R] = taken(ended, left)
        except Empty:
            raise TimeoutError(f"{total - count} (of {total}) futures unfinished") from None
        yield future
