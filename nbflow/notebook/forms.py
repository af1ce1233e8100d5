"""How the content of a mutable object is taken, and put back into the same object.

Aliases of an object see a change only when the object itself is changed, never when a name is bound to a
new one. Nothing is imported: a library that is not loaded has no objects here.
"""

import array
import collections
import copyreg
import gc
import random
import sys
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import is_
from typing import Any, Final, NamedTuple

from nbflow.keys.encode import Encoder, Node
from nbflow.keys.objects import instance
from nbflow.keys.registry import find

__all__ = ["VIEWS", "Form", "cast", "form", "members", "memory", "own", "put_class", "same", "start"]

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, range, slice, type(...)})
_CODE = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
_EMPTY: Final[dict[Any, Any]] = {}
VIEWS: Final = {type(_EMPTY.keys()): "keys", type(_EMPTY.values()): "values", type(_EMPTY.items()): "items"}
"""Of dicts: they show what the dict holds, which is the one object that they refer to. Type to method."""
_CONSTANT = (*_ATOMS, *_CODE, tuple, frozenset, *VIEWS)


class Form(NamedTuple):
    """How to handle objects of one type.

    Attributes:
        take: Copies the content, one level deep.
        put: Puts content into an object; None if that type cannot be changed in place.
        big: Whether it is compared by digest instead of by its members' identity.
        below: The objects within one, where they can be found again by their index.
    """

    take: Callable[[Any], Any]
    put: Callable[[Any, Any], object] | None
    big: bool
    below: Callable[[Any], Iterable[Any]] = lambda _: ()


def form(obj: object) -> Form | None:
    """The form of an object, None if it never changes."""
    if type(obj) in _FORMS:
        return _FORMS[type(obj)]
    try:
        return _of_kind(obj)
    except Exception:  # noqa: BLE001 - a proxy of what is not there just now raises whatever it is asked
        return None


def _of_kind(obj: object) -> Form | None:
    if isinstance(obj, type):
        return _CLASS if obj.__module__ == "__main__" else None
    if isinstance(obj, types.FunctionType):
        return _FUNCTION if obj.__module__ == "__main__" else None
    if isinstance(obj, _CONSTANT):
        return None
    for base, plain in _FORMS.items():
        if isinstance(obj, base):
            return _with_attributes(plain) if hasattr(obj, "__dict__") else plain
    return _of_library(obj) or (_ATTRIBUTES if _plain_attributes(obj) else _UNKNOWN)


def _of_library(obj: object) -> Form | None:
    loaded = sys.modules.get
    numpy, pandas, polars = loaded("numpy"), loaded("pandas"), loaded("polars")
    images, sparse = loaded("PIL.Image"), loaded("scipy.sparse")
    if numpy is not None:
        if isinstance(obj, numpy.ndarray):
            return _OBJECTS if type(obj) is numpy.ndarray and obj.dtype.char == "O" else _ARRAY
        generators = vars(numpy).get("random")  # it is loaded late
        if generators is not None and isinstance(obj, generators.Generator):
            return _GENERATOR
        if generators is not None and isinstance(obj, generators.RandomState):
            return _RANDOM_STATE
    if pandas is not None and isinstance(obj, (pandas.DataFrame, pandas.Series)):
        return _FRAME
    if polars is not None and isinstance(obj, (polars.DataFrame, polars.Series)):
        return _COLUMNS
    copied = (images is not None and isinstance(obj, images.Image)) or (sparse is not None and sparse.issparse(obj))
    return _COPIED if copied else None


def _plain_attributes(obj: object) -> bool:
    """Whether an object is what its attributes say, and nothing else; one with a digest of its own is left closed."""
    kind = type(obj)
    return (
        kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and (hasattr(obj, "__dict__") or any("__slots__" in vars(base) for base in kind.__mro__))
        and find(kind) is instance
    )


def _slots(obj: object) -> list[str]:
    names: list[str] = copyreg._slotnames(type(obj))  # type: ignore[attr-defined]  # noqa: SLF001 - as pickle finds them
    return names


def _attributes(obj: object) -> dict[str, Any]:
    """All attributes of an object's own, those in slots too."""
    found = dict(getattr(obj, "__dict__", ()))
    for name in _slots(obj):
        with suppress(AttributeError):
            found[name] = object.__getattribute__(obj, name)
    return found


def _refill(kind: Any, method: str) -> Callable[[Any, Any], object]:
    """By the methods of a builtin type: a subclass may have others, which check, convert or refuse."""
    fill = getattr(kind, method)

    def put(obj: Any, content: Any) -> None:
        kind.clear(obj)
        fill(obj, content)

    return put


def _put_slice(kind: Any) -> Callable[[Any, Any], object]:
    return lambda obj, content: kind.__setitem__(obj, slice(None), content)


def _put_array(obj: Any, content: Any) -> None:
    obj[...] = content


def _put_attributes(obj: Any, content: Any) -> None:
    slots = _slots(obj)
    for name in slots:
        with suppress(AttributeError):
            object.__delattr__(obj, name)
    for name in slots:
        if name in content:
            object.__setattr__(obj, name, content[name])
    if hasattr(obj, "__dict__"):
        vars(obj).clear()
        vars(obj).update({name: value for name, value in content.items() if name not in slots})


def _put_columns(obj: Any, content: Any) -> None:
    vars(obj).update(vars(content.clone()))  # polars: a wrapper of one native object, copied when it is changed


def _put_copied(obj: Any, content: Any) -> None:
    vars(obj).update(vars(content.copy()))  # a copy, for it may be put back again


def _held(cell: types.CellType) -> list[Any]:
    """What a closure's variable holds, if it is bound."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def _put_held(cell: types.CellType, content: list[Any]) -> None:
    if content:
        cell.cell_contents = content[0]
    elif _held(cell):
        del cell.cell_contents


def _with_attributes(plain: Form) -> Form:
    """For a user's subclass of a container, which has attributes beside its items."""

    def put(obj: Any, content: Any) -> None:
        assert plain.put is not None
        plain.put(obj, content[0])
        _put_attributes(obj, content[1])

    return Form(lambda obj: (plain.take(obj), dict(vars(obj))), put, big=False, below=plain.below)


def own(cls: type) -> dict[str, Any]:
    """What was put into a class, without the machinery: of `__names__`, methods and what stands for them."""
    return {
        name: value
        for name, value in vars(cls).items()
        if name in _TOLD
        or isinstance(value, types.FunctionType)
        or not (name == "_abc_impl" or name[:2] == "__" == name[-2:])
    }


_TOLD = frozenset({"__doc__", "__hash__"})


def put_class(cls: type, content: dict[str, Any]) -> None:
    """Give a class the attributes it had."""
    for name in own(cls).keys() - content.keys():
        delattr(cls, name)
    for name, value in content.items():
        if vars(cls).get(name) is not value:
            setattr(cls, name, value)


def _of_function(function: types.FunctionType) -> list[Any]:
    defaults = *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()
    return [*(function.__closure__ or ()), *defaults, *vars(function).values()]


_FORMS: dict[type, Form] = {
    list: Form(list.copy, _put_slice(list), big=False, below=list.copy),
    collections.OrderedDict: Form(
        dict, _refill(collections.OrderedDict, "update"), big=False, below=collections.OrderedDict.values
    ),
    dict: Form(dict, _refill(dict, "update"), big=False, below=dict.values),
    set: Form(set, _refill(set, "update"), big=False),
    collections.deque: Form(list, _refill(collections.deque, "extend"), big=False, below=list),
    bytearray: Form(bytes, _put_slice(bytearray), big=False),
    types.CellType: Form(_held, _put_held, big=False, below=_held),
    array.array: Form(lambda array: array[:], _put_slice(array.array), big=True),
    random.Random: Form(lambda draw: draw.getstate(), lambda draw, state: draw.setstate(state), big=True),
}
_ATTRIBUTES = Form(_attributes, _put_attributes, big=False, below=lambda obj: _attributes(obj).values())
_FUNCTION = _ATTRIBUTES._replace(below=_of_function)
_CLASS = Form(own, put_class, big=False)
_FORMS[types.SimpleNamespace] = _ATTRIBUTES
_ARRAY = Form(lambda array: array.copy(), _put_array, big=True)
_OBJECTS = _ARRAY._replace(below=lambda array: array.ravel().tolist())
_FRAME = Form(lambda frame: frame.copy(), lambda frame, copy: frame.__setstate__(copy.__getstate__()), big=True)
_COLUMNS = Form(lambda frame: frame.clone(), _put_columns, big=True)
_COPIED = Form(lambda obj: obj.copy(), _put_copied, big=True)
_GENERATOR = Form(
    lambda generator: generator.bit_generator.state,
    lambda generator, state: setattr(generator.bit_generator, "state", state),
    big=True,
)
_RANDOM_STATE = Form(
    lambda generator: generator.get_state(legacy=False), lambda generator, state: generator.set_state(state), big=True
)
_UNKNOWN = Form(lambda _: None, None, big=True)  # mutable for all we know


def cast(obj: Any) -> Any:
    """What of an array, or of a generator of numpy's, `put` cannot change."""
    if type(obj).__name__ == "ndarray":
        return obj.shape, obj.dtype, obj.flags.writeable
    seeds = getattr(obj.bit_generator, "seed_seq", None) if type(obj).__name__ == "Generator" else None
    return getattr(seeds, "n_children_spawned", None)


def memory(array: Any) -> Any:
    """The array that owns the memory in which an array lies, which may be itself; None if it is no array."""
    kind = type(array)
    if kind.__name__ != "ndarray":
        return None
    while type(array.base) is kind:
        array = array.base
    return array


def start(array: Any) -> int:
    """The address of the first element of an array."""
    return int(array.__array_interface__["data"][0])


def members(obj: Any, how: Form | None) -> list[Any]:
    """Objects within an object of this form that can be found again by their index; none if none of them can change."""
    if type(obj) in VIEWS:
        return gc.get_referents(obj)
    if issubclass(type(obj), (set, frozenset)):
        return _of_set(obj)
    found = [*(obj if issubclass(type(obj), tuple) else how.below(obj) if how is not None else ())]
    keys = _hashed(obj) if issubclass(type(obj), dict) else []
    return keys if _ATOMS.issuperset(map(type, found)) else found + keys


_BY_ITSELF: Final[Any] = object.__hash__


def _hashed(held: Iterable[Any]) -> list[Any]:
    """Of the keys of a dict, or of what a set holds: objects that may change all the same, as none equals another."""
    if _ATOMS.issuperset(map(type, held)):
        return []
    return [each for each in held if type(each).__hash__ is _BY_ITSELF and (how := form(each)) and how.put]


def _of_set(held: Iterable[Any]) -> list[Any]:
    """What may change within a set, in the one order that it has in another kernel too: that of the digests."""
    found = _hashed(held)
    with suppress(Exception):  # what has no digest is no input either
        return sorted(found, key=_digest) if len(found) > 1 else found
    return []


def _digest(value: Any) -> bytes:
    return Encoder(handles=[]).walk(Node(b"value", (value,)), [type(value).__name__])


def same(old: Any, new: Any) -> bool:
    """Whether taken contents hold the very same members in the same order."""
    if type(old) is not type(new) or len(old) != len(new):
        return False
    if isinstance(old, list):
        return all(map(is_, old, new))
    if isinstance(old, dict):
        return all(map(is_, old, new)) and all(map(is_, old.values(), new.values()))
    if isinstance(old, set):
        return set(map(id, old)) == set(map(id, new))
    if isinstance(old, tuple):  # items and attributes
        return all(map(same, old, new))
    return bool(old == new)
