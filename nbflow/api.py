"""The public names, in one place; `nbflow` hands them on when the first of them is used."""

from typing import Any

from nbflow.cache_policies import DEFAULT, FLOW_PARAMETERS, INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE
from nbflow.errors import (
    ConfigurationError,
    DamagedError,
    DurationError,
    InterfaceError,
    NbflowError,
    NotReadyError,
    StepTimeout,
    StoreError,
    UnkeyableError,
    UnstorableError,
)
from nbflow.explanation import Explanation
from nbflow.futures import Future, allow_failure, as_completed, resolve_futures_to_results, unmapped, wait
from nbflow.keys import digest, register_digest
from nbflow.options import TaskOptions
from nbflow.session import configure
from nbflow.step.waits import exponential_backoff
from nbflow.store import Store, open_store
from nbflow.task_runners import ConcurrentTaskRunner, ThreadPoolTaskRunner
from nbflow.tasks import Task, task, task_input_hash

__all__ = [
    "DEFAULT",
    "FLOW_PARAMETERS",
    "INPUTS",
    "NO_CACHE",
    "RUN_ID",
    "TASK_SOURCE",
    "ConcurrentTaskRunner",
    "ConfigurationError",
    "DamagedError",
    "DurationError",
    "Explanation",
    "Future",
    "InterfaceError",
    "NbflowError",
    "NotReadyError",
    "StepTimeout",
    "Store",
    "StoreError",
    "Task",
    "TaskOptions",
    "ThreadPoolTaskRunner",
    "UnkeyableError",
    "UnstorableError",
    "allow_failure",
    "as_completed",
    "configure",
    "digest",
    "exponential_backoff",
    "open_store",
    "panel",
    "register_digest",
    "resolve_futures_to_results",
    "task",
    "task_input_hash",
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
