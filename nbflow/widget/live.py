"""`Panel`: the rows as an ipywidget, drawn while steps run. Imports ipywidgets, so nothing imports this early."""

from typing import Any, Final

import ipywidgets

from nbflow.bus import Bus
from nbflow.events import Event
from nbflow.step.phases import FAILURES, Phase
from nbflow.widget import static
from nbflow.widget.output import Output, bundle
from nbflow.widget.pump import Pump
from nbflow.widget.view import Board

__all__ = ["Panel"]

_WHOLE: Final = 200  # above it, rendering HTML twice a second is felt: steps of a task share a line
_HTML: Final = 120_000
_SAVED: Final = 24
_TEXTS: Final = 8
_TEXT: Final = 4000


class Panel(ipywidgets.VBox):  # type: ignore[misc]
    """Live rows of a board.

    What was not drawn because nobody looked costs nothing; a part that did not change sends no message.

    Args:
        board: The rows.
        output: Where `freeze` and displaying write; None where someone else shows the panel.
    """

    def __init__(self, board: Board, output: Output | None = None) -> None:
        self._board, self._output = board, output
        self._bus: Bus | None = None
        self._pump = Pump(self._beat)
        self._head = ipywidgets.HTML(layout=ipywidgets.Layout(flex="0 1 auto", width="auto"))
        self._progress = ipywidgets.IntProgress(
            layout=ipywidgets.Layout(flex="1 1 60px", width="auto", min_width="60px", height="10px", margin="auto 8px")
        )
        self._rows, self._texts = ipywidgets.HTML(), ipywidgets.HTML()
        for part in (self._rows, self._texts):
            part.add_class("jp-RenderedHTMLCommon")  # looks as it will when it is frozen
            part.layout.margin = part.layout.padding = "0"
        head = ipywidgets.HBox([self._head, self._progress], layout=ipywidgets.Layout(padding="0 0 0 8px"))
        layout = ipywidgets.Layout(border="1px solid #8883", width="auto", margin="2px 0")
        super().__init__([head, self._rows, self._texts], layout=layout)
        self.draw()

    def draw(self) -> bool:
        """Bring it up to date; true while a step is active."""
        view = self._board.view(_WHOLE)
        self._head.value = static.headline(view)
        self._progress.max = max(view.total, 1)
        self._progress.value = view.total - view.active
        failed = any(view.counts.get(state) for state in FAILURES)
        self._progress.style.bar_color = static.colour(Phase.FAILED if failed else Phase.COMPLETED)
        self._rows.value = static.table(view, _HTML)
        self._texts.value = static.details(view, _TEXTS, _TEXT)
        self._texts.layout.display = None if self._texts.value else "none"  # empty, it would still take a line
        return bool(view.active)

    def follow(self, bus: Bus) -> None:
        """Draw whenever there are steps, until it is closed."""
        self._bus = bus
        bus.join(self._board.hear)
        bus.join(self._wake)
        if self._board.busy:
            self._pump.start()

    def freeze(self) -> None:
        """Put static HTML and text in its place, which outlive the kernel, and close it."""
        if self._output is not None and self._output.written:
            self._output.write(bundle(self._board.view(_SAVED)))
        self.close()

    def close(self) -> None:
        """Stop drawing and let go of the front end's part."""
        if self._bus is not None:
            self._bus.leave(self._wake)
            self._bus.leave(self._board.hear)
        self._pump.stop()
        for part in (*self.children, self._head, self._progress, self):
            for each in (getattr(part, "layout", None), getattr(part, "style", None)):
                if each is not None:
                    each.close()
            ipywidgets.Widget.close(part)
        # ipywidgets hides the method of a closed widget; the static forms are as good as before
        self.__dict__.pop("_repr_mimebundle_", None)

    @property
    def closed(self) -> bool:
        """Whether it was closed; then it shows what there is, and draws no more."""
        return self.comm is None

    def bundle(self) -> dict[str, Any]:
        """The live view, and the same rows for whoever cannot show it."""
        live = {} if self.closed else super()._repr_mimebundle_()
        return {**live, **bundle(self._board.view(_SAVED))}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self.bundle()

    def _ipython_display_(self) -> None:
        if self._output is not None:
            self._output.show(self.bundle())

    def _wake(self, _: Event) -> None:
        """The first event after a silence: from now on the thread looks by itself."""
        assert self._bus is not None
        self._bus.leave(self._wake)
        self._pump.start()

    def _beat(self) -> bool:
        if self.draw() or self._bus is None:
            return self._bus is not None
        self._bus.join(self._wake)
        if self._board.pending:  # it came between the last look and the join
            self._bus.leave(self._wake)
            return True
        return False
