"""`nbflow show`: what a result is, what its key is made of, and what would make it a miss now."""

import time
from argparse import Namespace
from collections.abc import Iterator

from nbflow.cli.entries import as_data, elsewhere, entries_of, judged, name_of
from nbflow.cli.paint import painted
from nbflow.cli.tables import as_json, store
from nbflow.durations import ago, spell
from nbflow.store import Found, Store
from nbflow.trace import Fact
from nbflow.widget import plain
from nbflow.widget.columns import pad

__all__ = ["dependencies", "show"]

_LABEL = 40


def show(args: Namespace) -> int:
    """What an entry is, or the newest one of a task; its value stays packed. 1 where there is none."""
    where = store()
    found = entries_of(where, args.what)
    if found and found[0].tag == args.what:
        found = found[:1]
    if args.json:
        as_json([as_data(entry) for entry in found])
    else:
        for at, entry in enumerate(found):
            print(*([""] if at else []), *_told(entry, where), sep="\n")
    return int(not found)


def _told(entry: Found, where: Store) -> Iterator[str]:
    now = time.time()
    yield painted(f"{plain.line(entry.tag, 60)}  {entry.row}", "bold")
    made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.created))
    used = next((each.accessed for each in where.entries(entry.tag) if each.row == entry.row), entry.created)
    yield f"  made {ago(now - entry.created)} ({made}) in {spell(entry.cost)}, used {ago(now - used)}"
    yield f"  {plain.size(entry.size)}, {entry.serializer}"
    yield from dependencies(entry)


def dependencies(entry: Found) -> Iterator[str]:
    """What would make an entry a miss: the parts of its key, then facts with whether they hold."""
    if entry.traits:
        yield "its key, of which any change is a miss:"
    width = min(_LABEL, max(map(len, entry.traits), default=0))
    for label, part in entry.traits.items():
        value = plain.line(part.short, 60) or painted(part.digest[:12], "dim")
        yield f"  {pad(plain.line(label, 60), width)}  {value}".rstrip()
    facts = [fact for fact in entry.facts if fact.kind != "touched"]
    if facts:
        yield "what its run was seen to read, checked before a hit:"
    yield from map(_fact, facts)
    touched = sorted({fact.subject for fact in entry.facts if fact.kind == "touched"})
    if touched:
        yield f"its run touched what no check can see: {', '.join(touched)}"


def _fact(fact: Fact) -> str:
    why = judged(fact)
    if why is None:
        said = "  is not below this folder: ask where the step runs" if elsewhere(fact) else ""
        return f"  · {name_of(fact)}{said}"
    icon = painted("✗", "red") if why else painted("✓", "green")
    said = "" if not why else "  is not so in this shell" if fact.kind == "environment" else f"  {plain.line(why, 120)}"
    return f"  {icon} {name_of(fact)}{said}"
