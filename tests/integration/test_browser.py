"""The panel as people see it: JupyterLab in a real Chromium, offline."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from tests.integration.lab import CHROMIUM, Lab, Note, chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"needs {CHROMIUM}"),
]

START = """
import threading, time
from pathlib import Path
from nbflow import task
from nbflow.session import session
from nbflow.widget import attach
attach(get_ipython(), session.bus, setting=lambda: session.panel)

def until(name):
    while not Path(name).exists():
        time.sleep(0.02)

@task
def quick(n):
    return n

@task
def long(name):
    until(name)
    return name
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    server = Lab(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as context:
        yield context


@pytest.fixture
def note(lab, browser, request):
    """`note(*cells)`: a notebook with these cells after the usual first one; closed with its kernel at the end."""
    opened = []

    def open_note(*cells, **options):
        made = Note(browser, lab, f"{request.node.name}", [START, *cells], **options)
        opened.append(made)
        return made

    yield open_note
    for each in opened:
        if shots := os.environ.get("NBFLOW_SHOTS"):
            each.page.screenshot(path=f"{shots}/{request.node.name}.png")
        each.close()


def panels(cell):
    return [output.data for output in cell.outputs if output.get("metadata", {}).get("nbflow") == "panel"]


def test_it_is_live_while_a_cell_runs_and_static_when_it_has_ended(note, lab):
    """Else the panel would stay empty until everything is over, or be gone when the notebook is opened again."""
    opened = note(
        "fs = [quick.submit(1), long.submit('step-1'), long.submit('step-2')]\nfor f in fs: f.result()", "2 + 2"
    )
    opened.run()
    panel = opened.output(1)
    expect(panel.locator(".widget-html").first).to_contain_text(re.compile("1/3 steps"))
    expect(panel.locator("tr", has_text="step-2")).to_contain_text("running")
    (lab.notebooks / "step-1").touch()
    expect(panel.locator("tr", has_text="step-1")).to_contain_text("ran")
    expect(panel.locator(".widget-html").first).to_contain_text("2/3 steps")
    (lab.notebooks / "step-2").touch()
    expect(panel.locator("details summary")).to_contain_text("3 steps")
    expect(panel.locator(".widget-html")).to_have_count(0)
    expect(opened.output(2)).to_contain_text("4")
    (data,) = panels(opened.saved().cells[1])
    assert set(data) == {"text/html", "text/plain"} and "✓ ran" in data["text/plain"]
    assert opened.foreign == [], "nothing is fetched from anywhere"


def test_events_of_a_thread_paint_after_the_cell_has_ended(note, lab):
    """Else steps that were submitted would look stuck until the next cell runs."""
    opened = note("future = long.submit('later')", "'done'")
    opened.run()
    expect(opened.output(2)).to_contain_text("done")
    expect(opened.output(1).locator("tr")).to_contain_text("running")
    (lab.notebooks / "later").touch()
    expect(opened.output(1).locator("details summary")).to_contain_text("1 step")
    expect(opened.output(1).locator("tr")).to_contain_text("ran")
    assert "✓ ran" in panels(opened.saved().cells[1])[0]["text/plain"]


HOSTILE = """
names = ["<img src=x onerror=window.hacked=1>", "<script>window.hacked=1</script>", "\\x1b[31mred\\x1b[0m",
         "user\\u202egnp.exe", "</td></table><b>out", '" onmouseover="window.hacked=1']
fs = [quick.with_options(name=name).submit(1) for name in names] + [long.submit("hostile")]
for f in fs: f.result()
"""


def test_hostile_names_are_text(note, lab):
    """Else the name of a downloaded file could run code in the page that shows it."""
    opened = note(HOSTILE)
    opened.run()
    panel = opened.output(1)
    for live in (True, False):
        rows = panel.locator(".widget-html tr" if live else "details tr")
        expect(rows).to_have_count(7)
        expect(rows.nth(0)).to_contain_text("<img src=x onerror=window.hacked=1>")
        expect(rows.nth(1)).to_contain_text("<script>window.hacked=1</script>")
        expect(rows.nth(2).locator("td").nth(1)).to_have_text("red(1)")
        expect(rows.nth(3).locator("td").nth(1)).to_have_text("usergnp.exe(1)")
        expect(rows.nth(4)).to_contain_text("</td></table><b>out")
        assert panel.locator("img, script, [onmouseover], [onerror]").count() == 0
        (lab.notebooks / "hostile").touch()
    assert opened.page.evaluate("() => window.hacked") is None


def test_the_sessions_panel_can_be_shown_twice_and_follows_along(note, lab):
    """Else a panel that is docked beside the notebook would not be the one in it."""
    opened = note("import nbflow\nnbflow.panel()", "nbflow.panel()", "future = long.submit('both')", "'ready'")
    opened.run()
    expect(opened.output(4)).to_contain_text("ready")
    for cell in (1, 2):
        expect(opened.output(cell).locator("tr", has_text="both")).to_contain_text("running")
    (lab.notebooks / "both").touch()
    for cell in (1, 2):
        expect(opened.output(cell).locator("tr", has_text="both")).to_contain_text("ran")


def test_it_keeps_its_table_where_the_reader_does_not_trust_the_notebook(note):
    """Else a notebook from a colleague would show a heap of words in place of rows."""
    from nbflow.widget import static
    from tests.unit.widget.stories import board, everything

    data = {"text/html": static.html(board(*everything()).view(24)), "text/plain": ""}
    output = nbformat.v4.new_output("display_data", data)
    opened = note("'not run'", outputs=[[], [output]])
    rows = opened.output(1).locator("tr")
    expect(rows).to_have_count(11)
    first, last = (rows.nth(i).locator("td").nth(1).bounding_box() for i in (0, 10))
    assert first["x"] == last["x"] and last["y"] - first["y"] < 11 * 30, "aligned and compact"
    bar, block = (rows.nth(3).locator("td").nth(4).locator("div").nth(i).bounding_box() for i in (0, 1))
    assert 0.9 < block["width"] / bar["width"] < 1, "a step that runs since the beginning fills its bar"
    assert bar["height"] == block["height"] == 10
