"""Which setting holds, and where it was made: in code, in the environment, in pyproject.toml, or nowhere."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from nbflow.session import DEFAULTS, Settings, session
from nbflow.store import project_settings

__all__ = ["IN_PROJECT", "Setting", "effective"]

IN_PROJECT = frozenset({"store", "verify", "max_size", "durability", "tag_limits"})
"""Settings that pyproject.toml may have, there with a hyphen."""


class Setting(NamedTuple):
    """A setting, what it is, and where that was said."""

    name: str
    value: str
    source: str


def effective(environ: Mapping[str, str] = os.environ) -> list[Setting]:
    """What holds in this process; of what tasks say themselves only what was set for all of them.

    Raises:
        StoreError: There is no folder that could be a store.
    """
    file, table = project_settings(environ)
    found = []
    for name, value in _values(environ, table).items():
        variable, key = f"NBFLOW_{name.upper()}", name.replace("_", "-")
        if getattr(session.settings, name) is not None:
            source = "configure()"
        elif environ.get(variable):
            source = variable
        elif name in IN_PROJECT and table.get(key):
            source = str(file)
        else:
            source = "default"
        found.append(Setting(name, value, source))
    return found


def _values(environ: Mapping[str, str], table: Mapping[str, Any]) -> dict[str, str]:
    store = session.store
    values = {
        "store": str(store.folder),
        "cache": "on" if session.caching else "off",
        "strict": "on" if session.strict else "off",
        "panel": session.panel,
        "verify": session.settings.verify or environ.get("NBFLOW_VERIFY") or str(table.get("verify", "full")),
        "durability": session.durability,
        "max_size": f"{store.stats().max_size:,} bytes",
        "tag_limits": ", ".join(f"{tag}={most}" for tag, most in session.limits.places.items()) or "none",
    }
    settings = session.settings
    values |= {
        name: str(value) for name in (*DEFAULTS, "task_runner") if (value := getattr(settings, name)) is not None
    }
    return {name: values[name] for name in Settings.__dataclass_fields__ if name in values}
