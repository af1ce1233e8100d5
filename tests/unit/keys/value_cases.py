"""Pairs of values that must, or must not, have one digest; also run by itself, to see other hash seeds.

`python -c "from tests.unit.keys.value_cases import main; main()"` prints the digests of all of them as JSON.
"""

import array
import asyncio
import collections
import csv
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import gc
import importlib.util
import io
import itertools
import json
import math
import os
import pathlib
import pickle
import random
import re
import socket
import sqlite3
import struct
import sys
import tempfile
import threading
import types
import typing
import uuid
import weakref
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

from nbflow.keys import digest

SAME, DIFFER, STABLE, REFUSE = "same", "differ", "stable", "refuse"


class Case(NamedTuple):
    name: str
    expected: str
    first: Callable[[], Any]
    second: Callable[[], Any] | None
    needs: tuple[str, ...]

    def ready(self) -> bool:
        return all(importlib.util.find_spec(name) for name in self.needs)


CASES: list[Case] = []
_group: list[str] = [""]
_needs: list[tuple[str, ...]] = [()]


def group(name: str, *needs: str) -> None:
    _group[0], _needs[0] = name, needs


def case(name: str, expected: str, first: Callable[[], Any], second: Callable[[], Any] | None = None) -> None:
    CASES.append(Case(f"{_group[0]}: {name}", expected, first, second, _needs[0]))


def same(name: str, first: Callable[[], Any], second: Callable[[], Any]) -> None:
    case(name, SAME, first, second)


def differ(name: str, first: Callable[[], Any], second: Callable[[], Any]) -> None:
    case(name, DIFFER, first, second)


def stable(name: str, first: Callable[[], Any]) -> None:
    case(name, STABLE, first)


def refuse(name: str, first: Callable[[], Any]) -> None:
    case(name, REFUSE, first)


def fresh(value: Any) -> Any:
    """An equal value that shares nothing, not even interned strings."""
    return pickle.loads(pickle.dumps(value))


# ---- scalars
group("scalars")
differ("1 and True", lambda: 1, lambda: True)
differ("1 and 1.0", lambda: 1, lambda: 1.0)
differ("0.0 and -0.0", lambda: 0.0, lambda: -0.0)
same("two NaN", lambda: float("nan"), lambda: float("inf") - float("inf"))
same("NaN with another payload", lambda: float("nan"), lambda: struct.unpack("<d", b"\x01\0\0\0\0\0\xf8\xff")[0])
same("NaN in a list", lambda: [1, float("nan")], lambda: [1, -float("nan")])
same("NaN deep in a dict", lambda: {"a": {"b": (float("nan"),)}}, lambda: {"a": {"b": (-float("nan"),)}})
differ("NaN and ...", lambda: [float("nan")], lambda: [...])
differ("inf and -inf", lambda: math.inf, lambda: -math.inf)
differ("None and 'None'", lambda: None, lambda: "None")
differ("'1' and 1", lambda: "1", lambda: 1)
differ("'a' and b'a'", lambda: "a", lambda: b"a")
differ("'' and b''", lambda: "", lambda: b"")
differ("bytes and bytearray", lambda: b"ab", lambda: bytearray(b"ab"))
differ("bytes and memoryview", lambda: b"ab", lambda: memoryview(b"ab"))
same("memoryviews of different owners", lambda: memoryview(b"abcd"), lambda: memoryview(bytearray(b"abcd")))
same("memoryview of a slice and its own", lambda: memoryview(b"abcdef")[::2], lambda: memoryview(b"ace"))
differ("memoryviews of another format", lambda: memoryview(b"abcd"), lambda: memoryview(b"abcd").cast("h"))
differ("memoryviews of another shape", lambda: memoryview(b"abcd"), lambda: memoryview(b"abcd").cast("B", (2, 2)))
same("memoryview in reverse", lambda: memoryview(b"abc")[::-1], lambda: memoryview(b"cba"))
same("2**70 twice", lambda: 2**70, lambda: int("1180591620717411303424"))
differ("2**70 and 2**70 + 1", lambda: 2**70, lambda: 2**70 + 1)
differ("-1 and -2", lambda: -1, lambda: -2)
differ("complex and float", lambda: 1 + 0j, lambda: 1.0)
differ("complex with -0.0", lambda: complex(0, -0.0), lambda: complex(0, 0.0))
same("complex NaN", lambda: complex(math.nan, 1), lambda: complex(-math.nan, 1))


class MyInt(int):
    pass


class MyStr(str):
    __slots__ = ()


class MyFloat(float):
    pass


class MyComplex(complex):
    real = 0.0


class Fiscal(dt.date):
    year = property(lambda self: 2026)


differ("subclass of complex that hides its real part", lambda: MyComplex(1, 2), lambda: MyComplex(2, 2))
differ("subclass of date with years of its own", lambda: Fiscal(2025, 1, 1), lambda: Fiscal(2026, 1, 1))
differ("subclass of int and int", lambda: MyInt(3), lambda: 3)
differ("subclass of int, another value", lambda: MyInt(3), lambda: MyInt(4))
differ("subclass of str and str", lambda: MyStr("a"), lambda: "a")
differ("subclass of float and float", lambda: MyFloat(1.5), lambda: 1.5)
differ("subclass of str within a list", lambda: [MyStr("a")], lambda: ["a"])
differ("NFC and NFD", lambda: "\u00e9", lambda: "e\u0301")
differ("lone surrogates", lambda: "\ud800", lambda: "\udfff")
differ("long strings", lambda: "x" * 100_000, lambda: "x" * 100_001)
differ("a long string and its bytes", lambda: "x" * 100_000, lambda: b"x" * 100_000)
stable("long string with surrogates", lambda: "\ud800é" * 50_000)
differ("Ellipsis and NotImplemented", lambda: ..., lambda: NotImplemented)

# ---- identity of strings
group("identity")
PART = "xy"
same("one string twice, two strings", lambda: [PART, PART], lambda: [fresh("xy"), fresh("xy")])
same("the same in a tuple", lambda: (PART, PART), lambda: (fresh("xy"), fresh("xy")))
same("one bytes twice, two", lambda: [b"abc"] * 2, lambda: [b"abc", fresh(b"abc")])
same("key and value one string", lambda: {PART: PART}, lambda: {"xy": fresh("xy")})


class Holder:
    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


same("attribute name equals a value", lambda: Holder(name="name"), lambda: fresh(Holder(name="name")))
same("one int twice, two", lambda: [10**6] * 2, lambda: [int("1000000"), int("1000000")])
same("one tuple twice, two", lambda: [(1, 2)] * 2, lambda: [(1, 2), (*range(1, 3),)])
same("one float twice, two", lambda: [1.5] * 2, lambda: [1.5, float("1.5")])
same("one list twice, two", lambda: [[1]] * 2, lambda: [[1], [1]])
same("one dict twice, two", lambda: [{"a": 1}] * 2, lambda: [{"a": 1}, {"a": 1}])
same(
    "one Decimal twice, two",
    lambda: [decimal.Decimal("1.1")] * 2,
    lambda: [decimal.Decimal("1.1"), decimal.Decimal("1.1")],
)
same("one date twice, two", lambda: [dt.date(2026, 1, 1)] * 2, lambda: [dt.date(2026, 1, 1), dt.date(2026, 1, 1)])
same("one object twice, two", lambda: [Holder(a=1)] * 2, lambda: [Holder(a=1), Holder(a=1)])

# ---- containers
group("containers")
differ("list and tuple", lambda: [1, 2], lambda: (1, 2))
differ("[] and ()", list, lambda: ())
differ("[] and {}", list, dict)
differ("[[1], 2] and [1, [2]]", lambda: [[1], 2], lambda: [1, [2]])
differ("['ab', 'c'] and ['a', 'bc']", lambda: ["ab", "c"], lambda: ["a", "bc"])
differ("[[], []] and [[[]]]", lambda: [[], []], lambda: [[[]]])
differ("a list and its only member", lambda: [[1]], lambda: [1])
differ("{1: 'a'} and {True: 'a'}", lambda: {1: "a"}, lambda: {True: "a"})
differ("{1: 2} and {2: 1}", lambda: {1: 2}, lambda: {2: 1})
differ("order of a dict", lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1})
differ("order of a dict with objects", lambda: {"a": Holder(), "b": 2}, lambda: {"b": 2, "a": Holder()})
differ("a dict and the list of its parts", lambda: {"a": 1}, lambda: ["a", 1])
stable("keys that have no order", lambda: {1: 1, "a": 2, None: 3, (1, "b"): 4})
stable("tuples of mixed types as keys", lambda: {(1, "a"): 1, ("a", 1): 2})
stable("frozensets of strings as keys", lambda: {frozenset({"a", "b", "c"}): 1})
stable("NaN as key", lambda: {float("nan"): 1, 2: 3})
WORDS = ["".join(letters) for letters in itertools.permutations("abcde", 3)]
stable("set of strings", lambda: set(WORDS))
stable("frozenset of strings", lambda: frozenset(WORDS))
stable("set of mixed types", lambda: {1, "a", None, (2, "b"), 1.5, b"c"})
stable("frozenset of mixed types", lambda: frozenset({1, "a", None, (2, "b"), 1.5, b"c"}))
stable("set of frozensets", lambda: {frozenset({"a", "b"}), frozenset({"c"})})
stable("set of tuples of strings", lambda: {(a, b) for a in WORDS[:9] for b in WORDS[:9]})
stable("set in a list in a dict", lambda: {"a": [set(WORDS), 1]})
stable("object with a set", lambda: Holder(words=set(WORDS)))
differ("set and frozenset", lambda: {1, 2}, lambda: frozenset({1, 2}))
differ("empty set and empty frozenset", set, frozenset)
differ("set and sorted list", lambda: {1, 2}, lambda: [1, 2])
differ("{1} and {True}", lambda: {1}, lambda: {True})


def with_deletions() -> set[int]:
    found = set(range(1000))
    for number in range(100, 1000):
        found.discard(number)
    return found


same("set with deletions", lambda: set(range(100)), with_deletions)
stable("set with two NaN", lambda: {float("nan"), float("inf") - float("inf"), 1.0})


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Hue(enum.Enum):
    RED = 1
    GREEN = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    A = "a"


@dataclasses.dataclass
class Words:
    words: frozenset[str]


stable("frozenset in a dataclass", lambda: Words(frozenset(WORDS)))
stable("set of enum members", lambda: {Colour.RED, Colour.GREEN})
stable("set of Decimals, one a signalling NaN", lambda: {decimal.Decimal("1.1"), decimal.Decimal(2)})
stable("signalling NaN", lambda: decimal.Decimal("sNaN"))
stable("set of types", lambda: {int, str, Colour})
differ("order of an OrderedDict", lambda: collections.OrderedDict(a=1, b=2), lambda: collections.OrderedDict(b=2, a=1))
differ(
    "order of an OrderedDict, keys without order",
    lambda: collections.OrderedDict([(1, 1), ("a", 2)]),
    lambda: collections.OrderedDict([(1, 1), ("a", 3)]),
)
differ("OrderedDict and dict", lambda: collections.OrderedDict(a=1), lambda: {"a": 1})
differ("defaultdicts", lambda: collections.defaultdict(int), lambda: collections.defaultdict(list))
stable("defaultdict with a lambda", lambda: collections.defaultdict(lambda: 3, a=1))
differ("Counter and dict", lambda: collections.Counter("aab"), lambda: {"a": 2, "b": 1})
differ("deque with and without a bound", lambda: collections.deque([1], 3), lambda: collections.deque([1]))
differ("deque and list", lambda: collections.deque([1]), lambda: [1])
differ(
    "layers of a ChainMap",
    lambda: collections.ChainMap({"a": 1}, {"b": 2}),
    lambda: collections.ChainMap({"a": 1, "b": 2}),
)
differ("mappingproxies", lambda: types.MappingProxyType({"a": 1}), lambda: types.MappingProxyType({"a": 2}))
differ("mappingproxy and dict", lambda: types.MappingProxyType({"a": 1}), lambda: {"a": 1})
differ(
    "mappingproxies before a dict and a defaultdict",
    lambda: types.MappingProxyType({"a": 1}),
    lambda: types.MappingProxyType(collections.defaultdict(int, a=1)),
)
differ("UserDict and dict", lambda: collections.UserDict(a=1), lambda: {"a": 1})
differ("UserDicts", lambda: collections.UserDict(a=1), lambda: collections.UserDict(a=2))


class MyList(list):
    pass


class MyDict(dict):
    pass


class Liar(list):
    def __len__(self):
        return 0

    def __getitem__(self, at):
        return None


def with_attribute(value: Any, **state: Any) -> Any:
    value.__dict__.update(state)
    return value


differ("subclass of list and list", lambda: MyList([1]), lambda: [1])
differ("subclass of list with attributes", lambda: MyList([1]), lambda: with_attribute(MyList([1]), x=1))
differ("subclass of list that hides its members", lambda: Liar([1]), lambda: Liar([2]))
differ(
    "OrderedDict with an attribute",
    lambda: collections.OrderedDict(a=1),
    lambda: with_attribute(collections.OrderedDict(a=1), x=1),
)
differ("Counter with an attribute", collections.Counter, lambda: with_attribute(collections.Counter(), x=1))
differ("subclass of dict and dict", lambda: MyDict(a=1), lambda: {"a": 1})
differ("ranges that are equal", lambda: range(0, 10, 3), lambda: range(0, 12, 3))
differ("range and list", lambda: range(3), lambda: [0, 1, 2])
differ("slices", lambda: slice(1, 2), lambda: slice(1, 3))
differ("views of keys", lambda: {"a": 1}.keys(), lambda: {"b": 1}.keys())
differ("views of values", lambda: {"a": 1}.values(), lambda: {"a": 2}.values())
differ("views of keys and a list", lambda: {"a": 1}.keys(), lambda: ["a"])
differ("views of keys of two kinds", lambda: {"a": 1}.keys(), lambda: collections.OrderedDict(a=1).keys())
differ("array.array of other codes", lambda: array.array("i", [1]), lambda: array.array("l", [1]))
differ("array.arrays", lambda: array.array("i", [1]), lambda: array.array("i", [2]))
differ("namespaces", lambda: types.SimpleNamespace(a=1), lambda: types.SimpleNamespace(a=2))

# ---- structure
group("structure")


def circle(size: int = 1, member: Any = 0) -> list[Any]:
    """A list whose last member is a list … whose last member is the first."""
    lists: list[list[Any]] = [[member] for _ in range(size)]
    for place, each in enumerate(lists):
        each.append(lists[(place + 1) % size])
    return lists[0]


def dict_in_itself() -> dict[str, Any]:
    found: dict[str, Any] = {"a": 1}
    found["me"] = found
    return found


def person(name: str) -> Holder:
    parent, child = Holder(name=name), Holder(name="child")
    parent.child, child.parent = child, parent
    return parent


def tower(levels: int) -> list[Any]:
    top: list[Any] = [1]
    for _ in range(levels):
        top = [top, top]
    return top


def graph(size: int, members: int = 0) -> list[Holder]:
    nodes = [Holder(number=number % 3) for number in range(size)]
    for node in nodes:
        node.others = nodes[:]
    nodes[0].mark = members
    return nodes


def nested(depth: int, last: Any = None) -> Any:
    found = last
    for level in range(depth):
        found = [level, found]
    return found


def linked(depth: int) -> Holder:
    found = None
    for level in range(depth):
        found = Holder(next=found, value=level)
    return found


def shared_in_circle(shared: bool) -> list[Any]:
    """A child that knows its parent, twice: once the same, once an equal one."""
    parent: list[Any] = []
    child = [1, parent]
    parent += [child, child if shared else [1, parent]]
    return parent


stable("list in itself", circle)
stable("dict in itself", dict_in_itself)
same("list in itself, and two in one another", circle, lambda: circle(2))
differ("lists in themselves", lambda: circle(1, 1), lambda: circle(1, 2))
differ("a circle of two and of three that differ", lambda: [circle(2), 1], lambda: [circle(3, 1), 1])
differ("objects that know one another", lambda: person("a"), lambda: person("b"))
same("a child shared within a circle", lambda: shared_in_circle(True), lambda: shared_in_circle(False))
same("inner member of a circle, alone and after the outer", lambda: [circle(2)[1]] * 2, lambda: [circle(2), circle(2)])
differ("graph in which all are linked", lambda: graph(40), lambda: graph(40, 1))
stable("300 levels", lambda: nested(300))
differ("2000 levels", lambda: nested(2000), lambda: nested(2000, 1))
stable("linked list of 2000 objects", lambda: linked(2000))
stable("set of objects in a circle", lambda: person_set())
same("2**60 paths", lambda: tower(60), lambda: tower(60))
differ("2**60 paths, one level more", lambda: tower(60), lambda: tower(61))
stable("a million small numbers", lambda: [number % 100 for number in range(10**6)])
differ("long lists, one member apart", lambda: [0] * 100_000, lambda: [*([0] * 99_999), 1])


def person_set() -> Holder:
    parent = Holder(name="p")
    parent.children = {Child(parent, name) for name in WORDS[:5]}
    return parent


class Child:
    def __init__(self, parent: Holder, name: str) -> None:
        self.parent, self.name = parent, name


# ---- numpy
group("numpy", "numpy")
if importlib.util.find_spec("numpy"):
    import numpy as np

    NUMBERS = np.arange(24.0).reshape(2, 3, 4)
    PADDED = np.dtype([("a", "i1"), ("b", "f8")], align=True)

    def padded(garbage: int) -> Any:
        found = np.zeros(3, PADDED)
        found.view("u1")[1] = garbage
        return found

    def long_doubles(garbage: int) -> Any:
        found = np.array([1.5, 2.5], np.longdouble)
        if np.finfo(np.longdouble).nmant == 63:
            found.view("u1")[12] = garbage
        return found

    def overlapping(garbage: int) -> Any:
        kind = np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 0], "itemsize": 8})
        found = np.zeros(2, kind)
        found.view("i4")[1::2] = garbage
        return found

    def hidden_long_double(garbage: int) -> Any:
        return np.ma.array(long_doubles(garbage), mask=[True, False])

    def memmapped() -> Any:
        folder = tempfile.mkdtemp()
        path = os.path.join(folder, "a.npy")
        np.save(path, np.arange(5.0))
        found = np.load(path, mmap_mode="r")
        os.unlink(path)
        os.rmdir(folder)
        return found

    def drawn() -> Any:
        found = np.random.default_rng(1)
        found.random()
        return found

    def same_seed(kind: Any) -> Callable[[], Any]:
        return lambda: kind(7)

    def big(order: str = "C") -> Any:
        return np.asarray(np.arange(3_000_000.0).reshape(1000, 3000), order=order)

    same("equal arrays", lambda: np.arange(5), lambda: np.arange(5).copy())
    differ("shape", lambda: np.arange(6), lambda: np.arange(6).reshape(2, 3))
    differ("transposed", lambda: NUMBERS[0], lambda: NUMBERS[0].T)
    same("C and Fortran order", lambda: NUMBERS, lambda: np.asfortranarray(NUMBERS))
    same("C and Fortran order, large", big, lambda: big("F"))
    same("transposed view, large", lambda: big().T, lambda: big().T.copy())
    same("every second", lambda: np.arange(10)[::2], lambda: np.arange(10)[::2].copy())
    same("reversed", lambda: np.arange(10)[::-1], lambda: np.arange(10)[::-1].copy())
    same("reversed in two directions, large", lambda: big()[::-1, ::-3], lambda: big()[::-1, ::-3].copy())
    same("slice of a big array", lambda: np.arange(1000)[10:13], lambda: np.arange(10, 13))
    same(
        "broadcast", lambda: np.broadcast_to(np.arange(3), (4, 3)), lambda: np.broadcast_to(np.arange(3), (4, 3)).copy()
    )
    same("axis of length 1 with odd strides", lambda: np.arange(10)[::10], lambda: np.array([0]))
    same("read-only", lambda: np.frombuffer(b"abcd", "u1"), lambda: np.array([97, 98, 99, 100], "u1"))
    differ("byte order", lambda: np.arange(3, dtype="<i8"), lambda: np.arange(3, dtype=">i8"))
    same("'<i8' and '=i8' dtypes", lambda: np.dtype("<i8"), lambda: np.dtype("=i8"))
    same("'q' and 'l'", lambda: np.array([1], "q"), lambda: np.array([1], "l"))
    same("an unpickled dtype", lambda: [np.dtype("f4")] * 2, lambda: [np.dtype("f4"), fresh(np.dtype("f4"))])
    differ("dtypes", lambda: np.dtype("f4"), lambda: np.dtype("f8"))
    differ("0-d array and scalar", lambda: np.array(1.5), lambda: np.float64(1.5))
    differ("0-d array and array of one", lambda: np.array(1.5), lambda: np.array([1.5]))
    differ("np.float64 and float", lambda: np.float64(1.5), lambda: 1.5)
    differ("np.int64 and int", lambda: np.int64(1), lambda: 1)
    differ("np.int64 and np.int32", lambda: np.int64(1), lambda: np.int32(1))
    differ("np.bool_ and bool", lambda: np.bool_(True), lambda: True)
    differ("np.str_ and str", lambda: np.str_("a"), lambda: "a")
    same("np.int64 shared", lambda: dict.fromkeys("ab", np.int64(3)), lambda: {"a": np.int64(3), "b": np.int64(3)})
    differ("0.0 and -0.0", lambda: np.array([0.0]), lambda: np.array([-0.0]))
    same("NaN", lambda: np.array([np.nan]), lambda: np.array([float("nan")]))
    differ("empty arrays", lambda: np.zeros((0, 3)), lambda: np.zeros((3, 0)))
    stable("strings of length 0", lambda: np.array([], "U0"))
    differ("datetime64[s] and [ns]", lambda: np.array(["2026"], "M8[s]"), lambda: np.array(["2026"], "M8[ns]"))
    differ("datetime64 and int64", lambda: np.array([1], "M8[s]"), lambda: np.array([1]))
    differ("datetime64 and timedelta64", lambda: np.array([1], "M8[s]"), lambda: np.array([1], "m8[s]"))
    differ("names of fields", lambda: np.zeros(2, [("a", "i4")]), lambda: np.zeros(2, [("b", "i4")]))
    differ("titles of fields", lambda: np.zeros(2, [("a", "i4")]), lambda: np.zeros(2, [(("t", "a"), "i4")]))
    same("garbage in padding", lambda: padded(0), lambda: padded(7))
    same("garbage beside fields that overlap", lambda: overlapping(0), lambda: overlapping(7))
    same("garbage in the padding of one record", lambda: padded(0)[0], lambda: padded(7)[0])
    same("garbage in long doubles", lambda: long_doubles(0), lambda: long_doubles(7))
    same("garbage in a long double", lambda: long_doubles(0)[1], lambda: long_doubles(7)[1])
    differ("offsets", lambda: np.zeros(2, PADDED), lambda: np.zeros(2, [("a", "i1"), ("b", "f8")]))
    differ("metadata of a dtype", lambda: np.dtype("i4"), lambda: np.dtype("i4", metadata={"unit": "m"}))
    differ("metadata", lambda: np.zeros(1, "i4"), lambda: np.zeros(1, np.dtype("i4", metadata={"unit": "m"})))
    differ("objects in order", lambda: np.array([1, True], object), lambda: np.array([True, 1], object))
    same("strings as objects", lambda: np.array([PART, PART], object), lambda: np.array(["xy", fresh("xy")], object))
    stable("objects, one a set", lambda: np.array([set(WORDS), 1], object))
    same(
        "objects in Fortran order",
        lambda: np.array([[1, "a"], [2, "b"]], object),
        lambda: np.array([[1, "a"], [2, "b"]], object, order="F"),
    )
    differ("masks", lambda: np.ma.array([1, 2], mask=[0, 1]), lambda: np.ma.array([1, 2], mask=[1, 0]))
    same("data under a mask", lambda: np.ma.array([1, 2], mask=[0, 1]), lambda: np.ma.array([1, 3], mask=[0, 1]))
    same("no mask and an empty one", lambda: np.ma.array([1, 2]), lambda: np.ma.array([1, 2], mask=[False, False]))
    differ("masked and not", lambda: np.ma.array([1, 2]), lambda: np.array([1, 2]))
    stable("masked", lambda: np.ma.masked)
    differ(
        "a mask that is hard", lambda: np.ma.array([1], mask=[1]), lambda: np.ma.array([1], mask=[1], hard_mask=True)
    )
    same("garbage in long doubles with a mask", lambda: hidden_long_double(0), lambda: hidden_long_double(7))
    same(
        "objects under a mask",
        lambda: np.ma.array([1, "a"], object, mask=[0, 1]),
        lambda: np.ma.array([1, "b"], object, mask=[0, 1]),
    )
    differ("matrix and array", lambda: np.arange(4).reshape(2, 2).view(np.matrix), lambda: np.arange(4).reshape(2, 2))
    same("memory map and array", memmapped, lambda: np.arange(5.0))
    differ(
        "recarray and records", lambda: np.zeros(2, [("a", "i4")]).view(np.recarray), lambda: np.zeros(2, [("a", "i4")])
    )
    differ(
        "StringDType",
        lambda: np.array(["a", "b"], np.dtypes.StringDType()),
        lambda: np.array(["a", "c"], np.dtypes.StringDType()),
    )
    differ("a dtype and a number, in order", lambda: [np.dtype("f4"), 1], lambda: [1, np.dtype("f4")])
    differ("array and what a pickle reduces it to", lambda: np.arange(3), lambda: np.arange(3).__reduce__()[1:])
    same("Generators of one seed", lambda: np.random.default_rng(1), lambda: np.random.default_rng(1))
    differ("Generator after one draw", lambda: np.random.default_rng(1), drawn)
    same("RandomStates of one seed", same_seed(np.random.RandomState), same_seed(np.random.RandomState))
    differ("RandomStates", lambda: np.random.RandomState(1), lambda: np.random.RandomState(2))
    differ("ufuncs", lambda: np.sin, lambda: np.cos)
    refuse("a ufunc of a Python function", lambda: np.frompyfunc(lambda x: x, 1, 1))
    refuse("a memoryview of objects", lambda: memoryview(np.array([1, "a"], object)))

    def of_numpy_random(drawn: bool = False) -> list[Any]:
        if drawn:
            np.random.rand()  # noqa: NPY002 - the one in question
        return [np.random.rand, lambda: None]

    same("the generator of numpy.random before and after", of_numpy_random, lambda: of_numpy_random(drawn=True))
    differ("business days", lambda: np.busdaycalendar("1111100"), lambda: np.busdaycalendar("1111000"))

# ---- pandas
group("pandas", "pandas", "pyarrow")
if importlib.util.find_spec("pandas") and importlib.util.find_spec("pyarrow"):
    import pandas as pd
    import pyarrow as pa

    def frame() -> Any:
        return pd.DataFrame({"a": [1, 2, 3], "b": [1.5, None, 2.5], "c": ["x", "y", None]})

    def used() -> Any:
        found = frame()
        len(found), found.loc[0], found.describe(), 2 in found.index, found["a"].is_unique
        return found

    def inserted() -> Any:
        found = frame()
        found.insert(0, "z", 1)
        del found["z"]
        return found

    def many_blocks() -> Any:
        found = pd.DataFrame({"a": [1, 2, 3]})
        found["b"] = [1.5, None, 2.5]
        found["c"] = ["x", "y", None]
        return found

    def changed(**changes: Any) -> Callable[[], Any]:
        return lambda: frame().assign(**changes)

    def with_attrs() -> Any:
        found = frame()
        found.attrs["unit"] = "m"
        return found

    def garbage_under_na() -> Any:
        found = pd.array([1, 99, 3], dtype="Int64")
        found._mask[1] = True
        return pd.Series(found)

    def series(*args: Any, **options: Any) -> Callable[[], Any]:
        return lambda: pd.Series(*args, **options)

    same("a copy", frame, lambda: frame().copy())
    same("blocks", frame, many_blocks)
    same("after insert and delete", frame, inserted)
    same(
        "filtered",
        lambda: frame()[frame()["a"] > 1].reset_index(drop=True),
        lambda: pd.DataFrame({"a": [2, 3], "b": [None, 2.5], "c": ["y", None]}),
    )
    same("after use", frame, used)
    differ("name of a column", frame, lambda: frame().rename(columns={"a": "A"}))
    differ("order of rows", frame, lambda: frame().iloc[::-1].reset_index(drop=True))
    differ("order of columns", frame, lambda: frame()[["b", "a", "c"]])
    differ("index", frame, lambda: frame().set_axis([1, 2, 3]))
    differ("name of the index", frame, lambda: frame().rename_axis("i"))
    differ("name of the columns", frame, lambda: frame().rename_axis(columns="i"))
    differ("int64 and int32", frame, lambda: frame().astype({"a": "int32"}))
    differ("int64 and Int64", frame, lambda: frame().astype({"a": "Int64"}))
    differ("objects and str", series(["a"], dtype=object), series(["a"], dtype="str"))
    differ("str and string[python]", series(["a"], dtype="str"), series(["a"], dtype="string[python]"))
    same("objects, interned or not", series([PART, PART], dtype=object), series(["xy", fresh("xy")], dtype=object))
    differ("objects, None and NaN", series([None, "a"], dtype=object), series([math.nan, "a"], dtype=object))
    differ("objects, NA and None", series([pd.NA, "a"], dtype=object), series([None, "a"], dtype=object))
    differ("objects, lists", series([[1], [2]]), series([[1], [3]]))
    stable("objects, sets", series([set(WORDS), {1}]))
    same("garbage under NA", series(pd.array([1, None, 3], dtype="Int64")), garbage_under_na)
    differ(
        "order of categories",
        series(pd.Categorical(["a", "b"], ["a", "b"])),
        series(pd.Categorical(["a", "b"], ["b", "a"])),
    )
    differ("ordered categories", series(pd.Categorical(["a"], ordered=True)), series(pd.Categorical(["a"])))
    differ("a category that is not used", series(pd.Categorical(["a"])), series(pd.Categorical(["a"], ["a", "b"])))
    differ("categories and strings", series(pd.Categorical(["a"])), series(["a"]))
    differ("attrs", frame, with_attrs)
    differ("flags", frame, lambda: frame().set_flags(allows_duplicate_labels=False))
    differ("name of a series", series([1], name="a"), series([1], name="b"))
    differ("series and frame", series([1], name="a"), lambda: pd.DataFrame({"a": [1]}))
    differ("series and its array", series([1]), lambda: pd.Series([1]).array)
    differ("units of time", series(["2026"], dtype="M8[ns]"), series(["2026"], dtype="M8[us]"))
    differ("time zones", series(pd.to_datetime(["2026"]).tz_localize("UTC")), series(pd.to_datetime(["2026"])))
    differ(
        "frequency of an index",
        lambda: pd.date_range("2026", periods=3),
        lambda: pd.DatetimeIndex(["2026-01-01", "2026-01-02", "2026-01-03"]),
    )
    differ("sparse and dense", series(pd.arrays.SparseArray([0, 0, 1])), series([0, 0, 1]))
    same(
        "levels of a MultiIndex",
        lambda: pd.MultiIndex.from_product([[1, 2], ["a", "b"]])[:2],
        lambda: pd.MultiIndex.from_tuples([(1, "a"), (1, "b")]),
    )
    same(
        "Arrow data in two chunks",
        series(pa.chunked_array([[1, 2, 3]]), dtype="int64[pyarrow]"),
        series(pa.chunked_array([[1], [2, 3]]), dtype="int64[pyarrow]"),
    )
    same(
        "slice of strings",
        lambda: pd.Series(["x", "y", None, "zz"])[1:].reset_index(drop=True),
        series(["y", None, "zz"]),
    )
    differ(
        "two columns of one name",
        lambda: pd.DataFrame([[1, 2]], columns=["x", "x"]),
        lambda: pd.DataFrame([[2, 1]], columns=["x", "x"]),
    )
    differ(
        "empty frames",
        lambda: pd.DataFrame({"a": pd.Series(dtype="i8")}),
        lambda: pd.DataFrame({"a": pd.Series(dtype="f8")}),
    )
    differ("0.0 and -0.0", series([0.0]), series([-0.0]))
    differ("intervals", lambda: pd.interval_range(0, 3), lambda: pd.interval_range(0, 3, closed="left"))
    differ(
        "periods",
        lambda: pd.period_range("2026", periods=2, freq="M"),
        lambda: pd.period_range("2026", periods=2, freq="D"),
    )
    differ("RangeIndex and Index", lambda: pd.RangeIndex(3), lambda: pd.Index([0, 1, 2]))

    def levels(names: list[Any], last: int = 3) -> Callable[[], Any]:
        return lambda: pd.MultiIndex.from_arrays([[1, 1], [2, last]], names=names)

    differ("second level of a MultiIndex", levels(["a", "b"]), levels(["a", "b"], 4))
    differ("second level of a MultiIndex whose first is named 1", levels([1, 2]), levels([1, 2], 4))
    differ("second level of a MultiIndex, both named 1", levels([1, 1]), levels([1, 1], 4))

    def holidays(day: str) -> Callable[[], Any]:
        frequency = pd.offsets.CustomBusinessDay(holidays=[day])
        return lambda: pd.date_range("2026-01-05", periods=2, freq=frequency)

    differ("holidays of a frequency", holidays("2026-03-03"), holidays("2026-03-04"))

    def grouped(used: bool = False, by: str = "a") -> Any:
        found = frame().groupby(by)
        if used:
            found["b"].sum(), found.groups, found.indices  # noqa: B018
        return found

    same("groups before and after use", grouped, lambda: grouped(used=True))
    differ("groups", grouped, lambda: grouped(by="c"))
    differ("groups of one column", lambda: grouped()["b"], lambda: grouped(by="c")["b"])
    refuse("a styled frame", lambda: frame().style if importlib.util.find_spec("jinja2") else threading.Lock())
    differ("Timestamps", lambda: pd.Timestamp("2026"), lambda: pd.Timestamp("2026", tz="UTC"))
    differ("NaT and NA", lambda: pd.NaT, lambda: pd.NA)
    differ("offsets", lambda: pd.offsets.Day(1), lambda: pd.offsets.Day(2))
    differ("dtypes", lambda: pd.CategoricalDtype(["a"]), lambda: pd.CategoricalDtype(["b"]))
    stable(
        "wide and mixed",
        lambda: frame().assign(
            d=pd.Timestamp("2026", tz="Europe/Paris"),
            e=pd.Timedelta(1, "D"),
            f=pd.array([True, None, False]),
            g=[1, "a", None],
        ),
    )

# ---- polars and arrow
group("polars", "polars")
if importlib.util.find_spec("polars"):
    import polars as pl

    def polar() -> Any:
        return pl.DataFrame(
            {"a": [1, None, 3], "s": ["x", None, "a longer text than a view holds"], "l": [[1], [], None]}
        )

    same("equal frames", polar, polar)
    same("chunks", polar, lambda: pl.concat([polar()[:1], polar()[1:]], rechunk=False))
    same("slice", polar, lambda: pl.concat([polar(), polar()])[3:])
    differ("name of a column", polar, lambda: polar().rename({"a": "A"}))
    differ("order of columns", polar, lambda: polar().select("s", "a", "l"))
    differ("Int64 and Int32", lambda: pl.Series([1]), lambda: pl.Series([1], dtype=pl.Int32))
    differ("null and NaN", lambda: pl.Series([None, 1.0]), lambda: pl.Series([math.nan, 1.0]))
    differ("Int128", lambda: pl.Series([2**100], dtype=pl.Int128), lambda: pl.Series([2**101], dtype=pl.Int128))
    differ("frame and series", lambda: pl.DataFrame({"a": [1]}), lambda: pl.Series("a", [1]))
    same(
        "categories that came in another order",
        lambda: pl.Series(["a", "b"], dtype=pl.Categorical),
        lambda: pl.Series(["b", "a", "b"], dtype=pl.Categorical)[1:],
    )
    differ("categories and strings", lambda: pl.Series(["a"], dtype=pl.Categorical), lambda: pl.Series(["a"]))

group("arrow", "pyarrow")
if importlib.util.find_spec("pyarrow"):
    import pyarrow as pa

    def table(cuts: tuple[int, ...] = ()) -> Any:
        data = pa.table({"a": [1, None, 3, 4], "s": ["x", None, "", "yy"], "l": [[{"k": 1}], [], None, [{"k": None}]]})
        starts = (0, *cuts)
        return pa.concat_tables([data[start:stop] for start, stop in zip(starts, (*cuts, 4), strict=True)])

    def all_valid(mask: bool) -> Any:
        bits = pa.py_buffer(b"\xff") if mask else None
        return pa.Array.from_buffers(pa.int64(), 2, [bits, pa.py_buffer(struct.pack("<2q", 1, 2))])

    same("chunks", table, lambda: table((1, 3)))
    same("offset", lambda: pa.array([1, 2, 3])[1:], lambda: pa.array([2, 3]))
    same("offset of strings", lambda: pa.array(["a", "bb", None, "c"])[1:], lambda: pa.array(["bb", None, "c"]))
    same("no bitmap and one of ones", lambda: all_valid(False), lambda: all_valid(True))
    differ("metadata of a schema", table, lambda: table().replace_schema_metadata({"k": "v"}))
    differ("nested", lambda: pa.array([[{"k": 1}]]), lambda: pa.array([[{"k": 2}]]))
    differ("lengths of lists", lambda: pa.array([[1], [2, 3]]), lambda: pa.array([[1, 2], [3]]))
    differ("null and empty", lambda: pa.array([[1], None]), lambda: pa.array([[1], []]))
    differ("string and large_string", lambda: pa.array(["a"]), lambda: pa.array(["a"], pa.large_string()))
    differ("bools", lambda: pa.array([True, False]), lambda: pa.array([False, True]))
    differ("where a null is", lambda: pa.array([None, 1]), lambda: pa.array([1, None]))

    def union(*codes: int) -> Any:
        return pa.UnionArray.from_sparse(pa.array(codes, pa.int8()), [pa.array([1] * len(codes))] * 2)

    differ("which part of a union", lambda: union(0, 1), lambda: union(1, 1))
    same("slice of a union", lambda: union(0, 1)[1:], lambda: union(1))
    differ(
        "keys in order",
        lambda: pa.map_(pa.string(), pa.int8()),
        lambda: pa.map_(pa.string(), pa.int8(), keys_sorted=True),
    )
    if hasattr(pa, "json_"):
        differ("texts of an extension type", lambda: pa.array(["1"], pa.json_()), lambda: pa.array(["2"], pa.json_()))
        differ("an extension type and its storage", lambda: pa.array(["1"], pa.json_()), lambda: pa.array(["1"]))

# ---- torch, scipy, Pillow, scikit-learn
group("torch", "torch")
if importlib.util.find_spec("torch"):
    import torch

    same("equal tensors", lambda: torch.arange(6.0), lambda: torch.arange(6.0))
    differ("shape", lambda: torch.arange(6).reshape(2, 3), lambda: torch.arange(6).reshape(3, 2))
    same("transposed", lambda: torch.arange(6).reshape(2, 3).T, lambda: torch.arange(6).reshape(2, 3).T.contiguous())
    differ("float32 and bfloat16", lambda: torch.ones(3), lambda: torch.ones(3, dtype=torch.bfloat16))
    differ("requires_grad", lambda: torch.ones(3), lambda: torch.ones(3, requires_grad=True))
    differ("tensor and array", lambda: torch.ones(3), lambda: torch.ones(3).numpy())
    differ("bools", lambda: torch.tensor([True, False]), lambda: torch.tensor([False, True]))
    differ("complex", lambda: torch.tensor([1j]), lambda: torch.tensor([2j]))
    same("scalars", lambda: torch.tensor(1.5), lambda: torch.tensor(1.5))
    differ("dtypes", lambda: torch.float32, lambda: torch.float64)
    differ("sparse and dense", lambda: torch.eye(3).to_sparse(), lambda: torch.eye(3))
    refuse("meta", lambda: torch.ones(3, device="meta"))

group("scipy", "scipy")
if importlib.util.find_spec("scipy"):
    import scipy.sparse as sp

    def csr(kind: str = "csr") -> Any:
        return sp.csr_matrix(([1.0, 2.0], [0, 1], [0, 1, 2]), shape=(2, 2)).asformat(kind)

    def probed() -> Any:
        found = csr()
        found.has_sorted_indices, found.has_canonical_format  # noqa: B018
        return found

    def wide() -> Any:
        found = csr()
        found.indices, found.indptr = found.indices.astype("i8"), found.indptr.astype("i8")
        return found

    differ("csr and csc", csr, lambda: csr("csc"))
    same("after a probe", csr, probed)
    same("width of the indices", csr, wide)
    differ("csr_matrix and csr_array", csr, lambda: sp.csr_array(csr()))
    for kind in ("coo", "bsr", "dia", "lil", "dok"):
        differ(kind, functools.partial(csr, kind), lambda kind=kind: csr(kind) * 2)

group("Pillow", "PIL")
if importlib.util.find_spec("PIL"):
    from PIL import Image

    def palette(*colours: int) -> Any:
        found = Image.new("P", (2, 2))
        found.putpalette(colours)
        return found

    same("equal images", lambda: Image.new("RGB", (3, 2)), lambda: Image.new("RGB", (3, 2)))
    differ("RGB and L", lambda: Image.new("RGB", (3, 2)), lambda: Image.new("L", (3, 2)))
    differ("palette", lambda: palette(1, 2, 3), lambda: palette(3, 2, 1))

    def film() -> Any:
        file = io.BytesIO()
        Image.new("L", (4, 4), 1).save(file, "GIF", save_all=True, append_images=[Image.new("L", (4, 4), 200)])
        return Image.open(file)

    refuse("several frames", film)
    differ("size", lambda: Image.new("L", (3, 2)), lambda: Image.new("L", (2, 3)))

group("scikit-learn", "sklearn", "numpy")
if importlib.util.find_spec("sklearn"):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def forest() -> Any:
        numbers = np.arange(40.0).reshape(20, 2)
        return RandomForestClassifier(3, random_state=0).fit(numbers, numbers[:, 0] > 10)

    differ("parameter", lambda: LinearRegression(), lambda: LinearRegression(positive=True))
    differ("fitted and not", lambda: RandomForestClassifier(3, random_state=0), forest)
    same("fitted twice", forest, forest)
    stable("data sets, which lose an attribute in a pickle", lambda: __import__("sklearn.utils").utils.Bunch(a=1))
    differ(
        "parameter deep in a pipeline",
        lambda: make_pipeline(StandardScaler(), LinearRegression()),
        lambda: make_pipeline(StandardScaler(with_mean=False), LinearRegression()),
    )

group("scipy.stats", "scipy")
if importlib.util.find_spec("scipy"):

    def distribution(drawn: bool = False) -> list[Any]:
        import scipy.stats

        found = scipy.stats.norm(0, 1)
        if drawn:
            found.rvs()
        return [found, lambda: None]  # no pickle: it would take the generator of numpy.random with it

    same("a distribution before and after a draw", distribution, lambda: distribution(drawn=True))

# ---- the standard library
group("standard library")
PARIS = zoneinfo.ZoneInfo("Europe/Paris") if "Europe/Paris" in zoneinfo.available_timezones() else dt.UTC
NOON = dt.datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001
differ("naive and UTC", lambda: NOON, lambda: NOON.replace(tzinfo=dt.UTC))
same(
    "ZoneInfo, cached or not",
    lambda: PARIS,
    lambda: zoneinfo.ZoneInfo.no_cache(PARIS.key) if hasattr(PARIS, "key") else PARIS,
)
differ(
    "time zones", lambda: NOON.replace(tzinfo=dt.UTC), lambda: NOON.replace(tzinfo=dt.timezone(dt.timedelta(hours=1)))
)
differ("fold", lambda: NOON.replace(tzinfo=PARIS), lambda: NOON.replace(tzinfo=PARIS, fold=1))
differ("date and midnight", lambda: dt.date(2026, 1, 1), lambda: dt.datetime(2026, 1, 1))  # noqa: DTZ001
differ("times", lambda: dt.time(1), lambda: dt.time(1, fold=1))
same("a day and 24 hours", lambda: dt.timedelta(1), lambda: dt.timedelta(hours=24))
differ("Decimal 1.0 and 1.00", lambda: decimal.Decimal("1.0"), lambda: decimal.Decimal("1.00"))
differ("Decimal and float", lambda: decimal.Decimal("1.5"), lambda: 1.5)
differ("Fractions", lambda: fractions.Fraction(1, 2), lambda: fractions.Fraction(1, 3))
differ("Path and str", lambda: pathlib.Path("a/b"), lambda: "a/b")
same("Path('a//b')", lambda: pathlib.Path("a/b"), lambda: pathlib.Path("a//b"))


def used_path() -> pathlib.Path:
    found = pathlib.Path("a/b")
    hash(found), str(found), found.parts, found.suffix, found < pathlib.Path("c")
    return found


same("Path after use", lambda: pathlib.Path("a/b"), used_path)


class MyPath(type(pathlib.Path())):
    pass


def used_subclass() -> MyPath:
    found = MyPath("a", "b")
    hash(found), str(found), found.parts, found.suffix, found < MyPath("c")
    return found


same("subclass of Path after use", lambda: MyPath("a/b"), used_subclass)
differ("subclass of Path and Path", lambda: MyPath("a"), lambda: pathlib.Path("a"))
same("UUID of a subclass of int", lambda: uuid.UUID(int=MyInt(5)), lambda: uuid.UUID(int=5))


def stat(nanoseconds: int) -> Callable[[], Any]:
    return lambda: os.stat_result(range(10), {"st_mtime_ns": nanoseconds})


differ("a file's times within a second", stat(1), stat(2))
differ("Posix and Windows paths", lambda: pathlib.PurePosixPath("a"), lambda: pathlib.PureWindowsPath("a"))
differ("members of two enums", lambda: Colour.RED, lambda: Hue.RED)
differ("members of one enum", lambda: Colour.RED, lambda: Colour.GREEN)
differ("flags", lambda: Access.READ | Access.WRITE, lambda: Access.READ)
differ("IntEnum and int", lambda: Level.LOW, lambda: 1)
differ("StrEnum and str", lambda: Name.A, lambda: "a")
differ("UUIDs", lambda: uuid.UUID(int=1), lambda: uuid.UUID(int=2))
differ("flags of a regex", lambda: re.compile("a"), lambda: re.compile("a", re.IGNORECASE))


def purged() -> re.Pattern[str]:
    re.purge()
    return re.compile("a+")


same("regex after purge", lambda: re.compile("a+"), purged)
differ("modules", lambda: math, lambda: __import__("cmath"))
differ("list[int] and list[str]", lambda: list[int], lambda: list[str])
same("Optional[int] and int | None", lambda: typing.Optional[int], lambda: int | None)  # noqa: UP045
same("int | str and str | int", lambda: int | str, lambda: str | int)
differ("Literal[1] and Literal[True]", lambda: typing.Literal[1], lambda: typing.Literal[True])
differ("Annotated", lambda: typing.Annotated[int, 1], lambda: typing.Annotated[int, 2])
differ("Callables", lambda: typing.Callable[[int], str], lambda: typing.Callable[[str], str])
differ("NewTypes", lambda: typing.NewType("A", int), lambda: typing.NewType("A", str))
stable("Any", lambda: [typing.Any, typing.List, typing.TypeVar("T", bound=int)])  # noqa: UP006
differ("exceptions", lambda: ValueError("a"), lambda: ValueError("b"))
differ("types of exceptions", lambda: ValueError("a"), lambda: TypeError("a"))


def failure(note: str = "", cause: BaseException | None = None) -> ValueError:
    found = ValueError("a")
    found.__cause__ = cause
    if note:
        found.add_note(note)
    return found


def caught() -> ValueError:
    try:
        raise failure()
    except ValueError as error:
        return error


differ("notes of exceptions", lambda: failure("b"), lambda: failure("c"))
differ("an exception with a cause", failure, lambda: failure(cause=KeyError(1)))
differ("groups of exceptions", lambda: ExceptionGroup("a", [failure()]), lambda: ExceptionGroup("a", [KeyError(1)]))
same("where an exception was raised", failure, caught)
same("random.Random of one seed", lambda: random.Random(1), lambda: random.Random(1))
differ("random.Random", lambda: random.Random(1), lambda: random.Random(2))


class MyRandom(random.Random):
    pass


differ("random.Random and a subclass", lambda: random.Random(1), lambda: MyRandom(1))
differ("subclass of random.Random", lambda: MyRandom(1), lambda: with_attribute(MyRandom(1), x=1))


def of_random(drawn: bool = False) -> list[Any]:
    if drawn:
        random.random()
    return [random.choice, lambda: None]  # no pickle: it would take the generator with it


same("the generator of random before and after a draw", of_random, lambda: of_random(drawn=True))

# ---- classes and objects
group("objects")


class Constant:
    def __init__(self, state: int) -> None:
        self.state = state

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return True


class Lazy:
    def __init__(self) -> None:
        self.x = 1

    @functools.cached_property
    def double(self) -> int:
        return 2 * self.x


def computed(kind: Callable[[], Any]) -> Callable[[], Any]:
    def build() -> Any:
        found = kind()
        found.double  # noqa: B018
        return found

    return build


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a: int, b: int | None = None) -> None:
        self.a = a
        if b is not None:
            self.b = b


@dataclasses.dataclass
class Point:
    x: int
    y: int = dataclasses.field(default=0, compare=False)

    @functools.cached_property
    def double(self) -> int:
        return 2 * self.x


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int
    y: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Compact:
    x: int


class Pair(NamedTuple):
    x: int
    y: int


class Couple(NamedTuple):
    x: int
    y: int


class Caller:
    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self) -> int:
        return self.n

    def other(self) -> int:
        return -self.n

    @classmethod
    def build(cls) -> "Caller":
        return cls(0)


class Broken:
    def __reduce__(self) -> Any:
        raise TypeError


class OwnDigest:
    def __init__(self, name: str) -> None:
        self.name, self.lock = name, threading.Lock()

    def __nbflow_digest__(self) -> object:
        return self.name

    def __reduce__(self) -> Any:
        return OwnDigest, (self.name,)


class OwnState:
    def __init__(self, name: str) -> None:
        self.name, self.lock = name, threading.Lock()

    def __getstate__(self) -> object:
        return {"name": self.name}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.__init__(state["name"])


def f(x: int) -> int:
    return x + 1


def g(x: int) -> int:
    return x + 2


def closure(n: int) -> Callable[[int], int]:
    return lambda x: x + n


same("equal state", lambda: Holder(a=1, b=2), lambda: Holder(b=2, a=1))
differ("state", lambda: Holder(a=1), lambda: Holder(a=2))
differ("state of equal objects", lambda: Constant(1), lambda: Constant(2))
same("cached_property", Lazy, computed(Lazy))
differ("slots", lambda: Slotted(1), lambda: Slotted(2))
differ("slots, one not set", lambda: Slotted(1), lambda: Slotted(1, 2))
same("equal dataclasses", lambda: Point(1), lambda: Point(1, 0))
differ("dataclasses", lambda: Point(1), lambda: Point(2))
differ("dataclass and frozen dataclass", lambda: Point(1), lambda: Frozen(1))
differ("dataclass and dict", lambda: Point(1), lambda: {"x": 1, "y": 0})
same("dataclass with cached_property", lambda: Point(1), computed(lambda: Point(1)))
differ("field that is not compared", lambda: Point(1, 0), lambda: Point(1, 1))
differ("dataclasses with slots", lambda: Compact(1), lambda: Compact(2))
differ("named tuple and tuple", lambda: Pair(1, 2), lambda: (1, 2))
differ("two named tuples", lambda: Pair(1, 2), lambda: Couple(1, 2))
differ("callable objects", lambda: Caller(1), lambda: Caller(2))
differ("bound methods", lambda: Caller(1).other, lambda: Caller(2).other)
differ("bound method and __call__", lambda: Caller(1).other, lambda: Caller(1).__call__)
differ("bound method and classmethod", lambda: Caller(1).other, lambda: Caller.build)
differ("arguments of a partial", lambda: functools.partial(f, 1), lambda: functools.partial(f, 2))
stable("keyword arguments of a partial", lambda: functools.partial(f, x=1))
same("their order", lambda: functools.partial(f, x=1, y=2), lambda: functools.partial(f, y=2, x=1))
differ("functions", lambda: f, lambda: g)
differ("builtin functions", lambda: len, lambda: max)
differ("a method of two dicts", lambda: {"a": 1}.get, lambda: {"a": 2}.get)
same("one lambda twice", lambda: closure(1), lambda: closure(1))
differ("lambdas", lambda: lambda x: x + 1, lambda: lambda x: x + 2)
differ("closures", lambda: closure(1), lambda: closure(2))
differ("properties", lambda: property(f), lambda: property(g))
differ("classes", lambda: Point, lambda: Frozen)
same("own digest", lambda: OwnDigest("a"), lambda: OwnDigest("a"))
differ("own digests", lambda: OwnDigest("a"), lambda: OwnDigest("b"))
differ("own state", lambda: OwnState("a"), lambda: OwnState("b"))


class AnyState:
    def __init__(self, state: Any) -> None:
        self.state = state

    def __getstate__(self) -> Any:
        return self.state

    def __setstate__(self, state: Any) -> None:
        self.state = state


differ("state of two dicts", lambda: AnyState(({"a": 1}, {})), lambda: AnyState(({}, {"a": 1})))
differ("state of a dict in order", lambda: AnyState({"a": 1, "b": 2}), lambda: AnyState({"b": 2, "a": 1}))
differ("states that are false", lambda: AnyState(0), lambda: AnyState(False))
differ(
    "classes made by make_dataclass",
    lambda: dataclasses.make_dataclass("Made", ["x"], namespace={"f": f})(1),
    lambda: dataclasses.make_dataclass("Made", ["x"], namespace={"f": g})(1),
)
differ("instances of two empty classes", lambda: Holder(), lambda: types.SimpleNamespace())

group("attrs", "attrs")
if importlib.util.find_spec("attrs"):
    import attrs

    @attrs.define
    class Attrs:
        x: int
        y: list[int]

        @functools.cached_property
        def double(self) -> int:
            return 2 * self.x

    @attrs.define(slots=False, unsafe_hash=True, cache_hash=True)
    class Hashed:
        x: str

    def hashed() -> Hashed:
        found = Hashed("a")
        hash(found)
        return found

    same("equal", lambda: Attrs(1, [2]), lambda: Attrs(1, [2]))
    differ("field", lambda: Attrs(1, [2]), lambda: Attrs(1, [3]))
    same("cached hash", lambda: Hashed("a"), hashed)
    same("cached_property", lambda: Attrs(1, []), computed(lambda: Attrs(1, [])))

group("pydantic", "pydantic")
if importlib.util.find_spec("pydantic"):
    import pydantic

    class Model(pydantic.BaseModel):
        a: int = 1
        b: set[str] = {"x", "y", "z"}

        @functools.cached_property
        def double(self) -> int:
            return 2 * self.a

    class Twin(pydantic.BaseModel):
        a: int = 1
        b: set[str] = {"x", "y", "z"}

    same("equal", lambda: Model(a=2), lambda: Model(a=2))
    differ("field", lambda: Model(a=2), lambda: Model(a=3))
    differ("default and set", Model, lambda: Model(a=1))
    stable("several fields set", lambda: Model(a=2, b={"p", "q", "r"}))
    differ("two models", Model, Twin)
    same("cached_property", Model, computed(Model))

# ---- must be refused
group("refused")


async def nothing() -> None:
    pass


async def agen() -> Any:
    yield 1


class Cursor:
    def __init__(self) -> None:
        self.rows = [1, 2]

    def __iter__(self) -> "Cursor":
        return self

    def __next__(self) -> int:
        return self.rows.pop()


class Proxy:
    """Poses as what it wraps, as werkzeug's LocalProxy does."""

    __class__ = property(lambda self: dict)

    def __reduce_ex__(self, _: int) -> Any:
        return dict, ()


def coroutine() -> Any:
    found = nothing()
    found.close()
    return found


def mock() -> Any:
    from unittest.mock import MagicMock

    return MagicMock()


def logger() -> Any:
    return __import__("logging").getLogger("x")


def connection() -> Any:
    found = sqlite3.connect(":memory:")
    found.close()
    return found


def a_socket() -> Any:
    found = socket.socket()
    found.close()
    return found


def shared_memory() -> Any:
    from multiprocessing.shared_memory import SharedMemory

    found = SharedMemory(create=True, size=16)
    found.close()
    found.unlink()
    return found


def text_file() -> Any:
    found = open(os.devnull)
    found.close()
    return found


refuse("generator", lambda: (x for x in ()))
refuse("list_iterator", lambda: iter([]))
refuse("dict_keyiterator", lambda: iter({}))
refuse("zip", lambda: zip())
refuse("map", lambda: map(len, ()))
refuse("enumerate", lambda: enumerate(()))
refuse("reversed", lambda: reversed([1]))
refuse("itertools.count", itertools.count)
refuse("open file", text_file)
refuse("BytesIO", io.BytesIO)
refuse("StringIO", io.StringIO)
refuse("lock", threading.Lock)
refuse("reentrant lock", threading.RLock)
refuse("event", threading.Event)
refuse("thread local", threading.local)
refuse("object holding a lock", lambda: Holder(lock=threading.Lock()))
refuse("socket", a_socket)
refuse("sqlite3 connection", connection)
refuse("coroutine", coroutine)
refuse("async generator", agen)
refuse("thread", threading.Thread)
refuse("weak reference", lambda: weakref.ref(Holder))
refuse("weak proxy", lambda: weakref.proxy(Holder))
refuse("weak dictionary", weakref.WeakValueDictionary)
refuse("bare object", object)
refuse("iterator object", Cursor)
refuse("csv reader", lambda: csv.reader([]))
refuse("object whose __reduce__ raises", Broken)
refuse("proxy", Proxy)
refuse("mock", mock)
refuse("logger", logger)
refuse("future", lambda: __import__("concurrent.futures").futures.Future())
refuse("asyncio queue", asyncio.Queue)
refuse("shared memory", shared_memory)
refuse("frame", lambda: sys._getframe())
refuse("SystemRandom", random.SystemRandom)
refuse("deep in a list of dicts", lambda: [{"a": {"b": [1, threading.Lock()]}}])


def main() -> None:
    """Print the digests of all cases that can run here."""
    found: dict[str, list[str]] = {}
    for each in CASES:
        if each.ready() and each.expected != REFUSE:
            builders = [each.first, *([each.second] if each.second else [])]
            try:
                found[each.name] = [digest(build()) for build in builders]
            except Exception as error:
                found[each.name] = [repr(error)]
    gc.collect()
    print(json.dumps(found))
