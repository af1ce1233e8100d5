"""What each audit event means to the sights it belongs to.

Every handler gets the sights, the event's arguments (https://docs.python.org/3/library/audit_events.html) and
the frame that caused it. Events come before the deed, so a file that is about to be opened may turn out not to exist.
"""

# Strings, as the hook gets them: a `Path` costs more than what is asked of the system.
# ruff: noqa: PTH109, PTH115, PTH117, PTH118

import os
import re
import shlex
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any
from urllib.parse import unquote

from nbflow.world import readers
from nbflow.world.files import status
from nbflow.world.paths import LOCKS, absolute, excluded, users
from nbflow.world.threads import Sights, started

__all__ = ["HANDLERS"]

Args = tuple[Any, ...]

# Those that read code, which counts by what of it is reached, or look for distributions; and ourselves.
_CODE = (
    "importlib._",
    "importlib.metadata",
    "importlib_metadata",
    "_frozen_importlib",
    "zipimport",
    "pkgutil",
    "pkg_resources",
    "executing",
    "stack_data",
    "IPython.core.tbtools",
    "IPython.core.ultratb",
    "nbflow.",
)
# Those that ask the system about itself through a child process, or tidy up after one.
_HARMLESS = (
    r"platform|ctypes\.util|uuid|sysconfig|_osx_support|webbrowser|threadpoolctl|matplotlib\.(font_manager|texmanager)"
    r"|(joblib\.externals\.)?loky\.|multiprocessing\."
)
_WRITABLE = os.O_WRONLY | os.O_RDWR
_TMPFILE = getattr(os, "O_TMPFILE", 0)


def _path(name: object) -> tuple[str, str]:
    """A path as written and absolute; `("", "")` for one that never counts, and for descriptors."""
    if name is None:
        name = "."
    if isinstance(name, int):
        name = os.readlink(f"/proc/self/fd/{name}")
    written = name if type(name) is str else os.fsdecode(name)  # type: ignore[arg-type]
    path = absolute(written, "" if os.path.isabs(written) else os.getcwd())
    return ("", "") if excluded(path) else (path, written)


def _asker(frame: FrameType | None) -> str:
    return "" if frame is None else frame.f_globals.get("__name__") or ""


def _for_code(frame: FrameType) -> bool:
    asker = _asker(frame)
    if frame.f_code.co_name == "get_data" and frame.f_back is not None:  # a loader's: code, or what lies beside it
        frame = frame.f_back
        if (asker := _asker(frame)) == "pkgutil":
            return False
    lines = False
    while asker.partition(".")[0] in {"linecache", "pathlib", "tokenize"} and frame.f_back is not None:
        lines = lines or asker == "linecache"  # which whoever shows code asks: tracebacks, inspection, debuggers
        frame = frame.f_back
        asker = _asker(frame)
    return asker.startswith(_CODE) or (lines and not users(frame.f_code))


def _opened(sights: Sights, args: Args, frame: FrameType) -> None:
    name, mode, flags = args
    if isinstance(name, int) or (_TMPFILE and flags & _TMPFILE == _TMPFILE):
        return
    if _for_code(frame):
        return
    if mode is None and _asker(frame) in {"shutil", "os"}:  # relative to a folder's descriptor
        return
    path, written = _path(name)
    if not path or (flags & _WRITABLE and path.endswith(LOCKS)):
        return
    if not flags & _WRITABLE:
        for sight in sights:
            sight.reads(path, written)
    elif flags & (os.O_TRUNC | os.O_EXCL):
        for sight in sights:
            sight.writes(path, written)
    else:
        for sight in sights:
            sight.updates(path)


def _listed(sights: Sights, args: Args, frame: FrameType) -> None:
    asker = _asker(frame)
    if asker.startswith(_CODE) or (asker == "shutil" and "rmtree" in frame.f_code.co_name) or _globbing(frame):
        return
    path, written = _path(args[0])
    if path:
        for sight in sights:
            sight.lists(path, written)


def _globbing(frame: FrameType | None) -> bool:
    """Whether a listing is a pattern's way to its matches, which count instead."""
    while frame is not None:
        module = _asker(frame).partition(".")[0]
        if module == "glob":
            return True
        if module != "pathlib":
            return False
        if frame.f_code.co_name in {"glob", "rglob", "_select_from", "_iterate_directories"}:
            return True
        frame = frame.f_back
    return False


def _globbed(sights: Sights, args: Args, _: FrameType) -> None:
    written, recursive, root, descriptor = args
    if descriptor is None:
        written = os.fsdecode(written)
        if root is not None:
            written = os.path.join(os.fsdecode(root), written)
        _match(sights, written, recursive=bool(recursive), include_hidden=False)


def _path_globbed(sights: Sights, args: Args, _: FrameType) -> None:
    _match(sights, os.path.join(_escaped(args[0]), os.fsdecode(args[1])), recursive=True, include_hidden=True)


def _path_rglobbed(sights: Sights, args: Args, _: FrameType) -> None:
    _match(sights, os.path.join(_escaped(args[0]), "**", os.fsdecode(args[1])), recursive=True, include_hidden=True)


def _escaped(folder: object) -> str:
    path = os.fsdecode(folder)  # type: ignore[arg-type]
    return "" if path == "." else re.sub(r"([*?[])", r"[\1]", path)


def _match(sights: Sights, written: str, *, recursive: bool, include_hidden: bool) -> None:
    path = absolute(written, os.getcwd())
    if not excluded(path):
        for sight in sights:
            sight.globs(path, written, recursive=recursive, include_hidden=include_hidden)


def _renamed(sights: Sights, args: Args, _: FrameType) -> None:
    source, target = _path(args[0])[0], _path(args[1])
    for sight in sights:
        if target[0]:
            sight.renames(source, *target)
        elif source:
            sight.removes(source)


def _removed(sights: Sights, args: Args, _: FrameType) -> None:
    if len(args) > 1 and args[-1] != -1:  # relative to a folder's descriptor
        folder = os.readlink(f"/proc/self/fd/{args[-1]}")
        path = _path(os.path.join(folder, os.fsdecode(args[0])))[0]
    else:
        path = _path(args[0])[0]
    if path:
        for sight in sights:
            sight.removes(path)


def _folder_made(sights: Sights, args: Args, _: FrameType) -> None:
    path, written = _path(args[0])
    if path and args[-1] == -1 and status(path) is None:
        for sight in sights:
            sight.writes(path, written)


def _linked(sights: Sights, args: Args, _: FrameType) -> None:
    path, written = _path(args[1])
    if path:
        for sight in sights:
            sight.writes(path, written)


def _truncated(sights: Sights, args: Args, _: FrameType) -> None:
    path = _path(args[0])[0]
    if path:
        for sight in sights:
            sight.updates(path)


def _moving(sights: Sights, _: Args, __: FrameType) -> None:
    for sight in sights:
        sight.moves()


def _scratched(sights: Sights, args: Args, _: FrameType) -> None:
    path = absolute(os.fsdecode(args[0]), os.getcwd())
    for sight in sights:
        sight.scratches(path)


def _variable_set(sights: Sights, args: Args, frame: FrameType) -> None:
    importing = _importing(frame)
    for sight in sights:
        sight.sets(os.fsdecode(args[0]), importing=importing)


def _importing(frame: FrameType | None) -> bool:
    """Whether code is run by an import."""
    while frame is not None:
        if frame.f_code.co_name == "exec_module" and _asker(frame).startswith(("importlib", "_frozen_importlib")):
            return True
        frame = frame.f_back
    return False


def _imported(sights: Sights, args: Args, frame: FrameType) -> None:
    name = args[0]
    readers.expect(name)
    if "." in name:
        return
    asker: FrameType | None = frame
    while asker is not None and _asker(asker).startswith(("importlib", "_frozen_importlib")):
        asker = asker.f_back
    if asker is not None and users(asker.f_code):
        for sight in sights:
            sight.imported(name)


def _connected_sqlite(sights: Sights, args: Args, _: FrameType) -> None:
    name = os.fsdecode(args[0])
    if name.startswith("file:"):
        name = unquote(name[5:])
        if "mode=memory" in name:
            return
        name = name.partition("?")[0]
        name = name.removeprefix("//localhost").removeprefix("//")
    if name in {"", ":memory:"}:
        return
    path = _path(name)[0]
    if path:
        for sight in sights:
            sight.touch("database")
            for suffix in ("", "-wal", "-shm", "-journal"):
                sight.ignores(path + suffix)


def _spawned(sights: Sights, args: Args, frame: FrameType) -> None:
    """What a child reads is unseen, but for what its words name."""
    asker: FrameType | None = frame
    while asker is not None and _asker(asker) in {"subprocess", "os"}:
        asker = asker.f_back
    if not re.match(_HARMLESS, _asker(asker)):
        words = [*_words(args)]
        for sight in sights:
            sight.touch("child process")
            sight.mention(words)


def _words(args: Args) -> Iterable[str]:
    """The words of a command: a shell's are told apart as it would; the program itself is no input."""
    if not args:  # `os.fork`
        return
    if isinstance(args[0], int):  # `os.spawn`: how
        args = args[1:]
    folder = args[2] if len(args) == 4 else None  # `subprocess.Popen`: where
    command = args[1] if len(args) > 1 else [None, *_split(os.fsdecode(args[0]))]
    for each in map(os.fsdecode, [command] if isinstance(command, (str, bytes, os.PathLike)) else [*command][1:]):
        for word in (each, *_split(each)) if " " in each else (each,):
            yield os.path.join(os.fsdecode(folder or ""), word)


def _split(command: str) -> list[str]:
    """The words of a line as a shell would tell them apart; where a quote is not closed, as spaces do."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _connected(sights: Sights, args: Args, _: FrameType) -> None:
    if getattr(getattr(args[0], "family", None), "name", "") != "AF_UNIX":
        for sight in sights:
            sight.touch("network")


def _resolved(sights: Sights, _: Args, __: FrameType) -> None:
    for sight in sights:
        sight.touch("network")


def _thread_started(sights: Sights, args: Args, _: FrameType) -> None:
    started(getattr(args[0], "__self__", None), sights)


HANDLERS: dict[str, Callable[[Sights, Args, FrameType], None]] = {
    "_thread.start_joinable_thread": _thread_started,
    "_thread.start_new_thread": _thread_started,
    "glob.glob/2": _globbed,
    "http.client.send": _resolved,
    "import": _imported,
    "open": _opened,
    "os.chdir": _moving,
    "os.exec": _spawned,
    "os.fork": _spawned,
    "os.forkpty": _spawned,
    "os.link": _linked,
    "os.listdir": _listed,
    "os.mkdir": _folder_made,
    "os.posix_spawn": _spawned,
    "os.putenv": _variable_set,
    "os.remove": _removed,
    "os.rename": _renamed,
    "os.rmdir": _removed,
    "os.scandir": _listed,
    "os.spawn": _spawned,
    "os.symlink": _linked,
    "os.system": _spawned,
    "os.truncate": _truncated,
    "os.unsetenv": _variable_set,
    "pathlib.Path.glob": _path_globbed,
    "pathlib.Path.rglob": _path_rglobbed,
    "socket.connect": _connected,
    "socket.getaddrinfo": _resolved,
    "socket.gethostbyaddr": _resolved,
    "socket.gethostbyname": _resolved,
    "socket.sendmsg": _connected,
    "socket.sendto": _connected,
    "sqlite3.connect": _connected_sqlite,
    "subprocess.Popen": _spawned,
    "tempfile.mkdtemp": _scratched,
    "tempfile.mkstemp": _scratched,
}
