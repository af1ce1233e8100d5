"""One call of a task: what its arguments are bound to, how they are told, and its place in the store."""

from collections.abc import Sized
from typing import Any

from nbflow.engine.slot import Slot
from nbflow.errors import UnstorableError
from nbflow.keys.traits import trait
from nbflow.session import session
from nbflow.store import Store
from nbflow.tasks.identity import Identity

__all__ = ["ATOMS", "Bound", "TaskSlot", "brief"]

Bound = tuple[Identity, tuple[Any, ...], tuple[object, ...]]
"""A call's identity, the values of all parameters, and short forms of those that count."""

ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
"""What never changes in place, and holds no future."""

_SMALL = frozenset({type(None), bool, int, float})


class TaskSlot(Slot):
    """A function's slot: its result is not kept where it changed its arguments in place."""

    def __init__(self, store: Store, key: str, task: str, identity: Identity, values: tuple[Any, ...]) -> None:
        self.store, self.key, self.task, self.clock = store, key, task, session.clock
        self._identity, self._values, self.counting = identity, values, identity.parameters

    def check(self) -> None:
        """Digest again what the key was made of: it must be as it was before the run."""
        identity = self._identity
        inputs = zip(identity.parameters, identity.inputs(self._values), strict=True)
        for name, value in inputs:
            if type(value) not in ATOMS and self._changed(f"input {name}", value):
                raise UnstorableError(
                    f"it changes its argument {name!r} in place; return a changed copy, or give ignore=[{name!r}]"
                )
        for label, value in identity.globals():
            if type(value) not in ATOMS and self._changed(label, value):
                raise UnstorableError(f"it reads and changes {label}, so that each run is another one")
        if labels := identity.rebound():
            raise UnstorableError(f"it binds {labels[0]} anew, which it also reads, so that each run is another one")

    def _changed(self, label: str, value: Any) -> bool:
        return trait(value).digest != self.traits[label].digest


def brief(values: tuple[Any, ...], hidden: tuple[int, ...] = ()) -> tuple[object, ...]:
    """Short forms for panels: no value is held, and no text of the user's is run.

    Args:
        values: The values.
        hidden: Places of those that are called like a password: text there is not shown.
    """
    forms = [v if type(v) in _SMALL else repr(v)[:60] if type(v) is str else _kind(v) for v in values]
    for at in hidden:
        if type(values[at]) is str:
            forms[at] = _kind(values[at])
    return tuple(forms)


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{name}[{len(value)}]" if isinstance(value, Sized) and type(value).__module__ == "builtins" else name
