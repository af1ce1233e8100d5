"""Mutable objects below a cell's inputs: seen to change, put back."""

import collections
import types

import pytest

from nbflow.errors import UnstorableError
from nbflow.notebook.forms import form
from nbflow.notebook.heap import Finder, Heap, sharing
from nbflow.notebook.inputs import cautious

NAMES = frozenset({"a", "b"})


class Plain:
    def __init__(self, **values):
        vars(self).update(values)


class Settings(types.SimpleNamespace):
    pass


def heap(keep=True, **roots):
    return Heap(roots, cautious, {}, keep=keep)


def arrays():
    return pytest.importorskip("numpy").arange(4)


CASES = {
    "list": (lambda: [1, 2], lambda a: a.append(3)),
    "an equal but other member": (lambda: [[1]], lambda a: a.__setitem__(0, [1])),
    "dict": (lambda: {"x": 1}, lambda a: a.update(y=2)),
    "order of a dict": (lambda: {"x": 1, "y": 2}, lambda a: a.__setitem__("x", a.pop("x"))),
    "set": (lambda: {1}, lambda a: a.add(2)),
    "deque": (lambda: collections.deque([1], 2), lambda a: a.append(3)),
    "bytearray": (lambda: bytearray(b"x"), lambda a: a.extend(b"y")),
    "object": (lambda: Plain(v=1), lambda a: setattr(a, "w", 2)),
    "a subclass with attributes": (lambda: Settings(v=[1]), lambda a: a.v.append(2)),
    "ordered": (lambda: collections.OrderedDict(x=[1]), lambda a: a["x"].append(2)),
    "nested": (lambda: {"k": [Plain(v=[1])]}, lambda a: a["k"][0].v.append(2)),
    "array": (arrays, lambda a: a.__setitem__(0, 9)),
    "tuple holding a list": (lambda: ([1], 2), lambda a: a[0].append(2)),
    "cycle": (lambda: (lambda a: a.append(a) or a)([]), lambda a: a.append(1)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_seen_and_undone(name):
    """A change that is not seen is lost on a hit; one that is not undone is there twice after a retry."""
    make, change = CASES[name]
    a = make()
    before = repr(getattr(a, "tolist", lambda: a)())
    seen = heap(a=a)
    assert not [*seen.changed(NAMES)]
    change(a)
    assert [*seen.changed(NAMES)]
    seen.rollback(NAMES)
    assert repr(getattr(a, "tolist", lambda: a)()) == before
    assert not [*seen.changed(NAMES)]


def test_what_cannot_be_put_back_is_refused_and_nothing_is_touched():
    """Half a roll-back is worse than none."""
    a, b = [1], iter([1, 2])
    seen = heap(a=a, b=b)
    a.append(2)
    next(b)
    with pytest.raises(UnstorableError, match="b: a list_iterator was changed"):
        seen.rollback(NAMES)
    assert a == [1, 2]
    seen.rollback(frozenset({"a"}))
    assert a == [1]


def test_a_path_leads_to_the_twin_in_another_kernel():
    """It is how a change is made again to an object of equal content."""
    make = lambda: {"k": [Plain(v=[1])]}
    one, twin = make(), make()
    seen = heap(a=one)
    one["k"][0].v.append(2)
    (change,) = seen.changed(NAMES)
    assert Finder({"a": twin}).at(change.path) is twin["k"][0].v


def test_sharing_tells_aliases_from_equals():
    """`a.append` reaches `b` where they are one list."""
    one = [1]
    assert sharing({"a": one, "b": one}) == [(("a",), ("b",))]
    assert sharing({"a": [1], "b": [1]}) == []
    assert sharing({"a": [one, one]}) == [(("a", 0), ("a", 1))]
    assert sharing({"a": 5, "b": 5}) == []


@pytest.mark.parametrize("value", [None, 1, "x", b"x", (1,), frozenset(), len, int, collections])
def test_what_never_changes_has_no_form(value):
    """To compare constants would cost time for nothing."""
    assert form(value) is None


def test_long_lists_of_plain_values_are_not_walked():
    """An input of ten million numbers must not take seconds to look at."""
    assert len(heap(a=[*range(100_000)], b={"k": [1.0] * 100_000}).found) == 3
