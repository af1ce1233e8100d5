"""Files of the user's modules that are not what was loaded from them any more.

What is loaded is what runs and what counts. So a result may be that of older code than an editor shows, and is right;
but whoever edited the file wants to know. What a file held when it was loaded is taken to be what it held when its
module was first reached.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from nbflow.keys.canon import dump
from nbflow.keys.source import parse

__all__ = ["edited"]

_loaded: dict[str, tuple[Any, tuple[int, int], str]] = {}
"""Module to its spec, which a reload replaces, and the stamp and text of its file then."""


def edited(modules: Iterable[str]) -> list[str]:
    """Those of the modules' files that were edited since, by name; each edit is told once. A stat for each module."""
    found = []
    for name in modules:
        module = sys.modules.get(name)
        if isinstance(module, ModuleType) and _changed(name, module):
            found.append(Path(str(module.__file__)).name)
    return found


def _changed(name: str, module: ModuleType) -> bool:
    """Whether a module's file says something else than when it was loaded; notes it when it is met first."""
    file, spec = getattr(module, "__file__", None), module.__spec__
    if spec is None or not isinstance(file, str) or not file.endswith(".py"):
        return False
    try:
        state = os.stat(file)  # noqa: PTH116 - asked at each run of a cell
        stamp = state.st_mtime_ns, state.st_size
        known = _loaded.get(name)
        if known is not None and known[0] is spec and known[1] == stamp:
            return False
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    if known is None or known[0] is not spec:
        _loaded[name] = spec, stamp, text
        return False
    _loaded[name] = spec, stamp, known[2]
    return _meaning(text) != _meaning(known[2])


def _meaning(text: str) -> object:
    """What a text says, whatever it looks like; the text itself where it is no Python."""
    parsed = parse(text, 0)
    return text if parsed is None else dump(parsed.tree.body)
