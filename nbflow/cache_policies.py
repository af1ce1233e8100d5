"""Cache policies: which parts of a call make its key.

Names and arithmetic are Prefect's. Two things differ, because Prefect's way gives wrong results: every key
holds the task's own name, so two tasks never share an entry, and `DEFAULT` holds no run id, so that a
result outlives the run. `TASK_SOURCE` means the code as `nbflow.keys` sees it: helpers, globals, closures
and all, but no comments.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from nbflow.errors import ConfigurationError

__all__ = [
    "DEFAULT",
    "FLOW_PARAMETERS",
    "INPUTS",
    "NONE",
    "NO_CACHE",
    "RUN_ID",
    "TASK_SOURCE",
    "CachePolicy",
    "KeyFunction",
]

Part = Literal["inputs", "source", "run", "flow"]
KeyFunction = Callable[[Any, dict[str, Any]], str | None]
"""From the task's context and its parameters by name to a key, or None: do not keep this call."""


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """Which parts of a call make its key; `a + b` has the parts of both, `a - "name"` leaves an input out.

    Attributes:
        parts: What counts: `inputs`, the arguments; `source`, the code with all that it reaches; `run`, the run of the
            flow, or of the task where there is none; `flow`, the flow's parameters. None and no function: nothing
            is kept.
        excluded: Inputs that do not count.
        functions: Each gives one more part of the key.
        key_storage: As given to `configure`, and so are the next two.
        isolation_level: How callers of one key keep apart.
        lock_manager: What keeps them apart.

    >>> (INPUTS + TASK_SOURCE - "debug").excluded
    frozenset({'debug'})
    >>> TASK_SOURCE - "debug" is TASK_SOURCE, INPUTS + NO_CACHE == INPUTS
    (True, True)
    """

    parts: frozenset[Part] = frozenset()
    excluded: frozenset[str] = frozenset()
    functions: tuple[KeyFunction, ...] = ()
    key_storage: Any = None
    isolation_level: Any = None
    lock_manager: Any = None

    @property
    def keeps(self) -> bool:
        """Whether it makes a key at all."""
        return bool(self.parts or self.functions)

    def __add__(self, other: "CachePolicy") -> "CachePolicy":
        """A policy with the parts of both.

        Raises:
            ConfigurationError: The two are configured in different ways.
        """
        if not isinstance(other, CachePolicy):
            return NotImplemented
        settings = {name: getattr(other, name) for name in _SETTINGS if getattr(other, name) is not None}
        for name, value in settings.items():
            if getattr(self, name) not in (None, value):
                raise ConfigurationError(f"{name} is {getattr(self, name)!r} in one policy, {value!r} in the other")
        return replace(
            self,
            parts=self.parts | other.parts,
            excluded=self.excluded | other.excluded,
            functions=(*self.functions, *(each for each in other.functions if each not in self.functions)),
            **settings,
        )

    def __sub__(self, name: str) -> "CachePolicy":
        """A policy without one input; the same policy where inputs do not count.

        Raises:
            ConfigurationError: It is not the name of an input.
        """
        if not isinstance(name, str):
            raise ConfigurationError(f"a cache policy minus {name!r}: give the name of an input, as text")
        return replace(self, excluded=self.excluded | {name}) if "inputs" in self.parts else self

    def configure(self, **settings: Any) -> "CachePolicy":
        """A policy with settings of Prefect's: `key_storage`, `isolation_level`, `lock_manager`. None is no change.

        They are accepted and change nothing: the store keeps keys beside values, and lets one caller of a key run at
        a time wherever it is used.

        Raises:
            ConfigurationError: There is no such setting.
        """
        for name in settings:
            if name not in _SETTINGS:
                raise ConfigurationError(f"there is no setting {name!r} of a policy: there are {', '.join(_SETTINGS)}")
        given = {name: value for name, value in settings.items() if value is not None}
        return replace(self, **given) if given else self

    def calling(self, function: KeyFunction) -> "CachePolicy":
        """The policy with the key of a function as one more part."""
        return replace(self, functions=(*self.functions, function))


_SETTINGS = ("key_storage", "isolation_level", "lock_manager")


def _policy(*parts: Part) -> CachePolicy:
    return CachePolicy(frozenset(parts))


INPUTS = _policy("inputs")
TASK_SOURCE = _policy("source")
RUN_ID = _policy("run")
FLOW_PARAMETERS = _policy("flow")
NO_CACHE = NONE = _policy()
DEFAULT = INPUTS + TASK_SOURCE
