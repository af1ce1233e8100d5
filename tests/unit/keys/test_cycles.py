"""Circles of values: what tells two members apart, and what it costs to find out."""

import random

import pytest

from nbflow.keys.cycles import solve
from nbflow.keys.nodes import join


class Member:
    """A value that holds others."""

    def __init__(self, payload):
        self.payload = payload
        self.others = []


def digests(members):
    """Their digests, and how often one of them was looked at."""
    looks = 0

    def digest(member, resolve):
        nonlocal looks
        looks += 1
        return join(b"member", [bytes([member.payload]), *[resolve(each) for each in member.others]])

    return solve(members, digest), looks


def chain(size):
    """A list linked both ways whose members hold the same."""
    members = [Member(0) for _ in range(size)]
    for one, other in zip(members, members[1:], strict=False):
        one.others.append(other)
        other.others.insert(0, one)
    return members


def circle(rng, size):
    """A random graph with a way from each to each."""
    members = [Member(rng.randint(0, 1)) for _ in range(size)]
    for at, member in enumerate(members):
        member.others = [members[(at + 1) % size], *rng.sample(members, rng.randint(0, size // 2))]
    return members


def told_apart(members):
    """The naive way: rounds over all of them until nothing new is seen."""
    colours = dict.fromkeys(members, 0)
    while True:
        seen = {each: (each.payload, colours[each], *(colours[other] for other in each.others)) for each in members}
        numbers = {sight: number for number, sight in enumerate(sorted({*seen.values()}))}
        finer = {each: numbers[seen[each]] for each in members}
        if len({*finer.values()}) == len({*colours.values()}):
            return colours
        colours = finer


@pytest.mark.parametrize("seed", range(40))
def test_members_are_equal_exactly_if_nothing_tells_them_apart(seed):
    """One digest for two values is a stale result; two for one is an hour of computing again."""
    members = circle(random.Random(seed), 2 + seed % 9)
    found, _ = digests(members)
    naive = told_apart(members)
    for one, mine in zip(members, found, strict=True):
        for other, theirs in zip(members, found, strict=True):
            assert (mine == theirs) == (naive[one] == naive[other])


@pytest.mark.parametrize("seed", range(40))
def test_neither_the_entrance_nor_how_often_a_member_occurs_shows(seed):
    """A circle that was rebuilt, or shares less than it could, holds the same."""
    rng = random.Random(seed)
    members = circle(rng, 2 + seed % 6)
    twins = {each: [Member(each.payload) for _ in range(rng.randint(1, 3))] for each in members}
    for each in members:
        for twin in twins[each]:
            twin.others = [rng.choice(twins[other]) for other in each.others]
    copies = [twin for each in members for twin in twins[each]]
    rng.shuffle(copies)
    first, again = (
        dict(zip(members, digests(members)[0], strict=True)),
        dict(zip(copies, digests(copies)[0], strict=True)),
    )
    assert all(again[twin] == first[each] for each in members for twin in twins[each])


def test_a_long_list_linked_both_ways_is_not_looked_at_over_and_over():
    """Each round tells only its ends apart: whoever looks at all of them in each would never end."""
    few, looks = digests(chain(500))
    many, more = digests(chain(2_000))
    assert len({*few}) == 500
    assert len({*many}) == 2_000
    assert more < 6 * looks
