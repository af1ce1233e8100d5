"""scipy.sparse: matrices by format, shape and entries, not by the width of indices or what is known of their order."""

from typing import Any

import numpy as np
import scipy.sparse as sp

import nbflow.keys.arrays  # noqa: F401 - what they are made of
from nbflow.keys.encode import Encoder, Node, join, register, unnamed


def _matrix(encoder: Encoder, value: Any) -> Node:
    head = (value.format, value.shape)
    parts: tuple[Any, ...]
    if value.format in ("csr", "csc", "bsr"):
        parts = (value.data, _wide(value.indices), _wide(value.indptr))
    elif value.format == "dia":
        parts = (value.data, _wide(value.offsets))
    else:
        entries = value.tocoo()
        places = entries.coords if hasattr(entries, "coords") else (entries.row, entries.col)
        parts = (entries.data, *map(_wide, places))
    return Node(join(b"sparse", [encoder.kind(type(value))]), (*head, *parts), label=unnamed)


def _wide(indices: Any) -> Any:
    return indices.astype(np.int64, copy=False)


register(sp.spmatrix, _matrix, subclasses=True)
register(sp.sparray, _matrix, subclasses=True)
