"""Retry arithmetic: whether there is another attempt, and when."""

import copy
import pickle
import random
import statistics

import pytest

from nbflow.options import TaskOptions
from nbflow.step.commands import Ask, Draw, Err
from nbflow.step.policy import Policy, policy_of
from nbflow.step.retry import Again, again, jittered, matches
from nbflow.step.waits import Tried

NOW = 1_800_000_000.0


def policy(**options):
    return policy_of(TaskOptions(**options))


def decided(policy, outcome, attempt=1, elapsed=0.0, draw=0.5):
    """What follows an attempt, where the user's code answers at once."""
    deciding = again(policy, Tried(attempt, outcome, elapsed), NOW)
    try:
        command = next(deciding)
        while True:
            assert isinstance(command, (Ask, Draw))
            try:
                answer = draw if isinstance(command, Draw) else command.question(*command.about)
            except Exception as error:
                command = deciding.throw(error)
            else:
                command = deciding.send(answer)
    except StopIteration as stop:
        return stop.value


def waits(policy, error=None, draw=0.5):
    """Waits until the policy gives up."""
    found, elapsed = [], 0.0
    while isinstance(verdict := decided(policy, Err(error or OSError()), len(found) + 1, elapsed, draw), Again):
        found.append(verdict.wait)
        elapsed += verdict.wait
        assert len(found) < 1000
    return found


def test_no_retries_gives_up_at_once():
    """A task without retries would run twice: a payment sent again."""
    assert waits(policy()) == []


def test_retries_are_further_attempts():
    """retries=3 would mean 3 attempts, one less than in Prefect."""
    assert waits(policy(retries=3, retry_delay_seconds=2)) == [2, 2, 2]


def test_delay_list():
    """The delays of a list would come in another order."""
    assert waits(policy(retries=4, retry_delay_seconds=[1, 2, 4, 8])) == [1, 2, 4, 8]
    assert waits(policy(retries=2, retry_delay_seconds=[1, 2, 4, 8])) == [1, 2]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_interrupts_are_never_retried(error):
    """Ctrl-C would start another attempt instead of stopping."""
    assert waits(policy(retries=3), error) == []


@pytest.mark.parametrize(
    "spec", [OSError, (OSError, KeyError), "OSError", ("KeyError", "ConnectionError"), "builtins.OSError"]
)
def test_retry_on_takes_classes_and_names(spec):
    """A subclass of the named error would not be retried."""
    assert len(waits(policy(retries=2, retry_on=spec), ConnectionResetError())) == 2


def test_other_errors_are_not_retried():
    """A bug in the user's code would be retried like a network failure."""
    assert waits(policy(retries=2, retry_on=OSError), ValueError()) == []


def test_give_up_on_beats_retry_on():
    """A wrong password would be tried four times, and the account locked."""

    class WrongPassword(OSError):
        pass

    assert waits(policy(retries=3, retry_on=OSError, give_up_on=WrongPassword), WrongPassword()) == []
    assert waits(policy(retries=3, give_up_on="WrongPassword"), WrongPassword()) == []
    assert len(waits(policy(retries=3, give_up_on=WrongPassword), OSError())) == 3


def test_name_with_a_module_matches_only_that_library():
    """`requests.Timeout` would retry every other library's Timeout as well, or not requests' own."""
    ours = type("Timeout", (Exception,), {"__module__": "requests.exceptions"})()
    other = type("Timeout", (Exception,), {"__module__": "httpx"})()
    assert matches(ours, ["requests.Timeout"])
    assert not matches(other, ["requests.Timeout"])
    assert matches(other, ["Timeout"])


def test_deadline_refuses_a_wait_that_would_end_past_it():
    """A one second limit would last two, as tenacity's stop_after_delay does."""
    assert waits(policy(retries=9, retry_delay_seconds=0.4, deadline_seconds=1)) == [0.4, 0.4]
    assert waits(policy(retries=9, retry_delay_seconds=2, deadline_seconds=1)) == []


def test_jitter_factor_keeps_prefects_range_and_mean():
    """A program moved from Prefect would wait longer or shorter on average."""
    draw = random.Random(7).random
    for factor, low, high in ((0.3, 7.5, 13.0), (0.5, 6.29, 15.0), (1.0, 4.1, 20.0), (3.0, 0.9, 40.0)):
        sample = [jittered(10.0, factor, draw()) for _ in range(20_000)]
        assert low <= min(sample) <= max(sample) <= high
        assert statistics.fmean(sample) == pytest.approx(10.0, rel=0.02)


def test_jitter_comes_after_the_cap():
    """At the cap all clients would come back at the same moment: jitter that is clamped away."""
    capped = policy(retries=9, retry_delay_seconds=[60], retry_jitter_factor=0.5)
    assert len({waits(capped, draw=draw / 10)[0] for draw in range(10)}) == 10


def test_no_delay_stays_no_delay():
    """An immediate retry would become a wait."""
    assert jittered(0.0, 1.0, 0.9) == 0.0


def test_jitter_of_a_list_spreads_each_value():
    """Only the first delay of a list would be spread."""
    spread = waits(policy(retries=3, retry_delay_seconds=[1, 0, 4], retry_jitter_factor=1.0), draw=0.9)
    assert spread[0] > 1 and spread[1] == 0 and spread[2] == pytest.approx(4 * spread[0])


def test_same_draw_gives_the_same_wait():
    """A seeded run could not be repeated."""
    assert jittered(10, 0.5, 0.25) == jittered(10, 0.5, 0.25)


@pytest.mark.parametrize("factor", [0.01, 1, 39.9, 40, 60, 1e6, 1e300])
@pytest.mark.parametrize("draw", [0.0, 0.5, 1 - 2**-53])
def test_extreme_factors_give_finite_waits(factor, draw):
    """A large jitter factor would end the step with `math domain error`, once in a while."""
    assert 0 <= jittered(10.0, factor, draw) <= 10.0 * (1 + factor)


def test_a_policy_can_be_shared():
    """Two tasks with one policy would count each other's attempts."""
    shared = policy(retries=2, retry_delay_seconds=[1, 2])
    assert waits(shared) == waits(shared) == waits(copy.copy(shared)) == [1, 2]


def test_plain_policies_compare():
    """A policy could not be checked in a user's own test."""
    assert Policy(attempts=3) == Policy(attempts=3) != Policy(attempts=4)
    assert pickle.loads(pickle.dumps(TaskOptions(retries=3))) == TaskOptions(retries=3)
