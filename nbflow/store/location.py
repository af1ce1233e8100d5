"""Where the store lies: the same from any working directory, and nobody else's."""

import atexit
import os
import threading
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbflow.logs import warn as _warn
from nbflow.store.seal import user_secret
from nbflow.store.store import Store

__all__ = ["locate", "open_store"]

_NAME = ".nbflow"

_stores: dict[str, Store] = {}
_guard = threading.Lock()


def locate(start: Path | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the store for work that starts in a folder. Nothing is made.

    `NBFLOW_STORE`, else `store` under `[tool.nbflow]` in the nearest pyproject.toml, else `.nbflow` in the nearest
    folder upwards that has `.nbflow`, `.git` or `pyproject.toml` and is not the home directory, else in `start`.

    Args:
        start: Where the notebook is; None is the working directory.
        environ: The environment.
    """
    start = Path(os.path.abspath(start or Path.cwd()))  # noqa: PTH100 - `resolve` would leave a linked project
    if named := environ.get("NBFLOW_STORE"):
        return _absolute(named, start)
    home = _home(environ)
    root: Path | None = None
    for folder in (start, *start.parents):
        if folder == home:
            continue
        settings = folder / "pyproject.toml"
        is_project = settings.is_file()
        if is_project and (named := _setting(settings)):
            return _absolute(named, folder)
        if root is None and (is_project or (folder / _NAME).is_dir() or (folder / ".git").exists()):
            root = folder
        if is_project:
            break
    return (root or start) / _NAME


def open_store(
    path: str | os.PathLike[str] | None = None,
    *,
    warn: Callable[[str], object] | None = None,
    max_size: int | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Store:
    """The store in a folder, one object for each folder of this process. Nothing is made before the first use.

    Args:
        path: Its folder; None is where `locate` says.
        warn: Told what the user must know; only what the first caller gives counts.
        max_size: Bytes it may hold; likewise.
        environ: The environment.

    Raises:
        StoreError: There is no key to seal entries with.
    """
    folder = locate(environ=environ) if path is None else Path(path).expanduser()
    name = os.path.realpath(folder)
    with _guard:
        store = _stores.get(name)
        if store is None:
            store = Store(Path(name), user_secret(environ), warn=warn or _warn, max_size=max_size)
            if not _stores:
                atexit.register(_close)
            _stores[name] = store
        return store


def _close() -> None:
    for store in _stores.values():
        store.close()
    _stores.clear()


def _absolute(named: str, base: Path) -> Path:
    return Path(os.path.abspath(base / Path(named).expanduser()))  # noqa: PTH100 - as above


def _home(environ: Mapping[str, str]) -> Path | None:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        return None


def _setting(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            settings: Any = tomllib.load(file)
        named = settings.get("tool", {}).get("nbflow", {}).get("store")
    except (OSError, ValueError, AttributeError):
        return None
    return named if isinstance(named, str) and named else None
