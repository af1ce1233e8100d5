"""The panel: every step, whether it hit or missed and why, drawn live, as static HTML and as text.

Names are handed on when they are used: the pure parts need neither a session nor a notebook.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbflow.widget.dashboard import panel
    from nbflow.widget.runs import attach, detach
    from nbflow.widget.view import Board

__all__ = ["Board", "attach", "detach", "panel"]

_HOMES = {"Board": "view", "attach": "runs", "detach": "runs", "panel": "dashboard"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nbflow.widget' has no attribute {name!r}")
    return getattr(import_module(f"nbflow.widget.{_HOMES[name]}"), name)
