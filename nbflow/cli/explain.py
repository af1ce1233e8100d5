"""`nbflow explain`: what a result depends on, and how the newest one of a task differs from the nearest before."""

import time
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from nbflow.cli.entries import as_data, differences, entries_of
from nbflow.cli.paint import painted
from nbflow.cli.show import dependencies
from nbflow.cli.tables import as_json, store
from nbflow.durations import ago, spell
from nbflow.keys.explain import Difference, compare, distance
from nbflow.store import Found
from nbflow.widget import plain

__all__ = ["explain"]

_COMPARED = 50
_SHOWN = 2


def explain(args: Namespace) -> int:
    """The newest entry of a task and how it differs from the nearest before it, or just entries; 1 if there is none."""
    found = entries_of(store(), args.what, _COMPARED)
    if not found:
        return 1
    newest, *others = found
    before = _nearest(newest, others) if newest.tag == args.what else None
    different = [] if before is None else list(differences(newest, before))
    if args.json:
        as_json(_data(newest, before, different))
        return 0
    for at, entry in enumerate([newest] if newest.tag == args.what else found[:_SHOWN]):
        print(*([""] if at else []), *_told(entry), sep="\n")
    if newest.tag == args.what:
        print(*_compared(before, different), sep="\n")
    return 0


def _nearest(newest: Found, others: list[Found]) -> Found | None:
    """The entry to compare with: after a map the newest ones are siblings, which explain nothing."""
    return min(others, key=lambda other: distance(compare(newest.traits, other.traits)), default=None)


def _told(entry: Found) -> Iterator[str]:
    made = f"made {ago(time.time() - entry.created)} in {spell(entry.cost)}"
    yield f"{painted(plain.line(entry.tag, 60), 'bold')}  {entry.row[:12]}, {made}, {plain.size(entry.size)}"
    yield from dependencies(entry)


def _compared(before: Found | None, different: list[tuple[str, Difference]]) -> Iterator[str]:
    if before is None:
        yield "there is no other result of it to compare with"
        return
    what = f"the nearest before it ({before.row[:12]}, made {ago(time.time() - before.created)})"
    if not different:
        yield f"{what} has the same key and facts: a fresh one was asked for, or it had expired"
        return
    yield f"{what} differs in {plain.spell_count(len(different), 'part')}:"
    yield from (f"  {plain.line(each, 160)}" for _, each in different)


def _data(newest: Found, before: Found | None, different: list[tuple[str, Difference]]) -> dict[str, Any]:
    return {
        **as_data(newest),
        "before": None if before is None else as_data(before),
        "differences": [
            {
                "of": kind,
                "label": each.label,
                "old": None if each.old is None else each.old.short,
                "new": None if each.new is None else each.new.short,
                "said": str(each),
            }
            for kind, each in different
        ],
    }
