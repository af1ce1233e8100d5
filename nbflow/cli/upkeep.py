"""`nbflow stats`, `nbflow prune` and `nbflow verify`: how full a store is, what it saves, whether it is sound."""

from argparse import Namespace

from nbflow.cli.tables import as_json, store, table, tell
from nbflow.inventory import known, pruned, saved_by_tasks, total
from nbflow.widget import plain

__all__ = ["prune", "stats", "verify"]


def stats(args: Namespace) -> int:
    """What is kept of each task, and what that has saved."""
    where = store()
    full = where.stats()
    if args.json:
        as_json({**full._asdict(), "folder": str(where.folder), "tasks": [each._asdict() for each in full.tasks]})
        return 0
    if full.tasks:
        table(*saved_by_tasks(full.tasks))
    print(total(full, where))
    return 0


def prune(args: Namespace) -> int:
    """Drop what is too old or too much; 1 where there is no such task."""
    where = store()
    said = pruned(where, args.max_size, args.older, args.task)
    if said is None:
        tell(f"nothing is kept of {args.task!r}" + known(where))
        return 1
    print(said)
    return 0


def verify(args: Namespace) -> int:
    """Check all that is kept; 1 where there is damage that was not repaired."""
    where = store()
    found, left, faults = where.verify(repair=args.repair), where.leftovers(), where.faults()
    if args.json:
        as_json(
            {
                **found._asdict(),
                "repaired": args.repair,
                "index": faults,
                "orphans": dict(left.orphans),
                "quarantine": dict(left.quarantine),
            }
        )
        return int(bool(faults or (found.damaged and not args.repair)))
    what = [f"{plain.spell_count(found.sound, 'result')} sound", f"{found.damaged:,} damaged"]
    if found.foreign:
        what.append(f"{found.foreign:,} sealed with a key that is not trusted (see nbflow trust)")
    print(f"{', '.join(what)}; in {where.folder}")
    for line in faults:
        print(f"the index: {line}")
    for kind, files in (("orphaned", left.orphans), ("in quarantine", left.quarantine)):
        if files:
            print(f"{plain.spell_count(len(files), 'file')} {kind}:")
            table(("file", "size"), ((name, plain.size(size)) for name, size in files))
    if found.damaged and not args.repair:
        tell("`nbflow verify --repair` puts what is damaged aside; it is then computed again when it is needed")
        return 1
    return int(bool(faults))
