"""What surrounds a call here: the flow run that it belongs to, and the tags that hold.

Words and context variables, which a copied context carries into threads, loops and workers. A flow sets them, a task
reads them; neither needs to know the other.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final, NamedTuple

from nbflow.errors import InterfaceError

__all__ = [
    "FlowRun",
    "FlowRunContext",
    "Here",
    "Scope",
    "TaskRunContext",
    "current_flow_run",
    "current_scope",
    "current_tags",
    "get_run_context",
    "here",
    "open_transaction",
    "tags",
]


class FlowRun:
    """One run of a flow; its attempts are the same run. As a pickle it leaves behind what is no use elsewhere.

    Attributes:
        id: 32 hex digits.
        name: As `flow_run_name` says.
        flow_name: The flow's label.
        flow: The flow.
        parameters: By name, with defaults.
        tags: Those that held where it was called.
        step: The number that its events carry.
        parent: The flow run that it was called in.
        task_runner: Where its tasks are submitted to; None is the session's own.
        defaults: Options of its tasks that say nothing themselves: `log_prints`, `persist_result`, `result_storage`,
            `result_serializer`, `cache_result_in_memory`; only those that are given here or around it.
        run_count: The attempt, counted from 1; 0 before the first.
        start_time: When that attempt began, in UTC; None before the first.
        state: A `State`, once it is known.
    """

    def __init__(  # noqa: PLR0913 - it is all that its tasks and hooks may ask for
        self,
        id: str,
        flow_name: str,
        parameters: dict[str, Any],
        *,
        name: str = "",
        tags: frozenset[str] = frozenset(),
        step: int = 0,
        parent: "FlowRun | None" = None,
        task_runner: Any = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.id, self.name, self.flow_name, self.parameters = id, name or flow_name, flow_name, parameters
        self.tags, self.step, self.parent = tags, step, parent
        self.task_runner, self.defaults = task_runner, dict(defaults or {})
        self.flow: Any = None
        self.run_count = 0
        self.start_time: datetime | None = None
        self.state: Any = None

    def __repr__(self) -> str:
        """`<FlowRun etl>`."""
        return f"<FlowRun {self.name}>"

    def __getstate__(self) -> dict[str, Any]:
        """Without runner, parameters and outer runs: a worker submits nothing in it, and values do not travel twice."""
        none = dict.fromkeys(("task_runner", "parent", "state", "flow"))
        return self.__dict__ | none | {"parameters": {}}

    @property
    def depth(self) -> int:
        """How many flow runs there are around it."""
        return 0 if self.parent is None else self.parent.depth + 1


class Scope:
    """Who waits for what is submitted here: one attempt of a flow, or a transaction. Any thread may add to it.

    Args:
        outer: The scope around it; where that one is over, so is this.

    Attributes:
        futures: All that were submitted, in order.
        over: Why nothing may begin here any more; `""` while it may.
    """

    __slots__ = ("_inner", "futures", "outer", "over")

    def __init__(self, outer: "Scope | None" = None) -> None:
        self.outer = outer
        self.futures: list[Any] = []
        self.over = ""
        self._inner: list[Scope] = []
        if outer is not None:
            outer._inner.append(self)  # noqa: SLF001 - it is one of us

    def check(self) -> None:
        """Refuse to begin a step whose flow has ended without it, as one that ran out of time does.

        Raises:
            CancelledError: It has.
        """
        scope: Scope | None = self
        while scope is not None:
            if scope.over:
                raise CancelledError(scope.over)
            scope = scope.outer

    def add(self, future: Any) -> None:
        """Wait for this one, too."""
        self.futures.append(future)

    def stop(self, why: str) -> None:
        """Begin nothing any more, here and within; what is queued is cancelled."""
        self.over = self.over or why
        for future in list(self.futures):
            future.cancel()
        for scope in list(self._inner):
            scope.stop(why)

    def close(self) -> None:
        """It has ended, and nothing in it goes on."""
        if self.outer is not None:
            self.outer._inner.remove(self)  # noqa: SLF001 - it is one of us
        self.futures = []


current_flow_run: ContextVar[FlowRun | None] = ContextVar("nbflow_flow_run", default=None)
"""The innermost flow that runs here."""


class Here(NamedTuple):
    """What holds for the code of the innermost step: one value, so that it is set and put back in one go.

    Attributes:
        step: The step's number; None where none runs.
        run: Its run, a `TaskRun`; None where it is no task's.
        slot: What is being filled here, by this step or by one around it: a step inside that needs the same key would
            wait for ever.
        hear: What the step does with the level and the text of what its run logs.
        retried: The innermost step that is retried: its name, and how often it is tried at most.
    """

    step: int | None = None
    run: Any = None
    slot: Any = None
    hear: Callable[[str, str], object] | None = None
    retried: tuple[str, int] | None = None


_NOWHERE: Final = Here()
here: ContextVar[Here] = ContextVar("nbflow_here", default=_NOWHERE)
"""What holds here."""

current_scope: ContextVar[Scope | None] = ContextVar("nbflow_scope", default=None)
"""Who waits for what is submitted here; None: the end of the process does."""

current_tags: ContextVar[frozenset[str]] = ContextVar("nbflow_tags", default=frozenset())
"""The tags that hold here, besides those of a task's own."""

open_transaction: ContextVar[Any] = ContextVar("nbflow_transaction", default=None)
"""The innermost transaction that is open here, or None."""


class TaskRunContext(NamedTuple):
    """What `get_run_context` gives in a task: `task_run` tells its name, tags, attempt and more."""

    task_run: Any
    parameters: dict[str, Any]
    start_time: datetime | None

    @classmethod
    def get(cls) -> "TaskRunContext | None":
        """That of the task that runs here; None where none does."""
        run = here.get().run
        return None if run is None else cls(run, run.parameters, run.start_time)


class FlowRunContext(NamedTuple):
    """What `get_run_context` gives in a flow."""

    flow_run: FlowRun
    flow: Any
    parameters: dict[str, Any]
    start_time: datetime | None

    @classmethod
    def get(cls) -> "FlowRunContext | None":
        """That of the flow that runs here, also within its tasks; None where none does."""
        run = current_flow_run.get()
        return None if run is None else cls(run, run.flow, run.parameters, run.start_time)


def get_run_context() -> TaskRunContext | FlowRunContext:
    """The run of the task, or else of the flow, that goes on here.

    Raises:
        InterfaceError: Neither a task nor a flow runs here.
    """
    found = TaskRunContext.get() or FlowRunContext.get()
    if found is None:
        raise InterfaceError("get_run_context() was called where no flow and no task runs")
    return found


@contextmanager
def tags(*names: str) -> Iterator[set[str]]:
    """Tags for all tasks and flows that are called in a `with` block, in addition to those around it.

    >>> with tags("nightly"), tags("eu") as both:
    ...     sorted(both)
    ['eu', 'nightly']
    """
    mark = current_tags.set(current_tags.get() | frozenset(names))
    try:
        yield set(current_tags.get())
    finally:
        current_tags.reset(mark)
