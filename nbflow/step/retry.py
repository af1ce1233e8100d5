"""Retry arithmetic: is there another attempt, and when. No clock, no sleep, no randomness of its own."""

from collections.abc import Sequence
from math import exp, log, log2

from nbflow.errors import ConfigurationError
from nbflow.step.policy import Policy

__all__ = ["backoff", "jittered", "matches"]


def backoff(policy: Policy, attempt: int, error: BaseException, elapsed: float, draw: float) -> float | None:
    """Seconds to wait before the next attempt, or None to give up.

    Args:
        policy: Whether and how to retry.
        attempt: The attempt that failed, counted from 1.
        error: What it raised. Anything but an `Exception` (an interrupt, a cancellation) is never retried.
        elapsed: Seconds since the first attempt began.
        draw: A random number from [0, 1), for the jitter.

    Raises:
        ConfigurationError: The user's wait gave something that is not a number of seconds.
    """
    if attempt >= policy.attempts or not isinstance(error, Exception) or matches(error, policy.give_up_on):
        return None
    if policy.retry_on and not matches(error, policy.retry_on):
        return None
    wait = policy.wait(attempt, error, elapsed)
    if not 0 <= wait < float("inf"):
        raise ConfigurationError(f"retry_delay_seconds gave {wait!r} after attempt {attempt}: give seconds, 0 or more")
    wait = jittered(wait, policy.jitter, draw)
    if policy.deadline is not None and elapsed + wait >= policy.deadline:
        return None
    return wait


def jittered(wait: float, factor: float, draw: float) -> float:
    """A wait spread around its mean: never above wait * (1 + factor).

    Drawn from an exponential distribution clamped so that the mean stays `wait`, as Prefect's
    `clamped_poisson_interval` does, so that clients that failed together do not come back together.

    >>> jittered(10, 0, 0.5), 7.5 < jittered(10, 0.3, 0.0) < jittered(10, 0.3, 0.999) < 13
    (10, True)
    """
    if factor <= 0 or wait <= 0:
        return wait
    most = 2.0 ** (1 + min(factor, 40.0))
    low, high = (1 - exp(-log2(most / (most - 1)))), (1 - exp(-(1 + factor)))
    return min(-wait * log(1 - (low + draw * (high - low))), wait * (1 + factor))


def matches(error: BaseException, errors: Sequence[type[Exception] | str]) -> bool:
    """Whether an error is of one of these classes; a name matches a class's own name or its full one."""
    return any(
        isinstance(error, each) if isinstance(each, type) else any(_named(base, each) for base in type(error).__mro__)
        for each in errors
    )


def _named(kind: type, name: str) -> bool:
    return name == kind.__name__ or (
        name.rpartition(".")[2] == kind.__name__ and kind.__module__.partition(".")[0] == name.partition(".")[0]
    )
