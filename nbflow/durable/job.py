"""A job: items, which of them are done, and their values. What a user holds while a checkpoint is worked at."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeVar

from nbflow.durable.fanout import fan_out
from nbflow.durable.items import Items
from nbflow.durable.kept import Kept
from nbflow.durable.ledger import ledger_of
from nbflow.durable.marks import forget
from nbflow.durable.turns import Turn, Turns, turn_at
from nbflow.errors import ConfigurationError, InterfaceError, StoreError, UnstorableError
from nbflow.logs import warn
from nbflow.session import session
from nbflow.store import Draft

if TYPE_CHECKING:
    from nbflow.task_runners import TaskRunner

__all__ = ["Job", "checkpoint"]

T = TypeVar("T")
_MOST_SHOWN: Final = 3


class Job(Kept, Generic[T]):
    """A loop that goes on where it stopped. Made by `checkpoint`.

    Loop over it, or use it in a `with` statement and loop over it there, with `async` or without; or let it `map`.

    Attributes:
        name: What it is known by.
        chunk_size: How many items the loop gets at a time, as a list; None: one, as it is.
        step: Its number in the panel, None before it began.
    """

    def __init__(
        self, name: str, items: Iterable[T], key: Callable[[T], Any] | None = None, chunk_size: int | None = None
    ) -> None:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"checkpoint({name!r}, ...): give the job a name, the same one each time")
        if chunk_size is not None and (
            isinstance(chunk_size, bool) or not isinstance(chunk_size, int) or chunk_size < 1
        ):
            raise ConfigurationError(f"chunk_size={chunk_size!r}: give a whole number, 1 or more")
        if key is not None and not callable(key):
            raise ConfigurationError(f"key={key!r}: give a function from an item to what tells it apart")
        super().__init__(name, Items(items, key))
        self.chunk_size = chunk_size
        self._within = 0

    def __repr__(self) -> str:
        return f"<Job {self.name} {self._progress()}>" if self._version is not None else f"<Job {self.name}>"

    # Working at it

    def lock(self, key: bytes) -> str:
        """What whoever is at an item claims."""
        return self._entry((key,)).hex()

    def claim(self, lock: str, turn: Turn, *, wait: bool) -> bool:
        """Whether an item is a turn's own now. Without a store everyone goes on."""
        return self._store is None or self._store.claim(lock, turn, wait=wait)

    def release(self, lock: str, turn: Turn) -> None:
        """Give an item up."""
        if self._store is not None:
            self._store.release(lock, turn)

    def save(self, value: Any) -> None:
        """Keep the value of the item that the loop is at, and mark it; of a chunk, as many values as it has items.

        What the store cannot take for lack of room or rights is remembered here, with one warning, and is not marked.

        Raises:
            UnstorableError: It cannot be pickled; the message says which item and why.
            InterfaceError: No loop is at an item here, or the values of a chunk are too few or too many.
        """
        turn = turn_at(self)
        if turn is None:
            raise InterfaceError(f"save() of the job {self.name!r} belongs into the body of a loop over it")
        self.commit(turn, value)

    def commit(self, turn: Turn, value: Any) -> None:
        """Keep what a turn came to."""
        values = self._values(turn, value)
        entry = self._entry(turn.keys)
        turn.saved = True
        took, kept = time.perf_counter() - turn.began, value if values is None else values
        try:
            self._keep(
                turn.keys, Draft(entry.hex(), self.name, kept, took, (), {}, session.clock.time()), values is None
            )
        except UnstorableError as error:
            turn.saved = False
            raise UnstorableError(f"{self._called(turn)} of the job {self.name!r}: {error}", error.path) from error
        except StoreError as error:
            warn(str(error))
            self._kept |= {turn.keys[0]: value} if values is None else dict(zip(turn.keys, values, strict=True))
        self._left(turn.keys)

    def _keep(self, keys: Sequence[bytes], draft: Draft, whole: bool) -> None:  # noqa: FBT001 - as `Marks.put`
        if self._store is None or self._marks is None:
            raise StoreError(f"the values of the job {self.name!r} are not kept: there is no store for them")
        self._store.save(draft)
        if session.durability == "power":
            self._store.sync(draft.key)
        self._marks.put(keys, bytes.fromhex(draft.key), whole=whole)

    def _values(self, turn: Turn, value: Any) -> Any:
        """The values of a chunk, one for each item; None where there is no chunk."""
        if self.chunk_size is None:
            return None
        try:
            count = len(value)
            values = value if isinstance(value, (list, tuple)) or type(value).__name__ == "ndarray" else list(value)
        except TypeError:
            count, values = -1, ()
        if count != len(turn.keys) or len(values) != count:
            what = type(value).__name__ if count < 0 else f"{type(value).__name__} of {len(values)}"
            raise InterfaceError(f"a chunk of {len(turn.keys)} items has as many values, in a list: got a {what}")
        return values

    def _called(self, turn: Turn) -> str:
        places = [self.items.order.index(key) for key in turn.keys[:_MOST_SHOWN]]
        more = ", …" if len(turn.keys) > _MOST_SHOWN else ""
        return f"item{'s' * (len(turn.keys) > 1)} {', '.join(map(str, places))}{more}"

    def mark(self, turn: Turn) -> None:
        """A body came to its end and saved nothing: its items are done."""
        marks = self._marks
        if marks is not None:
            self._try(lambda: marks.put(turn.keys, None, whole=False))
        self._left(turn.keys)

    def _left(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self.items.left.pop(key, None)
        self.tell()

    # Loops

    def __iter__(self) -> Iterator[Any]:
        self.begin(b"")
        return Turns(self)

    def __aiter__(self) -> Turns:
        self.begin(b"")
        return Turns(self)

    def begin(self, version: bytes) -> None:
        """Another round of work by this version begins."""
        self.start(version)
        self._refresh()
        marks = self._marks
        if marks is not None and not self._try(lambda: marks.enter(self.items.total, session.clock.time())):
            self._marks = None
        self._shown.begin(self._progress())

    def __enter__(self) -> Self:
        self._within += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self._within -= 1
        if not self._within:
            self._shown.end(self._progress(), error)
        return False

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        return self.__exit__(kind, error, trace)

    def loop_ended(self) -> None:
        """A loop has come to its end."""
        if not self._within:
            self._shown.end(self._progress(), None)

    loop_left = loop_ended

    def map(
        self,
        fn: Callable[..., Any],
        *,
        task_runner: "TaskRunner | None" = None,
        version: str | None = None,
        errors: Literal["raise", "skip", "return"] = "raise",
        on_error: Literal["continue", "stop"] = "continue",
    ) -> list[Any]:
        """The value of a function for each item, in the order of the items; those that are done come from the store.

        What is done is done for this version of the function's code, with all that it reaches: an edited one begins
        anew. Every item that can be done is done and kept before the first failure is raised.

        Args:
            fn: Gets an item, or with a `chunk_size` a list of items and gives as many values; a task is run as one.
            task_runner: Where; by default as for `submit`.
            version: Names the version, in place of the code.
            errors: `raise` the first failure in the order of items, with a note for each of the others; `skip` items
                that failed; `return` the exceptions in their places.
            on_error: `stop` begins no further item after a failure; those that run still end, and are kept.
        """
        return fan_out(self, fn, task_runner, version, errors, on_error)

    def clear(self) -> int:
        """Let none of its items be done, whatever version did them; how many were. Values go with `nbflow clear`."""
        store = session.store_or_none()
        self._version = None
        return 0 if store is None else forget(ledger_of(store, session.durability), self.name)


def checkpoint(
    name: str, items: Iterable[T], *, key: Callable[[T], Any] | None = None, chunk_size: int | None = None
) -> Job[T]:
    """A loop that goes on where it stopped, after an error, an interrupt, or `kill -9`.

    For effects, loop over it: each item is marked after its body; what is left by `break`, `return` or an error is not.
    For values, save them in the loop, or let it `map`. Items are told apart by their content: a list that has grown, or
    is in another order, runs only what is new, and equal items are one. Processes that share a store share the items.

    >>> sent = []
    >>> for city in checkpoint("post", ["Oslo", "Rome"]):
    ...     sent.append(city)
    >>> for city in checkpoint("post", ["Oslo", "Rome", "Lima"]):
    ...     sent.append(city)
    >>> sent
    ['Oslo', 'Rome', 'Lima']

    >>> with checkpoint("measure", ["Oslo", "Bergen"], chunk_size=50) as job:
    ...     for chunk in job:
    ...         job.save([len(city) for city in chunk])
    ...     job.results()
    [4, 6]

    >>> checkpoint("measure too", ["Oslo", "Bergen"]).map(len)
    [4, 6]

    Args:
        name: What it is known by, the same after a restart.
        items: An iterator is taken from as the loop goes on.
        key: What an item is known by instead of its content, such as a number that it has.
        chunk_size: How many items the body gets at a time, in a list.
    """
    return Job(name, items, key, chunk_size)
