"""Effects that happen once: what can be promised of them, and what cannot.

Where the effect and its row in the ledger share a transaction, both happen or neither does: exactly once. Elsewhere a
process may die between the two, and nobody can know whether the effect happened. Then the key is in doubt, and the
caller chooses: `ask` is told (at most once), `repeat` calls again (at least once, with the same idempotency key).
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, TypeVar

from nbflow.durable import effects
from nbflow.durable.calls import Call, Options, Owner, Within, claim, current_key, expired, release
from nbflow.durable.effects import DONE, STARTED, Effect
from nbflow.durable.inside import inside_of
from nbflow.durable.ledger import ledger_of
from nbflow.durable.results import seal
from nbflow.durations import Duration, seconds
from nbflow.errors import ConfigurationError, InProgress, InterfaceError, UnkeyableError
from nbflow.keys.encode import canonical
from nbflow.session import session

__all__ = ["Once", "Status", "once"]

T = TypeVar("T")
_ON_DOUBT: Final = ("ask", "repeat")
_IN_PROGRESS: Final = ("wait", "raise")


class Status(NamedTuple):
    """How an effect stands.

    Attributes:
        key: What it is known by.
        state: `unknown` (never called, or expired), `running`, `done`, or `in doubt`.
        calls: How often it was begun.
        began: When that was last, in seconds since the epoch; None: never.
        error: Why it is in doubt, or why its result is not stored; `""` else.
    """

    key: str
    state: Literal["unknown", "running", "done", "in doubt"]
    calls: int = 0
    began: float | None = None
    error: str = ""


class Once:
    """`once(key, fn, *args, **kwargs)` calls a function and remembers, under the key, that it did and what it gave.

    A second call with the same key and arguments returns the stored result and calls nothing: in this process, in
    others, after a restart. While somebody else is at it, it waits. `async def` functions are awaited.

    >>> once = Once()  # nbflow.once
    >>> sent = []
    >>> once("invoice:123", sent.append, 123)
    >>> once("invoice:123", sent.append, 123)
    >>> sent
    [123]

        once.with_options(on_doubt="repeat")("mail:9", send, 9)
        once.with_options(connection=conn)("order:9", insert, conn, order)

    Raises:
        InDoubt: An earlier call died or raised: look whether its effect happened, then `resolve` the key.
        KeyConflict: The key was used for another function or other arguments.
        InProgress: The call is its own caller, or somebody is at it and `in_progress="raise"`.
        StoreError: The ledger cannot be used; nothing was called.
    """

    def __init__(self, options: Options | None = None) -> None:
        self._options = options or Options()

    def __repr__(self) -> str:
        return "once" if self._options == Options() else f"once.with_options({self._options})"

    def with_options(  # noqa: PLR0913 - each of them is an option
        self,
        *,
        on_doubt: Literal["ask", "repeat"] | None = None,
        safe_errors: type[BaseException] | tuple[type[BaseException], ...] | None = None,
        connection: Any = None,
        expires: Duration | None = None,
        in_progress: Literal["wait", "raise"] | None = None,
        namespace: str | None = None,
    ) -> "Once":
        """The same with some options changed; those not named stay.

        Args:
            on_doubt: What to do where an earlier call died or raised: `ask` raises `InDoubt`, `repeat` calls again.
            safe_errors: Types of errors that are known to mean that nothing happened: the next call is a first one.
            connection: A connection of `sqlite3` or `psycopg` that is not in autocommit mode. The effect and a row in
                the table `nbflow_once` of that database are one transaction. It is committed, or rolled back on an
                error, here if it begins here; one that is open already stays open, and is yours to commit.
            expires: From so long after it was done on, a call is a first one again.
            in_progress: What to do while somebody else is at it: `wait` for its end, or `raise` `InProgress`.
            namespace: Keys of different namespaces have nothing to do with each other.

        Raises:
            ConfigurationError: An option cannot have this value.
        """
        given = {
            "on_doubt": _one_of("on_doubt", on_doubt, _ON_DOUBT),
            "safe_errors": None if safe_errors is None else _types(safe_errors),
            "connection": connection,
            "expires": None if expires is None else seconds(expires, "expires"),
            "in_progress": _one_of("in_progress", in_progress, _IN_PROGRESS),
            "namespace": namespace,
        }
        if namespace is not None and "/" in namespace:
            raise ConfigurationError(f"namespace={namespace!r}: give a name without a slash")
        if connection is not None:
            inside_of(connection)
        return Once(replace(self._options, **{name: each for name, each in given.items() if each is not None}))

    def __call__(self, key: str, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call the function, or give what it gave."""
        name = self._name(key)
        if not callable(fn):
            raise ConfigurationError(f"once({key!r}, ...): give a function, and behind it its arguments")
        made_by, fingerprint = _made_by(fn), _fingerprint(fn, args, kwargs)
        new = Effect(name, fingerprint, made_by, STARTED, 0, 1, 0.0, None, None, None)
        store = session.store
        if self._options.connection is not None:
            if _awaits(fn):
                raise ConfigurationError("connection=: give a function that is not async, and a connection that is not")
            inside = Within(inside_of(self._options.connection), store, self._options)
            return inside.call(new, fn, args, kwargs)  # type: ignore[no-any-return]
        call = Call(store, new, self._options)
        if _awaits(fn):
            return call.acall(fn, args, kwargs)  # type: ignore[return-value]
        return call.call(fn, args, kwargs)  # type: ignore[no-any-return]

    def key(self) -> str:
        """Inside of a function that `once` calls: a text to give to the other side, which drops what it has seen.

        It is the same for each call of one key, in every process, and says nothing about the key.

        Raises:
            InterfaceError: Nothing runs under a key here.
        """
        found = current_key.get(None)
        if found is None:
            raise InterfaceError("once.key() is for inside a function that `once` calls")
        return found

    def resolve(self, key: str, outcome: Literal["done", "retry"], result: Any = None) -> None:
        """Say what became of an effect that was in doubt.

        Args:
            key: What it is known by.
            outcome: `done`: it happened. `retry`: it did not, and the next call is a first one.
            result: What calls shall return, where it is done.

        Raises:
            ConfigurationError: There is no such outcome.
            InterfaceError: The key is not in doubt.
            InProgress: Somebody is at it.
        """
        name, store = self._name(key), session.store
        if _one_of("resolve", outcome, ("done", "retry")) is None:
            raise ConfigurationError("resolve: give done or retry")
        ledger, owner = ledger_of(store, session.durability), Owner(name)
        if not claim(store, name, owner, wait=False):
            raise InProgress(f"{name!r} is under way now: nothing is in doubt yet")
        try:
            if outcome == "retry":
                changed = effects.give_up(ledger, name)
            else:
                data, why = seal(store.vault, name, result)
                changed = effects.settle(ledger, name, DONE, session.clock.time(), error=why, result=data)
        finally:
            release(store, name, owner)
        if not changed:
            raise InterfaceError(f"{name!r} is not in doubt: it is {self.status(key).state}")

    def status(self, key: str) -> Status:
        """How an effect stands. Takes no lock that a writer feels."""
        name, store = self._name(key), session.store
        found = effects.find(ledger_of(store, session.durability), name)
        if found is None or expired(found, self._options.expires):
            return Status(key, "unknown")
        state: Any = "done" if found.state == DONE else "in doubt"
        if found.state == STARTED:
            owner = Owner(name)
            if not claim(store, name, owner, wait=False):
                state = "running"
            else:
                release(store, name, owner)
        return Status(key, state, found.calls, found.began, found.error or "")

    def forget(self, key: str) -> bool:
        """Let a key that is done be as if it had never been used; whether it was."""
        return effects.forget(ledger_of(session.store, session.durability), self._name(key))

    def _name(self, key: str) -> str:
        if not isinstance(key, str) or not key:
            raise ConfigurationError(f"once({key!r}, ...): a key is a text that says which effect it is, `invoice:123`")
        return f"{self._options.namespace}/{key}" if self._options.namespace else key


def _fingerprint(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    values = (_made_by(fn), args, tuple(sorted(kwargs.items())))
    try:
        return blake2b(canonical(values, ("the function", "arguments", "arguments")), digest_size=16).hexdigest()
    except UnkeyableError as error:
        cure = "give it as a part of the function, by functools.partial: only arguments are compared"
        raise UnkeyableError(error.what, cure) from None


def _made_by(fn: Any) -> str:
    while hasattr(fn, "func"):
        fn = fn.func
    fn = getattr(fn, "fn", fn) if getattr(fn, "__nbflow_task__", False) else fn
    return str(getattr(fn, "__name__", type(fn).__name__))


def _awaits(fn: Any) -> bool:
    while hasattr(fn, "func"):
        fn = fn.func
    if getattr(fn, "__nbflow_task__", False):
        return bool(fn.isasync)
    called = getattr(fn, "__call__", None)  # noqa: B004 - its kind is asked for
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(called)


def _one_of(name: str, given: Any, those: tuple[str, ...]) -> Any:
    if given is not None and given not in those:
        raise ConfigurationError(f"{name}={given!r}: give {' or '.join(those)}")
    return given


def _types(given: Any) -> tuple[type[BaseException], ...]:
    types = given if isinstance(given, tuple) else (given,)
    if not all(isinstance(each, type) and issubclass(each, BaseException) for each in types):
        raise ConfigurationError(f"safe_errors={given!r}: give types of exceptions")
    return types


once = Once()
