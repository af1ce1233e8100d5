"""From the words of a command line to an exit code.

Nobody who types a command reads a traceback: what is wrong is told in one line.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TextIO

from nbflow.cli.commands import COMMANDS, parse
from nbflow.errors import ConfigurationError, NbflowError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code.

    Args:
        argv: The words behind `nbflow`; None are those of this process.
    """
    sys.stdout, sys.stderr = _usable(sys.stdout), _usable(sys.stderr)
    try:
        args = _parsed(sys.argv[1:] if argv is None else argv)
        code = _function(args.command)(args)
        sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        line, code = _ending(error)
        if not line:
            raise
        _let_go()
        _say(line)
    return code


def _ending(error: BaseException) -> tuple[str, int]:
    """What an error is in one line, `""` for one that shall be seen whole, and as an exit code."""
    match error:
        case ConfigurationError():
            found = str(error), 2
        case NbflowError():
            found = str(error), 1
        case KeyboardInterrupt():
            found = "interrupted", 130
        case BrokenPipeError():  # `nbflow ls | head`: nobody is left to tell
            found = " ", 1
        case OSError():
            found = _what(error), 1
        case _ if sys.flags.dev_mode:
            found = "", 1
        case _:
            first = f"{type(error).__name__}: {error}".splitlines()[0]
            found = f"this is a fault of nbflow: {first}; `python -X dev -m nbflow ...` shows where", 1
    return found


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    try:
        return parse(words)
    finally:
        sys.stdout.flush()  # of help, which ends in SystemExit


def _function(name: str) -> Callable[[argparse.Namespace], int]:
    """What is behind a command, imported only now: nbclient takes half a second, which only `run` should pay."""
    module, _, function = COMMANDS[name].where.partition(":")
    found: Callable[[argparse.Namespace], int] = getattr(import_module(f"nbflow.cli.{module}"), function)
    return found


def _usable(stream: TextIO | None) -> TextIO:
    """A stream that takes any text; one that was closed (`>&-`) swallows it."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream


def _say(line: str) -> None:
    try:
        if line.strip():
            print(f"nbflow: {line}", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _let_go() -> None:
    """What nobody takes goes nowhere: https://docs.python.org/3/library/signal.html#note-on-sigpipe."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _what(error: OSError) -> str:
    try:
        Path.cwd()
    except OSError:
        return "the working directory is gone: change to another one"
    name = "" if error.filename is None else f"{error.filename}: "
    return f"{name}{error.strerror or error}"
