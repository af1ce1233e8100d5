"""Whose code something is: the user's, a library's with its version, Python's, or ours."""

import os
import site
import sys
import types
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

__all__ = ["distributions", "module_of", "name_of", "ours", "stand_in", "users"]

MAIN = frozenset({"__main__", "__mp_main__"})
"""A spawned worker imports the user's `__main__` under the second name."""

SHELLS = frozenset({"IPython", "ipykernel"})
"""What runs the user's code, and whose version is no input."""

ALIASES = {
    "attr": "attrs", "bs4": "beautifulsoup4", "cv2": "opencv_python", "dateutil": "python_dateutil", "PIL": "pillow",
    "sklearn": "scikit_learn", "skimage": "scikit_image", "yaml": "pyyaml",
}  # fmt: skip
"""Distributions by the names of their modules, for those that a look into every one installed should not wait for."""


MOVED = {"pathlib._local": "pathlib"}
"""Modules that the classes of another say they come from, in some versions of Python."""

ROOTS = {"genericpath": "os", "nt": "os", "ntpath": "os", "posix": "os", "posixpath": "os", "thread": "threading"}
"""Modules of Python's by those that show what is in them."""


@cache
def libraries() -> tuple[str, ...]:
    """The folders of installed code."""
    found = {os.path.dirname(os.__file__), *site.getsitepackages(), site.getusersitepackages()}  # noqa: PTH120 - as text
    return tuple({f"{each.rstrip(os.sep)}{os.sep}" for path in found for each in (path, os.path.realpath(path))})


@cache
def in_library(path: str) -> bool:
    """Whether a file belongs to the Python installation."""
    parts = ("site-packages", "dist-packages")
    return path.startswith(libraries()) or any(f"{os.sep}{part}{os.sep}" in path for part in parts)


def ours(name: object) -> bool:
    """Whether a module of this name is nbflow's own."""
    return isinstance(name, str) and name.partition(".")[0] == "nbflow"


def bare(thing: Any) -> Any:
    """A library's function in place of the wrapper by which we watch it: it is there in one run and not in another."""
    wrapper = isinstance(thing, FunctionType) and ours(thing.__globals__.get("__name__"))
    return getattr(thing, "__wrapped__", thing) if wrapper else thing


def module_of(thing: Any) -> str:
    """The name of the module that a function, class, module or object was defined in, `""` if it has none."""
    thing = bare(thing)
    if isinstance(thing, ModuleType):
        return thing.__name__
    if isinstance(thing, FunctionType):
        return str(thing.__globals__.get("__name__", ""))  # `wraps` copies __module__
    name = getattr(thing, "__module__", None)
    if name == "types" and isinstance(thing, type) and vars(types).get(thing.__name__) is not thing:
        return ""  # made by `types.new_class`, as by `make_dataclass` before Python 3.12: it is that of the caller
    name = name if isinstance(name, str) else type(thing).__module__
    return MOVED.get(name, name)


def name_of(thing: Any) -> str:
    """Its qualified name."""
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None) or type(thing).__qualname__
    return str(name)


def users(thing: Any) -> bool:
    """Whether a function, class or module is the user's own: neither installed nor ours.

    `__main__` is the user's even where it lies among the installed (`python -m pytest`).
    """
    thing = bare(thing)
    name = module_of(thing)
    if name in MAIN:
        return True
    if ours(name):
        return False
    if isinstance(thing, FunctionType) and Path(thing.__code__.co_filename).is_absolute():
        return not in_library(thing.__code__.co_filename)
    return users_module(name)


def written(function: FunctionType) -> bool:
    """Whether the user wrote a function, rather than that Python generated it for a class of the user's."""
    code = function.__code__
    generated = (
        code.co_qualname.startswith("__create_fn__")  # dataclasses
        or code.co_filename.startswith(("<attrs generated", "<attrs-generated"))
        or str(function.__globals__.get("__name__", "")).startswith("namedtuple_")
    )
    return users(function) and not generated


def users_module(name: str) -> bool:
    """The same for a module by its name."""
    if name in MAIN:
        return True
    for module in (sys.modules.get(name), sys.modules.get(name.partition(".")[0])):  # `numpy.rec` is not imported
        file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
        if isinstance(file, str):
            return not in_library(file) and not ours(name)
    return name.partition(".")[0] not in sys.stdlib_module_names and not ours(name)


def of_shell(thing: Any) -> bool:
    """Whether something comes from IPython, as what it binds in place of builtins does."""
    return module_of(thing).partition(".")[0] in SHELLS


def foreign(thing: Any, module: str) -> bool:
    """Whether a stand-in was put into a library's module: something of the user's, a partial, a mock."""
    if isinstance(thing, FunctionType | MethodType | type):
        return users(thing)
    mock = module_of(thing).startswith("unittest.mock") and not module.startswith("unittest")
    compiled = type(thing).__module__.startswith("_cython_")  # which no distribution owns
    return mock or isinstance(thing, partial) or (users(type(thing)) and not compiled)


def stand_in(thing: Any, module: str, name: str) -> str:
    """The full name of a library's function or class that stands in a module where another is expected, else `""`.

    `math.sin = math.cos` is told by it; so are the library's own aliases, always the same way. In Python's own modules
    a name that is nothing else there does not count, for versions differ: `threading.Lock` is `_thread.lock`.
    """
    own = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    if not isinstance(own, str):
        return ""
    roots = {each.partition(".")[0].strip("_") for each in (module_of(thing), module)}
    roots = {ROOTS.get(root, root) for root in roots}
    named = own.rpartition(".")[2]
    if named != name and module.partition(".")[0] in sys.stdlib_module_names:
        named = named if vars(sys.modules[module]).get(named) is thing else name
    return "" if named == name and (len(roots) == 1 or "." in own) else f"{module_of(thing)}.{own}"


@cache
def distributions(name: str) -> tuple[tuple[str, str], ...]:
    """Name and version of the distributions that a module comes from; none for Python's own and for the user's.

    Read once in a process: what counts is what was imported.
    """
    root = name.partition(".")[0]
    if not root or root in sys.stdlib_module_names or root in MAIN or root in SHELLS or ours(root):
        return ()
    known = installed()
    for guess in (ALIASES.get(root, ""), root.lower().replace("-", "_")):
        if guess in known:
            return (known[guess],)
    version = getattr(sys.modules.get(root), "__version__", None)
    found = providers().get(root, ())
    if found:
        return tuple(sorted({known[each] for each in map(plain, found) if each in known}))
    return ((root, str(version)),) if version else ()


@cache
def installed() -> dict[str, tuple[str, str]]:
    """Installed distributions by their plain names, from the names of their folders: 1 ms where metadata takes 50."""
    found: dict[str, tuple[str, str]] = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208 - a thousand Paths would cost more than the rest
        except OSError:
            continue
        for name in names:
            stem, dot, kind = name.rpartition(".")
            if dot and kind in ("dist-info", "egg-info"):
                project, _, version = stem.partition("-")
                found.setdefault(plain(project), (project, version.partition("-")[0]))
    return found


def plain(project: str) -> str:
    return project.lower().replace("-", "_").replace(".", "_")


@cache
def providers() -> dict[str, list[str]]:
    """Distributions by the modules they install: 150 ms, so only for modules of an unusual name."""
    from importlib.metadata import packages_distributions  # noqa: PLC0415 - 45 ms, seldom needed

    return dict(packages_distributions())


@cache
def extension(path: str, _stamp: tuple[int, int]) -> bytes:
    """Content of a compiled module of the user's."""
    return Path(path).read_bytes()


def compiled(name: str) -> bytes:
    """Content of the file of a compiled module of the user's."""
    path = getattr(sys.modules.get(name), "__file__", None)
    if not isinstance(path, str) or not path.endswith((".so", ".pyd")):
        return b""
    state = Path(path).stat()
    return extension(path, (state.st_mtime_ns, state.st_size))


def findable(name: str) -> bool:
    """Whether a module that is not imported yet is the user's, and there."""
    root = name.partition(".")[0]
    if root in sys.stdlib_module_names or ours(root):
        return False
    try:
        spec = find_spec(root)
    except (ImportError, ValueError, AttributeError):
        return False
    places = [spec.origin] if spec and spec.origin else [*(spec.submodule_search_locations or ())] if spec else []
    return bool(places) and not any(in_library(str(place)) for place in places)
