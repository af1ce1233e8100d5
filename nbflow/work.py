"""One step's hands: how this process performs the commands of a plan.

A function's step and a cell's step differ in what is called; timing, telling and waiting are the same.
"""

import itertools
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any

from nbflow import controls, world
from nbflow.bus import Bus
from nbflow.clock import Clock
from nbflow.engine import Hands
from nbflow.events import Crashed, Failed, Hit, Logged, TimedOut
from nbflow.logs import current_step, logger, prints_to
from nbflow.slot import Slot, running
from nbflow.step import commands as c
from nbflow.step.plan import STALE
from nbflow.timeouts import call_within, late
from nbflow.trace import Fact

__all__ = ["Around", "Work", "next_step"]

next_step = itertools.count(1).__next__
"""A number for each step of this process."""


class Work:
    """The hands of one step.

    Args:
        step: Its number.
        body: Runs the user's code once; None where a cell's own loop does.
        slot: Its place in the store, None where it is neither looked up nor kept.
        clock: Time, waiting and chance.
        bus: Hears the events.
        log_prints: Printed lines become log lines of the step.
    """

    def __init__(  # noqa: PLR0913 - it is where everything about a step meets
        self,
        step: int,
        body: Callable[[], Any],
        slot: Slot | None,
        clock: Clock,
        bus: Bus,
        *,
        log_prints: bool = False,
    ) -> None:
        self.step, self.body, self.slot, self.clock, self.bus = step, body, slot, clock, bus
        self.log_prints = log_prints
        self.mentions: Collection[object] = ()
        """Values that may name files: they count where they do."""
        self.files: Collection[object] = ()
        """Files that count because the user said so."""
        self.again: Callable[[], Any] | None = None
        """Submits the same call once more."""
        self.seeds = False
        """Whether its code speaks of seeding."""
        self.touching: Collection[str] = ()
        """What the step reaches by a live handle, which the world does not see."""

    def hands(self, *driver: type) -> Hands:
        """All commands but the driver's own."""
        hands: dict[type, Callable[[Any], Any]] = {
            c.Now: self.now,
            c.Draw: self.draw,
            c.Call: self.call,
            c.Sleep: self.sleep,
            c.Tell: self.tell,
        }
        if slot := self.slot:
            hands |= {c.Claim: slot.claim, c.Look: slot.look, c.Load: slot.load, c.Save: slot.save}
        for command in driver:
            hands.pop(command, None)
        return hands

    def awaited(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """The commands that an event loop performs without holding its thread."""
        awaited: dict[type, Callable[[Any], Awaitable[Any]]] = {c.Call: self.acall, c.Sleep: self.asleep}
        if slot := self.slot:
            awaited[c.Claim] = slot.aclaim
        return awaited

    def close(self) -> None:
        """Let go of the key."""
        if self.slot is not None:
            self.slot.release()

    def now(self, _: c.Now) -> tuple[float, float]:
        """Wall-clock and monotonic seconds."""
        return self.clock.time(), self.clock.monotonic()

    def draw(self, _: c.Draw) -> float:
        """Chance, for jitter."""
        return self.clock.draw()

    def tell(self, command: c.Tell) -> None:
        """Let all sinks hear an event; an old result in place of an error is told to the user as well."""
        event = command.event
        self.bus.tell(event)
        if self.again is not None and isinstance(event, (Failed, TimedOut, Crashed)):
            controls.failed(self.step, self.again)
        if isinstance(event, Hit) and event.stale and self.slot is not None:
            logger.warning("nbflow: %s returned a stale result: %s", self.slot.task, event.stale)
            world.adopt((Fact("touched", STALE, ""),))

    def sleep(self, command: c.Sleep) -> None:
        """Wait in this thread."""
        with controls.wait(self.step) as waiting:
            self.clock.pause(command.seconds, waiting.over)
        if waiting.stopped:
            raise CancelledError("the step was cancelled")

    async def asleep(self, command: c.Sleep) -> None:
        """Wait while other tasks of the loop go on."""
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        loop, sleeper = asyncio.get_running_loop(), asyncio.ensure_future(self.clock.asleep(command.seconds))
        with controls.wait(self.step, lambda: loop.call_soon_threadsafe(sleeper.cancel)) as waiting:
            try:
                await sleeper
            except asyncio.CancelledError:
                if not waiting.over.is_set():
                    raise
        if waiting.stopped:
            raise CancelledError("the step was cancelled")

    def call(self, command: c.Call) -> c.Outcome:
        """One attempt, in this thread."""
        try:
            with controls.calling(self.step), Around(self) as sight:
                value = call_within(self.body, command.timeout)
        except Exception as error:  # noqa: BLE001 - whatever it is, the plan decides about it
            return c.Err(_own_frames(error))
        return self.ran(value, sight)

    async def acall(self, command: c.Call) -> c.Outcome:
        """One attempt of a coroutine."""
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        limit = asyncio.timeout(command.timeout)
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        try:
            with controls.calling(self.step, lambda: loop.call_soon_threadsafe(task.cancel)), Around(self) as sight:
                async with limit:
                    value = await self.body()
        except Exception as error:  # noqa: BLE001 - as above
            if limit.expired() and isinstance(error, TimeoutError) and command.timeout is not None:
                return c.Err(late(command.timeout))
            return c.Err(_own_frames(error))
        return self.ran(value, sight)

    def ran(self, value: Any, sight: world.Sight) -> c.Ok:
        """A value, with what its run was seen to depend on and to touch."""
        if self.slot is not None:
            self.slot.facts, self.slot.random = sight.trace(), sight.state
        return c.Ok(value, sight.touched)


class Around:
    """What holds while the user's code runs: which step it is, where prints go, what is seen of the world.

    Written out instead of as an `ExitStack`, which costs as much as all that it would hold.
    """

    __slots__ = ("_prints", "_sight", "_slot", "_step", "work")

    def __init__(self, work: Work) -> None:
        self.work = work

    def __enter__(self) -> world.Sight:
        work = self.work
        self._step = current_step.set(work.step)
        self._slot = running.set(work.slot or running.get())
        self._prints = prints_to(self._log) if work.log_prints else None
        if self._prints is not None:
            self._prints.__enter__()
        self._sight = world.watch()
        sight = self._sight.__enter__()
        sight.mention(work.mentions)
        if work.seeds:
            sight.may_seed()
        if work.files:
            world.declare(work.files)
        for kind in work.touching:
            sight.touch(kind)
        return sight

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sight.__exit__(kind, error, trace)
        if self._prints is not None:
            self._prints.__exit__(kind, error, trace)
        running.reset(self._slot)
        current_step.reset(self._step)

    def _log(self, line: str) -> None:
        work = self.work
        work.bus.tell(Logged(work.step, work.clock.time(), "INFO", line))


def _own_frames(error: Exception) -> Exception:
    """The error without the frames of nbflow at the top of its traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("nbflow."):
        trace = trace.tb_next
    return error.with_traceback(trace)
