"""From values to bytes and back: pickle by default, joblib's compression, JSON, or an object of the user's."""

import io
import json
import pickle
import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from nbflow.errors import ConfigurationError
from nbflow.spelling import near
from nbflow.store.reducers import reducers

__all__ = [
    "JSON",
    "PICKLE",
    "Adapted",
    "Compressed",
    "Joblib",
    "Json",
    "Made",
    "Paired",
    "Pickle",
    "Serializer",
    "Sink",
    "Write",
    "named",
    "out_of_band",
    "serializer_of",
]

Data = bytes | bytearray | memoryview
Write = Callable[[Any], object]

_IN_BAND = 4096
"""Smaller buffers stay in the stream, where each costs nothing of its own."""


@runtime_checkable
class Serializer(Protocol):
    """Turns values into a stream of bytes and bulk buffers that are stored beside it, and back."""

    @property
    def name(self) -> str:
        """What entries say they were stored by."""

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:
        """The stream, and the buffers that it leaves out."""

    def loads(self, data: Data, buffers: Sequence[Data]) -> Any:
        """The value again; buffers are writable and may be kept."""


class Pickle:
    """Pickle protocol 5 with bulk data out of band."""

    name = "pickle"

    def dump(self, value: Any, write: Write) -> list[Any]:
        """Hand the stream on in parts as it grows; gives the buffers left out."""
        buffers: list[pickle.PickleBuffer] = []
        pickler = pickle.Pickler(Sink(write), 5, buffer_callback=out_of_band(buffers))
        pickler.dispatch_table = reducers()
        pickler.dump(value)
        return buffers

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:
        """The stream, and the buffers that it leaves out."""
        file = io.BytesIO()
        buffers = self.dump(value, file.write)
        return file.getvalue(), buffers

    def loads(self, data: Data, buffers: Sequence[Data]) -> Any:
        """The value again."""
        return pickle.loads(data, buffers=buffers)


class Sink:
    """What a pickler takes for a file."""

    __slots__ = ("write",)

    def __init__(self, write: Write) -> None:
        self.write = write


def out_of_band(buffers: list[pickle.PickleBuffer]) -> Callable[[pickle.PickleBuffer], bool]:
    """Tells a pickler which buffers stay in its stream, and collects the others."""

    def stays(buffer: pickle.PickleBuffer) -> bool:
        if memoryview(buffer).nbytes < _IN_BAND:
            return True
        buffers.append(buffer)
        return False

    return stays


class Joblib:
    """joblib's format, compressed.

    Args:
        compress: As in `joblib.dump`.
    """

    name = "joblib"

    def __init__(self, compress: Any = 3) -> None:
        self.compress = compress

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:
        """One stream, no buffers."""
        import joblib  # noqa: PLC0415 - takes a quarter of a second

        file = io.BytesIO()
        joblib.dump(value, file, compress=self.compress)
        return file.getvalue(), []

    def loads(self, data: Data, buffers: Sequence[Data]) -> Any:  # noqa: ARG002 - there are none
        """The value again."""
        import joblib  # noqa: PLC0415 - takes a quarter of a second

        return joblib.load(io.BytesIO(data))


class Json:
    """JSON text, which other programs can read. It takes what comes back as it was, and refuses all else."""

    name = "json"

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:
        """One stream, no buffers.

        Raises:
            TypeError: Something in the value, such as a tuple, would come back as something else.
        """
        text = json.dumps(value)
        _check_json(value)
        return text.encode(), []

    def loads(self, data: Data, buffers: Sequence[Data]) -> Any:  # noqa: ARG002 - there are none
        """The value again."""
        return json.loads(bytes(data))


_JSON = frozenset({str, int, float, bool, type(None)})


def _check_json(value: Any) -> None:
    """Refuse what JSON has no word for: it writes a tuple as a list, and the key 1 as "1". There are no cycles."""
    todo = [value]
    while todo:
        each = todo.pop()
        if type(each) is list:
            todo += [inner for inner in each if type(inner) not in _JSON]
        elif type(each) is dict:
            for key in each:
                if type(key) is not str:
                    raise TypeError(f"JSON has no keys of type {type(key).__name__}")
            todo += [inner for inner in each.values() if type(inner) not in _JSON]
        elif type(each) not in _JSON:
            raise TypeError(f"JSON has no {type(each).__name__}")


class Compressed:
    """The stream of another serializer, by zlib.

    Args:
        inner: One without buffers.
    """

    def __init__(self, inner: Serializer) -> None:
        self.inner = inner
        self.name = f"compressed/{inner.name}"

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:
        """One stream, no buffers."""
        return zlib.compress(self.inner.dumps(value)[0]), []

    def loads(self, data: Data, buffers: Sequence[Data]) -> Any:
        """The value again."""
        return self.inner.loads(zlib.decompress(data), buffers)


class Adapted:
    """An object of the user's with `dumps(value) -> bytes` and `loads(bytes)`, such as a module or Prefect's kind."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        kind = inner if isinstance(inner, type) or not hasattr(inner, "__class__") else type(inner)
        self.name = str(getattr(inner, "__name__", None) or kind.__qualname__)

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:
        """One stream, no buffers."""
        data = self.inner.dumps(value)
        if isinstance(data, str):
            return data.encode(), []
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"{self.name}.dumps gave no bytes but a {type(data).__name__}")
        return bytes(data), []

    def loads(self, data: Data, buffers: Sequence[Data]) -> Any:  # noqa: ARG002 - there are none
        """The value again."""
        return self.inner.loads(bytes(data))


class Paired:
    """What another serializer makes of a value, behind a second value of ours.

    Both are in the stream: buffers may be mapped, and loaded unchecked, so nothing in them is ever unpickled.

    Args:
        inner: Takes the value.
        beside: Goes through pickle; what it is does not matter for loading.
    """

    def __init__(self, inner: Serializer, beside: Any = None) -> None:
        self.inner, self.beside = inner, beside
        self.name = f"paired/{inner.name}"

    def dump(self, value: Any, write: Write) -> list[Any]:
        """Hand the stream on; gives the buffers left out."""
        write(pickle.dumps(self.beside, 5))
        if isinstance(self.inner, Pickle):
            return self.inner.dump(value, write)
        stream, buffers = self.inner.dumps(value)
        write(stream)
        return buffers

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:
        """The stream, and the buffers that it leaves out."""
        file = io.BytesIO()
        buffers = self.dump(value, file.write)
        return file.getvalue(), buffers

    def loads(self, data: Data, buffers: Sequence[Data]) -> tuple[Any, Any]:
        """The value again, and the one beside it."""
        file = io.BytesIO(data)
        beside = pickle.load(file)
        return self.inner.loads(memoryview(data)[file.tell() :], buffers), beside


class Made:
    """What another serializer made of a value, at the time when this was made; it does not change with the value.

    Args:
        inner: Its maker.
        value: The value.
    """

    def __init__(self, inner: Serializer, value: Any) -> None:
        self.name = inner.name
        stream, buffers = inner.dumps(value)
        self._made = bytes(stream), [_copy(each) for each in buffers]

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:  # noqa: ARG002 - it was made before
        """The stream, and the buffers that it leaves out."""
        return self._made

    def loads(self, data: Data, buffers: Sequence[Data]) -> Any:
        """Never asked: the inner serializer loads what it made."""
        raise NotImplementedError


def _copy(buffer: Any) -> bytes:
    return bytes(buffer.raw() if isinstance(buffer, pickle.PickleBuffer) else buffer)


PICKLE = Pickle()
JSON = Json()
CODECS: dict[str, tuple[int, Any]] = {
    "pickle": (1, PICKLE),
    "joblib": (2, Joblib()),
    "json": (3, JSON),
    "compressed/json": (4, Compressed(JSON)),
}
BY_CODEC: dict[int, Any] = dict(CODECS.values())
_ALIASES = {"compressed/pickle": "joblib", "compressed/joblib": "joblib"}
"""Prefect's words; joblib's format is a compressed pickle."""


def codec_of(serializer: Serializer) -> tuple[int, str]:
    """What entries say they were stored by: a number, 0 for one that is not ours, and a name."""
    number, ours = CODECS.get(serializer.name, (0, None))
    return (number if type(serializer) is type(ours) else 0), serializer.name


def named(name: str) -> Serializer:
    """A serializer by the name of an option: `pickle`, `joblib`, `json`, or Prefect's `compressed/pickle`.

    Raises:
        ConfigurationError: There is none of that name; the nearest one is named.
    """
    found = CODECS.get(_ALIASES.get(name, name))
    if found is None:
        cure = near(name, CODECS | _ALIASES) or f"; there is {', '.join(CODECS)}, or give an object"
        raise ConfigurationError(f"there is no serializer {name!r}{cure}")
    serializer: Serializer = found[1]
    return serializer


def serializer_of(given: Any) -> Serializer:
    """A serializer from an option: None, a name, one of ours, or an object with `dumps` and `loads`.

    Raises:
        ConfigurationError: It is none of these.
    """
    if given is None:
        return PICKLE
    if isinstance(given, str):
        return named(given)
    if not (callable(getattr(given, "dumps", None)) and callable(getattr(given, "loads", None))):
        raise ConfigurationError(f"{given!r} is no serializer: it needs dumps(value) -> bytes and loads(bytes)")
    return given if isinstance(given, (Pickle, Joblib, Json, Compressed, Adapted)) else Adapted(given)
