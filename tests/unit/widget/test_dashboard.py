import threading

from nbflow import task
from nbflow.events import Missed
from nbflow.session import session
from nbflow.widget import dashboard
from nbflow.widget.view import Board


@task(name="work")
def first(n):
    return n + 1


@task(name="work")
def second(n):
    return n + 2


def reasons(events):
    board = Board(session.explain)
    for event in events:
        board.hear(event)
    return [line.reason for line in board.view().lines]


def test_a_first_run_is_called_one(fresh):
    """Else a user who runs a notebook for the first time would look for what has changed."""
    first(1)
    assert reasons(fresh.events) == ["miss: first run"]


def test_a_miss_names_what_changed(fresh):
    """Else a user whose step runs again would have to guess why."""
    first(1)
    second(1)
    assert reasons(fresh.events)[1] == "miss: the code changed"


def test_what_the_engine_knows_better_stands(fresh):
    """Else an entry that has expired would be blamed on an input."""
    first(1)
    (missed,) = [event for event in fresh.events if type(event) is Missed]
    assert session.explain("work", missed._replace(why="expired: 2 d old, 1 d allowed")) == ""
    assert session.explain("work", missed._replace(traits=None)) == ""


def test_a_panel_that_is_opened_late_knows_what_happened_before(fresh):
    """Else one would have to open the panel before the run that one wants to look into."""
    fresh.session.recent.clear()
    first(1)
    first(1)
    shown = dashboard.panel()
    try:
        assert "2 steps · 1 cached" in shown.bundle()["text/plain"]
        assert "2 steps · 1 cached" in repr(shown), "in a terminal"
        assert dashboard.panel() is shown, "one for the session, shown as often as one likes"
        first(3)
        assert "3 steps" in shown.bundle()["text/plain"]
    finally:
        shown.close()
    again = dashboard.panel()
    assert again is not shown and not again.closed
    again.close()


def test_what_happens_while_it_is_opened_is_shown(fresh):
    """Else a step that began in that moment would stand in the panel as queued for as long as it runs."""
    over = threading.Event()

    def work():
        n = 0
        while not over.is_set():
            first(n := n + 1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        shown = [dashboard.panel()]
        for _ in range(20):
            shown[-1].close()
            shown.append(dashboard.panel())
    finally:
        over.set()
        thread.join()
    board = Board()
    board.recall(tuple(fresh.session.recent))
    try:
        live, all_of_them = (each.view() for each in (shown[-1]._board, board))
        assert live.counts == all_of_them.counts and live.active == 0
    finally:
        shown[-1].close()
