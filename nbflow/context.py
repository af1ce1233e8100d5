"""What surrounds a call here: the flow run that it belongs to, and the tags that hold.

Words and context variables, which a copied context carries into threads, loops and workers. A flow sets them, a task
reads them; neither needs to know the other.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["FlowRun", "current_flow_run", "current_tags", "open_transaction", "submitted", "tags"]


class FlowRun:
    """One run of a flow; its attempts are the same run. As a pickle it leaves behind what is no use elsewhere.

    Attributes:
        id: 32 hex digits.
        name: As `flow_run_name` says.
        flow_name: The flow's label.
        parameters: By name, with defaults.
        tags: Those that held where it was called.
        step: The number that its events carry.
        parent: The flow run that it was called in.
        task_runner: Where its tasks are submitted to; None is the session's own.
        defaults: Options of its tasks that say nothing themselves: `log_prints`, `persist_result`, `result_storage`,
            `result_serializer`, `cache_result_in_memory`; only those that are given here or around it.
        run_count: The attempt, counted from 1; 0 before the first.
        start_time: When that attempt began, in seconds since the epoch; None before the first.
        state: A `State`, once it is known.
        over: Why nothing may begin in it any more; None while it may.
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
        self.run_count = 0
        self.start_time: float | None = None
        self.state: Any = None
        self.over: BaseException | None = None

    def __repr__(self) -> str:
        """`<FlowRun etl>`."""
        return f"<FlowRun {self.name}>"

    def __getstate__(self) -> dict[str, Any]:
        """Without runner, parameters and outer runs: a worker submits nothing in it, and values do not travel twice."""
        return self.__dict__ | {"task_runner": None, "parameters": {}, "parent": None, "state": None, "over": None}

    @property
    def depth(self) -> int:
        """How many flow runs there are around it."""
        return 0 if self.parent is None else self.parent.depth + 1


current_flow_run: ContextVar[FlowRun | None] = ContextVar("nbflow_flow_run", default=None)
"""The innermost flow that runs here."""

current_tags: ContextVar[frozenset[str]] = ContextVar("nbflow_tags", default=frozenset())
"""The tags that hold here, besides those of a task's own."""

submitted: ContextVar[list[Any] | None] = ContextVar("nbflow_submitted", default=None)
"""Receives each future that is submitted here, for whoever waits for all of them at the end."""

open_transaction: ContextVar[Any] = ContextVar("nbflow_transaction", default=None)
"""The innermost transaction that is open here, or None."""


@contextmanager
def tags(*names: str) -> Iterator[set[str]]:
    """Tags for all tasks and flows that are called in a `with` block, in addition to those around it.

    >>> with tags("nightly"), tags("eu"):
    ...     sorted(current_tags.get())
    ['eu', 'nightly']
    """
    mark = current_tags.set(current_tags.get() | frozenset(names))
    try:
        yield set(current_tags.get())
    finally:
        current_tags.reset(mark)
