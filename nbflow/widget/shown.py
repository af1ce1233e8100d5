"""What every live panel has: rows that it follows, a place where it stands, static forms, an end."""

from typing import Any, Final

import ipywidgets

from nbflow.bus import Bus
from nbflow.events import Event
from nbflow.widget.output import Output, bundle
from nbflow.widget.pump import Pump
from nbflow.widget.view import Board

__all__ = ["Shown"]

_SAVED: Final = 24


class Shown:
    """The part of a panel that does not depend on how it is drawn; a widget inherits from it first.

    Attributes:
        every: Seconds between two drawings.
    """

    every = 0.5
    _bus: Bus | None = None

    def place(self, board: Board, output: Output | None) -> None:
        """Take the rows, and where `freeze` and displaying write; None where someone else shows the panel."""
        self._board, self._output = board, output
        self._pump = Pump(self._beat, every=self.every)

    def draw(self) -> bool:
        """Bring it up to date; true while there will be more to draw."""
        raise NotImplementedError

    def widgets(self) -> tuple[Any, ...]:
        """The widgets that it is made of."""
        return (self,)

    def follow(self, bus: Bus) -> None:
        """Draw whenever there are steps, until it is closed."""
        self._bus = bus
        bus.join(self._board.hear)
        bus.join(self._wake)
        self._pump.start()  # the last step may have ended since the first drawing

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
        for part in self.widgets():
            for each in (getattr(part, "layout", None), getattr(part, "style", None)):
                if each is not None:
                    each.close()
            ipywidgets.Widget.close(part)
        # ipywidgets hides the method of a closed widget; the static forms are as good as before
        self.__dict__.pop("_repr_mimebundle_", None)

    @property
    def closed(self) -> bool:
        """Whether it was closed; then it shows what there is, and draws no more."""
        return self.comm is None  # type: ignore[attr-defined]  # a widget's

    def bundle(self) -> dict[str, Any]:
        """The live view, and the same rows for whoever cannot show it."""
        live = {} if self.closed else self._view()
        return {**live, **bundle(self._board.view(_SAVED))}

    def _view(self) -> dict[str, Any]:
        made = super()._repr_mimebundle_()  # type: ignore[misc]  # a widget's
        return made[0] if isinstance(made, tuple) else made  # type: ignore[no-any-return]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self.bundle()

    def __repr__(self) -> str:
        """The rows as text, for a terminal."""
        return str(bundle(self._board.view(_SAVED), rich=False)["text/plain"])

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
