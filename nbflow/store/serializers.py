"""From values to bytes and back: pickle by default, joblib's compression, JSON, or an object of the user's."""

import io
import json
import pickle
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from nbflow.errors import ConfigurationError
from nbflow.store.reducers import reducers

__all__ = [
    "JSON",
    "PICKLE",
    "Adapted",
    "Joblib",
    "Json",
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
    """JSON text: readable, and as poor in types as JSON is (tuples come back as lists)."""

    name = "json"

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:
        """One stream, no buffers."""
        return json.dumps(value).encode(), []

    def loads(self, data: Data, buffers: Sequence[Data]) -> Any:  # noqa: ARG002 - there are none
        """The value again."""
        return json.loads(bytes(data))


class Adapted:
    """An object of the user's with `dumps(value) -> bytes` and `loads(bytes)`, such as a module or Prefect's kind."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        kind = inner if isinstance(inner, type) or not hasattr(inner, "__class__") else type(inner)
        self.name = str(getattr(inner, "__name__", None) or kind.__qualname__)

    def dumps(self, value: Any) -> tuple[bytes, list[Any]]:
        """One stream, no buffers."""
        data = self.inner.dumps(value)
        return data.encode() if isinstance(data, str) else bytes(data), []

    def loads(self, data: Data, buffers: Sequence[Data]) -> Any:  # noqa: ARG002 - there are none
        """The value again."""
        return self.inner.loads(bytes(data))


PICKLE = Pickle()
JSON = Json()
CODECS: dict[str, tuple[int, Any]] = {"pickle": (1, PICKLE), "joblib": (2, Joblib()), "json": (3, JSON)}
BY_CODEC: dict[int, Any] = dict(CODECS.values())


def codec_of(serializer: Serializer) -> tuple[int, str]:
    """What entries say they were stored by: a number, 0 for one that is not ours, and a name."""
    number, ours = CODECS.get(serializer.name, (0, None))
    return (number if type(serializer) is type(ours) else 0), serializer.name


def named(name: str) -> Serializer:
    """A serializer by the name of an option: `pickle`, `joblib`, `json`, or Prefect's `compressed/pickle`."""
    found = CODECS.get({"compressed/pickle": "joblib"}.get(name, name))
    if found is None:
        raise ConfigurationError(f"there is no serializer {name!r}: give one of {', '.join(CODECS)}, or an object")
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
    return given if isinstance(given, (Pickle, Joblib, Json, Adapted)) else Adapted(given)
