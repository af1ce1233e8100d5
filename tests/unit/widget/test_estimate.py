import pytest

from nbflow.events import Completed, Queued
from tests.unit.widget.stories import T, board, ran, started


def left(*events, expect=None, now=100.0):
    return board(*events, now=now, expect=expect).view().left


def test_what_is_left_is_what_such_steps_took():
    """Else nobody could tell whether to wait or to come back tomorrow."""
    done = [e for i in range(4) for e in ran(i, cost=10.0)]
    queued = [Queued(50 + i, T + 90, "fetch", (), None) for i in range(6)]
    running = [e for i in range(2) for e in started(20 + i, at=96.0)]
    assert left(*done, *running, *queued) == pytest.approx((2 * 6 + 6 * 10) / 2)
    assert "about 36.0 s left" in board(*done, *running, *queued, now=100.0).view().headline


def test_earlier_runs_are_asked_once_for_each_task():
    """Else ten thousand queued steps would read the history ten thousand times."""
    asked = []

    def expect(task):
        asked.append(task)
        return 60.0

    events = [*started(1, "train", at=90.0), *[Queued(i, T + 90, "train", (), None) for i in range(2, 50)]]
    assert left(*events, expect=expect) == pytest.approx(50 + 48 * 60)
    assert asked == ["train"]


def test_a_history_that_cannot_be_read_costs_the_guess_and_nothing_else():
    """Else a damaged ledger would take the panel with it."""

    def expect(task):
        raise OSError("the ledger is gone")

    assert left(*started(1), expect=expect) is None


def test_nothing_is_said_where_nothing_is_known():
    """Else a first run would show a number that somebody made up."""
    assert left(*started(1)) is None
    assert left(*ran(1)) is None, "all is over"
    assert "left" not in board(*started(1)).view().headline


def test_a_step_within_another_is_not_counted_twice():
    """Else a flow would seem to take twice as long as it does."""
    inner = [*ran(2, "inner", at=91.0, parent=1, cost=4.0), *started(3, "inner", at=98.0, parent=1)]
    known = left(*started(1, "outer", at=90.0), *inner, expect={"outer": 30.0}.get)
    assert known == pytest.approx(20)
    assert left(*started(1, "outer", at=90.0), *inner) == pytest.approx(2), "else what is in it stands for it"


def test_a_step_that_takes_longer_than_ever_has_nothing_left():
    """Else the guess would be negative, or promise for minutes that it is over now."""
    assert left(*started(1), expect=lambda _: 10.0) == 0.0
    assert "left" not in board(*started(1), expect=lambda _: 10.0, now=100.0).view().headline


def test_what_begins_anew_has_a_guess_of_its_own():
    """Else a short step behind a long one would seem to take as long, for a second."""
    shown = board(*started(1, "long", at=99.0), expect={"long": 60.0, "short": 10.0}.get)
    assert shown.view().left == pytest.approx(59)
    shown.hear(Completed(1, T + 99.5, 0.5, 0))
    assert shown.view().left is None
    for event in started(2, "short", at=99.5):
        shown.hear(event)
    assert shown.view().left == pytest.approx(9.5)
