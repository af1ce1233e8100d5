"""One step's hands: how this process performs the commands of a plan.

A function's step and a cell's step differ in what is called; timing, telling and waiting are the same.
"""

import itertools
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import CancelledError, Future
from contextvars import copy_context
from threading import Thread
from contextvars import ContextVar, Token
from inspect import isawaitable, iscoroutine
from types import TracebackType
from typing import Any, Protocol

from nbflow import controls, world
from nbflow.bus import Bus
from nbflow.clock import Clock
from nbflow.engine import Hands
from nbflow.events import Crashed, Failed, Hit, Logged, TimedOut
from nbflow.hooks import finish
from nbflow.logs import current_step, logger, prints_to, warn
from nbflow.slot import Slot, running
from nbflow.step import commands as c
from nbflow.step.plan import STALE
from nbflow.step.policy import Keep
from nbflow.timeouts import await_within, call_within
from nbflow.trace import Fact

__all__ = ["Around", "Work", "next_step"]

next_step = itertools.count(1).__next__
"""A number for each step of this process."""

_retried: ContextVar[tuple[str, int] | None] = ContextVar("nbflow_retried", default=None)
"""The innermost step around this one that is retried: its name, and how often it is tried at most."""


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
        self.name = "a step" if slot is None else slot.task
        """What it is called in warnings."""
        self.files: Collection[object] = ()
        """Files that count because the user said so."""
        self.again: Callable[[], Any] | None = None
        """Submits the same call once more."""
        self.away: Away | None = None
        """Performs calls in another process; None: they are run here."""
        self.identity: Any = None
        """What its function is, for whoever sends it to another process."""
        self.keep: Keep = "never"
        """Whether its result is kept, as the policy has it."""
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
            c.Ask: self.ask,
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
        awaited: dict[type, Callable[[Any], Awaitable[Any]]] = {
            c.Call: self.acall,
            c.Ask: self.aask,
            c.Sleep: self.asleep,
        }
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

    def ask(self, command: c.Ask) -> Any:
        """What the user's own code says about an attempt, in this thread."""
        try:
            answer = command.question(*command.about)
            return finish(answer) if iscoroutine(answer) else answer
        except Exception as error:
            self._complain(error)
            raise

    async def aask(self, command: c.Ask) -> Any:
        """The same in an event loop."""
        try:
            answer = command.question(*command.about)
            return await answer if isawaitable(answer) else answer
        except Exception as error:
            self._complain(error)
            raise

    def _complain(self, error: Exception) -> None:
        logger.warning("nbflow: a question of %s about its retries raised", self.name, exc_info=error)

    def call(self, command: c.Call) -> c.Outcome:
        """One attempt, in this thread."""
        if self.away is not None:
            with controls.calling(self.step, self.away.stop):
                return self.away(self, command)
        try:
            with controls.calling(self.step), Around(self, command) as sight:
                value = call_within(self.body, command.timeout)
        except (Exception, GeneratorExit) as error:  # noqa: BLE001 - whatever it is, the plan decides about it
            return c.Err(_own_frames(error))
        return self.ran(value, sight)

    async def acall(self, command: c.Call) -> c.Outcome:
        """One attempt of a coroutine."""
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        if self.away is not None:
            return await self._away(self.away, command)
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        stop = controls.calling(self.step, lambda: loop.call_soon_threadsafe(task.cancel))
        try:
            with stop, Around(self, command) as sight:
                value = await await_within(self.body, command.timeout)
        except Exception as error:  # noqa: BLE001 - as above
            return c.Err(_own_frames(error))
        return self.ran(value, sight)

    async def _away(self, away: "Away", command: c.Call) -> c.Outcome:
        """One attempt in another process; a thread waits for it, and whoever cancels the task ends it."""
        import asyncio  # noqa: PLC0415 - as above

        answer: Future[c.Outcome] = Future()

        def wait() -> None:
            try:
                answer.set_result(away(self, command))
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                answer.set_exception(error)

        Thread(target=copy_context().run, args=(wait,), name="nbflow-away", daemon=True).start()
        try:
            with controls.calling(self.step, away.stop):
                return await asyncio.shield(asyncio.wrap_future(answer))
        except asyncio.CancelledError:
            away.stop()
            raise

    def ran(self, value: Any, sight: world.Sight) -> c.Ok:
        """A value, with what its run was seen to depend on and to touch."""
        if self.slot is not None:
            self.slot.facts, self.slot.random = sight.trace(), sight.state
        return c.Ok(value, sight.touched)


class Around:
    """What holds while the user's code runs: which step it is, where prints go, what is seen of the world.

    Written out instead of as an `ExitStack`, which costs as much as all that it would hold.
    """

    __slots__ = ("_call", "_outer", "_prints", "_sight", "_slot", "_step", "work")

    def __init__(self, work: Work, call: c.Call) -> None:
        self.work, self._call = work, call

    def __enter__(self) -> world.Sight:
        work = self.work
        self._outer = None if self._call.attempts == 1 else _nested(work, self._call)
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
        if self._outer is not None:
            _retried.reset(self._outer)

    def _log(self, line: str) -> None:
        work = self.work
        work.bus.tell(Logged(work.step, work.clock.time(), "INFO", line))


def _nested(work: Work, call: c.Call) -> Token[tuple[str, int] | None]:
    """Let steps within know that this one is retried. When it is, within one that is too, their attempts multiply."""
    outer = _retried.get()
    if outer is not None and call.attempt == 2:
        name, most = outer
        tries = f"{call.attempts} x {most} = {call.attempts * most} times" if call.attempts and most else "many times"
        warn(f"{work.name} is retried within {name}, which is retried too: up to {tries} in all; retry one of them")
    return _retried.set((work.name, call.attempts))


def _own_frames(error: BaseException) -> BaseException:
    """The error without the frames of nbflow at the top of its traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("nbflow."):
        trace = trace.tb_next
    return error.with_traceback(trace)
