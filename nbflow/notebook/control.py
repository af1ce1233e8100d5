"""`%nbflow`: what is kept, why something ran, and the settings, from within a notebook.

A command is a function: what may be written behind its name is its signature, what it does is its docstring. Help,
usage errors and completion are read from there.
"""

import inspect
import math
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from IPython.core.error import UsageError

from nbflow import events as e
from nbflow import inventory
from nbflow.configuration import effective
from nbflow.durable import effects, marks
from nbflow.durable.history import history
from nbflow.durable.ledger import ledger_of
from nbflow.durable.recorder import Run
from nbflow.durations import ago, spell
from nbflow.engine.slot import NO_ENTRY
from nbflow.errors import ConfigurationError, NbflowError
from nbflow.explanation import cause
from nbflow.notebook.words import flags_of, taken, usage
from nbflow.session import configure, session
from nbflow.spelling import near
from nbflow.widget import plain
from nbflow.widget.lines import line_of
from nbflow.widget.rows import Row, fold

__all__ = ["complete", "nbflow"]

_SHOWN: Final = 20
"""Runs that `history` lists."""
_VALUES: Final = {"true": True, "on": True, "false": False, "off": False, "none": None}


def nbflow(line: str) -> Any:
    """Look into what is kept; replaced by the help text below."""
    try:
        words = shlex.split(line)
        name, *rest = words or ["help"]
        if name not in COMMANDS:
            raise ConfigurationError(f"there is no {name!r}{near(name, COMMANDS)}")
        arguments, flags = taken(name, COMMANDS[name], rest)
        return COMMANDS[name](*arguments, **flags)
    except (NbflowError, ValueError) as error:
        raise UsageError(f"%nbflow: {error}") from None


def complete(line: str, symbol: str) -> list[str]:
    """What may go on from `symbol` in a line: commands, then their flags, names of tasks, or of settings."""
    words = line.split()
    name = words[1] if len(words) > 1 else ""
    if len(words) < 2 or (len(words) == 2 and symbol == name):
        return [each for each in COMMANDS if each.startswith(symbol)]
    if name not in COMMANDS:
        return []
    if symbol.startswith("-"):
        return [each for each in flags_of(COMMANDS[name]) if each.startswith(symbol)]
    try:
        known = [f"{each.name}=" for each in effective()] if name == "config" else _tasks(name)
    except NbflowError:
        return []
    return [each for each in known if each.startswith(symbol)]


def _tasks(name: str) -> list[str]:
    """Names of tasks that a command may be asked about."""
    if "task" not in inspect.signature(COMMANDS[name]).parameters:
        return []
    ran = {event.task for event in session.recent if isinstance(event, e.Began)}
    kept = {each.task for each in session.store.stats().tasks if each.entries}
    return sorted(ran | kept if name in {"explain", "history"} else kept)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _none(task: str | None) -> None:
    where = session.store
    _say(f"nothing is kept of {task!r}{inventory.known(where)}" if task else f"nothing is kept in {where.folder}")


def _panel() -> Any:
    """All steps of this session, live."""
    from nbflow.widget import panel  # noqa: PLC0415 - ipywidgets takes 0.2 s to import

    return panel()


def _ls(task: str | None = None, *, jobs: bool = False) -> None:
    """What is kept: all tasks, or the results of one; --jobs: how far jobs are, and effects in doubt."""
    store, now = session.store, session.clock.time()
    if jobs:
        _jobs(now)
        return
    found = (
        inventory.of_tasks(store.stats().tasks, now) if task is None else inventory.of_results(store.entries(task), now)
    )
    head, rows = found[0], [*found[1]]
    if rows:
        _say(*plain.table(head, rows))
    else:
        _none(task)


def _jobs(now: float) -> None:
    ledger = ledger_of(session.store, session.durability)
    known, doubts = marks.jobs(ledger), effects.doubts(ledger)
    if known:
        _say(*plain.table(*inventory.of_jobs(known, now)))
    if doubts:
        _say(*plain.table(*inventory.of_effects(doubts, now)))
        _say("look whether each happened, then once.resolve(KEY, 'done') or once.resolve(KEY, 'retry')")
    if not known and not doubts:
        _say("there are no jobs, and nothing is in doubt")


def _explain(task: str | None = None) -> None:
    """Why the latest step ran or did not, part by part."""
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
    if isinstance(event, e.Missed):
        return f"missed {when}: {event.why}"
    if event.stale:
        return f"stale result {when}: {event.stale}"
    return f"hit {when}, made {ago(event.age)} before, saved {spell(event.saved)}"


def _history(task: str | None = None) -> None:
    """The latest runs of this session, and below them those before it: when, how long, attempts, what they came to."""
    rows: dict[int, Row] = {}
    for event in tuple(session.recent):
        if event.step in rows:
            fold(rows[event.step], event)
        elif isinstance(event, (e.Queued, e.Began)):
            rows[event.step] = Row(event)
    those = [row for row in reversed(rows.values()) if task in (None, row.task)]
    began = min((row.since for row in rows.values()), default=math.inf)
    before = [run for run in history(task, 2 * _SHOWN + len(those)) if run.began < began][:_SHOWN]
    if not those:
        _say(f"no step{f' of {task!r}' if task else ''} ran in this session")
        _before(before)
        return
    cells, whys = zip(*islice(map(_ran, those), _SHOWN), strict=True)
    lines = plain.table(("step", "began", "time", "tries", "came to"), cells)
    _say(*(f"{line}  {why}".rstrip() for line, why in zip(lines, ("why", *whys), strict=True)))
    if len(those) > _SHOWN:
        _say(f"and {plain.spell_count(len(those) - _SHOWN, 'earlier step')}")
    _before(before)


def _before(runs: list[Run]) -> None:
    """What ran in earlier sessions, and in other processes."""
    if runs:
        _say("before this session:", *plain.table(*inventory.of_runs(runs, session.clock.time())))


def _ran(row: Row) -> tuple[tuple[str, ...], str]:
    """The cells of a run, and why it came to that."""
    now = session.clock.time()
    line = line_of(row, now)
    why = (row.missed and session.explain(row.task, row.missed)) or ""
    shown = f"miss: {why}" if why and line.reason.startswith("miss: ") else line.reason
    return (
        line.name,
        ago(now - row.since),
        line.time,
        line.tries or str(row.attempt or ""),
        f"{line.state.icon} {line.word}",
    ), shown


def _clear(task: str | None = None, *, all: bool = False) -> None:
    """Drop what is kept of a task, or everything."""
    if (task is None) != all:
        raise ConfigurationError("clear: name a task, or give --all")
    dropped = session.store.clear(task)
    if dropped:
        _say(f"dropped {plain.spell_count(dropped, 'result')}")
    else:
        _none(task)


def _prune(task: str | None = None, *, max_size: str | None = None, older: str | None = None) -> None:
    """Drop what is older (30d) or too much (5GB); without flags, what is beyond the store's bound."""
    said = inventory.pruned(session.store, max_size, older, task)
    if said is None:
        _none(task)
    else:
        _say(said)


def _stats() -> None:
    """How full the store is, and what it has saved, task by task."""
    stats = session.store.stats()
    if stats.tasks:
        _say(*plain.table(*inventory.saved_by_tasks(stats.tasks)))
    _say(inventory.total(stats, session.store))
    kinds = Counter(type(event).__name__ for event in session.recent)
    saved = sum(event.saved for event in session.recent if isinstance(event, e.Hit))
    _say(f"this session: {kinds['Hit']:,} from the store, {kinds['Missed']:,} computed, {spell(saved)} saved")


def _config(*changes: str) -> None:
    """Settings and where each was made; NAME=VALUE sets one in this kernel, NAME=none unsets it."""
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise ConfigurationError(f"config {change}: write NAME=VALUE")
        values[name] = _VALUES.get(text.lower(), text) if text.lower() == "none" or name != "panel" else text
    configure(**values)
    width = max(len(each.name) for each in effective())
    _say(*(f"{each.name:<{width}} = {each.value}  ({each.source})" for each in effective()))


def _help() -> None:
    """This text; %%task? is about cells."""
    _say(_HELP)


COMMANDS: Final[dict[str, Callable[..., Any]]] = {
    "panel": _panel,
    "ls": _ls,
    "explain": _explain,
    "history": _history,
    "clear": _clear,
    "prune": _prune,
    "stats": _stats,
    "config": _config,
    "help": _help,
}


def _helped() -> Iterator[str]:
    yield "What nbflow keeps, and why steps ran.\n"
    width = max(len(usage(name, command)) for name, command in COMMANDS.items())
    for name, command in COMMANDS.items():
        yield f"    %nbflow {usage(name, command):<{width}}  {command.__doc__}"


_HELP: Final = "\n".join(_helped())
nbflow.__doc__ = _HELP
