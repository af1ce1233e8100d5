"""Colours, where somebody sees them: never the only sign of anything."""

import os
import sys
from typing import Final, TextIO

from nbflow.step.phases import Phase

__all__ = ["colourful", "live", "painted", "tint"]

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_PHASES: Final = {
    Phase.COMPLETED: "green",
    Phase.CACHED: "cyan",
    Phase.FAILED: "red",
    Phase.CRASHED: "red",
    Phase.TIMED_OUT: "red",
    Phase.AWAITING_RETRY: "yellow",
    Phase.CANCELLED: "yellow",
    Phase.PENDING: "dim",
}


def live(stream: TextIO) -> bool:
    """Whether a stream is a terminal whose cursor can be moved."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def colourful(stream: TextIO) -> bool:
    """Whether a stream shall have colours: on a terminal, unless `NO_COLOR` is set (https://no-color.org)."""
    return live(stream) and not os.environ.get("NO_COLOR")


def painted(text: str, colour: str, stream: TextIO | None = None) -> str:
    """A text in a colour, if the stream (None: stdout) shall have some."""
    code = _CODES.get(colour)
    return f"\x1b[{code}m{text}\x1b[0m" if code and colourful(stream or sys.stdout) else text


def tint(state: Phase) -> str:
    """The colour of a state's icon, `""` if it has none."""
    return _PHASES.get(state, "")
