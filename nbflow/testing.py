"""For tests of your own tasks: waits that take no time, fewer attempts, no store, and what happened as a list.

    from nbflow import task, testing

    @task(retries=5, retry_delay_seconds=[5, 10, 20, 30, 60])
    def fetch(url): ...

    def test_fetch_is_patient(server):
        with testing.instant() as clock, testing.recorded() as events:
            assert fetch(server.url) == "ok"             # two failures, then it works: no test waits 15 s for that
        assert clock.slept == [5, 10]
        assert events.kinds() == ["Began", "Missed", "Started", "Waiting", "Started", "Waiting", "Started", "Completed"]

Clock and sinks are those of the whole process while their block lasts; `at_most` and `disabled` hold for what is called
and submitted within their block, in whatever thread or task that runs, and for nothing else.
"""

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from nbflow.clock import Clock
from nbflow.errors import ConfigurationError
from nbflow.events import Event
from nbflow.session import session
from nbflow.step.policy import DISABLED, Bounds, bounds

__all__ = ["Events", "FakeClock", "at_most", "disabled", "instant", "recorded"]

_PATIENCE = 20.0  # real seconds after which a test that waits for another thread has failed


class FakeClock(Clock):
    """Time that moves when somebody sleeps, or when a test advances it.

    Args:
        draws: What `draw`, the chance in jitter, gives: in turn and then again from the start.
        auto: Whether a wait of a submitted step is over at once, as a sleep is; else `advance` ends it.

    Attributes:
        now: Seconds that have passed.
        slept: What was asked for, in order.

    >>> clock = FakeClock()
    >>> clock.sleep(90)
    >>> clock.slept, clock.monotonic()
    ([90], 90.0)
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
        """As `sleep`; other tasks of the loop have their turn."""
        self._sleep(seconds)
        await asyncio.sleep(0)

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call back when so many seconds have passed: now if `auto` is set, else when `advance` gets there."""
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
            if not self._changed.wait_for(lambda: len(self._waits) >= count, _PATIENCE):
                raise AssertionError(f"{len(self._waits)} waits are pending, not {count}")

    def advance(self, seconds: float) -> None:
        """Move time on and end the waits that are due."""
        with self._changed:
            self.now += seconds
            due = []
            while self._waits and self._waits[0][0] <= self.now:
                due.append(heapq.heappop(self._waits)[2])
        for callback in due:
            callback()


class Events(list[Event]):
    """What happened, in order."""

    def kinds(self) -> list[str]:
        """The kinds of all events, as words.

        >>> from nbflow.events import Completed
        >>> Events([Completed(1, 0.0, 2.5, 80)]).kinds()
        ['Completed']
        """
        return [type(event).__name__ for event in self]

    def of(self, *kinds: type) -> list[Any]:
        """Those of some kinds, such as `nbflow.events.Waiting`."""
        return [event for event in self if type(event) in kinds]


@contextmanager
def instant(clock: FakeClock | None = None) -> Iterator[FakeClock]:
    """While it lasts, waits of steps take no time and are listed in `slept` of the clock that this gives.

    A deadline counts the time that would have passed; code of the user's own that sleeps does sleep.

    >>> from nbflow import task
    >>> calls = []
    >>> @task(retries=3, retry_delay_seconds=[60, 300], persist_result=False)
    ... def flaky():
    ...     calls.append(1)
    ...     if len(calls) < 3:
    ...         raise ConnectionError
    ...     return len(calls)
    >>> with instant() as clock:
    ...     flaky(), clock.slept
    (3, [60.0, 300.0])

    Args:
        clock: The clock to use; by default a new one.
    """
    kept, session.clock = session.clock, clock or FakeClock(auto=True)
    try:
        yield session.clock
    finally:
        session.clock = kept


@contextmanager
def at_most(attempts: int) -> Iterator[None]:
    """While it lasts, steps that begin here have so many attempts at most; never more than they had, nested or not.

    >>> from nbflow import task
    >>> calls = []
    >>> @task(retries=5, persist_result=False)
    ... def broken():
    ...     calls.append(1)
    ...     raise ConnectionError
    >>> with at_most(2):
    ...     try: broken()
    ...     except ConnectionError as error: print(error.__notes__[0][:18], calls)
    nbflow: 2 attempts [1, 1]

    Raises:
        ConfigurationError: It is no whole number of 1 or more.
    """
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise ConfigurationError(f"at_most({attempts!r}): give a whole number, 1 or more")
    outer = bounds.get()
    token = bounds.set(Bounds(min(attempts, outer.attempts), outer.disabled) if outer else Bounds(attempts))
    try:
        yield
    finally:
        bounds.reset(token)


@contextmanager
def disabled() -> Iterator[None]:
    """While it lasts, a task that is called here is called once, and nothing else: no store, no retry, no limit.

    >>> from nbflow import task
    >>> @task(retries=3, timeout_seconds=5)
    ... def double(x):
    ...     return 2 * x
    >>> with disabled():
    ...     double(4)
    8
    """
    token = bounds.set(DISABLED)
    try:
        yield
    finally:
        bounds.reset(token)


@contextmanager
def recorded() -> Iterator[Events]:
    """While it lasts, all that happens to steps of this process, as it happens.

    >>> from nbflow import task
    >>> @task(persist_result=False)
    ... def double(x):
    ...     return 2 * x
    >>> with recorded() as events:
    ...     double(4)
    8
    >>> events.kinds()
    ['Began', 'Started', 'Completed']
    """
    events = Events()
    session.bus.join(events.append)
    try:
        yield events
    finally:
        session.bus.leave(events.append)
