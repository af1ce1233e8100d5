"""One output for the steps of one executed cell.

It appears above what the first step prints, when that step turns out not to be a hit; is live while
steps run; and is static HTML and text from the end of the cell on, so that the saved notebook, GitHub and
nbconvert show it. Steps that `submit` left running keep it live until the last of them has ended. A cell
whose steps were all hits gets one line, unless they take longer than 0.3 s.
"""

import os
import re
import sys
import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from nbflow.bus import Bus
from nbflow.events import Began, Event, Missed, Queued, Started
from nbflow.logs import faces
from nbflow.step.phases import Phase
from nbflow.widget import static, text
from nbflow.widget.output import Output, bundle
from nbflow.widget.pump import Pump
from nbflow.widget.view import Board

__all__ = ["LIVE", "attach", "detach", "live", "mode"]

LIVE: Final = frozenset({"widget", "keep", "basic"})
"""Settings under which there is a widget."""

_PATIENCE: Final = 0.3
_SAVED: Final = 24
# jupyter_client numbers its messages `session_pid_count`, front ends take a UUID: a client written in Python
# (nbclient, papermill, the consoles) shows no widgets, and would leave their state in the saved notebook.
_PYTHON_CLIENT: Final = re.compile(r"_\d+_\d+$")

Skip = Callable[[Queued | Began], bool]

_attached: dict[int, "_Runs"] = {}


def attach(
    shell: Any,
    bus: Bus,
    *,
    setting: Callable[[], str] = lambda: "auto",
    skip: Skip | None = None,
    **rows: Any,
) -> None:
    """Show the steps of each cell that this shell runs from now on; a second time changes nothing.

    Args:
        shell: IPython's shell.
        bus: Where steps tell their events.
        setting: `auto`, `widget`, `keep`, `basic`, `html`, `text` or `off`, asked for every cell.
        skip: Steps that have a line of their own elsewhere, such as `%%task` cells.
        rows: What else `Board` takes, such as `explain` and `expect`.
    """
    if id(shell) not in _attached:
        runs = _attached[id(shell)] = _Runs(shell, bus, setting, partial(Board, skip=skip, **rows), skip)
        shell.events.register("pre_run_cell", runs.begin)
        shell.events.register("post_run_cell", runs.end)
        runs.begin(None)  # most likely it is a cell that calls this, and it has begun


def detach(shell: Any) -> None:
    """Show nothing any more; what is shown is frozen. Where nothing is attached, nothing happens."""
    runs = _attached.pop(id(shell), None)
    if runs is not None:
        shell.events.unregister("pre_run_cell", runs.begin)
        shell.events.unregister("post_run_cell", runs.end)
        runs.end(None)


_found: list[str] = []
"""What has been found installed; what has not may be installed at any time."""


def mode(setting: str, shell: Any) -> str:
    """What a setting means here: `widget`, `keep`, `basic`, `html`, `text`, `print` or `off`.

    In a terminal there is nothing but text, and only when it is asked for.
    """
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "off" if setting in {"auto", "off"} else "print"
    if setting == "auto":
        message = (shell.get_parent() or {}).get("header", {}).get("msg_id", "")
        setting = "html" if _PYTHON_CLIENT.search(message) else "widget"
    return "basic" if setting in {"widget", "keep"} and not _draws_anywidgets() else setting


def _draws_anywidgets() -> bool:
    """Whether widgets of third parties are there, and drawn: Databricks draws none."""
    if not _found and find_spec("anywidget") is not None:  # asked for every cell, and looked for on all of `sys.path`
        _found.append("anywidget")
    return "DATABRICKS_RUNTIME_VERSION" not in os.environ and bool(_found)


class _Runs:
    """The cells of one shell, one after the other; one that another cell runs counts as part of it."""

    def __init__(
        self, shell: Any, bus: Bus, setting: Callable[[], str], board: Callable[[], Board], skip: Skip | None
    ) -> None:
        self._shell, self._bus, self._setting, self._board, self._skip = shell, bus, setting, board, skip
        self._info: Any = None
        self._run: _Run | None = None

    def begin(self, info: Any) -> None:
        """IPython's `pre_run_cell`."""
        if self._run is not None:
            if self._info is not None or self._run.started:
                return
            self.end(None)  # attached while no cell ran
        kind = mode(self._setting(), self._shell)
        if kind != "off":
            faces.add(id(self))
            self._info = info
            self._run = _Run(self._shell, self._bus, kind, self._board(), self._skip)

    def end(self, result: Any) -> None:
        """IPython's `post_run_cell`; an interrupted asynchronous cell has no result."""
        if self._run is not None and (result is None or self._info is None or result.info is self._info):
            faces.discard(id(self))
            run, self._run, self._info = self._run, None, None
            run.end()


class _Run:
    """The steps of one cell and their output."""

    def __init__(self, shell: Any, bus: Bus, kind: str, board: Board, skip: Skip | None) -> None:
        self._bus, self._kind, self._board, self._skip = bus, kind, board, skip
        self._output = Output(shell)
        self._pump = Pump(self._draw, first=_PATIENCE)
        self._lock = threading.Lock()
        self._steps: set[int] = set()
        self._panel: Any = None
        self._ended = self._frozen = self.started = False
        bus.join(board.hear)
        if kind != "print":
            bus.join(self._watch)

    def end(self) -> None:
        """The cell has ended."""
        self._bus.leave(self._watch)
        self._board.seal()
        self._ended = True
        if self._kind == "print" or not self._board.busy:
            kept = self._kind == "keep" and self._panel is not None
            if not kept:
                self._pump.stop()
            self._freeze()
            if kept:
                self._output.outlive()
                self._pump.start()
            return
        # What is saved before the last step ends shall not be what was known at the beginning.
        self._output.write(self._bundle() if self._panel is None else self._panel.bundle())
        self._output.outlive()
        self._pump.start()

    def _watch(self, event: Event) -> None:
        """Hears events until there is an output; a hit is no reason to make one, unless there are many."""
        kind = type(event)
        if isinstance(event, (Began, Queued)):
            if self._skip is None or not self._skip(event):
                self._steps.add(event.step)
                if not self.started:
                    self.started = True
                    self._pump.start()
        elif (kind is Missed or kind is Started) and event.step in self._steps:
            self._open()

    def _open(self) -> None:
        with self._lock:
            if not self._output.written:
                self._output.write(self._bundle())
        self._bus.leave(self._watch)

    def _draw(self) -> bool:
        """In the pump's thread."""
        if self._frozen:  # what is kept goes on until the page has surely got everything
            return self._panel is not None and not self._panel.closed and bool(self._panel.draw())
        if not self._ended or self._output.written or self._board.busy:
            self._open()
        if self._ended and not self._board.busy:
            self._freeze()
            return self._kind == "keep"
        if self._kind not in LIVE:
            self._output.write(self._bundle())
        elif self._panel is None:
            self._panel = live(self._kind, self._board, self._output)
            self._output.write(self._panel.bundle())
            self._pump.every = self._panel.every
        else:
            self._panel.draw()
        return True

    def _freeze(self) -> None:
        """From now on it is history."""
        with self._lock:
            if self._frozen:
                return
            self._frozen = True
        self._bus.leave(self._board.hear)
        view = self._board.view(_SAVED)
        if self._kind == "print":
            if view.total:
                sys.stderr.write(text.text(view) + "\n")
        elif self._panel is not None and self._kind == "keep":
            self._panel.draw()
            self._output.write(self._panel.bundle())
        elif self._panel is not None:
            self._panel.freeze()
        elif self._output.written:
            self._output.write(self._bundle())
        elif view.total:
            only_hits = view.state is Phase.CACHED
            self._output.write(_receipt(view, rich=self._kind != "text") if only_hits else self._bundle())

    def _bundle(self) -> dict[str, Any]:
        return bundle(self._board.view(_SAVED), rich=self._kind != "text")


def live(kind: str, board: Board, output: Output | None, *, folds: bool = True) -> Any:
    """A live panel: an anywidget, or plain ipywidgets where that cannot be drawn."""
    # ipywidgets takes 0.2 s to import, and this is the pump's thread
    if kind == "basic":
        from nbflow.widget.basic import BasicPanel  # noqa: PLC0415 - as above

        return BasicPanel(board, output)
    from nbflow.widget.live import Panel  # noqa: PLC0415 - as above

    return Panel(board, output, folds=folds)


def _receipt(view: Any, *, rich: bool) -> dict[str, Any]:
    shown = {"text/plain": text.receipt(view)}
    return {"text/html": static.receipt(view), **shown} if rich else shown
