"""The items of a job through a function, on a runner: some at a time, each kept as soon as it has ended."""

import inspect
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Literal

from nbflow.clock import taken
from nbflow.context import here
from nbflow.durable.turns import Turn, Turns
from nbflow.errors import ConfigurationError
from nbflow.futures.future import Future, FutureList, blocking
from nbflow.keys.encode import canonical
from nbflow.options import TaskOptions
from nbflow.task_runners import TaskRunner
from nbflow.task_runners.base import chosen
from nbflow.tasks.jobs import runner_here
from nbflow.tasks.task import Task

if TYPE_CHECKING:
    from nbflow.durable.job import Job

__all__ = ["fan_out"]

_AHEAD: Final = 2
"""Items under way for each worker: others who are at the job shall find some, and no worker shall wait for its next."""
_ROUNDS: Final = 3
_ERRORS: Final = ("raise", "skip", "return")
_ON_ERROR: Final = ("continue", "stop")

Landed = tuple[Turn, Any, BaseException | None]


def fan_out(  # noqa: PLR0913, PLR0917 - the parameters of `Job.map`
    job: "Job[Any]",
    fn: Callable[..., Any],
    task_runner: TaskRunner | None,
    version: str | None,
    errors: Literal["raise", "skip", "return"],
    on_error: Literal["continue", "stop"],
) -> list[Any]:
    """As `Job.map`."""
    if errors not in _ERRORS or on_error not in _ON_ERROR:
        raise ConfigurationError(f"errors={errors!r}, on_error={on_error!r}: give one of {_ERRORS}, of {_ON_ERROR}")
    task = fn if isinstance(fn, Task) else Task(fn, TaskOptions(persist_result=False))
    number = version_of(task) if version is None else canonical((version,), ("version",))
    with job:
        for _ in range(_ROUNDS):  # values may turn out to be damaged, and are made again
            job.begin(number)
            failed = _Flight(job, task, task_runner or runner_here(), stop=on_error == "stop").run()
            found, lost = job.values()
            if not lost:
                break
        return _outcome(job, task, found, failed, errors)


def version_of(task: Task[..., Any]) -> bytes:
    """What a task's results depend on beside its arguments: its code, with all that it reaches."""
    fn = getattr(task.fn, "func", task.fn) if inspect.ismethod(task.fn) else task.fn
    return canonical((fn, task.options.version), ("the function", "version"))


class _Flight:
    """All items that can be done, once."""

    def __init__(self, job: "Job[Any]", task: Task[..., Any], runner: TaskRunner, *, stop: bool) -> None:
        self._job, self._task, self._runner, self._stop = job, task, runner, stop
        self._turns = Turns(job)
        self._landed: SimpleQueue[Landed] = SimpleQueue()
        self._flying: dict[Turn, Future[Any]] = {}
        self._failed: dict[bytes, BaseException] = {}

    def run(self) -> dict[bytes, BaseException]:
        """The errors of those that failed, by key."""
        ahead = max(_AHEAD * self._runner.max_workers, 2)
        outer = here.get()
        try:
            while True:
                while len(self._flying) < ahead and self._goes_on and (turn := self._turns.take()):
                    self._start(turn)
                if self._flying:
                    self._land()
                elif self._turns.waits and self._goes_on:
                    if turn := self._turns.wait():
                        self._start(turn)
                else:
                    return self._failed
        except BaseException:
            for future in list(self._flying.values()):
                future.cancel()
            raise
        finally:
            here.set(outer)

    @property
    def _goes_on(self) -> bool:
        return not (self._stop and self._failed)

    def _start(self, turn: Turn) -> None:
        runner = chosen.set(self._runner)
        turn.enter()
        try:
            future = self._task.submit(turn.given)
        except BaseException:
            turn.end()
            raise
        finally:
            turn.leave()
            chosen.reset(runner)
        self._flying[turn] = future
        future.add_done_callback(partial(self._end, turn))

    def _end(self, turn: Turn, future: Any) -> None:
        """In whichever thread the step ended in."""
        error: BaseException | None = None
        try:
            self._job.commit(turn, future.result(0))
        except BaseException as raised:  # noqa: BLE001 - it is told to whoever waits for all of them
            error = raised
        finally:
            keys = tuple(turn.keys)
            turn.end()
            self._landed.put((turn, keys, error))

    def _land(self) -> None:
        with blocking.get()():
            turn, keys, error = taken(self._landed)
        del self._flying[turn]
        if error is not None:
            self._failed |= dict.fromkeys(keys, error)


def _outcome(
    job: "Job[Any]", task: Task[..., Any], found: dict[bytes, Any], failed: dict[bytes, BaseException], errors: Any
) -> list[Any]:
    """All values, or what `errors` says of those that there are not."""
    if not failed and all(key in found for key in job.items.order):
        return [found[key] for key in job.items.order]
    futures: FutureList[Any] = FutureList()
    for key in job.items.order:
        future: Future[Any] = Future(task.name, (job.items.short(key),))
        if key in found:
            future.set_result(found[key])
        else:
            future.set_exception(failed.get(key) or CancelledError("it was not begun: another one had failed"))
        futures.append(future)
    return futures.result(errors=errors)
