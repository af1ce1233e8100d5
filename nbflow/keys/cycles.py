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
Colours = list[bytes]


def solve(members: Sequence[T], digest: Callable[[T, Callable[[T], bytes]], bytes]) -> list[bytes]:
    """The digest of each member of a circle.

    Members that nothing tells apart are one and the same to all who look, so the circle is described by one of each.
    What tells two of them apart is found by refining colours, twice: how often a member occurs must not show in the
    colours that are written down.

    Args:
        members: All values that can be reached from one another.
        digest: Gives the digest of one member, with what the function it is handed says in place of other members.
    """
    places = {id(member): place for place, member in enumerate(members)}
    below: list[list[int]] = []
    for member in members:
        met: list[int] = []
        digest(member, lambda other: met.append(places[id(other)]) or b"")  # type: ignore[func-returns-value]  # noqa: B023
        below.append(met)
    rough = refine(below, lambda at, colours: digest(members[at], lambda other: colours[places[id(other)]]))
    first = {colour: at for at, colour in reversed([*enumerate(rough)])}
    kinds = {colour: kind for kind, colour in enumerate(first)}
    kind_of = [kinds[colour] for colour in rough]

    def sign(kind: int, colours: Colours) -> bytes:
        return digest(members[one[kind]], lambda other: colours[kind_of[places[id(other)]]])

    one = [*first.values()]
    colours = refine([[kind_of[each] for each in below[at]] for at in one], sign)
    circle = join(b"circle", sorted(colour + sign(kind, colours) for kind, colour in enumerate(colours)))
    return [join(b"in circle", (circle, colours[kind])) for kind in kind_of]


def refine(below: Sequence[Sequence[int]], sign: Callable[[int, Colours], bytes]) -> Colours:
    """A colour for each node of a graph, the same for two exactly if nothing tells them apart.

    At first all have one. A node whose neighbours changed colour is signed anew, and nodes of one colour part by their
    signatures; the largest part keeps the colour, so that no node changes its own more often than the logarithm of
    their number (Hopcroft, "An n log n algorithm for minimizing states in a finite automaton", 1971).

    Args:
        below: The neighbours of each node.
        sign: The signature of a node, with these colours for its neighbours.
    """
    above: list[list[int]] = [[] for _ in below]
    for at, each in enumerate(below):
        for neighbour in each:
            above[neighbour].append(at)
    colours = [b""] * len(below)
    alike = {b"": {*range(len(below))}}
    stale = {*range(len(below))}
    turn = 0
    while stale:
        turn += 1
        signed: dict[bytes, dict[bytes, set[int]]] = {}
        for at in stale:
            signed.setdefault(colours[at], {}).setdefault(sign(at, colours), set()).add(at)
        changed: list[int] = []
        for colour, parts in signed.items():
            rest = len(alike[colour]) - sum(map(len, parts.values()))
            if rest and rest <= max(map(len, parts.values())):
                parts[b""] = alike[colour].difference(*parts.values())
                rest = 0
            sizes = sorted((rest, *map(len, parts.values())))
            stays = sizes[-1] if len(sizes) == 1 or sizes[-1] > sizes[-2] else 0
            for signature, part in parts.items():
                if len(part) == stays:
                    continue
                alike[colour] -= part
                new = join(b"colour", (colour, signature, turn.to_bytes(8)))
                alike[new] = part
                changed += part
                for at in part:
                    colours[at] = new
        stale = {at for each in changed for at in above[each]}
    return colours
