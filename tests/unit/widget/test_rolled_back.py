"""A step that ended, and was undone after all."""

import pytest

from nbflow import events as e
from nbflow.step.phases import Phase
from nbflow.widget.view import Board


@pytest.mark.parametrize("rows", [1, 3])
def test_a_step_that_was_undone_is_shown_as_such(rows):
    """The panel would say that a step ran whose effects are gone, or break when it hears of that."""
    board = Board()
    for step in range(1, rows + 1):
        for event in (
            e.Began(step, 1.0, "write", (step,), None),
            e.Missed(step, 1.0, "first run", None),
            e.Started(step, 1.0, 1, 1),
            e.Completed(step, 2.0, 1.0, 10),
            e.RolledBack(step, 3.0),
            e.RolledBack(step, 3.0),
        ):
            board.hear(event)
    view = board.view()
    assert [line.state for line in view.lines] == [Phase.ROLLED_BACK] * rows
    assert {line.word for line in view.lines} == {"rolled back"}


def test_levels_stand_before_what_was_logged():
    """A warning in a step's log would look like any other line."""
    board = Board()
    board.hear(e.Began(1, 1.0, "write", (), None))
    board.hear(e.Logged(1, 1.0, "INFO", "as usual"))
    board.hear(e.Logged(1, 1.0, "WARNING", "look here"))
    assert list(board.view().lines[0].log) == ["as usual", "WARNING: look here"]
