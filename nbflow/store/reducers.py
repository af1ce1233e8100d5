"""How bulk data of a few libraries goes out of band where their own pickles would copy it into the stream.

None of them is imported for it: a library that is not loaded has no objects.
"""

import copyreg
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["reducers"]

_Reduce = Callable[[Any], Any]

_cached: tuple[tuple[int, bool, bool], dict[type, _Reduce]] = ((-1, False, False), {})


def reducers() -> dict[type, _Reduce]:
    """The dispatch table for a pickler: `copyreg`'s, and ours for what is loaded now."""
    global _cached  # noqa: PLW0603 - made anew when a library was loaded or a type registered meanwhile
    state = len(copyreg.dispatch_table), "numpy" in sys.modules, "polars" in sys.modules
    known, table = _cached
    if known != state:
        table = dict(copyreg.dispatch_table)
        if state[1] and (kind := getattr(sys.modules["numpy"], "ndarray", None)):
            table.setdefault(kind, _array)
        if state[2] and (kind := getattr(sys.modules["polars"], "DataFrame", None)):
            table.setdefault(kind, _polars)
            table.setdefault(sys.modules["polars"].Series, _series)
        _cached = state, table
    return table


def _array(array: Any) -> Any:
    """Views with gaps are made dense first: in the stream they would be copied more than once.

    Dates go as the numbers that they are: numpy lends no buffer of dates, which columns of time are in pandas too.
    """
    flags, dtype = array.flags, array.dtype
    if not (flags.c_contiguous or flags.f_contiguous or dtype.hasobject):
        array = array.copy("C")
    if dtype.kind in "Mm" and len(made := array.view(dtype.str[0] + "i8").__reduce_ex__(5)) == 2:
        return _dated, (*made, dtype)
    return array.__reduce_ex__(5)


def _polars(frame: Any) -> Any:
    """As Arrow's buffers, which are polars' own: a thousand times faster than its pickle. Plain types only."""
    kinds = frame.dtypes
    if not kinds or not all(map(_plain, kinds)):
        return frame.__reduce_ex__(5)
    try:
        table = frame.to_arrow(compat_level=sys.modules["polars"].CompatLevel.newest())
    except Exception:  # noqa: BLE001 - no pyarrow, another version of polars, a type that Arrow does not know
        return frame.__reduce_ex__(5)
    return _from_arrow, (table,)


def _series(series: Any) -> Any:
    """As a frame of one column."""
    return (_column, (series.to_frame(),)) if _plain(series.dtype) else series.__reduce_ex__(5)


def _plain(kind: Any) -> bool:
    """Whether a column of this type comes back from Arrow as it was; of categories, Arrow knows not enough."""
    pl = sys.modules["polars"]
    while kind == pl.List:
        kind = kind.inner
    simple = (pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Datetime, pl.Duration, pl.Time, pl.Decimal)
    return bool(kind.is_integer() or kind.is_float() or kind in simple)


# What a stored stream calls to make values again; the names are part of the format.


def _dated(make: Any, parts: Any, dtype: Any) -> Any:
    return make(*parts).view(dtype)


def _from_arrow(table: Any) -> Any:
    import polars as pl  # noqa: PLC0415 - an optional library

    return pl.from_arrow(table)


def _column(frame: Any) -> Any:
    return frame.to_series()
