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
        _cached = state, table
    return table


def _array(array: Any) -> Any:
    """Views with gaps are made dense first: in the stream they would be copied more than once."""
    flags = array.flags
    if not (flags.c_contiguous or flags.f_contiguous or array.dtype.hasobject):
        array = array.copy("C")
    return array.__reduce_ex__(5)


def _polars(frame: Any) -> Any:
    """As Arrow's buffers, which are polars' own: a thousand times faster than its pickle. Plain types only."""
    polars = sys.modules["polars"]
    plain = (polars.Boolean, polars.String, polars.Binary, polars.Date, polars.Datetime, polars.Duration, polars.Time)
    kinds = frame.dtypes
    if not kinds or not all(kind.is_integer() or kind.is_float() or kind in plain for kind in kinds):
        return frame.__reduce_ex__(5)
    try:
        table = frame.to_arrow(compat_level=polars.CompatLevel.newest())
    except (AttributeError, ImportError, TypeError):  # no pyarrow, or another version of polars
        return frame.__reduce_ex__(5)
    return _from_arrow, (table,)


def _from_arrow(table: Any) -> Any:
    import polars as pl  # noqa: PLC0415 - an optional library

    return pl.from_arrow(table)
