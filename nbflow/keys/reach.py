"""What a function is: its code and everything of the user's that it reaches.

The walk goes over what is loaded in memory, never over files: globals as they are bound now, classes as they have
become, decorators by the functions they returned. Each component gets a digest of its own content and of the names it
reads; what those names lead to are components of their own. So a change shows where it was made, circles of functions
need no special care, and the whole does not depend on the order of the walk.
"""

import sys
from collections.abc import Callable
from types import FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from nbflow.keys import origin
from nbflow.keys.classes import walk_class
from nbflow.keys.functions import Functions
from nbflow.keys.gather import DESCRIPTORS, ROOT, Gather, inside, task_function
from nbflow.keys.reads import Reads
from nbflow.trace import Traits

__all__ = ["Reach", "body_reach", "reach"]


class Reach(NamedTuple):
    """What a function reaches.

    Attributes:
        code: Digest of all code, constants and versions.
        traits: The same by components, for `explain`.
        unchanged: Whether every binding is still the same, in about a microsecond. It may raise one of
            `guard.CHANGED`, which means no.
        live: Gives the values, now, of the mutable globals, cells and defaults that are read: they are keyed with the
            arguments of each call. None if there are none.
        live_names: A label for each of them.
        strings: String constants, in the code and bound to names that it reads: one may name a file.
        handles: Names of the types of live handles that it reads as globals.
        modules: Names of the user's modules that any of it comes from.
        names: The globals that it reads of the namespace where it was defined.
    """

    code: bytes
    traits: Traits
    unchanged: Callable[[], bool]
    live: Callable[[], tuple[object, ...]] | None
    live_names: tuple[str, ...]
    strings: tuple[str, ...]
    handles: tuple[str, ...]
    modules: tuple[str, ...]
    names: tuple[str, ...]


def reach(thing: Any) -> Reach:
    """Walks over all that a function, class, module or other callable reaches.

    Assigning to a function's `__code__` must not run at the same time in another thread.
    """
    thing = task_function(thing) or thing
    gather = Gather()
    begin(thing, gather)
    return walked(gather, Functions(gather, home(thing)))


def body_reach(reads: Reads, names: frozenset[str], space: dict[str, Any]) -> Reach:
    """Walks over all that the body of a cell reaches by these of the names it reads, and by what it imports.

    Args:
        reads: Of the body, whose own text is not part of the digest.
        names: They count by what is read from them; all that they are bound to if the body does not say what.
        space: Where they are bound.
    """
    gather = Gather()
    functions = Functions(gather, space)
    functions.body(space, reads, names.__contains__, ROOT)
    for name in sorted(names - {chain[0] for chain in (*reads.chains, *reads.effects)}):
        functions.name(space, (name,))
    return walked(gather, functions)


def walked(gather: Gather, functions: Functions) -> Reach:
    """Visits what is still to be visited."""
    while gather.queue:
        each, label = gather.queue.popleft()
        if isinstance(each, type):
            walk_class(gather, each, label, functions.visit)
        elif isinstance(each, ModuleType):
            functions.module(each, label)
        elif origin.users(each):
            functions.visit(each, label)
        else:
            functions.wrapper(each, label)
    traits = gather.traits()
    guard = gather.guard
    strings = tuple(sorted(gather.strings))
    handles = tuple(sorted(gather.handles - {""}))
    modules, names = tuple(sorted(gather.modules - origin.MAIN)), tuple(sorted(gather.names))
    labels, unchanged = tuple(guard.names), guard.unchanged()
    return Reach(gather.digest(traits), traits, unchanged, guard.live(), labels, strings, handles, modules, names)


def begin(thing: Any, gather: Gather) -> None:
    """Puts the root where the walk begins."""
    while isinstance(thing, DESCRIPTORS[:2]):
        thing = thing.__func__
    if isinstance(thing, MethodType):
        gather.bound(f"{gather.guard.hold(thing)}.__self__", thing.__self__, "self")
        thing = thing.__func__
    elif not isinstance(thing, FunctionType):
        thing = inside(thing) or thing
    if isinstance(thing, FunctionType):
        gather.guard.weakly(thing)
        gather.labels[id(thing), ""] = ROOT
        gather.queue.append((thing, ROOT))
    elif isinstance(thing, type | ModuleType) or not origin.users(type(thing)):
        gather.links.add((ROOT, gather.refer(thing)))
    else:  # an instance that can be called
        gather.links.add((ROOT, gather.refer(type(thing))))
        gather.bound(f"({gather.guard.hold(thing)})", thing, "self")


def home(thing: Any) -> dict[str, Any] | None:
    """The namespace that a thing was defined in."""
    thing = getattr(thing, "__func__", thing)
    if isinstance(thing, FunctionType):
        return thing.__globals__
    module = sys.modules.get(origin.module_of(thing))
    return vars(module) if module else None
