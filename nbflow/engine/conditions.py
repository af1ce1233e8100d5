"""What `retry_condition_fn` is called with: the task, the run, and the state that an attempt came to."""

from collections.abc import Callable
from functools import partial
from typing import Any

from nbflow.runs import current_run
from nbflow.states import state_of
from nbflow.step.waits import Question, Tried, asked

__all__ = ["condition_of"]


def condition_of(task: Any, condition: Callable[..., Any] | None) -> Question | None:
    """What asks a task's condition about an attempt that failed; None where there is none."""
    return asked(condition, partial(_ask, task))


def _ask(task: Any, condition: Callable[..., Any], tried: Tried) -> Any:
    return condition(task, current_run.get(), state_of(tried.outcome))
