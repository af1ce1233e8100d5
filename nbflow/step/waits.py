"""Waits before retries, from what a user wrote: numbers, lists, functions, tenacity's wait objects.

Waits are tenacity's, the users' own ones too; its retry loops stay unused, because they sleep, share
state between coroutines and raise an error of their own in place of the user's.
"""

from collections.abc import Callable, Sequence
from typing import Any

from nbflow.durations import seconds
from nbflow.options import Delay

__all__ = ["Wait", "exponential_backoff", "wait_of"]

Wait = Callable[[int, BaseException, float], float]
"""Attempt that failed (from 1), its error, seconds since the first began: seconds to wait."""


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Delays that double from `backoff_factor` seconds on: 10, 20, 40 for a factor of 10.

    As Prefect's function of this name; exponents stop growing at 50.

    >>> exponential_backoff(10)(3)
    [10, 20, 40]
    """
    return lambda retries: [backoff_factor * 2**exponent for exponent in range(min(retries, 50))]


def wait_of(delay: Delay, retries: int) -> Wait:
    """A wait from an option: a duration, a list, a function from `retries` to a list, a tenacity wait."""
    if retries == 0:
        return lambda *_: 0.0
    if _is_tenacity(delay):
        return lambda attempt, error, elapsed: float(delay(_state(attempt, error, elapsed)))  # type: ignore[operator]
    if callable(delay):
        delay = delay(retries)
    return _listed(delay)


def _listed(delay: Any) -> Wait:
    if not isinstance(delay, (list, tuple)):
        delay = [delay]
    waits: Sequence[float] = [seconds(each, "retry_delay_seconds") for each in delay] or [0.0]
    return lambda attempt, *_: waits[min(attempt, len(waits)) - 1]


def _is_tenacity(delay: object) -> bool:
    return any(base.__module__.startswith("tenacity") for base in type(delay).__mro__)


def _state(attempt: int, error: BaseException, elapsed: float) -> Any:
    """What a tenacity wait is called with."""
    from tenacity import Future, RetryCallState  # noqa: PLC0415 - whoever made the wait has imported it

    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number, state.start_time, state.outcome_timestamp = attempt, 0.0, elapsed
    state.outcome = Future.construct(attempt, error, has_exception=True)
    return state
