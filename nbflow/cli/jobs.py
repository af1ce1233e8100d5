"""`nbflow jobs`: how far jobs have come, and which effects are in doubt."""

import time
from argparse import Namespace

from nbflow.cli.tables import as_json, store, table, tell
from nbflow.durable import effects, marks
from nbflow.durable.ledger import ledger_of
from nbflow.inventory import of_effects, of_jobs

__all__ = ["jobs"]

_HIDDEN = frozenset({"result", "round", "fingerprint"})


def jobs(args: Namespace) -> int:
    """List jobs and effects in doubt, or one job; 1 where there is no such job."""
    where = store()
    ledger = ledger_of(where)
    known = [job for job in marks.jobs(ledger) if args.name in (None, job.name)]
    doubts = effects.doubts(ledger) if args.name is None else []
    if args.name is not None and not known:
        tell(f"there is no job {args.name!r} in {where.folder}")
        return 1
    if args.json:
        shown = [{name: each for name, each in doubt._asdict().items() if name not in _HIDDEN} for doubt in doubts]
        as_json({"jobs": [job._asdict() for job in known], "effects": shown})
        return 0
    if known:
        table(*of_jobs(known, time.time()))
    if doubts:
        table(*of_effects(doubts, time.time()), words=("by", "came to"))
        print("look whether each happened, then once.resolve(KEY, 'done') or once.resolve(KEY, 'retry')")
    if not known and not doubts:
        print(f"there are no jobs, and nothing is in doubt, in {where.folder}")
    return 0
