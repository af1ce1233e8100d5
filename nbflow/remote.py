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
from nbflow.context import current_flow_run, current_tags, open_transaction
from nbflow.errors import StoreError, WorkerDied
from nbflow.events import Began, Queued
from nbflow.logs import current_step
from nbflow.parcels import Home, Kept, Order, Reply, Said, packed, put_together, sources
from nbflow.session import session
from nbflow.slot import Elsewhere
from nbflow.step.commands import Call, Err, Load, Ok, Outcome
from nbflow.work import Work, next_step
from nbflow.workers import PERFORM, Hold

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
            return received(work, answer())
        except WorkerDied as error:
            if self.stopped:
                raise CancelledError("the step was cancelled") from None
            self.deaths += 1
            if self.deaths >= _DEATHS:
                raise WorkerDied(f"{error}; it ended {self.deaths} of them, and is not tried again") from None
            return Err(error)
        except Exception as error:  # noqa: BLE001 - a call that cannot go there, or an answer that cannot be read here
            return None if isinstance(error, StoreError) and not whole else Err(error)

    def order(self, work: Work, command: Call, *, whole: bool = False) -> bytes:
        """A call, packed; `whole`: its value is to be sent, whatever its size."""
        function, call = _function(work)
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
            if slot is None
            else Kept(
                slot.key,
                slot.task,
                dict(slot.traits),
                getattr(slot, "counting", ()),
                work.keep,
                slot.serializer,
                here=not whole and open_transaction.get() is None,
            ),
        )
        try:
            return pickle.dumps(order, 5)
        except Exception:  # noqa: BLE001 - something of the user's in it: a name, a serializer
            return packed(order)


def isolated() -> Remote:
    """Performs the calls of one step in a process that nothing else uses meanwhile, as if they were made here."""
    return Remote(Hold((b"", PERFORM)), split=False)


def _function(work: Work) -> tuple[bytes, bytes]:
    """The call of a step: its function, packed once as long as nothing that it reaches has changed, and the rest."""
    body: Any = work.body
    if not isinstance(body, partial):
        return b"", sources(body)
    identity: Any = work.identity
    function: bytes | None = None if identity is None else identity.packed
    if function is None:
        function = sources(body.func)
        if identity is not None and not identity.globals():
            identity.packed = function
    return function, packed((body.args, body.keywords))


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


def received(work: Work, data: bytes) -> Outcome:
    """What an answer says, as if the call had been made here.

    Raises:
        StoreError: The value lies in the store, and cannot be had.
    """
    reply: Reply = pickle.loads(data)
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
        slot.elsewhere = Elsewhere(reply.changed, reply.stored[1] if reply.stored else None, reply.cost)
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
    mark = current_step.set(work.step)
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
        current_step.reset(mark)


_warned: dict[Any, Any] = {}
