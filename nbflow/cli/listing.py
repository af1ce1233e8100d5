"""`nbflow ls` and `nbflow clear`: what is in the store, and out with it."""

import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from nbflow.durations import ago, spell
from nbflow.errors import ConfigurationError
from nbflow.store import Info, Store, open_store
from nbflow.widget import plain

__all__ = ["clear", "ls"]


class _Task(NamedTuple):
    """What is kept of one task: times in seconds since the epoch, cost in seconds, size in bytes."""

    task: str
    entries: int
    size: int
    cost: float
    newest: float
    used: float


def ls(args: Namespace) -> int:
    """List the tasks, or the entries of one; 1 where there is no such task."""
    store = open_store(warn=_warn)
    entries = list(store.entries(args.task))
    if args.task is None:
        return _ls_tasks(store, _tasks(entries), as_json=args.json)
    if not entries:
        _warn(f"nothing is kept of {args.task!r}" + _known(store))
        return 1
    entries.sort(key=lambda entry: -entry.created)
    if args.json:
        print(json.dumps([_entry(entry) for entry in entries], indent=2))
        return 0
    now = time.time()
    rows = [
        (each.row[:12], ago(now - each.created), spell(each.cost), plain.size(each.size), ago(now - each.accessed))
        for each in entries
    ]
    print(*plain.table(("entry", "made", "took", "size", "used"), rows), sep="\n")
    return 0


def clear(args: Namespace) -> int:
    """Drop the entries of a task, or all of them; 1 where there is nothing to drop."""
    if (args.task is None) != args.all:
        raise ConfigurationError("clear: name a task, or give --all")
    store = open_store(warn=_warn)
    entries = list(store.entries(args.task))
    if not entries:
        _warn("nothing is kept" + (f" of {args.task!r}{_known(store)}" if args.task else f" in {store.folder}"))
        return 1
    count = plain.spell_count(len(entries), "result")
    if args.all and not args.yes and not _agreed(f"Drop {count} in {store.folder}?"):
        return 1
    dropped = store.clear(args.task)
    freed = plain.size(sum(entry.size for entry in entries))
    print(f"dropped {plain.spell_count(dropped, 'result')}, {freed}")
    return 0


def _agreed(question: str) -> bool:
    """Ask on a terminal; elsewhere nobody could answer."""
    if not sys.stdin.isatty():
        raise ConfigurationError("clear --all: add --yes where nobody can be asked")
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def _ls_tasks(store: Store, tasks: Sequence[_Task], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps([each._asdict() for each in tasks], indent=2))
        return 0
    if not tasks:
        print(f"nothing is kept in {store.folder}")
        return 0
    now = time.time()
    rows = [
        (each.task, f"{each.entries:,}", plain.size(each.size), spell(each.cost), ago(now - each.newest))
        for each in tasks
    ]
    print(*plain.table(("task", "results", "size", "took", "newest"), rows), sep="\n")
    total = sum(each.size for each in tasks)
    print(f"{plain.spell_count(sum(each.entries for each in tasks), 'result')}, {plain.size(total)} in {store.folder}")
    return 0


def _tasks(entries: Iterable[Info]) -> list[_Task]:
    tasks: dict[str, _Task] = {}
    for each in entries:
        old = tasks.get(each.tag, _Task(each.tag, 0, 0, 0.0, 0.0, 0.0))
        tasks[each.tag] = _Task(
            each.tag,
            old.entries + 1,
            old.size + each.size,
            old.cost + each.cost,
            max(old.newest, each.created),
            max(old.used, each.accessed),
        )
    return sorted(tasks.values())


def _entry(entry: Info) -> dict[str, object]:
    return {
        "entry": entry.row,
        "task": entry.tag,
        "created": entry.created,
        "cost": entry.cost,
        "size": entry.size,
        "used": entry.accessed,
    }


def _known(store: Store) -> str:
    names = [each.task for each in _tasks(store.entries())]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"; there is {', '.join(names[:8])}{more}" if names else f": nothing is kept in {store.folder}"


def _warn(text: str) -> None:
    print(f"nbflow: {text}", file=sys.stderr)
