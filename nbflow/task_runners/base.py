"""What a runner is: where the stretches of a step's plan are driven, and who performs its calls.

All plans stay in this process, so a parked step holds no worker and the panel is live. A runner says by data what
differs: which commands it leaves to the job that drives a plan (`leaves`), and whether calls go elsewhere, one at a
time and held by a thread of its own (`hold`), or many at a time through an executor (`executor`). What goes there is
bytes, and what comes back is bytes: `nbflow.remote.calls` knows what they mean.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from nbflow.errors import ConfigurationError, InterfaceError
from nbflow.futures.future import Future, FutureList, on_their_way
from nbflow.step.commands import Call, Claim, Enter, Sleep

if TYPE_CHECKING:
    from nbflow.remote.workers import Hold

__all__ = ["ELSEWHERE", "PARKED", "TaskRunner", "chosen", "workers_of"]

PARKED: Final[tuple[type, ...]] = (Claim, Enter, Sleep)
"""Commands that a job performs by being parked: they hold no thread."""

ELSEWHERE: Final[tuple[type, ...]] = (*PARKED, Call)
"""The same, and calls, which an executor performs."""


class TaskRunner:
    """Where submitted steps run. Enter it to submit to it by its own methods; a flow enters a duplicate of its own.

    Attributes:
        leaves: Commands that are the job's own; all others are performed by the thread that drives the plan.
        hold: Gives a step what performs its calls, one at a time; None: they are run here.
        executor: Performs packed calls without holding a thread of this process; None: there is none.
        kills: Whether the executor ends calls that take too long.
        max_workers: At most so many steps run at a time.
        options: What it was made with, by name: equal options make equal runners.
    """

    leaves: ClassVar[tuple[type, ...]] = PARKED
    hold: "Callable[[], Hold] | None" = None
    executor: Executor | None = None
    kills: ClassVar[bool] = False
    max_workers: int = 1

    def __init__(self, **options: Any) -> None:
        self.options: Mapping[str, Any] = options
        self.started = False

    @property
    def name(self) -> str:
        """The word before "TaskRunner", in lower case, as Prefect has it."""
        return type(self).__name__.lower().replace("taskrunner", "")

    def __repr__(self) -> str:
        """`ThreadPoolTaskRunner(max_workers=2)`."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.options.items() if value is not None)
        return f"{type(self).__name__}({given})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.options == other.options

    __hash__ = object.__hash__

    def duplicate(self) -> Self:
        """Another one, not started, that was made with the same options."""
        return type(self)(**self.options)

    # For jobs

    def start(self, work: Callable[[], object]) -> None:
        """Run `work` on a thread as soon as one is free. It must not raise."""
        raise NotImplementedError

    @contextmanager
    def lend(self) -> Iterator[None]:
        """While a worker waits for a future, another one may take its place."""
        yield

    # For users

    def __enter__(self) -> Self:
        if self.started:
            raise InterfaceError(f"{self!r} is started already; duplicate() gives another one")
        self.started = True
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        """What is queued is cancelled, what runs is waited for, except after an interrupt."""
        self.started = False
        for future in self._open():
            future.cancel()
        if kind is not None and not issubclass(kind, Exception):
            return
        for future in self._open():
            future.wait()

    def _open(self) -> list[Future[Any]]:
        return [each for each in list(on_their_way) if each.runner is self]

    def submit(self, task: Any, parameters: Mapping[str, Any], wait_for: Any = None) -> Future[Any]:
        """Submit a call of a task.

        Args:
            task: The task.
            parameters: Its arguments, by name.
            wait_for: Futures that must have succeeded before it begins.

        Raises:
            InterfaceError: The runner is not started.
        """
        with self._chosen():
            return task.submit(**parameters, **_more(wait_for))  # type: ignore[no-any-return]

    def map(self, task: Any, parameters: Mapping[str, Any], wait_for: Any = None) -> FutureList[Any]:
        """Submit a call for each item of the parameters, as `Task.map` does.

        Raises:
            InterfaceError: The runner is not started.
        """
        with self._chosen():
            return task.map(**parameters, **_more(wait_for))  # type: ignore[no-any-return]

    @contextmanager
    def _chosen(self) -> Iterator[None]:
        if not self.started:
            raise InterfaceError(f"{self!r} is not started: use it in a with statement, or give it to a flow")
        mark = chosen.set(self)
        try:
            yield
        finally:
            chosen.reset(mark)


chosen: ContextVar[TaskRunner | None] = ContextVar("nbflow_runner", default=None)
"""The runner that what is submitted here goes to, whatever the flow or the session has."""


def _more(wait_for: Any) -> dict[str, Any]:
    return {} if wait_for is None else {"wait_for": wait_for}


def workers_of(given: Any, otherwise: int) -> int:
    """A number of workers.

    Raises:
        ConfigurationError: It is not a whole number of 1 or more.
    """
    if given is None:
        return otherwise
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ConfigurationError(f"max_workers={given!r}: give a whole number, 1 or more")
    return given
