"""One step's hands: how this process performs the commands of a plan.

A function's step and a cell's step differ in what is called; timing, telling and waiting are the same.
"""

import itertools
import threading
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import CancelledError
from contextvars import Token
from functools import partial
from inspect import isawaitable, iscoroutine
from typing import Any, Protocol

from nbflow import world
from nbflow.bus import Bus
from nbflow.clock import Clock, slices
from nbflow.context import Here, here
from nbflow.engine import controls
from nbflow.engine.around import Around, own_frames
from nbflow.engine.aside import aside
from nbflow.engine.hooks import Hooked, acall_hook, finish, run_hook
from nbflow.engine.limits import Turn
from nbflow.engine.loop import Hands
from nbflow.engine.returns import awhole, came_to, whole
from nbflow.engine.slot import Slot
from nbflow.engine.timeouts import await_within, call_within
from nbflow.events import Completed, Crashed, Failed, Hit, Logged, Started, TimedOut
from nbflow.futures.future import blocking
from nbflow.logs import logger
from nbflow.runs import TaskRun
from nbflow.step import commands as c
from nbflow.step.plan import STALE
from nbflow.step.policy import Keep
from nbflow.trace import Fact

__all__ = ["Away", "Work", "next_step"]

next_step = itertools.count(1).__next__
"""A number for each step of this process."""

_USUAL = frozenset({Started, Completed})
_NOTHING = frozenset[str]()


class Away(Protocol):
    """Performs a step's calls in another process."""

    def __call__(self, work: "Work", command: c.Call, /) -> c.Outcome:
        """One attempt, while this thread waits."""

    def stop(self) -> None:
        """End the attempt, from another thread."""


class Work:
    """The hands of one step.

    Args:
        step: Its number.
        body: Runs the user's code once; None where a cell's own loop does.
        slot: Its place in the store, None where it is neither looked up nor kept.
        clock: Time, waiting and chance.
        bus: Hears the events.
        log_prints: Printed lines become log lines of the step; None: as around it.
    """

    # What few steps have is a default of the class: the others do not set it.

    mentions: Collection[object] = ()
    """Values that may name files: they count where they do."""
    run: TaskRun | None = None
    """What the user's own code sees of it."""
    files: Collection[object] = ()
    """Files that count because the user said so."""
    repeats = False
    """Whether it is a flow: its retries repeat no step that has succeeded, so attempts do not multiply."""
    transaction: Any = None
    """The transaction that the step is, where something depends on how it ends."""
    again: Callable[[], Any] | None = None
    """Submits the same call once more."""
    away: Away | None = None
    """Performs calls in another process; None: they are run here."""
    turn: Turn | None = None
    """Its places among the steps with its tags; None: it needs none."""
    identity: Any = None
    """What its function is, for whoever sends it to another process."""
    keep: Keep = "never"
    """Whether its result is kept, as the policy has it."""
    hooks: Hooked | None = None
    """Functions of the user's that are called when something happens to it."""
    outcome: c.Outcome | None = None
    """What it has come to so far, for hooks alone."""
    seeds = False
    """Whether its code speaks of seeding."""
    touching: Collection[str] = ()
    """What the step reaches by a live handle, which the world does not see."""

    def __init__(  # noqa: PLR0913 - it is where everything about a step meets
        self,
        step: int,
        body: Callable[[], Any],
        slot: Slot | None,
        clock: Clock,
        bus: Bus,
        *,
        log_prints: bool | None = None,
    ) -> None:
        self.step, self.body, self.slot, self.clock, self.bus = step, body, slot, clock, bus
        self.log_prints = log_prints
        self.name = "a step" if slot is None else slot.task
        """What it is called in warnings."""

    def hands(self, *driver: type) -> Hands:
        """All commands but the driver's own."""
        hands: dict[type, Callable[[Any], Any]] = {
            c.Now: self.now,
            c.Draw: self.draw,
            c.Call: self.call,
            c.Enter: self.enter,
            c.Ask: self.ask,
            c.Sleep: self.sleep,
            c.Tell: self.announce if self.hooks is None else self.tell,
        }
        if slot := self.slot:
            hands |= {c.Claim: slot.claim, c.Look: slot.look, c.Load: slot.load, c.Save: slot.save}
            if self.hooks is not None:
                hands[c.Load] = self.load
        for command in driver:
            hands.pop(command, None)
        return hands

    def awaited(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """The commands that an event loop performs without holding its thread."""
        awaited: dict[type, Callable[[Any], Awaitable[Any]]] = {
            c.Call: self.acall,
            c.Enter: self.aenter,
            c.Ask: self.aask,
            c.Sleep: self.asleep,
        }
        if slot := self.slot:
            awaited[c.Claim] = slot.aclaim
        if self.hooks is not None:
            awaited[c.Tell] = self.atell
        return awaited

    def close(self) -> None:
        """Let go of the key and of its place."""
        self.leave()
        self.outcome = None
        if self.slot is not None:
            self.slot.release()

    def now(self, _: c.Now) -> tuple[float, float]:
        """Wall-clock and monotonic seconds."""
        return self.clock.time(), self.clock.monotonic()

    def draw(self, _: c.Draw) -> float:
        """Chance, for jitter."""
        return self.clock.draw()

    def load(self, command: c.Load) -> Any:
        """The value of an entry, which hooks may want to know of."""
        assert self.slot is not None
        value = self.slot.load(command)
        self.outcome = c.Ok(value)
        return value

    def tell(self, command: c.Tell) -> None:
        """Let all sinks and hooks hear an event."""
        self.announce(command)
        if self.hooks is not None:
            for call in self.hooks.due(command.event, self.outcome):
                run_hook(*call)

    async def atell(self, command: c.Tell) -> None:
        """The same; hooks are awaited."""
        self.announce(command)
        if self.hooks is not None:
            for call in self.hooks.due(command.event, self.outcome):
                await acall_hook(*call)

    def announce(self, command: c.Tell) -> None:
        """Let all sinks hear an event; an old result in place of an error is told to the user as well."""
        event = command.event
        if self.run is not None:
            self.run.hear(event)
        self.bus.tell(event)
        if self.transaction is not None:
            self.transaction.hear(event)
        if type(event) in _USUAL:
            return
        if self.again is not None and isinstance(event, (Failed, TimedOut, Crashed)):
            controls.failed(self.step, self.again)
        if isinstance(event, Hit) and event.stale and self.slot is not None:
            logger.warning("nbflow: %s returned a stale result: %s", self.slot.task, event.stale)
            world.adopt((Fact("touched", STALE, ""),))

    def logged(self, level: str, text: str) -> None:
        """Let all sinks hear what the step's run logged."""
        self.bus.tell(Logged(self.step, self.clock.time(), level, text))

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

    def ask(self, command: c.Ask) -> Any:
        """What the user's own code says about an attempt, in this thread."""
        mark = self._of_run()
        try:
            answer = command.question(*command.about)
            return finish(answer) if iscoroutine(answer) else answer
        except Exception as error:
            self._complain(error)
            raise
        finally:
            here.reset(mark)

    async def aask(self, command: c.Ask) -> Any:
        """The same in an event loop."""
        mark = self._of_run()
        try:
            answer = command.question(*command.about)
            return await answer if isawaitable(answer) else answer
        except Exception as error:
            self._complain(error)
            raise
        finally:
            here.reset(mark)

    def _of_run(self) -> Token[Here]:
        around = here.get()
        return here.set(around if self.run is None else around._replace(run=self.run))

    def _complain(self, error: Exception) -> None:
        logger.warning("nbflow: a question of %s about its retries raised", self.name, exc_info=error)

    def try_enter(self, then: Callable[[], object]) -> bool:
        """Whether it may run now, as its tags allow; if not, `then` is called when it may."""
        if self.turn is None or self.turn.enter(then):
            return True
        self.bus.tell(Logged(self.step, self.clock.time(), "INFO", f"waits for a place: {self.turn.words}"))
        return False

    def leave(self) -> None:
        """Let others with its tags run."""
        if self.turn is not None:
            self.turn.leave()

    def enter(self, _: c.Enter) -> None:
        """Wait in this thread until it may run; a worker lends its place meanwhile."""
        free = threading.Event()
        if not self.try_enter(free.set):
            with blocking.get()():
                any(map(free.wait, slices(None)))

    async def aenter(self, _: c.Enter) -> None:
        """Wait until it may run, while other tasks of the loop go on."""
        import asyncio  # noqa: PLC0415 - as above

        loop, free = asyncio.get_running_loop(), asyncio.Event()
        if not self.try_enter(lambda: loop.call_soon_threadsafe(free.set)):
            await free.wait()

    def call(self, command: c.Call) -> c.Outcome:
        """One attempt, in this thread."""
        try:
            return self.told(self._call(command))
        finally:
            self.leave()

    def _call(self, command: c.Call) -> c.Outcome:
        if self.away is not None:
            with controls.calling(self.step, self.away.stop):
                return self.away(self, command)
        sight = self._sight()
        around = Around(self, command, sight)
        try:
            with controls.calling(self.step), around:
                value = call_within(partial(whole, self.body), command.timeout)
        except (Exception, GeneratorExit) as error:  # noqa: BLE001 - whatever it is, the plan decides about it
            return c.Err(own_frames(error))
        finally:
            around.leave()  # an interrupt may have come while it was entered or left
        return self.ran(value, sight)

    async def acall(self, command: c.Call) -> c.Outcome:
        """One attempt of a coroutine."""
        try:
            return self.told(await self._acall(command))
        finally:
            self.leave()

    async def _acall(self, command: c.Call) -> c.Outcome:
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        if self.away is not None:
            return await self._away(self.away, command)
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stop = controls.calling(self.step, lambda: loop.call_soon_threadsafe(task.cancel))
        sight = self._sight()
        around = Around(self, command, sight)
        try:
            with stop, around:
                value = await await_within(partial(awhole, self.body), command.timeout)
        except Exception as error:  # noqa: BLE001 - as above
            return c.Err(own_frames(error))
        finally:
            around.leave()
        return self.ran(value, sight)

    async def _away(self, away: "Away", command: c.Call) -> c.Outcome:
        """One attempt in another process; a thread waits for it, and whoever cancels the task ends it."""
        import asyncio  # noqa: PLC0415 - as above

        answer, _ = aside(partial(away, self, command), "away")
        try:
            with controls.calling(self.step, away.stop):
                return await asyncio.shield(asyncio.wrap_future(answer))
        except asyncio.CancelledError:
            away.stop()
            raise

    def told(self, outcome: c.Outcome) -> c.Outcome:
        """The same outcome, which hooks may want to know of."""
        if self.hooks is not None:
            self.outcome = outcome
        return outcome

    def _sight(self) -> world.Sight | None:
        """What sees an attempt; None where nothing is kept and nobody asks."""
        return None if self.keep == "never" and self.slot is None and not world.watched() else world.watch()

    def ran(self, value: Any, sight: world.Sight | None) -> c.Outcome:
        """A value, with what its run was seen to depend on and to touch."""
        if sight is None:
            return came_to(value, _NOTHING)
        if self.slot is not None:
            self.slot.facts, self.slot.random = sight.trace(), sight.state
        return came_to(value, sight.touched)
