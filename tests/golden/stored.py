"""The file of digests: read, written, compared."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("digests.json")


def load() -> dict[str, Any]:
    return json.loads(PATH.read_text()) if PATH.exists() else {}


def save(found: dict[str, Any]) -> None:
    PATH.write_text(json.dumps(found, indent=1, ensure_ascii=True) + "\n")


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """One line for each digest that differs. Values of a library are compared between equal major versions."""
    for group in {**old, **new}:
        library = group.removeprefix("values of ")
        missing = group not in old or group not in new
        if group in ("libraries", "stand-in") or (library != group and (missing or other(library, old, new))):
            continue
        before, after = old.get(group, {}), new.get(group, {})
        for name in {**before, **after}:
            if before.get(name) != after.get(name):
                yield f"{group}: {name}: {before.get(name)} -> {after.get(name)}"


def other(library: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    return bool(old["libraries"].get(library) != new["libraries"].get(library))
