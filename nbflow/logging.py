"""Logging from within runs: `get_run_logger` gives a logger that knows which run it is in.

Its records are shown with the run's step, and go on to whatever handlers the program has set up. Loggers of the user's
own are left alone.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nbflow.context import current_flow_run, here
from nbflow.errors import InterfaceError
from nbflow.logs import RUNS, TOLD

__all__ = ["disable_run_logger", "get_logger", "get_run_logger"]

if TYPE_CHECKING:
    Adapter = logging.LoggerAdapter[logging.Logger]
else:
    Adapter = logging.LoggerAdapter


class _Run(Adapter):
    """A logger with the names and ids of a run, and what the caller adds as `extra=`."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Add them."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_run_logger(context: Any = None, **extra: Any) -> "logging.LoggerAdapter[logging.Logger]":  # noqa: ARG001 - Prefect's
    """The logger of the flow or task that runs here.

    Its records have `flow_run_id`, `flow_run_name`, `flow_name` and, in a task, `task_run_id`, `task_run_name`,
    `task_name`.

    >>> from nbflow import flow
    >>> @flow
    ... def report():
    ...     return get_run_logger().extra["flow_name"]
    >>> report()
    'report'

    Args:
        context: Accepted; the run that goes on here is the one.
        extra: More attributes of its records.

    Raises:
        InterfaceError: Neither a flow nor a task runs here.
    """
    (step, task_run, *_), flow_run = here.get(), current_flow_run.get()
    if step is None and not any(each.disabled for each in RUNS.values()):
        raise InterfaceError(
            "get_run_logger() was called where no flow and no task runs; use logging.getLogger(__name__) there"
        )
    names: dict[str, Any] = {}
    if flow_run is not None:
        names |= {"flow_run_id": flow_run.id, "flow_run_name": flow_run.name, "flow_name": flow_run.flow_name}
    if flow_run is not None and flow_run.step == step:
        return _Run(RUNS["Flow"], names | extra)
    if task_run is not None:
        names |= {"task_run_id": task_run.id, "task_run_name": task_run.name, "task_name": task_run.task_name}
    return _Run(RUNS["Task"], names | extra)


def get_logger(name: str | None = None) -> logging.Logger:
    """The logger `nbflow`, or one below it."""
    return logging.getLogger("nbflow" if name is None else f"nbflow.{name}")


@contextmanager
def disable_run_logger() -> Iterator[None]:
    """Let nothing be logged by runs in a `with` block; `get_run_logger` then works anywhere."""
    before = {runs: runs.disabled for runs in RUNS.values()}
    for runs in before:
        runs.disabled = True
    try:
        yield
    finally:
        for runs, disabled in before.items():
            runs.disabled = disabled


class _Panel(logging.Handler):
    """Tells a step what its run logged."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, once: a worker's record comes with what the step has heard."""
        hear = here.get().hear
        if hear is None or getattr(record, TOLD, False):
            return
        setattr(record, TOLD, True)
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - as all handlers of logging
            self.handleError(record)
        else:
            hear(record.levelname, text)


_panel = _Panel()
for _each in RUNS.values():
    _each.addHandler(_panel)
