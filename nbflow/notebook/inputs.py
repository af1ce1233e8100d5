"""What a cell depends on before it runs: its code and what its inputs hold.

A value counts by its content; functions, classes and modules by what the cell reads of them, with all that they reach,
as they do for a function that reads them; a library by its version.
"""

import builtins
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from hashlib import blake2b
from types import FunctionType, ModuleType
from typing import Any

from IPython.core.error import UsageError

from nbflow.keys.body import digest_of_reach, known_body
from nbflow.keys.canon import words
from nbflow.keys.code import known_reach
from nbflow.keys.edited import edited
from nbflow.keys.encode import Encoder, Node
from nbflow.keys.reach import Reach
from nbflow.keys.traits import trait
from nbflow.notebook.header import CellOptions
from nbflow.notebook.heap import below
from nbflow.notebook.names import Names
from nbflow.notebook.transform import Cell
from nbflow.trace import Trait, Traits

__all__ = ["Inputs", "cautious", "digest_of", "ipythons", "lent", "names_read", "users_names"]

_IPYTHONS = re.compile(r"(_{1,3}|_+(i+|\d+|i\d+|ih|oh|dh|exit_code)|In|Out|__\w+__|get_ipython|quit|exit|open)$")
_LENT = re.compile(r"(__\w+__|get_ipython|quit|exit|open)$")
_SCHEMA = b"nbflow-cell-1"
_CODE = (FunctionType, type, ModuleType)
_ROOT = "the code"


def users_names(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """What the user's names are bound to."""
    return {name: value for name, value in namespace.items() if not ipythons(name)}


@lru_cache(1 << 14)  # each cell that was run has left one or two
def ipythons(name: str) -> bool:
    """Whether a name is one that IPython keeps in the namespace for itself."""
    return _IPYTHONS.match(name) is not None


def lent(name: str) -> bool:
    """Whether it is one of those that a cell may bind for good: `from gzip import open`, `__version__ = "1"`."""
    return _LENT.match(name) is not None


def names_read(names: Names, options: CellOptions, namespace: Mapping[str, Any]) -> list[str]:
    """The names that a cell reads from this namespace, as far as can be known before it runs."""
    read = {*names.reads, *options.inputs} | {name for name in names.mentions if name in namespace}
    for query in names.queries:
        text = namespace.get(query)
        if isinstance(text, str):
            read |= {name for name in words(text) if name in namespace}
    return [name for name in sorted(read - {*options.ignore}) if _counts(name, namespace)]


def _counts(name: str, namespace: Mapping[str, Any]) -> bool:
    if name not in namespace:
        return not hasattr(builtins, name)
    return not (ipythons(name) and str(getattr(namespace[name], "__module__", "")).startswith("IPython"))


class Inputs:
    """What one run of a cell reads from the namespace as it is when this is made.

    Args:
        cell: What is to run.
        options: What its header asks for.
        namespace: The user's globals.

    Attributes:
        names: The names read, whether they are bound or not.
        digests: Of those that are bound to data.
        files: Those of `--file`.
        handles: Names of the types of live handles among them, once the key was made.
    """

    def __init__(self, cell: Cell, options: CellOptions, namespace: dict[str, Any]) -> None:
        self.cell, self.options, self.namespace = cell, options, namespace
        self.names = names_read(cell.names, options, namespace)
        self.digests: dict[str, bytes] = {}
        self.files = tuple(options.task.files)
        self.handles: list[str] = []
        self._code = frozenset(name for name in self.names if issubclass(type(namespace.get(name)), _CODE))

    def key(self) -> str:
        """The lookup key of the cell here and now.

        Raises:
            UnkeyableError: An input has no content that a key could be made of; it is named.
            UsageError: The expression of `--key` raises.
        """
        key = blake2b(_SCHEMA + self.cell.text, digest_size=16)
        if self.options.key is not None:
            key.update(b"--key\0" + digest_of(_evaluated(self.options.key, self.namespace), "--key"))
            return self._with_flags(key)
        for name in self.names:
            if name in self._code:
                continue
            if name in self.namespace:
                self.digests[name] = digest_of(self.namespace[name], name, self.handles)
            key.update(name.encode() + b"\0" + self.digests.get(name, b"not bound"))
        reached = self._reached()
        self.handles += reached.handles
        key.update(digest_of_reach(reached))
        return self._with_flags(key)

    def _with_flags(self, key: Any) -> str:
        """With what entries that were made without these flags do not have: facts about files, other names."""
        for flag, given in (("--file", self.files), ("--out", sorted(self.options.out or ()))):
            for each in given:
                key.update(f"{flag}\0{each}\0".encode(errors="surrogateescape"))
        made: str = key.hexdigest()
        return made

    def traits(self) -> Traits:
        """What the key is made of, in labels that read well before " changed"."""
        traits: Traits = {}
        if self.files:
            traits["--file"] = trait(" ".join(map(str, self.files)), "--file")
        if self.options.out is not None:
            traits["--out"] = trait(" ".join(self.options.out), "--out")
        if self.options.key is not None:
            traits["--key"] = trait(_evaluated(self.options.key, self.namespace), "--key")
        else:
            for name in self.names:
                if name not in self.namespace:
                    traits[f"input {name}"] = Trait("", "not bound")
                elif name not in self._code:
                    traits[f"input {name}"] = trait(self.namespace[name], name)
            reached = self._reached()
            live = reached.live() if reached.live else ()
            traits |= reached.traits
            traits |= {label: trait(each, label) for label, each in zip(reached.live_names, live, strict=True)}
        return {**traits, _ROOT: Trait(self.cell.text.hex(), "")}

    def strings(self) -> list[object]:
        """Strings and paths that may name files: in the cell, in the functions that it reads, and inputs themselves."""
        bound = [self.namespace[name] for name in self.names if name in self.namespace and name not in self._code]
        return [*self._reached().strings, *bound]

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the user's modules that the cell reaches."""
        return self._reached().modules

    def edited(self) -> list[str]:
        """A line for each file that the cell's code was loaded from and that says something else by now."""
        files = edited(self.modules)
        return [f"{file} was edited after it was loaded: reload it to use the new code" for file in files]

    def now(self, name: str) -> Any:
        """The digest of what the cell reads of a name, for comparing only; what has none is never equal to anything."""
        value = self.namespace[name]
        if not isinstance(value, _CODE):
            return cautious(value)
        try:
            return digest_of_reach(self._reached(frozenset({name})))
        except Exception:  # noqa: BLE001 - as in `cautious`
            return object()

    @cached_property
    def reached(self) -> frozenset[str]:
        """The bound names that the cell or what it calls reads: all that a run may change in place, or keep."""
        found = {name for name in self.names if name in self.namespace} | {*self._reached().names}
        known: set[str] = set()
        classes: set[type] = set()
        while more := found - known:
            known |= more
            for obj in below({name: self.namespace[name] for name in more}):
                kind = obj if issubclass(type(obj), type) else type(obj)
                if kind.__module__ == "__main__" and kind not in classes:
                    classes.add(kind)
                    found |= {name for name in (kind.__name__, *known_reach(kind).names) if name in self.namespace}
        return frozenset(found)

    def _reached(self, names: frozenset[str] | None = None) -> Reach:
        cell = self.cell
        return known_body(
            cell.text, (*cell.body, *cell.names.texts), self._code if names is None else names, self.namespace
        )


def _evaluated(expression: str, namespace: dict[str, Any]) -> Any:
    try:
        return eval(expression, {**namespace})  # noqa: S307 - the user's own expression, in the user's kernel
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        raise UsageError(f"%%task: --key {expression}: {type(error).__name__}: {error}") from None


def digest_of(value: Any, name: str, handles: list[str] | None = None) -> bytes:
    """16-byte digest of an input; a live handle counts by its type, and `handles` receives its name.

    Raises:
        UnkeyableError: It has none.
    """
    return Encoder(handles=[] if handles is None else handles).walk(Node(b"value", (value,)), [name])


def cautious(value: Any) -> Any:
    """A digest for comparing only; what has none is never equal to anything."""
    try:
        return digest_of(value, "it")
    except Exception:  # noqa: BLE001 - whatever an object does when it is looked at, it cannot be compared
        return object()
