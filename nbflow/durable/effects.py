"""What the ledger says of effects: the states that a key can be in, and the only ways from one to another.

    (nothing) ── claim ──> started ── settle ──> done
                             │  └──── settle ──> doubt ── claim (repeat) / resolve (retry) ──> started / (nothing)
                             └ its process died: started without a holder is in doubt as well

`started` is committed before the effect begins, so whatever happens later, nobody takes the key for unused.
"""

from typing import Any, Final, Literal, NamedTuple

from nbflow.durable.ledger import Execute, Ledger

__all__ = ["DONE", "DOUBT", "STARTED", "Effect", "claim", "doubts", "find", "forget", "give_up", "settle"]

State = Literal["started", "done", "doubt"]
STARTED: Final = "started"
DONE: Final = "done"
DOUBT: Final = "doubt"

_COLUMNS: Final = "key, fingerprint, made_by, state, round, calls, began, ended, error, result"
_FIND: Final = f"SELECT {_COLUMNS} FROM Effects WHERE key = ?"  # noqa: S608 - constants of ours
_DOUBTS: Final = f"SELECT {_COLUMNS} FROM Effects WHERE state <> 'done' ORDER BY began DESC"  # noqa: S608 - likewise
_PUT: Final = f"INSERT OR REPLACE INTO Effects ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - likewise
_SETTLE: Final = "UPDATE Effects SET state = ?, ended = ?, error = ?, result = ? WHERE key = ? AND state <> 'done'"


class Effect(NamedTuple):
    """An effect as the ledger knows it.

    Attributes:
        key: With its namespace.
        fingerprint: Of the function's name and the arguments.
        made_by: The function's name.
        state: `started`, `done` or `doubt`.
        round: How often it was done and then expired.
        calls: How often it was begun in this round.
        began: When the last call did, in seconds since the epoch.
        ended: When it was done, or came to be in doubt; None while nobody has said.
        error: What it raised, or why its result is not stored.
        result: Sealed.
    """

    key: str
    fingerprint: str
    made_by: str
    state: State
    round: int
    calls: int
    began: float
    ended: float | None
    error: str | None
    result: bytes | None


def find(ledger: Ledger, key: str) -> Effect | None:
    """What is known of a key. Takes no lock that a writer feels."""
    return _effect(ledger.read(_FIND, key))


def claim(ledger: Ledger, new: Effect, seen: Effect | None) -> Effect | None:
    """Write down that an effect begins, if the key is still as it was seen; else give what it is now.

    Raises:
        StoreError: It could not be written: the effect must not begin.
    """

    def work(execute: Execute) -> tuple[Effect | None]:
        now = _effect(execute(_FIND, (new.key,)).fetchall())
        if now == seen:
            execute(_PUT, new)
            return (None,)
        return (now,)

    (found,) = ledger.write(work)
    return found


def settle(  # noqa: PLR0913 - a row's columns
    ledger: Ledger, key: str, state: State, ended: float, *, error: str = "", result: bytes | None = None
) -> bool:
    """Write down what an effect came to; False where it is not begun, or done already."""
    values = state, ended, error or None, result, key
    return ledger.change((_SETTLE, values)) > 0


def give_up(ledger: Ledger, key: str) -> bool:
    """Let a key be as if it had not been used in this round: its call is known to have had no effect."""
    return ledger.write(lambda execute: _give_up(execute, key))


def _give_up(execute: Execute, key: str) -> bool:
    found = _effect(execute(_FIND, (key,)).fetchall())
    if found is None or found.state == DONE:
        return False
    execute("DELETE FROM Effects WHERE key = ?", (key,))
    if found.round:  # the next call carries the same idempotency key as this one
        execute(_PUT, found._replace(state=DONE, round=found.round - 1, ended=0.0, result=None, error="expired"))
    return True


def forget(ledger: Ledger, key: str) -> bool:
    """Let a key be as if it had never been used; one in doubt stays."""
    query = "DELETE FROM Effects WHERE key = ? AND state = 'done'"
    return ledger.change((query, (key,))) > 0


def doubts(ledger: Ledger) -> list[Effect]:
    """Effects that are not known to be done, those begun last first; some may be under way."""
    return [Effect._make(row) for row in ledger.read(_DOUBTS)]


def _effect(rows: Any) -> Effect | None:
    return Effect._make(rows[0]) if rows else None
