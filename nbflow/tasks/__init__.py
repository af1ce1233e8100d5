"""`@task`: a function whose results are kept, and whose failures are retried."""

from nbflow.step.waits import exponential_backoff
from nbflow.tasks.identity import task_input_hash
from nbflow.tasks.task import Task, task

__all__ = ["Task", "exponential_backoff", "task", "task_input_hash"]
