"""Where submitted steps run."""

from nbflow.task_runners.base import TaskRunner, chosen
from nbflow.task_runners.dask import DaskTaskRunner
from nbflow.task_runners.processes import ProcessPoolTaskRunner
from nbflow.task_runners.sequential import SequentialTaskRunner
from nbflow.task_runners.threads import ConcurrentTaskRunner, ThreadPoolTaskRunner

__all__ = [
    "ConcurrentTaskRunner",
    "DaskTaskRunner",
    "ProcessPoolTaskRunner",
    "SequentialTaskRunner",
    "TaskRunner",
    "ThreadPoolTaskRunner",
    "chosen",
]
