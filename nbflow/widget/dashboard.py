"""`nbflow.panel()`: all steps of this session, live."""

from typing import Any

from nbflow.session import session
from nbflow.widget.output import Output
from nbflow.widget.view import Board

__all__ = ["panel"]

_PAUSE = 300.0  # seconds: after that long without a step, the timeline of a whole session begins anew
_shown: Any = None


def panel() -> Any:
    """The session's panel, an ipywidget: show it anywhere, more than once, or within other widgets.

    It has the latest steps from before it was asked for, and stays live until it is closed.
    """
    global _shown  # noqa: PLW0603 - one for the session
    # Optional where no notebook is, and slow to import.
    from IPython.core.getipython import get_ipython  # noqa: PLC0415

    from nbflow.widget.live import Panel  # noqa: PLC0415

    if _shown is None or _shown.closed:
        board = Board(session.explain, pause=_PAUSE)
        for event in tuple(session.recent):
            board.hear(event)
        shell = get_ipython()
        _shown = Panel(board, None if shell is None else Output(shell))
        _shown.follow(session.bus)
    return _shown
