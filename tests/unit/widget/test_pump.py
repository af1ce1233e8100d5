import logging
import threading
from contextvars import ContextVar

from nbflow.widget.pump import Pump

PATIENCE = 20.0


def test_it_draws_until_there_is_nothing_to_draw_and_begins_again():
    """Else a kernel that is idle would keep a thread busy, or a second run would have no live panel."""
    drawn, ended = [], threading.Semaphore(0)

    def draw():
        drawn.append(threading.current_thread())
        if len(drawn) % 3:
            return True
        ended.release()
        return False

    pump = Pump(draw, every=0.0)
    pump.start()
    pump.start()
    assert ended.acquire(timeout=PATIENCE)
    drawn[0].join(PATIENCE)
    pump.start()
    assert ended.acquire(timeout=PATIENCE)
    pump.stop()
    assert len(drawn) == 6 and len(set(drawn)) == 2 and all(each.daemon for each in drawn)


def test_stop_waits_for_a_drawing_and_nothing_is_drawn_after_it():
    """Else a late drawing would overwrite what was frozen."""
    inside, go, drawn = threading.Event(), threading.Event(), []

    def draw():
        inside.set()
        assert go.wait(PATIENCE)
        drawn.append(1)
        return True

    pump = Pump(draw, every=0.0)
    pump.start()
    assert inside.wait(PATIENCE)
    stopper = threading.Thread(target=pump.stop)
    stopper.start()
    go.set()
    stopper.join(PATIENCE)
    assert drawn == [1]
    pump.start()
    pump.stop()
    assert drawn == [1]


def test_it_does_not_start_a_thread_before_it_must():
    """Else a run that is over within a moment would cost a drawing."""
    drawn = []
    pump = Pump(lambda: bool(drawn.append(1)), first=3600.0)
    pump.start()
    pump.stop()
    assert drawn == []


def test_a_drawing_that_fails_is_told_once_and_breaks_nothing(caplog):
    """Else a bug in the panel would print a traceback twice a second, or reach the user's step."""
    pump = Pump(lambda: 1 / 0, every=0.0)
    with caplog.at_level(logging.WARNING, "nbflow"):
        pump.start()
        pump._thread and pump._thread.join(PATIENCE)
        pump.start()
    assert [record.message for record in caplog.records] == ["nbflow: the panel is no longer drawn"]


def test_it_draws_in_the_context_where_it_was_made():
    """Else the output of one cell would appear under another."""
    cell, seen, done = ContextVar("cell", default="none"), [], threading.Event()

    def draw():
        seen.append(cell.get())
        done.set()
        return False

    cell.set("first")
    pump = Pump(draw)
    cell.set("second")
    pump.start()
    assert done.wait(PATIENCE)
    pump.stop()
    assert seen == ["first"]
