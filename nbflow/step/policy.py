"""How one step is kept, retried and bounded: the options of a task as plain numbers, for the plan."""

from dataclasses import dataclass, field
from typing import Any, Literal

from nbflow.durations import seconds
from nbflow.options import TaskOptions
from nbflow.step.waits import Wait, wait_of

__all__ = ["Policy", "policy_of"]

Keep = Literal["always", "pure", "never"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What the plan reads. All times in seconds; None is "no limit".

    Attributes:
        keep: Whether results are kept: always, only those of pure work, never.
        max_age: An older entry is not fresh.
        refresh: Every entry counts as not fresh.
        stale: An entry that is not fresh is better than an error.
        attempts: At most so many, 1 or more.
        wait: Seconds before the retry that follows attempt n, with its error and the time so far.
        jitter: Factor that spreads a wait, or 0.
        retry_on: Only these errors are retried; empty: every `Exception`. Classes or names of classes.
        give_up_on: These are never retried.
        timeout: For one attempt.
        deadline: For all attempts and waits.
    """

    keep: Keep = "pure"
    max_age: float | None = None
    refresh: bool = False
    stale: bool = False
    attempts: int = 1
    wait: Wait = field(default=lambda *_: 0.0)
    jitter: float = 0.0
    retry_on: tuple[type[Exception] | str, ...] = ()
    give_up_on: tuple[type[Exception] | str, ...] = ()
    timeout: float | None = None
    deadline: float | None = None


def policy_of(options: TaskOptions) -> Policy:
    """The policy that options spell out."""
    max_age = _limit(options.cache_expiration)
    return Policy(
        keep=_keep(options),
        max_age=max_age,
        refresh=bool(options.refresh_cache),
        stale=bool(options.stale_on_error),
        attempts=options.retries + 1,
        wait=wait_of(options.retry_delay_seconds, options.retries),
        jitter=options.retry_jitter_factor or 0.0,
        retry_on=_errors(options.retry_on),
        give_up_on=_errors(options.give_up_on),
        timeout=_limit(options.timeout_seconds),
        deadline=_limit(options.deadline_seconds),
    )


def _keep(options: TaskOptions) -> Keep:
    keeping = options.cache_policy
    if options.persist_result is False or (options.cache_key_fn is None and keeping is not None and not keeping.keeps):
        return "never"
    caching = (options.persist_result, options.cache_expiration, options.cache_key_fn, keeping)
    asked = (*caching, options.result_serializer, options.result_storage)
    return "pure" if all(option is None for option in asked) else "always"


def _limit(duration: Any) -> float | None:
    return None if duration is None else seconds(duration)


def _errors(errors: Any) -> tuple[type[Exception] | str, ...]:
    return () if errors is None else errors if isinstance(errors, tuple) else (errors,)
