"""One turn at a job after the other: an item is claimed, worked at outside, marked, given up.

Items are shared with all who are at the job, in this process or others, by the locks that the store's keys have: what
somebody else is at is left for the end, and waited for then, so that after a loop all is done. A lock is free when its
holder dies.

A turn ends when the loop asks for the next one. A loop that is left (`break`, `return`, an error) lets go of its
iterator at once, whatever happens to its frame, and so ends its turn unmarked.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from nbflow.context import Here, here
from nbflow.durable.items import Items
from nbflow.futures.future import blocking

if TYPE_CHECKING:
    from nbflow.durable.job import Job

__all__ = ["Turn", "Turns", "turn_at"]

_LONGEST: Final = 0.25


class Turn:
    """Some items that are this turn's own until it ends.

    Attributes:
        job: Whose they are.
        keys: Of the items.
        given: What the loop's body gets: the item, or a list of items.
        began: When the body did, in monotonic seconds.
        saved: Whether the items are marked already, or shall not be.
        task: The job's name, for whoever waits for it.
        parent: The turn, or the place in the store, around this one: waiting for one of these would be for ever.
    """

    __slots__ = ("__weakref__", "_locks", "_outer", "began", "given", "job", "keys", "parent", "saved", "task")

    def __init__(self, job: "Job[Any]") -> None:
        self.job, self.task = job, job.name
        self.keys: list[bytes] = []
        self._locks: dict[bytes, str] = {}
        self.parent: Any = here.get().slot
        self._outer = Here()
        self.given: Any = None
        self.saved = False

    def claim(self, key: bytes, *, wait: bool = False) -> bool:
        """Whether an item is this turn's now; it may be done."""
        lock = self._locks[key] = self.job.lock(key)  # first, so that an interrupt leaves no claim that `end` misses
        if not self.job.claim(lock, self, wait=wait):
            del self._locks[key]
            return False
        self.keys.append(key)
        return True

    def look(self) -> int:
        """Let go of items that turn out to be done, which nobody can change once they are claimed; how many are left.

        One look-up for all of them: one for each would cost more than its claim.
        """
        for key in self.job.done_of(self.keys):
            self.keys.remove(key)
            self.job.release(self._locks.pop(key), self)
        return len(self.keys)

    def begin(self) -> "Turn":
        """Say what the body gets."""
        values = [self.job.items.left[key] for key in self.keys]
        self.given = values[0] if self.job.chunk_size is None else values
        self.began = time.perf_counter()
        return self

    def enter(self) -> None:
        """From here on this thread, or this task of an event loop, is at the turn."""
        self._outer = here.get()
        here.set(self._outer._replace(step=self.job.step, slot=self))

    def leave(self) -> None:
        """And from here on no more. Of two loops that go on by turns (`zip`) the one that began first leaves first."""
        inner: Any = here.get().slot
        if inner is self:
            here.set(self._outer)
            return
        while inner is not None and inner.parent is not self:
            inner = inner.parent
        if isinstance(inner, Turn):
            inner.parent, inner._outer = self.parent, self._outer  # noqa: SLF001 - it is one of us

    def end(self) -> None:
        """Give the items up."""
        self.keys.clear()
        while self._locks:
            self.job.release(self._locks.popitem()[1], self)


class Turns:
    """A loop over the items of a job that are not done, for `for` and for `async for`."""

    def __init__(self, job: "Job[Any]") -> None:
        self._job = job
        self._ahead = _ahead(job.items)  # knows nothing of this loop: in a circle it would outlive its own `break`
        self._elsewhere: list[bytes] = []
        self._turn: Turn | None = None
        self._over = False

    # for

    def __iter__(self) -> "Turns":
        return self

    def __next__(self) -> Any:
        self._done()
        turn = self.take()
        while turn is None:
            if not self._elsewhere:
                self._end()
                raise StopIteration
            turn = self.wait()
        return self._open(turn)

    # async for

    def __aiter__(self) -> "Turns":
        return self

    async def __anext__(self) -> Any:
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        self._done()
        turn, pause = self.take(), 0.002
        while turn is None:
            if not self._elsewhere:
                self._end()
                raise StopAsyncIteration
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST)
            turn = self.take()
        return self._open(turn)

    # Both

    def take(self) -> Turn | None:
        """A turn at what is free now; None where there is nothing, perhaps because others are at all that is left."""
        turn, size = Turn(self._job), self._job.chunk_size or 1
        try:
            if not self._fill(turn, self._ahead, size):
                later, self._elsewhere = iter(self._elsewhere), []
                self._fill(turn, later, size)
                self._elsewhere += later
        except BaseException:
            turn.end()
            raise
        return turn.begin() if turn.keys else None

    def _fill(self, turn: Turn, keys: Iterator[bytes], size: int) -> int:
        """Claim what is free, up to so many items that are not done; how many there are."""
        for key in keys:
            if key in self._job.items.left and not turn.claim(key):
                self._elsewhere.append(key)
            if len(turn.keys) == size and turn.look() == size:
                return size
        return turn.look() if turn.keys else 0

    def wait(self) -> Turn | None:
        """Wait for the first of the items that others are at: a turn at it, or None where it is done now."""
        turn, key = Turn(self._job), self._elsewhere.pop(0)
        if key not in self._job.items.left:
            return None
        try:
            with blocking.get()():
                turn.claim(key, wait=True)
            turn.look()
        except BaseException:
            turn.end()
            raise
        return turn.begin() if turn.keys else None

    @property
    def waits(self) -> bool:
        """Whether others are at items that this loop has not seen done."""
        return bool(self._elsewhere)

    def _open(self, turn: Turn) -> Any:
        self._turn = turn
        turn.enter()
        return turn.given

    def _done(self) -> None:
        """The body has come to its end."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.leave()
            try:
                if not turn.saved:
                    self._job.mark(turn)
            finally:
                turn.end()

    def _end(self) -> None:
        self._over = True
        self._job.loop_ended()

    def close(self) -> None:
        """The loop was left: its turn is none."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.leave()
            turn.end()
        if not self._over:
            self._over = True
            self._job.loop_left()

    def __del__(self) -> None:
        with suppress(Exception):  # the interpreter may be on its way out
            self.close()


def _ahead(items: Items) -> Iterator[bytes]:
    """Keys of the items that are left, of those that still come, and of those that came to others meanwhile."""
    offered = set[bytes]()
    for more in (True, False):
        for key in list(items.left):
            if key not in offered:
                offered.add(key)
                yield key
        while more and (key := items.pull()) is not None:  # type: ignore[assignment]
            if key not in offered:
                offered.add(key)
                yield key


def turn_at(job: object) -> Turn | None:
    """The turn of a job that runs here, around whatever else does."""
    turn: Any = here.get().slot
    while turn is not None and getattr(turn, "job", None) is not job:
        turn = getattr(turn, "parent", None)
    return turn  # type: ignore[no-any-return]
