"""The public names, in one place; `nbflow` hands them on when the first of them is used."""

from typing import Any

from nbflow.cache_policies import DEFAULT, FLOW_PARAMETERS, INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE
from nbflow.context import tags
from nbflow.durable.history import history
from nbflow.durable.job import Job, checkpoint
from nbflow.durable.once import once
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
from nbflow.flows import Flow, flow
from nbflow.flows.options import FlowOptions
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
from nbflow.task_runners import (
    ConcurrentTaskRunner,
    DaskTaskRunner,
    ProcessPoolTaskRunner,
    SequentialTaskRunner,
    ThreadPoolTaskRunner,
)
from nbflow.tasks import Task, task, task_input_hash
from nbflow.transactions import get_transaction, transaction

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


def panel() -> Any:
    """The session's panel, an ipywidget: show it anywhere, more than once, or within other widgets.

    It has the latest steps from before it was asked for, and stays live until it is closed. Where widgets are not
    drawn (`nbflow run`, or the settings `html` and `text`) it is the rows as they are now.
    """
    from nbflow.widget import panel as shown  # noqa: PLC0415 - 18 ms that only those who look at it pay

    return shown()
