"""Calls that are performed by another process: what is sent there, and what is made of the answer.

The plan stays here; only its `Call` goes, as bytes, and comes back as an `Outcome` with all that a call here would have
noted: facts, what was touched, generators, events, records, warnings, printed text. A large value that is kept is saved
where it was made, under the same rules, and mapped from the store here, so that it does not travel; should the store
not give it, the call is made once more and the value sent.
"""

import logging
import os
import pickle
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from typing import Any

from nbflow import __version__, eventlog, world
from nbflow.context import current_flow_run, current_tags, here, open_transaction
from nbflow.engine.around import own_frames
from nbflow.engine.slot import Elsewhere
from nbflow.engine.work import Work, next_step
from nbflow.errors import ConfigurationError, StoreError, WorkerDied
from nbflow.events import Began, Queued
from nbflow.remote.loaded import loaded, root
from nbflow.remote.parcels import (
    Home,
    Kept,
    Order,
    Reply,
    Said,
    packed,
    parcel,
    put_together,
    send_by_name,
    send_by_value,
    sent_by_value,
    sources,
)
from nbflow.remote.workers import PERFORM, Hold
from nbflow.session import session
from nbflow.step.commands import Call, Err, Load, Ok, Outcome

__all__ = ["Remote", "isolated", "received"]

_DEATHS = 3
"""A call that ended so many workers is not made again, whatever its policy says."""


class Remote:
    """One step's calls, elsewhere; it may be the `away` of its `Work`.

    Args:
        hold: Performs packed calls while the calling thread waits; None where an executor is asked.
        split: Whether the calls are many, so that each draws from a random stream of its own.
        kills: Whether whoever is asked ends a call that takes too long.
    """

    def __init__(self, hold: Hold | None, *, split: bool = True, kills: bool = True) -> None:
        self.hold, self.split, self.kills, self.deaths, self.stopped = hold, split, kills, 0, False
        self.modules: tuple[str, ...] = ()
        self.loose = ""

    def __call__(self, work: Work, command: Call) -> Outcome:
        """One attempt, while this thread waits."""
        hold = self.hold
        assert hold is not None
        outcome = self.answered(work, lambda: hold.ask(self.order(work, command), command.timeout))
        if outcome is None:
            whole = partial(self.order, work, command, whole=True)
            outcome = self.answered(work, lambda: hold.ask(whole(), command.timeout), whole=True)
        assert outcome is not None
        return outcome

    def stop(self) -> None:
        """End the attempt, from another thread."""
        self.stopped = True
        if self.hold is not None:
            self.hold.stop()

    def answered(self, work: Work, answer: Callable[[], bytes], *, whole: bool = False) -> Outcome | None:
        """What an attempt came to; None where its value is in a store that does not give it: then order it whole.

        Raises:
            WorkerDied: It ended one worker too many.
        """
        try:
            return received(work, answer(), self.loose)
        except WorkerDied as error:
            if self.stopped:
                raise CancelledError("the step was cancelled") from None
            self.deaths += 1
            if self.deaths >= _DEATHS:
                raise WorkerDied(f"{error}; it ended {self.deaths} of them, and is not tried again") from None
            return Err(own_frames(error))
        except _OtherCodeError as error:
            if whole:
                return Err(own_frames(error))
            self.otherwise(work, error.what)
            return None
        except Exception as error:  # noqa: BLE001 - a call that cannot go there, or an answer that cannot be read here
            return None if isinstance(error, StoreError) and not whole else Err(own_frames(error))

    def otherwise(self, work: Work, what: str) -> None:
        """Workers have other code, or other values of globals: send what is here.

        Such values may be unable to travel: then the call takes those that are there, and its result is not kept.
        """
        send_by_value(self.modules)
        if work.identity is not None:
            work.identity.packed = None
        try:
            _function(work)
        except Exception:  # noqa: BLE001 - whatever its reason
            if what == "values":
                send_by_name(self.modules)
                self.loose = "workers have other values of the globals that it reads, and these cannot be sent"

    def order(self, work: Work, command: Call, *, whole: bool = False) -> bytes:
        """A call, packed; `whole`: its value is to be sent, whatever its size."""
        values = sent_by_value()
        try:
            function, call, things = _function(work)
        except Exception as error:
            if values:
                error.add_note(
                    f"nbflow: workers have other code of {', '.join(sorted(values))} than this process, so it is "
                    "sent as it is here, which cannot be: reload what was edited, or start anew"
                )
            error.add_note("nbflow: a call goes to a worker as a pickle, with the globals of a cell's function")
            raise
        codes, self.modules = ((), ()) if self.loose else _codes(work, things)
        slot, random = work.slot, world.rng.snapshot()
        run = work.run
        order = Order(
            home=_home(),
            function=function,
            call=call,
            limit=None if self.kills else command.timeout,
            flow_run=current_flow_run.get(),
            run=None if run is None else (run.id, run.task_name, run.name, run.tags, run.run_count),
            tags=current_tags.get(),
            log_prints=work.log_prints,
            seeds=work.seeds,
            names=tuple(each for each in work.mentions if isinstance(each, (str, bytes, os.PathLike))),
            files=tuple(work.files),
            touching=tuple(work.touching),
            random=random,
            split=_stream(work, function + call) if self.split and random else "",
            kept=None
            if slot is None or self.loose
            else Kept(
                slot.key,
                slot.task,
                dict(slot.traits),
                getattr(slot, "counting", ()),
                work.keep,
                slot.serializer,
                here=not whole and open_transaction.get() is None,
            ),
            things=packed(things) if things and codes else b"",
            codes=codes,
            modules=self.modules,
            within=world.watched(),
        )
        try:
            return pickle.dumps(order, 5)
        except Exception:  # noqa: BLE001 - something of the user's in it: a name, a serializer
            return packed(order)


def isolated() -> Remote:
    """Performs the calls of one step in a process that nothing else uses meanwhile, as if they were made here."""
    return Remote(Hold((b"", PERFORM)), split=False)


def _function(work: Work) -> tuple[bytes, bytes, tuple[Any, ...]]:
    """The call of a step: its function, packed once as long as nothing that it reaches has changed, and the rest."""
    body: Any = work.body
    if not isinstance(body, partial):
        return b"", sources(body), ()
    identity: Any = work.identity
    function: bytes | None = None if identity is None else identity.packed
    if function is None:
        function = sources(body.func)
        if identity is not None and not identity.globals():
            identity.packed = function
    return function, *parcel((body.args, body.keywords))


def _codes(work: Work, things: tuple[Any, ...]) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Digests of what a call reaches of the user's modules, none where it does not matter; and their names."""
    body: Any = work.body
    function = root(body.func, body.args) if isinstance(body, partial) else body
    found = [loaded(each) for each in (function, *things)]
    modules = {name for each in found for name in each.modules}
    if modules <= sent_by_value():
        return (), tuple(modules)
    return tuple(each.digest for each in found), tuple(modules)


class _OtherCodeError(ConfigurationError):
    """A worker cannot have the code that is loaded here by importing it, or the values of globals alone."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} of the step's modules changes while workers look at it")
        self.what = what


def _stream(work: Work, call: bytes) -> str:
    """A name for the random numbers of a call, the same for the same call: runs do not depend on who came first."""
    return blake2b(work.slot.key.encode() if work.slot else call, digest_size=16).hexdigest()


class _Here:
    """What holds in this process, packed; anew when it has changed. The whole environment is compared as one."""

    def __init__(self) -> None:
        self.known: tuple[Any, ...] = ()
        self.packed = b""

    def __call__(self) -> bytes:
        store = session.store_or_none() if session.caching else None
        level, environ = logging.getLogger().level, os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001 - in C
        now = store, session.settings, session.caching, session.strict, level, environ
        if now != self.known or not self.packed:
            mark = () if store is None else store.mark
            home = Home(
                "" if store is None else str(store.folder), mark, self._settings(), _variables(), level, __version__
            )
            self.packed = pickle.dumps(home, 5)
            self.known = () if store is not None and not mark else (*now[:-1], environ.copy())
        return self.packed

    def _settings(self) -> dict[str, Any]:
        settings = session.settings
        shared: dict[str, Any] = {"cache": session.caching, "strict": session.strict}
        return shared | {"verify": settings.verify, "max_size": settings.max_size}


def _variables() -> dict[str, str]:
    """Environment variables that are nbflow's; not where events go, which come back with the answer."""
    found = {name: value for name, value in os.environ.items() if name.startswith("NBFLOW_")}
    found.pop(eventlog.VARIABLE, None)
    return found


_home = _Here()


def received(work: Work, data: bytes, changed: str = "") -> Outcome:
    """What an answer says, as if the call had been made here.

    Raises:
        StoreError: The value lies in the store, and cannot be had.
        ConfigurationError: The worker has other code, and has called nothing.
    """
    reply: Reply = pickle.loads(data)
    if reply.other:
        raise _OtherCodeError(reply.other)
    if reply.said:
        _say(work, pickle.loads(reply.said))
    if reply.error is not None:
        error = put_together(reply.error)
        if not isinstance(error, Exception):
            raise error
        return Err(error)
    slot = work.slot
    if slot is not None:
        slot.facts, slot.random = reply.facts, reply.random
        slot.elsewhere = Elsewhere(changed or reply.changed, reply.stored[1] if reply.stored else None, reply.cost)
    world.rng.restore(reply.random or {})
    if reply.facts:
        world.adopt(reply.facts)
    if reply.stored is None:
        assert reply.value is not None
        return Ok(pickle.loads(reply.value), reply.touched)
    assert slot is not None
    made = reply.stored[0]
    entry = next((each for each in slot.store.find(slot.key) if each.created == made), None)
    if entry is None:
        raise StoreError("a worker stored the result, and it is not there")
    return Ok(slot.load(Load(entry)), reply.touched)


def _say(work: Work, said: Said) -> None:
    """Let what was said there be heard here. Steps get numbers of this process; this one's own is 0 there."""
    numbers = defaultdict(next_step, {0: work.step})
    for event in said.events:
        told = event._replace(step=numbers[event.step])
        if isinstance(told, (Began, Queued)) and told.parent is not None:
            told = told._replace(parent=numbers[told.parent])
        work.bus.tell(told)
    mark = here.set(here.get()._replace(step=work.step))
    try:
        for record in said.records:
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        for message, kind, file, line in said.warnings:
            with suppress(Warning):  # where they are errors: the step is over
                warnings.warn_explicit(message, kind, file, line, registry=_warned)
        for stream, text in said.text:
            getattr(sys, stream).write(text)
    finally:
        here.reset(mark)


_warned: dict[Any, Any] = {}
