"""Worlds for tests: a step's hands without disk or threads, on the clock that users have for their tests."""

import asyncio
from collections.abc import Callable, Iterable
from inspect import isawaitable
from typing import Any

from nbflow.bus import Bus
from nbflow.events import Event
from nbflow.step import commands as c
from nbflow.testing import Events, FakeClock

__all__ = ["FakeClock", "FakeWorld", "kinds"]


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
        self.away = None
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
            c.Ask: lambda command: command.question(*command.about),
            c.Sleep: lambda command: self.clock.sleep(command.seconds),
            c.Save: self.save,
            c.Tell: lambda command: self.bus.tell(command.event),
        }
        return {kind: self._noting(perform) for kind, perform in hands.items() if kind not in driver}

    def _noting(self, perform: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def noting(command: c.Command) -> Any:
            self.asked.append(command._replace(about=()) if isinstance(command, c.Ask) else command)  # holds no error
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

        async def ask(command: c.Ask) -> Any:
            answer = command.question(*command.about)
            return await answer if isawaitable(answer) else answer

        return {c.Claim: claim, c.Call: call, c.Ask: ask, c.Sleep: sleep}

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
    return Events(events).kinds()
