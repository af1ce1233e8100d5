"""`nbflow.panel()`: all steps of this session, live."""

from typing import Any

from nbflow.events import Missed
from nbflow.keys.explain import nearest
from nbflow.session import session
from nbflow.slot import NO_ENTRY
from nbflow.widget.output import Output
from nbflow.widget.view import Board

__all__ = ["explain", "panel"]

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
        board = Board(explain, pause=_PAUSE)
        for event in tuple(session.recent):
            board.hear(event)
        shell = get_ipython()
        _shown = Panel(board, None if shell is None else Output(shell))
        _shown.follow(session.bus)
    return _shown


def explain(task: str, missed: Missed) -> str:
    """The first part of the key that differs from the nearest entry of the task; `""` where there is more to say."""
    store = session.store_or_none()
    if missed.why != NO_ENTRY or not missed.traits or store is None:
        return ""
    others = [traits for traits in store.traits(task, 50) if traits != missed.traits]
    if not others:
        return "first run"
    return next((str(difference) for difference in nearest(missed.traits, others)), "")
