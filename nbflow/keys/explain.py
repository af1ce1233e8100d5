"""Why two keys differ: their components compared."""

from collections.abc import Iterable
from typing import NamedTuple

from nbflow.keys.short import short
from nbflow.trace import Trait, Traits

__all__ = ["Difference", "compare", "distance", "nearest", "short"]


class Difference(NamedTuple):
    """One component that differs: None where there is none of it.

    Example:
        >>> str(Difference("input lr", Trait("aa", "0.1"), Trait("bb", "0.05")))
        'input lr 0.1 → 0.05'
        >>> str(Difference("clean()", Trait("aa", ""), Trait("bb", "")))
        'clean() changed'
        >>> str(Difference("global LIMIT", None, Trait("bb", "10")))
        'global LIMIT is new'
    """

    label: str
    old: Trait | None
    new: Trait | None

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.label} is new"
        if self.new is None:
            return f"{self.label} is gone"
        if self.old.short and self.new.short and self.old.short != self.new.short:
            return f"{self.label} {self.old.short} → {self.new.short}"
        return f"{self.label} changed"


def compare(new: Traits, old: Traits) -> tuple[Difference, ...]:
    """What differs, what matters most first: code, then what changed, then what is new or gone."""
    found = [
        Difference(label, old.get(label), new.get(label))
        for label in {**new, **old}
        if (label in new) != (label in old) or new[label].digest != old[label].digest
    ]
    return tuple(
        sorted(found, key=lambda each: (each.old is None or each.new is None, each.label != "the code", each.label))
    )


def distance(differences: tuple[Difference, ...]) -> tuple[int, int]:
    """How far apart two keys are: those of the same inputs are nearest, then those that differ in few parts.

    Calls of one `map` differ in an input only. What explains that one runs again is its own earlier call.
    """
    return sum(each.label.startswith("input ") for each in differences), len(differences)


def nearest(new: Traits, others: Iterable[Traits]) -> tuple[Difference, ...]:
    """The differences from the nearest of others, the first of those equally near; none if there are no others."""
    return min((compare(new, other) for other in others), key=distance, default=())
