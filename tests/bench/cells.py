"""A cell under `%%task`, in a real kernel: what a hit adds to Run All, and to the notebook's file.

The kernels keep IPython's history of inputs in memory. On disk it is synced behind every cell that is not empty, cached
or not, and the next cell waits for that: as long as all that a hit takes.
"""

import json
import os
from collections.abc import Callable
from typing import Any

from tests.bench.peers import Side
from tests.bench.work import Work

__all__ = ["WORKS"]

LOAD = "%load_ext nbflow"
CELL = "%%task numbers\nnumbers = [n * n for n in range(100)]"


def kernel(side: Side, *first: str) -> Callable[[str], Any]:
    """A kernel that has run `first`; it ends with this process."""
    import atexit

    from jupyter_client.manager import KernelManager

    side.folder.mkdir(parents=True)
    environment = {**os.environ, "NBFLOW_STORE": str(side.folder / "store")}
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=environment, cwd=side.folder, extra_arguments=["--HistoryManager.hist_file=:memory:"])
    client = manager.client()
    client.start_channels()
    atexit.register(manager.shutdown_kernel, now=True)
    client.wait_for_ready(60)

    def run(code: str) -> None:
        client.execute_interactive(code, output_hook=lambda _: None, timeout=60)

    for code in first:
        run(code)
    return run


def hit(side: Side) -> Callable[[], Any]:
    run = kernel(side, LOAD, CELL)
    return lambda: run(CELL)


def empty(side: Side) -> Callable[[], Any]:
    run = kernel(side)
    return lambda: run("")


def saved(side: Side) -> Callable[[], float]:
    """Bytes that a hit adds to the JSON of a cell's outputs; the first execution is the miss."""
    import nbformat
    from nbclient import NotebookClient

    side.folder.mkdir(parents=True)
    os.environ["NBFLOW_STORE"] = str(side.folder / "store")

    def run() -> float:
        cells = [nbformat.v4.new_code_cell(code) for code in (LOAD, CELL)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        where = {"metadata": {"path": str(side.folder)}}
        for _ in range(2):
            NotebookClient(notebook, timeout=60, resources=where).execute()
        assert "cached" in json.dumps(notebook.cells[1].outputs)
        return len(json.dumps(notebook.cells[1].outputs, ensure_ascii=False, indent=1).encode()) / 1000

    return run


WORKS = [
    Work("%%task hit", hit, (), "", 5e-3, "over an empty cell", bare=empty, less=True, rounds=300, quoted=True),
    Work("line of a %%task hit, saved", saved, (), "", 1.0, unit="KB", rounds=1),
]
