"""The one line that a cell shows of itself, updated in place: what happened, and why."""

import uuid
from html import escape
from typing import Any

from nbflow.durations import ago, spell
from nbflow.events import Hit
from nbflow.widget import plain

__all__ = ["Status"]

_LONGEST = 240  # characters of text; its HTML twin stays under 1 KB
_MARK = {"nbflow": "task"}
_STYLE = "font-size:90%;opacity:.85"


class Status:
    """A cell's line. In a terminal, where nothing can be updated in place, only the last word is shown.

    Args:
        shell: Shows it.
        label: What the cell is called.
    """

    def __init__(self, shell: Any, label: str) -> None:
        self.publisher = shell.display_pub
        self.live = hasattr(shell.displayhook, "pub_socket")
        self.label = label
        self.display_id = f"nbflow-{uuid.uuid4().hex}"
        self.shown = False

    def tell(self, icon: str, *parts: str, passing: bool = False) -> None:
        """Show the line, or show it anew; `passing` words are left out where they could not be replaced."""
        if passing and not self.live:
            return
        text = plain.line(" · ".join([f"{icon} {self.label}", *filter(None, parts)]), _LONGEST)
        head, dot, rest = text[len(icon) + 1 :].partition(" · ")
        html = f'<div style="{_STYLE}">{escape(icon)} <b>{escape(head)}</b>{escape(dot + rest)}</div>'
        self.publisher.publish(
            {"text/plain": text, "text/html": html if len(html) < 1000 else escape(text[:160])},
            dict(_MARK),
            transient={"display_id": self.display_id},
            update=self.shown and self.live,
        )
        self.shown = True

    def cleared(self) -> None:
        """The cell's output was cleared, and the line with it."""
        self.shown = False

    def hit(self, found: Hit, *marks: str) -> None:
        """`⚡ prices · cached 2 h ago · saved 41.2 s · 1.8 MB`."""
        fresh = [f"cached {ago(found.age)}", f"saved {spell(found.saved)}", plain.size(found.size)]
        self.tell("⚡", *([f"stale: {found.stale}"] if found.stale else fresh), *marks)

    def done(self, cost: float, *more: str) -> None:
        """`✓ prices · ran in 3.2 s · stored 1.8 MB · miss: clean() changed`."""
        self.tell("✓", f"ran in {spell(cost)}", *more)
