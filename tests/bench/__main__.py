"""`python -m tests.bench [core|keys|store ...] [--json]`: nbflow beside its peers."""

import argparse
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from tests.bench.race import Row, show

AREAS = ("core", "keys", "store")


def main() -> int:
    """Run the areas that are named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("area", nargs="*", choices=[*AREAS, []], help="by default all of them")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    from nbflow import configure

    rows: list[Row] = []
    for area in asked.area or AREAS:
        folder = Path(tempfile.mkdtemp(prefix="nbflow-bench-"))
        configure(store=folder / "nbflow")
        try:
            for row in import_module(f"tests.bench.{area}").rows(folder):
                rows.append(row)
                print(f"{row.work} ...", file=sys.stderr)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    show(rows, as_json=asked.json)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
