"""The examples in docstrings are what happens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOWING = sorted(path for path in (ROOT / "nbflow").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
RUN = """
import doctest, importlib, sys
wrong = []
for name in sys.argv[1:]:
    ended = doctest.testmod(importlib.import_module(name))
    if ended.failed or not ended.attempted:
        wrong.append(f"{name}: {ended}")
sys.exit("\\n".join(wrong) or 0)
"""


def test_every_example_runs(tmp_path):
    """The first thing that a user copies would not work."""
    pytest.importorskip("pandas")
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in SHOWING]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NBFLOW_")}
    environment |= {"NBFLOW_STORE": str(tmp_path / "store"), "NBFLOW_STORE_KEY_FILE": str(tmp_path / "key")}
    command = [sys.executable, "-W", "error", "-c", RUN, *names]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
