"""`nbflow doctor`: what could go wrong, looked at before it does, each line with what to do about it."""

import textwrap
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from typing import Final

from nbflow.cli.checks.check import Check, fail
from nbflow.cli.paint import painted
from nbflow.cli.tables import as_json, room
from nbflow.widget import plain

__all__ = ["doctor"]

_AREAS: Final = ("store", "seal", "versions", "frontend", "settings")
_ICONS: Final = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}
_NAME: Final = 20


def doctor(args: Namespace) -> int:
    """Check everything; 1 where something is broken."""
    found = [(area, check) for area in _AREAS for check in _checks(area)]
    states = Counter(check.state for _, check in found)
    if args.json:
        as_json([{"area": area, **check._asdict()} for area, check in found])
    else:
        for area in _AREAS:
            print(painted(area, "bold"))
            for each, check in found:
                if each == area:
                    print(*_told(check), sep="\n")
        warnings, failures = states["warn"], states["fail"]
        parts = [f"{states['ok']} ok", plain.spell_count(warnings, "warning"), plain.spell_count(failures, "failure")]
        print(", ".join(parts))
    return int(bool(states["fail"]))


def _checks(area: str) -> Iterator[Check]:
    """What a module finds; a check that breaks is itself a finding."""
    try:
        yield from import_module(f"nbflow.cli.checks.{area}").checks()
    except Exception as error:  # noqa: BLE001 - a broken environment breaks in any way, and the rest is still worth a look
        what = plain.line(f"{type(error).__name__}: {error}", 200)
        yield fail(area, f"could not be checked: {what}", "see what it names")


def _told(check: Check) -> Iterator[str]:
    icon, colour = _ICONS[check.state]
    head = f"  {painted(f'{icon} {check.state:4}', colour)}  {plain.line(check.name, _NAME):{_NAME}}  "
    indent = " " * (2 + 6 + 2 + _NAME + 2)
    width = room()
    for first, text in ((head, check.said), (f"{indent}→ ", check.todo)):
        if text:
            clean = plain.line(text, 2000)
            lines = [clean] if width is None else textwrap.wrap(clean, max(24, width - len(indent) - 3)) or [""]
            yield f"{first}{lines[0]}"
            yield from (f"{indent}{'  ' if first is not head else ''}{line}" for line in lines[1:])
