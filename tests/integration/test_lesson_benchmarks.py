"""The lesson on how times grow in `notebooks/`, executed with small sizes, and as it is shipped."""

import base64
import io
import json
import shutil

import nbformat
import pytest

from tests.integration.commands import ROOT, nbflow, needs_lessons

pytestmark = pytest.mark.kernel

BENCHMARKS = ROOT / "notebooks" / "06-benchmarks.ipynb"
WAYS = {"nbflow": "#0072B2", "joblib": "#D55E00", "diskcache": "#009E73"}
CURVES = [("entries", "hit"), ("items", "hit"), ("items", "miss"), ("bytes", "hit"), ("bytes", "miss")]


def shown(path, kind):
    """What the cells show of a kind, in order."""
    outputs = [each for cell in nbformat.read(path, as_version=4).cells for each in cell.get("outputs", ())]
    return [each.data[kind] for each in outputs if kind in each.get("data", {})]


def points(path):
    """What is drawn, as the last table has it: by curve, call and size the milliseconds of each way."""
    head, _, *rows = shown(path, "text/plain")[-1].splitlines()
    assert head.split() == ["way", *WAYS, "not", "kept"]
    found, curve = {}, []
    for row in rows:
        names = [word for word in row.split() if word.isalpha()]
        curve = [*curve[: 2 - len(names)], *names]
        size, *figures = [float(word) for word in row.split() if not word.isalpha()]
        found[(*curve, int(size))] = figures
    return found


def wanted(entries, items, size):
    """The points that the curves are to have, as far as these sizes."""
    ends = {"entries": (10, entries), "items": (10, items), "bytes": (1000, size)}
    return {
        (along, call, first * 10**n)
        for along, call in CURVES
        for first, last in [ends[along]]
        for n in range(9)
        if first * 10**n <= last
    }


def whole(path, **sizes):
    """Whether every point of every way is there, and every line is in its picture."""
    import matplotlib.colors
    import matplotlib.image

    found = points(path)
    assert set(found) == wanted(**sizes)
    for (along, call, _), figures in found.items():
        assert len(figures) == len(WAYS) + ((along, call) == ("bytes", "miss"))
        assert all(figure > 0 for figure in figures)
    pictures = [matplotlib.image.imread(io.BytesIO(base64.b64decode(each))) for each in shown(path, "image/png")]
    assert len(pictures) == 3
    for picture in pictures:
        for name, colour in WAYS.items():
            like = abs(picture[..., :3] - matplotlib.colors.to_rgb(colour)).max(axis=-1) < 0.01
            assert like.any(axis=0).sum() > picture.shape[1] / 4, name  # a line, not only its name


def test_benchmarks_draws_every_curve_and_keeps_it(tmp_path):
    """A lesson whose curves are not all there, or are measured anew each time, would teach the opposite of its text."""
    needs_lessons()
    for name in (BENCHMARKS.name, "curves.py", "drawing.py"):
        shutil.copy(BENCHMARKS.parent / name, tmp_path)
    sizes = {"entries": 100, "items": 100, "size": 1_000_000}
    given = [word for name, value in sizes.items() for word in ("-p", f"{name}={value}")]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for out in ("first.ipynb", "again.ipynb"):
        ended = nbflow(tmp_path, "run", BENCHMARKS.name, "-o", out, *given, TMPDIR=str(temporary))
        assert ended.returncode == 0, ended.stderr
        whole(tmp_path / out, **sizes)
    assert points(tmp_path / "first.ipynb") == points(tmp_path / "again.ipynb")
    assert ended.stdout.count("⚡ by_") == 3
    assert not list(temporary.glob("curves-*"))


def test_it_is_shipped_as_it_runs():
    """GitHub shows what is in the file: curves that are missing, or end early, cannot be seen there."""
    needs_lessons()
    whole(BENCHMARKS, entries=100_000, items=10_000, size=1_000_000_000)
    text = BENCHMARKS.read_text()
    assert "/tmp" not in text and "widget-view" not in text
    assert BENCHMARKS.stat().st_size < 500_000
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
