"""Items of a job: what each is known by does not depend on what comes beside it."""

import math
import threading

import pytest

from nbflow import UnkeyableError
from nbflow.durable.items import Items, item_keys

NAN = float("nan")


@pytest.mark.parametrize(
    "odd",
    [
        [],
        [NAN],
        [1.0, NAN],
        [math.inf],
        [[math.inf, -math.inf], [1, math.inf]],
        ["x" * 70_000],
        ["x" * 70_000, b"y"],
        [b"x" * 70_000],
        [{1, 2}, frozenset((1, "a")), (1, 2), [1, 2]],
        [[0] * 99_990],
        [[[[[[[[[[[[[1]]]]]]]]]]]]],
        [True, 1, 1.0, "1", b"1", None, 2**70],
        [0.0, -0.0, [0.0], [-0.0]],
        [struct := "g\0\0\0\0\0\xf0\x7f", [1.5, struct], [1.5]],
    ],
    ids=lambda odd: f"{len(odd)} odd",
)
def test_an_item_is_known_by_itself(odd):
    """Else a list that has grown, or an iterator in its place, would run again what is done."""
    plain = [{"id": number, "text": f"document {number}", "tags": ["a", 1.5 * number]} for number in range(300)]
    values = [*plain[:7], *odd, *plain[7:]]
    alone = [key for value in values for key in item_keys([value])]
    assert item_keys(values) == alone
    assert len(set(alone)) == len(values)


def test_a_list_with_an_item_without_content_comes_never():
    """Else a loop begun again after the error would leave out the items behind that one, and seem to be done."""
    items = Items([1, threading.Lock(), 3], None)
    for _ in range(2):
        with pytest.raises(UnkeyableError, match="item 1 has no content"):
            items.come()
        assert (items.whole, items.order, items.left) == (False, [], {})


def test_of_equal_items_the_first_one_is_given():
    """Else what a loop gets where `key=` calls two items equal would depend on how they come."""
    for items in (["b", "A", "a", "B"], iter(["b", "A", "a", "B"])):
        come = Items(items, str.lower)
        come.all()
        assert list(come.left.values()) == ["b", "A"]
        assert (len(come.order), come.total) == (4, 2)
