"""Effects that happen once: what can be promised of them, and what cannot.

Where the effect and its row in the ledger share a transaction, both happen or neither does: exactly once. Elsewhere a
process may die between the two, and nobody can know whether the effect happened. Then the key is in doubt, and the
caller chooses: `ask` is told (at most once), `repeat` calls again (at least once, with the same idempotency key).
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple, TypeVar

from nbflow.durable import effects
from nbflow.durable.effects import DONE, DOUBT, STARTED, Effect
from nbflow.durable.inside import Inside, inside_of
from nbflow.durable.ledger import Ledger, ledger_of
from nbflow.durable.results import seal, unseal
from nbflow.durations import Duration, ago, seconds
from nbflow.errors import (
    ConfigurationError,
    InDoubt,
    InProgress,
    InterfaceError,
    KeyConflict,
    StoreError,
    UnkeyableError,
)
from nbflow.future import blocking
from nbflow.keys.encode import canonical
from nbflow.logs import warn
from nbflow.session import session
from nbflow.slot import running
from nbflow.step.plan import reason
from nbflow.store import Store

__all__ = ["Once", "Status", "once"]

T = TypeVar("T")
_ON_DOUBT: Final = ("ask", "repeat")
_IN_PROGRESS: Final = ("wait", "raise")
_PAUSE, _LONGEST = 0.002, 0.25
_ERROR: Final = 500

_key: ContextVar[str] = ContextVar("nbflow_once_key")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    on_doubt: Literal["ask", "repeat"] = "ask"
    safe_errors: tuple[type[BaseException], ...] = ()
    connection: Any = None
    expires: float | None = None
    in_progress: Literal["wait", "raise"] = "wait"
    namespace: str = ""


class _Owner:
    """Who holds a key while its effect is under way."""

    def __init__(self, key: str) -> None:
        self.task, self.parent = f"once({key!r})", running.get()


class Once:
    """`once(key, fn, *args, **kwargs)` calls a function and remembers, under the key, that it did and what it gave.

    A second call with the same key and arguments returns the stored result and calls nothing: in this process, in
    others, after a restart. While somebody else is at it, it waits. `async def` functions are awaited.

        once("invoice:123", send_invoice, 123)
        once.with_options(on_doubt="repeat")("mail:9", send, 9)
        once.with_options(connection=conn)("order:9", insert, conn, order)

    Raises:
        InDoubt: An earlier call died or raised: look whether its effect happened, then `resolve` the key.
        KeyConflict: The key was used for another function or other arguments.
        InProgress: The call is its own caller, or somebody is at it and `in_progress="raise"`.
        StoreError: The ledger cannot be used; nothing was called.
    """

    def __init__(self, options: _Options | None = None) -> None:
        self._options = options or _Options()

    def __repr__(self) -> str:
        return "once" if self._options == _Options() else f"once.with_options({self._options})"

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
            inside = _Within(inside_of(self._options.connection), store, self._options)
            return inside.call(new, fn, args, kwargs)  # type: ignore[no-any-return]
        call = _Call(store, new, self._options)
        if _awaits(fn):
            return call.acall(fn, args, kwargs)  # type: ignore[return-value]
        return call.call(fn, args, kwargs)  # type: ignore[no-any-return]

    def key(self) -> str:
        """Inside of a function that `once` calls: a text to give to the other side, which drops what it has seen.

        It is the same for each call of one key, in every process, and says nothing about the key.

        Raises:
            InterfaceError: Nothing runs under a key here.
        """
        found = _key.get(None)
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
        ledger, owner = ledger_of(store, session.durability), _Owner(name)
        if not _claim(store, name, owner, wait=False):
            raise InProgress(f"{name!r} is under way now: nothing is in doubt yet")
        try:
            if outcome == "retry":
                changed = effects.give_up(ledger, name)
            else:
                data, why = seal(store.vault, name, result)
                changed = effects.settle(ledger, name, DONE, session.clock.time(), error=why, result=data)
        finally:
            _release(store, name, owner)
        if not changed:
            raise InterfaceError(f"{name!r} is not in doubt: it is {self.status(key).state}")

    def status(self, key: str) -> Status:
        """How an effect stands. Takes no lock that a writer feels."""
        name, store = self._name(key), session.store
        found = effects.find(ledger_of(store, session.durability), name)
        if found is None or _expired(found, self._options.expires):
            return Status(key, "unknown")
        state: Any = "done" if found.state == DONE else "in doubt"
        if found.state == STARTED:
            owner = _Owner(name)
            if not _claim(store, name, owner, wait=False):
                state = "running"
            else:
                _release(store, name, owner)
        return Status(key, state, found.calls, found.began, found.error or "")

    def forget(self, key: str) -> bool:
        """Let a key that is done be as if it had never been used; whether it was."""
        return effects.forget(ledger_of(session.store, session.durability), self._name(key))

    def _name(self, key: str) -> str:
        if not isinstance(key, str) or not key:
            raise ConfigurationError(f"once({key!r}, ...): a key is a text that says which effect it is, `invoice:123`")
        return f"{self._options.namespace}/{key}" if self._options.namespace else key


class _Call:
    """One call of `once`, with the ledger beside the store."""

    def __init__(self, store: Store, new: Effect, options: _Options) -> None:
        self._store, self._new, self._options = store, new, options
        self._ledger: Ledger = ledger_of(store, session.durability)
        self._owner = _Owner(new.key)
        self._seen: Effect | None = None

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._is_done():
            return self._result()
        if not _claim(self._store, self._new.key, self._owner, wait=False):
            self._may_wait()
            with blocking.get()():
                _claim(self._store, self._new.key, self._owner, wait=True)
        with self._held():
            if not self._begin():
                return self._result()
            with self._around():
                value = fn(*args, **kwargs)
            return self._end(value)

    async def acall(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        if self._is_done():
            return self._result()
        pause = _PAUSE
        while not _claim(self._store, self._new.key, self._owner, wait=False):
            self._may_wait()
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST)
        with self._held():
            if not self._begin():
                return self._result()
            with self._around():
                value = await fn(*args, **kwargs)
            return self._end(value)

    def _is_done(self) -> bool:
        """Whether there is a result to return; reads, and locks nothing."""
        self._seen = seen = effects.find(self._ledger, self._new.key)
        if seen is None or seen.state != DONE or _expired(seen, self._options.expires):
            return False
        _agree(seen, self._new)
        return True

    def _result(self) -> Any:
        assert self._seen is not None
        return unseal(self._store.vault, self._new.key, self._seen.result, self._seen.error or "nobody gave it")

    def _may_wait(self) -> None:
        if self._options.in_progress == "raise":
            raise InProgress(f"{self._new.key!r} is under way now, in this process or another one")

    @contextmanager
    def _held(self) -> Iterator[None]:
        try:
            yield
        finally:
            _release(self._store, self._new.key, self._owner)

    def _begin(self) -> bool:
        """Write down that it begins; False where it turns out to be done.

        Whoever is here holds the key: an effect that was started and not ended has lost whoever did it.
        """
        while True:
            if self._is_done():
                return False
            seen, new = self._seen, self._new
            if seen is not None and seen.state == DONE:  # expired
                new = new._replace(round=seen.round + 1)
            elif seen is not None:
                _agree(seen, new)
                if self._options.on_doubt == "ask":
                    raise InDoubt(_doubt(seen, session.clock.time()))
                new = new._replace(round=seen.round, calls=seen.calls + 1)
            self._new = new._replace(began=session.clock.time())
            if effects.claim(self._ledger, self._new, seen) is None:
                return True

    @contextmanager
    def _around(self) -> Iterator[None]:
        """While the user's code runs: it knows the key, and what it raises is written down."""
        name = self._new.key
        mark = _key.set(_idempotency(self._new))
        inner: Any = self._owner
        within = running.set(inner)
        try:
            yield
        except BaseException as error:
            if isinstance(error, self._options.safe_errors):
                self._try(lambda: effects.give_up(self._ledger, name))
            else:
                text = reason(error)[:_ERROR]
                self._try(lambda: effects.settle(self._ledger, name, DOUBT, session.clock.time(), error=text))
                cure = "it is called again" if self._options.on_doubt == "repeat" else f"once.resolve({name!r}, ...)"
                error.add_note(f"nbflow: {name!r} is in doubt, its effect may have happened: {cure}")
            raise
        finally:
            running.reset(within)
            _key.reset(mark)

    def _end(self, value: Any) -> Any:
        name, now = self._new.key, session.clock.time()
        data, why = seal(self._store.vault, name, value)
        if data is None:
            warn(f"{name!r} is done, but its result is not stored: {why}")
        self._try(lambda: effects.settle(self._ledger, name, DONE, now, error=why, result=data))
        return value

    def _try(self, work: Callable[[], object]) -> None:
        """What cannot be written down after the effect leaves its key in doubt, which is the truth."""
        try:
            work()
        except StoreError as error:
            warn(f"{self._new.key!r} stays in doubt, its end could not be written down: {error}")


class _Within:
    """One call of `once`, in a transaction of the user's database."""

    def __init__(self, inside: Inside, store: Store, options: _Options) -> None:
        self._inside, self._store, self._options = inside, store, options

    def call(self, new: Effect, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        inside, now = self._inside, session.clock.time()
        with inside.transaction() as mine:
            seen, number = inside.claim(new._replace(began=now), self._options.expires, now)
            if seen is not None:
                _agree(seen, new)
                if seen.state != DONE and self._options.on_doubt == "ask":
                    raise InDoubt(_doubt(seen, now))
                if seen.state == DONE:
                    return unseal(self._store.vault, new.key, seen.result, seen.error or "")
            mark = _key.set(_idempotency(new._replace(round=number)))
            try:
                value = fn(*args, **kwargs)
            finally:
                _key.reset(mark)
            if not inside.open():
                warn(
                    f"{new.key!r}: its function ended the transaction itself: what it does after that is not done "
                    "exactly once; leave the commit to `once`"
                )
            data, why = seal(self._store.vault, new.key, value)
            inside.settle(new.key, session.clock.time(), why, data)
            mine.commit()
        if data is None:
            warn(f"{new.key!r} is done, but its result is not stored: {why}")
        return value


def _lock(key: str) -> str:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, person=b"nbflow once").hexdigest()


def _claim(store: Store, key: str, owner: _Owner, *, wait: bool) -> bool:
    try:
        return store.claim(_lock(key), owner, wait=wait)
    except InterfaceError as error:
        raise InProgress(f"{key!r} is under way, and waits for this very call: {error}") from None


def _release(store: Store, key: str, owner: _Owner) -> None:
    store.release(_lock(key), owner)


def _expired(effect: Effect, expires: float | None) -> bool:
    if effect.state != DONE or effect.ended is None:
        return False
    return effect.error == "expired" or (expires is not None and session.clock.time() - effect.ended >= expires)


def _idempotency(effect: Effect) -> str:
    text = f"{effect.round}\0{effect.key}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16, person=b"nbflow once key").hexdigest()


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


def _agree(seen: Effect, new: Effect) -> None:
    """The same key stands for the same effect."""
    if seen.fingerprint != new.fingerprint:
        if seen.made_by != new.made_by:
            how = f"for {seen.made_by}(), now for {new.made_by}()"
        else:
            how = f"for {new.made_by}() with other arguments"
        raise KeyConflict(
            f"the key {new.key!r} was used before {how} (fingerprint {seen.fingerprint[:12]}, now "
            f"{new.fingerprint[:12]}): give each effect a key of its own"
        )


def _doubt(seen: Effect, now: float) -> str:
    what = f"raised {seen.error}" if seen.state == DOUBT else "never ended: its process died"
    return (
        f"{seen.key!r} is in doubt: the call of {seen.made_by}() {ago(now - seen.began)} {what}. Look whether its "
        f"effect happened, then once.resolve({seen.key!r}, 'done') or once.resolve({seen.key!r}, 'retry')"
    )


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
