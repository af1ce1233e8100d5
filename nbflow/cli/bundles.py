"""`nbflow export` and `nbflow import`: results in one file, to take elsewhere."""

from argparse import Namespace
from pathlib import Path

from nbflow.cli.tables import store, tell
from nbflow.inventory import known
from nbflow.widget import plain

__all__ = ["export", "take_in"]


def export(args: Namespace) -> int:
    """Write the results of some tasks, or all, to a file; 1 where one of them has none, or some are damaged."""
    where = store()
    there = {each.task for each in where.stats().tasks if each.entries}
    missing = [name for name in args.task if name not in there]
    if missing or not there:
        what = f" of {missing[0]!r}{known(where)}" if missing else f" in {where.folder}"
        tell(f"nothing is kept{what}")
        return 1
    found = where.export(args.file, args.task or None)
    print(f"exported {plain.spell_count(found.entries, 'result')}, {plain.size(found.size)}, to {Path(args.file)}")
    if found.foreign:
        tell(f"{_those(found.foreign)} sealed with a key that is not trusted, and left out: see `nbflow trust`")
    if found.damaged:
        tell(f"{_those(found.damaged)} damaged, and left out: see `nbflow verify`")
    return int(bool(found.damaged or found.foreign))


def take_in(args: Namespace) -> int:
    """Take in what `export` wrote; 1 where not all of it could be used."""
    where = store()
    found = where.import_(args.file)
    here = f"; {found.known:,} {'was' if found.known == 1 else 'were'} here already" if found.known else ""
    print(f"imported {plain.spell_count(found.entries, 'result')} into {where.folder}{here}")
    if found.foreign:
        tell(
            f"{_those(found.foreign)} sealed with a key that is not trusted, and left out: `nbflow trust KEYFILE` with "
            "the key file of whoever exported them, then import again"
        )
    if found.damaged:
        tell(f"{_those(found.damaged)} damaged, and left out")
    if not found.whole:
        tell(f"{args.file} is cut short: what is missing behind that is not known")
    return int(bool(found.damaged or found.foreign or not found.whole))


def _those(count: int) -> str:
    return f"{plain.spell_count(count, 'result')} {'is' if count == 1 else 'are'}"
