"""Generators as tasks: what they yield is handed on at once, kept when they are exhausted, and yielded again on a hit.

`streamed` says what has to be done, as a plan does: it is a step's plan with each `Call` spelled out as the items of a
generator. `stream` and `astream` do it, and are the generators that users get. The generator's own code runs in the
step, between its items the code of whoever goes through them does; so a step is entered anew for each item. Nobody
waits for a key that a generator computes: two that are gone through side by side would wait for each other.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable, Iterator
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, Literal, NamedTuple

from nbflow import world
from nbflow.around import Around, own_frames
from nbflow.call import TaskSlot
from nbflow.engine import advance, value_of
from nbflow.errors import DamagedError, NbflowError, UnstorableError
from nbflow.identity import Identity
from nbflow.logs import warn
from nbflow.step.commands import Call, Claim, Command, Err, Load, Ok, Outcome, Save
from nbflow.step.plan import Plan
from nbflow.store import Store
from nbflow.store.serializers import PICKLE, Serializer
from nbflow.timeouts import await_within, call_within
from nbflow.work import Work

__all__ = [
    "Resume",
    "Stream",
    "StreamSlot",
    "Streams",
    "astream",
    "collected",
    "kind_of",
    "listed",
    "stream",
    "streamed",
]

Kind = Literal["sync", "async", "generator", "async generator"]
Packed = tuple[bytes, list[bytes]]

_MOST = 1 << 30
"""Bytes of items that are held to be kept; a generator that yields more is not kept."""


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


class Stream:
    """The items of a generator and what it returned, as they were when they were yielded, each in bytes.

    Args:
        serializer: How they become bytes; None is pickle.

    Attributes:
        given: How many items were yielded.
        unfit: Why they cannot be kept; `""` as long as they can.
        live: Whether somebody has had the items already.
    """

    live = False

    def __init__(self, serializer: Serializer | None = None, *, keep: bool = True) -> None:
        self.serializer = serializer or PICKLE
        self.items: list[Packed] = []
        self.returned: Any = None
        self.given = self._size = 0
        self.unfit = "" if keep else "it has no key"

    def add(self, item: Any) -> None:
        """Take an item as it is now: whoever gets it may change it."""
        self.given += 1
        if self.unfit:
            return
        try:
            packed = self._packed(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, the items are still yielded
            self._drop(f"item {self.given - 1}: {type(error).__name__}: {error}")
            return
        self._size += len(packed[0]) + sum(map(len, packed[1]))
        self.items.append(packed)
        if self._size > _MOST:
            self._drop(f"its items are larger than {_MOST >> 30} GB")

    def _drop(self, why: str) -> None:
        self.unfit, self.items = why, []
        warn(f"a generator's items are not kept: {why}")

    def left(self) -> None:
        """Nobody wants the items that are still to come."""
        self.unfit, self.items = self.unfit or f"left after {self.given} items", []

    def _packed(self, value: Any) -> Packed:
        data, buffers = self.serializer.dumps(value)
        return bytes(data), [bytes(each) for each in buffers]

    def _unpacked(self, packed: Packed) -> Any:
        return self.serializer.loads(packed[0], [bytearray(each) for each in packed[1]])

    def __reduce__(self) -> tuple[Any, ...]:
        """What the store keeps, and what a worker sends: bytes alone, and how they become items again.

        Raises:
            UnstorableError: Not all items are there.
        """
        if self.unfit:
            raise UnstorableError(self.unfit)
        return _again, (self.serializer, self.items, self._packed(self.returned))

    def __iter__(self) -> Iterator[Any]:
        """Each item anew."""
        return map(self._unpacked, self.items)


def _again(serializer: Serializer, items: list[Packed], returned: Packed) -> Stream:
    made = Stream(serializer)
    made.items, made.given = items, len(items)
    made.returned = serializer.loads(returned[0], [bytearray(each) for each in returned[1]])
    return made


class _Whole(Stream):
    """A generator's items as one list, for who wants them all at once: what cannot be kept is still there."""

    live = True

    def __init__(self, serializer: Serializer | None, *, keep: bool) -> None:
        super().__init__(serializer, keep=keep)
        self.all: list[Any] = []

    def add(self, item: Any) -> None:
        """Take an item."""
        super().add(item)
        self.all.append(item)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all)


class StreamSlot(TaskSlot):
    """The slot of a generator: an entry holds the bytes of each item."""

    def __init__(  # noqa: PLR0913, PLR0917 - a slot's, and how items become bytes
        self,
        store: Store,
        key: str,
        task: str,
        identity: Identity,
        values: tuple[Any, ...],
        serializer: Serializer | None,
    ) -> None:
        super().__init__(store, key, task, identity, values)
        self._items = serializer or PICKLE

    def load(self, command: Load) -> Stream:
        """The items of an entry, not unpacked yet.

        Raises:
            DamagedError: They were written in another way than this task asks for.
        """
        found: Stream = super().load(command)
        if found.serializer.name != self._items.name:
            raise DamagedError(f"its items were kept by {found.serializer.name}, and {self._items.name} is asked for")
        return found

    def save(self, command: Save, *keeper: Any) -> int:
        """Keep what was yielded, if all of it was."""
        unfit = command.outcome.value.unfit
        if unfit:
            raise NbflowError(unfit)
        return super().save(command, *keeper)


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
        try:
            with self._around():
                return call_within(partial(_resumed, how), within)  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001 - whatever it is, the plan decides about it
            return Err(own_frames(error))

    async def _arun(self, how: Callable[[], Any], within: float | None) -> "Item | Over | Err":
        try:
            with self._around():
                return await await_within(partial(_aresumed, how), within)  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001 - as above
            return Err(own_frames(error))

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


# All at once


def collected(body: Callable[[], Any], serializer: Serializer | None, keep: bool) -> Any:  # noqa: FBT001 - it travels to workers
    """Go through a generator to its end; of an asynchronous one a coroutine."""
    source = body()
    return _acollect(source, serializer, keep) if hasattr(source, "asend") else _collect(source, serializer, keep)


def _collect(source: Iterable[Any], serializer: Serializer | None, keep: bool) -> Stream:  # noqa: FBT001 - as above
    made, items = _Whole(serializer, keep=keep), iter(source)
    while True:
        try:
            made.add(next(items))
        except StopIteration as stop:
            made.returned = stop.value
            return made


async def _acollect(source: AsyncIterable[Any], serializer: Serializer | None, keep: bool) -> Stream:  # noqa: FBT001 - as above
    made = _Whole(serializer, keep=keep)
    async for item in source:
        made.add(item)
    return made


def listed(plan: Plan) -> Plan:
    """A step whose value is all items as a list."""
    outcome = yield from plan
    return Ok(list(outcome.value), outcome.touched) if isinstance(outcome, Ok) else outcome
