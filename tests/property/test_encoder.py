"""Digests are equal exactly when values are, whatever their shape, sharing or way of storing."""

import copy
import pickle
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.keys import digest
from nbflow.keys.bulk import Stream, bulk
from nbflow.keys.encode import canonical

settings.register_profile("patient", deadline=None)  # a loaded machine is no failure
settings.load_profile("patient")

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.complex_numbers(),
    st.dates(),
    st.datetimes(),
    st.decimals(),
)
keys = st.one_of(st.booleans(), st.integers(), st.text(), st.binary())
values = st.recursive(
    atoms,
    lambda members: st.one_of(
        st.lists(members),
        st.tuples(members, members),
        st.dictionaries(keys, members),
        st.sets(keys),
        st.frozensets(keys),
    ),
    max_leaves=20,
)


def spelled(value: Any) -> str:
    """What a value is, said another way: with the types of all members, and sets in order."""
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        return f"{kind}({', '.join(map(spelled, value))})"
    if isinstance(value, dict):
        return f"dict({', '.join(f'{spelled(k)}: {spelled(v)}' for k, v in value.items())})"
    if isinstance(value, set | frozenset):
        return f"{kind}({', '.join(sorted(map(spelled, value)))})"
    if isinstance(value, complex):
        return f"complex({spelled(value.real)}, {spelled(value.imag)})"
    if isinstance(value, float) and value != value:
        return "float(nan)"
    return f"{kind}({value!r})"


@given(values, values)
def test_equal_exactly_when_the_values_are(one: Any, two: Any) -> None:
    """Two calls with different arguments would share one result, or equal ones would never hit."""
    assert (digest(one) == digest(two)) == (spelled(one) == spelled(two))
    assert (canonical((one,)) == canonical((two,))) == (spelled(one) == spelled(two))


@given(values)
def test_copies_and_pickles(value: Any) -> None:
    """A value restored from the store would miss where the original hit."""
    assert digest(copy.deepcopy(value)) == digest(value)
    assert digest(pickle.loads(pickle.dumps(value))) == digest(value)
    assert canonical((copy.deepcopy(value), value)) == canonical((value, value))


@given(st.lists(st.binary(max_size=300)), st.lists(st.binary(max_size=300)))
def test_pieces_of_bytes(one: list[bytes], two: list[bytes]) -> None:
    """The blocks in which an array is read would decide over its key."""

    def streamed(pieces: list[bytes]) -> bytes:
        stream = Stream()
        for piece in pieces:
            stream.update(piece)
        return stream.digest()

    assert streamed(one) == bulk(b"".join(one))
    assert (streamed(one) == streamed(two)) == (b"".join(one) == b"".join(two))


def shared(members: list[Any], links: list[tuple[int, int]]) -> list[Any]:
    """Lists that hold a value, and one another as the links say: any graph, circles included."""
    nodes: list[list[Any]] = [[member] for member in members]
    for source, target in links:
        nodes[source % len(nodes)].append(nodes[target % len(nodes)])
    return nodes


graphs = st.tuples(
    st.lists(st.integers(0, 2), min_size=1, max_size=7),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14),
)


def unfolded(node: Any, depth: int) -> Any:
    """What can be seen of a graph from a node, so many steps deep."""
    return "…" if depth == 0 else [unfolded(each, depth - 1) if type(each) is list else each for each in node]


@given(graphs, graphs)
@settings(max_examples=300)
def test_graphs(one: Any, two: Any) -> None:
    """A circle would hang the kernel, or make equal structures differ by what is shared in them."""
    first, second = shared(*one), shared(*two)
    assert digest(first) == digest(pickle.loads(pickle.dumps(first)))
    if digest(first[0]) == digest(second[0]):
        assert unfolded(first[0], 4) == unfolded(second[0], 4)


@given(st.integers(0, 2**32), st.data())
def test_arrays_by_content(seed: int, data: Any) -> None:
    """A view, a copy and another memory order of the same numbers would each be computed anew."""
    np = pytest.importorskip("numpy")
    source = random.Random(seed)
    shape = tuple(data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    kind = data.draw(st.sampled_from(["f8", ">i4", "?", "U3", "M8[s]", "c16", "O"]))
    array = np.asarray([source.randrange(100) for _ in range(int(np.prod(shape)))]).reshape(shape).astype(kind)
    view = array[tuple(slice(None, None, source.choice([1, -1, 2])) for _ in shape)]
    assert (
        digest(view)
        == digest(view.copy())
        == digest(np.asfortranarray(view))
        == digest(pickle.loads(pickle.dumps(view.copy(), 5)))
    )
    if view.size and kind != "O":
        other = view.copy()
        other.flat[source.randrange(view.size)] = other.flat[0] if kind == "?" else np.asarray(101).astype(kind)
        if kind != "?":
            assert digest(other) != digest(view)


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=30), st.lists(st.integers(0, 30), max_size=4))
def test_columns_however_they_are_cut(values: list[str | None], cuts: list[int]) -> None:
    """A frame read in chunks would never hit."""
    pa, pd, pl = pytest.importorskip("pyarrow"), pytest.importorskip("pandas"), pytest.importorskip("polars")
    places = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    parts = [values[start:stop] for start, stop in zip(places, places[1:], strict=False)]
    for kind in (pa.string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.string())):
        rows = [None if each is None else [each, None] for each in values] if pa.types.is_list(kind) else values
        cut = [rows[start:stop] for start, stop in zip(places, places[1:], strict=False)]
        whole = pa.chunked_array([pa.array(rows, kind)])
        assert digest(whole) == digest(pa.chunked_array([pa.array(part, kind) for part in cut], kind))
    pieces = [pl.Series(part, dtype=pl.String) for part in parts]
    assert digest(pl.Series(values, dtype=pl.String)) == digest(pl.concat(pieces, rechunk=False))
    series = [pd.Series(part, dtype="str") for part in parts]
    assert digest(pd.Series(values, dtype="str")) == digest(pd.concat(series, ignore_index=True))
