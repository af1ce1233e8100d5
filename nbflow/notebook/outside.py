"""What a cell changes around it that a hit could not change again, and that the cells behind count on.

Such a cell is not kept: where files and modules are found, and who hears a logger, are set up in a cell of their own.
"""

import logging
import os
import sys
from typing import NamedTuple

from nbflow.keys import origin

__all__ = ["Outside", "outside"]


class Outside(NamedTuple):
    """How things stood.

    Attributes:
        folder: The working directory: all that follows finds its files by it.
        path: Where modules are looked for. It names folders of this machine, so it is not set from a record.
        handlers: `id` of each handler of the user's logging, by the name of its logger.
        streams: `id` of what printing goes to.
    """

    folder: str
    path: tuple[str, ...]
    handlers: dict[str, tuple[int, ...]]
    streams: tuple[int, int]

    def changed(self) -> str:
        """What is not as it was, in words for people; `""` if nothing is."""
        now = outside()
        if now.folder != self.folder:
            return "the working directory"
        if now.path != self.path:
            return "sys.path"
        if now.handlers != self.handlers:
            return "the handlers of logging"
        return "sys.stdout or sys.stderr" if now.streams != self.streams else ""


def outside() -> Outside:
    """How things stand."""
    path = tuple(each for each in sys.path if isinstance(each, str) and not each.startswith(_LIBRARIES))
    return Outside(_folder(), path, _handlers(), (id(sys.stdout), id(sys.stderr)))


_LIBRARIES = tuple({sys.prefix + os.sep, sys.base_prefix + os.sep})
"""What libraries add to the path for themselves lies there."""


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - ten times as fast
    except OSError:  # it was removed
        return ""


def _handlers() -> dict[str, tuple[int, ...]]:
    """Those of the root and of loggers that no library has made for itself."""
    root = logging.getLogger()
    loggers = {"": root, **root.manager.loggerDict}
    found: dict[str, tuple[int, ...]] = {}
    for name, logger in loggers.items():
        if isinstance(logger, logging.Logger) and logger.handlers and not _librarys(name):
            found[name] = tuple(id(each) for each in logger.handlers if _counts(each))
    return {name: handlers for name, handlers in found.items() if handlers}


def _librarys(name: str) -> bool:
    module = sys.modules.get(name.partition(".")[0])
    return module is not None and not origin.users(module)


def _counts(handler: logging.Handler) -> bool:
    """Not one that does nothing, nor one that a library has put at the root for itself."""
    home = type(handler).__module__.partition(".")[0]
    return not isinstance(handler, logging.NullHandler) and (home == "logging" or not _librarys(home) or home == "rich")
