"""The command line: `nbflow run`, `nbflow ls`, `nbflow clear`.

Exit codes: 0 all went well, 1 it did not, 2 the command line was wrong, 130 interrupted.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Never

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


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """The function behind a command: nbclient takes half a second to import, which only `run` should pay."""
    if name == "run":
        from nbflow.cli.run import run  # noqa: PLC0415 - see above

        return run
    from nbflow.cli import listing  # noqa: PLC0415 - likewise the store

    return listing.ls if name == "ls" else listing.clear


def _parser() -> _Parser:
    parser = _Parser(prog="nbflow", description="Notebooks that restart where they stopped.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nbflow {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="execute a notebook; finished steps come from the store", allow_abbrev=False)
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

    listing = commands.add_parser("ls", help="list what is kept", allow_abbrev=False)
    listing.add_argument("task", metavar="TASK", nargs="?", help="list the results of this task, one by one")
    listing.add_argument("--json", action="store_true", help="as JSON, times in seconds")

    clear = commands.add_parser("clear", help="drop what is kept", allow_abbrev=False)
    clear.add_argument("task", metavar="TASK", nargs="?", help="drop the results of this task")
    clear.add_argument("--all", action="store_true", help="drop all results, of all tasks")
    clear.add_argument("--yes", action="store_true", help="do not ask")
    return parser
