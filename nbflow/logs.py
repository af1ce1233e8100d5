"""Where a step's words go: its prints, its log records, and what nbflow itself has to say.

Everything is routed by context: which step runs *here*, in this thread or asyncio task. `print` is
replaced only while a step with `log_prints` runs, and passes on whatever such a step did not print.

What a run logs or prints goes through the loggers `nbflow.flow_runs` and `nbflow.task_runs`. Where a program has set up
no logging, and no panel shows it, it is written to stderr.
"""

import builtins
import logging
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

__all__ = ["RUNS", "TOLD", "faces", "listened", "logger", "prints_to", "warn"]

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


class prints_to:  # noqa: N801 - reads as a statement: `with prints_to(listener):`
    """Hand each line that is printed in this context to a listener, instead of printing it; None: print after all.

    To leave it again changes nothing, nor does it to leave what was not entered.
    """

    __slots__ = ("_listener", "_outer")

    def __init__(self, listener: Callable[[str], object] | None) -> None:
        self._listener, self._outer = listener, _listener.get()

    def __enter__(self) -> None:
        global _print  # noqa: PLW0603 - the one real `print` of the process
        with _lock:
            _printing.append(self)
            if builtins.print is not _route:
                _print = builtins.print
                builtins.print = _route
        _listener.set(self._listener)

    def __exit__(self, *_: object) -> None:
        if _listener.get() is self._listener:
            _listener.set(self._outer)
        with _lock:
            if self in _printing:
                _printing.remove(self)
            if not _printing and builtins.print is _route:
                builtins.print = _print


def listened() -> bool:
    """Whether what is printed here goes to a listener."""
    return _listener.get() is not None


RUNS: Final = {"Flow": logging.getLogger("nbflow.flow_runs"), "Task": logging.getLogger("nbflow.task_runs")}
"""Where runs log, by what they are runs of."""

TOLD: Final = "nbflow_told"
"""An attribute of records that their step has heard of already."""

faces: set[Any] = set()
"""Whoever shows what runs log: while there is one, stderr is left alone."""


class _Console(logging.Handler):
    """Writes records to stderr that nobody else would show."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        if faces or logger.handlers or logging.getLogger().handlers:
            return
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:  # noqa: BLE001 - as all handlers of logging
            self.handleError(record)


def _set_up(kind: str, runs: logging.Logger) -> None:
    """Let a logger of runs speak, as Prefect's do, from INFO on."""
    console = _Console()
    name = f"%({kind.lower()}_run_name)s"
    form = f"%(asctime)s.%(msecs)03d | %(levelname)-7s | {kind} run '{name}' - %(message)s"
    console.setFormatter(logging.Formatter(form, "%H:%M:%S", defaults={f"{kind.lower()}_run_name": "?"}))
    runs.addHandler(console)
    if runs.level == logging.NOTSET:
        runs.setLevel(logging.INFO)


for _kind, _runs in RUNS.items():
    _set_up(_kind, _runs)
