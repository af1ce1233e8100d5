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
tried = failed = 0
for name in sys.argv[1:]:
    ended = doctest.testmod(importlib.import_module(name))
    tried, failed = tried + ended.attempted, failed + ended.failed
sys.exit(f"{failed} of {tried} failed" if failed or tried < len(sys.argv) - 1 else 0)
"""


def test_every_example_runs(tmp_path):
    """The first thing that a user copies would not work."""
    pytest.importorskip("pandas")
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in SHOWING]
    environment = {**os.environ, "NBFLOW_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-W", "error", "-c", RUN, *names]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
