"""The options of a flow, spelled once: what holds for its own step, and what its tasks take over."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Final, Self

from nbflow.errors import ConfigurationError
from nbflow.options import TaskOptions, hooks_of
from nbflow.spelling import near
from nbflow.step.policy import Policy, policy_of
from nbflow.store import serializer_of, storage_of
from nbflow.task_runners import TaskRunner

__all__ = ["FlowOptions"]

_SHARED: Final = ("name", "version", "retries", "retry_delay_seconds", "retry_jitter_factor", "timeout_seconds")
_HANDED_ON: Final = ("log_prints", "persist_result", "result_storage", "result_serializer", "cache_result_in_memory")
_HOOKS: Final = ("on_completion", "on_failure", "on_cancellation", "on_crashed", "on_running")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowOptions:
    """How a flow is named, retried and bounded, and what its tasks take over from it. Checked when it is made.

    Attributes:
        name: What the flow is called; by default the function's name, with dashes.
        flow_run_name: What one run is called: a template of parameters such as `"load-{day}"`, or a function that gives
            a text; called with the parameters if it has a parameter of that name.
        description: For people; by default the function's docstring.
        version: For people.
        retries: As of a task. The whole function runs again; tasks whose results are kept are hits.
        retry_delay_seconds: As of a task.
        retry_jitter_factor: As of a task.
        timeout_seconds: For one attempt. It ends at the next task or `await`, on the main thread at once; what is
            queued is cancelled.
        log_prints: Lines that the flow and its tasks print become log lines; a task or an inner flow may say otherwise.
        task_runner: Where its tasks are submitted to, a runner or a class of runners: started for each run, and
            stopped at its end. By default the session's own.
        persist_result: For its tasks that do not say. A flow's own result is not kept.
        result_storage: For its tasks that do not say.
        result_serializer: For its tasks that do not say.
        cache_result_in_memory: For its tasks that do not say.
        validate_parameters: Accepted. Arguments must fit the signature in any case, and are never converted.
        on_completion: Functions of `(flow, flow_run, state)`, called when a run has completed.
        on_failure: When it has failed, after all retries.
        on_cancellation: When it was cancelled.
        on_crashed: When something ended it that is no error of its own.
        on_running: At the start of each attempt.

    Raises:
        ConfigurationError: An option cannot be meant as it was written.
    """

    name: str | None = None
    flow_run_name: str | Callable[..., str] | None = None
    description: str | None = None
    version: str | None = None
    retries: Any = 0
    retry_delay_seconds: Any = 0.0
    retry_jitter_factor: float | None = None
    timeout_seconds: Any = None
    log_prints: bool | None = None
    task_runner: Any = None
    persist_result: bool | None = None
    result_storage: Any = None
    result_serializer: Any = None
    cache_result_in_memory: bool | None = None
    validate_parameters: bool = True
    on_completion: Any = ()
    on_failure: Any = ()
    on_cancellation: Any = ()
    on_crashed: Any = ()
    on_running: Any = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        set_ = partial(object.__setattr__, self)
        set_("retries", self.retries or 0)
        set_("retry_delay_seconds", self.retry_delay_seconds or 0.0)
        set_("timeout_seconds", self.timeout_seconds or None)
        self.policy()
        for name in _HOOKS:
            set_(name, hooks_of(name, getattr(self, name)))
        naming: Any = self.flow_run_name
        if naming is not None and not isinstance(naming, str) and not callable(naming):
            raise ConfigurationError(f"flow_run_name={naming!r}: give a template, or a function that gives text")
        runner = self.task_runner
        if not isinstance(runner, (TaskRunner, type(None))) and not _is_class(runner):
            raise ConfigurationError(f"task_runner={runner!r}: give a runner, such as ThreadPoolTaskRunner(4)")
        if self.result_serializer is not None:
            serializer_of(self.result_serializer)
        if self.result_storage is not None:  # the same folder wherever it is taken
            set_("result_storage", storage_of(self.result_storage))

    def policy(self) -> Policy:
        """How its step is retried and bounded, which is as a task is."""
        return policy_of(TaskOptions(**{name: getattr(self, name) for name in _SHARED}))

    def handed_on(self) -> dict[str, Any]:
        """What its tasks take over."""
        return {name: value for name in _HANDED_ON if (value := getattr(self, name)) is not None}

    def runner(self) -> TaskRunner | None:
        """A runner for one run, not started; None is the session's own."""
        if self.task_runner is None:
            return None
        made: TaskRunner = self.task_runner() if _is_class(self.task_runner) else self.task_runner.duplicate()
        return made

    def but(self, **changes: Any) -> Self:
        """The same options with some of them changed.

        Raises:
            ConfigurationError: There is no such option; the nearest one is named.
        """
        known = [each.name for each in fields(FlowOptions)]
        for name in changes:
            if name not in known:
                raise ConfigurationError(f"there is no option {name!r} of a flow{near(name, known)}")
        return replace(self, **changes)


def _is_class(runner: Any) -> bool:
    return isinstance(runner, type) and issubclass(runner, TaskRunner)
