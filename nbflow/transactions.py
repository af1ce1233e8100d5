"""Steps that hold together: kept all at once, or undone in reverse when one of them fails.

By default each step commits for itself at its own end. Within `with transaction():` what the steps return is staged,
as it was when they returned it, and written when the block ends; a failure runs the `on_rollback` hooks of those that
had completed. What runs in another process commits there for itself.
"""

import copy
import threading
from collections.abc import Callable, Iterable
from contextvars import Token
from enum import StrEnum
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from nbflow.context import open_transaction, submitted
from nbflow.errors import ConfigurationError, InterfaceError
from nbflow.events import RolledBack
from nbflow.futures import settled
from nbflow.hooks import run_hook
from nbflow.session import session
from nbflow.slot import Slot
from nbflow.step.commands import Load, Ok, Save
from nbflow.store import storage_of

__all__ = [
    "CommitMode",
    "IsolationLevel",
    "StepTransaction",
    "Transaction",
    "TransactionState",
    "atransaction",
    "get_transaction",
    "transaction",
]

Hook = Callable[..., Any]


class CommitMode(StrEnum):
    """When a transaction commits: at its own end, with the one around it, or only when its `commit` is called."""

    EAGER = "EAGER"
    LAZY = "LAZY"
    OFF = "OFF"


class IsolationLevel(StrEnum):
    """Prefect's words; here one caller of a key runs at a time in any case."""

    READ_COMMITTED = "READ_COMMITTED"
    SERIALIZABLE = "SERIALIZABLE"


class TransactionState(StrEnum):
    """Where a transaction stands."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    STAGED = "STAGED"
    COMMITTED = "COMMITTED"
    ROLLED_BACK = "ROLLED_BACK"


_OVER: Final = frozenset({TransactionState.COMMITTED, TransactionState.ROLLED_BACK})
_MISSING: Final = object()


class Record(NamedTuple):
    """What `Transaction.read` gives."""

    result: Any


class Transaction:
    """A group of steps; `with` and `async with` begin and end it. Any thread may add to it.

    Args:
        key: Names a value of its own, which `stage` gives, `read` finds, and which is kept at the commit; with one that
            is kept already it is committed from the start.
        store: Where that value is kept, as `result_storage=` says it; None is the session's store.
        commit_mode: By default that of the transaction around it, else `LAZY`.
        isolation_level: Accepted; see `IsolationLevel`.
        overwrite: A value that is kept already does not count, and is replaced.
        write_on_commit: False keeps no value.

    Attributes:
        state: A `TransactionState`.
        parent: The transaction around it; None before it begins, and where there is none.
    """

    alone = False
    """Whether those within it commit for themselves."""

    def __init__(  # noqa: PLR0913 - Prefect's
        self,
        key: str | None = None,
        store: Any = None,
        commit_mode: CommitMode | str | None = None,
        isolation_level: IsolationLevel | str | None = None,
        *,
        overwrite: bool = False,
        write_on_commit: bool = True,
    ) -> None:
        if commit_mode is not None and commit_mode not in list(CommitMode):
            raise ConfigurationError(f"commit_mode={commit_mode!r}: give {', '.join(CommitMode)}")
        self.key, self._store, self.isolation_level = key, store, isolation_level
        self.overwrite, self.write_on_commit = overwrite, write_on_commit
        self._given = None if commit_mode is None else CommitMode(commit_mode)
        self.commit_mode = self._given or CommitMode.LAZY
        self.state = TransactionState.PENDING
        self.parent: Transaction | None = None
        self.group: Transaction | None = None
        self.children: list[Transaction] = []
        self.on_commit_hooks: list[Hook] = []
        self.on_rollback_hooks: list[Hook] = []
        self._data: dict[str, Any] = {}
        self._writes: list[Callable[[], object]] = []
        self._slot: Slot | None = None
        self._marks: tuple[Token[Any], Token[Any]] | None = None
        self._futures: list[Any] = []
        self._changing = threading.RLock()

    def __repr__(self) -> str:
        """`<Transaction STAGED>`."""
        return f"<{type(self).__name__} {self.state}>"

    # What it is asked

    def is_pending(self) -> bool:
        """It has not begun."""
        return self.state is TransactionState.PENDING

    def is_active(self) -> bool:
        """It has begun, and nothing is staged by itself."""
        return self.state is TransactionState.ACTIVE

    def is_staged(self) -> bool:
        """It has something to commit."""
        return self.state is TransactionState.STAGED

    def is_committed(self) -> bool:
        """It is kept."""
        return self.state is TransactionState.COMMITTED

    def is_rolled_back(self) -> bool:
        """It is undone."""
        return self.state is TransactionState.ROLLED_BACK

    # What it carries

    def set(self, name: str, value: Any) -> None:
        """Give a value to hooks and to the transactions within this one; a deep copy."""
        self._data[name] = copy.deepcopy(value)

    def get(self, name: str, default: Any = _MISSING) -> Any:
        """A deep copy of what was `set` here, or else around this one.

        Raises:
            ValueError: There is no such name, and no default.
        """
        if name in self._data:
            return copy.deepcopy(self._data[name])
        if self.parent is not None:
            return self.parent.get(name, default)
        if default is _MISSING:
            raise ValueError(f"nothing was set as {name!r} in this transaction; give a default")
        return default

    def stage(
        self, value: Any, on_rollback_hooks: Iterable[Hook] | None = None, on_commit_hooks: Iterable[Hook] | None = None
    ) -> None:
        """Commit this value under the transaction's key, as it is now, and call these hooks with the transaction."""
        if self.state in _OVER:
            return
        self.on_rollback_hooks += on_rollback_hooks or ()
        self.on_commit_hooks += on_commit_hooks or ()
        if self._slot is not None and self.write_on_commit:
            self._writes = [self._slot.prepared(Save(Ok(value), 0.0))]
        self.state = TransactionState.STAGED

    def read(self) -> Record | None:
        """What is kept under its key: `.result` is the value; None where nothing is."""
        seen = None if self._slot is None else self._slot.seen()
        return None if seen is None or seen.lack or self._slot is None else Record(self._slot.load(Load(seen.entry)))

    # Its ends

    def __enter__(self) -> Self:
        """Begin."""
        if self._marks is not None:
            raise InterfaceError("this transaction has begun already: make another one")
        self.begin()
        self._futures = []
        self._marks = open_transaction.set(self), submitted.set(self._futures)
        return self

    async def __aenter__(self) -> Self:
        """Begin."""
        return self.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what was submitted, then commit; or undo where something failed."""
        self._leave()
        if error is None:
            try:
                settled(self._futures)
            except BaseException:
                self.rollback()
                raise
        self._end(error)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The same without holding up the loop."""
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        if error is None and self._futures:
            await asyncio.wait(map(asyncio.wrap_future, self._futures))
        self.__exit__(kind, error, trace)

    def begin(self) -> None:
        """Find its place: the transaction around it, and what is kept under its key."""
        self.parent = open_transaction.get()
        self.group = None if self.parent is None or self.parent.alone else self.parent
        if self._given is None and self.group is not None:
            self.commit_mode = self.group.commit_mode
        self.state = TransactionState.ACTIVE
        if self.key is None:
            return
        store = session.store_or_none() if self._store is None else session.place("transactions", storage_of(self._store))
        if store is not None:
            key = blake2b(f"transaction {self.key}".encode(), digest_size=16).hexdigest()
            self._slot = Slot(store, key, "transactions", session.clock)
            if not self.overwrite and not self._slot.seen().lack:
                self.state = TransactionState.COMMITTED

    def _leave(self) -> None:
        marks, self._marks = self._marks, None
        if marks is not None:
            open_transaction.reset(marks[0])
            submitted.reset(marks[1])

    def _end(self, error: BaseException | None) -> None:
        """Commit, or leave it to the transaction around, or undo."""
        if error is not None:
            if not isinstance(error, Exception):
                for each in self._futures:
                    each.cancel()
            self.rollback()
            return
        if self.commit_mode is CommitMode.EAGER:
            self.commit()
        if self.group is not None:
            self.group.adopt(self)
        elif self.commit_mode is CommitMode.OFF:
            self.rollback()
        else:
            self.commit()

    def adopt(self, child: "Transaction") -> None:
        """Take responsibility for one that ended within this one; what comes too late is undone at once."""
        with self._changing:
            self.children.append(child)
            late = self.is_rolled_back()
        if late:
            child.rollback()

    def commit(self) -> bool:
        """Keep what is staged here and within; False where it is over already or had to be undone instead."""
        with self._changing:
            if self.state in _OVER:
                return False
            for child in self.children:
                child.commit()
            for hook in self.on_commit_hooks:
                if not run_hook(hook, self):
                    self.rollback()
                    return False
            for write in self._writes:
                write()
            self.state = TransactionState.COMMITTED
            return True

    def rollback(self) -> bool:
        """Undo: the hooks of this one, those within in reverse, and then the one around it; False where it is over."""
        with self._changing:
            if self.state in _OVER:
                return False
            self.state = TransactionState.ROLLED_BACK
            self._undo()
        if self.group is not None:
            self.group.rollback()
        return True

    def _undo(self) -> None:
        for hook in reversed(self.on_rollback_hooks):
            run_hook(hook, self)
        self.undo()

    def undo(self) -> None:
        """Undo those within, in reverse, and forget them."""
        children, self.children = self.children, []
        for child in reversed(children):
            child.rollback()


class StepTransaction(Transaction):
    """The transaction of one step of a task: staged when the step has completed.

    Args:
        step: Its number.
        on_commit: Hooks of the task.
        on_rollback: As well.
    """

    def __init__(self, step: int, on_commit: Iterable[Hook] = (), on_rollback: Iterable[Hook] = ()) -> None:
        super().__init__()
        self.step, self._hooks = step, (tuple(on_rollback), tuple(on_commit))
        self.begin()
        self.alone = self.group is None

    def save(self, slot: Slot, command: Save) -> int:
        """Keep a result now, or when the group commits."""
        if self.group is None or self.commit_mode is CommitMode.EAGER:
            return slot.save(command)
        self._writes.append(slot.prepared(command))
        return 0

    def completed(self) -> None:
        """The step has its value."""
        self.stage(None, *self._hooks)
        self._end(None)

    def failed(self) -> None:
        """The step has none: what ran within it is undone, and so is the group; its own hooks have nothing to undo."""
        self.rollback()

    def _undo(self) -> None:
        completed = self.is_staged
        super()._undo()
        if self.on_rollback_hooks or completed:
            session.bus.tell(RolledBack(self.step, session.clock.time()))


def transaction(key: str | None = None, store: Any = None, commit_mode: Any = None, **options: Any) -> Transaction:
    """A group of steps: kept together when the block ends, undone in reverse when something in it fails.

    >>> from nbflow import task
    >>> with transaction() as group:
    ...     group.set("folder", "out")
    ...     group.get("folder")
    'out'

    Args:
        key: As of `Transaction`, and so are the others.
        store: Where a value of its own is kept.
        commit_mode: `EAGER`, `LAZY` or `OFF`.
        options: `isolation_level`, `overwrite`, `write_on_commit`.
    """
    options.pop("logger", None)
    return Transaction(key, store, commit_mode, options.pop("isolation_level", None), **options)


atransaction = transaction
"""Prefect's name for `async with transaction()`."""


def get_transaction() -> Transaction | None:
    """The innermost transaction that is open here: a group's, or that of the running task; None where there is none."""
    return open_transaction.get()
