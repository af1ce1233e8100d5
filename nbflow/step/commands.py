"""What a plan asks of the world, and what the world answers."""

from collections.abc import Callable
from typing import Any, NamedTuple

from nbflow.events import Event

__all__ = [
    "Ask",
    "Call",
    "Claim",
    "Command",
    "Draw",
    "Enter",
    "Err",
    "Load",
    "Look",
    "Now",
    "Ok",
    "Outcome",
    "Save",
    "Seen",
    "Sleep",
    "Tell",
]


class Now(NamedTuple):
    """Answer: `(time, monotonic)`, wall-clock seconds since the epoch and seconds of a clock that never jumps."""


class Draw(NamedTuple):
    """Answer: a random number from [0, 1), never from the user's own generators."""


class Claim(NamedTuple):
    """Answer when this step alone, of all on this host, may run its key."""


class Look(NamedTuple):
    """Answer: `Seen`, the newest entry whose facts hold, or why there is none."""


class Enter(NamedTuple):
    """Answer when no more steps with its tags run than may at a time. Asked before each attempt of a step so bound."""


class Load(NamedTuple):
    """Answer: the value of an entry just seen. Raises `DamagedError` where it cannot be had."""

    entry: Any


class Call(NamedTuple):
    """Answer: `Ok | Err`, what the user's code did in this attempt. Never raises an `Exception`.

    Attributes:
        attempt: Counted from 1.
        timeout: Seconds that this attempt may take, or None.
        attempts: How many there are at most; 0 where nobody knows.
    """

    attempt: int
    timeout: float | None
    attempts: int = 1


class Ask(NamedTuple):
    """Answer: what the user's own code says, or what it awaits to. Raises what it raises."""

    question: Callable[..., Any]
    about: tuple[Any, ...]


class Sleep(NamedTuple):
    """Answer when that many seconds have passed."""

    seconds: float


class Save(NamedTuple):
    """Answer: bytes stored. An error that is raised costs the entry, never the result."""

    outcome: "Ok"
    cost: float


class Tell(NamedTuple):
    """Answer when every sink heard the event."""

    event: Event


Command = Now | Draw | Claim | Look | Enter | Load | Call | Ask | Sleep | Save | Tell


class Seen(NamedTuple):
    """What a look found.

    Attributes:
        lack: Why there is no entry, in words; `""` means that `entry` is one.
        created: When the entry was made, in seconds since the epoch.
        cost: Seconds that its value took to compute.
        size: Bytes that it takes in the store.
    """

    lack: str
    entry: Any = None
    created: float = 0.0
    cost: float = 0.0
    size: int = 0


class Ok(NamedTuple):
    """A value. `touched` says what the run reached beyond its inputs: `network`, `database`, `files`, ..."""

    value: Any
    touched: frozenset[str] = frozenset()


class Err(NamedTuple):
    """The user's own error, or one that ends the step; `state` is the failed state that it returned instead."""

    error: BaseException
    state: Any = None


Outcome = Ok | Err
