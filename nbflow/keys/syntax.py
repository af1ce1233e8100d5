"""A function's own code: its digest, and what it reads. Found once for each code object."""

import ast
from functools import partial
from types import CodeType, FunctionType
from typing import Any, NamedTuple
from weakref import ref

from nbflow.keys import origin, source
from nbflow.keys.bytecode import code_reads
from nbflow.keys.canon import called, dump
from nbflow.keys.nodes import join
from nbflow.keys.reads import Reads, reads

__all__ = ["Syntax", "syntax"]


class Syntax(NamedTuple):
    """The digest of code as written, without values of defaults, and what it reads."""

    digest: bytes
    reads: Reads


BLIND = frozenset({
    "backoff", "cachetools", "dask", "decorator", "diskcache", "jax", "joblib", "line_profiler", "numba", "prefect",
    "pytest", "stamina", "tenacity", "toolz", "torch", "wrapt",
})  # fmt: skip
"""Libraries whose decorators do not read docstrings, as those do that make prompts or commands of functions."""

known: dict[int, tuple[ref[CodeType], Syntax]] = {}


def syntax(function: FunctionType) -> Syntax:
    """What is known of a function by its code alone."""
    code = function.__code__
    held = known.get(id(code))
    if held is not None and held[0]() is code:
        return held[1]
    node = source.find(code, function.__globals__)
    if node is None:
        found = Syntax(source.code_digest(code, function.__name__), code_reads(code))
    else:
        root, docs = bare(node, function.__globals__)
        found = Syntax(join(b"source", [dump(root, docs=docs)]), reads(root))
    key = id(code)
    known[key] = ref(code, partial(known.pop, key)), found
    return found


def bare(node: source.Def, space: dict[str, Any]) -> tuple[source.Def, bool]:
    """The function without our decorators and without its defaults, whose values count instead of their text.

    Also whether to keep its docstring: a library's decorator may read it.
    """
    kept = []
    docs = False
    for decorator in node.decorator_list:
        thing = resolve(decorator, space)
        if thing is None:
            mine = called(decorator) in ("task", "flow")
        else:
            thing = thing.func if isinstance(thing, partial) else thing
            mine = origin.ours(origin.module_of(thing))
            library = origin.module_of(thing)
            third = not origin.users(thing) and bool(origin.distributions(library))
            docs |= third and library.partition(".")[0] not in BLIND
        if not mine:
            kept.append(decorator)
    args: dict[str, Any] = {field: getattr(node.args, field) for field in node.args._fields}
    blank = ast.Constant(None)
    args["defaults"] = [blank for _ in node.args.defaults]
    args["kw_defaults"] = [default and blank for default in node.args.kw_defaults]
    fields: dict[str, Any] = {field: getattr(node, field) for field in node._fields if hasattr(node, field)}
    fields |= {"decorator_list": kept, "args": ast.arguments(**args)}
    return type(node)(**fields), docs


def resolve(node: ast.expr, space: dict[str, Any]) -> Any:
    """What a decorator's name is bound to now, None if it cannot be told."""
    if isinstance(node, ast.Call):
        return resolve(node.func, space)
    if isinstance(node, ast.Name):
        return space.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(resolve(node.value, space), node.attr, None)
    return None
