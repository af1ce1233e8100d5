"""What a cell sets beyond its own names: globals by the functions it calls, attributes of modules and of their classes.

Only what is set whatever it was before is set again by a hit. What is counted on (`n += 1`) or made when it is first
needed (`if cache is None: cache = load()`) comes to what it is by what it was: setting it again would be wrong.
"""

import ast
import dis
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from nbflow.keys import origin
from nbflow.notebook.places import statements

__all__ = ["Patch", "Patches", "globals_set", "put", "put_environment"]

_STORE, _EXTENDED = dis.opmap["STORE_GLOBAL"], dis.opmap["EXTENDED_ARG"]
_LOADS = {dis.opmap["LOAD_GLOBAL"]: 1, dis.opmap["LOAD_NAME"]: 0}
_MISSING = object()

Patch = tuple[Any, str, Any]
"""A module or a class, an attribute, and what it is set to; `Gone` where it was deleted."""


class Gone:
    """Stands for the value of an attribute that there is not."""


def put(patches: Iterable[Patch]) -> None:
    """Set attributes of modules and classes."""
    for owner, name, value in patches:
        if value is not Gone:
            setattr(owner, name, value)
        elif name in vars(owner):
            delattr(owner, name)


def globals_set(values: Iterable[Any], namespace: Mapping[str, Any]) -> frozenset[str]:
    """Globals of this namespace that some functions, or the methods of some classes, set and never read."""
    found: set[str] = set()
    for value in values:
        for function in _functions(value):
            if function.__globals__ is namespace:
                found |= _sets(function.__code__)
    return frozenset(found)


def _functions(value: Any) -> Iterator[FunctionType]:
    if type(value) is FunctionType:
        yield value
    elif issubclass(type(value), type):
        for each in vars(value).values():
            inner = getattr(each, "__func__", each)
            if isinstance(inner, FunctionType):
                yield inner


def _sets(code: CodeType) -> set[str]:
    if _STORE not in code.co_code[::2] and not any(isinstance(each, CodeType) for each in code.co_consts):
        return set()
    stored, loaded, argument = set[str](), set[str](), 0
    for operation, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = argument << 8 | low
        if operation == _EXTENDED:
            continue
        if operation == _STORE:
            stored.add(code.co_names[argument])
        elif operation in _LOADS:
            loaded.add(code.co_names[argument >> _LOADS[operation]])
        argument = 0
    for each in code.co_consts:
        if isinstance(each, CodeType):
            stored |= _sets(each)
    return stored - loaded


def put_environment(variables: Mapping[str, str | None]) -> None:
    """Set environment variables, and remove those that are None."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


class _Target(NamedTuple):
    """A chain of attributes that is set.

    Attributes:
        chain: A name, then attributes.
        sure: Whether it is set whatever happens.
    """

    chain: tuple[str, ...]
    sure: bool


class Patches:
    """Attributes of modules, and of classes in them, as they are before a cell that may set them.

    Args:
        body: The cell; what its own statements set is looked at.
        namespace: The user's globals.
        modules: Names of modules of the user's that it reaches: what their functions set in them is looked at too.
    """

    def __init__(self, body: list[ast.stmt], namespace: Mapping[str, Any], modules: Iterable[str]) -> None:
        self.targets = [*_targets(body)]
        self.namespace = namespace
        self.before = {target.chain: self._value(target.chain) for target in self.targets}
        self.spaces = {
            name: dict(vars(module)) for name in modules if isinstance(module := sys.modules.get(name), ModuleType)
        }

    def made(self) -> list[Patch]:
        """What was set."""
        found: list[Patch] = []
        for chain, sure in self.targets:
            owner = self._owner(chain)
            if owner is None:
                continue
            value = getattr(owner, chain[-1], Gone)
            if sure or value is not self.before[chain]:
                found.append((owner, chain[-1], value))
        for name, before in self.spaces.items():
            module = sys.modules.get(name)
            if module is None:
                continue
            now = vars(module)
            changed = [key for key, value in now.items() if before.get(key, _MISSING) is not value]
            if changed:
                set_by = globals_set(before.values(), now)
                found += [(module, key, now[key]) for key in changed if key in set_by]
        return found

    def _value(self, chain: tuple[str, ...]) -> Any:
        owner = self._owner(chain)
        return Gone if owner is None else getattr(owner, chain[-1], Gone)

    def _owner(self, chain: tuple[str, ...]) -> Any:
        """What the last attribute belongs to, if that is a module or a class that another kernel finds again."""
        value: Any = self.namespace.get(chain[0])
        for attribute in chain[1:-1]:
            if not issubclass(type(value), ModuleType | type):
                return None
            value = getattr(value, attribute, None)
        if issubclass(type(value), type):
            home = sys.modules.get(value.__module__)
            return value if value.__module__ not in origin.MAIN and _found(home, value.__qualname__) is value else None
        module = value if issubclass(type(value), ModuleType) else None
        return module if getattr(module, "__name__", "__main__") not in origin.MAIN else None


def _found(home: Any, name: str) -> Any:
    for part in name.split("."):
        home = getattr(home, part, None)
    return home


def _targets(body: list[ast.stmt]) -> Iterator[_Target]:
    """Chains of attributes that statements of a cell set or delete."""
    top = {*map(id, body)}
    for statement in statements(body):
        sure = id(statement) in top
        aims: list[ast.expr] = []
        match statement:
            case ast.Assign(targets=targets) | ast.Delete(targets=targets):
                aims = targets
            case ast.AnnAssign(target=target) | ast.For(target=target) | ast.AsyncFor(target=target):
                aims = [target]
            case ast.Expr(
                value=ast.Call(
                    func=ast.Name(id="setattr" | "delattr"),
                    args=[ast.Name() | ast.Attribute() as owner, ast.Constant(value=str(name)), *_],
                )
            ):
                aims = [ast.Attribute(owner, name, ast.Store())]
        for node in (each for aim in aims for each in ast.walk(aim)):
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and (chain := _chain(node)):
                yield _Target(chain, sure)


def _chain(node: ast.expr) -> tuple[str, ...]:
    """The name and the attributes of `a.b.c`; empty if it starts from something else."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return (node.id, *reversed(attributes)) if isinstance(node, ast.Name) else ()
