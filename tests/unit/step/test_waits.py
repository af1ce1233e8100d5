"""The option `retry_delay_seconds`, in all the ways that users write it."""

from datetime import timedelta

import pytest
import tenacity

from nbflow.errors import DurationError
from nbflow.step.waits import exponential_backoff, wait_of


def first(delay, count, retries=None):
    wait = wait_of(delay, count if retries is None else retries)
    return [wait(attempt, OSError(), 0.0) for attempt in range(1, count + 1)]


@pytest.mark.parametrize("delay", [2, 2.0, "2s", "2", timedelta(seconds=2), [2], (2,), ["2s"]])
def test_one_delay_repeats(delay):
    """A user's plain delay would be taken for another one, or only for the first retry."""
    assert first(delay, 3) == [2, 2, 2]


def test_list_is_used_in_order_and_its_last_value_repeats():
    """A user's [1, 2] would hammer the service from the third retry on."""
    assert first([1, 2, 4], 2) == [1, 2]
    assert first([1, 2], 4) == [1, 2, 2, 2]


def test_empty_list_retries_at_once():
    """A program moved from Prefect with an empty list would no longer start."""
    assert first([], 2) == [0, 0]


@pytest.mark.parametrize("delay", [-1, float("nan"), float("inf"), True, "soon", "-2s", [1, -1], None])
def test_delay_that_is_none_is_refused_at_once(delay):
    """A typo in a delay would show up only at the first failure, at night."""
    with pytest.raises(DurationError, match="retry_delay_seconds"):
        wait_of(delay, 3)


def test_exponential_backoff_doubles_from_the_factor():
    """The first retry would wait nothing, or a factor of 10 would mean something else than in Prefect."""
    assert first(exponential_backoff(10), 4) == [10, 20, 40, 80]
    assert exponential_backoff(10)(3) == [10, 20, 40]


def test_exponential_backoff_stops_growing():
    """The five thousandth attempt would die of an OverflowError."""
    assert len(exponential_backoff(1)(5000)) == 50
    assert first(exponential_backoff(1), 60)[-1] == 2**49


def test_function_gets_the_number_of_retries():
    """A delay function written for Prefect would be called in another way."""
    asked = []
    wait_of(lambda retries: asked.append(retries) or [1, 2], 5)
    assert asked == [5]


def test_nothing_is_computed_without_retries():
    """A broken delay function would break a task that never retries."""
    assert wait_of(lambda retries: 1 / 0, 0)(1, OSError(), 0.0) == 0


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (tenacity.wait_exponential(multiplier=10, max=25), [10, 20, 25, 25]),
        (tenacity.wait_incrementing(start=1, increment=2), [1, 3, 5, 7]),
        (tenacity.wait_fixed(1.5), [1.5] * 4),
        (tenacity.wait_chain(*[tenacity.wait_fixed(1)] * 3, tenacity.wait_fixed(5)), [1, 1, 1, 5]),
        (tenacity.wait_fixed(1) + tenacity.wait_fixed(2), [3] * 4),
        (tenacity.wait_none(), [0] * 4),
    ],
    ids=["capped", "linear", "fixed", "chain", "sum", "none"],
)
def test_tenacity_waits_are_taken_as_they_are(wait, expected):
    """A user's own wait object would give other delays here than under tenacity."""
    assert first(wait, 4) == expected


def test_capped_wait_stays_capped_for_ever():
    """A long run of failures would overflow."""
    assert wait_of(tenacity.wait_exponential(multiplier=1, max=60), 9000)(5000, OSError(), 0.0) == 60


def test_tenacity_wait_sees_the_error_and_the_time():
    """A wait that reads Retry-After from the error would see nothing."""
    seen = []

    class Asked(tenacity.wait.wait_base):
        def __call__(self, retry_state):
            seen.append((retry_state.attempt_number, retry_state.outcome.exception(), retry_state.seconds_since_start))
            return retry_state.outcome.exception().after

    error = OSError()
    error.after = 7
    assert wait_of(Asked(), 3)(2, error, 4.5) == 7
    assert seen == [(2, error, 4.5)]
