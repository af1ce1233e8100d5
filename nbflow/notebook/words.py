"""From the words behind a command to a call of its function, by the function's signature.

What may be given by position is `[NAME]`, what by keyword only is a flag: with a value, or without one if it is False.
"""

import inspect
from collections.abc import Callable
from typing import Any, Final

from nbflow.errors import ConfigurationError
from nbflow.spelling import near

__all__ = ["flags_of", "taken", "usage"]

Command = Callable[..., Any]

_METAVARS: Final = {"max_size": "SIZE", "older": "DUR", "changes": "NAME=VALUE"}


def taken(name: str, command: Command, words: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The arguments of a command, as they were written.

    Raises:
        ConfigurationError: They are not what the command takes; one line says what that is.

    >>> def ls(task=None, *, max_size=None): ...
    >>> taken("ls", ls, ["fit", "--max-size=5GB"])
    (['fit'], {'max_size': '5GB'})
    """
    known, rest = flags_of(command), iter(words)
    arguments: list[str] = []
    flags: dict[str, Any] = {}
    for word in rest:
        text, equals, value = word.partition("=")
        flag = known.get(text)
        if not word.startswith("-"):
            arguments.append(word)
        elif flag is None:
            raise ConfigurationError(
                f"{name}: there is no flag {text}{near(text, known)}; write {usage(name, command)}"
            )
        elif flag.default is False:
            if equals:
                raise ConfigurationError(f"{name}: {text} takes no value")
            flags[flag.name] = True
        else:
            flags[flag.name] = value if equals else next(rest, "")
            if not flags[flag.name] or flags[flag.name] in known:
                raise ConfigurationError(f"{name}: {text} needs a value; write {usage(name, command)}")
    try:
        inspect.signature(command).bind(*arguments, **flags)
    except TypeError:
        raise ConfigurationError(f"{' '.join([name, *words])}: write {usage(name, command)}") from None
    return arguments, flags


def flags_of(command: Command) -> dict[str, inspect.Parameter]:
    """The flags of a command, by how they are written."""
    parameters = inspect.signature(command).parameters.values()
    return {f"--{each.name.replace('_', '-')}": each for each in parameters if each.kind is each.KEYWORD_ONLY}


def usage(name: str, command: Command) -> str:
    """A command with all that it takes: `prune [TASK] [--max-size SIZE] [--older DUR]`."""
    words = [name]
    for each in inspect.signature(command).parameters.values():
        value = _METAVARS.get(each.name, each.name.upper())
        if each.kind is each.KEYWORD_ONLY:
            flag = f"--{each.name.replace('_', '-')}"
            words.append(f"[{flag}]" if each.default is False else f"[{flag} {value}]")
        else:
            words.append(f"[{value}]")
    return " ".join(words)
