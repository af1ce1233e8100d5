"""One call of `once`: with the ledger beside the store, or inside of a transaction of the user's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from nbflow.context import here
from nbflow.durable import effects
from nbflow.durable.effects import DONE, DOUBT, Effect
from nbflow.durable.inside import Inside
from nbflow.durable.ledger import Ledger, ledger_of
from nbflow.durable.results import seal, unseal
from nbflow.durations import ago
from nbflow.errors import InDoubt, InProgress, InterfaceError, KeyConflict, StoreError
from nbflow.futures.future import blocking
from nbflow.logs import warn
from nbflow.session import session
from nbflow.step.plan import reason
from nbflow.store import Store

__all__ = ["Call", "Options", "Owner", "Within", "claim", "current_key", "expired", "release"]

_PAUSE, _LONGEST = 0.002, 0.25
_ERROR = 500

current_key: ContextVar[str] = ContextVar("nbflow_once_key")
"""The idempotency key of the effect that runs here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an effect is done; `Once.with_options` tells what each means."""

    on_doubt: Literal["ask", "repeat"] = "ask"
    safe_errors: tuple[type[BaseException], ...] = ()
    connection: Any = None
    expires: float | None = None
    in_progress: Literal["wait", "raise"] = "wait"
    namespace: str = ""


class Owner:
    """Who holds a key while its effect is under way."""

    def __init__(self, key: str) -> None:
        self.task, self.parent = f"once({key!r})", here.get().slot


class Call:
    """One call of `once`, with the ledger beside the store."""

    def __init__(self, store: Store, new: Effect, options: Options) -> None:
        self._store, self._new, self._options = store, new, options
        self._ledger: Ledger = ledger_of(store, session.durability)
        self._owner = Owner(new.key)
        self._seen: Effect | None = None

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function unless it is done; give the result."""
        if self._is_done():
            return self._result()
        if not claim(self._store, self._new.key, self._owner, wait=False):
            self._may_wait()
            with blocking.get()():
                claim(self._store, self._new.key, self._owner, wait=True)
        with self._held():
            if not self._begin():
                return self._result()
            with self._around():
                value = fn(*args, **kwargs)
            return self._end(value)

    async def acall(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The same with a coroutine function, while other tasks of the loop go on."""
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        if self._is_done():
            return self._result()
        pause = _PAUSE
        while not claim(self._store, self._new.key, self._owner, wait=False):
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
        if seen is None or seen.state != DONE or expired(seen, self._options.expires):
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
            release(self._store, self._new.key, self._owner)

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
        mark = current_key.set(_idempotency(self._new))
        within = here.set(here.get()._replace(slot=self._owner))
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
            here.reset(within)
            current_key.reset(mark)

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


class Within:
    """One call of `once`, in a transaction of the user's database."""

    def __init__(self, inside: Inside, store: Store, options: Options) -> None:
        self._inside, self._store, self._options = inside, store, options

    def call(self, new: Effect, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function unless it is done; effect and row are written together."""
        inside, now = self._inside, session.clock.time()
        with inside.transaction() as mine:
            seen, number = inside.claim(new._replace(began=now), self._options.expires, now)
            if seen is not None:
                _agree(seen, new)
                if seen.state != DONE and self._options.on_doubt == "ask":
                    raise InDoubt(_doubt(seen, now))
                if seen.state == DONE:
                    return unseal(self._store.vault, new.key, seen.result, seen.error or "")
            mark = current_key.set(_idempotency(new._replace(round=number)))
            try:
                value = fn(*args, **kwargs)
            finally:
                current_key.reset(mark)
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


def claim(store: Store, key: str, owner: Owner, *, wait: bool) -> bool:
    """Whether an effect is the caller's alone now.

    Raises:
        InProgress: It would wait for itself.
    """
    try:
        return store.claim(_lock(key), owner, wait=wait)
    except InterfaceError as error:
        raise InProgress(f"{key!r} is under way, and waits for this very call: {error}") from None


def release(store: Store, key: str, owner: Owner) -> None:
    """Give it up."""
    store.release(_lock(key), owner)


def expired(effect: Effect, expires: float | None) -> bool:
    """Whether an effect was done so long ago that the next call is a first one again."""
    if effect.state != DONE or effect.ended is None:
        return False
    return effect.error == "expired" or (expires is not None and session.clock.time() - effect.ended >= expires)


def _idempotency(effect: Effect) -> str:
    text = f"{effect.round}\0{effect.key}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16, person=b"nbflow once key").hexdigest()


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
