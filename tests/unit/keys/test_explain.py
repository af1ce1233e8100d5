"""Why it missed, in words."""

from nbflow.keys.explain import Difference, compare, nearest
from nbflow.trace import Trait

OLD = {
    "the code": Trait("a", ""),
    "clean()": Trait("b", ""),
    "input lr": Trait("c", "0.1"),
    "global LIMIT": Trait("d", "10"),
    "pandas": Trait("e", "3.1.0"),
}


def test_texts():
    """The panel cannot say what changed."""
    new = {
        **OLD,
        "clean()": Trait("x", ""),
        "input lr": Trait("y", "0.05"),
        "pandas": Trait("z", "3.1.1"),
        "class Model": Trait("m", ""),
    }
    del new["global LIMIT"]
    assert [*map(str, compare(new, OLD))] == [
        "clean() changed",
        "input lr 0.1 → 0.05",
        "pandas 3.1.0 → 3.1.1",
        "class Model is new",
        "global LIMIT is gone",
    ]


def test_equal_shorts_are_not_shown():
    """`a long string… → a long string…` says nothing."""
    assert str(Difference("input text", Trait("a", "'lorem…"), Trait("b", "'lorem…"))) == "input text changed"


def test_the_code_comes_first():
    """The most important difference is not the first that is read."""
    new = {**OLD, "the code": Trait("n", ""), "clean()": Trait("n", "")}
    assert [each.label for each in compare(new, OLD)] == ["the code", "clean()"]


def test_nothing_differs():
    """A hit is explained as a miss."""
    assert compare(OLD, dict(OLD)) == ()


def test_nearest():
    """A miss is explained by an entry of long ago."""
    one = {**OLD, "clean()": Trait("x", "")}
    two = {**one, "input lr": Trait("y", "1")}
    assert nearest(OLD, [two, one, two]) == compare(OLD, one)
    first, second = ({**OLD, "input lr": Trait(each, each)} for each in "qr")
    assert nearest(OLD, [first, second]) == compare(OLD, first), "the newest of those that are equally near"
    far = {**one, "the code": Trait("x", ""), "global LIMIT": Trait("y", "7")}
    assert nearest(OLD, [first, far]) == compare(OLD, far), "a sibling of the same map explains nothing"
    assert nearest(OLD, []) == ()
