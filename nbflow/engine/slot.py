"""A step's place in the store: one key, looked up, claimed, filled.

A function's slot and a cell's slot differ in how values are written and which facts they verify.
"""

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, NamedTuple

from nbflow import world
from nbflow.clock import Clock
from nbflow.context import here
from nbflow.errors import StoreError, UnstorableError
from nbflow.events import Hit, Missed
from nbflow.futures.future import blocking
from nbflow.logs import warn
from nbflow.step.commands import Claim, Load, Look, Save, Seen
from nbflow.step.plan import judge, reason
from nbflow.step.policy import Policy
from nbflow.store import Draft, Store
from nbflow.store.serializers import PICKLE, Paired
from nbflow.trace import Fact, Traits

__all__ = ["NO_ENTRY", "Elsewhere", "Slot", "overdue"]

NO_ENTRY = "no entry for this code and these inputs"
"""What a look lacks where the key is unknown: comparing with other entries tells more."""

overdue: set[str] = set()
"""Keys that somebody asked to compute anew: what is kept under them is passed over until a run has replaced it."""


class Elsewhere(NamedTuple):
    """What was found where a call ran in another process.

    Attributes:
        changed: Why its result must not be kept, `""` if it may.
        size: Bytes stored there; None: it was not stored.
        cost: Seconds that it ran, without its way there and back.
    """

    changed: str
    size: int | None
    cost: float


class Slot:
    """One key in one store, for one step.

    Args:
        store: Where entries are.
        key: The lookup key.
        task: The step's label, under which its entry is listed.
        clock: Says when an entry was made.
    """

    def __init__(self, store: Store, key: str, task: str, clock: Clock) -> None:
        self.store, self.key, self.task, self.clock = store, key, task, clock

    # Defaults of the class: a hit, which makes a slot and asks it once, does not set them.

    traits: Traits = MappingProxyType({})  # type: ignore[assignment]
    """What the key was made of."""
    facts: tuple[Fact, ...] = ()
    """What the run was seen to depend on."""
    random: Any = None
    """Where the run left seeded generators; a hit leaves them there too."""
    serializer: Any = None
    """How values become bytes; None is the store's own way."""
    elsewhere: Elsewhere | None = None
    """What another process found, where the call ran there: it takes the place of `check`."""
    made: float | None = None
    """When its entry was made; None: when it is saved."""
    hold: Callable[[Draft], int] | None = None
    """What is done with an entry in place of putting it into the store: a transaction holds it back."""
    parent: "Slot | None" = None
    """The slot that is being filled around this one."""

    def broken(self, fact: Fact) -> str | None:
        """Why a fact no longer holds, None if it does."""
        return world.broken(fact)

    def check(self) -> None:
        """Raise an `UnstorableError` where the run showed that its result must not be kept."""

    def seen(self) -> Seen:
        """The newest entry whose facts all hold, or why there is none. Never raises.

        The facts of an entry that is used are facts of the steps around this one as well.
        """
        if self.key in overdue:
            return Seen("refresh asked")
        try:
            found = self.store.find(self.key)
        except StoreError as error:
            warn(str(error))
            return Seen("the store could not be read")
        lack = ""
        for entry in found:
            facts = entry.facts
            why = next(filter(None, map(self.broken, facts)), None) if facts else None
            if why is None:
                if facts:
                    world.adopt(facts)
                return Seen("", entry, entry.created, entry.cost, entry.size)
            lack = lack or why
        return Seen(lack or NO_ENTRY)

    def first_look(self, step: int, policy: Policy) -> tuple[Hit | Missed, Any]:
        """The verdict on what there is, and on a hit its value; what cannot be loaded is a miss that says so."""
        seen = Seen("") if policy.refresh else self.seen()
        verdict = judge(step, seen, self.clock.time(), policy, None, self.key)
        if isinstance(verdict, Hit):
            try:
                return verdict, self.load(Load(seen.entry))
            except Exception as error:  # noqa: BLE001 - whatever an entry is worth, the step can run
                why = str(error) if isinstance(error, StoreError) else reason(error)
                verdict = judge(step, Seen(why), self.clock.time(), policy, None, self.key)
        return verdict, None

    def try_claim(self, *, wait: bool = False) -> bool:
        """Whether the key is this step's now. Without locks everyone goes on: running twice is safe."""
        self.parent = here.get().slot
        try:
            return self.store.claim(self.key, self, wait=wait)
        except StoreError as error:
            warn(str(error))
            return True

    def when_free(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back when the key may be claimable; gives what to call when this step waits no longer."""
        return self.store.when_free(self.key, callback, self)

    def release(self) -> None:
        """Let go of the key, if it is this step's: others who wait for it go on."""
        self.store.release(self.key, self)

    # Commands of a plan

    def look(self, _: Look) -> Seen:
        """Look once more, behind the lock."""
        return self.seen()

    def load(self, command: Load) -> Any:
        """The value of an entry."""
        entry = command.entry
        if entry.codec:
            return self.store.load(entry)
        drawn = Paired(self.serializer or PICKLE)
        if entry.serializer != drawn.name:
            return self.store.load(entry, self.serializer)
        value, random = self.store.load(entry, drawn)
        world.rng.restore(random)
        return value

    def claim(self, _: Claim) -> None:
        """Wait in this thread until the key is this step's; a worker lends its place meanwhile."""
        if not self.try_claim():
            with blocking.get()():
                self.try_claim(wait=True)

    async def aclaim(self, _: Claim) -> None:
        """Wait until the key is this step's, while other tasks of the loop go on."""
        import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

        loop = asyncio.get_running_loop()
        while not self.try_claim():
            free = asyncio.Event()
            leave = self.when_free(lambda free=free: loop.call_soon_threadsafe(free.set))  # type: ignore[misc]
            try:
                await free.wait()
            finally:
                leave()

    def save(self, command: Save) -> int:
        """Keep a result: bytes stored. What cannot be kept is told once."""
        elsewhere = self.elsewhere
        if elsewhere is not None and elsewhere.size is not None:
            overdue.discard(self.key)
            return elsewhere.size
        cost = command.cost if elsewhere is None else elsewhere.cost
        draft = self.draft(command.outcome.value, cost)
        if self.random:
            draft = draft._replace(serializer=Paired(self.serializer or PICKLE, self.random))
        try:
            self._checked()
            return (self.hold or self.keep)(draft)
        except UnstorableError as error:
            warn(f"{self.task}: the result is not kept: {error}")
            raise
        except StoreError as error:
            warn(str(error))  # what a look says of the same trouble, so that it is said once
            raise

    def _checked(self) -> None:
        """As `check`, by whoever made the call."""
        if self.elsewhere is None:
            self.check()
        elif self.elsewhere.changed:
            raise UnstorableError(self.elsewhere.changed)

    def keep(self, draft: Draft) -> int:
        """Put an entry into the store: bytes stored."""
        size = self.store.save(draft)
        overdue.discard(self.key)
        return size

    def draft(self, value: Any, cost: float) -> Draft:
        """An entry for this key, made now."""
        made = self.clock.time() if self.made is None else self.made
        return Draft(self.key, self.task, value, cost, self.facts, self.traits, made, self.serializer)
