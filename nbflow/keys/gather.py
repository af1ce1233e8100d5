"""What a walk over code collects: parts by label, tests for the guard, live values, and what is still to be visited.

A value is met as the value of an expression ("where"), and is one of
* a constant: its content counts, and the guard tests that it is still the same object;
* code: the guard tests the same, and the code is visited in its turn, or counts by name and version;
* a live handle: it counts by its type;
* data: fetched anew for every call, and never held here, so that a frame the user lets go of is freed.
"""

from collections import deque
from contextvars import Context, ContextVar
from functools import partial, partialmethod
from itertools import chain, count
from types import BuiltinFunctionType, EllipsisType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

from nbflow.errors import UnkeyableError
from nbflow.keys import handles, origin
from nbflow.keys.encode import Encoder
from nbflow.keys.guard import Guard
from nbflow.keys.nodes import join
from nbflow.keys.short import secret, short
from nbflow.trace import Trait, Traits

__all__ = ["CODE", "DESCRIPTORS", "ROOT", "Gather", "carries", "constant", "task_function"]

ROOT = "the code"
ATOMS = frozenset({NoneType, bool, int, float, complex, str, bytes, EllipsisType})
FIXED = frozenset(
    {"date", "datetime", "time", "timedelta", "timezone", "Decimal", "Fraction", "UUID", "range", "Pattern"}
)
"""Immutable types of the standard library whose instances are constants too."""
LONGEST = 4096  # characters or members of a constant: what is longer is data, and must not be held
DESCRIPTORS = (staticmethod, classmethod, property)
CODE = (FunctionType, type, ModuleType, BuiltinFunctionType, *DESCRIPTORS)
INSIDE = ("__wrapped__", "py_func", "pyfunc", "func", "fn")
"""Where objects that stand for a function keep it: functools, numba, numpy.vectorize, dask and joblib, tasks."""

BESIDE = ("excluded", "otypes", "signature", "targetoptions")
"""What numpy.vectorize and numba keep beside it, and calls depend on."""


class Gather:
    """The state of one walk."""

    def __init__(self) -> None:
        self.guard = Guard()
        self.parts: dict[str, list[bytes]] = {}
        self.shorts: dict[str, str] = {}
        self.links: set[tuple[str, str]] = set()
        self.strings: set[str] = set()
        self.handles: set[str] = set()
        self.modules: set[str] = set()
        self.names: set[str] = set()
        self.labels: dict[tuple[int, str], str] = {}
        self.taken = {ROOT}
        self.queue: deque[tuple[Any, str]] = deque()

    def label(self, wish: str, *others: str, of: object, role: str = "") -> str:
        """A label for a thing: the first that no other thing has."""
        key = (id(of), role)
        if key not in self.labels:
            numbered = (f"{wish} ({n})" for n in count(2))
            self.labels[key] = next(each for each in chain((wish, *others), numbered) if each not in self.taken)
            self.taken.add(self.labels[key])
        return self.labels[key]

    def add(self, label: str, *parts: bytes) -> None:
        """Notes parts of what has this label."""
        self.parts.setdefault(label, []).extend(parts)

    def bound(self, where: str, value: Any, into: str, name: str = "", *, loose: bool = False) -> None:
        """Notes the value that `where` gives; `loose`: it counts by its type if it has no content."""
        kind = type(value)
        if constant(value):
            self.guard.same(where, value)
            self.strings.update(
                each for each in (value if isinstance(value, tuple) else (value,)) if isinstance(each, str)
            )
            self.add(into, name.encode(), Encoder().of(value))
            self.shorts[into] = "" if secret(into) else short(value)
            return
        if isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, ModuleType | NoneType):
            self.guard.same(where, value)
            self.add(into, name.encode(), value.__name__.encode())
            self.bound(f"{where}.__self__", value.__self__, into, name, loose=loose)
            return
        if kind is ContextVar:
            default = Context().run(default_of, value)
            self.bound(f"{where}.get({self.guard.hold(default)})", value.get(default), into, name, loose=True)
        function = task_function(value)
        if function is None and not isinstance(value, CODE):
            function = inside(value)
        if function is not None or isinstance(value, CODE):
            self.guard.same(where, value)
            self.link(into, name, function or value)
            for option in BESIDE if function is not None and hasattr(value, "__dict__") else ():
                if option in vars(value):
                    self.bound(f"{where}.{option}", vars(value)[option], into, f"{name} {option}", loose=True)
        elif origin.ours(kind.__module__) or by_type(kind) or (loose and not keyable(value)):
            self.guard.kind(where, value)
            self.add(into, name.encode(), origin.module_of(kind).encode(), origin.name_of(kind).encode())
            self.shorts[into] = origin.name_of(kind)
            self.handles.add(handles.live(kind))
        else:
            self.guard.kind(where, value)
            self.guard.fetch(where, f"{into}.{name}" if name else into)

    def link(self, into: str, name: str, thing: Any) -> None:
        """Notes that something leads to code, and that the code is to be visited."""
        to = self.refer(thing)
        self.links.add((f"{into} {name}", to))
        last = into.rpartition(" ")[2].rpartition(".")[2]
        if name or to.removeprefix("class ").removesuffix("()").rpartition(".")[2] != last:
            self.add(into, name.encode(), to.encode())
            self.shorts[into] = to if len(to) <= 40 else ""

    def refer(self, thing: Any) -> str:
        """What stands for code: its label if it is the user's, else its name."""
        if isinstance(thing, DESCRIPTORS):
            parts = (getattr(thing, part, None) for part in ("__func__", "fget", "fset", "fdel"))
            return f"{type(thing).__name__}({', '.join([self.refer(part) for part in parts if part is not None])})"
        thing = task_function(thing) or inside(thing) or thing
        wrapper = isinstance(thing, FunctionType) and not origin.users(thing) and carries(thing)
        if not wrapper and (not origin.users(thing) or not isinstance(thing, FunctionType | type | ModuleType)):
            return self.library(thing)
        plain = origin.name_of(thing).rpartition("<locals>.")[2].replace("<lambda>", "lambda")
        known = (id(thing), "") in self.labels
        module = origin.module_of(thing)
        kinds = ("class {}", "module {}", "{}()")
        form = kinds[0] if isinstance(thing, type) else kinds[1] if isinstance(thing, ModuleType) else kinds[2]
        elsewhere = () if module in origin.MAIN else (form.format(f"{module}.{plain}"),)
        label = self.label(form.format(plain), *elsewhere, of=thing)
        if not known:
            self.queue.append((thing, label))
        return label

    def library(self, thing: Any) -> str:
        """Code that is not the user's: its name; the version of its distribution is a part of its own."""
        module = origin.module_of(thing)
        self.version(module)
        if origin.users(thing):  # compiled
            self.add(f"module {module}", origin.compiled(module))
        return module if isinstance(thing, ModuleType) else f"{module}.{origin.name_of(thing)}"

    def version(self, module: str) -> None:
        """Notes the versions that a module comes from."""
        for name, version in origin.distributions(module):
            self.parts[name] = [version.encode()]
            self.shorts[name] = version

    def traits(self) -> Traits:
        """All parts, by label."""
        return {
            label: Trait(join(b"trait", parts).hex(), self.shorts.get(label, ""))
            for label, parts in sorted(self.parts.items())
        }

    def digest(self, traits: Traits) -> bytes:
        """Of everything collected, in no order but that of the labels."""
        parts = [part.encode() for label, trait in traits.items() for part in (label, trait.digest)]
        return join(b"reach", [*parts, *[end.encode() for link in sorted(self.links) for end in link]])


def constant(value: Any, left: int = LONGEST) -> bool:
    """Whether a value is immutable all the way down, and short."""
    kind = type(value)
    if kind in ATOMS:
        return not (kind is str or kind is bytes) or len(value) <= left
    if kind is tuple or kind is frozenset:
        return left > 0 and len(value) <= 64 and all(constant(each, left // 64) for each in value)
    return kind.__name__ in FIXED and kind.__module__ in ("builtins", "datetime", "decimal", "fractions", "re", "uuid")


def task_function(value: Any) -> Any:
    """The function of a task or flow of ours, None for anything else."""
    if any(origin.ours(base.__module__) for base in type(value).__mro__) and not isinstance(value, type):
        function = getattr(value, "fn", None)
        return function if callable(function) else None
    return None


def inside(value: Any) -> FunctionType | None:
    """The Python function inside a library's object that stands for it: `lru_cache`, `numba.jit`."""
    kind = type(value)
    if kind in ATOMS or isinstance(value, FunctionType | MethodType | ModuleType | type | partial | partialmethod):
        return None
    if origin.users(kind) or not (hasattr(kind, "__call__") or hasattr(kind, "__get__")):  # noqa: B004
        return None
    for name in INSIDE:
        function = vars(value).get(name) if hasattr(value, "__dict__") else None
        function = function or (getattr(value, name, None) if hasattr(kind, name) else None)
        if isinstance(function, FunctionType):
            return function
    return None


def carries(function: FunctionType) -> bool:
    """Whether a library's function has one of the user's in its closure, as `contextmanager` makes them."""
    waiting, seen = [function], {id(function)}
    while waiting and len(seen) < 64:
        each = waiting.pop()
        cells = [cell.cell_contents for cell in each.__closure__ or () if cell != type(cell)()]
        for value in (*cells, getattr(each, "__wrapped__", None)):
            if isinstance(value, FunctionType) and id(value) not in seen:
                if origin.written(value):
                    return True
                seen.add(id(value))
                waiting.append(value)
    return False


def default_of(variable: ContextVar[Any]) -> Any:
    """The value of a context variable where nothing has set it, None if there is none."""
    try:
        return variable.get()
    except LookupError:
        return None


def by_type(kind: type) -> bool:
    """A connection, a logger, a lock, a bare `object()`: what it is does not come from its content."""
    return (
        kind is object
        or bool(handles.live(kind))
        or handles.spent(kind) in ("a part of a running process", "a weak reference")
    )


def keyable(value: object) -> bool:
    try:
        Encoder(handles=[]).of(value)
    except UnkeyableError:
        return False
    return True
