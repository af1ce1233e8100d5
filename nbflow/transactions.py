"""Steps that hold together: kept all at once, or undone in reverse when one of them fails.

By default each step commits for itself at its own end. Within `with transaction():` what the steps return is staged,
as it was when they returned it, and written when the block ends; a failure runs the `on_rollback` hooks of those that
had completed. What runs in another process commits there for itself.
"""

import copy
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import Token
from enum import StrEnum
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from nbflow.context import Scope, current_scope, open_transaction
from nbflow.engine.hooks import Hook, run_hook
from nbflow.engine.slot import Slot
from nbflow.errors import ConfigurationError, InterfaceError, StoreError
from nbflow.futures.endings import ajoin, first_unseen, join
from nbflow.logs import warn
from nbflow.session import session
from nbflow.step.commands import Load, Ok, Save
from nbflow.store import Draft, storage_of
from nbflow.store.serializers import PICKLE, Made, Paired
from nbflow.store.unstorable import explain

__all__ = [
    "CommitMode",
    "IsolationLevel",
    "Transaction",
    "TransactionState",
    "atransaction",
    "get_transaction",
    "transaction",
]


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
        self._scope = Scope()
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
            self._writes = []
            with suppress(StoreError):  # told by the slot; it costs the entry alone
                self._slot.save(Save(Ok(value), 0.0))
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
        self._scope = Scope(current_scope.get())
        self._marks = open_transaction.set(self), current_scope.set(self._scope)
        return self

    async def __aenter__(self) -> Self:
        """Begin."""
        return self.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what was submitted, then commit; or undo where something failed."""
        if isinstance(error, Exception | None):
            try:
                join(self._scope)
            except BaseException:
                self._leave(failed=True)
                raise
        self._leave(failed=error is not None)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The same without holding up the loop."""
        if isinstance(error, Exception | None):
            try:
                await ajoin(self._scope)
            except BaseException:
                self._leave(failed=True)
                raise
        self._leave(failed=error is not None)

    def _leave(self, *, failed: bool) -> None:
        """Commit, or leave it to the transaction around, or undo.

        Raises:
            BaseException: Of a submitted step that failed, and nobody looked.
        """
        assert self._marks is not None
        opened, scoped = self._marks
        self._marks = None
        open_transaction.reset(opened)
        current_scope.reset(scoped)
        unseen = None if failed else first_unseen(self._scope)
        if failed:
            self._scope.stop("its transaction has failed")
        self._scope.close()
        if failed or unseen is not None:
            self.rollback()
            if unseen is not None:
                raise unseen
        else:
            self.settle()

    def begin(self) -> None:
        """Find its place: the transaction around it, and what is kept under its key."""
        self.parent = open_transaction.get()
        self.group = None if self.parent is None or self.parent.alone else self.parent
        if self._given is None and self.group is not None:
            self.commit_mode = self.group.commit_mode
        self.state = TransactionState.ACTIVE
        if self.key is None:
            return
        given = self._store
        store = session.store_or_none() if given is None else session.place("transactions", storage_of(given))
        if store is not None:
            key = blake2b(f"transaction {self.key}".encode(), digest_size=16).hexdigest()
            self._slot = Slot(store, key, "transactions", session.clock)
            self._slot.hold = self.keeper(self._slot)
            if not self.overwrite and not self._slot.seen().lack:
                self.state = TransactionState.COMMITTED

    def settle(self) -> None:
        """It has ended well."""
        if self.commit_mode is CommitMode.EAGER:
            self.commit()
        if self.group is not None:
            self.group.adopt(self)
        elif self.commit_mode is CommitMode.OFF:
            self.rollback()
        else:
            self.commit()

    def keeper(self, slot: Slot) -> Callable[[Draft], int]:
        """Holds an entry back until the commit, as its value is now; 0 bytes are stored so far."""

        def hold(draft: Draft) -> int:
            inner = draft.serializer or PICKLE
            try:
                made = Made(inner if isinstance(inner, Paired) else Paired(inner, {}), draft.value)
            except StoreError:
                raise
            except Exception as error:
                raise explain(draft.value, inner, error) from error
            held = draft._replace(value=None, serializer=made)
            self._writes.append(lambda: slot.keep(held))
            return 0

        return hold

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
                if self.is_rolled_back():  # by the child, whose hook failed
                    return False
            for hook in self.on_commit_hooks:
                if not run_hook(hook, self):
                    self.rollback()
                    return False
            for write in self._writes:
                try:
                    write()
                except StoreError as error:
                    warn(str(error))  # it costs the entries, never the results
            self.state = TransactionState.COMMITTED
            return True

    def rollback(self) -> bool:
        """Undo: the hooks of this one, those within in reverse, and then the one around it; False where it is over."""
        undone = self._roll_back()
        if undone and self.group is not None:
            self.group.rollback()
        return undone

    def _roll_back(self) -> bool:
        with self._changing:
            if self.state in _OVER:
                return False
            staged = self.is_staged()
            self.state = TransactionState.ROLLED_BACK
            for hook in reversed(self.on_rollback_hooks):
                run_hook(hook, self)
            self.undo()
        if staged:
            self.undone()
        return True

    def undone(self) -> None:
        """What was staged is undone."""

    def undo(self) -> None:
        """Undo those within, in reverse, and forget them."""
        children, self.children = self.children, []
        for child in reversed(children):
            child._roll_back()  # noqa: SLF001 - it is one of us


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
    found: Transaction | None = open_transaction.get()
    return found
