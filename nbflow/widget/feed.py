"""What a live panel is sent: small patches, and now and then everything.

The page never asks, since a busy kernel would not hear it. A patch has the fields that changed; should some be
lost on the way (a server drops messages of a kernel that floods it), the next checkpoint heals it. The last
checkpoint follows 4 s after the last change, when such a flood is over. Times travel as seconds since `origin`.
"""

from collections.abc import Callable
from math import inf
from typing import Any, Final

from nbflow.step.phases import FAILURES, Phase
from nbflow.widget import plain
from nbflow.widget.lines import View, line_of, reason_of, task_of
from nbflow.widget.rows import Row
from nbflow.widget.view import Board

__all__ = ["Feed", "detail_of", "phases"]

Wire = dict[str, Any]

_CHUNK: Final = 500
_SPEED: Final = 100_000  # bytes a second that checkpoints may take
_ROW: Final = 100  # bytes of a row, about
_TRAILING: Final = 4.0
_HEARTBEAT: Final = 5.0
_DETAILS: Final = 64 * 1024  # characters of details in one patch
_KEPT: Final = 128 * 1024  # and in a checkpoint
_LOG: Final = 8 * 1024
_FULL: Final = 64 * 1024
_TRACE: Final = 8 * 1024
_REASON: Final = 1000
_SHORT: Final = 60  # longer ones may be cut in their row


class Feed:
    """Turns what a board has heard into messages.

    Args:
        board: The rows; nobody else may ask it for news.
        clock: Monotonic seconds.
    """

    def __init__(self, board: Board, clock: Callable[[], float]) -> None:
        self._board, self._clock = board, clock
        self._rows: dict[int, Wire] = {}
        self._details: dict[int, Wire] = {}
        self._unsent: dict[int, None] = {}
        self._head: Wire = {}
        self._seq = self._covered = 0
        self._origin = self._now = 0.0
        self._sent = self._changed = self._checked = -inf
        self._settled = True

    def patches(self) -> list[Wire]:
        """What changed since the last time, or a sign of life, or nothing."""
        view, rows, gone = self._board.news(self._look)
        head, self._now = self._headline(view), view.now
        changes = [change for step, made, detail in rows if (change := self._note(step, made, detail))]
        for step in gone:
            self._rows.pop(step, None)
            self._details.pop(step, None)
            self._unsent.pop(step, None)
        details = self._due()
        now = self._clock()
        if not (changes or gone or details or head != self._head):
            if not view.active or now - self._sent < _HEARTBEAT:
                return []
        else:
            self._changed, self._settled = now, False
        self._head, self._sent = head, now
        made = []
        for start in range(0, max(len(changes), 1), _CHUNK):
            self._seq += 1
            made.append({"k": "p", "s": self._seq, "t": view.now, "h": head, "r": changes[start : start + _CHUNK]})
        if gone:
            made[-1]["x"] = gone
        if details:
            made[-1]["d"] = details
        return made

    def checkpoint(self, *, force: bool = False) -> Wire | None:
        """Everything, when it is time for it; None while it is not."""
        now = self._clock()
        quiet = now - self._changed >= _TRAILING
        every = max(1.0, len(self._rows) * _ROW / _SPEED)
        due = not self._settled and (quiet or (self._covered < self._seq and now - self._checked >= every))
        if not (force or due):
            return None
        self._settled, self._checked, self._covered = quiet, now, self._seq
        room, details = _KEPT, dict[int, Wire]()
        for step in reversed(self._details):
            room -= _weight(self._details[step])
            if room < 0:
                break
            details[step] = self._details[step]
        return {
            "s": self._seq,
            "t": self._now,
            "o": self._origin,
            "h": self._head,
            "r": list(self._rows.values()),
            "d": details,
        }

    @property
    def settled(self) -> bool:
        """Whether all that is known was sent, and enough later sent again."""
        return self._settled

    def _look(self, row: Row, now: float) -> tuple[int, Wire, Wire | None]:
        if not self._origin:
            self._origin = row.since
        spoke = row.log is not None or row.trace or row.errors or len(reason_of(row)) > _SHORT
        return row.step, _wire(row, now, self._origin), detail_of(row, _LOG) if spoke else None

    def _note(self, step: int, made: Wire, detail: Wire | None) -> Wire | None:
        """The fields that changed; None if none did."""
        before = self._rows.get(step)
        self._rows[step] = made
        if detail is not None and detail != self._details.get(step):
            self._details.pop(step, None)  # the latest stand last
            self._details[step] = detail
            self._unsent[step] = None
        if before is None:
            return made
        change = {name: value for name, value in made.items() if before.get(name) != value}
        change |= {name: None for name in before if name not in made}
        return {"id": step, **change} if change else None

    def _due(self) -> dict[int, Wire]:
        """Details that fit into a message; the others go with the next ones."""
        room, due = _DETAILS, dict[int, Wire]()
        for step in list(self._unsent):
            detail = self._details[step]
            room -= _weight(detail)
            if room < 0 and due:
                break
            due[step] = detail
            del self._unsent[step]
        return due

    def _headline(self, view: View) -> Wire:
        """What stands above the rows; its clocks run in the page."""
        made: Wire = {
            "s": view.state.value,
            "m": view.summary,
            "b": round(view.began - self._origin, 3) if self._origin else 0,
            "n": {phase.value: count for phase, count in view.counts.items() if count},
            "v": round(view.saved, 3),
        }
        if view.ended is not None:
            made["e"] = round(view.ended - self._origin, 3) if self._origin else 0
        if view.left:
            made["l"] = round(view.now + view.left - self._origin)  # when it will be over, in whole seconds
        return made


def phases() -> dict[str, tuple[str, str, str]]:
    """Icon, word and kind of each phase, so that the page has no words of its own."""
    kinds = {
        Phase.PENDING: "queued",
        Phase.RUNNING: "running",
        Phase.RETRYING: "running",
        Phase.AWAITING_RETRY: "waiting",
        Phase.COMPLETED: "ran",
        Phase.CACHED: "cached",
        **dict.fromkeys(FAILURES, "failed"),
    }
    return {phase.value: (phase.icon + "\ufe0e", phase.word, kinds.get(phase, "off")) for phase in Phase}


def detail_of(row: Row, log: int = _FULL) -> Wire:
    """What is shown of a row when it is selected, with the last so many characters of its log."""
    made: Wire = {}
    reason = plain.line(reason_of(row), _REASON)
    if len(reason) > _SHORT:
        made["why"] = reason
    if row.trace:
        made["trace"] = plain.block(row.trace, _TRACE)
    if row.errors:
        made["errors"] = [[attempt, plain.line(error, 300)] for attempt, error in row.errors]
    if row.log:
        made["log"] = plain.block("\n".join(row.log), log)
    return made


def _wire(row: Row, now: float, origin: float) -> Wire:
    line = line_of(row, now)
    task = task_of(row)
    made: Wire = {"id": row.step, "s": row.state.value, "n": task}
    optional = {
        "m" if row.name else "a": line.name if row.name else line.name[len(task) :],
        "p": row.parent,
        "w": line.reason,
        "k": line.tries,
        "y": row.size,
        "key": row.key[:16],
        "f": _share(row),
        "g": [
            [round(each.start - origin, 3), None if each.end is None else round(each.end - origin, 3), each.state.value]
            for each in line.segments
        ],
    }
    made |= {name: value for name, value in optional.items() if value}
    if row.ended is not None:
        made["e"] = line.time
        if row.saved and row.state is Phase.CACHED:
            made["v"] = round(row.saved, 3)
    elif row.segments:
        made["b"] = round(row.since - origin, 3)
        if row.state is Phase.AWAITING_RETRY:
            made["u"] = round(row.retry_at - origin, 3)
    return made


def _share(row: Row) -> float | None:
    """How much of a job is done, from 0 to 1."""
    done, total = row.progress or (0, None)
    return round(min(done / total, 1.0), 3) if total else None


def _weight(detail: Wire) -> int:
    return sum(len(part) if isinstance(part, str) else 300 * len(part) for part in detail.values())
