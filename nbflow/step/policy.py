"""How one step is kept, retried and bounded: the options of a task as plain numbers, for the plan."""

from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

from nbflow.durations import seconds
from nbflow.options import TaskOptions, is_tenacity
from nbflow.step.waits import Question, Wait, about_error, about_value, asked, wait_of

__all__ = ["DISABLED", "Bounds", "Keep", "Policy", "bounded", "bounds", "policy_of"]

Keep = Literal["always", "pure", "never"]

_UNKNOWN = 50
"""Retries that a function of their number is asked for delays of, where only a stop of tenacity bounds them."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the plan reads. All times in seconds; None is "no limit".

    Attributes:
        keep: Whether results are kept: always, only those of pure work, never.
        max_age: An older entry is not fresh.
        refresh: Every entry counts as not fresh.
        stale: An entry that is not fresh is better than an error.
        attempts: At most so many, 1 or more; 0 where only `stop` knows.
        stop: Asked whether to give up, after a wait was found.
        wait: Seconds before the retry that follows attempt n, with its error and the time so far.
        jitter: Factor that spreads a wait, or 0.
        retry_on: Only these errors are retried; empty: every `Exception`. Classes or names of classes.
        give_up_on: These are never retried.
        retry_if: Asked about an error that may be retried: whether, or after how many seconds.
        condition: Asked last whether an error is retried.
        unfit: Asked about a result: whether it is none, and to be tried again.
        timeout: For one attempt.
        deadline: For all attempts and waits.
    """

    keep: Keep = "pure"
    max_age: float | None = None
    refresh: bool = False
    stale: bool = False
    attempts: int = 1
    stop: Question | None = None
    wait: Wait = field(default=lambda *_: 0.0)
    jitter: float = 0.0
    retry_on: tuple[type[Exception] | str, ...] = ()
    give_up_on: tuple[type[Exception] | str, ...] = ()
    retry_if: Question | None = None
    condition: Question | None = None
    unfit: Question | None = None
    timeout: float | None = None
    deadline: float | None = None


class Bounds(NamedTuple):
    """What tests impose on all policies: so many attempts at most, or one plain call."""

    attempts: int
    disabled: bool = False


DISABLED: Final = Bounds(1, disabled=True)

bounds: ContextVar[Bounds | None] = ContextVar("nbflow_bounds", default=None)
"""What holds here."""


def bounded(policy: Policy) -> Policy:
    """A policy within the bounds that hold here; they never raise anything."""
    within = bounds.get()
    if within is None:
        return policy
    if within.disabled:
        return Policy(keep="never")
    return replace(policy, attempts=min(policy.attempts or within.attempts, within.attempts))


def policy_of(options: TaskOptions, condition: Question | None = None) -> Policy:
    """The policy that options spell out.

    Args:
        options: As the user wrote them.
        condition: What asks their `retry_condition_fn`, which wants to know of a task and a run.
    """
    max_age = _limit(options.cache_expiration)
    attempts, stop = _bounds(options.retries)
    retry_on, retry_if = _wanted(options.retry_on)
    unfit: Any = options.retry_if_result
    if unfit is None and is_tenacity(options.retry_on):
        unfit = options.retry_on  # tenacity's own ask about results too
    return Policy(
        keep=_keep(options),
        max_age=max_age,
        refresh=bool(options.refresh_cache),
        stale=bool(options.stale_on_error),
        attempts=attempts,
        stop=stop,
        wait=wait_of(options.retry_delay_seconds, attempts - 1 if attempts else _UNKNOWN),
        jitter=options.retry_jitter_factor or 0.0,
        retry_on=retry_on,
        give_up_on=_errors(options.give_up_on),
        retry_if=retry_if,
        condition=condition,
        unfit=asked(unfit, about_value),
        timeout=_limit(options.timeout_seconds),
        deadline=_limit(options.deadline_seconds),
    )


def _keep(options: TaskOptions) -> Keep:
    keeping = options.cache_policy
    keyed = options.cache_key_fn is not None or options.result_storage_key is not None
    if options.persist_result is False or (not keyed and keeping is not None and not keeping.keeps):
        return "never"
    caching = (options.persist_result, options.cache_expiration, options.cache_key_fn, keeping)
    asked = (*caching, options.result_serializer, options.result_storage, options.result_storage_key)
    return "pure" if all(option is None for option in asked) else "always"


def _limit(duration: Any) -> float | None:
    return None if duration is None else seconds(duration)


def _bounds(retries: Any) -> tuple[int, Question | None]:
    """How many attempts there are at most, and whom to ask where a number does not say it all."""
    if retries is None or isinstance(retries, int):
        return (retries or 0) + 1, None
    most = getattr(retries, "max_attempt_number", None)  # tenacity's stop_after_attempt
    return (max(1, most), None) if isinstance(most, int) else (0, asked(retries, about_error))


def _wanted(errors: Any) -> tuple[tuple[type[Exception] | str, ...], Question | None]:
    """Errors that `retry_on` names, and whom to ask where it is a function."""
    if callable(errors) and not isinstance(errors, type):
        return (), asked(errors, about_error)
    return _errors(errors), None


def _errors(errors: Any) -> tuple[type[Exception] | str, ...]:
    return () if errors is None else errors if isinstance(errors, tuple) else (errors,)
