"""The options of a task."""

import pickle
import random
from datetime import timedelta

import pytest
import tenacity

from nbflow.errors import ConfigurationError, DurationError
from nbflow.options import TaskOptions, parse_count, parse_delay, parse_factor, parse_names
from nbflow.step.policy import policy_of


@pytest.mark.parametrize("retries", [-1, 1.5, True, "3", float("inf")])
def test_retries_are_a_whole_number(retries):
    """A typo would mean no retries, or endless ones."""
    with pytest.raises(ConfigurationError, match="retries="):
        TaskOptions(retries=retries)


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf"), "0.5"])
def test_jitter_factor_is_a_number(factor):
    """Jitter of -1 would retry at once."""
    with pytest.raises(ConfigurationError, match="retry_jitter_factor="):
        TaskOptions(retry_jitter_factor=factor)


@pytest.mark.parametrize("name", ["timeout_seconds", "deadline_seconds"])
@pytest.mark.parametrize("value", [0, "0s", timedelta()])
def test_a_limit_of_nothing_is_refused(name, value):
    """timeout_seconds=0 would end every attempt at once; some libraries mean `no limit` by it."""
    with pytest.raises(ConfigurationError, match=f"{name}=.*None for no limit"):
        TaskOptions(**{name: value})


@pytest.mark.parametrize("name", ["timeout_seconds", "deadline_seconds", "cache_expiration", "retry_delay_seconds"])
@pytest.mark.parametrize("value", [-1, float("nan"), True, "soon", timedelta(seconds=-1)])
def test_bad_durations_are_refused_when_declared(name, value):
    """A typo in an option would show up at night, in the middle of a run."""
    with pytest.raises(DurationError, match=name):
        TaskOptions(**{name: value})


@pytest.mark.parametrize(
    "delay", [2, "2s", timedelta(seconds=2), [1, "2s"], (), tenacity.wait_fixed(1), lambda n: [1] * n]
)
def test_delays_in_all_forms(delay):
    """A form that the README shows would be refused."""
    policy_of(TaskOptions(retries=1, retry_delay_seconds=delay))


@pytest.mark.parametrize("name", ["retry_on", "give_up_on"])
@pytest.mark.parametrize("errors", [3, KeyboardInterrupt, BaseException, (OSError, int), OSError("x"), [OSError]])
def test_errors_are_classes_or_names(name, errors):
    """retry_on=KeyboardInterrupt would catch Ctrl-C; an instance would match nothing."""
    with pytest.raises(ConfigurationError, match=name):
        TaskOptions(**{name: errors})


def test_ignore_is_no_string():
    """ignore="log" would leave out the parameters l, o and g."""
    with pytest.raises(ConfigurationError, match="list of parameter names"):
        TaskOptions(ignore="log")
    assert TaskOptions(ignore=["log"]).ignore == frozenset({"log"})


@pytest.mark.parametrize("name", ["persist_result", "refresh_cache", "log_prints", "stale_on_error"])
def test_a_switch_is_no_word(name):
    """`persist_result="no"` would keep everything."""
    with pytest.raises(ConfigurationError, match=f"{name}='no': give True or False"):
        TaskOptions(**{name: "no"})


def test_a_misspelt_option_names_the_nearest():
    """`retrys=3` would be silently ignored, or the message would not help."""
    with pytest.raises(ConfigurationError, match="'retrys'; did you mean 'retries'"):
        TaskOptions().but(retrys=3)
    with pytest.raises(ConfigurationError, match="there is no option 'qqq'$"):
        TaskOptions().but(qqq=1)


def test_but_changes_only_what_is_named():
    """with_options(retries=0) would drop the timeout."""
    one = TaskOptions(retries=3, timeout_seconds=5, name="x")
    other = one.but(retries=0, name=None)
    assert (other.retries, other.timeout_seconds, other.name) == (0, 5, None)
    assert one.retries == 3


def test_options_are_frozen_equal_and_picklable():
    """Options could change under a running task, or not travel to a worker."""
    one = TaskOptions(retries=3, retry_on="OSError", ignore=["a"])
    with pytest.raises(AttributeError):
        one.retries = 4
    assert pickle.loads(pickle.dumps(one)) == one == TaskOptions(retries=3, retry_on="OSError", ignore=("a",))
    assert one != TaskOptions()


class TestFlags:
    """Options from the text of a flag."""

    def test_delays(self):
        """`--retry-delay 1,5,30` would be another list."""
        assert parse_delay("2") == 2.0
        assert parse_delay("2m") == 120.0
        assert parse_delay("1,5,30") == [1.0, 5.0, 30.0]
        assert parse_delay("1s, 2m") == [1.0, 120.0]

    def test_growing_delay(self):
        """`exp:1..60` would not double, or grow past 60 s."""
        wait = policy_of(TaskOptions(retries=9, retry_delay_seconds=parse_delay("exp:1..60"))).wait
        assert [wait(n, OSError(), 0.0) for n in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
        wait = policy_of(TaskOptions(retries=9, retry_delay_seconds=parse_delay("exp:500ms..1m"))).wait
        assert wait(1, OSError(), 0.0) == 0.5

    @pytest.mark.parametrize("text", ["exp:1", "exp:", "exp:a..b", "soon", "", "1,,2", "-1"])
    def test_bad_delays(self, text):
        """A typo in a flag would run the cell with another delay."""
        with pytest.raises(ConfigurationError):
            parse_delay(text)

    def test_numbers_and_names(self):
        """`--retries x` would end in a traceback of ours."""
        assert (parse_count("3"), parse_factor("0.5")) == (3, 0.5)
        assert parse_names("a, b,,c ") == ("a", "b", "c")
        with pytest.raises(ConfigurationError, match="'x' is not a whole number"):
            parse_count("x")
        with pytest.raises(ConfigurationError, match="'x' is not a number"):
            parse_factor("x")


def test_jitter_never_draws_from_the_users_generator():
    """A seeded simulation would give other numbers once one of its downloads was retried."""
    from nbflow.clock import Clock

    random.seed(7)
    before = random.getstate()
    drawn = {Clock().draw() for _ in range(10)}
    assert random.getstate() == before and len(drawn) == 10
