"""What a cell depends on before it runs: its code and what its inputs hold, as traits and as a key.

A value counts by its content, a function or a class by its code and all that it reaches, a library by its version.
Labels read well before " changed", because that is how a miss is explained.
"""

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from types import FunctionType, ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from nbflow.errors import UnkeyableError
from nbflow.keys import canonical, identify, reach, short
from nbflow.keys.code import Reach, cell as code_of
from nbflow.notebook.header import CellOptions
from nbflow.notebook.mentions import identifiers
from nbflow.notebook.names import Names
from nbflow.trace import Trait, Traits

__all__ = ["IPYTHONS", "Known", "cautious", "digest_of", "inputs_of", "known_of"]

IPYTHONS = re.compile(r"(_{1,3}|_+(i+|\d+|i\d+|ih|oh|dh|exit_code)|In|Out|__\w+__|get_ipython|quit|exit|open)$")
"""Names that IPython keeps in the namespace for itself."""

_SCHEMA = b"nbflow-cell-1"
_ABSENT = Trait("", "not bound")
_GONE = (KeyError, ValueError, AttributeError)
_reached: "WeakKeyDictionary[FunctionType, Reach]" = WeakKeyDictionary()


class Known(NamedTuple):
    """What a cell depends on before it runs.

    Attributes:
        key: The lookup key.
        traits: What it was made of.
        digests: Digest of each input that is a plain value, by its `id`.
    """

    key: str
    traits: Traits
    digests: dict[int, bytes]


def inputs_of(names: Names, options: CellOptions, namespace: Mapping[str, Any]) -> list[str]:
    """The names that a cell reads from this namespace, as far as can be known before it runs."""
    read = {*names.reads, *options.inputs} | {name for name in names.mentions if name in namespace}
    for query in names.queries:
        text = namespace.get(query)
        if isinstance(text, str):
            read |= {name for name in identifiers(text) if name in namespace}
    return [name for name in sorted(read - {*options.ignore}) if name in namespace or not hasattr(builtins, name)]


def known_of(body: list[ast.stmt], inputs: list[str], options: CellOptions, namespace: dict[str, Any]) -> Known:
    """The key of a cell here and now.

    Raises:
        UnkeyableError: An input has no content that a key could be made of; it is named.
    """
    digests: dict[int, bytes] = {}
    traits: Traits = {"the code": Trait(code_of(body).hex(), "")}
    if options.key is not None:
        value = eval(options.key, {**namespace})  # noqa: S307 - the user's own expression
        traits["--key"] = Trait(digest_of(value, "--key").hex(), short(value))
    else:
        for name in inputs:
            traits.update(_traits(name, namespace, digests))
    digest = blake2b(_SCHEMA, digest_size=16)
    for label, trait in sorted(traits.items()):
        digest.update(canonical((label, trait.digest)))
    return Known(digest.hexdigest(), traits, digests)


def _traits(name: str, namespace: dict[str, Any], digests: dict[int, bytes]) -> Iterator[tuple[str, Trait]]:
    """The parts that one input adds to the key."""
    if name not in namespace:
        yield f"input {name}", _ABSENT
        return
    value = namespace[name]
    if type(value) is FunctionType:
        yield from _function(name, value)
    elif isinstance(value, ModuleType):
        yield f"module {name}", Trait(identify(value).hex(), "")
    elif isinstance(value, type):
        yield f"class {name}", Trait(identify(value).hex(), "")
    elif not _of_ipython(name, value):
        digests[id(value)] = digest = digest_of(value, name)
        yield f"input {name}", Trait(digest.hex(), short(value))


def _function(name: str, function: FunctionType) -> Iterator[tuple[str, Trait]]:
    reached = _reached.get(function)
    try:
        current = reached is not None and reached.unchanged()
    except _GONE:
        current = False
    if reached is None or not current:
        reached = _reached[function] = reach(function)
    for label, trait in reached.traits.items():
        yield (f"{name}()" if label == "the code" else label), trait
    if reached.live is not None:
        for label, value in zip(reached.live_names, reached.live(), strict=True):
            yield label, Trait(digest_of(value, label).hex(), short(value))


def _of_ipython(name: str, value: Any) -> bool:
    return IPYTHONS.match(name) is not None and str(getattr(value, "__module__", "")).startswith("IPython")


def digest_of(value: Any, name: str) -> bytes:
    """16-byte digest of an input; a live handle counts by its type.

    Raises:
        UnkeyableError: It has none.
    """
    return blake2b(canonical((value,), (name,)), digest_size=16).digest()


def cautious(value: Any) -> Any:
    """A digest for comparing only; what has none is never equal to anything."""
    try:
        return digest_of(value, "")
    except UnkeyableError:
        return object()
