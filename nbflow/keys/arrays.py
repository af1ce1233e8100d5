"""NumPy: arrays by dtype, shape and bytes in C order, whatever their strides, owner or memory map.

Bytes that are no content stay out: the padding of structured and long double dtypes, data under a mask. What is
contiguous is hashed where it lies, anything else in blocks, never by a full copy.
"""

import sys
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np

from nbflow.keys.bulk import Stream, bulk
from nbflow.keys.encode import Encoder, Node, by_key, join, register, unnamed
from nbflow.keys.objects import Made, derived

__all__ = ["blocks", "raw"]

_BLOCK = 1 << 20  # bytes
_BARE = np.ndarray
_LONG = np.dtype(np.longdouble)
_LONG_BYTES = 10 if np.finfo(np.longdouble).nmant == 63 else _LONG.itemsize  # of x87's 16, the others are garbage


def blocks(*arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Flat contiguous pieces of arrays of one shape, in C order, side by side."""
    items = max(1, _BLOCK // max(1, arrays[0].itemsize))
    for views in np.nditer(arrays, flags=["external_loop", "buffered", "zerosize_ok"], order="C", buffersize=items):
        yield tuple(map(np.ascontiguousarray, views if isinstance(views, tuple) else (views,)))


def raw(array: Any) -> bytes:
    """Digest of an array's bytes in C order."""
    if not array.nbytes:
        return bulk(b"")
    if array.flags.c_contiguous:
        return bulk(array.reshape(-1).view(np.uint8).data)
    stream = Stream()
    for (block,) in blocks(array):
        stream.update(block.view(np.uint8).data)
    return stream.digest()


def _long(array: Any) -> bytes:
    """The same for long doubles, of which some bytes are garbage."""
    stream = Stream()
    for (block,) in blocks(array):
        numbers = block.view(np.uint8).reshape(-1, _LONG.itemsize)
        stream.update(np.ascontiguousarray(numbers[:, :_LONG_BYTES]).reshape(-1).data)
    return stream.digest()


def _description(dtype: Any) -> Any:
    """A dtype in builtin values: byte order, fields with offsets and titles, metadata."""
    kind = "" if _own(dtype) else f"{dtype.type.__module__}.{dtype.type.__qualname__}"
    metadata = dict(dtype.metadata) if dtype.metadata else None
    if dtype.names is not None:
        fields = [(name, *map(_part, dtype.fields[name])) for name in dtype.names]
        return ("fields", kind, fields, dtype.itemsize, dtype.isalignedstruct, metadata)
    if dtype.subdtype is not None:
        return ("array", _description(dtype.subdtype[0]), dtype.subdtype[1], metadata)
    if dtype.kind == "T":
        missing = getattr(dtype, "na_object", None)
        return ("text", hasattr(dtype, "na_object"), missing, dtype.coerce)
    return dtype.str if not kind and metadata is None else (dtype.str, kind, metadata)


def _own(dtype: Any) -> bool:
    """Whether NumPy itself defines the dtype (`isbuiltin` says no of one that was unpickled)."""
    return dtype.type.__module__ == "numpy" and dtype.type is not np.record


def _part(part: Any) -> Any:
    return _description(part) if isinstance(part, np.dtype) else part


def _gaps(dtype: Any) -> bool:
    """Whether an item holds bytes that are no content, or objects."""
    if dtype.subdtype is not None:
        return _gaps(dtype.subdtype[0])
    if dtype.names is None:
        return bool(dtype.hasobject or (dtype.char in "gG" and _LONG.itemsize > _LONG_BYTES))
    end = 0
    for offset, part in sorted([dtype.fields[name][1::-1] for name in dtype.names], key=itemgetter(0)):
        if offset != end or _gaps(part):
            return True
        end += part.itemsize
    return bool(end != dtype.itemsize)


def _content(array: Any) -> Made:
    dtype = array.dtype
    if dtype.names is not None:
        if _gaps(dtype):
            return Node(b"fields", [part for name in dtype.names for part in (name, array[name])], label=by_key)
    elif dtype.kind in "OT":
        return Node(b"elements", np.asarray(array).reshape(-1))  # not as a list, which would be a pointer more for each
    elif dtype.char in "gG" and _gaps(dtype):
        return _long(array.view(_LONG) if dtype.char == "g" else _pairs(array))
    return raw(array)


def _pairs(array: Any) -> Any:
    return np.stack([array.real, array.imag], axis=-1)


def _array(encoder: Encoder, value: Any) -> Made:
    array = value.view(_BARE) if type(value) is not _BARE else value
    content = _content(array)
    description = _description(array.dtype)
    made: bytes | Node
    if type(content) is bytes and type(description) is str:
        made = join(b"ndarray", [description.encode(), repr(array.shape).encode(), content])
    else:
        made = Node(b"ndarray", (description, array.shape, content), label=unnamed)
    return made if type(value) in (_BARE, np.memmap) else derived(encoder, value, _BARE, made)


def _masked(encoder: Encoder, value: Any) -> Node:
    data, mask = value.data.view(_BARE), np.ma.getmaskarray(value)
    content: Any
    if data.dtype.names is not None:
        content = Node(b"fields", [part for name in data.dtype.names for part in (name, value[name])], label=by_key)
    elif data.dtype.kind in "OT":
        content = Node(b"elements", np.where(mask, None, data).reshape(-1).tolist())
    elif not mask.any() or _gaps(data.dtype):
        content = _content(np.where(mask, np.zeros((), data.dtype), data) if mask.any() else data)
    else:
        stream = Stream()
        for block, hidden in blocks(data, mask):
            stream.update(np.where(hidden, np.zeros((), block.dtype), block).view(np.uint8).data)
        content = stream.digest()
    fill = None if data.dtype.names is not None else value.fill_value
    own = sorted([item for item in vars(value).items() if not item[0].startswith("_")], key=itemgetter(0))
    more = ["hard"] * bool(value.hardmask) + [part for item in own for part in item]
    members = (_description(data.dtype), data.shape, content, mask, _fill(fill, data.dtype), *more)
    return Node(join(b"masked", [encoder.kind(type(value))]), members, label=unnamed)


def _fill(value: Any, dtype: Any) -> Any:
    """A fill value as it is after a pickle: those of objects and of long doubles are of another type before."""
    if dtype.kind == "O" and type(value) is np.str_:
        return str(value)
    return value.astype(dtype) if dtype.char in "gG" else value


def _scalar(encoder: Encoder, value: Any) -> Made:
    dtype = value.dtype
    made: Made
    if _own(dtype) and not dtype.metadata and dtype.kind != "V" and not _gaps(dtype):
        made = ("numpy scalar", dtype.str, value.tobytes())
    else:
        made = Node(b"numpy scalar", (np.asarray(value),), label=unnamed)
    return made if type(value) is dtype.type else derived(encoder, value, np.generic, made)


def _dtype(_: Encoder, value: Any) -> Node:
    return Node(b"dtype", (_description(value),), label=unnamed)


def _ufunc(encoder: Encoder, value: Any) -> bytes:
    name = str(value.__name__)
    for module in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(module), name, None) is value:
            return join(b"ufunc", [module.encode(), name.encode()])
    raise encoder.refusal(value, "made of a function that cannot be seen")


def _bits(value: Any) -> Node:
    seeds = getattr(value, "seed_seq", None)  # what its spawn() would give next
    return Node(b"bits", (type(value).__name__, value.state, getattr(seeds, "state", None)), label=unnamed)


def _generator(_: Encoder, value: Any) -> Node:
    return Node(b"generator", (_bits(value.bit_generator),), label=unnamed)


def _random_state(_: Encoder, value: Any) -> bytes | Node:
    if value is np.random.get_state.__self__:  # type: ignore[attr-defined]
        return join(b"the generator of numpy.random")  # its state is part of the world, no value
    return Node(b"random state", (value.get_state(legacy=False),), label=unnamed)


register(np.ndarray, _array, subclasses=True)
register(np.memmap, _array)
register(np.ma.MaskedArray, _masked, subclasses=True)
register(type(np.ma.masked), lambda _, _value: join(b"masked constant"))
register(np.generic, _scalar, subclasses=True)
register(np.dtype, _dtype, subclasses=True)
register(np.ufunc, _ufunc, subclasses=True)
register(np.busdaycalendar, lambda _, value: Node(b"busdays", (value.weekmask, value.holidays), label=unnamed))
register(np.random.Generator, _generator)
register(np.random.RandomState, _random_state)
register(np.random.BitGenerator, lambda _, value: _bits(value), subclasses=True)
