"""polars: frames and series by name, dtype and the Arrow data of each column."""

from typing import Any

import polars as pl

from nbflow.keys.encode import Encoder, Node, by_key, join, register, unnamed

_UNKNOWN_TO_ARROW = ("Int128", "UInt128")


def _series(_: Encoder, value: Any) -> Node:
    content: Any
    if value.dtype == pl.Object:
        content = value.to_list()
    elif str(value.dtype) in _UNKNOWN_TO_ARROW:
        content = value.cast(pl.String).rechunk().to_arrow()
    else:
        content = value.rechunk().to_arrow()
    return Node(b"polars series", (value.name, repr(value.dtype), content), label=unnamed)


def _frame(_: Encoder, value: Any) -> Node:
    columns = [part for column in value.get_columns() for part in (column.name, column)]
    return Node(b"polars frame", (value.shape, Node(b"columns", columns, label=by_key)), label=unnamed)


def _lazy(_: Encoder, value: Any) -> bytes:
    return join(b"polars lazy", [value.serialize(format="binary")])


def _dtype(_: Encoder, value: Any) -> bytes:
    return join(b"polars dtype", [repr(value).encode()])


register(pl.Series, _series)
register(pl.DataFrame, _frame)
register(pl.LazyFrame, _lazy)
register(pl.DataType, _dtype, subclasses=True)
