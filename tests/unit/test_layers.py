"""The floors of the code, and what an import of nbflow costs."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nbflow
from nbflow.session import Settings

ROOT = Path(__file__).parents[2]


def test_imports_point_down():
    """A circle, or a core that needs a notebook: nbflow could not be used, or tested, without one."""
    pytest.importorskip("importlinter")
    lint = "import sys; from importlinter import cli; sys.exit(cli.lint_imports(no_cache=True))"  # it mutes all loggers
    ran = subprocess.run(
        [sys.executable, "-c", lint], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout


def fresh(code):
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_a_module_of_the_core_does_not_import_the_rest():
    """`from nbflow import events` inside the core would import all of nbflow, in a circle."""
    loaded = fresh("import sys, nbflow.step.plan; print(*[m for m in sys.modules])")
    assert "nbflow.step.plan" in loaded
    assert not {"nbflow.api", "nbflow.tasks", "nbflow.store", "asyncio", "threading", "tenacity"} & set(loaded)


def test_import_starts_nothing():
    """`from nbflow import task` would start a thread, open a port, make a folder, or import what it does not need."""
    code = """
import os, sys, threading
before = set(os.listdir("/proc/self/fd")) if os.path.exists("/proc") else set()
from nbflow import task
after = set(os.listdir("/proc/self/fd")) if os.path.exists("/proc") else set()
heavy = {"asyncio", "numpy", "pandas", "IPython", "ipywidgets", "anywidget", "diskcache", "joblib", "tenacity", "distributed"}
print(threading.active_count(), len(after - before), *sorted(heavy & set(sys.modules)))
"""
    assert fresh(code) == ["1", "0"]


def test_help_names_what_there_is():
    """`help(nbflow)` would be four thousand lines without a table of contents; `help(nbflow.configure)` name nothing."""
    assert {*nbflow.__all__} <= {*re.findall(r"\w+", nbflow.__doc__)}
    assert {*Settings.__dataclass_fields__} == {*inspect.signature(nbflow.configure).parameters}
    for each in (nbflow.configure, nbflow.task, nbflow.flow):
        head, _, options = inspect.getdoc(each).partition("Attributes:")
        assert "\n>>> " in head and options, "what was joined is indented as one"


def test_every_public_name_is_there():
    """A name of the README would not import, or `from nbflow import *` fail."""
    code = "import nbflow; print(*[n for n in nbflow.__all__ if getattr(nbflow, n, None) is None])"
    assert fresh(code) == []
    with pytest.raises(ImportError):
        from nbflow import no_such_name  # noqa: F401
