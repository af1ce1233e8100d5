"""Events of runs that the tests show, and how they are heard."""

from nbflow.events import (
    Began,
    Cancelled,
    Completed,
    Failed,
    Hit,
    Logged,
    Missed,
    NotReady,
    Queued,
    Started,
    TimedOut,
    Unsaved,
    Waiting,
)
from nbflow.widget.view import Board

T = 1_800_000_000.0


def board(*events, now=100.0, **options) -> Board:
    made = Board(clock=lambda: T + now, **options)
    for event in events:
        made.hear(event)
    return made


def hit(step, task="load", at=0.0, arguments=("'a'",), parent=None):
    return [Began(step, T + at, task, arguments, parent), Hit(step, T + at, 7300.0, 41.2, 1_887_437)]


def started(step, task="fetch", at=0.0, arguments=(), parent=None, why="first run", attempts=1):
    return [
        Began(step, T + at, task, arguments, parent),
        Missed(step, T + at, why, {"the code": 1}),
        Started(step, T + at, 1, attempts),
    ]


def ran(step, task="fetch", at=0.0, cost=2.0, **options):
    return [*started(step, task, at, **options), Completed(step, T + at + cost, cost, 52_430)]


def failed(
    step, task="fetch", at=0.0, cost=1.0, error="ValueError: bad", trace="Traceback\nValueError: bad", **options
):
    return [*started(step, task, at, **options), Failed(step, T + at + cost, error, trace)]


def everything():
    """A run with a step in every state."""
    return [
        *hit(1),
        *started(2, "fetch", 1.0, ("3",), attempts=3),
        Waiting(2, T + 3, 1, 2.0, "OSError: busy"),
        Started(2, T + 5, 2, 3),
        Logged(2, T + 6, "INFO", "half way"),
        Completed(2, T + 8, 3.0, 52_430),
        *started(3, "rates", 2.0, attempts=3),
        Waiting(3, T + 90, 1, 26.4, "HTTPError: 503"),
        *started(4, "train", 3.0, ("lr=0.05",), why="input lr 0.1 → 0.05"),
        *ran(5, "epoch", 4.0, parent=4),
        Queued(6, T + 4, "score", (), None),
        *failed(7, "embed", 5.0, 21.0),
        Queued(8, T + 5, "report", (), None),
        NotReady(8, T + 26, "embed() failed: ValueError: bad"),
        *started(9, "upload", 30.0),
        Cancelled(9, T + 32, "KeyboardInterrupt"),
        *started(10, "query", 33.0),
        TimedOut(10, T + 43, "StepTimeout: 10.0 s", "Traceback"),
        *started(11, "ping", 44.0),
        Unsaved(11, T + 45, "network; give cache_expiration="),
        Completed(11, T + 45, 1.0, 0),
    ]


def many(count, at=0.0):
    """A fan-out: one in fifty fails, one in five is a hit."""
    events = []
    for i in range(count):
        if i % 50 == 7:
            events += failed(1000 + i, "fetch", at + i * 0.01, error=f"ValueError: item {i}", arguments=(i,))
        elif i % 5 == 0:
            events += hit(1000 + i, "fetch", at + i * 0.01, (i,))
        else:
            events += ran(1000 + i, "fetch", at + i * 0.01, arguments=(i,))
    return events
