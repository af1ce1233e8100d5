"""The tour, executed: first with July broken, then mended, then once more with a comment in a helper.

Three runs tell everything, and each of them takes long; so they are run once, and many tests read them.
"""

import json
import re
import shutil
from types import SimpleNamespace

import nbformat
import pytest

from tests.integration.commands import ROOT, nbflow, needs_lessons, outputs

pytestmark = pytest.mark.kernel

TOUR = ROOT / "notebooks" / "01-tour.ipynb"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What came of the runs: `broken`, `mended`, `again`; of each its text, its outputs, and what was then kept."""
    needs_lessons()
    folder = tmp_path_factory.mktemp("tour")
    shutil.copy(ROOT / "notebooks" / "flights_api.py", folder)
    path = folder / TOUR.name
    shutil.copy(TOUR, path)

    def run(**variables):
        ended = nbflow(folder, "run", path.name, **variables)
        listed = json.loads(nbflow(folder, "ls", "--json").stdout)
        kept = {each["task"]: each["entries"] for each in listed}
        return SimpleNamespace(ended=ended, out=ended.stdout, kept=kept, outputs=outputs(folder / "01-tour.out.ipynb"))

    broken = run(FLIGHTS_API_BROKEN="7")
    mended = run()
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("def clean(flights):", "# the same as before\ndef clean(flights):")
    nbformat.write(notebook, path)
    again = run()
    return SimpleNamespace(broken=broken, mended=mended, again=again)


def requests(run):
    """How many requests the server got, as the notebook says it."""
    return int(re.search(r"the server got (\d+) requests", "".join(run.outputs))[1])


def plain(text):
    """What a cell shows, without the lines of nbflow's own about times."""
    return [line for line in text.splitlines() if line and line[0] not in "✓⚡" and "⚡ " not in line]


def test_a_broken_month_is_one_clear_error(runs):
    """Otherwise one bad month would hide which one it was, and what to do."""
    assert runs.broken.ended.returncode == 1
    *_, where, what = runs.broken.ended.stderr.splitlines()
    assert re.match(r"nbflow: cell 4 of 14 failed, line 1: months = fetch_month\.map", where)
    assert "503" in what
    assert "month=7" in what
    assert "fetch_month(7" in runs.broken.ended.stderr
    assert runs.broken.ended.stderr.count("month=7") < 8


def test_a_broken_month_leaves_the_other_eleven(runs):
    """Otherwise one bad month would cost the good ones."""
    assert runs.broken.kept == {"fetch_month": 11}


def test_retries_are_seen(runs):
    """Otherwise nobody could tell a flaky service from a slow one."""
    assert "↻ fetch_month(" in runs.broken.out
    assert int(re.search(r"([\d]+) retries", runs.broken.out)[1]) > 12


def test_the_next_run_fetches_only_the_missing_month(runs):
    """Otherwise a failure would cost everything that came before it."""
    assert runs.mended.ended.returncode == 0, runs.mended.ended.stderr
    months = [line for line in runs.mended.out.splitlines() if re.search(r"[✓⚡] fetch_month\(", line)]
    assert sum("⚡" in line for line in months) == 11
    (ran,) = [line for line in months if "✓" in line]
    assert "fetch_month(7" in ran
    assert requests(runs.mended) < 30
    assert runs.mended.outputs[3].endswith("336776")


def test_the_last_run_asks_for_nothing_and_computes_nothing(runs):
    """It is what nbflow is for; and a comment in a helper must not cost a rerun."""
    assert runs.again.ended.returncode == 0, runs.again.ended.stderr
    assert requests(runs.again) == 0
    assert "19 hits saved" in runs.again.out
    assert "0 misses" in runs.again.out
    assert "✓ fit(" not in runs.again.out


def test_a_hit_shows_what_the_run_showed(runs):
    """Otherwise a notebook from the store would not be the notebook that was run."""
    for first, then in zip(runs.mended.outputs[3:12], runs.again.outputs[3:12], strict=True):
        assert plain(first) == plain(then)
    assert "Figure size" in runs.again.outputs[11]


def test_the_shipped_notebook_is_executed_and_shows_without_a_kernel():
    """Otherwise GitHub would show an empty notebook, or empty places where widgets were."""
    notebook = nbformat.read(TOUR, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = [output.data for cell in code for output in cell.outputs if "data" in output]
    assert all({"text/html", "text/plain", "image/png"} & set(data) for data in shown)
    assert any("image/png" in data for data in shown)
    assert not any("application/vnd.jupyter.widget-view+json" in data for data in shown)
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert "/tmp" not in json.dumps(notebook)
    assert requests(SimpleNamespace(outputs=outputs(TOUR))) > 100
    assert TOUR.stat().st_size < 500_000
