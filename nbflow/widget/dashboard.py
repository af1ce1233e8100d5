"""`nbflow.panel()`: all steps of this session, live."""

from typing import Any

from nbflow.durable.history import history
from nbflow.session import session
from nbflow.widget.output import Output, bundle
from nbflow.widget.runs import LIVE, live, mode
from nbflow.widget.view import Board

__all__ = ["panel"]

_SAVED = 24  # rows of a still picture
_PAUSE = 300.0  # seconds: after that long without a step, the timeline of a whole session begins anew
_shown: Any = None


class Still:
    """The rows as they are now, for readers that draw no widgets."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return self._data

    def __repr__(self) -> str:
        return str(self._data["text/plain"])


def panel() -> Any:
    """What `nbflow.panel` gives."""
    global _shown  # noqa: PLW0603 - one for the session
    # Optional where no notebook is, and slow to import.
    from IPython.core.getipython import get_ipython  # noqa: PLC0415

    shell = get_ipython()
    kind = mode(session.panel, shell)
    if kind in {"html", "text"}:
        board = _board()
        board.recall(tuple(session.recent))
        return Still(bundle(board.view(_SAVED), rich=kind == "html"))
    if _shown is None or _shown.closed:
        output = None if shell is None else Output(shell)
        board = _board()
        session.bus.join(board.hear)  # before it is told of what was, or what happens meanwhile would be lost
        board.recall(tuple(session.recent))
        _shown = live(kind if kind in LIVE else "widget", board, output, folds=False)
        _shown.follow(session.bus)
    return _shown


def _board() -> Board:
    return Board(session.explain, expect=history.expected, pause=_PAUSE)
