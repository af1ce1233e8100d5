"""Telling in about a microsecond that nothing which a function reaches was bound to something else.

A walk over what is reached collects tests, source such as `o1['clean'] is o2`; they are compiled once into one
function. A test costs 25 ns where a loop over bindings costs four times that.
"""

import sys
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any
from weakref import ref

__all__ = ["CHANGED", "Guard", "watch"]

CHANGED = (KeyError, ValueError, AttributeError)
"""What a guard raises where a name, an attribute or a cell was emptied: it changed."""

watched: dict[int, ref[FunctionType]] = {}
rewrites = [0]
hooked: list[bool] = []


def notice(event: str, args: tuple[Any, ...]) -> None:
    """Counts assignments to the code or the defaults of watched functions, such as `%autoreload`'s.

    Guards compare one number: reading `f.__code__`, `f.__defaults__`, `f.__kwdefaults__` is audited as well, and with
    any audit hook installed costs 0.8 us. https://docs.python.org/3/library/audit_events.html
    """
    if event in ("object.__setattr__", "object.__delattr__") and id(args[0]) in watched:
        rewrites[0] += 1


def watch(function: FunctionType) -> None:
    """From now on every guard trips when the code or the defaults of this function are replaced."""
    if not hooked:
        hooked.append(True)
        sys.addaudithook(notice)
    key = id(function)
    if key not in watched:
        # in C alone, here and elsewhere: Python drops an alarm or an interrupt that comes while it calls back
        watched[key] = ref(function, partial(watched.pop, key))


class Guard:
    """Tests and values to fetch, as they are collected.

    The things that tests compare with are held, so that their ids stay theirs. Data are never held: values that can
    change are fetched anew for every call, by `live`.
    """

    def __init__(self) -> None:
        self.tests: dict[str, None] = {}
        self.gets: list[str] = []
        self.names: list[str] = []
        self.held: dict[str, object] = {}
        self.known: dict[int, str] = {}
        self.tests[f"{self.hold(rewrites)}[0] == {rewrites[0]}"] = None

    def hold(self, thing: object) -> str:
        """A name for a thing in the source of tests."""
        name = self.known.get(id(thing))
        if name is None:
            name = self.known[id(thing)] = f"o{len(self.held)}"
            self.held[name] = thing
        return name

    def weakly(self, thing: FunctionType) -> None:
        """Names the function the walk began with: not held, so that it can die with the data in its closure."""
        self.known[id(thing)] = f"{self.hold(ref(thing))}()"

    def test(self, source: str) -> None:
        """An expression that is true as long as nothing changed."""
        self.tests[source] = None

    def same(self, where: str, value: object) -> None:
        """Tests that the expression `where` still gives this very object."""
        self.test(f"{where} is {self.hold(value)}")

    def kind(self, where: str, value: object) -> None:
        """Tests that it still gives an object of this type."""
        self.test(f"{self.hold(type)}({where}) is {self.hold(type(value))}")

    def fetch(self, where: str, name: str) -> None:
        """Takes what `where` gives among the live values."""
        if where not in self.gets:
            self.gets.append(where)
            self.names.append(name)

    def unchanged(self) -> Callable[[], bool]:
        """All tests as one function; it may raise one of CHANGED."""
        made: Callable[[], bool] = self.compiled(" and ".join(self.tests))
        return made

    def live(self) -> Callable[[], tuple[object, ...]] | None:
        """A function that gives the live values of now, None if there are none."""
        return self.compiled(f"({', '.join(self.gets)},)") if self.gets else None

    def compiled(self, source: str) -> Any:
        """A function of no arguments that gives the value of an expression."""
        return eval(f"lambda: {source}", self.held)  # noqa: S307 - made of reprs and of our own names
