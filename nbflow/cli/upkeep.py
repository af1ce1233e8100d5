"""`nbflow stats`, `nbflow prune` and `nbflow verify`: how full a store is, what it saves, whether it is sound."""

from argparse import Namespace

from nbflow.cli.tables import as_json, known, store, table, tell
from nbflow.durations import seconds, spell
from nbflow.store import size_of
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
        table(
            ("task", "results", "size", "took", "hits", "saved"),
            (
                (
                    each.task,
                    f"{each.entries:,}",
                    plain.size(each.size),
                    spell(each.cost),
                    f"{each.hits:,}",
                    spell(each.saved),
                )
                for each in full.tasks
            ),
        )
    kept = f"{plain.spell_count(full.entries, 'result')}, {plain.size(full.size)} of {plain.size(full.max_size)}"
    print(f"{kept}; {plain.spell_count(full.hits, 'hit')} saved {spell(full.saved)}; in {where.folder}")
    return 0


def prune(args: Namespace) -> int:
    """Drop what is too old or too much; 1 where there is no such task."""
    bound = None if args.max_size is None else size_of(args.max_size, "--max-size")
    older = None if args.older is None else seconds(args.older, "--older")
    where = store()
    before = where.stats()
    if args.task is not None and not any(each.task == args.task and each.entries for each in before.tasks):
        tell(f"nothing is kept of {args.task!r}" + known(where))
        return 1
    freed = where.prune(bound, older, args.task)
    after = where.stats()
    dropped = plain.spell_count(before.entries - after.entries, "result")
    left = f"{plain.spell_count(after.entries, 'result')}, {plain.size(after.size)} left in {where.folder}"
    print(f"dropped {dropped}, {plain.size(max(freed, 0))}; {left}")
    return 0


def verify(args: Namespace) -> int:
    """Check all that is kept; 1 where there is damage that was not repaired."""
    where = store()
    found, left = where.verify(repair=args.repair), where.leftovers()
    if args.json:
        as_json(
            {
                **found._asdict(),
                "repaired": args.repair,
                "orphans": dict(left.orphans),
                "quarantine": dict(left.quarantine),
            }
        )
        return int(bool(found.damaged and not args.repair))
    what = [f"{plain.spell_count(found.sound, 'result')} sound", f"{found.damaged:,} damaged"]
    if found.foreign:
        what.append(f"{found.foreign:,} sealed with a key that is not trusted (see nbflow trust)")
    print(f"{', '.join(what)}; in {where.folder}")
    for kind, files in (("orphaned", left.orphans), ("in quarantine", left.quarantine)):
        if files:
            print(f"{plain.spell_count(len(files), 'file')} {kind}:")
            table(("file", "size"), ((name, plain.size(size)) for name, size in files))
    if found.damaged and not args.repair:
        tell("`nbflow verify --repair` puts what is damaged aside; it is then computed again when it is needed")
        return 1
    return 0
