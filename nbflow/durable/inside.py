"""The ledger inside of a user's database: the effect and its row are one transaction.

    CREATE TABLE nbflow_once (
        key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, made_by TEXT NOT NULL, state TEXT NOT NULL,
        round INTEGER NOT NULL, calls INTEGER NOT NULL, began DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION,
        error TEXT, result BYTEA  -- BLOB in SQLite; sealed
    )

The row is written first, as `started`: a second caller waits for it, and should the function itself commit half-way,
the row tells so.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol

from nbflow.durable.effects import DONE, Effect
from nbflow.errors import ConfigurationError

__all__ = ["Inside", "inside_of"]

_TABLE: Final = """CREATE TABLE IF NOT EXISTS nbflow_once (key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL,
made_by TEXT NOT NULL, state TEXT NOT NULL, round INTEGER NOT NULL, calls INTEGER NOT NULL,
began DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION, error TEXT, result {bytes})"""
_COLUMNS: Final = ", ".join(Effect._fields)
_FIND: Final = f"SELECT {_COLUMNS} FROM nbflow_once WHERE key = {{0}}"  # noqa: S608 - constants of ours
_INSERT: Final = (
    f"INSERT INTO nbflow_once ({_COLUMNS}) VALUES ({', '.join(['{0}'] * len(Effect._fields))}) "  # noqa: S608 - likewise
    "ON CONFLICT (key) DO NOTHING"
)
_AGAIN: Final = "UPDATE nbflow_once SET state = {0}, round = {0}, calls = {0}, began = {0} WHERE key = {0}"
_SETTLE: Final = "UPDATE nbflow_once SET state = {0}, ended = {0}, error = {0}, result = {0} WHERE key = {0}"
_SAVEPOINT: Final = "nbflow_once"


class Own(Protocol):
    """A transaction that began here, or a part of one that did not."""

    def commit(self) -> None:
        """End it, if it is our own."""


class Inside:
    """A connection of the user's.

    Args:
        connection: Open, and not in autocommit mode.
        mark: What stands for a parameter in its statements.
        bytes: Its word for a column of bytes.
        begin: The statement that begins a transaction for writing; `""`: any statement does.
    """

    def __init__(self, connection: Any, mark: str, bytes: str, begin: str) -> None:
        self._connection, self._mark, self._begin = connection, mark, begin
        self._table = _TABLE.format(bytes=bytes)

    def open(self) -> bool:
        """Whether a transaction is under way."""
        found = getattr(self._connection, "in_transaction", None)
        return bool(self._connection.info.transaction_status) if found is None else bool(found)

    @contextmanager
    def transaction(self) -> Iterator[Own]:
        """One that is ours to end, or a savepoint in the user's. An error undoes what happened in it."""
        ours = not self.open()
        if ours:
            if self._begin:
                self._execute(self._begin)
        else:
            self._execute(f"SAVEPOINT {_SAVEPOINT}")
        own = _Own(self._connection, ours=ours)
        try:
            yield own
            if not own.ended and ours:
                self._connection.rollback()  # nothing was written
            elif not ours and self.open():
                self._execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        except BaseException:
            with suppress(Exception):  # the error that is on its way says more
                if ours:
                    self._connection.rollback()
                else:
                    self._execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            raise

    def claim(self, new: Effect, expires: float | None, now: float) -> tuple[Effect | None, int]:
        """Write that an effect begins: None; or what there is, where it is done, or was begun and not ended.

        And which round of it this is.
        """
        self._execute(self._table)
        if self._execute(_INSERT, new).rowcount > 0:
            return None, 0
        seen = Effect._make(self._execute(_FIND, (new.key,)).fetchone())
        if seen.result is not None:
            seen = seen._replace(result=bytes(seen.result))
        late = seen.state == DONE and expires is not None and seen.ended is not None and now - seen.ended >= expires
        if late:
            self._execute(_AGAIN, (new.state, seen.round + 1, 1, now, new.key))
            return None, seen.round + 1
        if seen.state != DONE:
            self._execute(_AGAIN, (seen.state, seen.round, seen.calls + 1, now, new.key))
        return seen, seen.round

    def settle(self, key: str, ended: float, error: str, result: bytes | None) -> None:
        """Write that it is done."""
        self._execute(_SETTLE, (DONE, ended, error or None, result, key))

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        cursor = self._connection.cursor()
        return cursor.execute(statement.replace("{0}", self._mark), tuple(values)) or cursor


class _Own:
    def __init__(self, connection: Any, *, ours: bool) -> None:
        self._connection, self._ours = connection, ours
        self.ended = False

    def commit(self) -> None:
        if self._ours:
            self._connection.commit()
        self.ended = True


def inside_of(connection: Any) -> Inside:
    """A connection as a ledger.

    Raises:
        ConfigurationError: It is none of sqlite3's or psycopg's, or is in autocommit mode: no transaction would hold.
    """
    kinds = {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(connection).__mro__}
    if "sqlite3.Connection" in kinds:
        autocommit = connection.isolation_level is None or getattr(connection, "autocommit", None) is True
        cure = "sqlite3.connect(path) without isolation_level=None and autocommit=True"
        inside = Inside(connection, "?", "BLOB", "BEGIN IMMEDIATE")
        if getattr(connection, "autocommit", None) is False:
            inside = Inside(connection, "?", "BLOB", "")
    elif "psycopg.Connection" in kinds:
        autocommit, cure = connection.autocommit, "psycopg.connect(..., autocommit=False)"
        inside = Inside(connection, "%s", "BYTEA", "")
    else:
        raise ConfigurationError(
            f"connection={type(connection).__module__}.{type(connection).__qualname__}: give one of sqlite3 or psycopg"
        )
    if autocommit:
        raise ConfigurationError(f"connection= is in autocommit mode, so no transaction would hold: {cure}")
    return inside
