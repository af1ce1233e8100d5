"""From options to a policy."""

from datetime import timedelta

import pytest

from nbflow.options import TaskOptions
from nbflow.step.policy import Policy, policy_of


def test_defaults_keep_pure_work_and_try_once():
    """A bare @task would retry, or keep what it ran for its effects."""
    made = policy_of(TaskOptions())
    assert (made.keep, made.attempts, made.timeout, made.deadline, made.max_age) == ("pure", 1, None, None, None)


@pytest.mark.parametrize(
    ("options", "keep"),
    [
        ({"persist_result": True}, "always"),
        ({"persist_result": False}, "never"),
        ({"cache_expiration": "1d"}, "always"),
        ({"cache_expiration": 0}, "always"),
        ({"cache_expiration": "1d", "persist_result": False}, "never"),
        ({"refresh_cache": True}, "pure"),
        ({"retries": 3}, "pure"),
    ],
)
def test_cache_options_switch_keeping_on(options, keep):
    """An expiry would be given and nothing kept, or persist_result=False would still store."""
    assert policy_of(TaskOptions(**options)).keep == keep


def test_durations_become_seconds():
    """A timedelta would reach the arithmetic as it is."""
    made = policy_of(
        TaskOptions(timeout_seconds="30s", deadline_seconds=timedelta(minutes=2), cache_expiration="1d", retries=4)
    )
    assert (made.timeout, made.deadline, made.max_age, made.attempts) == (30.0, 120.0, 86400.0, 5)


def test_one_error_or_several():
    """A single class in place of a tuple would retry nothing."""
    assert policy_of(TaskOptions(retry_on=OSError)).retry_on == (OSError,)
    assert policy_of(TaskOptions(retry_on="OSError")).retry_on == ("OSError",)
    assert policy_of(TaskOptions(give_up_on=(OSError, "X"))).give_up_on == (OSError, "X")


def test_no_jitter_unless_asked():
    """Delays would be random although nobody asked."""
    assert Policy().jitter == policy_of(TaskOptions(retries=3, retry_delay_seconds=1)).jitter == 0.0
