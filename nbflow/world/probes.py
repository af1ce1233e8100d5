"""Questions about files that open none: `exists`, `isfile`, `getmtime`, `Path.stat`, asked by the user's own code.

No audit event tells of `os.stat`. While sights are open, `genericpath` and `pathlib` see a stand-in for `os` whose
`stat` is a property: to take it is to be seen, and what is taken is the real one, so that nothing is wrapped, no frame
of ours is in a traceback, and `from os.path import exists` is seen as well. Libraries ask before they open, and opening
counts. A direct `os.stat`, `os.access`, `os.readlink` is not seen.
"""

# Strings, as the hook gets them: a `Path` costs more than what is asked of the system.
# ruff: noqa: PTH109

import genericpath
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

from nbflow.world.current import running
from nbflow.world.paths import LOCKS, absolute, excluded, users
from nbflow.world.quiet import quiet
from nbflow.world.threads import sights

__all__ = ["arm", "disarm"]

_KIND = frozenset({"exists", "is_dir", "is_file", "is_symlink", "isdir", "isfile", "islink", "lexists"})
_TIMES = frozenset({"getctime", "getmtime", "getsize", "stat"})
_ASKED = ("genericpath", "pathlib")
_askers: tuple[Any, ...] = (genericpath, sys.modules.get("pathlib._local", pathlib))


class _System:
    """`os`, but that taking its `stat` is told."""

    @property
    def stat(self) -> Callable[..., os.stat_result]:
        with quiet():
            _probed()
        return os.stat

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


_system = _System()


def arm() -> None:
    """See questions from now on. Cheap when it is so already."""
    for module in _askers:
        module.os = _system


def disarm() -> None:
    """Leave the modules as they were."""
    for module in _askers:
        module.os = os
    if running:  # somebody began to watch in another thread meanwhile
        arm()


def _probed() -> None:
    those = sights()
    if not those:
        return
    inner = outer = sys._getframe(2)  # noqa: SLF001 - who asks, and about what, is the point
    while (asker := outer.f_back) is not None and asker.f_globals.get("__name__", "").startswith(_ASKED):
        outer = asker
    question = outer.f_code.co_name
    if asker is None or question not in _KIND | _TIMES or not users(asker.f_code):
        return
    name = inner.f_locals[inner.f_code.co_varnames[0]]
    if isinstance(name, int):
        return
    written = os.fsdecode(name)
    path = absolute(written, os.getcwd())
    if not excluded(path) and not path.endswith(LOCKS):
        for sight in those:
            sight.probes(path, written, whole=question in _TIMES)
