"""What became of each attempt of a step, kept with the error that ended it: as text, so that nothing is held alive."""

from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Attempt", "attempts", "note", "reason", "remember"]

_PLACE = "__nbflow_attempts__"


class Attempt(NamedTuple):
    """One attempt that failed.

    Attributes:
        n: Counted from 1.
        started: Seconds since the epoch.
        duration: Seconds that it ran.
        error: What it raised, or why its result was not accepted, in one line.
        slept: Seconds that were waited after it.
    """

    n: int
    started: float
    duration: float
    error: str
    slept: float = 0.0


def attempts(error: BaseException) -> tuple[Attempt, ...]:
    """The attempts of the step that an error came from, the last one included; empty where it came from no step.

    They pickle whatever the error itself does, and hold no traceback and no value.

    >>> attempts(ValueError("of somebody else"))
    ()
    """
    found: Any = getattr(error, _PLACE, ())
    return found if isinstance(found, tuple) else ()


def remember(error: BaseException, history: Sequence[Attempt]) -> None:
    """Keep the history with an error. One attempt of an outer step does not replace what an inner one has told."""
    if len(history) > 1 or not attempts(error):
        object.__setattr__(error, _PLACE, tuple(history))  # it may be a frozen dataclass


def note(error: BaseException, text: str) -> None:
    """Add a note, where the error takes one, and has not got it yet."""
    try:
        if text not in getattr(error, "__notes__", ()):
            error.add_note(text)
    except Exception:  # noqa: BLE001, S110 - it is frozen, or its notes are something else
        pass


def reason(error: BaseException) -> str:
    """An error in one line: its class and the first line of what it says."""
    try:
        first = next(iter(str(error).splitlines()), "")
    except Exception:  # noqa: BLE001 - an error whose text raises is still an error to tell
        first = "(its text cannot be shown)"
    return (f"{type(error).__name__}: {first}" if first else type(error).__name__)[:500]
