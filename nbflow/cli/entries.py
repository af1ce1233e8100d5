"""Entries as `show` and `explain` tell of them: found by name, their facts in words, and whether these hold now."""

import os
from collections.abc import Iterator
from glob import has_magic
from itertools import islice
from pathlib import Path
from typing import Any, Final

from nbflow.cli.tables import tell
from nbflow.inventory import known
from nbflow.keys.explain import Difference, compare
from nbflow.store import Found, Store
from nbflow.trace import Fact, Trait
from nbflow.widget import plain
from nbflow.world import broken

__all__ = ["as_data", "differences", "elsewhere", "entries_of", "fact_data", "judged", "name_of", "stands_for"]

_KINDS: Final = {
    "distribution": "package",
    "environment": "variable",
    "file": "file",
    "listing": "folder",
    "name": "name",
    "random": "random numbers",
    "touched": "touched",
}
_OUTSIDE: Final = frozenset({"distribution", "environment", "file", "listing"})
"""What can be judged without the kernel in which the step would run."""


def entries_of(where: Store, what: str, most: int = 8) -> list[Found]:
    """Sound entries of a task, or those whose name begins so, newest first; none after a word to the user."""
    rows = sorted(where.entries(what), key=lambda entry: -entry.created)
    if rows:
        sound = (entry for row in rows for entry in where.matching(row.row, 1))
        found = list(islice(sound, most))
        if not found:
            tell(f"no result of {what!r} can be used: see nbflow verify")
        return found
    found = where.matching(what, most) if what else []
    if not found:
        tell(f"there is no entry {what!r}, and no such task{known(where)}")
    return found


def name_of(fact: Fact) -> str:
    """A fact in words: `file prices.csv`, `package pandas`."""
    return plain.line(f"{_KINDS.get(fact.kind, fact.kind)} {fact.subject}", 120)


def judged(fact: Fact) -> str | None:
    """Why a fact does not hold here and now, `""` if it does; None where only the kernel could tell."""
    return (broken(fact) or "") if fact.kind in _OUTSIDE and not elsewhere(fact) else None


def elsewhere(fact: Fact) -> bool:
    """Whether nothing is here at a relative path: it counts from the folder in which the step runs."""
    place = Path(fact.subject)
    while has_magic(str(place)):
        place = place.parent
    return fact.kind in {"file", "listing"} and not place.is_absolute() and not os.path.lexists(place)


def stands_for(fact: Fact) -> Trait:
    """A fact as a part that can be compared; never what a variable is."""
    return Trait(fact.digest, str(fact.hint) if fact.kind == "distribution" and fact.hint else "")


def differences(new: Found, old: Found) -> Iterator[tuple[str, Difference]]:
    """What differs between two entries, with where it belongs: `key` or `fact`."""
    yield from (("key", each) for each in compare(new.traits, old.traits))
    facts = [
        {name_of(fact): stands_for(fact) for fact in entry.facts if fact.kind != "touched"} for entry in (new, old)
    ]
    yield from (("fact", each) for each in compare(*facts))


def as_data(entry: Found) -> dict[str, Any]:
    """What an entry is and depends on, for other programs."""
    return {
        "entry": entry.row,
        "task": entry.tag,
        "created": entry.created,
        "cost": entry.cost,
        "size": entry.size,
        "serializer": entry.serializer,
        "key": {label: part.short or part.digest[:12] for label, part in entry.traits.items()},
        "facts": [fact_data(fact) for fact in entry.facts],
    }


def fact_data(fact: Fact) -> dict[str, Any]:
    """A fact for other programs. Of a variable not even the digest: a short value could be found from it."""
    why = judged(fact)
    digest = None if fact.kind == "environment" else fact.digest
    holds = None if why is None else not why
    return {"kind": fact.kind, "subject": fact.subject, "digest": digest, "holds": holds, "why": why or None}
