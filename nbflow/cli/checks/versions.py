"""Versions: Python, SQLite, what nbflow needs, Dask; and whether the kernels that Jupyter offers have nbflow at all."""

import platform
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from nbflow import __version__
from nbflow.cli.checks.check import Check, fail, ok, warn
from nbflow.world.versions import distribution

__all__ = ["checks"]

_NEEDED: Final = re.compile(r"([A-Za-z0-9_.-]+)\s*(?:>=\s*([0-9.]+))?")
_SQLITE: Final = (3, 35)
"""`RETURNING` came with it."""
_ASK: Final = "import nbflow; print(nbflow.__version__)"
_PATIENCE: Final = 30.0


def checks() -> Iterator[Check]:
    """All about versions."""
    yield ok("nbflow", f"{__version__}, Python {platform.python_version()}, {platform.system()} ({sys.executable})")
    if sqlite3.sqlite_version_info < _SQLITE:
        yield fail("SQLite", sqlite3.sqlite_version, "use a Python with SQLite 3.35 or newer")
    else:
        yield ok("SQLite", sqlite3.sqlite_version)
    yield from _packages()
    yield _dask()
    yield from _kernels()


def _packages() -> Iterator[Check]:
    """What nbflow requires, by its own metadata."""
    found = []
    for line in metadata.requires("nbflow") or ():
        match = _NEEDED.match(line)
        if match is None or "extra ==" in line:
            continue
        name, least = match[1], match[2] or "0"
        version = distribution(name)
        if version is None:
            yield fail(name, "is not installed", f"{sys.executable} -m pip install '{name}>={least}'")
        elif _numbers(version) < _numbers(least):
            yield fail(name, f"{version} is too old", f"{sys.executable} -m pip install '{name}>={least}'")
        else:
            found.append(f"{name} {version}")
    yield ok("packages", ", ".join(found))


def _dask() -> Check:
    versions = {name: distribution(name) for name in ("dask", "distributed")}
    if versions["distributed"] is None:
        return ok("Dask", "not installed; only DaskTaskRunner needs it")
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    if versions["dask"] != versions["distributed"]:
        return warn("Dask", f"{said}: they should be of one version", "pip install --upgrade 'nbflow[dask]'")
    return ok("Dask", said)


def _kernels() -> Iterator[Check]:
    """Each Python that a kernel of Jupyter runs on has to have nbflow: that is where `%load_ext nbflow` looks."""
    from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415 - 0.2 s, for this alone

    asked: dict[str, Check] = {}
    for name, found in KernelSpecManager().get_all_specs().items():
        spec = found["spec"]
        if str(spec.get("language", "")).lower() == "python" and spec.get("argv"):
            python = _python(spec["argv"][0])
            asked.setdefault(python, _kernel(name, python))
    yield from asked.values()


def _kernel(name: str, python: str) -> Check:
    title = f"kernel {name}"
    if python == sys.executable:
        return ok(title, f"{__version__} in this Python")
    try:
        ran = subprocess.run(  # noqa: S603 - what Jupyter itself would start
            [python, "-c", _ASK], capture_output=True, text=True, timeout=_PATIENCE, cwd="/", check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return warn(title, f"{python} cannot be asked: {type(error).__name__}", f"jupyter kernelspec remove {name}")
    version = ran.stdout.strip()
    if ran.returncode:
        return warn(title, f"{python} has no nbflow", f"{python} -m pip install nbflow")
    if version != __version__:
        return warn(title, f"{python} has nbflow {version}, not {__version__}", f"{python} -m pip install -U nbflow")
    return ok(title, f"{version} in {python}")


def _python(word: str) -> str:
    """What a kernel's first word stands for; `python` is Jupyter's own, which is taken for this one."""
    if word in {"python", "python3", f"python{sys.version_info.major}.{sys.version_info.minor}"}:
        return sys.executable
    found = shutil.which(word) or word
    return sys.executable if Path(found).absolute() == Path(sys.executable).absolute() else found


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))
