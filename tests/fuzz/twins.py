"""Two kernels that run the same cells, one plain, one cached, and what differs between them."""

import ast
import random
import re
from dataclasses import dataclass, replace

from tests.fuzz.programs import Notebook, edited, notebook, session
from tests.integration.kernels import Kernel, hit, told, users

__all__ = ["Difference", "Tally", "Twins", "shrunk"]

SETUP = """
import builtins
import sys
from functools import partial
from tests.fuzz.picture import fresh, picture
get_ipython().run_line_magic("colors", "nocolor")
builtins.__fresh__, builtins.__picture__ = partial(fresh, get_ipython()), partial(picture, get_ipython())
sys.stdout.flush_interval = sys.stderr.flush_interval = 3600  # the kernel's timer would order both by the machine's load
"""
PLACE = re.compile(r"\S*/ipykernel_\d+/\d+\.py|0x[0-9a-f]+")
SET = re.compile(r"(?<=\{)[^{}:]+(?=\})")
ARROW = re.compile(r"^-+> (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Difference:
    """Where the cached kernel did something else.

    Attributes:
        sessions: What was run, the last one being the one that differed.
        at: The position in it of the cell that differed.
        plain: What the plain kernel showed.
        cached: What the cached one did.
        said: What nbflow said of the cell.
    """

    sessions: tuple[Notebook, ...]
    at: int
    plain: tuple
    cached: tuple
    said: str

    def __str__(self):
        lines = [f"session {len(self.sessions)}, cell {self.at} differs ({self.said})"]
        for number, cells in enumerate(self.sessions, 1):
            lines.append(f"=== session {number}")
            for at, cell in enumerate(cells):
                lines += [f"--- {at}", cell.cached]
        lines += [f"{what}: plain  {a}\n{what}: cached {b}" for what, a, b in self.unequal()]
        return "\n".join(lines)

    def unequal(self):
        """What differs: the outputs, the namespace."""
        for what, a, b in zip(("outputs", "namespace"), self.plain, self.cached, strict=True):
            if a != b:
                yield what, a, b


@dataclass
class Tally:
    """How much was tried: a fuzzer that never hits proves nothing."""

    notebooks: int = 0
    cells: int = 0
    hits: int = 0

    def __str__(self):
        return f"{self.notebooks} notebooks, {self.cells} cells, {self.hits} of them hits"


class Twins:
    """A plain kernel and a cached one.

    Args:
        restart: Whether the cached kernel starts anew for each session, or only its namespace does.
    """

    def __init__(self, restart=False):
        self.restart = restart
        self.plain, self.cached = self.start(load=False), self.start()
        self.tally = Tally()

    def start(self, store=None, load=True):
        kernel = Kernel(store, load=load, PYTHONHASHSEED="0")  # or sets would be printed in another order
        self.house(kernel, SETUP)
        return kernel

    @staticmethod
    def house(kernel, code):
        """Runs code that leaves no trace in the history."""
        reply, out = kernel.finish(kernel.client.execute(code, silent=True, store_history=False))
        assert reply["status"] == "ok", (reply, out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.plain.close()
        self.cached.close()

    def notebook(self, seed):
        """Runs one random notebook, its edits and its repeats; gives the first difference, or None."""
        rng = random.Random(seed)
        cells = notebook(rng)
        other = edited(rng, cells)
        sessions = (session(rng, cells), cells, session(rng, other), other, cells)
        self.tally.notebooks += 1
        return self.sessions(sessions)

    def sessions(self, sessions):
        """Runs sessions on one store that is empty at first; gives the first difference, or None."""
        self.house(self.cached, "from nbflow.session import session; session.store.clear(); del session")
        for number, cells in enumerate(sessions):
            if self.restart:
                self.cached.close()
                self.cached = self.start(self.cached.store)
            if found := self.session(cells):
                return replace(found, sessions=tuple(sessions[: number + 1]))
        return None

    def session(self, cells):
        """Runs the cells from an empty namespace; all are asked for at once, so that no kernel waits for the other."""
        for kernel in (self.plain, self.cached):
            self.house(kernel, "__fresh__()")
        asked = [(self.ask(self.plain, cell.plain), self.ask(self.cached, cell.cached)) for cell in cells]
        found = None
        for at, (one, other) in enumerate(asked):
            (plain, _), (cached, out) = self.answer(*one), self.answer(*other)
            if found is None:
                self.tally.cells += 1
                self.tally.hits += hit(out)
                if plain != cached:
                    found = Difference((cells,), at, plain, cached, told(out))
        return found

    @staticmethod
    def ask(kernel, code):
        """Asks for a cell, and for a picture of what it leaves behind."""
        picture = {"picture": "__picture__()"}
        cell = kernel.client.execute(code, stop_on_error=False)
        return kernel, cell, kernel.client.execute("", silent=True, user_expressions=picture)

    def answer(self, kernel, cell, picture):
        """Outputs and namespace behind a cell, and all that it showed."""
        _, out = kernel.finish(cell)
        drawn = kernel.finish(picture)[0]["user_expressions"]["picture"]
        assert drawn["status"] == "ok", drawn
        return (tuple(self.shown(users(out))), PLACE.sub("<place>", ast.literal_eval(drawn["data"]["text/plain"]))), out

    @staticmethod
    def shown(out):
        for kind, *each in out:
            if kind == "error":
                name, trace = each
                yield kind, name, ARROW.findall(trace)[:1], same(trace.splitlines()[-1])
            elif kind == "execute_result":
                yield kind, same(each[0])
            elif kind == "stream":
                yield kind, each[0], same(each[1])
            else:
                yield kind, *each[:2]


def same(text):
    """Text without addresses, and with the members of sets in one order: a set that is made again may have another."""
    return SET.sub(lambda found: ", ".join(sorted(found[0].split(", "))), PLACE.sub("<place>", text))


def shrunk(twins, found):
    """The same difference with whatever can be left out left out: sessions, then cells, then statements."""
    for smaller in smaller_ones(found.sessions):
        if again := twins.sessions(smaller):
            return shrunk(twins, again)
    return found


def smaller_ones(sessions):
    """Each way to leave one thing out, the big things first."""
    for i in range(len(sessions) - 1):
        yield sessions[:i] + sessions[i + 1 :]
    for i, cells in enumerate(sessions):
        for j in range(len(cells)):
            yield (*sessions[:i], cells[:j] + cells[j + 1 :], *sessions[i + 1 :])
    seen = []
    for cell in (cell for cells in sessions for cell in cells if len(cell.body) > 1):
        if cell in seen:
            continue
        seen.append(cell)
        for k in range(len(cell.body)):
            less = replace(cell, body=cell.body[:k] + cell.body[k + 1 :])
            yield tuple(tuple(less if each == cell else each for each in cells) for cells in sessions)
