"""`nbflow history`: what ran, when, how often it was tried, and what it came to."""

import time
from argparse import Namespace

from nbflow.cli.tables import as_json, store, table, tell
from nbflow.durable.ledger import ledger_of
from nbflow.durable.recorder import runs
from nbflow.errors import ConfigurationError
from nbflow.inventory import of_runs

__all__ = ["history"]

_LIMIT = "20"


def history(args: Namespace) -> int:
    """List runs, the latest first; 1 where there is none."""
    limit = args.limit or _LIMIT
    if not limit.isdecimal() or not int(limit):
        raise ConfigurationError(f"--limit {limit}: give a whole number, 1 or more")
    where = store()
    found = runs(ledger_of(where), args.task, int(limit), failed=args.failed)
    if args.json:
        as_json([run._asdict() for run in found])
    elif found:
        table(*of_runs(found, time.time()), words=("came to", "error"))
    if not found:
        what = "failed" if args.failed else "ran"
        tell(f"nothing {what}{f' of {args.task!r}' if args.task else ''}, as far as is known in {where.folder}")
    return int(not found)
