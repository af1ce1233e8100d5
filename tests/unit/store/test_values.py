"""Bulk data leaves the pickle: it is written once, and mapped when it comes back."""

import decimal

import numpy as np
import pytest

from nbflow.store.serializers import PICKLE

N = 20_000
TIMES = np.arange(N).astype("M8[s]")


def back(value):
    """A value as it comes back, bytes in the stream, bytes beside it."""
    stream, buffers = PICKLE.dumps(value)
    beside = [bytearray(each.raw()) for each in buffers]
    return PICKLE.loads(stream, beside), len(stream), sum(map(len, beside))


def pandas():
    pd = pytest.importorskip("pandas")
    zone = pd.date_range("2026-01-01", periods=N, freq="s", tz="Europe/Berlin")
    yield "time zones", pd.DataFrame({"t": zone})
    yield "index of times", pd.Series(np.arange(N), index=zone)
    yield "differences of times", pd.Series(pd.to_timedelta(np.arange(N), unit="s"))
    yield "periods", pd.Series(pd.period_range("2026", periods=N, freq="h"))
    yield "strings", pd.DataFrame({"s": [f"n{i}" for i in range(N)]})
    yield "nullable", pd.Series(np.arange(N), dtype="Int64")
    yield "categories", pd.Series(pd.Categorical(["a", "b"] * (N // 2)))
    yield "every second row", pd.DataFrame(np.arange(4.0 * N).reshape(N, 4)).iloc[::2]


def arrays():
    yield "dates", TIMES
    yield "other byte order", TIMES.astype(">M8[D]")
    yield "durations", TIMES.astype("m8[ns]")[::2]
    yield "Fortran", np.asfortranarray(TIMES.reshape(100, -1))
    yield "every second", np.arange(2.0 * N)[::2]


def polars():
    pl = pytest.importorskip("polars")
    yield "numbers", pl.Series("a", np.arange(N))
    yield "text", pl.Series("a", [f"n{i}" for i in range(N)])
    yield "lists", pl.Series("a", [[1, 2], None, []] * N)
    yield "decimals", pl.Series("a", [decimal.Decimal("1.25"), None] * N)
    yield (
        "time zones",
        pl.Series("a", TIMES.astype("M8[us]")).dt.replace_time_zone(
            "Europe/Berlin", ambiguous="earliest", non_existent="null"
        ),
    )
    yield "frame", pl.DataFrame({"a": np.arange(N), "b": [["x"]] * N})


def models():
    pytest.importorskip("sklearn")
    from sklearn.neighbors import KNeighborsRegressor

    x = np.random.default_rng(0).random((N, 3))
    yield "model", KNeighborsRegressor(algorithm="brute").fit(x, x[:, 0])


@pytest.mark.parametrize("kind", [arrays, pandas, polars, models], ids=lambda kind: kind.__name__)
def test_bulk_data_leaves_the_pickle(kind):
    """A gigabyte would be copied, and hashed at a tenth of the speed, each time it is stored or loaded."""
    for name, value in kind():
        again, stream, beside = back(value)
        assert stream < 5000 < beside, name
        if kind is models:
            assert np.array_equal(again._fit_X, value._fit_X), name
        elif kind is arrays:
            assert again.dtype == value.dtype and again.flags.writeable, name
            np.testing.assert_array_equal(again, value)
            assert again.flags.f_contiguous or not value.flags.f_contiguous, name
        else:
            assert type(again) is type(value) and again.equals(value), name
            assert getattr(again, "dtype", 0) == getattr(value, "dtype", 0), name
            assert getattr(again, "name", 0) == getattr(value, "name", 0), name


def odd():
    pl = pytest.importorskip("polars")
    yield pl.Series("i", [1], dtype=pl.Int128)  # Arrow has none
    yield pl.Series("c", [["a"]], dtype=pl.List(pl.Categorical))
    yield pl.Series("s", [{"a": 1}, None])
    yield pl.Series("e", [], dtype=pl.List(pl.Int8))
    yield pl.Series("n", [None])


def test_what_arrow_does_not_know_comes_back_all_the_same():
    """A column of a rare type would make a result impossible to store, or come back as another type."""
    for value in odd():
        for each in (value, value.to_frame()):
            again = back(each)[0]
            assert again.equals(each) and type(again) is type(each)
            assert getattr(again, "schema", 0) == getattr(each, "schema", 0)
            assert getattr(again, "dtype", 0) == getattr(each, "dtype", 0)


@pytest.mark.parametrize(
    "value", [np.array("2026", "M8[Y]"), np.zeros(0, "M8[s]"), np.array(["NaT"], "M8[s]"), np.zeros(3, "m8[25s]")]
)
def test_few_dates_come_back_too(value):
    """Small arrays go another way than big ones."""
    again = back(value)[0]
    assert (again.dtype, again.shape) == (value.dtype, value.shape)
    np.testing.assert_array_equal(again, value)


def test_one_array_of_dates_stays_one():
    """Two names for one array would become two arrays."""
    again = back([TIMES, TIMES])[0]
    assert again[0] is again[1]
