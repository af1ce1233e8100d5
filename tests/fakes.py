"""Worlds for tests: a clock that moves only when somebody sleeps, and a step's hands without disk or threads."""

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Any

from nbflow.bus import Bus
from nbflow.clock import Clock
from nbflow.events import Event
from nbflow.step import commands as c

__all__ = ["FakeClock", "FakeWorld", "kinds"]

PATIENCE = 20.0  # real seconds after which a test that waits for another thread has failed


class FakeClock(Clock):
    """Time that moves when somebody sleeps or a test advances it; `slept` lists what was asked for, in order.

    Args:
        draws: What `draw` gives, in turn and then again from the start.
        auto: Whether a wait without a worker (`after`) is over at once, as a sleep is; else `advance` ends it.
    """

    def __init__(self, *, draws: Iterable[float] = (0.5,), auto: bool = False) -> None:
        super().__init__()
        self.now, self.epoch, self.auto = 0.0, 1_800_000_000.0, auto
        self.slept: list[float] = []
        self._waits: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self.time = lambda: self.epoch + self.now
        self.monotonic = lambda: self.now
        self.sleep = self._sleep
        self.draw = itertools.cycle(draws).__next__

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self.slept.append(seconds)
            self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self._sleep(seconds)
        await asyncio.sleep(0)

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        with self._changed:
            self.slept.append(seconds)
            if self.auto:
                self.now += seconds
            else:
                heapq.heappush(self._waits, (self.now + seconds, next(self._order), callback))
            self._changed.notify_all()
        if self.auto:
            callback()

    def wait_parked(self, count: int) -> None:
        """Wait, in real time, until so many waits are pending."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._waits) >= count, PATIENCE), f"{len(self._waits)} parked"

    def advance(self, seconds: float) -> None:
        """Move time on and end the waits that are due."""
        with self._changed:
            self.now += seconds
            due = []
            while self._waits and self._waits[0][0] <= self.now:
                due.append(heapq.heappop(self._waits)[2])
        for callback in due:
            callback()


class FakeWorld:
    """What performs a plan's commands in a test; it can be driven in a thread, in a loop and by a pool's job.

    Args:
        script: What each attempt does: an exception is raised, a callable called, anything else returned.
        costs: Seconds that each attempt takes, in turn; the last one repeats.
        seen: What the look behind the lock finds.
        load: What loading gives, or an exception.
        save: Bytes that saving gives, or an exception.
        touched: What every attempt is seen to touch.
    """

    def __init__(  # a world has many sides
        self,
        *script: Any,
        costs: Iterable[float] = (0.0,),
        seen: c.Seen = c.Seen("no entry"),
        load: Any = None,
        save: Any = 1,
        touched: frozenset[str] = frozenset(),
        clock: FakeClock | None = None,
    ) -> None:
        self.script, self.costs = list(script), list(costs)
        self.seen, self.loaded, self.size, self.touched = seen, load, save, touched
        self.clock = clock or FakeClock(auto=True)
        self.events: list[Event] = []
        self.asked: list[c.Command] = []
        self.saved: list[Any] = []
        self.calls = 0
        self.bus = Bus(self.events.append)
        self.slot = self
        self.holder = False
        self.waiting: list[Callable[[], object]] = []

    def hands(self, *driver: type) -> dict[type, Callable[[Any], Any]]:
        """All commands but the driver's own."""
        hands: dict[type, Callable[[Any], Any]] = {
            c.Now: lambda _: (self.clock.time(), self.clock.monotonic()),
            c.Draw: lambda _: self.clock.draw(),
            c.Claim: lambda _: None,
            c.Look: lambda _: self.seen,
            c.Load: lambda _: _give(self.loaded),
            c.Call: self.call,
            c.Sleep: lambda command: self.clock.sleep(command.seconds),
            c.Save: self.save,
            c.Tell: lambda command: self.bus.tell(command.event),
        }
        return {kind: self._noting(perform) for kind, perform in hands.items() if kind not in driver}

    def _noting(self, perform: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def noting(command: c.Command) -> Any:
            self.asked.append(command)
            return perform(command)

        return noting

    def awaited(self) -> dict[type, Callable[[Any], Any]]:
        """The commands that an event loop performs."""

        async def claim(_: c.Claim) -> None:
            await asyncio.sleep(0)

        async def call(command: c.Call) -> c.Outcome:
            await asyncio.sleep(0)
            return self.call(command)

        async def sleep(command: c.Sleep) -> None:
            await self.clock.asleep(command.seconds)

        return {c.Claim: claim, c.Call: call, c.Sleep: sleep}

    def try_claim(self, *, wait: bool = False) -> bool:
        """Whether the key is this step's: not while a test has made somebody else its `holder`."""
        return not self.holder

    def when_free(self, callback: Callable[[], object]) -> None:
        """Remember who waits for the key."""
        self.waiting.append(callback)

    def free(self) -> None:
        """The holder lets go of the key."""
        self.holder = False
        while self.waiting:
            self.waiting.pop()()

    def close(self) -> None:
        """Nothing is held."""

    def call(self, command: c.Call) -> c.Outcome:
        """One attempt."""
        step = self.script[min(self.calls, len(self.script) - 1)]
        self.clock.now += self.costs[min(self.calls, len(self.costs) - 1)]
        self.calls += 1
        try:
            return c.Ok(_give(step), self.touched)
        except Exception as error:
            return c.Err(error)

    def save(self, command: c.Save) -> int:
        """Keep the value in a list."""
        size: int = _give(self.size)
        self.saved.append(command.outcome.value)
        return size


def _give(thing: Any) -> Any:
    if isinstance(thing, BaseException):
        raise thing
    return thing() if callable(thing) else thing


def kinds(events: Iterable[Event]) -> list[str]:
    """The kinds of events, as words."""
    return [type(event).__name__ for event in events]
