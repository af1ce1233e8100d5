"""Which paths never count, how a counted one is named, and which code is the user's.

Never counted: the Python installation, because versions of distributions stand for it; what nbflow and
Jupyter keep for themselves; what the system makes up (`/proc`); dot-folders of the home directory, where
programs keep caches and settings. A user's work may lie below Python's prefix (`/usr/src/app`, or what `python -m
venv .` made of a project), so only the prefix's own folders count as the installation.
"""

# Strings, as the hook gets them: a `Path` costs more than what is asked of the system.
# ruff: noqa: PTH100, PTH109, PTH111, PTH114, PTH117, PTH118, PTH120

import os
import site
import sys
from functools import cache
from types import CodeType

__all__ = ["LOCKS", "absolute", "exclude", "excluded", "hidden", "own", "prepare", "subject_of", "users"]

_SYSTEM = (
    "/bin/",
    "/proc/",
    "/sys/",
    "/dev/",
    "/etc/",
    "/run/",
    "/lib/",
    "/lib64/",
    "/usr/bin/",
    "/usr/lib/",
    "/usr/lib64/",
    "/usr/share/fonts/",
    "/usr/share/locale/",
    "/usr/share/mime/",
    "/usr/share/zoneinfo/",
)
_MEDIA = "/run/media/"
"""Where desktops mount a user's disks."""
_FOLDERS = ("bin", "include", "lib", "lib64", "etc", "share/jupyter", "DLLs", "Lib", "Scripts")
_JUPYTER = (
    "IPYTHONDIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "MPLCONFIGDIR",
    "XDG_CACHE_HOME",
)
LOCKS = (".lock", ".lck", ".pid")
"""How files that only say who is at work are called: to write one is no effect. What is read counts, as `uv.lock`."""

_PARTS = ("__pycache__", ".dist-info/", ".egg-info/")
_OURSELVES = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

hidden = frozenset({".ipynb_checkpoints", ".nbflow", "__pycache__"})
"""Names that a listing leaves out: they come and go without the user's doing."""

_own: tuple[str, ...] = ()
_roots: tuple[str, ...] = ()
_dots = "\0"


def exclude(path: str | os.PathLike[str]) -> None:
    """Never count a folder and what is in it: a store's, a ledger's."""
    global _own  # noqa: PLW0603 - a process has one list of them
    folder = os.path.abspath(os.fspath(path))
    _own = (*{*_own, folder + os.sep, os.path.realpath(folder) + os.sep},)
    prepare()


def own(path: str) -> bool:
    """Whether an absolute path is such a folder, or lies in one."""
    return (path + os.sep).startswith(_own)


def prepare() -> None:
    """Find out where everything is. Never from the hook: `tempfile` opens files while it holds a lock.

    Nobody but the kernel names cells like files, and it has loaded `tempfile` to find their folder.
    """
    global _roots, _dots  # noqa: PLW0603 - a process has one installation
    jupyter = [os.path.abspath(os.environ[name]) + os.sep for name in _JUPYTER if os.environ.get(name)]
    temporary = getattr(sys.modules.get("tempfile"), "gettempdir", None)  # another thread may be importing it
    cells = [os.path.join(os.path.abspath(temporary()), "ipykernel_")] if temporary else []
    _roots = (*_installation(), *jupyter, *_own, *cells)
    _dots = os.path.join(os.path.expanduser("~"), ".")


def excluded(path: str) -> bool:
    """Whether an absolute path never counts."""
    below = (path + "/").startswith
    if path.endswith(".pyc") or below(_roots) or (below(_SYSTEM) and not below(_MEDIA)):
        return True
    if any(part in path for part in _PARTS):
        return True
    if path.startswith(_dots):
        # A project may itself live in a dot-folder, such as ~/.local/share/notes.
        top = path.find("/", len(_dots))
        return top < 0 or not (os.getcwd() + "/").startswith(path[: top + 1])
    return False


def absolute(path: str, base: str) -> str:
    """A path as written, made absolute without following links."""
    if not os.path.isabs(path):
        path = os.path.join(base, path)
    if not ("/." in path or "//" in path or path.endswith("/") or os.sep != "/"):
        return path
    return path if "/.." in path and _leaves_link(path) else os.path.normpath(path)


def _leaves_link(path: str) -> bool:
    """Whether `..` goes up from a folder that is a link: to the parent of where it leads, which no text tells."""
    folder = ""
    for part in path.split("/"):
        if part != "..":
            folder = f"{folder}/{part}" if part not in {"", "."} else folder
        elif os.path.islink(folder):
            return True
        else:
            folder = folder.rpartition("/")[0]
    return False


def subject_of(path: str, written: str, base: str) -> str:
    """How a fact names an absolute path: as it was written, seen from the folder where the run began.

    So a project that is moved or copied still finds its own files, from wherever the run changed to.
    """
    if os.path.isabs(written):
        return path
    if path.startswith(base) and path[len(base) : len(base) + 1] == os.sep:
        return path[len(base) + 1 :]
    return os.path.relpath(path, base)


def users(code: CodeType) -> bool:
    """Whether code is the user's: not the installation's, not ours, not frozen. A cell's is."""
    return _users(code.co_filename)


@cache
def _users(filename: str) -> bool:
    if filename.startswith("<"):
        return not filename.startswith("<frozen ")
    path = os.path.abspath(filename)
    if any(f"{os.sep}{part}{os.sep}" in path for part in ("site-packages", "dist-packages")):  # of another Python, too
        return False
    return not path.startswith((*_installation(), _OURSELVES))


@cache
def _installation() -> tuple[str, ...]:
    # What `sysconfig` says in 5 ms, because it loads how Python was built.
    known = {os.path.dirname(os.__file__)}
    known.update(getattr(site, "getsitepackages", list)())
    known.add(getattr(site, "getusersitepackages", str)())
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    known.update(os.path.join(prefix, name) for prefix in prefixes for name in _FOLDERS)
    known |= {os.path.realpath(path) for path in known if path}
    return tuple(sorted(os.path.abspath(path) + os.sep for path in known if path))
