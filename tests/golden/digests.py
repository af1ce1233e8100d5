"""All digests that are kept beside this module: of values, functions and cells, and the keys of calls.

Needs nothing but the standard library, xxhash and what the keys themselves import, so that other Pythons run it too.
"""

import ast
import sys
from hashlib import blake2b
from importlib.util import find_spec
from types import ModuleType
from typing import Any

STAND_IN = "--stand-in" in sys.argv or not find_spec("xxhash")
if STAND_IN:  # anything that digests: two Pythons that both do this can still be compared
    sys.modules["xxhash"] = stand_in = ModuleType("xxhash")
    stand_in.xxh3_128 = lambda *data: blake2b(*data, digest_size=16)
    stand_in.xxh3_128_digest = lambda data: blake2b(data, digest_size=16).digest()

from nbflow.cache_policies import INPUTS, TASK_SOURCE  # noqa: E402 - xxhash comes first
from nbflow.keys import code, digest  # noqa: E402
from nbflow.options import TaskOptions  # noqa: E402
from nbflow.tasks.identity import Identity  # noqa: E402
from tests.unit.keys import code_cases, value_cases  # noqa: E402

LIBRARIES = ("numpy", "pandas")
"""Whose values are kept too; other libraries' would fix their versions."""

F = "def f(x, y=2): return x"
CALLS: dict[str, tuple[str, dict[str, Any], tuple[Any, ...]]] = {
    "a call": (F, {}, (1,)),
    "a call with other arguments": (F, {}, (1, 3)),
    "no arguments": ("def f(): return 1", {}, ()),
    "a structured argument": (F, {}, ([{"a": (1, 2.5, b"x")}, {1, 2}],)),
    "a bulky argument": (F, {}, (b"0123456789abcdef" * 5_000,)),
    "a function as argument": (f"{F}\ndef g(z): return z", {}, ("g",)),
    "a global that changes": ("rows = [1, 2]\ndef f(x): return rows[x]", {}, (1,)),
    "a helper and a constant": ("K = 3\ndef g(x): return x + K\ndef f(x): return g(x)", {}, (1,)),
    "variadic": ("def f(*a, **k): return a, k", {}, (1, 2)),
    "version": (F, {"version": "2"}, (1,)),
    "ignore": (F, {"ignore": ["y"]}, (1,)),
    "INPUTS": (F, {"cache_policy": INPUTS}, (1,)),
    "TASK_SOURCE": (F, {"cache_policy": TASK_SOURCE}, (1,)),
    "INPUTS less one": (F, {"cache_policy": INPUTS - "y"}, (1,)),
    "key function": (F, {"cache_key_fn": lambda _, parameters: f"k-{parameters['x']}"}, (1,)),
    "key function in a policy": (F, {"cache_policy": INPUTS.calling(lambda *_: "k")}, (1,)),
    "retries, expiry and the like": (F, {"retries": 3, "cache_expiration": 60, "name": "other"}, (1,)),
}
CELLS = {
    "one statement": "x = 1",
    "magics": "get_ipython().system('ls {x}')\nget_ipython().run_line_magic('time', 'y = 1')",
    "control flow": "for i in range(3):\n    if i: print(i)\n    else: continue\nelse:\n    done = True",
    "with and try": "try:\n    with open(p) as f: s = f.read()\nexcept OSError as e: s = str(e)\nfinally: n = 1",
    "def and class": "def f(x):\n    'doc'\n    y = x\n    return y\nclass A(B):\n    k: int = 1\n    def m(self): return self.k",
    "f-string": "s = f'{x!r:>{w}} and {y=}' 'tail'",
    "comprehensions": "a = [i for j in x for i in j if i]; b = {k: v for k, v in a}; c = {*a}; d = (i for i in a)",
    "match": "match x:\n    case {'a': 1, **rest}: y = rest\n    case [1, *more] | (2 as more): y = more\n    case A(k=2): y = 0",
    "async": "async def g():\n    async for i in h():\n        await i\nawait g()",
    "walrus, star, slices": "(n := 10); first, *rest = x[1:n:2, ..., None]; print(*rest, **{})",
    "annotations": "x: int = 1\ny: 'list[str]'",
    "operators": "z = -a ** b // c @ d << 1 & ~e | f ^ g; p = a < b <= c is not d not in e and not f or g",
    "imports": "import a.b, c as d\nfrom . import e\nfrom ..f import g as h",
    "lambda and defaults": "k = lambda a, /, b=1, *c, d=2, **e: (a, b, c, d, e)",
    "numbers": "n = 0xff, 1_000, 1e400, -0.0, 3j, 10**20, 'é', b'\\x00', r'\\n', ...",
    "names": "global q\ndel a, b.c, d[0]\nassert a, 'why'\nraise E from None",
}


def all_digests() -> dict[str, Any]:
    """Everything, by name; what a library has to be there for is left out where it is not."""
    return {
        "libraries": {name: major(name) for name in LIBRARIES if find_spec(name)},
        "values": values(()),
        **{f"values of {name}": values((name,)) for name in LIBRARIES if find_spec(name)},
        "functions": {
            f"{name}, {'ab'[side]}": code_cases.key(sources[side], *sources[2:])
            for name, _, *sources in code_cases.ROWS
            for side in (0, 1)
        },
        "cells": {name: code.cell(ast.parse(text, mode="exec").body).hex() for name, text in CELLS.items()},
        "keys": {name: key(*each) for name, each in CALLS.items()},
    }


def values(needs: tuple[str, ...]) -> dict[str, list[str]]:
    """The digests of the cases that need these libraries; pandas keeps text in Arrow's arrays."""
    found = {}
    for case in value_cases.CASES:
        wanted = tuple(name for name in case.needs if name != "pyarrow") if "pandas" in case.needs else case.needs
        if wanted == needs and case.ready() and case.expected != value_cases.REFUSE:
            found[case.name] = [digest(build()) for build in (case.first, case.second) if build]
    return found


def major(name: str) -> str:
    """The first number of a library's version: what its values are may change with it."""
    return str(__import__(name).__version__).partition(".")[0]


def key(source: str, options: dict[str, Any], args: tuple[Any, ...]) -> str | None:
    """The lookup key of a call."""
    space = code_cases.cell(source)
    identity = Identity(None, space["f"], TaskOptions(**options))
    return identity.key(identity.bind(*(space[each] if each == "g" else each for each in args)))
