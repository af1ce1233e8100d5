"""The panel in a real kernel, driven as nbconvert, papermill and CI drive one: without a front end."""

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

from tests.integration.lab import ROOT

pytestmark = pytest.mark.kernel

LIVE = "application/vnd.jupyter.widget-view+json"
START = """
import threading, time
from nbflow import task
from nbflow.session import session
from nbflow.widget import attach
attach(get_ipython(), session.bus, setting=lambda: session.panel)

@task
def double(n):
    return 2 * n

@task
def slow(n):
    time.sleep(n)
    return n

@task(retries=1, retry_delay_seconds=0.05)
def broken(n):
    raise ValueError(f"<b>bad</b> {n}")
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(*cells)`: a notebook with these cells after the usual first one, executed."""

    def execute(*cells, panel="auto"):
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
        monkeypatch.setenv("NBFLOW_STORE", str(tmp_path / "store"))
        monkeypatch.setenv("NBFLOW_PANEL", panel)
        made = [nbformat.v4.new_code_cell(source) for source in (START, *cells)]
        notebook = nbformat.v4.new_notebook(cells=made)
        options = {"resources": {"metadata": {"path": str(tmp_path)}}, "allow_errors": True, "timeout": 120}
        files = Config(KernelManager={"transport": "ipc", "ip": str(tmp_path / "ipc")})  # nobody else can take them
        NotebookClient(notebook, config=files, **options).execute()
        nbformat.validate(notebook)
        return notebook

    return execute


def panels(cell):
    return [output.data for output in cell.outputs if output.get("metadata", {}).get("nbflow") == "panel"]


def test_a_saved_notebook_holds_static_rows(run):
    """Else a notebook that CI executed would show `VBox(children=…`, or nothing, to everyone who reads it."""
    notebook = run("print('before'); [double(i) for i in range(3)]; print('after')")
    kinds = [output.output_type for output in notebook.cells[1].outputs]
    assert kinds == ["stream", "display_data", "stream"], "the panel stands where the first step began"
    (data,) = panels(notebook.cells[1])
    assert set(data) == {"text/html", "text/plain"}
    assert "double(0)" in data["text/html"] and data["text/plain"].startswith("✓ nbflow: 3 steps")
    assert "widgets" not in notebook.metadata, "nobody saw a widget, so none is saved"


def test_hits_are_one_line_and_plain_cells_have_none(run):
    """Else Run All after a restart would fill the notebook with tables that say nothing."""
    notebook = run("double(1); double(2)", "double(1); double(2)", "1 + 1")
    (data,) = panels(notebook.cells[2])
    assert data["text/plain"].startswith("⚡ 2 steps cached") and "<table" not in data["text/html"]
    assert panels(notebook.cells[3]) == []


def test_a_failure_is_shown_with_its_attempts_beside_the_users_own_traceback(run):
    """Else the panel would hide the error, or the error the panel."""
    notebook = run("double(1); broken(7)")
    (data,) = panels(notebook.cells[1])
    assert "2/2" in data["text/plain"] and "ValueError: <b>bad</b> 7" in data["text/plain"]
    assert "&lt;b&gt;bad" in data["text/html"] and "<b>bad" not in data["text/html"]
    errors = [output for output in notebook.cells[1].outputs if output.output_type == "error"]
    assert [error.ename for error in errors] == ["ValueError"]


def test_steps_that_outlive_their_cell_are_told_to_their_end(run):
    """Else a saved notebook would say that a submitted step still runs."""
    notebook = run("future = slow.submit(1.0)", "future.result(); time.sleep(1.5)", "print('end')")
    (data,) = panels(notebook.cells[1])
    assert "✓ ran" in data["text/plain"] and "running" not in data["text/plain"]
    assert panels(notebook.cells[2]) == [] and panels(notebook.cells[3]) == []


def test_steps_on_threads_belong_to_the_cell_that_runs(run):
    """Else a fan-out would show in another cell's output, or nowhere."""
    notebook = run("double.map(range(300)).result()[-1]", "'next'")
    (data,) = panels(notebook.cells[1])
    assert "double ×300" in data["text/plain"] and "300 steps" in data["text/plain"]
    assert len(data["text/html"]) < 10_000
    assert panels(notebook.cells[2]) == []


def test_an_asynchronous_cell_has_its_panel(run):
    """Else cells that await would run without one."""
    notebook = run("import asyncio\nawait asyncio.sleep(0)\ndouble(5)\nawait asyncio.sleep(0)")
    assert len(panels(notebook.cells[1])) == 1


def test_a_widget_that_was_asked_for_is_frozen(run):
    """Else a notebook that was executed with live panels would be blank for whoever opens it without a kernel."""
    notebook = run("slow(1.0)", "panel = __import__('nbflow').panel(); panel", "panel.freeze()", panel="widget")
    (data,) = panels(notebook.cells[1])
    assert LIVE not in data and "✓ ran" in data["text/plain"]
    (data,) = panels(notebook.cells[2])
    assert LIVE not in data and "slow(1.0)" in data["text/html"]


def test_off_is_off(run):
    """Else there would be no way to keep panels out of a notebook."""
    notebook = run("double(1)", panel="off")
    assert panels(notebook.cells[1]) == []


def test_importing_nbflow_imports_no_widgets(run):
    """Else every kernel that imports nbflow would pay the 0.2 s of importing ipywidgets, panel or not."""
    notebook = run("import sys; double(1); 'ipywidgets' in sys.modules")
    assert notebook.cells[1].outputs[-1].data["text/plain"] == "False"


ACT = """
from nbflow.widget.actions import perform
from nbflow.widget.view import Board
board, said = Board(), []
session.bus.join(board.hear)

def press(action, word):
    def wait():
        while not any(line.word.startswith(word) for line in board.view().lines):
            time.sleep(0.01)
        while (told := perform(board, action, board.steps())).startswith(("1 still", "nothing")):
            time.sleep(0.01)  # its first line, or its wait, is not reached
        said.append(told)
    threading.Thread(target=wait).start()
"""


def test_a_cell_is_cancelled_and_woken_by_the_buttons_and_says_when_it_can_not_be_run_again(run):
    """Else the buttons would act on functions only, and a cell that waits an hour for its next attempt would go on."""
    notebook = run(
        "%load_ext nbflow",
        ACT,
        "press('cancel', 'running')",
        "%%task long\ntime.sleep(60)",
        "press('wake', 'retry')",
        "from pathlib import Path",
        "%%task twice --retries 1 --retry-delay 1h\nif not Path('tried').exists():\n    Path('tried').touch()\n    1 / 0",
        "press('cancel', 'retry')",
        "%%task never --retries 1 --retry-delay 1h\nraise OSError('busy')",
        "said.append(perform(board, 'again', board.steps()))\nprint(*said, sep='\\n')",
    )
    kinds = [[o.ename for o in cell.outputs if o.output_type == "error"] for cell in notebook.cells]
    assert kinds[4] == ["KeyboardInterrupt"] and kinds[7] == [] and kinds[9] == ["CancelledError"]
    said = notebook.cells[10].outputs[-1].text.splitlines()
    assert said == ["1 stopping", "1 step tried again now", "1 stopping", "nothing failed"]
