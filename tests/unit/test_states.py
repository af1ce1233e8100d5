"""What a run came to, as Prefect says it."""

import asyncio
import concurrent.futures
import gc
import pickle

import pytest

from nbflow import NotReadyError, StepTimeout, UnfinishedRun
from nbflow import states as s
from nbflow.errors import CancelledRun, CrashedRun, FailedRun
from nbflow.states import State, StateType, state_of
from nbflow.step.commands import Err, Ok

KINDS = ["scheduled", "pending", "running", "completed", "failed", "cancelled", "crashed", "paused", "cancelling"]


def test_constructors_give_the_names_and_kinds_of_prefect():
    """`if state.is_failed()` in a program that came from Prefect would take another branch."""
    kinds = {
        "Scheduled": "scheduled",
        "Late": "scheduled",
        "AwaitingRetry": "scheduled",
        "Pending": "pending",
        "Running": "running",
        "Retrying": "running",
        "Completed": "completed",
        "Failed": "failed",
        "Crashed": "crashed",
        "Cancelled": "cancelled",
        "Cancelling": "cancelling",
        "Paused": "paused",
        "Suspended": "paused",
    }
    for name, kind in kinds.items():
        state = getattr(s, name)(message="why")
        assert (state.name, state.type, state.message) == (name, kind.upper(), "why")
        assert [each for each in KINDS if getattr(state, f"is_{each}")()] == [kind]
        assert state.is_final() == (kind in {"completed", "failed", "cancelled", "crashed"})
    assert s.Completed(name="Skipped").name == "Skipped"
    assert State("FAILED").name == "Failed" and State(StateType.FAILED, "TimedOut").name == "TimedOut"


def test_results_of_success():
    """A result of None would be taken for a missing one."""
    assert s.Completed(data=5).result() == 5
    assert s.Completed().result() is None
    assert asyncio.run(s.Completed(data=[1]).aresult()) == [1]


@pytest.mark.parametrize("unfinished", [s.Running(), s.Pending(), s.Scheduled(), s.Paused()])
def test_an_unfinished_run_has_no_result(unfinished):
    """A program would go on with None."""
    for raising in (True, False):
        with pytest.raises(UnfinishedRun, match=unfinished.name):
            unfinished.result(raise_on_failure=raising)


def test_results_of_failure():
    """The traceback would end in nbflow, not at the user's own error."""
    error = ValueError("no rows")
    for data in (
        error,
        s.Failed(data=error),
        [s.Completed(), s.Failed(data=error)],
        [s.Failed(data=s.Failed(data=error))],
    ):
        state = s.Failed(data=data)
        assert state.result(raise_on_failure=False) is error
        with pytest.raises(ValueError, match="no rows") as raised:
            state.result()
        assert raised.value is error
    for made, kind in ((s.Failed, FailedRun), (s.Crashed, CrashedRun), (s.Cancelled, CancelledRun)):
        with pytest.raises(kind, match="^why$"):
            made(message="why").result()
        with pytest.raises(kind, match="^text$"):
            made(message="why", data="text").result()
        assert type(made().result(raise_on_failure=False)) is kind
    with pytest.raises(TypeError, match="holds a int"):
        s.Failed(data=3).result()


def test_what_outcomes_are():
    """A hook or a flow would be told something else than what happened."""
    returned = s.Failed(message="mine")
    cases = [
        (Ok(3), "Completed", "COMPLETED"),
        (Err(ValueError("x")), "Failed", "FAILED"),
        (Err(StepTimeout("late")), "TimedOut", "FAILED"),
        (Err(TimeoutError("the user's own")), "TimedOut", "FAILED"),
        (Err(KeyboardInterrupt()), "Crashed", "CRASHED"),
        (Err(SystemExit(1)), "Crashed", "CRASHED"),
        (Err(concurrent.futures.CancelledError()), "Cancelled", "CANCELLED"),
        (Err(asyncio.CancelledError()), "Cancelled", "CANCELLED"),
        (Err(NotReadyError("x")), "NotReady", "PENDING"),
        (Err(FailedRun("x")), "Failed", "FAILED"),
        (Err(CrashedRun("x")), "Crashed", "CRASHED"),
    ]
    for outcome, name, kind in cases:
        state = state_of(outcome)
        assert (state.name, state.type) == (name, kind)
    assert state_of(Ok(3), cached=True).name == "Cached"
    assert state_of(Ok(returned)) is returned and state_of(Err(FailedRun("mine"), returned)) is returned
    assert state_of(Err(FailedRun("no rows"))).message == "no rows"
    assert "aborted" in state_of(Err(SystemExit(1))).message
    with pytest.raises(NotReadyError):
        state_of(Err(NotReadyError("x"))).result()


def test_later_states_are_later():
    """States that came in one tick of a coarse clock could not be put in order."""
    times = [s.Running().timestamp for _ in range(1000)]
    assert times == sorted(set(times)) and times[0].tzinfo is not None


def test_a_value_never_shows_and_travels():
    """A log line would hold a gigabyte, or a password; a state from a worker would not arrive."""
    state = s.Completed(message="done", data={"password": "hunter2"})
    assert "hunter2" not in f"{state!r}{state}" and str(state) == "Completed('done')"
    again = pickle.loads(pickle.dumps(state))
    assert (again.name, again.data, again.timestamp) == ("Completed", state.data, state.timestamp)
    assert state != s.Completed(message="done", data=state.data) and {state: 1}[state] == 1


def test_states_that_are_gone_cost_nothing():
    """Every later call would have its arguments searched."""
    from nbflow.annotations import alive

    gc.collect()
    before = len(alive)
    state = s.Failed()
    assert len(alive) == before + 1
    del state
    gc.collect()
    assert len(alive) == before
