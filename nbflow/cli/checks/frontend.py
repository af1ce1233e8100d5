"""Where the panel lives: JupyterLab, Notebook, and the extensions that draw widgets there."""

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jupyter_core.paths import jupyter_config_path, jupyter_path

from nbflow.cli.checks.check import Check, fail, ok, warn
from nbflow.world.versions import distribution

__all__ = ["checks"]

_LEAST: Final = {"jupyterlab": 4, "notebook": 7}
_EXTENSIONS: Final = {"anywidget": "anywidget", "@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets"}
"""Labextension to the distribution that brings it."""


def checks() -> Iterator[Check]:
    """All about the front end, as far as it is in this environment."""
    there = {name: version for name in _LEAST if (version := distribution(name)) is not None}
    if there:
        yield ok("front end", ", ".join(f"{name} {version}" for name, version in there.items()))
    else:
        yield ok("front end", "none in this environment: JupyterLab elsewhere needs anywidget in its own")
    for name, version in there.items():
        if int(version.partition(".")[0]) < _LEAST[name]:
            yield warn("front end", f"{name} {version} is older than what is tested", f"pip install -U {name}")
    for name, package in _EXTENSIONS.items() if there else ():
        yield _extension(name, package)
    files = [name for name in ("panel.js", "panel.css") if not (resources.files("nbflow.widget") / name).is_file()]
    if files:
        yield fail("panel", f"{' and '.join(files)} are missing", "pip install --force-reinstall nbflow")


def _extension(name: str, package: str) -> Check:
    place = next((path for path in map(Path, jupyter_path("labextensions")) if (path / name).is_dir()), None)
    cure = f"pip install --force-reinstall {package}, where JupyterLab runs; then reload the page"
    if place is None:
        return warn("extension", f"{name} is not found: the panel falls back to static rows", cure)
    if name in _disabled():
        return warn("extension", f"{name} is disabled", f"jupyter labextension enable {name}")
    version = _read(place / name / "package.json").get("version", "")
    return ok("extension", f"{name} {version} in {place}")


def _disabled() -> set[str]:
    found: set[str] = set()
    for folder in map(Path, jupyter_config_path()):
        listed = _read(folder / "labconfig" / "page_config.json").get("disabledExtensions", {})
        found |= {name for name in listed if not isinstance(listed, dict) or listed[name]}
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
