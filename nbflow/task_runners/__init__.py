"""Where submitted steps run."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nbflow.task_runners.base import TaskRunner, chosen
from nbflow.task_runners.sequential import SequentialTaskRunner
from nbflow.task_runners.threads import ConcurrentTaskRunner, ThreadPoolTaskRunner

if TYPE_CHECKING:
    from nbflow.task_runners.dask import DaskTaskRunner
    from nbflow.task_runners.processes import ProcessPoolTaskRunner

__all__ = [
    "ConcurrentTaskRunner",
    "DaskTaskRunner",
    "ProcessPoolTaskRunner",
    "SequentialTaskRunner",
    "TaskRunner",
    "ThreadPoolTaskRunner",
    "chosen",
]

_HOMES = {"DaskTaskRunner": "dask", "ProcessPoolTaskRunner": "processes"}


def __getattr__(name: str) -> Any:
    """Runners that reach other processes come when they are used: most programs use none."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
