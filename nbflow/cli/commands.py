"""Every command, with all that may be written behind it: help, errors and completion are made of this."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Never

from nbflow import __version__
from nbflow.spelling import near

__all__ = ["COMMANDS", "EXITS", "Arg", "Command", "parse", "parser"]

EXITS: Final = "Exit codes: 0 all went well, 1 it did not, 2 the command line was wrong, 130 interrupted, 143 ended."


class Arg(NamedTuple):
    """A flag, or what stands by its place.

    Attributes:
        name: `--flag` or `-f`; otherwise it is shown as it is written here, and says what may stand there.
        help: What it does.
        value: What a flag is followed by; `""`: nothing.
        nargs: What stands by its place: `""` just one, `?` one or none, `*` any number; of a flag: `*` again and again.
        dest: The attribute; `""`: the name in small letters.
    """

    name: str
    help: str
    value: str = ""
    nargs: str = ""
    dest: str = ""


class Command(NamedTuple):
    """A command.

    Attributes:
        where: The module in here, and its function, which takes what was parsed and gives the exit code.
        help: What it does.
        fails: When its exit code is 1.
        args: What may be written behind it.
    """

    where: str
    help: str
    fails: str
    args: tuple[Arg, ...] = ()


_ALONE: Final = ("--help", "--version", "-h")
_JSON: Final = Arg("--json", "as JSON, times in seconds since the epoch, sizes in bytes")
_WHAT: Final = Arg("ENTRY|TASK", "as `nbflow ls` names it; of a task, its newest result", dest="what")

COMMANDS: Final = {
    "run": Command(
        "run:run",
        "execute a notebook; finished steps come from the store",
        "a cell failed",
        (
            Arg("NOTEBOOK", "an .ipynb file; it is not changed"),
            Arg(
                "-p",
                "set a variable, in a cell behind the one tagged `parameters`; VALUE is a Python literal, or else text",
                "NAME=VALUE",
                "*",
                "parameter",
            ),
            Arg("-o", "where the executed notebook goes; NOTEBOOK.out.ipynb by default", "OUT", dest="output"),
            Arg("--timeout", "how long one cell may take, such as 90s or 2h; no limit by default", "DUR"),
        ),
    ),
    "ls": Command(
        "listing:ls",
        "list what is kept",
        "nothing is kept of that task",
        (Arg("TASK", "list the results of this task, one by one", nargs="?"), _JSON),
    ),
    "show": Command(
        "show:show", "tell what a result is, and what would make it a miss", "there is no such result", (_WHAT, _JSON)
    ),
    "explain": Command(
        "explain:explain",
        "tell what a result depends on, and how the newest one of a task differs from the nearest before it",
        "there is no such result",
        (_WHAT._replace(help="as `nbflow ls` names it"), _JSON),
    ),
    "history": Command(
        "history:history",
        "list what ran, when, how often it was tried, and what it came to",
        "no such run is known",
        (
            Arg("TASK", "only runs of this task", nargs="?"),
            Arg("--failed", "only runs that failed"),
            Arg("--limit", "how many at most; 20 by default", "N"),
            _JSON,
        ),
    ),
    "jobs": Command(
        "jobs:jobs",
        "list checkpointed jobs, how far they are, and effects in doubt",
        "there is no such job",
        (Arg("NAME", "only this job", nargs="?"), _JSON),
    ),
    "stats": Command(
        "upkeep:stats", "tell how full the store is, and what it has saved", "the store cannot be read", (_JSON,)
    ),
    "clear": Command(
        "listing:clear",
        "drop what is kept",
        "there is nothing to drop",
        (
            Arg("TASK", "drop the results of this task", nargs="?"),
            Arg("--all", "drop all results, of all tasks"),
            Arg("--yes", "do not ask"),
        ),
    ),
    "prune": Command(
        "upkeep:prune",
        "drop what is too old or too much",
        "nothing is kept of that task",
        (
            Arg("TASK", "only results of this task", nargs="?"),
            Arg("--max-size", "what may stay, such as 500MB or 5GB; by default the store's own bound", "SIZE"),
            Arg("--older", "drop what was made longer ago, such as 30d", "DUR"),
        ),
    ),
    "verify": Command(
        "upkeep:verify",
        "check all that is kept, seals and data",
        "something is damaged, and was not repaired",
        (Arg("--repair", "put damaged results aside, delete orphaned files"), _JSON),
    ),
    "export": Command(
        "bundles:export",
        "write results to one file, to take elsewhere",
        "not all of them could be written",
        (
            Arg("FILE", "the file; one that is there is replaced"),
            Arg("TASK", "only results of these tasks", nargs="*"),
        ),
    ),
    "import": Command(
        "bundles:take_in",
        "take in results that `export` wrote",
        "not all of them could be used",
        (Arg("FILE", "a file that `nbflow export` wrote"),),
    ),
    "trust": Command(
        "trust:trust",
        "use results of whoever has another key; without a key file, list keys",
        "that key is not fit for use",
        (
            Arg("KEYFILE", "a copy of it is kept beside your own key", nargs="?", dest="key"),
            Arg("--list", "list keys, and how many results each sealed"),
            Arg("--remove", "trust this key no longer; its id or the beginning of it", "KEY"),
            _JSON,
        ),
    ),
    "config": Command(
        "config:config", "tell which settings hold, and where each was made", "the store cannot be read", (_JSON,)
    ),
    "doctor": Command(
        "doctor:doctor",
        "check the store, its key, versions, front ends and settings, and say what to do",
        "something is broken; a warning is none",
        (_JSON,),
    ),
    "completion": Command(
        "completion:completion",
        "print what makes a shell complete commands, flags and names of tasks",
        "never",
        (
            Arg("SHELL", "bash, zsh or fish"),
            Arg("WORD", "tell what the last of these words may become; the shell asks so", nargs="*"),
        ),
    ),
}
"""In the order in which help lists them."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        """One line, without the usage, in our words."""
        message = re.sub("^the following arguments are required: ", "give ", message)
        message = re.sub("^argument (.+): expected one argument$", r"\1 needs a value", message)
        self.exit(2, f"{self.prog}: {message}{'' if message.endswith('?') else f'; see {self.prog} --help'}\n")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What was written behind `nbflow`, taken apart.

    Raises:
        SystemExit: It was wrong, which one line on stderr has told; or it asked for help.
    """
    top = parser()
    first = next(iter(words), "")
    if first and first not in COMMANDS and not first.startswith("-"):
        top.error(f"there is no command {first!r}{near(first, COMMANDS)}")
    if first.startswith("-") and first not in _ALONE:
        top.error(f"there is no flag {first}{near(first, _ALONE)}")
    end = words.index("--") + 1 if first == "completion" and "--" in words else len(words)
    args, rest = top.parse_known_args(words[:end])
    if end < len(words):
        args.word = [*words[end:]]  # they are another command line's, with flags and a `--` of their own
    if rest:
        _refuse(f"{top.prog} {args.command}", COMMANDS[args.command], rest)
    return args


def _refuse(prog: str, command: Command, rest: Sequence[str]) -> Never:
    """Tell of the first word that the command does not take."""
    flag = next((word.partition("=")[0] for word in rest if word.startswith("-")), None)
    if flag is None:
        what = f"{rest[0]!r} is one word too many"
    else:
        known = [each.name for each in command.args if each.name.startswith("-")]
        what = f"there is no flag {flag}{near(flag, known)}"
    _Parser(prog=prog).error(what)


def parser() -> argparse.ArgumentParser:
    """What takes the words apart."""
    top = _Parser(
        prog="nbflow", description="Notebooks that restart where they stopped.", epilog=EXITS, allow_abbrev=False
    )
    top.add_argument("--version", action="version", version=f"nbflow {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        below = commands.add_parser(
            name,
            help=command.help,
            description=command.help[0].upper() + command.help[1:] + ".",
            epilog=f"Exit code 1: {command.fails}.",
            allow_abbrev=False,
        )
        for arg in command.args:
            _add(below, arg)
    return top


def _add(below: argparse.ArgumentParser, arg: Arg) -> None:
    dest = arg.dest or arg.name.strip("-").lower().replace("-", "_")
    more: dict[str, Any] = {"help": arg.help}
    if arg.nargs == "*":
        more["default"] = []
    if not arg.name.startswith("-"):
        below.add_argument(dest, metavar=arg.name, nargs=arg.nargs or None, **more)
    elif not arg.value:
        below.add_argument(arg.name, dest=dest, action="store_true", **more)
    elif arg.nargs:
        below.add_argument(arg.name, dest=dest, metavar=arg.value, action="append", **more)
    else:
        below.add_argument(arg.name, dest=dest, metavar=arg.value, **more)
