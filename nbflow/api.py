"""The public names, in one place; `nbflow` hands them on when the first of them is used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbflow.cache_policies import DEFAULT, FLOW_PARAMETERS, INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE
from nbflow.context import tags
from nbflow.errors import (
    CancelledRun,
    ConfigurationError,
    CrashedRun,
    DamagedError,
    DurationError,
    FailedRun,
    InDoubt,
    InProgress,
    InterfaceError,
    KeyConflict,
    LedgerError,
    NbflowError,
    NotReadyError,
    RetryExhausted,
    StepTimeout,
    StoreError,
    UnfinishedRun,
    UnkeyableError,
    UnstorableError,
    WorkerDied,
)
from nbflow.explanation import Explanation
from nbflow.futures import Future, allow_failure, as_completed, quote, resolve_futures_to_results, unmapped, wait
from nbflow.keys import digest, register_digest
from nbflow.logging import get_run_logger
from nbflow.options import TaskOptions
from nbflow.session import configure
from nbflow.states import State
from nbflow.step.hints import Retry
from nbflow.step.history import attempts
from nbflow.step.waits import exponential_backoff
from nbflow.store import Store, open_store
from nbflow.task_runners import ConcurrentTaskRunner, SequentialTaskRunner, ThreadPoolTaskRunner
from nbflow.tasks import Task, task, task_input_hash
from nbflow.transactions import get_transaction, transaction

if TYPE_CHECKING:
    from nbflow.durable.history import history
    from nbflow.durable.job import Job, checkpoint
    from nbflow.durable.once import once
    from nbflow.flows import Flow, flow
    from nbflow.flows.options import FlowOptions
    from nbflow.task_runners import DaskTaskRunner, ProcessPoolTaskRunner

__all__ = [
    "DEFAULT",
    "FLOW_PARAMETERS",
    "INPUTS",
    "NO_CACHE",
    "RUN_ID",
    "TASK_SOURCE",
    "CancelledRun",
    "ConcurrentTaskRunner",
    "ConfigurationError",
    "CrashedRun",
    "DamagedError",
    "DaskTaskRunner",
    "DurationError",
    "Explanation",
    "FailedRun",
    "Flow",
    "FlowOptions",
    "Future",
    "InDoubt",
    "InProgress",
    "InterfaceError",
    "Job",
    "KeyConflict",
    "LedgerError",
    "NbflowError",
    "NotReadyError",
    "ProcessPoolTaskRunner",
    "Retry",
    "RetryExhausted",
    "SequentialTaskRunner",
    "State",
    "StepTimeout",
    "Store",
    "StoreError",
    "Task",
    "TaskOptions",
    "ThreadPoolTaskRunner",
    "UnfinishedRun",
    "UnkeyableError",
    "UnstorableError",
    "WorkerDied",
    "allow_failure",
    "as_completed",
    "attempts",
    "checkpoint",
    "configure",
    "digest",
    "exponential_backoff",
    "flow",
    "get_run_logger",
    "get_transaction",
    "history",
    "once",
    "open_store",
    "panel",
    "quote",
    "register_digest",
    "resolve_futures_to_results",
    "tags",
    "task",
    "task_input_hash",
    "transaction",
    "unmapped",
    "wait",
]

_HOMES = {
    "DaskTaskRunner": "nbflow.task_runners",
    "Flow": "nbflow.flows",
    "FlowOptions": "nbflow.flows.options",
    "Job": "nbflow.durable.job",
    "ProcessPoolTaskRunner": "nbflow.task_runners",
    "checkpoint": "nbflow.durable.job",
    "flow": "nbflow.flows",
    "history": "nbflow.durable.history",
    "once": "nbflow.durable.once",
}


def __getattr__(name: str) -> Any:
    """A name of what a program with tasks alone does not need, and what that needs, when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def panel() -> Any:
    """The session's panel, an ipywidget: show it anywhere, more than once, or within other widgets.

    It has the latest steps from before it was asked for, and stays live until it is closed. Where widgets are not
    drawn (`nbflow run`, or the settings `html` and `text`) it is the rows as they are now.
    """
    from nbflow.widget import panel as shown  # noqa: PLC0415 - 18 ms that only those who look at it pay

    return shown()
