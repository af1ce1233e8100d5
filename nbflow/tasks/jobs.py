"""Submitted steps: each is driven a stretch at a time by whichever worker is free.

Between stretches a job is parked and holds no worker: while it waits for a retry, for its turn at a key
that another step is computing, or for the steps it depends on.
"""

import atexit
import concurrent.futures
import contextvars
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from nbflow import remote
from nbflow.context import current_flow_run, current_scope
from nbflow.engine.controls import park
from nbflow.engine.loop import advance, arun
from nbflow.engine.slot import Slot
from nbflow.engine.work import Work
from nbflow.events import Cancelled
from nbflow.futures.future import Future, blocking, on_their_way
from nbflow.session import session
from nbflow.step.commands import Call, Enter, Err, Ok, Outcome, Sleep
from nbflow.step.plan import Plan
from nbflow.task_runners import TaskRunner, ThreadPoolTaskRunner, chosen

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = [
    "begun",
    "join",
    "keep",
    "launch",
    "runner_here",
    "start_async",
    "start_job",
    "when_done",
]

Begin = Callable[[], tuple[Outcome | None, Plan | None, Work | None]]
"""Gives a step's outcome, or its plan and its hands."""


_threads = ThreadPoolTaskRunner()


def runner_here() -> TaskRunner:
    """The runner that what is submitted here goes to: one that was chosen, else the flow's, else the session's."""
    run = current_flow_run.get()
    runner: TaskRunner | None = chosen.get() or (run.task_runner if run else None) or session.settings.task_runner
    return runner or _threads


def launch(step: int, future: Future[Any], begin: Begin, *, awaits: bool) -> None:
    """Run a submitted step on the runner that holds here.

    Args:
        step: Its number.
        future: Gets what it comes to.
        begin: Begins it, on the runner.
        awaits: Whether it is a coroutine's. Here it runs in the shared loop, whatever the runner; elsewhere its worker
            has a loop of its own.
    """
    runner = runner_here()
    if awaits and runner.hold is None and runner.executor is None:
        start_async(step, future, begin)
        if not runner.leaves:
            future.wait()
    else:
        start_job(runner, step, future, begin)


def start_job(pool: TaskRunner, step: int, future: Future[Any], begin: Begin) -> None:
    """Run a submitted step on a runner."""
    future.runner = pool
    keep(future)
    _Job(pool, step, future, begin).start()


class _Job:
    """A step on its way through a runner."""

    def __init__(self, pool: TaskRunner, step: int, future: Future[Any], begin: Begin) -> None:
        self.pool, self.step, self.future, self.begin = pool, step, future, begin
        self.context = contextvars.copy_context()
        self.context.run(blocking.set, pool.lend)
        self.plan: Plan | None = None
        self.work: Work | None = None
        self.remote = None if pool.executor is None else remote.Remote(None, kills=pool.kills)

    def start(self) -> None:
        """Queue it for a worker."""
        self._later(self._begin)

    def _later(self, stretch: Callable[[], Outcome | None]) -> None:
        self.pool.start(partial(self._stretch, stretch))

    def _stretch(self, body: Callable[[], Outcome | None]) -> None:
        """Run the job's code in its context until it is parked or has ended; nothing is raised into a worker."""
        try:
            outcome = self.context.copy().run(body)
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
            outcome = Err(error)
        if outcome is None:
            return
        if self.work is not None:
            self.work.close()
        self.future.settle(outcome)

    def _begin(self) -> Outcome | None:
        if not begun(self.step, self.future):
            return None
        outcome, self.plan, self.work = self.begin()
        if self.work is not None and self.work.away is None and self.pool.hold is not None:
            self.work.away = remote.Remote(self.pool.hold())
        return self._go() if outcome is None else outcome

    def _wake(self) -> Outcome | None:
        """The wait before a retry is over."""
        return self._go(CancelledError("the step was cancelled") if self.future.stopping else None)

    def _go(self, error: BaseException | None = None, answer: Any = None) -> Outcome | None:
        """Drive the plan on; None where the job is parked."""
        plan, work = self.plan, self.work
        assert plan is not None
        assert work is not None
        hands = work.hands(*self.pool.leaves)
        state = advance(plan, hands, answer, error)
        match state:
            case Ok() | Err():
                return state
            case Sleep(seconds):
                work.clock.after(seconds, park(self.step, lambda: self._later(self._wake)).end)
                return None
            case Enter():
                return self._go() if work.try_enter(lambda: self._later(self._wake)) else None
            case Call():
                self._call(state)
                return None
            case _:
                return self._claim()

    def _call(self, command: Call, *, whole: bool = False) -> None:
        """Have the runner's executor make a call; go on when it is answered, in a stretch of its own."""
        work, executor, calls = self.work, self.pool.executor, self.remote
        assert work is not None
        assert executor is not None
        assert calls is not None
        if self.future.stopping:
            raise CancelledError("the step was cancelled")
        answer = executor.submit(remote.perform, calls.order(work, command, whole=whole), limit=command.timeout)
        self.future.call = answer
        # the callback gets the answer: one that held it would keep all values until they are looked for as garbage
        answer.add_done_callback(lambda found: self._later(lambda: self._answered(command, found, whole=whole)))

    def _answered(self, command: Call, answer: "concurrent.futures.Future[bytes]", *, whole: bool) -> Outcome | None:
        """The executor has an answer."""
        work, calls, self.future.call = self.work, self.remote, None
        assert work is not None
        assert calls is not None
        outcome: Outcome | None = None
        error: BaseException | None = None
        try:
            outcome = calls.answered(work, answer.result, whole=whole)
            if outcome is None:
                self._call(command, whole=True)
                return None
            work.told(outcome)
        except BaseException as raised:  # noqa: BLE001 - the plan tells of it, and ends
            error = raised
        work.leave()
        return self._go(error, outcome)

    def _claim(self) -> Outcome | None:
        """Go on if the key is this step's now, else when it may be."""
        slot = self._slot()
        error: Exception | None = None
        try:
            if not slot.try_claim():
                slot.when_free(lambda: self._later(self._claim))
                return None
        except Exception as raised:  # noqa: BLE001 - the plan tells of it, and ends
            error = raised
        return self._go(error)

    def _slot(self) -> Slot:
        assert self.work is not None
        assert self.work.slot is not None
        return self.work.slot


def when_done(futures: Sequence[Future[Any]], callback: Callable[[], object]) -> None:
    """Call back once all futures have ended; at once if they have."""
    left, lock = len(futures), threading.Lock()
    if not left:
        callback()

    def count(_: Any) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = not left
        if last:
            callback()

    for each in futures:
        each.add_done_callback(count)


class _Loop:
    """One event loop, on a daemon thread, for all submitted coroutines; started by the first one."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loop: AbstractEventLoop | None = None

    def get(self) -> "AbstractEventLoop":
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        with self.lock:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                threading.Thread(target=self.loop.run_forever, name="nbflow-loop", daemon=True).start()
            return self.loop


_loop = _Loop()


def start_async(step: int, future: Future[Any], begin: Begin) -> None:
    """Drive a coroutine's step in the shared event loop."""
    keep(future)
    context = contextvars.copy_context()
    loop = _loop.get()
    loop.call_soon_threadsafe(lambda: loop.create_task(_coroutine(step, future, begin), context=context))


async def _coroutine(step: int, future: Future[Any], begin: Begin) -> None:
    if not begun(step, future):
        return
    try:
        outcome, plan, work = begin()
        if outcome is None:
            assert plan is not None
            assert work is not None
            outcome = await arun(plan, work.hands(*work.awaited()), work.awaited(), work.close)
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
        outcome = Err(error)
    future.settle(outcome)


def begun(step: int, future: Future[Any]) -> bool:
    """Whether a step may begin: it was not cancelled while it was queued."""
    if future.set_running_or_notify_cancel():
        return True
    on_their_way.discard(future)  # it may have been cancelled before it came there
    session.bus.tell(Cancelled(step, session.clock.time(), "cancelled before it began"))
    return False


def keep(future: Future[Any]) -> None:
    """Remember a step that is on its way: its flow waits for it, else the process before it ends."""
    if future in on_their_way:
        return
    if scope := current_scope.get():
        scope.check()
        scope.add(future)
    _join_at_exit()
    on_their_way.add(future)


@cache
def _join_at_exit() -> None:
    atexit.register(join)


def join() -> None:
    """Wait for all submitted steps, and for those that wait for them, unless an interrupt ended the program."""
    if getattr(sys, "last_type", None) is KeyboardInterrupt:
        return
    while on_their_way:
        for each in list(on_their_way):
            each.wait()
            on_their_way.discard(each)  # an interrupt may have come before whoever settled it did so
