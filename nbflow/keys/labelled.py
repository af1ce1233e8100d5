"""xarray: variables by dimensions, data, attributes and encoding, not by what they have worked out or cached so far."""

from typing import Any

import xarray as xr
from xarray.core.indexing import PandasIndexingAdapter

from nbflow.keys.encode import Encoder, Node, join, register, unnamed


def _variable(encoder: Encoder, value: Any) -> Node:
    data = value._data  # noqa: SLF001 - `data` would read a file, and keep what it read
    data = value.to_index() if isinstance(data, PandasIndexingAdapter) else data
    parts = (value.dims, dict(value.attrs), dict(value.encoding), data)
    return Node(join(b"variable", [encoder.kind(type(value))]), parts, label=unnamed)


def _array(encoder: Encoder, value: Any) -> Node:
    parts = (value.name, value.variable, *_coordinates(value))
    return Node(join(b"labelled array", [encoder.kind(type(value))]), parts, label=unnamed)


def _dataset(encoder: Encoder, value: Any) -> Node:
    variables = {name: array.variable for name, array in value.data_vars.items()}
    parts = (variables, dict(value.attrs), dict(value.encoding), *_coordinates(value))
    return Node(join(b"dataset", [encoder.kind(type(value))]), parts, label=unnamed)


def _coordinates(value: Any) -> tuple[Any, Any]:
    indexes = [(name, type(index)) for name, index in value.xindexes.items()]
    return {name: array.variable for name, array in value.coords.items()}, indexes


register(xr.Variable, _variable, subclasses=True)
register(xr.DataArray, _array, subclasses=True)
register(xr.Dataset, _dataset, subclasses=True)
