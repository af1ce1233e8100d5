"""What a cell depends on before it runs: its code and what its inputs hold.

A value counts by its content, a function or a class by its code and all that it reaches, a library by its version.
"""

import ast
import builtins
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from types import FunctionType, ModuleType
from typing import Any

from IPython.core.error import UsageError

from nbflow.keys.canon import words
from nbflow.keys.code import known_reach
from nbflow.keys.encode import Encoder, Node
from nbflow.keys.traits import trait
from nbflow.notebook.header import CellOptions
from nbflow.notebook.names import Names
from nbflow.trace import Trait, Traits

__all__ = ["IPYTHONS", "cautious", "digest_of", "inputs_of", "key_of", "strings_of", "traits_of", "users_names"]

IPYTHONS = re.compile(r"(_{1,3}|_+(i+|\d+|i\d+|ih|oh|dh|exit_code)|In|Out|__\w+__|get_ipython|quit|exit|open)$")
"""Names that IPython keeps in the namespace for itself."""

_SHELLS = frozenset({"In", "Out", "get_ipython", "quit", "exit", "open"})
_SCHEMA = b"nbflow-cell-1"
_CODE = (FunctionType, type, ModuleType)
_ROOT = "the code"


def users_names(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """What the user's names are bound to."""
    return {
        name: value
        for name, value in namespace.items()
        if name not in _SHELLS and not (name.startswith("_") and IPYTHONS.match(name))
    }


def inputs_of(names: Names, options: CellOptions, namespace: Mapping[str, Any]) -> list[str]:
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
    shells = IPYTHONS.match(name) and str(getattr(namespace[name], "__module__", "")).startswith("IPython")
    return not shells


def key_of(
    text: bytes, inputs: list[str], options: CellOptions, namespace: dict[str, Any]
) -> tuple[str, dict[str, bytes]]:
    """The lookup key of a cell here and now, and the digest of each input that is bound.

    Raises:
        UnkeyableError: An input has no content that a key could be made of; it is named.
        UsageError: The expression of `--key` raises.
    """
    if options.key is not None:
        digests = {"--key": digest_of(_evaluated(options.key, namespace), "--key")}
    else:
        digests = {name: digest_of(namespace[name], name) for name in inputs if name in namespace}
    key = blake2b(_SCHEMA + text, digest_size=16)
    for name in sorted({*inputs, *digests} if options.key is None else digests):
        key.update(name.encode() + b"\0" + digests.get(name, b"not bound"))
    return key.hexdigest(), digests


def traits_of(text: bytes, inputs: list[str], options: CellOptions, namespace: dict[str, Any]) -> Traits:
    """What the key is made of, in labels that read well before " changed"."""
    traits: Traits = {}
    if options.key is not None:
        traits["--key"] = trait(_evaluated(options.key, namespace), "--key")
        inputs = []
    for name in inputs:
        if name not in namespace:
            traits[f"input {name}"] = Trait("", "not bound")
        elif isinstance(namespace[name], _CODE):
            traits |= _traits_of_code(name, namespace[name])
        else:
            traits[f"input {name}"] = trait(namespace[name], name)
    return {**traits, _ROOT: Trait(text.hex(), "")}


def _traits_of_code(name: str, value: Any) -> Traits:
    reached = known_reach(value)
    traits = dict(reached.traits)
    if reached.live is not None:
        traits |= {label: trait(each, label) for label, each in zip(reached.live_names, reached.live(), strict=True)}
    root = traits.pop(_ROOT, None)
    if isinstance(value, FunctionType) and root is not None:
        traits[f"{name}()"] = root
    return traits


def strings_of(body: list[ast.stmt], inputs: Iterable[str], namespace: Mapping[str, Any]) -> list[object]:
    """Strings and paths that may name files: in the cell, in the functions that it reads, and inputs themselves."""
    found: list[object] = [
        node.value
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    for value in (namespace[name] for name in inputs if name in namespace):
        found += known_reach(value).strings if isinstance(value, _CODE) else [value]
    return found


def _evaluated(expression: str, namespace: dict[str, Any]) -> Any:
    try:
        return eval(expression, {**namespace})  # noqa: S307 - the user's own expression, in the user's kernel
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        raise UsageError(f"%%task: --key {expression}: {type(error).__name__}: {error}") from None


def digest_of(value: Any, name: str) -> bytes:
    """16-byte digest of an input; a live handle counts by its type.

    Raises:
        UnkeyableError: It has none.
    """
    return Encoder(handles=[]).walk(Node(b"value", (value,)), [name])


def cautious(value: Any) -> Any:
    """A digest for comparing only; what has none is never equal to anything."""
    try:
        return digest_of(value, "it")
    except Exception:  # noqa: BLE001 - whatever an object does when it is looked at, it cannot be compared
        return object()
