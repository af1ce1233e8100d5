"""An interrupt between any two lines of ours: Ctrl-C, or the alarm of a step that has more steps in it."""

import builtins
import linecache
import sys

import nbflow
from nbflow.context import Here, here, open_transaction
from nbflow.store.locks import _all
from nbflow.world.current import current, running

CONTEXT = (current, here, open_transaction)
HIDDEN = ("with ", "async with ", "pass", "try:")
"""Lines at whose traced instants the interpreter looks at no signal; `with` is traced again when it is left."""
OURS = nbflow.__file__.removesuffix("__init__.py")


class Interrupted:
    """Calls, and raises `KeyboardInterrupt` before the so many-th line of nbflow that is run.

    Attributes:
        where: That line; None: it was not reached.
    """

    def __init__(self, call, line):
        self.left, self.where = line, None
        before = sys.gettrace()
        sys.settrace(self._trace)
        try:
            call()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)

    def _trace(self, frame, event, _):
        file = frame.f_code.co_filename
        if not file.startswith(OURS):
            return None
        if event == "call" or (
            event == "line" and not linecache.getline(file, frame.f_lineno).strip().startswith(HIDDEN)
        ):
            self.left -= 1
            if self.left == 0:
                self.where = f"{file.removeprefix(OURS)}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self._trace


def left_behind():
    """What an interrupted call has left, in words."""
    found = [each.name for each in CONTEXT if each.get() not in (None, Here())]
    return found + ["a sight"] * bool(running) + ["print"] * (builtins.print.__module__ != "builtins")


def every_line(call, again, step):
    """Interrupt a call before each line of nbflow (or each so many-th), with a new argument each time.

    Args:
        call: The call.
        again: Makes the same call from another thread, and raises if it does not end.
        step: How many lines to go on by.

    Returns:
        Where calls were interrupted that left something behind or kept the next one waiting, and how many there were.
    """
    bad, line = {}, 1
    while True:
        found = Interrupted(lambda: call(line), line)  # noqa: B023 - it is called here
        if found.where is None:
            return bad, line // step
        left = left_behind()
        try:
            again(line)
        except TimeoutError:
            left.append("the next call waits for ever")
        if left:
            bad[found.where] = left
            return bad, line // step
        line += step


class Leaving(Interrupted):
    """The same, but lines count from the end of a cell on: its user has pressed stop a second time."""

    begun = False

    def _trace(self, frame, event, argument):
        self.begun = self.begun or frame.f_code.co_qualname == "Step._leave"
        return super()._trace(frame, event, argument) if self.begun else None


def cells(step):
    """Interrupt the ends of cells that worked or failed; where a cell kept its key or the streams, and how many ends."""
    from IPython.core.interactiveshell import InteractiveShell

    shell, bad, ends = InteractiveShell.instance(), {}, 0
    shell.run_line_magic("load_ext", "nbflow")
    for body in ("x = {}", "x = {}; 1 / 0"):
        line, where, streams = 0, "", (sys.stdout, sys.stderr)
        while where is not None:
            line, ends = line + step, ends + 1
            cell = "%%task\n" + body.format(line)
            where = Leaving(lambda: shell.run_cell(cell), line).where  # noqa: B023 - it is called here
            left = left_behind() + ["streams"] * ((sys.stdout, sys.stderr) != streams)
            if any(flights._flights for flights in _all.values()):
                left.append("the next run waits for ever")
            if left:
                bad[where] = left
                break
    return bad, ends


if __name__ == "__main__":
    print(*cells(int(sys.argv[1])), file=sys.stderr)
