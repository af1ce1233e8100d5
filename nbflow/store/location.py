"""Where the store lies, the same from any working directory, and how it is set: in code, environment or project."""

import atexit
import copyreg
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from nbflow.errors import ConfigurationError
from nbflow.logs import warn as _warn
from nbflow.store.container import Verify
from nbflow.store.seal import user_secret
from nbflow.store.sizes import size_of
from nbflow.store.store import Store
from nbflow.store.trusted import trusted_keys

__all__ = ["IN_PROJECT", "elsewhere", "locate", "open_store", "project_settings", "storage_of", "verify_of"]

IN_PROJECT: Final = frozenset({"store", "verify", "max_size", "durability", "tag_limits"})
"""Settings that pyproject.toml may have, there with a hyphen."""

_NAME: Final = ".nbflow"
_VERIFY: Final = ("full", "sealed")

_stores: dict[str, Store] = {}
_guard = threading.Lock()


def locate(start: Path | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the store for work that starts in a folder. Nothing is made.

    `NBFLOW_STORE`, else `store` under `[tool.nbflow]` in the nearest pyproject.toml, else `.nbflow` in the nearest
    folder upwards that has `.nbflow`, `.git` or `pyproject.toml` and is not the home directory, else in `start`.

    Args:
        start: Where the notebook is; None is the working directory.
        environ: The environment; None is that of this process.
    """
    environ = os.environ if environ is None else environ
    start = _absolute(start or Path.cwd())
    if named := environ.get("NBFLOW_STORE"):
        return _absolute(start / Path(named).expanduser())
    root, project = _project(start, environ)
    named = _table(project).get("store") if project else None
    if project and isinstance(named, str) and named:
        return _absolute(project.parent / Path(named).expanduser())
    return (root or start) / _NAME


def open_store(
    path: str | os.PathLike[str] | None = None,
    *,
    warn: Callable[[str], object] | None = None,
    verify: Verify | None = None,
    max_size: int | str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Store:
    """The store in a folder, one object for each folder of this process. Nothing is made before the first use.

    What is not given here is as `NBFLOW_VERIFY` and `NBFLOW_MAX_SIZE` say, or else `verify` and `max-size` under
    `[tool.nbflow]` in the nearest pyproject.toml. What is given counts for all who use the folder in this process.

    Args:
        path: Its folder; None is that of `NBFLOW_STORE`, else of `store` under `[tool.nbflow]`, else `.nbflow` in the
            project, or where the notebook is.
        warn: Told what the user must know; only what the first caller gives counts.
        verify: `full` checks bulk data when it is loaded; `sealed` only what code could hide in, which is faster.
        max_size: Bytes that it may hold, or text such as `5GB`; by default 10 GB or a tenth of the volume, the smaller.
        environ: The environment; None is that of this process.

    Raises:
        ConfigurationError: A setting cannot be meant as it was written.
        StoreError: There is no key to seal entries with.
    """
    environ = os.environ if environ is None else environ
    verify = None if verify is None else verify_of(verify)
    bound = None if max_size is None else size_of(max_size, "max_size")
    folder = locate(environ=environ) if path is None else Path(path).expanduser()
    name = os.path.realpath(folder)
    with _guard:
        store = _stores.get(name)
        if store is None:
            say = warn or _warn
            said = {each: elsewhere(each, form, environ, say)[0] for each, form in _FORMS.items()}
            store = Store(Path(name), user_secret(environ), warn=say, trusted=trusted_keys(environ), **said)
            if not _stores:
                atexit.register(_close)
            _stores[name] = store
        store.adjust(verify=verify, max_size=bound)
        return store


copyreg.pickle(Store, lambda store: (open_store, (str(store.folder),)))  # never with its key


def storage_of(given: Any) -> Path | Store:
    """What `result_storage=` may be: the path of a folder, a `Store`, or an object of Prefect's kind that names one.

    Raises:
        ConfigurationError: It is none of these.
    """
    inner = getattr(given, "result_storage", None) or given  # ResultStore(result_storage=...)
    if isinstance(inner, Store):
        return inner
    inner = getattr(inner, "basepath", None) or inner  # LocalFileSystem(basepath=...)
    if not isinstance(inner, str | os.PathLike) or not os.fspath(inner):
        raise ConfigurationError(f"result_storage={given!r}: give the path of a folder, or a Store")
    return Path(inner).expanduser().absolute()


def verify_of(given: Any, what: str = "verify") -> Verify:
    """A way to check what is loaded.

    Raises:
        ConfigurationError: There is no such way.
    """
    if given not in _VERIFY:
        raise ConfigurationError(f"{what}={given!r}: give {' or '.join(_VERIFY)}")
    found: Verify = given
    return found


_FORMS: Final[dict[str, Callable[[Any, str], Any]]] = {"verify": verify_of, "max_size": size_of}


def elsewhere(
    name: str, form: Callable[[Any, str], Any], environ: Mapping[str, str], warn: Callable[[str], object]
) -> tuple[Any, str]:
    """What the environment, or else the project, says of a setting, and where; `(None, "")` where nobody says it.

    Args:
        name: What `configure` calls it.
        form: Makes a value of what is written there and the words for that place, or raises ConfigurationError.
        environ: The environment.
        warn: Told what cannot be meant as it was written: it is not followed, and ends no step.
    """
    variable = key = where = f"NBFLOW_{name.upper()}"
    given: Any = environ.get(variable)
    if not given and name in IN_PROJECT:
        project, table = project_settings(environ)
        where, key = str(project), name.replace("_", "-")
        given, key = table.get(key), f"{project}: {key}"
    if given is None or given == "":
        return None, ""
    try:
        return form(given, key), where
    except ConfigurationError as error:
        warn(f"{error}; it is not followed")
        return None, ""


def project_settings(environ: Mapping[str, str]) -> tuple[Path | None, Mapping[str, Any]]:
    """The nearest pyproject.toml, and what `[tool.nbflow]` in it says."""
    _, project = _project(_absolute(Path.cwd()), environ)
    return project, _table(project) if project else {}


def _close() -> None:
    for store in _stores.values():
        store.close()
    _stores.clear()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would leave a linked project


def _project(start: Path, environ: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    """The project that a folder belongs to, and the nearest pyproject.toml; None where there is none."""
    homes = _homes(environ)
    root: Path | None = None
    for folder in (start, *start.parents):
        if folder in homes:
            continue
        settings = folder / "pyproject.toml"
        is_project = settings.is_file()
        if root is None and (is_project or (folder / _NAME).is_dir() or (folder / ".git").exists()):
            root = folder
        if is_project:
            return root, settings
    return root, None


def _homes(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The home directory as it is named, and as the working directory names it where a link leads to it."""
    try:
        home = Path(environ.get("HOME") or Path.home())
    except RuntimeError:
        return ()
    return home, Path(os.path.realpath(home))


def _table(path: Path) -> Mapping[str, Any]:
    """`[tool.nbflow]` of a pyproject.toml; nothing where it cannot be read."""
    try:
        text = path.read_text("utf-8")
        if "nbflow" not in text:
            return {}
        import tomllib  # noqa: PLC0415 - 4 ms, which only those pay who keep their settings there

        settings: Any = tomllib.loads(text)
        table = settings.get("tool", {}).get("nbflow", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return table if isinstance(table, dict) else {}
