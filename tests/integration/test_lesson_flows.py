"""The lesson on flows in `notebooks/`, executed as a reader would, and as it is shipped."""

import json
import re
import shutil

import nbformat
import pytest

from tests.integration.commands import ROOT, nbflow, needs_lessons

pytestmark = pytest.mark.kernel

FLOWS = ROOT / "notebooks" / "03-flows.ipynb"
STORY = """
 4 ✓ ran winter
 4 ✓ ran fetch(1) 3/7
 4 ✓ ran fetch(2) 3/7
 4 ✓ ran delays(DataFrame)
 4 ✓ ran delays(DataFrame)
 4 ✓ ran compare(tuple[2])
 4             1     2
 4 carrier
 4 9E       10.2   8.3
 4 AA        1.0   1.1
 4 AS        9.0 -12.7
 4 B6        4.7  12.5
 4 DL       -4.4  -4.7
 6 ✓ ran winter
 6 ⚡ cached fetch(1)
 6 ⚡ cached fetch(2)
 6 ⚡ cached delays(DataFrame)
 6 ⚡ cached delays(DataFrame)
 6 ⚡ cached compare(tuple[2])
 6             1     2
 6 carrier
 6 9E       10.2   8.3
 6 AA        1.0   1.1
 6 AS        9.0 -12.7
 6 B6        4.7  12.5
 6 DL       -4.4  -4.7
 8 ✗ failed summer
 8 ✓ ran fetch(6) 3/7
 8 ✗ failed fetch(7) 7/7
 8 ('Failed', '1/2 states failed.')
10 ✓ ran summer
10 ⚡ cached fetch(6)
10 ✓ ran fetch(7) 1/7
10 [28243, 29425]
12 ✓ ran report 3/3
12 ⚡ cached fetch(2)
12 ✓ ran fetch(3) 3/7
12 ⚡ cached fetch(2)
12 ⚡ cached fetch(3)
12 ⚡ cached fetch(2)
12 ⚡ cached fetch(3)
12 53785
14 ✗ failed returned
14 ⚡ cached fetch(1)
14 ✓ ran per_day(DataFrame, 60)
14 ✓ ran per_day(DataFrame, 600)
14 ✗ failed per_day(DataFrame, 6000)
14 ✗ failed unseen
14 ⚡ cached fetch(1)
14 ✗ failed per_day(DataFrame, 6000)
14 ✓ ran seen
14 ⚡ cached fetch(1)
14 ✗ failed per_day(DataFrame, 6000)
14 returned: Failed, 1/3 states failed.
14 unseen: Failed, Flow run encountered an exception: ValueError: nobody was more than 6000 minutes late
14 seen: Completed, January was quiet
16 ✓ ran autumn
16 ✗ failed fetch(10) 7/7
16 ✓ ran fetch(11) 3/7
16 ✓ ran per_day(DataFrame, 60)
16 {11: 1119}
18 ✓ ran month-1(1)
18 ⚡ cached fetch(1)
18 INFO month-1: 27,004 flights
18 WARNING month-1: HA51 was 1272 minutes late
20 ✗ failed publish(list[2])
20 ⚡ cached fetch(1)
20 ↺ rolled back write('UA', DataFrame)
20 ↺ rolled back write('B6', DataFrame)
20 ✗ failed check(9064, DataFrame)
20 Flow run encountered an exception: ValueError: 9,064 of 27,004 flights were written
20 []
21 ⚡ cached fetch(1)
21 ✓ ran publish(list[16])
21 ⚡ cached fetch(1)
21 ✓ ran write('9E', DataFrame)
21 ✓ ran write('AA', DataFrame)
21 ✓ ran write('AS', DataFrame)
21 ✓ ran write('B6', DataFrame)
21 ✓ ran write('DL', DataFrame)
21 ✓ ran write('EV', DataFrame)
21 ✓ ran write('F9', DataFrame)
21 ✓ ran write('FL', DataFrame)
21 ✓ ran write('HA', DataFrame)
21 ✓ ran write('MQ', DataFrame)
21 ✓ ran write('OO', DataFrame)
21 ✓ ran write('UA', DataFrame)
21 ✓ ran write('US', DataFrame)
21 ✓ ran write('VX', DataFrame)
21 ✓ ran write('WN', DataFrame)
21 ✓ ran write('YV', DataFrame)
21 ✓ ran check(27004, DataFrame)
21 16
23 ✓ ran both
23 ◷ timed out patient
23 ⚡ cached fetch(1)
23 ⚡ cached delays(DataFrame)
23 ('TimedOut', 'OO')
24 [('patient', 'TimedOut')]
"""
"""Number of the cell, and what is under it."""


def story(path):
    """What is under the cells: each row of a panel without reasons, times and sizes, what was printed, and results."""
    found = []
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        for output in cell.get("outputs", ()):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            if output.get("metadata", {}).get("nbflow") == "panel":
                rows = [re.split(r"  +", row) for row in text.splitlines()[1:]]
                tries = [" ".join(re.findall(r"  (\d/\d)  ", row)) for row in text.splitlines()[1:]]
                text = "\n".join(" ".join(filter(None, [*row[:2], n])) for row, n in zip(rows, tries, strict=True))
            found += [f"{number:2} {line}".rstrip() for line in text.splitlines() if line.strip()]
    return found


def test_flows_tells_its_story(tmp_path):
    """A lesson whose cells say something else than the text around them teaches mistrust."""
    needs_lessons()
    for name in (FLOWS.name, "flights_api.py"):
        shutil.copy(FLOWS.parent / name, tmp_path)
    ended = nbflow(tmp_path, "run", FLOWS.name, "-o", "out.ipynb")
    assert ended.returncode == 0, ended.stderr
    assert story(tmp_path / "out.ipynb") == STORY.strip("\n").splitlines()


def test_it_is_shipped_as_it_runs():
    """GitHub shows what is in the file: outputs that are missing, or other ones, cannot be read there."""
    assert story(FLOWS) == STORY.strip("\n").splitlines()
    assert "/tmp" not in FLOWS.read_text()
    assert "widget-view" not in FLOWS.read_text()
    assert FLOWS.stat().st_size < 200_000
    code = [cell for cell in json.loads(FLOWS.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
