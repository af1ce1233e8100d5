"""Which setting holds, and where it was made: in code, in the environment, in pyproject.toml, or nowhere."""

from typing import NamedTuple

from nbflow.session import DEFAULTS, Settings, session

__all__ = ["Setting", "effective"]


class Setting(NamedTuple):
    """A setting, what it is, and where that was said."""

    name: str
    value: str
    source: str


def effective() -> list[Setting]:
    """What holds in this process; of what tasks say themselves only what was set for all of them.

    Raises:
        StoreError: There is no folder that could be a store.
    """
    configured = {name for name in Settings.__dataclass_fields__ if getattr(session.settings, name) is not None}
    return [
        Setting(name, value, "configure()" if name in configured else session.said(name)[1] or "default")
        for name, value in _values().items()
    ]


def _values() -> dict[str, str]:
    store = session.store
    values = {
        "store": str(store.folder),
        "cache": "on" if session.caching else "off",
        "strict": "on" if session.strict else "off",
        "panel": session.panel,
        "verify": session.settings.verify or session.said("verify")[0] or "full",
        "durability": session.durability,
        "max_size": f"{store.stats().max_size:,} bytes",
        "tag_limits": ", ".join(f"{tag}={most}" for tag, most in session.limits.places.items()) or "none",
    }
    settings = session.settings
    values |= {
        name: str(value) for name in (*DEFAULTS, "task_runner") if (value := getattr(settings, name)) is not None
    }
    return {name: values[name] for name in Settings.__dataclass_fields__ if name in values}
