"""Shows a folded record again, through the same doors."""

import sys
import uuid
from collections.abc import Iterable
from typing import Any

from nbflow.notebook.tee import Event

__all__ = ["NotKept", "chosen", "replay"]


class NotKept:
    """Stands in `Out` for a value that was shown and could not be stored."""

    def __repr__(self) -> str:
        return "<nbflow: this value was shown, and could not be stored>"


def chosen(output: str, events: list[Event], values: list[Any]) -> tuple[list[Event], list[Any]]:
    """The part of a record that `--output all|last|none` asks for."""
    if output == "none":
        return [], []
    if output == "last":
        return [event for event in events if event[0] == "result"][-1:], values[-1:]
    return events, values


def replay(shell: Any, events: list[Event], values: Iterable[Any]) -> dict[str, str]:
    """Show a record; `values` go through the display hook, so `Out` and `_` are set.

    Returns:
        New display ids by old: a hit never updates what another run has shown.
    """
    left = list(values)
    ids: dict[str, str] = {}
    for kind, first, *rest in events:
        if kind == "stream":
            getattr(sys, first).write(rest[0])
        elif kind == "result" and left:
            _result(shell, left.pop(0), (first, *rest))
        elif kind == "display":
            transient = {"display_id": ids.setdefault(first, uuid.uuid4().hex)} if first else {}
            shell.display_pub.publish(rest[0], rest[1] or {}, transient=transient)
    for value in left:  # recorded under a trailing `;`, which may be gone by now
        sys.displayhook(value)
    return ids


def _result(shell: Any, value: Any, bundle: Event) -> None:
    hook = shell.displayhook
    hook.compute_format_data = lambda _: bundle
    try:
        sys.displayhook(value)
    finally:
        del hook.compute_format_data
