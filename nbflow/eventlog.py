"""Events as lines of JSON in a file: how `nbflow run` hears of the steps in its kernel, without a port.

A kernel that is started with `NBFLOW_EVENTS` in its environment appends to that file, one line an event, in
the order in which they happened; forks of it append too, so each line says whose it is.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from nbflow import events
from nbflow.events import (
    Began,
    Cancelled,
    Completed,
    Crashed,
    Event,
    Failed,
    Hit,
    Missed,
    NotReady,
    Queued,
    TimedOut,
)

__all__ = ["VARIABLE", "EventLog", "Tail"]

VARIABLE: Final = "NBFLOW_EVENTS"
"""The environment variable that names the file."""

_KINDS: Final[dict[str, Any]] = {name: getattr(events, name) for name in events.__all__ if name != "Event"}
_ENDS: Final = (Hit, Completed, Failed, TimedOut, Cancelled, Crashed, NotReady)
_SHARE: Final = 0.05
"""Of the time since the first event, how much explaining misses may take: ten thousand of them stay cheap."""
_FREE: Final = 0.5


class EventLog:
    """A sink that appends each event to a file.

    A miss is explained before it is told, while its own result cannot yet be the nearest entry.

    Args:
        path: The file; opened at once, so that no step is seen to open it.
        explain: A better reason for a miss, from the task's label and the event; `""` where there is none.
        clock: Seconds, for the time that explaining takes.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        explain: Callable[[str, Missed], str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._explain, self._clock = explain, clock
        self._since, self._spent = clock(), 0.0
        self._tasks: dict[int, str] = {}

    def __call__(self, event: Event) -> None:
        """Append one event; a line is written whole, whatever thread it comes from."""
        if isinstance(event, (Began, Queued)):
            self._tasks[event.step] = event.task
        elif isinstance(event, Missed):
            event = self._explained(event, self._tasks.get(event.step, ""))
        elif isinstance(event, _ENDS):
            self._tasks.pop(event.step, None)
        line = json.dumps([os.getpid(), type(event).__name__, *event], default=str)
        os.write(self._file, line.encode() + b"\n")

    def _explained(self, event: Missed, task: str) -> Missed:
        start, why = self._clock(), ""
        if self._explain is not None and self._spent < _FREE + _SHARE * (start - self._since):
            why = self._explain(task, event)
            self._spent += self._clock() - start
        return event._replace(why=why or event.why, traits=None)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


class Tail:
    """Reads what was appended since it last looked. Steps get numbers that are unique over all processes."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest = path, 0, b""
        self._numbers: dict[tuple[int, int], int] = {}

    def read(self) -> Iterator[Event]:
        """The new events, in order; a line that is still being written waits for the next look."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                new = file.read()
        except FileNotFoundError:
            return
        self._at += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            event = self._event(line)
            if event is not None:
                yield event

    def _event(self, line: bytes) -> Event | None:
        """One line as an event; None where it is none of this version's."""
        try:
            process, name, step, *rest = json.loads(line)
            event = _KINDS[name](self._number(process, step), *rest)
        except (ValueError, KeyError, TypeError):
            return None
        if isinstance(event, (Began, Queued)):
            parent = None if event.parent is None else self._number(process, event.parent)
            event = event._replace(arguments=tuple(event.arguments), parent=parent)
        return event  # type: ignore[no-any-return]

    def _number(self, process: int, step: int) -> int:
        return self._numbers.setdefault((process, step), len(self._numbers) + 1)
