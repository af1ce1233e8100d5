import threading

import ipywidgets
import pytest

from nbflow.bus import Bus
from nbflow.events import Completed
from nbflow.widget.live import Panel
from nbflow.widget.output import Output
from tests.unit.widget.stories import T, board, everything, ran, started
from tests.unit.widget.test_runs import PATIENCE, Shell

LIVE = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def panel():
    """`panel(*events)`: a live panel and where it is shown."""
    made = []

    def make(*events, **options):
        shell = Shell()
        each = Panel(board(*events, **options), Output(shell))
        made.append(each)
        return each, shell

    yield make
    for each in made:
        each.close()


def test_it_is_an_ipywidget(panel):
    """Else it could not be put into a tab or a box beside a user's own widgets."""
    shown, _ = panel(*everything())
    assert isinstance(shown, ipywidgets.DOMWidget)
    assert isinstance(ipywidgets.VBox([shown]).children[0], Panel)


def test_its_bundle_always_has_html_and_text(panel):
    """Else GitHub, nbconvert and a terminal would show `VBox(children=(HBox(…`."""
    shown, _ = panel(*everything())
    assert set(shown._repr_mimebundle_()) == {LIVE, "text/html", "text/plain"}
    shown.close()
    bundle = shown._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/html", "text/plain"} and "embed" in bundle["text/plain"]


def test_what_did_not_change_is_not_sent(panel):
    """Else a panel would flood the page, and close a traceback that someone has just opened."""
    shown, _ = panel(*ran(1), *everything()[-4:])
    sent = []
    for part in (shown._head, shown._rows, shown._texts, shown._progress):
        part.observe(lambda change: sent.append(change.name))
    shown.draw()
    assert sent == []


def test_it_draws_by_itself_while_there_are_steps():
    """Else a panel would show the moment at which it was opened."""
    bus, drawn = Bus(warn=pytest.fail), threading.Semaphore(0)
    shown = Panel(board(), None)
    shown._head.observe(lambda change: drawn.release(), "value")
    shown.follow(bus)
    try:
        for number in (1, 2):
            for event in started(number):
                bus.tell(event)
            assert drawn.acquire(timeout=PATIENCE)
            bus.tell(Completed(number, T + 1, 1.0, 1))
            while f"</b> {number} step" not in shown._head.value:
                assert drawn.acquire(timeout=PATIENCE)
            while shown._wake not in bus.sinks:  # it has gone to sleep, and the next step wakes it
                assert not shown._pump._over.wait(0.01)
    finally:
        shown.close()
    assert bus.sinks == ()


def test_freezing_replaces_the_output_and_closes_the_widget(panel):
    """Else a saved notebook would hold a reference to a widget that is gone."""
    shown, shell = panel(*ran(1))
    shown._ipython_display_()
    shown._ipython_display_()
    shown.freeze()
    first, second, last = shell.display_pub.messages
    assert LIVE in first.data and not first.update and not second.update and first.id == second.id == last.id
    assert last.update and set(last.data) == {"text/html", "text/plain"}
    assert shown.closed and not [each for each in _widgets() if each in (shown, *shown.children)]


def test_nothing_is_left_behind(panel):
    """Else each run would leave some widgets in the kernel, which every front end then loads."""
    before = len(_widgets())
    shown, _ = panel(*ran(1))
    shown.close()
    assert len(_widgets()) == before


def test_rows_are_escaped(panel):
    """Else an argument could run code in the page, which the HTML widget does not clean."""
    shown, _ = panel(*ran(1, "<script>alert(1)</script>", arguments=("<img src=x onerror=alert(1)>",)))
    everything = shown._head.value + shown._rows.value + shown._texts.value
    assert "<script" not in everything and "<img" not in everything and "&lt;script&gt;" in everything


def _widgets():
    from ipywidgets.widgets.widget import _instances

    return list(_instances.values())
