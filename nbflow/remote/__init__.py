"""Calls that are made in other processes; what makes them comes when the first one is made."""

from importlib import import_module
from typing import Any

__all__ = ["Remote", "by_value", "isolated", "perform"]

_HOMES = {"Remote": "calls", "by_value": "parcels", "isolated": "calls", "perform": "performing"}


def __getattr__(name: str) -> Any:
    """What makes calls elsewhere."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
