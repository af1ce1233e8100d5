"""`%nbflow`: what is kept, why something ran, and the settings, from within a notebook.

A command is a function: what may be written behind its name is its signature, what it does is its docstring. Help,
usage errors and completion are read from there.
"""

import ast
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
from nbflow.errors import ConfigurationError, NbflowError
from nbflow.explanation import cause
from nbflow.notebook.words import flags_of, taken, usage
from nbflow.session import Settings, configure, session
from nbflow.spelling import near
from nbflow.store import Store
from nbflow.widget import plain
from nbflow.widget.lines import line_of
from nbflow.widget.rows import Row, fold

__all__ = ["complete", "nbflow"]

_SHOWN: Final = 20
"""Runs that `history` lists."""


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
        known = [f"{each}=" for each in Settings.__dataclass_fields__] if name == "config" else _tasks(name)
    except NbflowError:
        return []
    return [each for each in known if each.startswith(symbol)]


def _tasks(name: str) -> list[str]:
    """Names of tasks that a command may be asked about."""
    if "task" not in inspect.signature(COMMANDS[name]).parameters:
        return []
    ran = {event.task for event in tuple(session.recent) if isinstance(event, e.Began)}
    kept = {each.task for each in session.store.stats().tasks if each.entries}
    return sorted(ran | kept if name in {"explain", "history"} else kept)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _where(task: str | None) -> Store:
    """Where results of a task are kept: it may have a store of its own."""
    return (session.store_of(task) if task else None) or session.store


def _none(task: str | None) -> None:
    where = _where(task)
    _say(f"nothing is kept of {task!r}{inventory.known(where)}" if task else f"nothing is kept in {where.folder}")


def _panel() -> Any:
    """All steps of this session, live."""
    from nbflow.widget import panel  # noqa: PLC0415 - ipywidgets takes 0.2 s to import

    return panel()


def _ls(task: str | None = None, *, jobs: bool = False) -> None:
    """What is kept: all tasks, or the results of one; --jobs: how far jobs are, and effects in doubt."""
    store, now = _where(task), session.clock.time()
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
    recent = tuple(session.recent)  # steps of other threads go on meanwhile
    names = {event.step: event.task for event in recent if isinstance(event, e.Began)}
    for event in reversed(recent):
        name = names.get(event.step)
        if name is None or task not in (None, name):
            continue
        if isinstance(event, e.Hit):
            _say(f"{name}: {_told(event)}")
            return
        if isinstance(event, e.Missed):
            _say(*_missed(name, event))
            return
    _say(f"no step{f' of {task!r}' if task else ''} was looked up in this session")


def _missed(name: str, event: e.Missed) -> list[str]:
    head = f"{name}: missed {ago(session.clock.time() - event.at)}"
    if not event.traits:
        return [f"{head}: {event.why}"]
    why, differences = cause(_where(name), name, event.why, event.traits, event.at)
    return [f"{head}: {why}", *(f"  {each}" for each in differences[1:])]


def _told(event: e.Hit) -> str:
    when = ago(session.clock.time() - event.at)
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
    dropped = _where(task).clear(task)
    if dropped:
        _say(f"dropped {plain.spell_count(dropped, 'result')}")
    else:
        _none(task)


def _prune(task: str | None = None, *, max_size: str | None = None, older: str | None = None) -> None:
    """Drop what is older (30d) or too much (5GB); without flags, what is beyond the store's bound."""
    said = inventory.pruned(_where(task), max_size, older, task)
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
    recent = tuple(session.recent)
    kinds = Counter(type(event).__name__ for event in recent)
    saved = sum(event.saved for event in recent if isinstance(event, e.Hit))
    _say(f"this session: {kinds['Hit']:,} from the store, {kinds['Missed']:,} computed, {spell(saved)} saved")


def _config(*changes: str) -> None:
    """Settings and where each was made; NAME=VALUE sets one in this kernel, NAME=none unsets it."""
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise ConfigurationError(f"config {change}: write NAME=VALUE")
        values[name] = _value(text)
    configure(**values)
    found = effective()
    width = max(len(each.name) for each in found)
    _say(*(f"{each.name:<{width}} = {each.value}  ({each.source})" for each in found))


def _value(text: str) -> Any:
    """A setting as Python would write it; what is no literal is text."""
    try:
        return None if text.lower() == "none" else ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


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
