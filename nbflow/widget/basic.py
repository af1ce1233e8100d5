"""`BasicPanel`: the rows in widgets that every front end has. Imports ipywidgets, so nothing imports this early."""

from typing import Final

import ipywidgets

from nbflow.step.phases import FAILURES, Phase
from nbflow.widget import static
from nbflow.widget.actions import perform
from nbflow.widget.output import Output
from nbflow.widget.shown import Shown
from nbflow.widget.view import Board

__all__ = ["BasicPanel"]

_WHOLE: Final = 200  # above it, rendering HTML twice a second is felt: steps of a task share a line
_HTML: Final = 120_000
_TEXTS: Final = 8
_TEXT: Final = 4000
_BUTTONS: Final = {"cancel": "⊘ cancel", "wake": "↻ retry now", "again": "↺ retry failed"}


class BasicPanel(Shown, ipywidgets.VBox):  # type: ignore[misc]
    """Live rows of a board, for front ends that load no widgets of third parties (Databricks, offline VS Code).

    What was not drawn because nobody looked costs nothing; a part that did not change sends no message.

    Args:
        board: The rows.
        output: Where `freeze` and displaying write; None where someone else shows the panel.
    """

    def __init__(self, board: Board, output: Output | None = None) -> None:
        self.place(board, output)
        self._head = ipywidgets.HTML(layout=ipywidgets.Layout(flex="0 1 auto", width="auto"))
        self._progress = ipywidgets.IntProgress(
            layout=ipywidgets.Layout(flex="1 1 60px", width="auto", min_width="60px", height="10px", margin="auto 8px")
        )
        self._rows, self._texts = ipywidgets.HTML(), ipywidgets.HTML()
        for part in (self._rows, self._texts):
            part.add_class("jp-RenderedHTMLCommon")  # looks as it will when it is frozen
            part.layout.margin = part.layout.padding = "0"
        self._said = ipywidgets.Label()
        self._buttons = [self._button(action, label) for action, label in _BUTTONS.items()]
        head = ipywidgets.HBox([self._head, self._progress], layout=ipywidgets.Layout(padding="0 0 0 8px"))
        foot = ipywidgets.HBox([*self._buttons, self._said], layout=ipywidgets.Layout(padding="0 0 0 6px"))
        layout = ipywidgets.Layout(border="1px solid #8883", width="auto", margin="2px 0")
        super().__init__([head, self._rows, self._texts, foot], layout=layout)
        self.draw()

    def draw(self) -> bool:
        """Bring it up to date; true while a step is active."""
        view = self._board.view(_WHOLE)
        self._head.value = static.headline(view)
        self._progress.max = max(view.total, 1)
        self._progress.value = view.total - view.active
        failed = any(view.counts.get(phase) for phase in FAILURES)
        self._progress.style.bar_color = static.colour(Phase.FAILED if failed else Phase.COMPLETED)
        self._rows.value = static.table(view, _HTML)
        self._texts.value = static.details(view, _TEXTS, _TEXT)
        self._texts.layout.display = None if self._texts.value else "none"  # empty, it would still take a line
        usable = (view.active, view.counts.get(Phase.AWAITING_RETRY), failed)
        for button, use in zip(self._buttons, usable, strict=True):
            button.disabled = not use
        return bool(view.active)

    def widgets(self) -> tuple[ipywidgets.Widget, ...]:
        """The widgets that it is made of."""
        return (*self._buttons, self._said, *self.children, self._head, self._progress, self)

    def _button(self, action: str, label: str) -> ipywidgets.Button:
        button = ipywidgets.Button(description=label, layout=ipywidgets.Layout(width="auto", height="26px"))

        def clicked(_: object) -> None:
            self._said.value = perform(self._board, action, self._board.steps())
            self.draw()

        button.on_click(clicked)
        return button
