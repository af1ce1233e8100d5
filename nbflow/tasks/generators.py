"""Generators as tasks: what they yield is handed on at once, kept when they are exhausted, and yielded again on a hit.

`streamed` says what has to be done, as a plan does: it is a step's plan with each `Call` spelled out as the items of a
generator. `stream` and `astream` do it, and are the generators that users get. The generator's own code runs in the
step, between its items the code of whoever goes through them does; so a step is entered anew for each item. Nobody
waits for a key that a generator computes: two that are gone through side by side would wait for each other.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Literal, NamedTuple

from nbflow import world
from nbflow.engine.around import Around, own_frames
from nbflow.engine.loop import advance, value_of
from nbflow.engine.timeouts import await_within, call_within
from nbflow.engine.work import Work
from nbflow.logs import warn
from nbflow.step.commands import Call, Claim, Command, Err, Ok, Outcome
from nbflow.step.plan import Plan
from nbflow.store.serializers import Serializer
from nbflow.tasks.streams import Stream

__all__ = ["Resume", "Streams", "astream", "kind_of", "stream", "streamed"]

Kind = Literal["sync", "async", "generator", "async generator"]


def kind_of(fn: Callable[..., Any]) -> Kind:
    """What calling a function gives; of an object, what its `__call__` gives."""
    for each in (fn, getattr(fn, "__call__", None)):  # noqa: B004 - its kind is asked for
        if isasyncgenfunction(each):
            return "async generator"
        if isgeneratorfunction(each):
            return "generator"
        if iscoroutinefunction(each):
            return "async"
    return "sync"


class Resume(NamedTuple):
    """Answer: `Item`, `Over` or `Err`: what a generator did when it was resumed, within so many seconds."""

    how: Callable[[float | None], Any]
    within: float | None

    def perform(self) -> Any:
        """Do it."""
        return self.how(self.within)


class Give(NamedTuple):
    """Answer: what was sent in for an item; raises what was thrown in."""

    item: Any


class _Left(BaseException):
    """Nobody wants more items. A `GeneratorExit` would not come through to an inner generator: that one is closed."""


class Item(NamedTuple):
    """A generator yielded."""

    value: Any


class Over(NamedTuple):
    """A generator returned."""

    value: Any


Streaming = Generator[Command | Resume | Give, Any, Outcome]


def streamed(plan: Plan, work: Work, *leaves: type, restart: bool, serializer: Serializer | None) -> Streaming:
    """A plan whose calls are generators.

    Args:
        plan: The step.
        work: Its hands; the body gives a generator.
        leaves: Commands that are left to who performs these.
        restart: Whether it may be started again after it has yielded.
        serializer: How items become bytes.
    """
    hands = {**work.hands(Call, *leaves), Claim: lambda _: None}
    state = advance(plan, hands)
    while not isinstance(state, (Ok, Err)):
        try:
            if isinstance(state, Call):
                try:
                    answer = yield from _attempt(work, state, restart=restart, serializer=serializer)
                finally:
                    work.leave()
            else:
                answer = yield state
        except BaseException as error:  # noqa: BLE001 - the plan tells of it, and passes it on
            state = advance(plan, hands, error=error)
        else:
            state = advance(plan, hands, answer)
    return state


def _attempt(
    work: Work, call: Call, *, restart: bool, serializer: Serializer | None
) -> Generator[Resume | Give, Any, Outcome]:
    """Go through the generator once."""
    made = Stream(serializer, keep=work.slot is not None and work.keep != "never")
    made.live = True
    source = work.body()
    isasync = hasattr(source, "asend")
    send, throw = (source.asend, source.athrow) if isasync else (source.send, source.throw)
    sight, used = world.watch(stretches=True), 0.0
    around = _Entered(work, call, sight)
    how: Callable[[], Any] = partial(send, None)
    while True:
        within = None if call.timeout is None else max(call.timeout - used, 0.001)
        began = time.monotonic()
        answer = yield Resume(partial(around.run, how, isasync=isasync), within)
        used += time.monotonic() - began
        if isinstance(answer, Item):
            made.add(answer.value)
            try:
                how = partial(send, (yield Give(answer.value)))
            except _Left:
                left = partial(around.run, source.aclose if isasync else source.close, isasync=isasync)
                answer = yield Resume(left, None)
                if isinstance(answer, Err):
                    raise answer.error from None
                made.left()
                return _ran(work, made, sight)
            except GeneratorExit:  # nobody performs this any more: an interrupt ended whoever did
                raise
            except BaseException as thrown:  # noqa: BLE001 - it is the generator's
                how = partial(throw, thrown)
        elif isinstance(answer, Over):
            made.returned = answer.value
            return _ran(work, made, sight)
        elif made.given and not restart:
            raise answer.error
        else:
            if made.given:
                warn(f"{work.name} failed after {made.given} items and may start again: its items then come twice")
            return answer  # type: ignore[no-any-return]


def _ran(work: Work, made: Stream, sight: world.Sight) -> Outcome:
    outcome = work.ran(made, sight)
    if work.hooks is not None:
        work.outcome = Ok(None if made.unfit else list(made))
    return outcome


class _Entered:
    """The step around a generator's own code, entered for each item and left again."""

    def __init__(self, work: Work, call: Call, sight: world.Sight) -> None:
        self.work, self.call, self.sight = work, call, sight

    def run(self, how: Callable[[], Any], within: float | None, *, isasync: bool) -> Any:
        """Resume the generator once; `Item`, `Over` or `Err`, of an asynchronous one a coroutine of it."""
        return self._arun(how, within) if isasync else self._run(how, within)

    def _run(self, how: Callable[[], Any], within: float | None) -> "Item | Over | Err":
        around = self._around()
        try:
            with around:
                return call_within(partial(_resumed, how), within)  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001 - whatever it is, the plan decides about it
            return Err(own_frames(error))
        finally:
            around.leave()  # an interrupt may have come while it was entered or left

    async def _arun(self, how: Callable[[], Any], within: float | None) -> "Item | Over | Err":
        around = self._around()
        try:
            with around:
                return await await_within(partial(_aresumed, how), within)  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001 - as above
            return Err(own_frames(error))
        finally:
            around.leave()

    def _around(self) -> Around:
        return Around(self.work, self.call, self.sight)


def _resumed(how: Callable[[], Any]) -> Item | Over:
    try:
        return Item(how())
    except StopIteration as stop:
        return Over(stop.value)


async def _aresumed(how: Callable[[], Awaitable[Any]]) -> Item | Over:
    try:
        return Item(await how())
    except StopAsyncIteration:
        return Over(None)


class Streams(NamedTuple):
    """What a user's generator goes through: `kept` items, or `commands` and how to `perform` them, until `close`."""

    kept: Stream | None
    commands: Streaming | None = None
    perform: Callable[[Any], Any] = lambda _: None
    close: Callable[[], None] = lambda: None


def stream(begin: Callable[[], Streams]) -> Generator[Any, Any, Any]:
    """The generator that a user gets; it begins with the first item that is asked for."""
    kept, commands, perform, close = begin()
    if commands is not None:
        answer: Any = None
        error: BaseException | None = None
        left = False
        try:
            while True:
                command = commands.send(answer) if error is None else commands.throw(error)
                answer = error = None
                try:
                    answer = (yield command.item) if isinstance(command, Give) else perform(command)
                except BaseException as raised:  # noqa: BLE001 - thrown in, or an interrupt: the step decides
                    left = left or isinstance(raised, GeneratorExit)
                    error = _Left() if isinstance(raised, GeneratorExit) else raised
        except StopIteration as stop:
            kept = _stream_of(stop.value)
        finally:
            close()
        if left:
            return None
    assert kept is not None
    if not kept.live:
        yield from kept
    return kept.returned


async def astream(begin: Callable[[], Awaitable[Streams]]) -> AsyncGenerator[Any, Any]:
    """The same, asynchronous."""
    kept, commands, perform, close = await begin()
    if commands is not None:
        answer: Any = None
        error: BaseException | None = None
        left = False
        try:
            while True:
                command = commands.send(answer) if error is None else commands.throw(error)
                answer = error = None
                try:
                    answer = (yield command.item) if isinstance(command, Give) else await perform(command)
                except BaseException as raised:  # noqa: BLE001 - as above
                    left = left or isinstance(raised, GeneratorExit)
                    error = _Left() if isinstance(raised, GeneratorExit) else raised
        except StopIteration as stop:
            kept = _stream_of(stop.value)
        finally:
            close()
        if left:
            return
    assert kept is not None
    if not kept.live:
        for item in kept:
            yield item


def _stream_of(outcome: Outcome) -> Stream:
    value: Stream = value_of(outcome)
    return value
