"""Functions of the user's that are called when something happened to a run.

They run here, in this process, one after the other. What one of them raises is logged, and changes nothing: the run
came to what it came to, and the other hooks are called.
"""

from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from inspect import isawaitable
from typing import Any, Self, cast

from nbflow import events as e
from nbflow.context import here
from nbflow.engine.aside import aside
from nbflow.logs import logger
from nbflow.options import TaskOptions
from nbflow.runs import TaskRun
from nbflow.states import state_of
from nbflow.step.commands import Outcome
from nbflow.step.waits import Question, Tried, asked

__all__ = ["Hook", "Hooked", "Hooks", "acall_hook", "condition_of", "finish", "run_hook"]

Hook = Callable[..., Any]


def run_hook(hook: Hook, *args: Any) -> bool:
    """Call a hook, and wait for it where it is a coroutine function; whether it ended well."""
    try:
        made = hook(*args)
        if isinstance(made, Coroutine):
            finish(made)
    except Exception:  # noqa: BLE001 - it is told with its traceback, and changes nothing
        _complain(hook)
        return False
    return True


async def acall_hook(hook: Hook, *args: Any) -> bool:
    """The same in an event loop."""
    try:
        made = hook(*args)
        if isawaitable(made):
            await made
    except Exception:  # noqa: BLE001 - it is told with its traceback, and changes nothing
        _complain(hook)
        return False
    return True


def _complain(hook: Hook) -> None:
    name = getattr(hook, "__name__", type(hook).__name__)
    logger.exception("nbflow: the hook %s() failed", name)


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The value of a coroutine, in a thread that is not asynchronous, or whose loop is held up meanwhile."""
    import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    answer, _ = aside(partial(asyncio.run, coroutine), "hook")
    return answer.result()


class Hooks:
    """The hooks of a task, by the events that they want to hear of."""

    __slots__ = ("_by", "hits")

    def __init__(self, options: TaskOptions) -> None:
        running, completion, failure = (
            cast("tuple[Hook, ...]", each) for each in (options.on_running, options.on_completion, options.on_failure)
        )
        self.hits = bool(options.hooks_on_hits and completion)
        self._by = {e.Started: running, e.Completed: completion, e.Failed: failure, e.TimedOut: failure}
        if self.hits:
            self._by[e.Hit] = completion

    @classmethod
    def of(cls, options: TaskOptions) -> Self | None:
        """None where there are none: then nothing has to be asked."""
        return cls(options) if options.on_running or options.on_completion or options.on_failure else None

    def bound(self, task: Any, run: TaskRun) -> "Hooked":
        """For one run."""
        return Hooked(self._by, task, run)


class Hooked:
    """The hooks of one run."""

    __slots__ = ("_by", "_run", "_task")

    def __init__(self, by: dict[type, tuple[Hook, ...]], task: Any, run: TaskRun) -> None:
        self._by, self._task, self._run = by, task, run

    def due(self, event: Any, outcome: Outcome | None) -> Iterator[tuple[Any, ...]]:
        """Each hook that wants to hear of an event, with what it is called with.

        Args:
            event: What happened.
            outcome: What the step has come to, where it has ended.
        """
        hooks = self._by.get(type(event), ())
        if not hooks:
            return
        run = self._run
        state = run.state if outcome is None or type(event) is e.Started else run.settle(outcome)
        mark = here.set(here.get()._replace(run=run))
        try:
            for hook in hooks:
                yield hook, self._task, run, state
        finally:
            here.reset(mark)


def condition_of(task: Any, condition: Hook | None) -> Question | None:
    """What asks a task's `retry_condition_fn` about an attempt that failed; None where there is none."""
    return asked(condition, partial(_ask, task))


def _ask(task: Any, condition: Hook, tried: Tried) -> Any:
    return condition(task, here.get().run, state_of(tried.outcome))
