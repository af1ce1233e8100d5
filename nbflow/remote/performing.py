"""A worker's half of a call: it is unpacked, made as it would be in the process that sent it, and answered for.

Nothing is raised from here: whatever happens is an answer. What is printed, logged and told while the call runs belongs
to it by context, so that the threads of one worker do not mix.
"""

import io
import logging
import os
import pickle
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache, lru_cache, partial
from hashlib import blake2b
from inspect import iscoroutinefunction
from typing import Any, Final

from nbflow import __version__, world
from nbflow.context import current_flow_run, current_tags, here
from nbflow.engine.slot import Elsewhere, Slot
from nbflow.engine.work import Work
from nbflow.errors import ConfigurationError, NbflowError, UnkeyableError
from nbflow.events import Started
from nbflow.keys.binder import binder
from nbflow.keys.reach import Reach, reach
from nbflow.keys.traits import trait
from nbflow.remote.opening import opened
from nbflow.remote.parcels import Home, Kept, Order, Reply, Said, broken_down, packed
from nbflow.runs import TaskRun
from nbflow.session import configure, session
from nbflow.step.commands import Call, Err, Ok, Save
from nbflow.step.plan import unfit
from nbflow.step.policy import Policy

__all__ = ["perform"]

_LARGE: Final = 1 << 17
"""Bytes above which a value that is kept is not sent back, but stored."""

_said: ContextVar[Said | None] = ContextVar("nbflow_said", default=None)


def perform(data: bytes, limit: float | None = None) -> bytes:  # noqa: ARG001 - for those who end it
    """Make a packed call; gives the packed reply. Never raises."""
    said = Said([], [], [], [])
    try:
        with _heard(said):
            reply = _reply(pickle.loads(data))
    except BaseException as error:  # noqa: BLE001 - an exit, an error of pickle's: the parent's plan decides
        reply = Reply(error=broken_down(error, _where()))
    if any(said):
        try:
            reply = reply._replace(said=packed(said))
        except Exception as error:  # noqa: BLE001 - somebody logged what cannot travel
            reply = reply._replace(said=pickle.dumps(Said([], [], [], [("stderr", f"nbflow: {error}\n")])))
    return pickle.dumps(reply, 5)


def _where() -> str:
    return f"worker process {os.getpid()}"


def _reply(order: Order) -> Reply:
    _settle(order.home)
    call = opened(order)
    if isinstance(call, str):
        return Reply(other=call)
    function, args, kwargs = call
    found = {name: world.rng.digest(state) for name, state in order.random.items()}
    world.rng.restore(_split(order.random, order.split) if order.split else order.random)
    slot = _slot(order.kept)
    work = _Seen(0, _body(function, args, kwargs), slot, session.clock, session.bus, log_prints=order.log_prints)
    work.mentions = (*order.names, args, kwargs)
    work.files, work.seeds, work.touching = order.files, order.seeds, order.touching
    inputs = _Inputs(function, args, kwargs, order.kept) if order.kept is not None else None
    context = copy_context()
    work.run = _run(order)
    for variable, value in ((current_flow_run, order.flow_run), (current_tags, order.tags)):
        context.run(variable.set, value)  # type: ignore[arg-type]  # each takes its own kind
    begun = session.clock.monotonic()
    outcome = context.run(work.call, Call(1, order.limit))
    cost = session.clock.monotonic() - begun
    if isinstance(outcome, Err):
        return Reply(error=broken_down(outcome.error, _where()))
    facts = work.sight.trace() if slot is not None or order.within else ()
    changed, left = "", work.sight.state
    if order.split:
        facts = tuple(
            each._replace(digest=found.get(each.subject, each.digest)) if each.kind == "random" else each
            for each in facts
        )
        left = {}
    if slot is not None:
        slot.facts, slot.random = facts, left
        changed = inputs.changed() if inputs is not None else ""
    reply = Reply(None, None, outcome.touched, facts, left, changed, cost)
    return _stored(order, slot, outcome, cost, reply) or reply._replace(value=_value(outcome.value))


class _Seen(Work):
    """A step of another process, which wants to know what it depends on, kept or not."""

    sight: world.Sight

    def _sight(self) -> world.Sight:
        self.sight = world.watch()
        return self.sight


def _value(value: Any) -> bytes:
    try:
        return packed(value)
    except Exception as error:
        error.add_note("nbflow: a result comes back from a worker as a pickle, and this one has none")
        raise


def _stored(order: Order, slot: Slot | None, outcome: Ok, cost: float, reply: Reply) -> Reply | None:
    """The reply for a large value that was stored here; None where it is to be sent."""
    kept = order.kept
    if slot is None or kept is None or not kept.here or reply.changed or _small(outcome.value):
        return None
    if unfit(Policy(keep=kept.keep), outcome) or getattr(outcome.value, "unfit", ""):  # of a generator's items
        return None
    store, home = slot.store, _settled(order.home)
    if not home.mark or store.mark != home.mark:
        return None
    made = slot.clock.time()
    slot.elsewhere = Elsewhere("", None, cost)
    slot.made = made
    try:
        size = slot.save(Save(outcome, cost))
    except (NbflowError, OSError):  # the parent will find the same, and tell
        return None
    return reply._replace(stored=(made, size))


def _small(value: Any) -> bool:
    """Whether a value is no more than a message, as far as can be told without packing it."""
    sized = getattr(value, "nbytes", None)
    if isinstance(sized, int):
        return sized < _LARGE
    if isinstance(value, (str, bytes, bytearray)):
        return len(value) < _LARGE
    memory = getattr(value, "memory_usage", None)
    if callable(memory):
        used = memory()
        return int(getattr(used, "sum", lambda: used)()) < _LARGE
    if type(value) in {list, tuple, dict, set}:
        return len(value) < 64 and all(map(_small, value.values() if type(value) is dict else value))
    return type(value) in {type(None), bool, int, float, complex}


# Where the call comes from


@lru_cache(8)
def _settled(home: bytes) -> Home:
    found: Home = pickle.loads(home)
    if found.version != __version__:
        raise ConfigurationError(
            f"this worker has nbflow {__version__}, and the step comes from {found.version}: install the same version"
        )
    return found


_last = b""
_settling = threading.Lock()


def _settle(packed_home: bytes) -> None:
    """Take over the settings of the process that the call comes from."""
    global _last  # noqa: PLW0603 - a process has one session
    if packed_home == _last:
        return
    home = _settled(packed_home)
    with _settling:
        os.environ.update(home.variables)
        configure(store=home.folder or None, **(home.settings if home.folder else home.settings | {"cache": False}))
        logging.getLogger().setLevel(home.level)
        _last = packed_home


def _body(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any]:
    if not iscoroutinefunction(function):
        return partial(function, *args, **kwargs)
    import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

    return lambda: asyncio.run(function(*args, **kwargs))


def _run(order: Order) -> TaskRun | None:
    if order.run is None:
        return None
    number, task_name, name, tags, count = order.run
    run = TaskRun(0, task_name, (), (), tags, order.flow_run)
    run._id, run.name = [number], name  # noqa: SLF001 - a copy of one of us
    run.hear(Started(0, session.clock.time(), count, count))
    return run


def _slot(kept: Kept | None) -> Slot | None:
    store = session.store_or_none() if kept is not None and session.caching else None
    if kept is None or store is None:
        return None
    slot = Slot(store, kept.key, kept.task, session.clock)
    slot.traits, slot.serializer = kept.traits, kept.serializer
    return slot


# Inputs


class _Inputs:
    """What the key was made of, as it was before the call: it must be so afterwards."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], kept: Kept) -> None:
        self._values: dict[str, Any] = {}
        if kept.inputs and any(type(each) not in _ATOMS for each in (*args, *kwargs.values())):
            bind = _binder(function)
            bound = dict(zip(bind.names, bind(*args, **kwargs), strict=True))
            self._values = {name: bound[name] for name in kept.inputs if type(bound.get(name)) not in _ATOMS}
        self._before = {name: _trait(value) for name, value in self._values.items()}
        self._reach = _reach(function)
        self._live = self._globals()

    def _globals(self) -> tuple[str, ...]:
        live = self._reach.live if self._reach is not None else None
        return () if live is None else tuple(map(_trait, live()))

    def changed(self) -> str:
        """Why the result must not be kept."""
        for name, value in self._values.items():
            if _trait(value) != self._before[name]:
                return f"it changes its argument {name!r} in place; return a changed copy, or give ignore=[{name!r}]"
        found = self._reach
        if found is None:
            return ""
        for label, before, after in zip(found.live_names, self._live, self._globals(), strict=False):
            if before != after:
                return f"it reads and changes {label}, so that each run is another one"
        try:
            same = found.unchanged()
        except (KeyError, ValueError, AttributeError):
            same = False
        return "" if same else "it binds a global anew, which it also reads, so that each run is another one"


_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes})


@lru_cache(32)
def _reach(function: Callable[..., Any]) -> Reach | None:
    try:
        return reach(function)
    except (UnkeyableError, ConfigurationError):
        return None


@lru_cache(32)
def _binder(function: Callable[..., Any]) -> Any:
    return binder(function)


def _trait(value: Any) -> str:
    try:
        return trait(value).digest
    except UnkeyableError:
        return ""


# Chance


def _split(state: dict[str, Any], name: str) -> dict[str, Any]:
    """Generators for one call: as good as independent of those of other calls, and of how many there are."""
    seed = blake2b(
        f"{name} {sorted((key, world.rng.digest(value)) for key, value in state.items())}".encode(), digest_size=16
    )
    number = int.from_bytes(seed.digest(), "big")
    split: dict[str, Any] = {}
    if "random" in state:
        split["random"] = random.Random(number).getstate()  # noqa: S311 - the user's own kind of generator
    if "numpy.random" in state:
        import numpy as np  # noqa: PLC0415 - the caller has it

        split["numpy.random"] = np.random.RandomState(np.random.MT19937(number)).get_state(legacy=False)
    return split


# What is said


@contextmanager
def _heard(said: Said) -> Iterator[None]:
    _listen()
    mark, step = _said.set(said), here.set(here.get()._replace(step=0))
    try:
        yield
    finally:
        here.reset(step)
        _said.reset(mark)


@cache
def _listen() -> None:
    """From now on what is said in a call is noted; what others say goes where it always went."""
    session.bus.join(_event)
    logging.getLogger().addHandler(_Records())
    warnings.showwarning = _Warnings(warnings.showwarning)
    for name in ("stdout", "stderr"):
        setattr(sys, name, _Stream(name, getattr(sys, name)))


def _event(event: Any) -> None:
    said = _said.get()
    if said is not None:
        said.events.append(event)


class _Records(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        said = _said.get()
        if said is not None:
            record.msg, record.args, record.exc_text = record.getMessage(), None, record.exc_text
            if record.exc_info:
                record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
                record.exc_info = None
            said.records.append(record)


class _Warnings:
    def __init__(self, plain: Callable[..., None]) -> None:
        self._plain = plain

    def __call__(self, message: Any, category: Any, filename: str, lineno: int, *more: Any, **named: Any) -> None:
        said = _said.get()
        if said is None:
            self._plain(message, category, filename, lineno, *more, **named)
        else:
            said.warnings.append((str(message), category, filename, lineno))


class _Stream(io.TextIOBase):
    """A stream whose text is a call's where one is made."""

    def __init__(self, name: str, plain: Any) -> None:
        self._name, self._plain = name, plain

    def write(self, text: str) -> int:
        said = _said.get()
        if said is None:
            return self._plain.write(text)  # type: ignore[no-any-return]
        said.text.append((self._name, text))
        return len(text)

    def flush(self) -> None:
        if _said.get() is None:
            self._plain.flush()

    def writable(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)
