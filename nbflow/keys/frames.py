"""pandas: frames by index, column labels and each column's logical values, never by blocks or pickles.

How a frame was put together (blocks, views, slices, chunks of Arrow data) is no part of it; what sits in a slot that
is missing is not either. `attrs`, flags, names, the order of categories and the frequency of an index are.
"""

from typing import Any

import numpy as np
import pandas as pd

from nbflow.keys.arrays import blocks
from nbflow.keys.bulk import Stream
from nbflow.keys.encode import Encoder, Node, by_key, join, register, unnamed
from nbflow.keys.objects import instance

_NUMPY = pd.arrays.NumpyExtensionArray


def _values(array: Any) -> Any:
    """What to encode for a column: a NumPy array without its wrapper, or the extension array."""
    return array.to_numpy(copy=False) if type(array) is _NUMPY else array


def _about(encoder: Encoder, value: Any, base: type) -> Node:
    """What goes with the data of a frame or series: class, attributes, flags; and what a subclass adds."""
    more = [(name, getattr(value, name, None)) for name in getattr(value, "_metadata", ()) if name != "name"]
    kind = b"" if type(value) is base else encoder.kind(type(value))
    return Node(join(b"about", [kind]), (dict(value.attrs), value.flags.allows_duplicate_labels, more), label=unnamed)


def _frame(encoder: Encoder, value: Any) -> Node:
    about = [_about(encoder, value, pd.DataFrame), value.index, value.columns]
    columns = [part for name, column in pd.DataFrame.items(value) for part in (name, _values(column.array))]
    return Node(
        b"frame", (Node(b"about", about, label=unnamed), Node(b"columns", columns, label=by_key)), label=unnamed
    )


def _series(encoder: Encoder, value: Any) -> Node:
    about = _about(encoder, value, pd.Series)
    return Node(b"series", (about, value.name, value.index, _values(value.array)), label=unnamed)


def _index(encoder: Encoder, value: Any) -> Node:
    kind = encoder.kind(type(value))
    frequency = getattr(value, "freq", None)
    return Node(join(b"index", [kind]), (value.name, frequency, _values(value.array)), label=unnamed)


def _range_index(_: Encoder, value: Any) -> Node:
    return Node(b"range index", (value.start, value.stop, value.step, value.name), label=unnamed)


def _multi_index(_: Encoder, value: Any) -> Node:
    bare = value.set_names([None] * value.nlevels)  # or a level named 1 would be taken for the second
    levels = [_values(bare.get_level_values(level).array) for level in range(value.nlevels)]
    return Node(b"multi index", (list(value.names), *levels), label=unnamed)


def _categorical(_: Encoder, value: Any) -> Node:
    return Node(b"categorical", (value.ordered, value.codes, value.categories), label=unnamed)


def _masked(_: Encoder, value: Any) -> Node:
    data, mask = value._data, value._mask  # noqa: SLF001 - there is no public way to the two without a copy
    if not mask.any():
        return Node(b"nullable", (data, None), label=unnamed)
    stream = Stream()
    for block, hidden in blocks(data, mask):
        stream.update(np.where(hidden, np.zeros((), block.dtype), block).view(np.uint8).data)
    return Node(b"nullable", (data.dtype, data.shape, stream.digest(), mask), label=unnamed)


def _times(_: Encoder, value: Any) -> Node:
    return Node(b"times", (value.dtype, value.asi8), label=unnamed)


def _intervals(_: Encoder, value: Any) -> Node:
    return Node(b"intervals", (value.closed, value.left, value.right), label=unnamed)


def _sparse(_: Encoder, value: Any) -> Node:
    places = value.sp_index.to_int_index().indices
    return Node(b"sparse", (value.dtype, len(value), value.sp_values, places), label=unnamed)


def _arrow(_: Encoder, value: Any) -> Node:
    return Node(b"arrow column", (value.dtype, value.__arrow_array__()), label=unnamed)


def _extension(encoder: Encoder, value: Any) -> Node:
    """Any other array: pandas' own member by member, one of another library by its state (a map's projection)."""
    if not type(value).__module__.startswith("pandas."):
        return Node(b"foreign array", (value.dtype, instance(encoder, value)), label=unnamed)
    return Node(join(b"extension", [encoder.kind(type(value))]), (value.dtype, [*value]), label=unnamed)


def _dtype(encoder: Encoder, value: Any) -> Node:
    parts = [getattr(value, name, None) for name in value._metadata]  # noqa: SLF001 - what pandas compares dtypes by
    return Node(join(b"dtype", [encoder.kind(type(value))]), (str(value), parts), label=unnamed)


def _categories(_: Encoder, value: Any) -> Node:
    return Node(b"categories", (value.ordered, value.categories), label=unnamed)


def _strings(_: Encoder, value: Any) -> Node:
    return Node(b"string dtype", (value.storage, value.na_value), label=unnamed)


def _timestamp(_: Encoder, value: Any) -> Node:
    return Node(b"timestamp", (value.asm8.view("i8").item(), value.unit, value.fold, value.tzinfo), label=unnamed)


def _timedelta(_: Encoder, value: Any) -> Node:
    return Node(b"timedelta", (value.asm8.view("i8").item(), value.unit), label=unnamed)


def _period(_: Encoder, value: Any) -> Node:
    return Node(b"period", (value.ordinal, value.freqstr), label=unnamed)


def _interval(_: Encoder, value: Any) -> Node:
    return Node(b"interval", (value.left, value.right, value.closed), label=unnamed)


def _constant(_: Encoder, value: Any) -> tuple[str, str]:
    return ("pandas", str(value))


def _offset(encoder: Encoder, value: Any) -> Node:
    return Node(join(b"offset", [encoder.kind(type(value))]), (value.n, value.normalize, value.kwds), label=unnamed)


register(pd.DataFrame, _frame, subclasses=True)
register(pd.Series, _series, subclasses=True)
register(pd.Index, _index, subclasses=True)
register(pd.RangeIndex, _range_index)
register(pd.MultiIndex, _multi_index)
register(pd.Categorical, _categorical)
register(_NUMPY, lambda _, value: Node(b"numpy column", (value.to_numpy(copy=False),), label=unnamed))
for _kind in (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray):
    register(_kind, _masked)
register(pd.arrays.DatetimeArray, _times)
register(pd.arrays.TimedeltaArray, _times)
register(pd.arrays.PeriodArray, _times)
register(pd.arrays.IntervalArray, _intervals)
register(pd.arrays.SparseArray, _sparse)
register(pd.arrays.ArrowExtensionArray, _arrow, subclasses=True)
register(pd.api.extensions.ExtensionArray, _extension, subclasses=True)
register(pd.api.extensions.ExtensionDtype, _dtype, subclasses=True)
register(pd.CategoricalDtype, _categories)
register(pd.StringDtype, _strings)
register(pd.Timestamp, _timestamp)
register(pd.Timedelta, _timedelta)
register(pd.Period, _period)
register(pd.Interval, _interval)
register(type(pd.NA), _constant)
register(type(pd.NaT), _constant)
register(pd.offsets.BaseOffset, _offset, subclasses=True)
