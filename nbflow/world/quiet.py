"""To be seen is never the trouble of who is seen: errors of ours stay here."""

import sys
from types import TracebackType

__all__ = ["foreign", "quiet"]


class quiet:  # noqa: N801 - reads as a statement: `with quiet():`
    """A context that swallows errors, but for that of a signal handler that happens to run in it, such as a timeout."""

    __slots__ = ()

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        return isinstance(error, Exception) and not foreign(error)


def foreign(error: Exception) -> bool:
    """Whether an error came from a signal handler that ran while we did."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    name = trace.tb_frame.f_globals.get("__name__", "")
    return not name.startswith("nbflow.world") and name.partition(".")[0] not in sys.stdlib_module_names
