"""The panel as people see it: JupyterLab and Notebook 7 in a real Chromium, offline."""

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from tests.integration.lab import CHROMIUM, PATIENCE, Lab, Note, chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"needs {CHROMIUM}"),
]

expect.set_options(timeout=PATIENCE)
AXE = Path(find_spec("axe_playwright_python").submodule_search_locations[0]) / "axe.min.js"
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


@pytest.fixture(scope="module")
def page(lab, browser):
    return lab.page(browser)


@pytest.fixture
def note(lab, browser, page, request):
    """`note(*cells)`: a notebook with these cells after the usual first one; closed with its kernel at the end.

    It is in the page that all tests share, unless it is given a `place`, and so a page of its own.
    """
    opened = []

    def open_note(*cells, **options):
        name = re.sub(r"\W+", "-", request.node.name)
        made = Note(browser if "place" in options else page, lab, name, [START, *cells], **options)
        opened.append(made)
        return made

    yield open_note
    for each in opened:
        if shots := os.environ.get("NBFLOW_SHOTS"):
            each.page.screenshot(path=f"{shots}/{each.path.stem}.png")
        each.close()


DEMO = """
from nbflow.widget import static
from nbflow.widget.live import Panel
from nbflow.widget.output import Output
from tests.unit.widget.stories import board, everything, many
shown_here = board(*{})
view = shown_here.view(24)
Panel(shown_here, Output(get_ipython()))
"""


def panels(cell):
    return [output.data for output in cell.outputs if output.get("metadata", {}).get("nbflow") == "panel"]


def shown(output):
    """The live panel in an output."""
    return output.locator(".nbflow-panel")


def rows(output):
    return output.locator(".nbflow-panel .space .row")


def row(output, text):
    return rows(output).filter(has_text=text)


PLACES = ["lab/tree", "notebooks"]


@pytest.mark.parametrize("place", PLACES)
def test_it_is_live_while_a_cell_runs_and_static_when_it_has_ended(note, lab, place):
    """Else the panel would stay empty until everything is over, or be gone when the notebook is opened again."""
    one, two = f"step-1-{place[:3]}", f"step-2-{place[:3]}"
    opened = note(
        f"fs = [quick.submit(1), long.submit({one!r}), long.submit({two!r})]\nfor f in fs: f.result()", "2 + 2",
        place=place,
    )  # fmt: skip
    opened.run()
    panel = opened.output(1)
    expect(shown(panel).locator(".headline")).to_contain_text("1/3 steps")
    expect(row(panel, two)).to_contain_text("running")
    expect(shown(panel).locator(".bar")).to_have_attribute("aria-valuetext", "1 of 3 steps")
    (lab.notebooks / one).touch()
    expect(row(panel, one)).to_contain_text("ran")
    expect(shown(panel).locator(".headline")).to_contain_text("2/3 steps")
    (lab.notebooks / two).touch()
    expect(panel.locator("details summary")).to_contain_text("3 steps")
    expect(shown(panel)).to_have_count(0)
    expect(opened.output(2)).to_contain_text("4")
    saved = opened.saved()
    (data,) = panels(saved.cells[1])
    assert set(data) == {"text/html", "text/plain"} and "✓ ran" in data["text/plain"]
    assert opened.foreign == [], "nothing is fetched from anywhere"


def test_a_notebook_that_was_run_reads_well_as_a_page_without_a_network(note, browser, tmp_path):
    """Else what `nbconvert --to html` makes of a run would be blank for whoever gets it by mail."""
    opened = note("for n in range(3): quick(n)")
    opened.run()
    expect(opened.output(1).locator("details summary")).to_contain_text("3 steps")
    (tmp_path / "it.html").write_text(HTMLExporter().from_notebook_node(opened.saved())[0], "utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "it.html").as_uri())
    expect(page.locator("details tr")).to_have_count(3)
    expect(page.locator("details")).to_contain_text("quick(2)")
    page.close()


def test_events_of_a_thread_paint_after_the_cell_has_ended(note, lab):
    """Else steps that were submitted would look stuck until the next cell runs."""
    opened = note("future = long.submit('later')", "'done'")
    opened.run()
    expect(opened.output(2)).to_contain_text("done")
    expect(row(opened.output(1), "later")).to_contain_text("running")
    (lab.notebooks / "later").touch()
    expect(opened.output(1).locator("details summary")).to_contain_text("1 step")
    expect(opened.output(1).locator("tr")).to_contain_text("ran")
    assert "✓ ran" in panels(opened.saved().cells[1])[0]["text/plain"]


HOSTILE = """
@task(log_prints=True)
def chatty(name):
    print("<script>window.hacked=1</script> \\x1b[31mred\\x1b[0m line")
    print("y" * 1_000_000 + " <script>window.hacked=1</script> red line")
    until(name)

names = ["<img src=x onerror=window.hacked=1>", "<script>window.hacked=1</script>", "\\x1b[31mred\\x1b[0m",
         "user\\u202egnp.exe", "</td></table><b>out", '" onmouseover="window.hacked=1']
fs = [quick.with_options(name=name).submit(1) for name in names] + [long.submit("hostile"), chatty.submit("hostile")]
for f in fs: f.result()
"""


def test_hostile_names_are_text(note, lab):
    """Else the name of a downloaded file could run code in the page that shows it."""
    opened = note(HOSTILE)
    opened.run()
    panel = opened.output(1)
    for live in (True, False):
        lines = rows(panel) if live else panel.locator("details tr")
        cells = "> span" if live else "td"
        expect(lines).to_have_count(8)
        expect(lines.nth(0)).to_contain_text("<img src=x onerror=window.hacked=1>")
        expect(lines.nth(1)).to_contain_text("<script>window.hacked=1</script>")
        expect(lines.nth(2).locator(cells).nth(1)).to_have_text("red(1)")
        expect(lines.nth(3).locator(cells).nth(1)).to_have_text("usergnp.exe(1)")
        expect(lines.nth(4)).to_contain_text("</td></table><b>out")
        if live:
            lines.nth(7).click()
            detail = shown(panel).locator(".detail")
            expect(detail.locator("pre.log")).to_contain_text("<script>window.hacked=1</script>")
            expect(detail.locator("pre.log")).to_contain_text("red line")
            assert len(detail.inner_text()) < 70_000, "the end of a long log"
        assert panel.locator("img, script, [onmouseover], [onerror]").count() == 0
        (lab.notebooks / "hostile").touch()
    assert opened.page.evaluate("() => window.hacked") is None


def test_two_views_of_the_sessions_panel_follow_along(note, lab):
    """Else a panel that is docked beside the notebook would not be the one in it."""
    opened = note("import nbflow\nnbflow.panel()", "nbflow.panel()", "future = long.submit('both')", "'ready'")
    opened.run()
    expect(opened.output(4)).to_contain_text("ready")
    opened.page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".jp-InputArea-prompt").click()
    opened.command("notebook:create-output-view")
    docked = opened.page.locator(".jp-LinkedOutputView")
    for place in (docked, opened.output(1), opened.output(2)):
        expect(row(place, "both")).to_contain_text("running")
    (lab.notebooks / "both").touch()
    for place in (docked, opened.output(1), opened.output(2)):
        expect(row(place, "both")).to_contain_text("ran")


@pytest.mark.parametrize("place", PLACES)
def test_keys_move_in_the_panel_and_never_edit_the_notebook(note, place):
    """Else `d d`, pressed to look at the next step, would delete the user's cell."""
    opened = note(DEMO.format("everything()"), "1", "2", place=place)
    opened.run()
    panel, press = shown(opened.output(1)), opened.page.keyboard.press
    expect(rows(opened.output(1))).to_have_count(11)
    for element in panel.locator("button, input, select, [tabindex]").all():
        assert element.get_attribute("data-lm-suppress-shortcuts") == "true"
    panel.locator(".grid").focus()
    for key in ("ArrowDown", "ArrowDown", "d", "d", "a", "b", "x", "Enter"):
        press(key)
    expect(panel.locator("[aria-selected=true]")).to_contain_text("fetch(3)")
    expect(panel.locator(".detail")).to_contain_text("attempt 1 OSError: busy")
    expect(panel.locator(".detail pre.log")).to_contain_text("half way")
    press("]")
    expect(panel.locator("[aria-selected=true]")).to_contain_text("embed")
    expect(panel.locator(".detail pre.trace")).to_contain_text("ValueError: bad")
    press("/")
    opened.page.keyboard.type("train")
    expect(rows(opened.output(1))).to_have_count(1)
    press("Escape")
    expect(rows(opened.output(1))).to_have_count(11)
    panel.locator(".chip", has_text="failed").focus()
    for key in ("d", "d", "Space"):
        press(key)
    expect(rows(opened.output(1))).to_have_count(1)
    assert opened.page.locator(".jp-Notebook .jp-Cell").count() == 4


ACTIONS = """
import nbflow
from nbflow import ThreadPoolTaskRunner
fixed = []

@task(retries=3, retry_delay_seconds=86_400)
def shaky(n):
    if not fixed: raise OSError("down")
    return n

@task
def fragile(n):
    if not fixed: raise ValueError("bad")
    return n

@task(persist_result=False)
def bare(n):
    return n

quick(1), quick(2), bare(1), bare(2)
waits, fails = shaky.submit(1), fragile.submit(1)
other = shaky.submit(2)
"""


def test_each_button_does_what_it_says_and_says_what_it_did(note):
    """Else buttons would be decoration, or would do things that nobody is told of."""
    opened = note(ACTIONS, "nbflow.panel()")
    opened.run()
    panel = shown(opened.output(2))
    said = panel.locator(".said")
    line = lambda text: panel.locator(".space .row", has_text=text)
    expect(line("shaky(1)")).to_contain_text("retry in")
    expect(line("fragile(1)")).to_contain_text("failed")
    panel.locator("button.act.cancel").focus()
    line("quick(1)").click()
    panel.locator("button.act.wake").click(force=True)  # it is marked as of no use, and says why
    expect(said).to_have_text("Nothing waits for a retry.")
    panel.locator("button.act.refresh").click()
    expect(said).to_contain_text("will run again the next time")
    for each in ("bare(1)", "bare(2)"):  # but for their names there is no difference
        line(each).click()
        expect(panel.locator(".detail .title")).to_contain_text(each)
    for each in ("quick(1)", "quick(2)"):  # what is agreed to of one is not of another
        line(each).click()
        panel.locator("button.act.clear").click()
        expect(said).to_contain_text(f"Press again to drop {each}")
    assert opened.ask("print(quick.is_cached(1), quick.is_cached(2))").strip() == "False True"
    expect(panel.locator("button.act.clear")).to_have_text("⌫ clear")  # the question is over after 3 s
    place = panel.locator("button.act.clear").bounding_box()["y"]
    panel.locator("button.act.clear").dblclick()
    expect(said).to_have_text("1 result dropped")
    assert panel.locator("button.act.clear").bounding_box()["y"] == place, "what is said moves the buttons away"
    assert opened.ask("print(quick.is_cached(2))").strip() == "False"
    opened.ask("fixed.append(1)")
    line("shaky(1)").click()
    panel.locator("button.act.wake").click()
    expect(said).to_have_text("1 step tried again now")
    expect(line("shaky(1)")).to_contain_text("ran")
    opened.page.keyboard.press("Escape")
    panel.locator("button.act.again").click()
    expect(said).to_contain_text("1 step started again")
    expect(line("fragile(1)").last).to_contain_text("ran")
    line("shaky(2)").click()
    opened.page.keyboard.press("c")
    expect(said).to_have_text("1 stopping")
    expect(line("shaky(2)")).to_contain_text("cancelled")
    assert opened.ask("print(type(other.exception()).__name__)").strip() == "CancelledError"


BUSY = """
@task
def sleeps():
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted")
        raise
sleeps()
"""


def test_a_step_of_a_busy_cell_is_cancelled_or_the_panel_says_why_not(note, lab):
    """Else a click during a long cell would seem to do nothing, and come into effect in a later cell."""
    deaf = "import nbflow\nshown = nbflow.panel()\nif hasattr(shown.comm, '_reply_subshell_for'):\n    shown.comm._reply_subshell_for = lambda *_: None\nquick(77)\nshown"
    opened = note(BUSY, deaf, "until('deaf')")
    opened.run()
    expect(row(opened.output(1), "sleeps")).to_contain_text("running")
    shown(opened.output(1)).locator("button.act.cancel").click()
    expect(opened.output(1)).to_contain_text("interrupted")
    expect(opened.output(1).locator("details")).to_contain_text("cancelled")
    opened.page.locator(".jp-Notebook .jp-Cell").nth(2).locator(".jp-InputArea-prompt").click()
    opened.command("notebook:run-cell-and-select-next")
    panel = shown(opened.output(2)).last
    expect(panel.locator(".space .row")).to_have_count(2)
    opened.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell') }")
    expect(opened.page.locator(".jp-Notebook .jp-Cell").nth(3).locator(".jp-InputArea-prompt")).to_have_text("[*]:")
    panel.locator("button.act.refresh").click()
    expect(panel.locator(".said")).to_contain_text("The kernel is busy")
    (lab.notebooks / "deaf").touch()
    expect(panel.locator(".said")).not_to_contain_text("The kernel is busy")


def test_it_survives_a_reload_and_tells_of_a_restart(note, lab):
    """Else a page that was closed over night would have lost its panel, or show steps of a dead kernel as running."""
    opened = note("future = long.submit('never')", "import nbflow\nnbflow.panel()", place="lab/tree")
    opened.run()
    expect(row(opened.output(2), "never")).to_contain_text("running")
    opened.ask("long.submit('second')")
    expect(row(opened.output(2), "second")).to_contain_text("running")
    opened.reload()
    panel = shown(opened.output(2))
    expect(panel.locator(".space .row")).to_have_count(2)
    panel.locator(".space .row").first.click()
    panel.locator("button.act.refresh").click(force=True)
    expect(panel.locator(".said")).to_contain_text("Nothing is kept yet.")
    assert "running" in panel.locator(".space .row").first.inner_text()
    opened.restart()
    later = "() => { const real = Date.now; Date.now = () => real() + 20000; }"
    opened.page.evaluate(later)
    expect(panel.locator(".said")).to_contain_text("the kernel has not answered since")
    time = panel.locator(".space .row .time").first
    before = time.inner_text()
    opened.page.evaluate(later)
    expect(panel.locator(".said")).to_contain_text("the kernel has not answered since")
    assert time.inner_text() == before, "its clocks stand still"


def test_axe_finds_nothing_to_complain_about(note):
    """Else people who hear the page, or see it badly, could not use the panel."""
    opened = note(DEMO.format("everything()"), "from IPython.display import HTML\nHTML(static.html(view))")
    opened.run()
    panel = shown(opened.output(1))
    row(opened.output(1), "embed").first.click()
    expect(panel.locator(".detail pre.trace")).to_be_visible()
    expect(opened.output(2).locator("details").first).to_be_visible()
    opened.page.add_script_tag(content=AXE.read_text())
    look = "async () => (await axe.run('.nbflow-panel', {resultTypes: ['violations']})).violations"
    for theme in ("JupyterLab Dark", "JupyterLab Dark High Contrast", "JupyterLab Light"):
        opened.command("apputils:change-theme", theme=theme)
        expect(opened.page.locator(f"body[data-jp-theme-name='{theme}']")).to_have_count(1)
        opened.page.wait_for_function("() => getComputedStyle(document.body).getPropertyValue('--jp-layout-color1')")
        found = opened.page.evaluate(look)
        told = [(each["id"], each["help"], [node["html"][:120] for node in each["nodes"][:3]]) for each in found]
        assert not told, theme + json.dumps(told, indent=1)


def test_ten_thousand_rows_are_twenty_elements(note):
    """Else a large fan-out would make the page stutter."""
    opened = note(DEMO.format("many(10_000)"))
    opened.run()
    place = opened.output(1)
    expect(row(place, "fetch ×10,000")).to_contain_text("200 failed")
    row(place, "fetch ×10,000").click()
    grid = shown(place).locator(".grid")
    expect(grid).to_have_attribute("aria-rowcount", "10002")
    for top in (0, 1234, 130_000, 10**9):
        grid.evaluate("(grid, top) => { grid.scrollTop = top }", top)
        expect(rows(place).first).to_be_visible()
        assert shown(place).locator("[role=row]").count() <= 20
    expect(row(place, "fetch(9999)")).to_be_visible()


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
