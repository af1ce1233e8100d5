"""Settings: variables and keys that nobody reads, values that cannot be meant, and a clock that cannot be right."""

import os
import time
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from nbflow.cli.checks.check import Check, fail, ok, warn
from nbflow.errors import ConfigurationError
from nbflow.eventlog import VARIABLE
from nbflow.session import DEFAULTS, READ, Settings, session
from nbflow.spelling import near
from nbflow.store import IN_PROJECT, project_settings

__all__ = ["checks"]

_IN_CODE: Final = frozenset({*DEFAULTS, "task_runner"})
_VARIABLES: Final = {
    **{f"NBFLOW_{name.upper()}": name for name in Settings.__dataclass_fields__ if name not in _IN_CODE},
    "NBFLOW_STORE_KEY_FILE": "",
    VARIABLE: "",
}
_RECENT: Final = 1_750_000_000
"""Seconds: before this was written no clock can be right."""


def checks() -> Iterator[Check]:
    """All about settings."""
    yield from _environment()
    yield from _project()
    if not session.caching:
        yield warn("cache", "off: nothing is kept, nothing is taken", "unset NBFLOW_CACHE")
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if time.time() < _RECENT:
        yield fail("clock", f"{now} cannot be right", "set this machine's clock: results expire by it")
    else:
        yield ok("clock", now)


def _environment() -> Iterator[Check]:
    found = sorted(name for name in os.environ if name.startswith("NBFLOW_"))
    sound = []
    for name in found:
        if name not in _VARIABLES:
            yield warn("variable", f"nobody reads {name}{near(name, _VARIABLES)}", f"unset {name}")
        elif (why := _wrong(_VARIABLES[name], os.environ[name], name)) is not None:
            yield fail("variable", why, f"it is not followed: unset or correct {name}")
        else:
            sound.append(f"{name}={os.environ[name]}")
    yield ok("variables", ", ".join(sound) or "none of NBFLOW_* is set")


def _project() -> Iterator[Check]:
    file, table = project_settings(os.environ)
    if file is None:
        yield ok("project", "no pyproject.toml here")
        return
    try:
        tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        yield fail("project", f"{file} cannot be read: {error}", "correct it: its settings are not followed")
        return
    known = {name.replace("_", "-"): name for name in IN_PROJECT}
    for key, value in table.items():
        if key not in known:
            hint = near(key.replace("_", "-"), known) or f"; there are {', '.join(sorted(known))}"
            yield warn("project", f"{file}: nobody reads {key!r} in [tool.nbflow]{hint}", "correct or delete that line")
        elif (why := _wrong(known[key], value, key)) is not None:
            yield fail("project", f"{file}: {why}", "it is not followed: correct that line")
    yield ok("project", f"{file}" + ("" if table else " has no [tool.nbflow]"))


def _wrong(name: str, value: Any, what: str) -> str | None:
    form = READ.get(name)
    try:
        if form is not None and value != "":
            form(value, what)
    except ConfigurationError as error:
        return str(error)
    return None
