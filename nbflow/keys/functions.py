"""What a function reaches by the names it reads: globals, closure cells, defaults, imports, attributes of modules."""

import importlib
import sys
from collections.abc import Callable
from importlib.util import resolve_name
from types import CellType, FunctionType, ModuleType
from typing import Any

from nbflow.keys import origin
from nbflow.keys.gather import CODE, ROOT, Gather, constant, task_function
from nbflow.keys.guard import watch
from nbflow.keys.reads import Chain, Reads
from nbflow.keys.scopes import Import
from nbflow.keys.syntax import syntax

__all__ = ["Functions"]

SHELL = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open", "display"})
"""What IPython puts among the user's names."""
PLACE = frozenset(
    {"__builtins__", "__cached__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__"}
)
"""What a module knows of where it lies: a moved notebook is the same notebook."""
MACHINE = frozenset({"sys", "os", "posix", "nt", "platform", "site", "sysconfig", "builtins"})
"""Modules whose constants tell of the machine, which is no input."""
MISSING = object()


class Functions:
    """Collects functions into a `Gather`."""

    def __init__(self, gather: Gather, home: dict[str, Any] | None) -> None:
        self.gather = gather
        self.home = home  # the namespace whose globals need no module before their names

    def visit(self, function: FunctionType, label: str) -> None:
        """A function of the user's: its code, and everything bound to what that reads."""
        gather = self.gather
        watch(function)
        gather.guard.hold(function)
        reads = syntax(function).reads
        gather.add(label, b"function", syntax(function).digest)
        gather.strings.update(reads.strings)
        gather.modules.add(origin.module_of(function))
        self.defaults(function, label)
        space = function.__globals__
        cells = self.cells(function)
        for name, (where, cell) in cells.items():
            updated = [chain for chain in reads.effects if chain[0] == name]
            if updated and filled(cell) and not isinstance(cell.cell_contents, CODE):
                self.effect(where, cell.cell_contents, label)
                continue
            chains = [chain[1:] for chain in (*reads.chains, *updated) if chain[0] == name]
            self.cell(where, cell, chains, self.named("closure", name, label, cell))
        self.body(space, reads, lambda name: name not in cells, label)
        self.looked_up(space, reads)

    def body(self, space: dict[str, Any], reads: Reads, counts: Callable[[str], bool], label: str) -> None:
        """What a body of code reads, of a function or a cell, by those of its free names that count."""
        for chain in reads.chains:
            if counts(chain[0]):
                self.name(space, chain)
        for chain in reads.effects:
            if counts(chain[0]) and chain[0] in space:
                self.updated(space, chain, label)
        self.imports(space, reads)

    def wrapper(self, function: FunctionType, label: str) -> None:
        """A library's function around one of the user's: what is in its cells, as far as that has content."""
        watch(function)
        self.gather.add(label, self.gather.library(function).encode())
        if function.__code__.co_qualname == "singledispatch.<locals>.wrapper":
            self.gather.guard.fetch(f"{self.gather.guard.hold(function)}.registry", f"implementations of {label}")
            return
        for name, (where, cell) in self.cells(function).items():
            into = self.named("closure", name, label, cell)
            if not filled(cell):
                continue
            value = cell.cell_contents
            if constant(value) or isinstance(value, FunctionType | type):
                self.gather.bound(where, value, into)
            else:
                self.gather.guard.kind(where, value)
                self.gather.add(into, origin.name_of(type(value)).encode())
        inner = getattr(function, "__wrapped__", None)
        if isinstance(inner, FunctionType):
            self.gather.links.add((label, self.gather.refer(inner)))

    def defaults(self, function: FunctionType, label: str) -> None:
        """Values of defaults. Of `object()` and its like there is no more than one."""
        gather, code = self.gather, function.__code__
        given = function.__defaults__ or ()
        names = code.co_varnames[code.co_argcount - len(given) : code.co_argcount]
        for at, (name, value) in enumerate(zip(names, given, strict=True)):
            where = f"{gather.guard.hold(given)}[{at}]"
            gather.bound(where, value, self.named("default", name, label, given), loose=type(value) is object)
        keyword = function.__kwdefaults__ or {}
        for name in sorted(keyword):
            where = f"{gather.guard.hold(keyword)}[{name!r}]"
            gather.bound(
                where, keyword[name], self.named("default", name, label, keyword), loose=type(keyword[name]) is object
            )

    def cells(self, function: FunctionType) -> dict[str, tuple[str, CellType]]:
        """Closure cells by name, with the source of their contents: they are not held, they may be data."""
        me = self.gather.guard.hold(function)
        names = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        return {name: (f"{me}.__closure__[{at}].cell_contents", cell) for at, (name, cell) in enumerate(names)}

    def cell(self, where: str, cell: CellType, attributes: list[Chain], into: str) -> None:
        """One closure cell. An empty one is a name not bound yet: of the function itself, or of a later one."""
        if not filled(cell):
            empty = self.gather.guard.hold(filled)
            self.gather.guard.test(f"not {empty}({where.removesuffix('.cell_contents')})")
            self.gather.add(into, b"empty")
        for rest in attributes or [()]:
            if filled(cell):
                self.value(where, cell.cell_contents, rest, into)

    def name(self, space: dict[str, Any], chain: Chain, *, loose: bool = False) -> None:
        """A global with the attributes read from it. A name that is not bound is a builtin, or comes later."""
        hold = self.gather.guard.hold
        if chain[0] in PLACE:
            return
        if chain[0] not in space:
            self.gather.guard.test(f"{chain[0]!r} not in {hold(space)}")
            return
        if space is self.home:
            self.gather.names.add(chain[0])
        where = f"{hold(space)}[{chain[0]!r}]"
        if chain[0] in SHELL and origin.of_shell(space[chain[0]]):
            self.gather.guard.same(where, space[chain[0]])
            return
        self.value(where, space[chain[0]], chain[1:], self.named("global", chain[0], "", space), loose=loose)

    def value(self, where: str, value: Any, rest: Chain, into: str, *, loose: bool = False) -> None:
        """A value and the attributes read from it, as far as they lead through modules, classes and functions."""
        gather = self.gather
        if isinstance(value, ModuleType):
            gather.guard.same(where, value)
            if not rest or not origin.users(value):
                gather.link(into, "", value)
            if rest:
                self.attribute(value, rest)
            return
        gather.bound(where, value, into, loose=loose)
        value = task_function(value) or value
        if not rest or not isinstance(value, FunctionType | type):
            return
        found = vars(value).get(rest[0], MISSING)
        if rest[0] in ("__doc__", "__annotations__"):
            gather.bound(f"{where}.{rest[0]}", getattr(value, rest[0], None), f"{into}.{rest[0]}", loose=True)
        elif isinstance(value, FunctionType) and found is not MISSING:
            self.value(f"{where}.{rest[0]}", found, rest[1:], f"{into}.{rest[0]}", loose=loose)
        elif isinstance(found, FunctionType) and origin.users(found) and not origin.users(value):
            gather.bound(f"{where}.{rest[0]}", found, f"{into}.{rest[0]}")  # a method that the user put there

    def attribute(self, module: ModuleType, rest: Chain) -> None:
        """What is read from a module."""
        space = vars(module)
        if not origin.users(module):
            self.gather.version(module.__name__)
            self.of_library(module, rest)
            return
        self.gather.modules.add(module.__name__)
        if rest[0] == "__dict__":
            self.gather.link(self.named("global", module.__name__, "", space), "", module)
        elif rest[0] not in space and "__getattr__" in space:  # https://peps.python.org/pep-0562/
            self.name(space, ("__getattr__",))
        self.name(space, rest)

    def of_library(self, module: ModuleType, rest: Chain, *, late: bool = False) -> None:
        """What is read from a library's module.

        Args:
            module: The library's.
            rest: Names of attributes.
            late: The module may not be imported yet when the next key is made, so that only what the user put there
                counts: whatever else counted would be another key from then on.
        """
        gather, space = self.gather, vars(module)
        if origin.ours(module.__name__):
            return
        inside = f"{gather.guard.hold(space)}[{rest[0]!r}]"
        value = space.get(rest[0], MISSING)
        if value is MISSING:
            gather.guard.test(f"{rest[0]!r} not in {gather.guard.hold(space)}")
        elif isinstance(value, ModuleType):
            if len(rest) > 1 and not origin.users(value):
                late = late or "__getattr__" in space  # such a module loads others when they are first asked for
                if not late:
                    gather.version(value.__name__)
                self.of_library(value, rest[1:], late=late)
        elif callable(value):
            self.patched(module.__name__, inside, value, rest)
            if not late and (other := origin.stand_in(value, module.__name__, rest[0])):
                gather.add(f"global {module.__name__}.{rest[0]}", other.encode())
        elif not late and constant(value) and module.__name__.partition(".")[0] not in MACHINE:
            gather.bound(inside, value, f"global {module.__name__}.{rest[0]}")

    def patched(self, module: str, where: str, value: Any, rest: Chain) -> None:
        """A function or class of a library: it counts by the library's version, unless somebody else put it there."""
        gather, into = self.gather, f"global {module}.{rest[0]}"
        if origin.foreign(value, module):
            gather.bound(where, value, into)
            return
        gather.guard.same(where, value)
        found = vars(value).get(rest[1]) if len(rest) > 1 and isinstance(value, type) else None
        if isinstance(found, FunctionType) and origin.users(found):
            gather.bound(f"{where}.{rest[1]}", found, f"{into}.{rest[1]}")

    def module(self, module: ModuleType, label: str) -> None:
        """All of a module of the user's: it is handed around as a value, so anything of it may be used."""
        self.gather.add(label, b"module")
        self.everything(vars(module))

    def everything(self, space: dict[str, Any]) -> None:
        """All names of a namespace, and that there are no others."""
        hold = self.gather.guard.hold
        self.gather.guard.test(f"len({hold(space)}) == {len(space)}")
        for name in sorted(space):
            if not name.startswith("_") and name not in SHELL:
                where = f"{hold(space)}[{name!r}]"
                into = self.named("global", name, "", space)
                if isinstance(space[name], ModuleType):
                    self.gather.guard.same(where, space[name])
                    self.gather.link(into, "", space[name])
                else:
                    self.gather.bound(where, space[name], into, loose=True)

    def looked_up(self, space: dict[str, Any], reads: Reads) -> None:
        """Names in strings that queries and the like look up, and all names where any of them may be."""
        if reads.dynamic:
            self.everything(space)
        absent = frozenset(name for name in reads.mentions if name not in space)
        if absent:
            hold = self.gather.guard.hold
            self.gather.guard.test(f"{hold(space)}.keys().isdisjoint({hold(absent)})")
        for name in reads.mentions:
            if name in space and not name.startswith("_") and name not in SHELL:
                self.name(space, (name,), loose=True)

    def imports(self, space: dict[str, Any], reads: Reads) -> None:
        """Imports inside of the body, by the symbols used."""
        guard = self.gather.guard
        for each in reads.imports:
            self.imported(each, space)
        for each, rest in reads.imported:
            module = self.imported(each, space)
            chain = (each.symbol, *rest) if each.symbol else rest
            if module is None:
                if not each.level:
                    guard.test(f"{each.module!r} not in {guard.hold(sys.modules)}")
                continue
            where = f"{guard.hold(sys.modules)}[{module.__name__!r}]"
            if origin.users(module):
                self.value(where, module, chain, self.named("global", module.__name__, "", module))
            elif chain:
                self.of_library(module, chain, late=True)

    def imported(self, each: Import, space: dict[str, Any]) -> ModuleType | None:
        """The module of an import. The user's is imported now, as the call would do, to see what of it is used."""
        package = space.get("__package__") or ""
        try:
            name = resolve_name("." * each.level + each.module, package) if each.level else each.module
        except ImportError:
            return None
        self.gather.version(name)
        if name not in sys.modules and origin.findable(name) and not arrives(name):
            return None
        module = sys.modules.get(name)
        if each.symbol and hasattr(module, "__path__") and not hasattr(module, each.symbol) and origin.users(module):
            arrives(f"{name}.{each.symbol}")
        return module

    def updated(self, space: dict[str, Any], chain: Chain, label: str) -> None:
        """A global, or an attribute of a module, that is only updated; a function of that name is a read after all."""
        inside, at = space, 0
        while (
            isinstance(inside[chain[at]], ModuleType)
            and at + 1 < len(chain)
            and chain[at + 1] in vars(inside[chain[at]])
        ):
            inside, at = vars(inside[chain[at]]), at + 1
        if isinstance(inside[chain[at]], CODE):
            self.name(space, chain[: at + 1])
        else:
            self.effect(f"{self.gather.guard.hold(inside)}[{chain[at]!r}]", inside[chain[at]], label)

    def effect(self, where: str, value: Any, label: str) -> None:
        """A value that is only updated: no input, but a class of the user's says what an update does."""
        if origin.users(type(value)):
            self.gather.guard.kind(where, value)
            self.gather.links.add((label, self.gather.refer(type(value))))

    def named(self, role: str, name: str, owner: str, of: object) -> str:
        """A label such as "global LIMIT", with more words where it lies elsewhere than what the walk began with."""
        if role == "global":
            module = str(of.get("__name__", "?")) if isinstance(of, dict) else ""
            wish = f"global {name}" if of is self.home or not module else f"global {module}.{name}"
        else:
            wish = f"{role} {name}" if owner == ROOT else f"{role} {name} of {owner}"
        return self.gather.label(wish, of=of, role=f"{role} {name}")


def arrives(name: str) -> bool:
    """Whether a module of the user's can be imported."""
    try:
        importlib.import_module(name)
    except Exception:  # noqa: BLE001 - the call itself will raise it, or knows what to do
        return False
    return True


def filled(cell: CellType) -> bool:
    """Whether a closure cell has contents."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
