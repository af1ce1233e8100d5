"""polars: frames and series by name, dtype and the Arrow data of each column."""

from typing import Any

import polars as pl

from nbflow.keys.encode import Encoder, Node, by_key, join, register, unnamed


def _series(_: Encoder, value: Any) -> Node:
    content = [*value.to_list()] if value.dtype == pl.Object else value.rechunk().to_arrow()
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
