"""Two entries as this version's store writes them: one small enough for a row, one in a container of its own."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from nbflow.store import Draft, Store
from nbflow.trace import Fact, Trait

HERE = Path(__file__).parent
ROW, CONTAINER = HERE / "row.json", HERE / "container.nbf"
SECRET = b"golden" * 6
"""A key for tests: real ones are random, and lie in the user's settings."""

SMALL, BIG = "5a" * 16, "b1" * 16
CREATED, COST = 1_700_000_000.5, 41.25
FACTS = (Fact("file", "data.csv", "ab" * 16, [3, 4, 5, 6, 7]), Fact("environment", "RATE", ""))
TRAITS = {"the code": Trait("cd" * 16, ""), "input lr": Trait("ef" * 16, "0.1")}


def value(key: str) -> Any:
    """What an entry holds."""
    import numpy as np

    small = {"text": "käse", "rows": [(1, 2.5), None], "bytes": b"\0\xff"}
    return small if key == SMALL else {**small, "array": np.arange(20_000, dtype="<u2").reshape(100, 200)}


def draft(key: str) -> Draft:
    return Draft(key, "prices", value(key), COST, FACTS, TRAITS, CREATED)


def write() -> None:
    """Keep what the store makes of the two."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store", SECRET, warn=print, clock=lambda: CREATED)
        store.save(draft(SMALL))
        store.save(draft(BIG))
        [found] = store.find(SMALL)
        store.close()
        [container] = (store.folder / "blobs").glob("*/*.nbf")
        name = f"{container.parent.name}/{container.name}"
        shutil.copyfile(container, CONTAINER)
    ROW.write_text(json.dumps({"row": found.row, "body": found.body.hex(), "container": name}, indent=1) + "\n")
