"""`nbflow run`: a notebook from its first cell to its last, or to the first that fails."""

import asyncio
import re
import signal
import sys
import time
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from nbflow.cli import document
from nbflow.cli.kernel import CellError, Kernel, started
from nbflow.cli.paint import colourful, live
from nbflow.cli.private import private_folder
from nbflow.cli.progress import Cell, Progress
from nbflow.cli.screen import Lines, Live, Screen
from nbflow.cli.tables import tell
from nbflow.durations import seconds
from nbflow.errors import ConfigurationError
from nbflow.eventlog import VARIABLE, Tail
from nbflow.step.phases import Phase
from nbflow.widget import plain

__all__ = ["run"]

_TICK: Final = 0.1
_SGR: Final = re.compile(r"\x1b\[[0-9;]*m")
_PLACE: Final = re.compile(r"Cell In\s?\[(\d+)\], line (\d+)")


class _Failed(Exception):  # noqa: N818 - it ends a run, it is no error of ours
    """A cell failed."""

    def __init__(self, cell: Cell, source: Any, error: CellError) -> None:
        super().__init__(error.reason)
        self.cell, self.source, self.error = cell, source, error


def run(args: Namespace) -> int:
    """Execute a notebook; its exit code.

    Raises:
        ConfigurationError: What was asked for cannot be done.
    """
    path = Path(args.notebook)
    limit = None if args.timeout is None else seconds(args.timeout, "--timeout")
    parameters = dict(document.parameter(text) for text in args.parameter)
    notebook = document.read(path)
    out = document.beside(path) if args.output is None else Path(args.output)
    if out.is_dir() or not out.parent.is_dir():
        raise ConfigurationError(f"-o {out}: " + ("that is a folder" if out.is_dir() else "there is no such folder"))
    for line in document.unasked(notebook, parameters):
        tell(line)
    document.inject(notebook, parameters)
    progress = Progress()
    screen: Screen = Live(progress, sys.stdout) if live(sys.stdout) else Lines(progress, sys.stdout)
    code, saved = 0, True
    try:
        with private_folder() as private:
            asyncio.run(_Run(notebook, progress, screen, private).execute(path.absolute().parent, limit))
    except _Failed as failed:
        code = 1
        _explain(failed)
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        code = 130 if isinstance(error, KeyboardInterrupt) else 143
        print("nbflow: interrupted", file=sys.stderr)
    finally:
        saved = _write(notebook, out)
    print(progress.summary)
    if saved:
        print(f"the notebook as executed: {out}")
    return code or (not saved)


class _Run:
    """One execution: the kernel on one side, the screen on the other."""

    def __init__(self, notebook: Any, progress: Progress, screen: Screen, private: Path) -> None:
        self._notebook, self._progress, self._screen, self._private = notebook, progress, screen, private
        self._log = private / "events"
        self._tail = Tail(self._log)

    async def execute(self, folder: Path, limit: float | None) -> None:
        """All cells, at work in the notebook's folder, each for `limit` seconds at most."""
        for cell in self._notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        places = [i for i, each in enumerate(self._notebook.cells) if each.cell_type == "code" and each.source.strip()]
        self._progress.total = len(places)
        _end_on_sigterm()
        environ = {VARIABLE: str(self._log), "NBFLOW_PANEL": "html"}
        start = time.monotonic()
        waiting = asyncio.ensure_future(self._tick(Cell(0, len(places), "a kernel starts"), start))
        async with started(self._notebook, folder, self._private, environ) as kernel:
            waiting.cancel()
            for number, index in enumerate(places, 1):
                source = self._notebook.cells[index].source
                await self._cell(kernel, index, Cell(number, len(places), document.title(source)), limit)
            await kernel.settle()
            self._listen()
            await kernel.describe()

    async def _cell(self, kernel: Kernel, index: int, cell: Cell, limit: float | None) -> None:
        self._progress.begin()
        start = time.monotonic()
        ticker = asyncio.ensure_future(self._tick(cell, start))
        state = Phase.CANCELLED
        try:
            await kernel.run(index, limit)
            state = Phase.COMPLETED
        except CellError as error:
            state = Phase.FAILED
            raise _Failed(cell, self._notebook.cells[index].source, error) from None
        finally:
            ticker.cancel()
            spent = time.monotonic() - start
            self._listen()
            self._progress.end(spent)
            self._screen.end(cell._replace(state=state, seconds=spent))

    async def _tick(self, cell: Cell, start: float) -> None:
        """Show what happens, until cancelled, or until nobody reads it: that is told where the cell ends."""
        with suppress(OSError):
            while True:
                self._listen()
                self._screen.draw(cell._replace(seconds=time.monotonic() - start))
                await asyncio.sleep(_TICK)

    def _listen(self) -> None:
        for event in self._tail.read():
            self._progress.hear(event)
            self._screen.hear(event)


def _end_on_sigterm() -> None:
    """Let SIGTERM, which schedulers send, end the run as Ctrl-C does; a loop that has no signals goes without."""
    task = asyncio.current_task()
    if task is not None:
        with suppress(NotImplementedError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _explain(failed: _Failed) -> None:
    """Which cell, which line, what: one line each, and then the traceback."""
    error, lines = failed.error, failed.source.splitlines()
    place = next((int(line) for _, line in _PLACE.findall(_SGR.sub("", error.trace))), 0)
    trace = error.trace if colourful(sys.stderr) else _SGR.sub("", error.trace)
    if trace:
        print(trace, file=sys.stderr)
    where = f", line {place}: {lines[place - 1].strip()}" if 0 < place <= len(lines) else ""
    what = plain.line(_SGR.sub("", error.reason).splitlines()[0], 300)
    print(f"nbflow: cell {failed.cell.number} of {failed.cell.total} failed{where}\n{what}", file=sys.stderr)


def _write(notebook: Any, out: Path) -> bool:
    """Save the notebook as far as it was executed; whether that worked."""
    try:
        document.write(notebook, out)
    except OSError as error:
        print(f"nbflow: {out} cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True
