"""The items of a generator as they are kept: each in bytes of its own, as it was when it was yielded."""

from collections.abc import Callable, Iterator
from typing import Any

from nbflow.errors import DamagedError, NbflowError, UnstorableError
from nbflow.logs import warn
from nbflow.step.commands import Load, Ok, Save
from nbflow.step.plan import Plan
from nbflow.store import Store
from nbflow.store.serializers import PICKLE, Serializer
from nbflow.tasks.call import TaskSlot
from nbflow.tasks.identity import Identity

__all__ = ["Stream", "StreamSlot", "acollected", "collected", "listed"]

Packed = tuple[bytes, list[bytes]]

_MOST = 1 << 30
"""Bytes of items that are held to be kept; a generator that yields more is not kept."""


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

    def __reduce__(self) -> tuple[Any, ...]:
        """From a worker, what cannot be kept travels as it is."""
        return (_as_it_is, (self.all, self.returned, self.unfit)) if self.unfit else super().__reduce__()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.all)


def _as_it_is(items: list[Any], returned: Any, unfit: str) -> _Whole:
    made = _Whole(None, keep=False)
    made.all, made.returned, made.unfit, made.given = items, returned, unfit, len(items)
    return made


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


# All at once


def collected(body: Callable[[], Any], serializer: Serializer | None, keep: bool) -> Stream:  # noqa: FBT001 - it travels to workers
    """Go through a generator to its end."""
    made, items = _Whole(serializer, keep=keep), iter(body())
    while True:
        try:
            made.add(next(items))
        except StopIteration as stop:
            made.returned = stop.value
            return made


async def acollected(body: Callable[[], Any], serializer: Serializer | None, keep: bool) -> Stream:  # noqa: FBT001 - as above
    """The same with an asynchronous one; a coroutine function, so that a worker runs it in a loop."""
    made = _Whole(serializer, keep=keep)
    async for item in body():
        made.add(item)
    return made


def listed(plan: Plan) -> Plan:
    """A step whose value is all items as a list."""
    outcome = yield from plan
    return Ok(list(outcome.value), outcome.touched) if isinstance(outcome, Ok) else outcome
