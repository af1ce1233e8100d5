"""What a cell leaves behind, through one pickle memo: inputs by path, its own code by place.

Because there is one memo, objects that were shared are shared again; because inputs are written as paths,
a value that holds an input holds the live one after a hit, and a large input is not stored a second time.
"""

import array as arrays
import gc
import io
import pickle
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbflow.errors import UnstorableError
from nbflow.notebook.forms import VIEWS, memory, start
from nbflow.notebook.heap import Spot
from nbflow.notebook.places import CodePath
from nbflow.store.reducers import reducers
from nbflow.store.serializers import Sink, Write, out_of_band

__all__ = ["Freezer", "Surroundings", "leftover"]

_SPENT: dict[str, Callable[[Any], bool]] = {
    "asyncio.taskgroups.TaskGroup": lambda group: group._exiting and not group._tasks,  # noqa: SLF001 - the only sign
    "asyncio.timeouts.Timeout": lambda limit: limit._state.name in ("EXITED", "EXPIRED"),  # noqa: SLF001 - the same
    "sqlite3.Connection": lambda connection: _raises(lambda: connection.total_changes),
    "zipfile.ZipFile": lambda archive: archive.fp is None,
    "multiprocessing.pool.Pool": lambda pool: pool._state != "RUN",  # noqa: SLF001 - the same
}
"""How one sees of the types that do not say so that a `with` statement is through with them."""
_STATE = (
    "__defaults__", "__kwdefaults__", "__annotations__", "__dict__", "__qualname__", "__doc__", "__module__",
    "__type_params__",
)  # fmt: skip
"""What a function has beside its code, its name and its closure."""
_LOST = (types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType, io.IOBase)


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What a cell's values may refer to instead of being stored themselves.

    Attributes:
        namespace: The user's globals, live.
        before: What its names were bound to before the cell.
        inputs: `id` of each mutable object below an input, to where it is.
        codes: Code objects of the cell, to their places.
        anchors: `id` of each array in whose memory inputs lie, to one of them.
        shared: `id` of each array in whose memory several of the cell's values lie.
        defined: Names whose statements are run again.
        remade: `id` of what they are bound to, where it is no class, to the name.
    """

    namespace: dict[str, Any]
    before: Mapping[str, Any]
    inputs: Mapping[int, Spot]
    codes: Mapping[types.CodeType, CodePath]
    anchors: Mapping[int, Any]
    shared: frozenset[int]
    defined: frozenset[str]
    remade: Mapping[int, str] = field(default_factory=dict)


class Freezer(pickle.Pickler):
    """Pickles the values of one cell.

    Attributes:
        made: Names whose statements will have been run again when what comes next is read.

    Raises:
        UnstorableError: A value has no content that could be stored, or could not be found again.
    """

    def __init__(
        self, write: Write, around: Surroundings, buffers: list[pickle.PickleBuffer], made: Iterable[str] = ()
    ) -> None:
        super().__init__(Sink(write), 5, buffer_callback=out_of_band(buffers))
        self.dispatch_table = reducers()
        self.around, self.made = around, {*made}

    def persistent_id(self, obj: Any) -> Any:
        """Where an object comes from, if it is not stored itself."""
        around = self.around
        if isinstance(obj, types.ModuleType):
            return "module", obj.__name__
        if isinstance(obj, type):
            return self._by_name(obj, obj.__qualname__)
        if id(obj) in around.inputs:
            return "input", around.inputs[id(obj)].path
        if id(obj) in around.remade:
            return "made", self._made(around.remade[id(obj)])
        if isinstance(obj, types.CodeType) and obj in around.codes:
            return "code", around.codes[obj]
        if isinstance(obj, _LOST) and not isinstance(obj, (io.StringIO, io.BytesIO)):
            raise UnstorableError(f"a {type(obj).__name__} has no content to store")
        return ("globals", None) if obj is around.namespace else None

    def _by_name(self, obj: Any, name: str) -> None:
        """Pickle will write a name of `__main__`: it must be there, and the same, in another kernel."""
        root = name.partition(".")[0]
        if obj.__module__ != "__main__" or (root in self.around.defined and self._made(root)):
            return
        live = self.around.namespace.get(root)
        if live is None or self.around.before.get(root) is not live:
            raise UnstorableError(f"{name} is not defined at the top of the cell, where it would be found again")

    def _made(self, name: str) -> str:
        if name not in self.made:
            raise UnstorableError(f"it holds {name}, and is needed to define it")
        return name

    def reducer_override(self, obj: Any) -> Any:
        """Functions, closures, views and figures, in ways of our own."""
        around = self.around
        if type(obj) is types.FunctionType:
            if obj.__code__ not in around.codes:
                self._by_name(obj, obj.__qualname__)
                return NotImplemented
            state = {name: getattr(obj, name) for name in _STATE if hasattr(obj, name)}
            return _function, (obj.__code__, around.namespace, obj.__name__, obj.__closure__), state, None, None, _fill
        if type(obj) is types.CellType:
            return _cell, (), obj.cell_contents, None, None, _fill_cell
        if type(obj).__name__ == "ndarray":
            return self._view(obj)
        if issubclass(type(obj), dict) and hasattr(obj, "__dict__") and vars(obj) is obj:
            return _own_attributes, (type(obj),), None, None, iter(dict.items(obj))
        return _of_library(obj)

    def _view(self, array: Any) -> Any:
        """An array in the memory of an input, or of another one that is stored too, keeps sharing it."""
        owner = memory(array)
        anchor = self.around.anchors.get(id(owner), owner if id(owner) in self.around.shared else None)
        if anchor is not None and anchor is not array:
            layout = array.shape, array.strides, start(array) - start(anchor), array.flags.writeable
            return _beside, (anchor, array.dtype, layout)
        buffer = owner.base.obj if isinstance(owner.base, memoryview) else owner.base
        if type(buffer) not in (bytearray, arrays.array):
            return NotImplemented
        distance = start(array) - start(sys.modules["numpy"].frombuffer(buffer, "u1"))
        return _over, (buffer, type(array), array.dtype, (array.shape, array.strides, distance, array.flags.writeable))


def _of_library(obj: Any) -> Any:
    if type(obj) in VIEWS:
        return _view_of, (gc.get_referents(obj)[0], VIEWS[type(obj)])
    if type(obj) is re.Match:
        return _matched(obj)
    if type(obj).__name__ == "memmap" and obj.mode in ("r+", "w+"):
        raise UnstorableError("a memmap writes to its file, and what is stored would not")
    return _unregistered(obj) if type(obj).__module__ == "matplotlib.figure" else _of_array(obj)


def _of_array(obj: Any) -> Any:
    """A user's kind of array has attributes, which numpy's own pickle leaves out."""
    kind, plain = type(obj), getattr(sys.modules.get("numpy"), "ndarray", None)
    if plain is None or not issubclass(kind, plain) or kind.__module__.startswith("numpy"):
        return NotImplemented
    if (kind.__reduce__, kind.__reduce_ex__) != (plain.__reduce__, plain.__reduce_ex__) or not vars(obj):
        return NotImplemented
    return _as_kind, (kind, obj.view(plain)), dict(vars(obj)), None, None, _with_attributes


def _matched(match: "re.Match[Any]") -> Any:
    """What was found is found again, at the same place; where it would not be, there is no way to store it."""
    pattern, span = match.re, (match.pos, match.endpos)
    for how, place in (
        ("match", span),
        ("search", span),
        ("fullmatch", span),
        ("match", (match.start(), match.endpos)),
    ):
        again = getattr(pattern, how)(match.string, *place)
        if again is not None and again.regs == match.regs:
            return _found, (pattern, how, match.string, place)
    raise UnstorableError("a Match that cannot be found again by its pattern")


def _unregistered(figure: Any) -> Any:
    """A restored figure must not come back into pyplot, which would show it a second time."""
    reduced = list(figure.__reduce_ex__(5))
    if len(reduced) > 2 and isinstance(reduced[2], dict):
        reduced[2] = {key: value for key, value in reduced[2].items() if key != "_restore_to_pylab"}
    return tuple(reduced)


def leftover(value: Any) -> bool:
    """Whether a value is only what a `with` or a loop left behind: a closed file, a finished bar, pool or thread."""
    kind = type(value)
    if kind.__module__.partition(".")[0] == "tqdm":
        return True
    futures = sys.modules.get("concurrent.futures")
    if futures is not None and isinstance(value, futures.Executor):
        return bool(getattr(value, "_shutdown", False) or getattr(value, "_shutdown_thread", False))
    threading = sys.modules.get("threading")
    if threading is not None and isinstance(value, threading.Thread):
        return not value.is_alive()
    try:
        if f"{kind.__module__}.{kind.__name__}" in _SPENT:
            return _SPENT[f"{kind.__module__}.{kind.__name__}"](value)
        return any(getattr(value, flag, None) is True for flag in ("closed", "is_closed"))
    except Exception:  # noqa: BLE001 - an attribute of the user's that raises says nothing
        return False


def _raises(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except Exception:  # noqa: BLE001 - that is the answer
        return True
    return False


# What a stored stream calls to make values again; the names are part of the format.


def _function(code: types.CodeType, namespace: dict[str, Any], name: str, closure: Any) -> types.FunctionType:
    return types.FunctionType(code, namespace, name, None, closure)


def _cell() -> types.CellType:
    return types.CellType()


def _fill(function: types.FunctionType, state: dict[str, Any]) -> None:
    for name, value in state.items():
        setattr(function, name, value)


def _fill_cell(cell: types.CellType, content: Any) -> None:
    cell.cell_contents = content


def _view_of(items: dict[Any, Any], method: str) -> Any:
    return getattr(items, method)()


def _found(pattern: "re.Pattern[Any]", how: str, text: Any, place: tuple[int, int]) -> Any:
    return getattr(pattern, how)(text, *place)


def _own_attributes(kind: Any) -> Any:
    made = kind.__new__(kind)
    made.__dict__ = made  # `a.x` is `a["x"]`
    return made


def _as_kind(kind: Any, array: Any) -> Any:
    return array.view(kind)


def _with_attributes(obj: Any, attributes: dict[str, Any]) -> None:
    vars(obj).update(attributes)


def _over(buffer: Any, kind: Any, dtype: Any, layout: tuple[Any, Any, int, bool]) -> Any:
    shape, strides, distance, writeable = layout
    array = kind(shape, dtype, buffer, distance, strides)
    array.flags.writeable = writeable
    return array


def _beside(anchor: Any, dtype: Any, layout: tuple[Any, Any, int, bool]) -> Any:
    shape, strides, distance, writeable = layout
    owner = memory(anchor)
    buffer = owner if owner.flags.c_contiguous else owner.T
    array = type(owner)(shape, dtype, buffer, start(anchor) - start(owner) + distance, strides)
    array.flags.writeable = writeable
    return array
