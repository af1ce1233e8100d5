"""What the panel's buttons do to real steps."""

import threading
import time

import pytest

from nbflow import task
from nbflow.events import Failed, Started, Waiting
from nbflow.session import session
from nbflow.widget.actions import perform
from nbflow.widget.view import Board

PATIENCE = 20.0


@pytest.fixture
def shown(fresh):
    """`shown(action, task)`: do something to the steps of a task, or to all; its board hears of all steps."""
    board = Board(session.explain)
    fresh.session.bus.join(board.hear)
    fresh.clock.auto = False

    def act(action, name=None):
        return perform(board, action, board.steps(name))

    act.board, act.fresh = board, fresh
    return act


def wait(fresh, kind, count=1):
    until = time.monotonic() + PATIENCE
    while len([each for each in fresh.events if type(each) is kind]) < count:
        assert time.monotonic() < until, fresh.events
        time.sleep(0.002)


@task
def add(n):
    return n + 1


@task(retries=1, retry_delay_seconds=60)
def flaky(n, fails):
    if fails:
        fails.pop()
        raise OSError("busy")
    return n


def test_nothing_to_do_is_said():
    """Else a button would seem to be broken."""
    said = {action: perform(Board(), action, []) for action in ("cancel", "wake", "again", "refresh", "clear")}
    assert said == {
        "cancel": "nothing is left to cancel",
        "wake": "nothing waits for a retry",
        "again": "nothing failed",
        "refresh": "nothing is kept of this",
        "clear": "nothing is kept of this",
    }


def test_a_refreshed_step_runs_again_once(shown):
    """Else the only way past a result that one does not trust would be to clear it all."""
    add(1), add(2)
    assert shown("refresh") == "add will run again the next time, whatever is kept"
    assert not add.is_cached(1)
    before = len(shown.fresh.events)
    add(1), add(1)
    kinds = [type(each).__name__ for each in shown.fresh.events[before:]]
    assert kinds == ["Began", "Missed", "Started", "Completed", "Began", "Hit"]
    assert "miss: refresh asked" in [line.reason for line in shown.board.view().lines]


def test_clearing_drops_what_is_selected_and_counts_it(shown):
    """Else clearing one step would drop the results of others, or drop nothing."""
    add(1), add(2), add(1)

    @task(name="other")
    def other(n):
        return n

    other(1)
    assert shown("clear", "add") == "2 results dropped"
    assert not add.is_cached(1) and other.is_cached(1)
    assert shown("clear", "add") == "nothing is kept of this"


def test_waits_are_woken(shown):
    """Else somebody who has fixed the network would wait for the backoff all the same."""
    futures = [flaky.submit(n, [1]) for n in range(3)]
    wait(shown.fresh, Waiting, 3)
    assert shown("wake") == "3 steps tried again now"
    assert [each.exception(PATIENCE) for each in futures] == [None] * 3, "they changed their argument, and are not kept"
    assert shown("wake") == "nothing waits for a retry"


def test_cancelling_says_what_could_not_be(shown):
    """Else a step that cannot be stopped would be taken for stopped."""
    go = threading.Event()

    @task(name="held", persist_result=False)
    def held():
        go.wait(PATIENCE)

    waits = flaky.submit(1, [1])
    wait(shown.fresh, Waiting)
    from nbflow import ThreadPoolTaskRunner  # what runs and what is queued are told apart by its one worker

    runs = [held.submit() for _ in range(40)]
    wait(shown.fresh, Started, 2)
    said = shown("cancel")
    assert "cancelled" in said and "1 stopping" in said and "still running: a thread cannot be stopped" in said
    go.set()
    for each in (waits, *runs):
        each.wait(PATIENCE)
    assert waits.exception() is not None and ThreadPoolTaskRunner
    assert shown("cancel") == "nothing is left to cancel"


def test_what_failed_runs_again(shown):
    """Else one failed item of a thousand would mean to run the cell again and wait for it."""
    broken = threading.Event()
    broken.set()

    @task(name="fragile")
    def fragile(n):
        if broken.is_set():
            raise ValueError(n)
        return n

    for n in range(3):
        with pytest.raises(ValueError):
            fragile(n)
    assert len([each for each in shown.fresh.events if type(each) is Failed]) == 3
    broken.clear()
    said = shown("again")
    assert said == "3 steps started again; run the cell again to use what they return"
    until = time.monotonic() + PATIENCE
    while shown.board.busy:
        assert time.monotonic() < until
        time.sleep(0.002)
    assert [line.word for line in shown.board.view().lines] == ["failed"] * 3 + ["ran"] * 3
    assert shown("again") == "3 steps: run the cell again"
