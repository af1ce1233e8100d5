"""A universe of values made by recipes: digests are equal exactly when the recipes are, however a value is built.

A recipe is a tuple of a kind and its parts, so two recipes are equal exactly when the values are, types included.
"""

import array
import collections
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import pickle
import random
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from nbflow.keys import digest, origin
from nbflow.keys.encode import canonical


class Plain:
    """An object with attributes."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Other(Plain):
    """The same under another name."""


class Slotted:
    __slots__ = ("left", "right")

    def __init__(self, left: Any, right: Any) -> None:
        self.left, self.right = left, right


@dataclass
class Record:
    left: Any
    right: Any


class Pair(NamedTuple):
    left: Any
    right: Any


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Number(int):
    pass


DAY = dt.datetime(2024, 2, 29, 12, 30)  # noqa: DTZ001 - such values there are
ATOMS: dict[str, list[Any]] = {
    "NoneType": [None],
    "bool": [False, True],
    "int": [0, 1, -1, 2, 255, 256, 2**31, 2**63, -(2**63), 10**30],
    "float": [0.0, -0.0, 1.0, 2.0, 0.1, 1e300, float("inf"), float("-inf"), float("nan")],
    "complex": [0j, 1j, complex(1, -0.0), complex(1, 0.0), complex(-0.0, 1.0)],
    "str": ["", "0", "1", "True", "None", "a", "ab", "a\0", "b'a'", "é", "e\u0301", "\ud800", "x" * 5000],
    "bytes": [b"", b"0", b"a", b"ab", b"a\0", "é".encode(), b"x" * 5000],
    "bytearray": [bytearray(), bytearray(b"a"), bytearray(b"ab")],
    "Decimal": [decimal.Decimal(text) for text in ("0", "-0", "1", "1.0", "1E+1", "10", "NaN")],
    "Fraction": [fractions.Fraction(1, 2), fractions.Fraction(2), fractions.Fraction(0)],
    "date": [dt.date(2024, 2, 29), dt.date(2024, 3, 1)],
    "datetime": [DAY, DAY.replace(fold=1), DAY.replace(tzinfo=dt.UTC), DAY.replace(hour=0, minute=0)],
    "time": [dt.time(12), dt.time(12, tzinfo=dt.UTC)],
    "timedelta": [dt.timedelta(0), dt.timedelta(1), dt.timedelta(seconds=1)],
    "range": [range(3), range(0, 3, 2), range(1, 3)],
    "slice": [slice(3), slice(0, 3), slice(0, 3, 1)],
    "Path": [pathlib.PurePosixPath("a"), pathlib.PurePosixPath("a/b"), pathlib.PureWindowsPath("a")],
    "UUID": [uuid.UUID(int=1), uuid.UUID(int=2)],
    "Colour": [Colour.RED, Colour.BLUE],
    "Number": [Number(1), Number(2)],
    "class": [int, float, Plain, Other, Record],
    "special": [..., NotImplemented],
    "array": [array.array("i", [1, 2]), array.array("h", [1, 2]), array.array("i", [2, 1])],
    "numpy scalar": [np.int64(1), np.int32(1), np.float64(1), np.bool_(1), np.float32(1), np.str_("a"), np.bytes_(b"a")],
    "ndarray": [
        np.zeros(shape, kind) for shape in ((), (0,), (1,), (2,), (1, 2), (2, 1)) for kind in ("f8", "i8", ">i8", "?", "M8[s]")
    ],
    "Series": [
        pd.Series([1, 2], name=name, index=index, dtype=kind)
        for name in (None, "a")
        for index in ([0, 1], [1, 0], ["0", "1"])
        for kind in ("int64", "float64", "Int64", "category")
    ],
    "DataFrame": [
        pd.DataFrame(columns)
        for columns in ({"a": [1]}, {"b": [1]}, {"a": [1.0]}, {"a": [1], "b": [2]}, {"b": [2], "a": [1]}, {"a": [1, 1]}, {"a": ["1"]})
    ],
}  # fmt: skip
HASHABLE = ("NoneType", "bool", "int", "float", "str", "bytes", "Decimal", "Fraction", "date", "Colour")
SEQUENCES = {"list": list, "tuple": tuple, "deque": collections.deque}
SETS = {"set": set, "frozenset": frozenset}
MAPPINGS = {"dict": dict, "OrderedDict": collections.OrderedDict}
OBJECTS = {"Plain": Plain, "Other": Other}
PAIRS = {"Pair": Pair, "Record": Record, "Slotted": Slotted}
Recipe = tuple[Any, ...]


def leaf(chance: random.Random, kinds: Any = None) -> Recipe:
    kind = chance.choice([*(kinds or ATOMS)])
    return ("atom", kind, chance.randrange(len(ATOMS[kind])))


def recipe(chance: random.Random, depth: int = 3) -> Recipe:
    """A random one."""
    if depth == 0 or chance.random() < 0.2:
        return leaf(chance)
    kind = chance.choice([*SEQUENCES, *SETS, *MAPPINGS, *OBJECTS, *PAIRS])
    count = chance.choice((0, 1, 2, 2, 3))
    if kind in SEQUENCES:
        return (kind, tuple(recipe(chance, depth - 1) for _ in range(count)))
    if kind in SETS:
        return members(kind, [leaf(chance, HASHABLE) for _ in range(count)])
    if kind in MAPPINGS or kind in OBJECTS:
        return mapping(kind, [(chance.choice("abc"), recipe(chance, depth - 1)) for _ in range(count)])
    return (kind, (recipe(chance, depth - 1), recipe(chance, depth - 1)))


def members(kind: str, leaves: list[Recipe]) -> Recipe:
    """A set's; of members that Python holds for equal (1, True, 1.0) the first stays."""
    kept: dict[Any, Recipe] = {}
    for each in leaves:
        kept.setdefault(build(each), each)
    return (kind, frozenset(kept.values()))


def mapping(kind: str, items: list[tuple[str, Recipe]]) -> Recipe:
    """A dict's, its items in order; the attributes of an object have none."""
    found = dict(items)
    return (kind, (tuple if kind in MAPPINGS else frozenset)(found.items()))


def build(made: Recipe, chance: random.Random | None = None) -> Any:
    """The value, of new objects; the members of sets in whatever order."""
    kind, parts = made[0], made[1]
    if kind == "atom":
        value = ATOMS[parts][made[2]]
        return pickle.loads(pickle.dumps(value, 5)) if chance and parts != "special" else value
    if kind in SEQUENCES:
        return SEQUENCES[kind](build(each, chance) for each in parts)
    if kind in SETS:
        order = [*parts]
        if chance:
            chance.shuffle(order)
        return SETS[kind](build(each, chance) for each in order)
    if kind in MAPPINGS or kind in OBJECTS:
        order = [*parts]
        if chance and kind in OBJECTS:
            chance.shuffle(order)
        return {**MAPPINGS, **OBJECTS}[kind](**{name: build(each, chance) for name, each in order})
    return PAIRS[kind](*(build(each, chance) for each in parts))


def neighbour(made: Recipe, chance: random.Random) -> Recipe:
    """A recipe that differs in one place: another kind of container, another order, another leaf, one more level."""
    kind, parts = made[0], made[1]
    if kind == "atom" or chance.random() < 0.15:
        return leaf(chance) if chance.random() < 0.7 else ("list", (made,))
    if kind in SETS:
        return members(chance.choice([*SETS]), [*parts, leaf(chance, HASHABLE)])
    if kind in OBJECTS:
        return mapping(chance.choice([*OBJECTS]), [*parts, (chance.choice("abc"), leaf(chance))])
    if parts and chance.random() < 0.6:
        at = chance.randrange(len(parts))
        inner = parts[at] if kind in (*SEQUENCES, *PAIRS) else parts[at][1]
        other = neighbour(inner, chance)
        if kind in MAPPINGS:
            other = (parts[at][0], other)
        return (kind, (*parts[:at], other, *parts[at + 1 :]))
    family = next(each for each in (SEQUENCES, MAPPINGS, PAIRS) if kind in each)
    return (chance.choice([*family]), tuple(reversed(parts)))


def universe(seed: int, size: int) -> list[Recipe]:
    """Recipes that differ, many of them in one place only."""
    chance = random.Random(seed)
    found: dict[Recipe, None] = {("atom", kind, n): None for kind, values in ATOMS.items() for n in range(len(values))}
    known = [*found]
    while len(known) < size:
        made = recipe(chance) if chance.random() < 0.4 else neighbour(chance.choice(known), chance)
        if made not in found:
            found[made] = None
            known.append(made)
    return known


@pytest.mark.parametrize("seed", range(3))
def test_no_two_values_share_a_digest(seed: int) -> None:
    """A call would be served the result of a call with another argument."""
    digests: dict[str, Recipe] = {}
    keys: dict[bytes, Recipe] = {}
    for made in universe(seed, 1500):
        value = build(made)
        twin = digests.setdefault(digest(value), made)
        assert twin is made, f"{twin} and {made}"
        twin = keys.setdefault(canonical((value, 1)), made)
        assert twin is made, f"{twin} and {made} as arguments"


@pytest.mark.parametrize("seed", range(10, 13))
def test_equal_values_share_a_digest(seed: int) -> None:
    """A value that was built again, loaded from a pickle, or whose sets were filled in another order, would miss."""
    chance = random.Random(seed)
    for made in universe(seed, 800):
        value = build(made)
        first, key = digest(value), canonical((value,))
        for _ in range(2):
            again = build(made, chance)
            assert digest(again) == first, made
            assert canonical((again,)) == key, made
        assert digest(pickle.loads(pickle.dumps(value, 5))) == first, made


def test_a_value_is_not_changed_by_its_digest() -> None:
    """To look at an argument would change it, or its next digest."""
    for made in universe(20, 500):
        value = build(made)
        first, before = digest(value), pickle.dumps(value)
        assert digest(value) == first
        assert pickle.dumps(value) == before, made


def test_a_librarys_class_whose_module_is_not_imported() -> None:
    """`numpy.rec` is imported by pandas: a record array would have one digest before, another after `import pandas`."""
    made = type("Matrix", (), {"__module__": "numpy.no_such_module"})
    assert not origin.users(made)
    assert origin.users(type("Matrix", (), {"__module__": "no_such_module"}))
