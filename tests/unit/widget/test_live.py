"""What all live panels have in common, and each of the two."""

import re
import threading
import time
from pathlib import Path

import ipywidgets
import pytest

from nbflow.bus import Bus
from nbflow.events import Completed
from nbflow.step.phases import Phase
from nbflow.widget import static
from nbflow.widget.basic import BasicPanel
from nbflow.widget.feed import phases
from nbflow.widget.live import Panel
from nbflow.widget.output import Output
from tests.unit.widget.stories import T, board, everything, ran, started
from tests.unit.widget.test_runs import PATIENCE, Shell

LIVE = "application/vnd.jupyter.widget-view+json"
KINDS = [Panel, BasicPanel]
HERE = Path(static.__file__).parent


@pytest.fixture
def panel():
    """`panel(kind, *events)`: a live panel and where it is shown."""
    made = []

    def make(kind, *events, **options):
        shell = Shell()
        each = kind(board(*events, **options), Output(shell))
        made.append(each)
        return each, shell

    yield make
    for each in made:
        each.close()


def hear(shown):
    """What a panel sends to the page from now on, as a page would get it: message by message."""
    heard = []
    shown.comm.publish_msg = lambda kind, data=None, **_: heard.append((data or {}).get("content") or data)
    return heard


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_an_ipywidget(panel, kind):
    """Else it could not be put into a tab or a box beside a user's own widgets."""
    shown, _ = panel(kind, *everything())
    assert isinstance(shown, ipywidgets.DOMWidget)
    assert isinstance(ipywidgets.VBox([shown]).children[0], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_its_bundle_always_has_html_and_text(panel, kind):
    """Else GitHub, nbconvert and a terminal would show `VBox(children=(HBox(…`."""
    shown, _ = panel(kind, *everything())
    assert set(shown._repr_mimebundle_()) == {LIVE, "text/html", "text/plain"}
    shown.close()
    bundle = shown._repr_mimebundle_(include=None, exclude=None)
    assert set(bundle) == {"text/html", "text/plain"} and "embed" in bundle["text/plain"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_did_not_change_is_not_sent(panel, kind):
    """Else a panel would flood the page, and close a traceback that someone has just opened."""
    shown, _ = panel(kind, *ran(1), *everything()[-4:])
    shown.draw()
    sent = [hear(part) for part in shown.widgets()]
    shown.draw()
    assert not any(sent)


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws_by_itself_while_there_are_steps(kind):
    """Else a panel would show the moment at which it was opened."""
    bus, drawn = Bus(warn=pytest.fail), threading.Semaphore(0)
    shown = kind(board(), None)
    for part in shown.widgets():
        part.comm.publish_msg = lambda *_, **__: drawn.release()
    shown.follow(bus)
    try:
        for number in (1, 2):
            for event in started(number):
                bus.tell(event)
            assert drawn.acquire(timeout=PATIENCE)
            bus.tell(Completed(number, T + 1, 1.0, 1))
            until = time.monotonic() + PATIENCE
            while shown._wake not in bus.sinks:  # it has gone to sleep, and the next step wakes it
                assert time.monotonic() < until and not shown._pump._over.wait(0.01)
    finally:
        shown.close()
    assert bus.sinks == ()


@pytest.mark.parametrize("kind", KINDS)
def test_freezing_replaces_the_output_and_closes_the_widget(panel, kind):
    """Else a saved notebook would hold a reference to a widget that is gone."""
    shown, shell = panel(kind, *ran(1))
    shown._ipython_display_()
    shown._ipython_display_()
    shown.freeze()
    first, second, last = shell.display_pub.messages
    assert LIVE in first.data and not first.update and not second.update and first.id == second.id == last.id
    assert last.update and set(last.data) == {"text/html", "text/plain"}
    assert shown.closed and not [each for each in _widgets() if each in shown.widgets()]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_behind(panel, kind):
    """Else each run would leave some widgets in the kernel, which every front end then loads."""
    before = len(_widgets())
    shown, _ = panel(kind, *ran(1))
    shown.close()
    assert len(_widgets()) == before


def test_rows_are_escaped_where_they_are_sent_as_html(panel):
    """Else an argument could run code in the page, which the HTML widget does not clean."""
    story = ran(1, "<script>alert(1)</script>", arguments=("<img src=x onerror=alert(1)>",))
    shown, _ = panel(BasicPanel, *story)
    everything = shown._head.value + shown._rows.value + shown._texts.value
    assert "<script" not in everything and "<img" not in everything and "&lt;script&gt;" in everything


def test_the_basic_panel_has_buttons_that_tell_what_they_did(panel):
    """Else nothing could be done where the better panel cannot be drawn."""
    shown, _ = panel(BasicPanel, *ran(1))
    assert [button.disabled for button in shown._buttons] == [True, True, True], "nothing to cancel, wake or repeat"
    shown._buttons[0].click()
    assert shown._said.value == "nothing is left to cancel"


def test_the_first_picture_needs_no_answer_of_the_kernel(panel):
    """Else a panel would stay empty for as long as its cell runs: a busy kernel reads no messages."""
    shown, _ = panel(Panel, *everything())
    rows = {row["id"]: row for row in shown.ckpt["r"]}
    assert len(rows) == 11 and rows[2]["n"] + rows[2]["a"] == "fetch(3)" and rows[2]["w"] == "miss: first run"
    assert set(shown.phases) == set(Phase)


def test_buttons_are_answered_and_what_is_no_button_is_not(panel):
    """Else a click would look as if it had been lost, or a page could make the kernel do anything."""
    shown, _ = panel(Panel, *everything())
    heard, more = hear(shown), threading.Condition()

    def ask(**content):
        shown._handle_custom_msg({"k": "act", "t": time.time(), **content}, [])

    ask(a="cancel", n="v/1", id=1, t=int(time.time()))  # JavaScript has no floats of its own
    ask(a="detail", n="v/2", id=7)
    with more:
        until = time.monotonic() + PATIENCE
        while not (said := [each for each in heard if each.get("k") == "said"]):
            assert time.monotonic() < until
            more.wait(0.01)
    assert {"k": "pong", "n": "v/1"} in heard
    assert said == [{"k": "said", "n": "v/1", "text": "nothing is left to cancel"}]
    assert {"k": "d", "d": {7: {"trace": "Traceback\nValueError: bad"}}} in heard
    before = len(heard)
    for content in ({"a": "__import__", "n": 1}, {"a": "detail", "id": "7"}, {"a": ["clear"]}, {"k": "p"}):
        shown._asked(shown, {"k": "act", **content}, [])  # ipywidgets would only log what it raises
    shown._asked(shown, "nonsense", [])
    assert {each["k"] for each in heard[before:]} <= {"pong"}


def test_a_click_that_the_kernel_hears_of_too_late_cancels_nothing(panel):
    """Else the click that should have ended one cell would end the one after it."""
    shown, _ = panel(Panel, *started(1))
    heard = hear(shown)
    shown._handle_custom_msg({"k": "act", "a": "cancel", "n": 1, "t": time.time() - 30}, [])
    assert [each["text"] for each in heard if each["k"] == "said"][0].startswith("nothing was done")


def test_the_page_has_no_way_to_make_markup_of_text():
    """Else the name of a downloaded file could run code in the page that shows it."""
    script = (HERE / "panel.js").read_text()
    banned = "innerHTML|outerHTML|insertAdjacent|document.write|eval\\(|Function\\(|DOMParser|srcdoc|createContextual|https?:"
    assert not re.search(banned, script)
    assert not re.search(r"url\(|@import|https?:", (HERE / "panel.css").read_text())


def test_every_element_that_can_have_the_focus_keeps_its_keys():
    """Else `d d`, pressed in the panel, would delete the user's cell."""
    script = (HERE / "panel.js").read_text()
    made = re.findall(r'\b(make|guarded)\("(button|input|select|textarea|a)"', script)
    assert made and {how for how, _ in made} == {"guarded"}
    assert not re.search(r"make\([^)]*tabindex", script)


def test_both_forms_have_the_same_colours():
    """Else a run would change its colours when it ends, and the live one could fail where the other was checked."""
    style = dict(re.findall(r"--(\w+): (#\w{6});", (HERE / "panel.css").read_text()))
    for phase in Phase:
        assert style[phases()[phase][2]] == static.colour(phase), phase


def _widgets():
    from ipywidgets.widgets.widget import _instances

    return list(_instances.values())
