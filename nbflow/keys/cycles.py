"""Digests of values that contain themselves: those of one circle together, as none comes first.

They do not change with the member from which the walk entered, nor with sharing: a list whose only member is itself
equals two lists that hold one another. A walk that wrote "two levels up" instead would visit every path through the
circle: a graph of 20 nodes, each linked to all, has 10^17 of them.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from nbflow.keys.nodes import join

__all__ = ["solve"]

T = TypeVar("T")


def solve(members: Sequence[T], digest: Callable[[T, Callable[[T], bytes]], bytes]) -> list[bytes]:
    """The digest of each member of a circle.

    What tells two of them apart is found by refining colours (Moore, "Gedanken-experiments on sequential machines",
    1956): at first all have one, then each takes the digest of its own content with its neighbours' colours in place
    of them, until no colour splits any more. Colours, and how they lead to colours, then describe the circle.

    Args:
        members: All values that can be reached from one another.
        digest: Gives the digest of one member, with what the function it is handed says in place of other members.
    """
    colours = [b""] * len(members)
    places = {id(member): place for place, member in enumerate(members)}
    seen = 0
    while True:
        finer = [digest(member, lambda other: colours[places[id(other)]]) for member in members]  # noqa: B023
        found = len({*finer})
        if found == seen:
            break
        seen, colours = found, finer
    circle = join(b"circle", sorted({old + new for old, new in zip(colours, finer, strict=True)}))
    return [join(b"in circle", (circle, colour)) for colour in colours]
