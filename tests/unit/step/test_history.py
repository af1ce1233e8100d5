"""What is known of the attempts of a step that failed."""

import dataclasses
import pickle

import pytest

from nbflow.step.history import Attempt, attempts, note, reason, remember

TWO = [Attempt(1, 0.0, 1.0, "OSError", 2.0), Attempt(2, 3.0, 1.0, "OSError: again")]


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Mute(Exception):
    def __str__(self):
        raise ZeroDivisionError


class Unpicklable(Exception):
    def __reduce__(self):
        raise TypeError("no")


@pytest.mark.parametrize("error", [OSError(), Frozen(3), Mute(), Unpicklable()], ids=lambda each: type(each).__name__)
def test_any_error_takes_its_history(error):
    """An unusual exception class would end in an error of nbflow, or lose what was tried; or what was tried not pickle."""
    remember(error, TWO)
    note(error, "nbflow: 2 attempts in 4.0 s")
    assert pickle.loads(pickle.dumps(attempts(error))) == tuple(TWO)
    assert reason(error).startswith(type(error).__name__)


def test_one_attempt_of_an_outer_step_does_not_hide_those_of_an_inner_one():
    """Of a task called in a flow without retries one would no longer see how often it was tried."""
    error = OSError()
    remember(error, TWO)
    remember(error, TWO[:1])
    assert attempts(error) == tuple(TWO)


def test_a_note_is_given_once():
    """An error that is raised through ten steps would say ten times the same."""
    error = OSError()
    note(error, "a")
    note(error, "a")
    assert error.__notes__ == ["a"]


def test_no_history():
    """`attempts` would fail on an error of somebody else, or on one that has a thing of that name."""
    assert attempts(OSError()) == ()
    error = OSError()
    error.__nbflow_attempts__ = 5
    assert attempts(error) == ()
