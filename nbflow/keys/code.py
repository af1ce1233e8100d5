"""Functions, classes, methods and modules as values, and the body of a cell.

Importing this module teaches `encode` about them: a function's digest is that of all it reaches, with the values that
its mutable globals and closure cells have now.
"""

import ast
import functools
import types
from collections import OrderedDict
from typing import Any
from weakref import ref

from nbflow.keys import origin
from nbflow.keys.canon import dump
from nbflow.keys.encode import Encoder, Node, join, register, unnamed
from nbflow.keys.gather import task_function
from nbflow.keys.guard import CHANGED
from nbflow.keys.reach import Reach, reach
from nbflow.keys.source import code_digest

__all__ = ["cell", "identify", "known_reach"]

KEPT = 1024
reaches: OrderedDict[int, tuple[Any, Reach]] = OrderedDict()


def identify(thing: Any) -> bytes:
    """16-byte digest of a function, class, method or module met as a value, with the values it reaches now.

    Raises:
        UnkeyableError: It reads a global, a default or a closure cell that has no content.
    """
    thing = task_function(thing) or thing
    return Encoder(handles=[]).walk(Node(b"value", (thing,)), [origin.name_of(thing)])


def cell(statements: list[ast.stmt]) -> bytes:
    """16-byte digest of a cell's body: the same for all that do the same by the same names."""
    return join(b"cell", [dump(statements)])


def known_reach(thing: Any) -> Reach:
    """The reach of a thing, walked again only when something it reaches was bound to something else."""
    held = reaches.get(id(thing))
    if held is not None and held[0]() is thing:
        try:
            if held[1].unchanged():
                return held[1]
        except CHANGED:
            pass
    found = reach(thing)
    key = id(thing)
    reaches[key] = ref(thing, functools.partial(reaches.pop, key)), found
    reaches.move_to_end(key)
    if len(reaches) > KEPT:
        reaches.popitem(last=False)
    return found


def function(_: Encoder, value: Any) -> Node:
    """A node over the values that the function reaches; circles through them are the encoder's business."""
    return members(b"function", known_reach(value))


def members(tag: bytes, found: Reach) -> Node:
    values = found.live() if found.live else ()
    names = found.live_names
    return Node(join(tag, [found.code]), values, label=lambda _, index: f" ({names[index]})")


def kind(encoder: Encoder, value: type) -> bytes:
    """A class: the user's by its code, a library's by its name."""
    if not origin.users(value):
        return join(b"class", [origin.module_of(value).encode(), value.__qualname__.encode()])
    return encoder.walk(members(b"class", known_reach(value)))


def method(_: Encoder, value: types.MethodType) -> Node:
    return Node(b"method", (value.__func__, value.__self__), label=unnamed)


def builtin(_: Encoder, value: Any) -> Node | bytes:
    """A function written in C: by name and version; a method of an object also by that object."""
    owner = getattr(value, "__self__", None)
    if owner is None or isinstance(owner, types.ModuleType):
        return join(b"builtin", [known_reach(value).code])
    return Node(join(b"builtin method", [value.__name__.encode()]), (owner,), label=unnamed)


def descriptor(encoder: Encoder, value: Any) -> bytes:
    return join(b"descriptor", [encoder.kind(value.__objclass__), value.__name__.encode()])


def module(_: Encoder, value: types.ModuleType) -> Node:
    return members(b"module", known_reach(value))


def partial(encoder: Encoder, value: Any) -> Node:
    tag = join(b"partial", [encoder.kind(type(value))])
    keywords = dict(sorted(value.keywords.items()))
    own = (vars(value),) * bool(vars(value))
    return Node(tag, (value.func, value.args, keywords, *own), label=unnamed)


def wrapped(encoder: Encoder, value: Any) -> Node:
    return Node(join(b"wrapped", [encoder.kind(type(value))]), (value.__wrapped__,), label=unnamed)


def accessor(encoder: Encoder, value: property) -> Node:
    return Node(join(b"property", [encoder.kind(type(value))]), (value.fget, value.fset, value.fdel), label=unnamed)


def code(_: Encoder, value: types.CodeType) -> bytes:
    return code_digest(value, value.co_name)


Encoder.identify = staticmethod(kind)
register(types.FunctionType, function)
register(types.MethodType, method)
register(types.BuiltinFunctionType, builtin, subclasses=True)
register(types.MethodWrapperType, builtin)
for each in (types.MethodDescriptorType, types.WrapperDescriptorType, types.ClassMethodDescriptorType):
    register(each, descriptor)
register(types.GetSetDescriptorType, descriptor)
register(types.MemberDescriptorType, descriptor)
register(types.ModuleType, module, subclasses=True)
register(types.CodeType, code)
register(functools.partial, partial, subclasses=True)
register(functools.partialmethod, partial)
register(type(functools.cache(lambda: None)), wrapped)
register(staticmethod, wrapped, subclasses=True)
register(classmethod, wrapped, subclasses=True)
register(property, accessor, subclasses=True)
