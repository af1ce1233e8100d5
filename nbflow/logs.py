"""Where a step's words go: its prints, its log records, and what nbflow itself has to say.

Everything is routed by context: which step runs *here*, in this thread or asyncio task. `print` is
replaced only while a step with `log_prints` runs, and passes on whatever such a step did not print.
"""

import builtins
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["current_step", "logger", "prints_to", "warn"]

current_step: ContextVar[int | None] = ContextVar("nbflow_step", default=None)
"""The number of the innermost step that runs here."""

logger = logging.getLogger("nbflow")

_listener: ContextVar[Callable[[str], object] | None] = ContextVar("nbflow_print", default=None)
_lock = threading.Lock()
_printing: list[Any] = []  # the steps that run now with log_prints; `print` is ours while there is one
_said: set[str] = set()


def warn(text: str) -> None:
    """Say one line to the user, once in a process: on stderr, through the logger `nbflow`. Never raises."""
    if text in _said:
        return
    _said.add(text)
    logger.warning("nbflow: %s", text)


_print = builtins.print


def _route(
    *values: object, sep: str | None = " ", end: str | None = "\n", file: Any = None, flush: bool = False
) -> None:
    listener = _listener.get()
    if listener is None or file not in (None, sys.stdout):
        _print(*values, sep=sep, end=end, file=file, flush=flush)
        return
    for line in (" " if sep is None else sep).join(map(str, values)).splitlines() or [""]:
        listener(line)


@contextmanager
def prints_to(listener: Callable[[str], object]) -> Iterator[None]:
    """Hand each line that is printed in this context to a listener, instead of printing it."""
    global _print  # noqa: PLW0603 - the one real `print` of the process
    mark = _listener.set(listener)
    with _lock:
        if builtins.print is not _route:
            _print = builtins.print
            builtins.print = _route
        _printing.append(mark)
    try:
        yield
    finally:
        _listener.reset(mark)
        with _lock:
            _printing.remove(mark)
            if not _printing and builtins.print is _route:
                builtins.print = _print
