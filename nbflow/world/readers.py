"""Libraries that read and write behind Python's back: where no audit event tells, their entry points do.

A module of `_ENTRIES` gets its functions wrapped once it is imported, by whomever; none is imported for it. A run
that imports one itself would use it before anybody looked, so for that one import a finder stands in
`sys.meta_path` and takes itself out again. A wrapper passes through whatever it gets; a name that was taken out
of its module before (`from polars import read_csv`) is the original and is not seen. Files that are named by a
constant or an input are seen without this (`Sight.mention`).
"""

# Strings, as the hook gets them: a `Path` costs more than what is asked of the system.
# ruff: noqa: PTH109, PTH110, PTH111, PTH112, PTH118, PTH207

import functools
import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from nbflow.world.current import running, unseen
from nbflow.world.paths import absolute, excluded
from nbflow.world.quiet import quiet
from nbflow.world.threads import sights

__all__ = ["arm", "declare", "expect"]

Act = Callable[[tuple[Any, ...], dict[str, Any]], None]

_NAMES = (
    "source", "file", "where", "path", "paths", "sources", "path_or_paths", "dest", "base_dir", "root_path",
    "target", "filename", "path_or_buf", "f", "name", "database", "query", "input_file", "output_file", "sql_query",
    "con", "parameters", "params",
)  # fmt: skip
# Patterns are compiled when first needed: a regular expression costs 0.3 ms at import.
_QUOTED = r"'([^'\n]+)'|\"([^\"\n]+)\""
_COPIES = r"(?i)\b(copy|export)\b"
_ATTACHES = r"(?i)\battach\b"


def _argument(at: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if len(args) > at:
        return args[at]
    return next((kwargs[name] for name in _NAMES if name in kwargs), None)


def _paths(value: object) -> Iterable[str]:
    if isinstance(value, (list, tuple, set, frozenset)):
        for each in value:
            yield from _paths(each)
    elif isinstance(value, (str, os.PathLike)):
        path = os.fspath(value)
        if isinstance(path, str):
            yield os.path.expanduser(path.removeprefix("file://"))


def _tell(method: str, *args: Any, **kwargs: Any) -> None:
    for sight in sights():
        getattr(sight, method)(*args, **kwargs)


def declare(paths: Iterable[object]) -> None:
    """Count files that the user named, wherever they lie and whether or not they are there; of a folder all below."""
    _reading([*paths], anywhere=True)


def _reading(value: object, *, anywhere: bool = False) -> None:
    for written in _paths(value):
        if "://" in written:
            _tell("touch", "network")
            continue
        path = absolute(written, os.getcwd())
        if excluded(path) and not anywhere:
            continue
        if os.path.isdir(path):
            _reading_under(path, written)
        elif glob.has_magic(written) and not os.path.exists(path):
            _tell("globs", path, written, recursive=True, include_hidden=False)
            with unseen():
                found = glob.glob(written, recursive=True)
            _reading(found, anywhere=anywhere)
        else:
            _tell("reads", path, written)


def _reading_under(path: str, written: str) -> None:
    with unseen():
        tree = list(os.walk(path))
    for folder, _, names in tree:
        below = folder[len(path) :]
        _tell("lists", folder, written + below)
        for name in names:
            _tell("reads", os.path.join(folder, name), os.path.join(written + below, name))


def _writing(value: object) -> None:
    for written in _paths(value):
        if "://" in written:
            _tell("touch", "network")
            continue
        path = absolute(written, os.getcwd())
        if not excluded(path):
            _tell("writes", path, written)


def _reads(at: int) -> Act:
    return lambda args, kwargs: _reading(_argument(at, args, kwargs))


def _writes(at: int) -> Act:
    return lambda args, kwargs: _writing(_argument(at, args, kwargs))


def _touches(kind: str) -> Act:
    return lambda *_: _tell("touch", kind)


def _asks(at: int) -> Act:
    """SQL by a connection. Of sqlite's own it is known where they lead, from when they were made."""

    def act(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        connection = _argument(at, args, kwargs)
        url = getattr(getattr(connection, "engine", None), "url", None)
        own = type(connection).__module__ == "sqlite3" or re.fullmatch(r"sqlite[^/]*://(/:memory:)?", str(url))
        if not own:
            _tell("touch", "database")

    return act


def _works(args: tuple[Any, ...], _: dict[str, Any]) -> None:
    """Work for other processes, `self` first: what they read is unseen."""
    if type(args[0]).__name__ != "ThreadPool":
        _tell("touch", "child process")


def _connects(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """`duckdb.connect`: one in memory is no database that outlives the run."""
    for path in _paths(_argument(0, args, kwargs)):
        if path and not path.startswith(":memory:"):
            _tell("touch", "database")
            _tell("ignores", absolute(path, os.getcwd()))


def _sql(at: int) -> Act:
    def act(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        query = _argument(at, args, kwargs)
        if not isinstance(query, str):
            return
        named = [single or double for single, double in re.findall(_QUOTED, query)]
        given = _argument(at + 1, args, kwargs)  # `select * from read_csv(?)`
        given = given.values() if isinstance(given, dict) else given if isinstance(given, (list, tuple)) else ()
        named += [name for name in given if isinstance(name, str)]
        if re.search(_ATTACHES, query):
            _tell("touch", "database")
        elif re.search(_COPIES, query):
            _writing(named)
        else:
            _reading([name for name in named if "://" in name or glob.has_magic(name) or os.path.exists(name)])

    return act


def _opens_h5(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """`h5py.File(self, name, mode="r")`, and those like it."""
    mode = args[2] if len(args) > 2 else kwargs.get("mode", "r")
    if mode == "r":
        _reading(_argument(1, args, kwargs))
    elif mode in {"w", "w-", "x"}:
        _writing(_argument(1, args, kwargs))
    else:
        for path in _paths(_argument(1, args, kwargs)):
            _tell("updates", absolute(path, os.getcwd()))


# Module: for each sort of entry point, the class it is in or "", a pattern of names, and what a call means.
_ENTRIES: dict[str, Sequence[tuple[str, str, Act]]] = {
    "pandas": (
        ("", r"read_(parquet|feather|orc|hdf)", _reads(0)),
        ("", r"read_sql.*", _asks(1)),
        ("DataFrame", r"to_(parquet|feather|orc|hdf)", _writes(1)),
        ("DataFrame", r"to_sql", _asks(2)),
    ),
    "polars": (
        ("", r"read_database.*", _touches("database")),
        ("", r"(read|scan)_(?!clipboard|database).*", _reads(0)),
        ("DataFrame", r"write_database", _touches("database")),
        ("DataFrame", r"write_(?!clipboard|database).*", _writes(1)),
        ("LazyFrame", r"sink_.*", _writes(1)),
        ("", r"sql", _sql(0)),
        ("SQLContext", r"execute", _sql(1)),
    ),
    "pyarrow": (("", r"memory_map|input_stream", _reads(0)), ("", r"output_stream|create_memory_map", _writes(0))),
    "pyarrow.csv": (("", r"read_csv|open_csv", _reads(0)), ("", r"write_csv", _writes(1))),
    "pyarrow.dataset": (("", r"dataset|parquet_dataset", _reads(0)), ("", r"write_dataset", _writes(1))),
    "pyarrow.feather": (("", r"read_table|read_feather", _reads(0)), ("", r"write_feather", _writes(1))),
    "pyarrow.ipc": (("", r"open_(file|stream)", _reads(0)), ("", r"new_(file|stream)", _writes(0))),
    "pyarrow.json": (("", r"read_json|open_json", _reads(0)),),
    "pyarrow.orc": (
        ("", r"read_table", _reads(0)),
        ("", r"write_table", _writes(1)),
        ("ORCFile", r"__init__", _reads(1)),
    ),
    "pyarrow.parquet": (
        ("", r"read_(table|pandas|metadata|schema)", _reads(0)),
        ("", r"write_(table|to_dataset|metadata)", _writes(1)),
        ("ParquetFile", r"__init__", _reads(1)),
        ("ParquetDataset", r"__init__", _reads(1)),
        ("ParquetWriter", r"__init__", _writes(1)),
    ),
    "duckdb": (
        ("", r"connect", _connects),
        ("", r"read_.*|from_(parquet|csv_auto)", _reads(0)),
        ("", r"sql|query|execute|from_query", _sql(0)),
        ("", r"query_df", _sql(2)),
        ("DuckDBPyConnection", r"sql|query|execute|from_query", _sql(1)),
        ("DuckDBPyConnection", r"read_.*|from_(parquet|csv_auto)", _reads(1)),
        ("DuckDBPyRelation", r"write_.*|to_(csv|parquet)", _writes(1)),
    ),
    "h5py": (("File", r"__init__", _opens_h5),),
    "tables": (("", r"open_file", lambda args, kwargs: _opens_h5((None, *args), kwargs)),),
    "netCDF4": (("Dataset", r"__init__", _opens_h5),),
    "rasterio": (("", r"open", lambda args, kwargs: _opens_h5((None, *args), kwargs)),),
    "torch": (("", r"save", _writes(1)),),
    "cv2": (("", r"imread", _reads(0)), ("", r"imwrite", _writes(0))),
    "pyogrio": (("", r"read_.*", _reads(0)), ("", r"write_dataframe", _writes(1))),
    "pyreadstat": (("", r"read_.*", _reads(0)), ("", r"write_.*", _writes(1))),
    "soundfile": (("SoundFile", r"__init__", _opens_h5),),
    "lxml.etree": (("", r"parse|iterparse", _reads(0)),),
    "safetensors": (("", r"safe_open", _reads(0)),),
    "safetensors.numpy": (("", r"load_file", _reads(0)), ("", r"save_file", _writes(1))),
    "safetensors.torch": (("", r"load_file", _reads(0)), ("", r"save_file", _writes(1))),
    **{
        name: (("", r"connect", _touches("database")),)
        for name in ("MySQLdb", "cx_Oracle", "mysql.connector", "oracledb", "psycopg", "psycopg2", "pyodbc")
    },
    # Connections that were made before are used without connecting.
    "sqlalchemy.engine": (("Connection", r"execute|exec_driver_sql|scalars?", _asks(0)),),
    "concurrent.futures.process": (("ProcessPoolExecutor", r"submit", _works),),
    "joblib.externals.loky.process_executor": (("ProcessPoolExecutor", r"submit", _works),),
    "multiprocessing.pool": (("Pool", r"apply_async|_map_async|imap(_unordered)?", _works),),
    "multiprocessing.process": (("BaseProcess", r"start", _works),),
    "httpx": (("Client", r"send", _touches("network")), ("AsyncClient", r"send", _touches("network"))),
    "aiohttp": (("ClientSession", r"_request", _touches("network")),),
}

_pending = dict.fromkeys(_ENTRIES)
_known = 0


def arm() -> None:
    """Wrap what was imported since the last time. Cheap when nothing was."""
    global _known  # noqa: PLW0603 - a process has one set of modules
    if len(sys.modules) == _known:
        return
    _known = len(sys.modules)
    for name in tuple(_pending):
        module = sys.modules.get(name)
        if module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False):
            _wrap(module)


def expect(name: str) -> None:
    """A module is about to be imported: if it is one of those, wrap it as soon as it is there."""
    if name in _pending and not any(isinstance(finder, _Finder) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder(name))


class _Finder:
    """Finds one module, once, as the others do, and has it wrapped after it ran."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find is not None else None
            if spec is not None:
                _after(spec)
                return spec
        return None


def _after(spec: ModuleSpec) -> None:
    loader: Any = spec.loader
    if loader is None or isinstance(loader, type) or not hasattr(loader, "exec_module"):
        return

    def exec_module(module: ModuleType) -> None:
        vars(loader).pop("exec_module", None)
        loader.exec_module(module)
        _wrap(module)

    try:
        loader.exec_module = exec_module
    except AttributeError:  # a loader without a dictionary: seen by the next sight only
        return


def _wrap(module: ModuleType) -> None:
    if module.__name__ not in _pending:
        return
    del _pending[module.__name__]
    for inside, pattern, act in _ENTRIES[module.__name__]:
        owner = getattr(module, inside, None) if inside else module
        for name in [name for name in dir(owner) if re.fullmatch(pattern, name)]:
            function = getattr(owner, name, None)
            # A class that is used as a function is named in full.
            if callable(function) and (name == pattern or not isinstance(function, type)):
                _replace(owner, name, function, _wrapper(function, act))


def _replace(owner: Any, name: str, function: Any, wrapped: Any) -> None:
    try:
        setattr(owner, name, wrapped)
    except (AttributeError, TypeError):
        return  # a class in C: what it reads is seen only if it is mentioned
    home = sys.modules.get(getattr(function, "__module__", None) or "")
    if home is not None and home is not owner and getattr(home, name, None) is function:
        setattr(home, name, wrapped)  # where pickle looks for it


def _wrapper(function: Any, act: Act) -> Any:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if running:
            with quiet():  # the library says itself what is wrong with its arguments
                act(args, kwargs)
        return function(*args, **kwargs)

    return wrapped
