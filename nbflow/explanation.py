"""Why a step would be a hit or a miss, in words and as data; runs nothing."""

from nbflow.durations import ago, spell
from nbflow.engine.slot import NO_ENTRY, Slot
from nbflow.events import Hit
from nbflow.keys.explain import Difference, nearest
from nbflow.step.plan import judge
from nbflow.step.policy import Policy
from nbflow.store import Store
from nbflow.trace import Traits

__all__ = ["Explanation", "cause", "explained"]


class Explanation:
    """Whether a step would be a hit, and what differs from the nearest entry of its task.

    Attributes:
        task: The step's label.
        hit: Whether its result would come from the store.
        why: The reason in words.
        differences: Each part of the key that differs from the nearest entry, old and new.
    """

    def __init__(self, task: str, *, hit: bool, why: str, differences: tuple[Difference, ...]) -> None:
        self.task, self.hit, self.why, self.differences = task, hit, why, differences

    def __repr__(self) -> str:
        """`fetch: miss: input month 3 → 4`."""
        lines = [
            f"{self.task}: {'hit' if self.hit else 'miss'}: {self.why}",
            *(f"  {each}" for each in self.differences[1:]),
        ]
        return "\n".join(lines)


def explained(slot: Slot, policy: Policy) -> Explanation:
    """Look a slot's key up, and compare what it is made of with the nearest entry of the same task."""
    seen = slot.seen()
    verdict = judge(0, seen, slot.clock.time(), policy)
    if isinstance(verdict, Hit):
        why = f"cached {ago(verdict.age)}, saves {spell(verdict.saved)}"
        return Explanation(slot.task, hit=True, why=why, differences=())
    why, differences = cause(slot.store, slot.task, verdict.why, slot.traits)
    return Explanation(slot.task, hit=False, why=why, differences=differences)


def cause(
    store: Store, task: str, why: str, traits: Traits, before: float | None = None
) -> tuple[str, tuple[Difference, ...]]:
    """Why a step missed: in words, and each part of its key that differs from the nearest entry of its task.

    Args:
        store: Where it looked.
        task: Its label.
        why: What the look lacked.
        traits: What its key is made of.
        before: Only entries made until then count, in seconds since the epoch: siblings may have been stored since.
    """
    if why != NO_ENTRY:
        return why, ()
    others = [each for each in store.traits(task, 50, before) if each != traits]
    differences = nearest(traits, others)
    if not others:
        return "first run", ()
    return (str(differences[0]) if differences else why), differences
