"""Facts about distributions: their versions, for those that the user's code imported during a run.

Only imports that the user's own code asks for count: each of them brings a dozen others along, and a hit
should not look up thirty versions. A version is told by the name of the `*.dist-info` folder (0.2 ms), without
parsing metadata, and looked up again when that folder is gone: a kernel outlives `%pip install`. Of a module that
is imported, what is in memory counts.
"""

import os
import re
import sys
from collections.abc import Iterable

from nbflow.keys.origin import ALIASES, providers, users_module
from nbflow.trace import Fact

__all__ = ["broken", "distribution", "facts"]

_MODULES = {distribution: module for module, distribution in ALIASES.items()}  # and those met under way

_known: dict[str, tuple[str, str]] = {}  # versions, and the folders that tell them


def distribution(name: str) -> str | None:
    """The version of an installed distribution, None if there is none of that name."""
    known = _known.get(name)
    if known is None or not (_MODULES.get(name, name) in sys.modules or os.access(known[1], os.F_OK)):
        known = _look(name)
        if known is None:
            return None
        _known[name] = known
    return known[0]


def _look(name: str) -> tuple[str, str] | None:
    from importlib import metadata  # noqa: PLC0415 - 10 ms at start-up, and few runs import anything

    try:
        found = metadata.distribution(name)
        folder = str(getattr(found, "_path", ""))
        told = re.fullmatch(r"[^-]+-([^-]+)\.dist-info", os.path.basename(folder))  # noqa: PTH119 - as `_path` may be of any sort
        return told[1] if told else found.version, folder
    except Exception:  # noqa: BLE001 - damaged metadata, of whatever sort, is no version
        return None


def facts(module: str) -> list[Fact]:
    """The versions behind a top-level module; none for the standard library and the user's own."""
    names = (*_providers(module),)
    if len(names) == 1:
        _MODULES[names[0]] = module
    found = ((name, distribution(name)) for name in names)
    return [Fact("distribution", name, version.encode().hex(), version) for name, version in found if version]


def _providers(module: str) -> Iterable[str]:
    """The distributions that a module came from: several where they share its name, as those of `google` do."""
    if module in sys.stdlib_module_names:
        return ()
    name = ALIASES.get(module, module)
    if distribution(name) is not None:
        return (name,)
    return () if users_module(module) else dict.fromkeys(providers().get(module, ()))


def broken(known: Fact) -> str | None:
    """Why a distribution is no longer what it was, None if it is."""
    version = distribution(known.subject)
    if version is not None and version == known.hint:
        return None
    return f"{known.subject} is gone" if version is None else f"{known.subject} {known.hint} → {version}"
