"""Where a panel appears: one output of a cell, written once and then over and over."""

from contextvars import Context, copy_context
from typing import Any, Final
from uuid import uuid4

from nbflow.widget import static, text
from nbflow.widget.lines import View

__all__ = ["Output", "bundle"]

_WIDTH: Final = 100
_MARK: Final = {"nbflow": "panel"}
"""Metadata of every output of ours, by which tools can tell it from the user's own."""


def bundle(view: View, *, rich: bool = True) -> dict[str, Any]:
    """A view for every kind of reader."""
    shown = {"text/plain": text.text(view, _WIDTH)}
    return {"text/html": static.html(view), **shown} if rich else shown


class Output:
    """An output of the cell that runs when it is made, whichever thread writes it, and whenever.

    Args:
        shell: IPython's shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._context = copy_context()
        self._id = f"nbflow-{uuid4().hex[:16]}"
        self.written = False

    def write(self, data: dict[str, Any]) -> None:
        """Show this, in place of what was shown before."""
        self._publish(data, update=self.written)

    def show(self, data: dict[str, Any]) -> None:
        """Show this here and now, whatever is shown elsewhere; `write` then replaces both."""
        self._context = copy_context()
        self._publish(data, update=False)
        self.outlive()

    def outlive(self) -> None:
        """The cell has ended: later writes go with whichever cell runs then, since clients have stopped listening."""
        self._context = Context()

    def _publish(self, data: dict[str, Any], *, update: bool) -> None:
        self.written = True
        publisher = self._shell.display_pub
        # The class's own method: what records a cell's outputs replaces it on the instance, and a panel is
        # no result of the cell.
        self._context.copy().run(
            type(publisher).publish, publisher, data, dict(_MARK), transient={"display_id": self._id}, update=update
        )
