"""The lessons in `notebooks/`, executed as a reader would, and as they are shipped."""

import json
import re
import shutil

import nbformat
import pytest

from tests.integration.commands import ROOT, nbflow, needs_lessons

pytestmark = pytest.mark.kernel

CELLS = ROOT / "notebooks" / "02-cells.ipynb"
ADVICE = "give it a cell of its own, or name only the others in --out"
STORY = [
    "✓ weather · ran in T · stored S · miss: first run",
    "⚡ weather · cached T · saved T · S",
    "✓ frost · ran in T · stored S · miss: first run",
    "✓ frost · ran in T · stored S · miss: global limit 32 → 20",
    "⚡ frost · cached T · saved T · S",
    "? frost · would miss: the code changed",
    "✓ report · ran in T · stored S · miss: first run",
    "⚡ report · cached T · saved T · S",
    "✓ report · ran in T · stored S · miss: report.txt is gone",
    "✓ stations · ran in T · stored S · miss: first run",
    "⚡ stations · cached T · saved T · S",
    "✓ answers · ran in T · attempt 3 of 4 · not cached: --no-cache",
    "✗ total · ValueError · names and inputs put back",
    "✓ sample · ran in T · stored S · miss: first run",
    "✓ answer · ran in T · not cached: it uses eval(), globals(); say what it reads by --in",
    "✓ lines · ran in T · not cached: lines: a TextIOWrapper has no content to store; " + ADVICE,
]
"""What the lines under the cells of the second notebook say, without times and sizes."""


def lines(path):
    """The lines under the cells, in order; of each cell the last it said."""
    found = []
    for cell in nbformat.read(path, as_version=4).cells:
        said = [each.data.get("text/plain", "") for each in cell.get("outputs", ()) if "data" in each]
        found += [each for each in said if re.match(r"[✓⚡✗?] ", each)][-1:]
    return [
        re.sub(r"\d[\d.,]* (?:[KM]?B)\b", "S", re.sub(r"\d[\d.]* (?:ms|s)( ago)?\b|just now", "T", each))
        for each in found
    ]


def test_cells_tells_its_story(tmp_path):
    """A lesson whose cells say something else than the text around them teaches mistrust."""
    needs_lessons()
    shutil.copy(CELLS, tmp_path)
    ended = nbflow(tmp_path, "run", CELLS.name, "-o", "out.ipynb")
    assert ended.returncode == 0, ended.stderr
    assert lines(tmp_path / "out.ipynb") == STORY


def test_it_is_shipped_as_it_runs():
    """GitHub shows what is in the file: outputs that are missing, or other ones, cannot be read there."""
    assert lines(CELLS) == STORY
    assert "/tmp" not in CELLS.read_text()
    assert "widget-view" not in CELLS.read_text()
    assert CELLS.stat().st_size < 200_000
    code = [cell for cell in json.loads(CELLS.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


SCALE_OUT = ROOT / "notebooks" / "04-scale-out.ipynb"


def told(path):
    """What the cells of a notebook print and give: no times in it."""
    return [
        each.get("text") or each["data"]["text/plain"]
        for cell in nbformat.read(path, as_version=4).cells
        for each in cell.get("outputs", ())
        if each.get("name") == "stdout" or each.output_type == "execute_result"
    ]


def test_scale_out_gives_what_it_ships(tmp_path):
    """A lesson on processes and clusters would teach what does not run, or other numbers on each runner."""
    needs_lessons()
    pytest.importorskip("distributed", reason="the lesson needs the extra `dask`")
    shutil.copy(SCALE_OUT, tmp_path)
    ended = nbflow(tmp_path, "run", SCALE_OUT.name, "-o", "out.ipynb")
    assert ended.returncode == 0, ended.stderr
    assert told(tmp_path / "out.ipynb") == told(SCALE_OUT)
    assert "/tmp" not in SCALE_OUT.read_text() and "widget-view" not in SCALE_OUT.read_text()
