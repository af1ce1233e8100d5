"""The command line: `nbflow COMMAND`."""

from nbflow.cli.entry import main

__all__ = ["main"]
