"""`%nbflow`: what is kept, why something ran, and the settings, from within a notebook."""

import inspect
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from IPython.core.error import UsageError

from nbflow import events as e
from nbflow.durations import ago, spell
from nbflow.errors import NbflowError
from nbflow.explanation import cause
from nbflow.session import Settings, configure, session
from nbflow.slot import NO_ENTRY
from nbflow.store import Info
from nbflow.widget import plain

__all__ = ["nbflow", "tasks_known"]

_HELP = """What nbflow keeps, and why steps ran.

    %nbflow panel                 all steps of this session, live
    %nbflow ls [TASK]             what is kept: all tasks, or the results of one
    %nbflow explain [TASK]        why the latest step ran or did not, part by part
    %nbflow clear TASK | --all    drop what is kept of a task, or everything
    %nbflow stats                 how full the store is, and what this session saved
    %nbflow config [NAME=VALUE]   show or change settings: store, cache, strict, panel
    %nbflow help                  this text; %%task? is about cells
"""
_VALUES = {"true": True, "on": True, "false": False, "off": False, "none": None}


def nbflow(line: str) -> Any:
    """Look into what is kept; replaced by the help text below."""
    try:
        words = shlex.split(line)
        command, *arguments = words or ["help"]
        if command not in COMMANDS:
            near = get_close_matches(command, COMMANDS, 1)
            raise UsageError(f"%nbflow: there is no {command!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        run = COMMANDS[command]
        try:
            inspect.signature(run).bind(*arguments)
        except TypeError as error:
            raise UsageError(f"%nbflow {command}: {error}; %nbflow help lists what there is") from None
        return run(*arguments)
    except (NbflowError, ValueError) as error:
        raise UsageError(f"%nbflow: {error}") from None


def tasks_known() -> list[str]:
    """Names of the tasks of which something is kept."""
    return sorted({entry.tag for entry in session.store.entries()})


def _panel() -> Any:
    from nbflow.widget import panel  # noqa: PLC0415 - ipywidgets takes 0.2 s to import

    return panel()


def _ls(task: str | None = None) -> None:
    entries = [*session.store.entries(task)]
    now = session.clock.time()
    if not entries:
        _say(f"nothing is kept{f' of {task!r}' if task else ''} in {session.store.folder}")
    elif task is None:
        _say(*plain.table(("task", "results", "size", "took", "newest"), _tasks(entries, now)))
    else:
        entries.sort(key=lambda entry: -entry.created)
        rows = [(each.row[:12], ago(now - each.created), spell(each.cost), plain.size(each.size)) for each in entries]
        _say(*plain.table(("result", "made", "took", "size"), rows))


def _tasks(entries: Iterable[Info], now: float) -> list[Sequence[str]]:
    groups: dict[str, list[Info]] = {}
    for entry in entries:
        groups.setdefault(entry.tag, []).append(entry)
    return [
        (
            task,
            f"{len(group):,}",
            plain.size(sum(each.size for each in group)),
            spell(sum(each.cost for each in group)),
            ago(now - max(each.created for each in group)),
        )
        for task, group in sorted(groups.items())
    ]


def _explain(task: str | None = None) -> None:
    names = {event.step: event.task for event in session.recent if isinstance(event, e.Began)}
    for event in reversed(session.recent):
        name = names.get(event.step)
        if isinstance(event, (e.Hit, e.Missed)) and name is not None and task in (None, name):
            _say(f"{name}: {_told(event)}")
            if isinstance(event, e.Missed) and event.traits:
                _, differences = cause(session.store, name, NO_ENTRY, event.traits)
                _say(*(f"  {each}" for each in differences))
            return
    _say(f"no step{f' of {task!r}' if task else ''} was looked up in this session")


def _told(event: e.Hit | e.Missed) -> str:
    when = ago(session.clock.time() - event.at)
    if isinstance(event, e.Hit):
        return f"hit {when}, made {ago(event.age)} before, saved {spell(event.saved)}"
    return f"missed {when}: {event.why}"


def _clear(task: str) -> None:
    dropped = session.store.clear(None if task == "--all" else task)
    _say(f"dropped {plain.spell_count(dropped, 'result')}")


def _stats() -> None:
    stats = session.store.stats()
    _say(f"{plain.spell_count(stats.entries, 'result')}, {plain.size(stats.size)} of {plain.size(stats.max_size)}")
    _say(f"in {session.store.folder}")
    kinds = Counter(type(event).__name__ for event in session.recent)
    saved = sum(event.saved for event in session.recent if isinstance(event, e.Hit))
    _say(f"this session: {kinds['Hit']:,} hits, {kinds['Missed']:,} misses, {spell(saved)} saved")


def _config(*changes: str) -> None:
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise UsageError(f"%nbflow config {change}: write NAME=VALUE")
        values[name] = text if name == "panel" else _VALUES.get(text.lower(), text)
    settings = configure(**values)
    for name in Settings.__dataclass_fields__:
        _say(f"{name} = {getattr(settings, name)}")


def _help() -> None:
    _say(_HELP)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


COMMANDS: dict[str, Callable[..., Any]] = {
    "panel": _panel,
    "ls": _ls,
    "explain": _explain,
    "clear": _clear,
    "stats": _stats,
    "config": _config,
    "help": _help,
}
nbflow.__doc__ = _HELP
