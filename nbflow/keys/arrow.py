"""Arrow: arrays by type, which slots are missing, and the values of the others.

How the data is cut into chunks, where a slice begins in its buffers, and what lies in a missing slot are no part of
it (https://arrow.apache.org/docs/format/Columnar.html). Work goes by slices of rows, so that no column is copied.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nbflow.keys.bulk import Stream
from nbflow.keys.encode import Encoder, Node, join, register, unnamed

__all__ = ["column"]

_ROWS = 1 << 20  # of a slice, where data has to be copied
_is = pa.types


def column(chunks: Iterable[Any], kind: Any) -> Node:
    """What arrays of one type hold, one behind the other."""
    if isinstance(kind, pa.BaseExtensionType):
        return Node(b"extension", (column([chunk.storage for chunk in chunks], kind.storage_type),), label=unnamed)
    chunks = [chunk for chunk in chunks if len(chunk)]
    length = sum(map(len, chunks))
    missing = 0 if _is.is_null(kind) else sum(chunk.null_count for chunk in chunks)
    present = None
    if missing:
        stream = Stream()
        for piece in _pieces(chunks):
            stream.update(pc.is_valid(piece).to_numpy(zero_copy_only=False).view(np.uint8).data)
        present = stream.digest()
        chunks = [piece for piece in _pieces(chunks) if piece.null_count < len(piece)]
    return Node(b"column", (length, present, *_below(chunks, kind)), label=unnamed)


def _pieces(chunks: Iterable[Any]) -> Iterator[Any]:
    for chunk in chunks:
        for at in range(0, len(chunk), _ROWS):
            yield chunk.slice(at, _ROWS)


def _present(chunks: Iterable[Any]) -> Iterator[Any]:
    """Each without its missing slots; copies are made of those that have some, which are slices then."""
    return (chunk.drop_null() if chunk.null_count else chunk for chunk in chunks)


def _below(chunks: list[Any], kind: Any) -> list[Any]:
    """The values, as digests of their bytes and as nodes of the columns below."""
    if _is.is_null(kind):
        return []
    if _is.is_dictionary(kind):  # by its values: the order in which they first came says nothing
        return [_column_of(chunks, kind.value_type, lambda chunk: chunk.dictionary_decode())]
    if _is.is_run_end_encoded(kind):
        return [_column_of(chunks, kind.value_type, pc.run_end_decode)]
    return _nested(chunks, kind) if _is.is_nested(kind) else [_bytes(chunks, kind)]


def _nested(chunks: list[Any], kind: Any) -> list[Any]:
    if _is.is_union(kind):
        types = [code for chunk in chunks for code in _codes(chunk)]
        return [types, [member for chunk in chunks for member in chunk.to_pylist()]]
    if str(kind).startswith(("list_view", "large_list_view")):
        return [[member for chunk in chunks for member in chunk.to_pylist()]]  # rare, and casts of views go wrong
    present = [*_present(chunks)]
    if _is.is_struct(kind):
        parts = [chunk.flatten() for chunk in present]
        return [column([part[n] for part in parts], kind.field(n).type) for n in range(kind.num_fields)]
    if _is.is_map(kind):
        kind = pa.list_(pa.struct([kind.key_field, kind.item_field]))
        present = [chunk.cast(kind) for chunk in present]
    lengths = [pc.list_value_length(chunk) for chunk in present]
    sizes = column(lengths, lengths[0].type if lengths else pa.null())
    return [sizes, column([chunk.flatten() for chunk in present], kind.value_type)]


def _codes(union: Any) -> list[int]:
    """Which of its types each member has; `type_codes` forgets where a slice begins."""
    codes: list[int] = np.frombuffer(union.buffers()[1], dtype=np.int8)[union.offset :][: len(union)].tolist()
    return codes


def _column_of(chunks: list[Any], kind: Any, decode: Callable[[Any], Any]) -> Node:
    return column([decode(piece) for piece in _pieces(_present(chunks))], kind)


def _bytes(chunks: list[Any], kind: Any) -> bytes:
    if _is.is_boolean(kind):
        stream = Stream()
        for piece in _pieces(chunks):
            stream.update(piece.drop_null().to_numpy(zero_copy_only=False).view(np.uint8).data)
        return stream.digest()
    if str(kind) in ("string_view", "binary_view"):  # pyarrow.types knows them from version 16 on
        wide = pa.large_string() if str(kind) == "string_view" else pa.large_binary()
        return _texts(_present(piece.cast(wide) for piece in _pieces(chunks)), np.int64)
    if _is.is_large_string(kind) or _is.is_large_binary(kind):
        return _texts(_present(chunks), np.int64)
    if _is.is_string(kind) or _is.is_binary(kind):
        return _texts(_present(chunks), np.int32)
    stream = Stream()
    width = kind.bit_width // 8
    for chunk in _present(chunks):
        if width:
            stream.update(memoryview(chunk.buffers()[1])[chunk.offset * width : (chunk.offset + len(chunk)) * width])
    return stream.digest()


def _texts(chunks: Iterable[Any], width: type) -> bytes:
    """Where each value ends, counted from the first, and all their bytes."""
    ends, text = Stream(), Stream()
    end = 0
    for chunk in chunks:
        offsets: Any = np.frombuffer(chunk.buffers()[1], dtype=width)[chunk.offset : chunk.offset + len(chunk) + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        if first == end:
            ends.update(offsets[1:].data.cast("B"))
        else:
            for at in range(1, len(offsets), _ROWS):
                shifted = offsets[at : at + _ROWS].astype(np.int64) + (end - first)
                ends.update(shifted.astype(width).data.cast("B"))
        if last > first:
            text.update(memoryview(chunk.buffers()[2])[first:last])
        end += last - first
    return join(b"texts", [ends.digest(), text.digest()])


def _type(kind: Any) -> Any:
    """A type in builtin values; the text of one with fields would leave their names unquoted."""
    if isinstance(kind, pa.BaseExtensionType):
        more = kind.__arrow_ext_serialize__() if isinstance(kind, pa.ExtensionType) else str(kind)
        return ("extension", kind.extension_name, more, _type(kind.storage_type))
    if _is.is_dictionary(kind):
        return ("dictionary", _type(kind.index_type), _type(kind.value_type), kind.ordered)
    if _is.is_nested(kind):
        more = kind.list_size if _is.is_fixed_size_list(kind) else str(kind) if _is.is_union(kind) else None
        more = "keys sorted" if _is.is_map(kind) and kind.keys_sorted else more
        return (kind.id, more, [_field(kind.field(n)) for n in range(kind.num_fields)])
    return str(kind)


def _field(field: Any) -> Any:
    return (field.name, field.nullable, _type(field.type), sorted((field.metadata or {}).items()))


def _schema(_: Encoder, value: Any) -> Node:
    return Node(b"schema", ([*map(_field, value)], sorted((value.metadata or {}).items())), label=unnamed)


def _array(_: Encoder, value: Any) -> Node:
    return Node(b"arrow", (type(value).__name__, _type(value.type), column([value], value.type)), label=unnamed)


def _chunked(_: Encoder, value: Any) -> Node:
    return Node(b"arrow chunks", (_type(value.type), column(value.chunks, value.type)), label=unnamed)


def _table(_: Encoder, value: Any) -> Node:
    columns = [value.column(n) for n in range(value.num_columns)]
    return Node(b"arrow table", (type(value).__name__, value.schema, value.num_rows, *columns), label=unnamed)


def _scalar(_: Encoder, value: Any) -> Node:
    return Node(b"arrow scalar", (pa.array([value.as_py()], value.type),), label=unnamed)


register(pa.Array, _array, subclasses=True)
register(pa.ChunkedArray, _chunked)
register(pa.Table, _table)
register(pa.RecordBatch, _table)
register(pa.Schema, _schema)
register(pa.Field, lambda _, value: Node(b"arrow field", (_field(value),), label=unnamed))
register(pa.DataType, lambda _, value: Node(b"arrow type", (_type(value),), label=unnamed), subclasses=True)
register(pa.Scalar, _scalar, subclasses=True)
register(pa.Buffer, lambda _, value: Node(b"arrow buffer", (memoryview(value),), label=unnamed))
