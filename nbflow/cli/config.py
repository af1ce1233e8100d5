"""`nbflow config`: which settings hold here, and where each was made."""

import os
from argparse import Namespace

from nbflow.cli.tables import as_json, table
from nbflow.configuration import Setting, effective
from nbflow.store.seal import key_file

__all__ = ["config"]


def config(args: Namespace) -> int:
    """All settings of a kernel that would be started here."""
    found = [*effective(), _key()]
    if args.json:
        as_json([each._asdict() for each in found])
    else:
        table(("setting", "value", "from"), found, words=("value", "from"))
    return 0


def _key() -> Setting:
    name = "NBFLOW_STORE_KEY_FILE"
    return Setting("key file", str(key_file(os.environ)), name if os.environ.get(name) else "default")
