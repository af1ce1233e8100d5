"""Settings that libraries keep for the whole process: noted before a cell, made again by its hit, undone by a retry.

`plt.style.use`, `pd.options`, `np.set_printoptions`, `warnings.filterwarnings`, levels of loggers and the like bind no
name and change no input, and yet the cells behind count on them. Which of them are known is in `libraries`.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from nbflow.logs import warn
from nbflow.notebook.libraries import LIBRARIES, Settings, Unset

__all__ = ["Changes", "changes", "make", "taken"]

Changes = dict[str, dict[str, tuple[Any, Any]]]
"""Module to setting to what it was and what it became."""


def taken() -> dict[str, Settings]:
    """The settings of all libraries that are loaded."""
    found: dict[str, Settings] = {}
    for name, library in LIBRARIES.items():
        module = sys.modules.get(name)
        if module is not None:
            with suppress(Exception):  # half imported, or of a version that keeps them elsewhere
                found[name] = library.take(module)
    return found


def changes(before: Mapping[str, Settings]) -> Changes:
    """What was changed since `taken` gave this; a library that was loaded since counts from its defaults."""
    found: Changes = {}
    for name, now in taken().items():
        with suppress(Exception):  # as in `taken`
            then = before[name] if name in before else LIBRARIES[name].fresh(sys.modules[name])
            if now != then and (changed := _changed(then, now)):
                found[name] = changed
    return found


def _changed(then: Settings, now: Settings) -> dict[str, tuple[Any, Any]]:
    pairs = {key: (then.get(key, Unset), now.get(key, Unset)) for key in then | now}
    return {key: (old, new) for key, (old, new) in pairs.items() if old is not new and old != new}


def make(these: Changes, *, undo: bool = False) -> None:
    """Make changes again, or undo them. What a library refuses is told once, and costs nothing else."""
    for name, changed in these.items():
        pairs = {key: (new, old) if undo else (old, new) for key, (old, new) in changed.items()}
        try:
            LIBRARIES[name].put(import_module(name), pairs)
        except Exception as error:  # noqa: BLE001 - whatever it is, the cell's values are there
            warn(f"settings of {name} that a cell had changed were not set again: {type(error).__name__}: {error}")
