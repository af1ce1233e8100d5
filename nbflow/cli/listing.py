"""`nbflow ls` and `nbflow clear`: what is in the store, and out with it."""

import sys
import time
from argparse import Namespace

from nbflow.cli.tables import as_json, store, table, tell
from nbflow.errors import ConfigurationError
from nbflow.inventory import known, of_results, of_tasks
from nbflow.store import Info, Store
from nbflow.widget import plain

__all__ = ["clear", "ls"]


def ls(args: Namespace) -> int:
    """List the tasks, or the entries of one; 1 where there is no such task."""
    where = store()
    if args.task is None:
        return _ls_tasks(where, json=args.json)
    entries = sorted(where.entries(args.task), key=lambda entry: -entry.created)
    if not entries:
        tell(f"nothing is kept of {args.task!r}" + known(where))
        return 1
    if args.json:
        as_json([_entry(entry) for entry in entries])
        return 0
    table(*of_results(entries, time.time()))
    return 0


def _ls_tasks(where: Store, *, json: bool) -> int:
    full = where.stats()
    tasks = [each for each in full.tasks if each.entries]
    if json:
        kept = ("task", "entries", "size", "cost", "newest", "used")
        as_json([{name: getattr(each, name) for name in kept} for each in tasks])
        return 0
    if not tasks:
        print(f"nothing is kept in {where.folder}")
        return 0
    table(*of_tasks(tasks, time.time()))
    print(f"{plain.spell_count(full.entries, 'result')}, {plain.size(full.size)} in {where.folder}")
    return 0


def clear(args: Namespace) -> int:
    """Drop the entries of a task, or all of them; 1 where there is nothing to drop."""
    if (args.task is None) != args.all:
        raise ConfigurationError("clear: name a task, or give --all")
    where = store()
    full = where.stats()
    entries, size = full.entries, full.size
    if args.task is not None:
        entries, size = next(((each.entries, each.size) for each in full.tasks if each.task == args.task), (0, 0))
    if not entries:
        tell("nothing is kept" + (f" of {args.task!r}{known(where)}" if args.task else f" in {where.folder}"))
        return 1
    count = plain.spell_count(entries, "result")
    if args.all and not args.yes and not _agreed(f"Drop {count} in {where.folder}?"):
        return 1
    print(f"dropped {plain.spell_count(where.clear(args.task), 'result')}, {plain.size(size)}")
    return 0


def _agreed(question: str) -> bool:
    """Ask on a terminal; elsewhere nobody could answer."""
    if not sys.stdin.isatty():
        raise ConfigurationError("clear --all: add --yes where nobody can be asked")
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        print()
        return False


def _entry(entry: Info) -> dict[str, object]:
    return {
        "entry": entry.row,
        "task": entry.tag,
        "created": entry.created,
        "cost": entry.cost,
        "size": entry.size,
        "used": entry.accessed,
    }
