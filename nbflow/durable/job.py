"""A job: items, which of them are done, and their values. What a user holds while a checkpoint is worked at."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, Self, TypeVar

from nbflow.durable.fanout import fan_out
from nbflow.durable.items import Items
from nbflow.durable.ledger import Ledger, ledger_of
from nbflow.durable.marks import Mark, Marks, forget, latest
from nbflow.durable.shown import Shown
from nbflow.durable.turns import Turn, Turns, turn_at
from nbflow.errors import ConfigurationError, DamagedError, InterfaceError, LedgerError, StoreError, UnstorableError
from nbflow.logs import warn
from nbflow.session import session
from nbflow.store import Draft, Store

if TYPE_CHECKING:
    from nbflow.task_runners import TaskRunner

__all__ = ["Job", "Progress", "checkpoint"]

T = TypeVar("T")
_MOST_SHOWN: Final = 3


class Progress(NamedTuple):
    """How many items of a job are done, of how many; `str` of it is `37/100`, `float` of it 0.37.

    `total` is None while an iterator has not come to its end: then it is `37 done`, and no share.
    """

    done: int
    total: int | None

    def __str__(self) -> str:
        return f"{self.done:,} done" if self.total is None else f"{self.done:,}/{self.total:,}"

    def __float__(self) -> float:
        return float("nan") if self.total is None else self.done / self.total if self.total else 1.0


class Job(Generic[T]):
    """A loop that goes on where it stopped. Made by `checkpoint`.

    Loop over it, or use it in a `with` statement and loop over it there, with `async` or without; or let it `map`.

    Attributes:
        name: What it is known by.
        chunk_size: How many items the loop gets at a time, as a list; None: one, as it is.
        step: Its number in the panel, 0 before it began.
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
        self.name, self.chunk_size = name, chunk_size
        self.items = Items(items, key)
        self._store: Store | None = None
        self._ledger: Ledger | None = None
        self._marks: Marks | None = None
        self._version: bytes | None = None
        self._kept: dict[bytes, Any] = {}
        """Values that the store would not take."""
        self._starting = threading.RLock()
        self._within = 0
        self._shown = Shown(name)

    def __repr__(self) -> str:
        return f"<Job {self.name} {self._progress()}>" if self._version is not None else f"<Job {self.name}>"

    # What is done

    def start(self, version: bytes) -> None:
        """Learn what is done of the items, as a certain version of the work did it. Costs no write.

        Raises:
            LedgerError: The ledger is damaged: running what may be done already is not safe.
        """
        with self._starting:
            if self._version != version:
                self._start(version)
                self._version = version

    def _start(self, version: bytes) -> None:
        self.items.come()
        self._kept, self._head = {}, self._spelled(version)
        self._store, self._marks = session.store_or_none(), None
        if self._store is not None:
            self._ledger = ledger_of(self._store, session.durability)
            marks = Marks(self._ledger, self.name, version)
            if self._try(marks.load):
                self._marks = marks
                self._check()
        self.items.again()
        self._settle()

    def _try(self, work: Callable[[], object]) -> bool:
        """Use the ledger; what the disk refuses costs one warning, and a rerun some day."""
        try:
            work()
        except LedgerError:
            raise
        except StoreError as error:
            warn(f"the job {self.name!r} cannot be resumed: {error}")
            return False
        return True

    def _settle(self) -> None:
        """Of the items that have come, those that are known to be done are not left."""
        left = self.items.left
        if self._marks is not None:
            done = left.keys() & self._marks.known.keys()
            if len(done) == len(left):
                left.clear()
            else:
                for key in done:
                    left.pop(key, None)

    def _check(self) -> None:
        """Values that are gone from the store make their items undone."""
        marks, store = self._marks, self._store
        assert marks is not None
        assert store is not None
        if any(mark.entry is not None for mark in marks.known.values()):
            there = store.keys(self.name)
            gone = [
                key for key, mark in marks.known.items() if mark.entry is not None and mark.entry.hex() not in there
            ]
            self._undo(gone, "gone from the store")

    def _undo(self, keys: Sequence[bytes], why: str) -> None:
        """Items whose values cannot be had are not done after all."""
        if keys and self._marks is not None:
            known = self._marks.known
            lost = [key for key in keys if key in known]
            self._try(partial(self._marks.drop, lost))
            for key in lost:
                known.pop(key, None)
                self.items.again(key)
            count = "1 value" if len(lost) == 1 else f"{len(lost):,} values"
            warn(f"{count} of the job {self.name!r} {'is' if len(lost) == 1 else 'are'} {why}: run again")

    def is_done(self, key: bytes) -> bool:
        """Whether an item is done by now, whoever did it."""
        marks = self._marks
        if key not in self.items.left:
            return True
        if marks is None or not (key in marks.known or self._has(marks, key)):
            return False
        self.items.left.pop(key, None)
        self.tell()
        return True

    def _has(self, marks: Marks, key: bytes) -> bool:
        found: list[bool] = []
        return self._try(lambda: found.append(marks.has(key))) and found[0]

    def _refresh(self) -> None:
        """Learn what others did meanwhile."""
        if self._version is None:
            store = session.store_or_none()
            self.start(b"" if store is None else latest(ledger_of(store, session.durability), self.name))
        elif self._marks is not None:
            self._try(self._marks.load)
        self._settle()

    @property
    def done(self) -> int:
        """How many items are done: here, in other processes, before a restart."""
        return self.progress.done

    @property
    def remaining(self) -> int | None:
        """How many are not; None while an iterator has not come to its end."""
        done, total = self.progress
        return None if total is None else total - done

    @property
    def progress(self) -> Progress:
        """Both: `37/100`."""
        self._refresh()
        return self._progress()

    def _progress(self) -> Progress:
        items, left = self.items, len(self.items.left)
        return Progress(len(items.known) - left - len(self._kept), items.total)

    # Working at it

    def claim(self, key: bytes, turn: Turn, *, wait: bool) -> bool:
        """Whether an item is a turn's own now. Without a store everyone goes on."""
        return self._store is None or self._store.claim(self._entry((key,)).hex(), turn, wait=wait)

    def release(self, key: bytes, turn: Turn) -> None:
        """Give an item up."""
        if self._store is not None:
            self._store.release(self._entry((key,)).hex(), turn)

    def _entry(self, keys: Sequence[bytes]) -> bytes:
        """What the values of items are kept under."""
        return blake2b(b"".join((self._head, *keys)), digest_size=16, person=b"nbflow value").digest()

    def _spelled(self, version: bytes) -> bytes:
        name = self.name.encode("utf-8", "surrogatepass")
        return b"%d:%b%d:%b" % (len(name), name, len(version), version)

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

    # Values

    def results(self, *, partial: bool = False) -> list[Any]:
        """The values of all items, old and new, in the order of the items; None for one that was done without a value.

        Args:
            partial: Leave out items that are not done.

        Raises:
            InterfaceError: Some items are not done.
            DamagedError: Some values are damaged or gone; their items are not done any more.
        """
        self._refresh()
        self.items.all()
        self._settle()
        if self.items.left and not partial:
            raise InterfaceError(f"the job {self.name!r} has come to {self._progress()}: loop over it until its end")
        found, lost = self.values()
        if lost:
            raise DamagedError(f"{len(lost):,} values of the job {self.name!r} are damaged or gone: loop over it again")
        return [found[key] for key in self.items.order if key in found]

    def values(self) -> tuple[dict[bytes, Any], list[bytes]]:
        """The values of the items that are done, by key, and the items whose values turned out to be damaged."""
        found: dict[bytes, Any] = {}
        lost: list[bytes] = []
        chunks: dict[bytes, Any] = {}
        known = {} if self._marks is None else self._marks.known
        for key in self.items.known:
            mark = known.get(key)
            try:
                if mark is not None:
                    found[key] = self._value(mark, chunks)
                elif key in self._kept:
                    found[key] = self._kept[key]
            except StoreError:
                lost.append(key)
        self._undo(lost, "damaged or gone from the store")
        return found, lost

    def _value(self, mark: Mark, chunks: dict[bytes, Any]) -> Any:
        if mark.entry is None:
            return None
        if mark.place < 0:
            return self._load(mark.entry)
        if mark.entry not in chunks:
            chunks[mark.entry] = self._load(mark.entry)
        return chunks[mark.entry][mark.place]

    def _load(self, entry: bytes) -> Any:
        assert self._store is not None
        found = self._store.find(entry.hex())
        if not found:
            raise DamagedError("it is gone")
        return self._store.load(found[0])

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

    @property
    def step(self) -> int | None:
        """Its number in the panel; None before it began."""
        return self._shown.step

    def tell(self) -> None:
        """Let the panel know how far it has come."""
        self._shown.tell(self._progress)

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

        for doc in checkpoint("send-2026-11", docs, key=lambda doc: doc.id):
            send(doc)

        with checkpoint("embed", docs, chunk_size=50) as job:
            for chunk in job:
                job.save([embed(doc) for doc in chunk])
            vectors = job.results()

        vectors = checkpoint("embed", docs).map(embed)

    Args:
        name: What it is known by, the same after a restart.
        items: An iterator is taken from as the loop goes on.
        key: What an item is known by instead of its content, such as a number that it has.
        chunk_size: How many items the body gets at a time, in a list.
    """
    return Job(name, items, key, chunk_size)
