"""`Panel`: the rows as an anywidget. Imports ipywidgets, so nothing imports this early.

The page keeps the rows: it is sent what changed, ten times a second at most, and draws only what is in sight.
Its script and style travel as text: given as paths, anywidget would keep every panel alive (anywidget#929).
"""

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import anywidget
import traitlets

from nbflow.widget.actions import ACTIONS, perform
from nbflow.widget.feed import Feed, detail_of, phases
from nbflow.widget.output import Output
from nbflow.widget.shown import Shown
from nbflow.widget.view import Board

__all__ = ["Panel"]

_HERE: Final = Path(__file__).parent
_MOMENTARY: Final = {"cancel", "wake", "again"}
_LATE: Final = 5.0


class Panel(Shown, anywidget.AnyWidget):  # type: ignore[misc]
    """Live rows of a board.

    Args:
        board: The rows.
        output: Where `freeze` and displaying write; None where someone else shows the panel.
        folds: Whether it draws in its rows when all have ended well, and shows the first failure else.
    """

    _esm = traitlets.Unicode((_HERE / "panel.js").read_text("utf-8")).tag(sync=True)
    _css = traitlets.Unicode((_HERE / "panel.css").read_text("utf-8")).tag(sync=True)
    uid = traitlets.Unicode().tag(sync=True)
    """A name for the store that all views of this panel share in a page."""
    phases = traitlets.Dict().tag(sync=True)
    ckpt = traitlets.Dict().tag(sync=True)
    folds = traitlets.Bool().tag(sync=True)

    every = 0.1

    def __init__(self, board: Board, output: Output | None = None, *, folds: bool = False) -> None:
        self.place(board, output)
        self._feed, self._drawing = Feed(board, time.monotonic), threading.Lock()
        self._feed.patches()
        first = self._feed.checkpoint(force=True)
        super().__init__(uid=f"nbflow-{uuid4().hex[:12]}", phases=phases(), ckpt=first, folds=folds)
        self.on_msg(self._asked)
        self._answer_while_busy()

    def draw(self) -> bool:
        """Send what changed; true while a step is active, or what was sent may have been lost on the way."""
        with self._drawing:
            for patch in self._feed.patches():
                self.send(patch)
            checkpoint = self._feed.checkpoint()
            if checkpoint is not None:
                self.ckpt = checkpoint
            return self._board.busy or not self._feed.settled

    def _answer_while_busy(self) -> None:
        """Let the page choose where its messages are read: ipykernel 7.4 sends them to the busy main thread.

        The name is private there, and only a courtesy: without it the page says that the kernel is busy.
        """
        if hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda _, wanted: wanted  # noqa: SLF001 - see above

    def _asked(self, _: Any, content: Any, __: Any) -> None:
        """A message from the page, on whatever thread reads it: nothing here may take long, or print."""
        if not isinstance(content, dict) or content.get("k") != "act":
            return
        action, number, step, task, at = (content.get(name) for name in ("a", "n", "id", "task", "t"))
        if not isinstance(action, str):
            return
        self.send({"k": "pong", "n": number})
        if action == "detail" and type(step) is int:
            self.send({"k": "d", "d": {step: self._board.row(step, detail_of) or {}}})
        elif action in _MOMENTARY and time.time() - (at if isinstance(at, int | float) else 0.0) > _LATE:
            # What it was meant for is over, and it would hit what runs now.
            said = "nothing was done: the kernel was too busy to hear of it in time"
            self.send({"k": "said", "n": number, "text": said})
        elif action in ACTIONS:
            if type(step) is int:
                steps: Iterable[int] = (step,)
            else:
                steps = self._board.steps(task if isinstance(task, str) else None)
            args = (action, steps, number)
            threading.Thread(target=self._act, args=args, name="nbflow-action", daemon=True).start()

    def _act(self, action: str, steps: Iterable[int], number: Any) -> None:
        try:
            said = perform(self._board, action, steps)
        except Exception as error:  # noqa: BLE001 - whoever pressed the button is told
            said = f"{action} did not work: {error!r}"[:300]
        self.send({"k": "said", "n": number, "text": said})
        self._pump.start()
