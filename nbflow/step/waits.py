"""Waits, stops and conditions, from what a user wrote: numbers, lists, functions, tenacity's objects.

Waits are tenacity's, the users' own ones too; its retry loops stay unused, because they sleep, share
state between coroutines and raise an error of their own in place of the user's.

What is made here calls the user's code: a plan never calls it, but asks for its answer.
"""

import random
from _random import Random as Generator
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from nbflow.durations import seconds
from nbflow.errors import ConfigurationError
from nbflow.options import Delay, is_tenacity
from nbflow.step.commands import Ok, Outcome

__all__ = ["Question", "Tried", "Wait", "about_error", "about_value", "asked", "exponential_backoff", "wait_of"]

_MOST = 50
"""Delays of a list at most, as in Prefect."""


class Tried(NamedTuple):
    """An attempt, for questions about it.

    Attributes:
        attempt: Counted from 1.
        outcome: What it came to.
        elapsed: Seconds since the first attempt began.
        wait: Seconds until the next one, where that is known.
    """

    attempt: int
    outcome: Outcome
    elapsed: float
    wait: float = 0.0


Question = Callable[[Tried], Any]
"""What the user's code is asked about an attempt."""
Wait = Callable[..., Any]
"""Attempt that failed (from 1), its error, seconds since the first began, a number from [0, 1): seconds to wait."""


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Delays that double from `backoff_factor` seconds on: 10, 20, 40 for a factor of 10.

    As Prefect's function of this name; exponents stop growing at 50.

    >>> exponential_backoff(10)(3)
    [10, 20, 40]
    """
    return lambda retries: [backoff_factor * 2**exponent for exponent in range(min(retries, _MOST))]


def wait_of(delay: Delay, retries: int) -> Wait:
    """A wait from an option: a duration, a list, a function from `retries` to a list, a tenacity wait."""
    if retries == 0:
        return lambda *_: 0.0
    if is_tenacity(delay):
        return partial(_by_chance, delay)
    if callable(delay):
        delay = delay(retries)
    return _listed(delay)


def _listed(delay: Any) -> Wait:
    if not isinstance(delay, Sequence) or isinstance(delay, str):
        delay = [delay]
    if len(delay) > _MOST:
        raise ConfigurationError(f"retry_delay_seconds has {len(delay)} delays: give {_MOST} at most, the last repeats")
    waits = [seconds(each, "retry_delay_seconds") for each in delay] or [0.0]
    return lambda attempt, *_: waits[min(attempt, len(waits)) - 1]


def _by_chance(delay: Any, attempt: int, error: BaseException | Any, elapsed: float, draw: float = 0.5) -> Any:
    """What a tenacity wait says. Some draw from `random`, which is the user's: it is as it was afterwards.

    Nobody is told of the seeding, which would be the user's otherwise, and make their results depend on it.
    """
    users = random._inst  # noqa: SLF001 - what the functions of the module are methods of
    state = Generator.getstate(users)
    Generator.seed(users, int(draw * 2**53))
    try:
        return delay(_state(attempt, error, elapsed, failed=isinstance(error, BaseException)))
    finally:
        Generator.setstate(users, state)


def asked(question: Any, how: Callable[[Any, Tried], Any]) -> Question | None:
    """A question to an object of tenacity, or to the user's function by `how`; None where there is nothing to ask."""
    return None if question is None else partial(_of_tenacity if is_tenacity(question) else how, question)


def about_value(question: Callable[[Any], Any], tried: Tried) -> Any:
    """Ask about a result."""
    assert isinstance(tried.outcome, Ok)
    return question(tried.outcome.value)


def about_error(question: Callable[[Any], Any], tried: Tried) -> Any:
    """Ask about an error: whether to try again, or after how long."""
    assert not isinstance(tried.outcome, Ok)
    answer = question(tried.outcome.error)
    return answer.total_seconds() if isinstance(answer, timedelta) else answer


def _of_tenacity(question: Any, tried: Tried) -> Any:
    ok = isinstance(tried.outcome, Ok)
    state = _state(tried.attempt, tried.outcome[0], tried.elapsed, failed=not ok)
    state.upcoming_sleep = tried.wait
    return question(state)


def _state(attempt: int, result: Any, elapsed: float, *, failed: bool) -> Any:
    """What tenacity's objects are called with."""
    from tenacity import Future, RetryCallState  # noqa: PLC0415 - whoever made the object has imported it

    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number, state.start_time, state.outcome_timestamp = attempt, 0.0, elapsed
    state.outcome = Future.construct(attempt, result, has_exception=failed)
    return state
