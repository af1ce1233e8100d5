"""The command line: `nbflow COMMAND`.

Exit codes: 0 all went well, 1 it did not, 2 the command line was wrong, 130 interrupted, 143 ended by SIGTERM.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final, Never

from nbflow import __version__
from nbflow.errors import ConfigurationError, NbflowError

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        """One line, without the usage."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code.

    Args:
        argv: The words behind `nbflow`; None are those of this process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    args = _parser().parse_args(argv)
    try:
        code: int = _command(args.command)(args)
        sys.stdout.flush()
    except ConfigurationError as error:
        print(f"nbflow: {error}", file=sys.stderr)
        return 2
    except NbflowError as error:
        print(f"nbflow: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `nbflow ls | head`: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


_COMMANDS: Final = {
    "run": "run:run",
    "ls": "listing:ls",
    "show": "listing:show",
    "clear": "listing:clear",
    "stats": "upkeep:stats",
    "prune": "upkeep:prune",
    "verify": "upkeep:verify",
    "export": "bundles:export",
    "import": "bundles:take_in",
    "trust": "trust:trust",
}


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """The function behind a command, imported only now: nbclient takes half a second, which only `run` should pay."""
    module, _, function = _COMMANDS[name].partition(":")
    found: Callable[[argparse.Namespace], int] = getattr(import_module(f"nbflow.cli.{module}"), function)
    return found


def _parser() -> _Parser:
    codes = "Exit codes: 0 all went well, 1 it did not, 2 the command line was wrong, 130 interrupted, 143 ended."
    parser = _Parser(
        prog="nbflow", description="Notebooks that restart where they stopped.", epilog=codes, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"nbflow {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, help: str, one: str) -> argparse.ArgumentParser:
        """A command, with when its exit code is 1."""
        return commands.add_parser(
            name,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            epilog=f"Exit code 1: {one}.",
            allow_abbrev=False,
        )

    run = command("run", "execute a notebook; finished steps come from the store", "a cell failed")
    run.add_argument("notebook", metavar="NOTEBOOK", help="an .ipynb file; it is not changed")
    run.add_argument(
        "-p",
        dest="parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a variable, in a cell behind the one tagged `parameters`; VALUE is a Python literal, or else text",
    )
    run.add_argument(
        "-o", dest="output", metavar="OUT", help="where the executed notebook goes; NOTEBOOK.out.ipynb by default"
    )
    run.add_argument(
        "--timeout", metavar="DUR", help="how long one cell may take, such as 90s or 2h; no limit by default"
    )

    ls = command("ls", "list what is kept", "nothing is kept of that task")
    ls.add_argument("task", metavar="TASK", nargs="?", help="list the results of this task, one by one")

    show = command("show", "tell what a result is and what it depends on", "there is no such result")
    show.add_argument("what", metavar="ENTRY|TASK", help="as `nbflow ls` names it; of a task, its newest result")

    clear = command("clear", "drop what is kept", "there is nothing to drop")
    clear.add_argument("task", metavar="TASK", nargs="?", help="drop the results of this task")
    clear.add_argument("--all", action="store_true", help="drop all results, of all tasks")
    clear.add_argument("--yes", action="store_true", help="do not ask")

    stats = command("stats", "tell how full the store is, and what it has saved", "the store cannot be read")

    prune = command("prune", "drop what is too old or too much", "nothing is kept of that task")
    prune.add_argument("task", metavar="TASK", nargs="?", help="only results of this task")
    prune.add_argument("--max-size", metavar="SIZE", help="what may stay, such as 500MB or 5GB; the store's own bound")
    prune.add_argument("--older", metavar="DUR", help="drop what was made longer ago, such as 30d")

    verify = command("verify", "check all that is kept, seals and data", "something is damaged, and was not repaired")
    verify.add_argument("--repair", action="store_true", help="put damaged results aside, delete orphaned files")

    export = command("export", "write results to one file, to take elsewhere", "not all of them could be written")
    export.add_argument("file", metavar="FILE", help="the file; one that is there is replaced")
    export.add_argument("task", metavar="TASK", nargs="*", default=[], help="only results of these tasks")

    take_in = command("import", "take in results that `export` wrote", "not all of them could be used")
    take_in.add_argument("file", metavar="FILE", help="a file that `nbflow export` wrote")

    trust = command(
        "trust", "use results of whoever has another key; without a key file, list keys", "that key is not fit for use"
    )
    trust.add_argument("key", metavar="KEYFILE", nargs="?", help="a copy of it is kept beside your own key")
    trust.add_argument("--list", action="store_true", help="list keys, and how many results each sealed")
    trust.add_argument("--remove", metavar="KEY", help="trust this key no longer; its id or the beginning of it")

    for each in (ls, show, stats, verify, trust):
        each.add_argument("--json", action="store_true", help="as JSON, times in seconds, sizes in bytes")
    return parser
