"""What travels between this process and a worker, as bytes: functions, values, errors, and what was said.

By cloudpickle (https://github.com/cloudpipe/cloudpickle), which takes what a notebook defines by value. An error always
arrives: what of it does not pickle stays behind, and its traceback comes as text.
"""

import dis
import linecache
import pickle
import sys
import traceback
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from functools import cache, reduce
from io import BytesIO
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

from nbflow.errors import ConfigurationError
from nbflow.keys import origin
from nbflow.keys.gather import task_function
from nbflow.trace import Fact, Traits

__all__ = [
    "Home",
    "Kept",
    "Order",
    "Reply",
    "Said",
    "broken_down",
    "packed",
    "parcel",
    "put_together",
    "send_by_name",
    "send_by_value",
    "sent_by_value",
    "sources",
    "unpacked",
]

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})


class Kept(NamedTuple):
    """Where a result is kept: its place in the store, and what its check needs.

    Attributes:
        key: The lookup key.
        task: The step's label.
        traits: What the key was made of.
        inputs: Names of the parameters that count: a call that changes one in place is not kept.
        keep: As the policy has it.
        serializer: How values become bytes.
        here: Whether the worker may save a large value itself.
    """

    key: str
    task: str
    traits: Traits
    inputs: tuple[str, ...]
    keep: Any
    serializer: Any
    here: bool


class Home(NamedTuple):
    """What holds where the call comes from.

    Attributes:
        folder: Of the store; `""`: there is none.
        mark: Tells that folder from another one of the same name on another machine.
        settings: For `configure`.
        variables: Environment variables of nbflow's own.
        level: Of the root logger.
        version: Of nbflow.
    """

    folder: str
    mark: tuple[Any, ...]
    settings: dict[str, Any]
    variables: dict[str, str]
    level: int
    version: str


class Order(NamedTuple):
    """One call.

    Attributes:
        home: As `Home`, packed: it is alike for very many calls.
        function: Packed, alike for many calls; `b""`: `call` has it.
        call: Packed: arguments by position and by name, or whatever is called without any.
        limit: Seconds that the attempt may take where nobody can end the process; None: no limit, or somebody can.
        flow_run: The flow's run.
        run: Of the step's own run its id, the task's name, its own, its tags, and the attempt.
        tags: Those that hold.
        log_prints: As the option.
        seeds: Whether the code speaks of seeding.
        names: Values beside the arguments that may name files.
        files: Files that count because the user said so.
        touching: What is reached by live handles.
        random: Where seeded generators stand.
        split: Makes streams of their own of those generators, one for each call; `""`: they are as they are.
        kept: Where the result is kept; None: it is not.
        things: Packed: functions, classes, tasks of the user's modules among the arguments, by name; `b""`: none.
        codes: Digests of what the function and they reach where the call comes from; `()`: it does not matter.
        modules: Names of the user's modules that any of it comes from.
        within: Whether a step around it is to know what it depends on, should it not be kept itself.
    """

    home: bytes
    function: bytes
    call: bytes
    limit: float | None
    flow_run: Any
    run: Any
    tags: frozenset[str]
    log_prints: bool | None
    seeds: bool
    names: tuple[Any, ...]
    files: tuple[Any, ...]
    touching: tuple[str, ...]
    random: dict[str, Any]
    split: str
    kept: Kept | None
    things: bytes = b""
    codes: tuple[bytes, ...] = ()
    modules: tuple[str, ...] = ()
    within: bool = False


class Said(NamedTuple):
    """What a call said while it ran: events, records of logging, warnings, and text with the stream it went to."""

    events: list[Any]
    records: list[Any]
    warnings: list[tuple[Any, ...]]
    text: list[tuple[str, str]]


class Reply(NamedTuple):
    """What became of a call.

    Attributes:
        value: Packed, where it returned; None where it did not, or the value lies in the store.
        error: Packed by `broken_down`, where it raised.
        touched: As `Ok.touched`.
        facts: What it was seen to depend on.
        random: Where it left seeded generators.
        changed: Why the result must not be kept, `""` if it may.
        cost: Seconds that it ran.
        stored: When its entry was made, and the bytes that it took; None: it was not stored where it ran.
        said: Packed `Said`; `b""`: nothing.
        other: Why nothing was called: the modules loaded there have other `"code"`, or only other `"values"`.
    """

    value: bytes | None = None
    error: bytes | None = None
    touched: frozenset[str] = frozenset()
    facts: tuple[Fact, ...] = ()
    random: Any = None
    changed: str = ""
    cost: float = 0.0
    stored: tuple[float, int] | None = None
    said: bytes = b""
    other: str = ""


by_value: dict[str, Any] = {}
"""Modules that workers have otherwise than this process, with their specs: what is in them goes as it is here."""


def send_by_value(modules: Iterable[str]) -> None:
    """From now on send what is in these modules as it is here, rather than by name."""
    import cloudpickle  # noqa: PLC0415 - as below

    for name in modules:
        if name in sys.modules:
            cloudpickle.register_pickle_by_value(sys.modules[name])
            by_value[name] = sys.modules[name].__spec__


def send_by_name(modules: Iterable[str]) -> None:
    """Take that back."""
    import cloudpickle  # noqa: PLC0415 - as below

    for name in modules:
        if by_value.pop(name, None) is not None and name in sys.modules:
            cloudpickle.unregister_pickle_by_value(sys.modules[name])


def sent_by_value() -> AbstractSet[str]:
    """Names of the modules for which this holds: no longer for those that were reloaded."""
    for name, spec in tuple(by_value.items()):
        module = sys.modules.get(name)
        if module is None or module.__spec__ is not spec:
            send_by_name((name,))
    return by_value.keys()


@cache
def _pickler() -> Callable[[BytesIO], Any]:
    """Makes picklers that note what they come by: the files of functions, and what goes by its name in a module."""
    import cloudpickle  # noqa: PLC0415 - 10 ms that only those pay who send something

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # follow_imports is skip
        def __init__(self, file: BytesIO) -> None:
            super().__init__(file, protocol=5)
            self.named: set[str] = set()
            self.things: dict[int, Any] = {}

        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, FunctionType):
                self.named.add(obj.__code__.co_filename)
                if by_value:
                    _check_imports(obj)
            if _by_name(obj):
                self.things[id(obj)] = obj
            return super().reducer_override(obj)

    return Pickler


def packed(value: Any) -> bytes:
    """A value as bytes. Whatever cannot go raises what pickle raises."""
    if type(value) in _ATOMS:
        return pickle.dumps(value, 5)
    if type(value) is tuple and _plain(value):  # the arguments of most calls
        return pickle.dumps(value, 5)
    file = BytesIO()
    _pickler()(file).dump(value)
    return file.getvalue()


def parcel(call: tuple[Any, ...]) -> tuple[bytes, tuple[Any, ...]]:
    """Arguments as bytes, and what of the user's modules goes by its name among them."""
    if _plain(call):
        return pickle.dumps(call, 5), ()
    file = BytesIO()
    pickler = _pickler()(file)
    pickler.dump(call)
    return file.getvalue(), tuple(pickler.things.values())


def _check_imports(function: FunctionType) -> None:
    """Raise where a function would find a worker's own code of a module."""
    for each in dis.get_instructions(function.__code__):
        if each.opname == "IMPORT_NAME" and any(f"{name}.".startswith(f"{each.argval}.") for name in by_value):
            raise ConfigurationError(
                f"{function.__qualname__}() imports {each.argval} in its body, and workers have other code of it than "
                "this process: reload what was edited, or import it outside of functions"
            )


def _by_name(obj: Any) -> bool:
    """Whether something is a function, class or task of a module of the user's, and found there."""
    thing = task_function(obj) or obj
    if not isinstance(thing, FunctionType | type) or origin.module_of(thing) in origin.MAIN or not origin.users(thing):
        return False
    home = sys.modules.get(origin.module_of(thing))
    found = reduce(lambda owner, name: getattr(owner, name, None), thing.__qualname__.split("."), home)
    return found is obj


def _plain(call: tuple[Any, ...]) -> bool:
    return all(
        type(each) in _ATOMS
        or (type(each) is tuple and _ATOMS.issuperset(map(type, each)))
        or (type(each) is dict and _ATOMS.issuperset(map(type, each.values())) and _ATOMS.issuperset(map(type, each)))
        for each in call
    )


def sources(function: Callable[..., Any]) -> bytes:
    """A function as bytes, with the text of what is in no file, so that tracebacks there show it."""
    file = BytesIO()
    pickler = _pickler()(file)
    pickler.dump(function)
    texts = {name: linecache.getlines(name) for name in pickler.named if not Path(name).is_file()}
    return pickle.dumps((file.getvalue(), {name: lines for name, lines in texts.items() if lines}), 5)


def unpacked(function: bytes) -> Any:
    """The function that `sources` packed."""
    inner, texts = pickle.loads(function)
    for name, lines in texts.items():
        linecache.cache[name] = sum(map(len, lines)), None, lines, name
    return pickle.loads(inner)


def broken_down(error: BaseException, where: str) -> bytes:
    """An error as bytes, with its traceback as a note."""
    text = "".join(traceback.format_exception(error))[-8192:].rstrip()
    error.__traceback__ = None
    with suppress(Exception):
        error.add_note(f"nbflow: raised in {where}:\n{text}")
    with suppress(Exception):
        whole = packed(error)
        if type(pickle.loads(whole)).__name__ == type(error).__name__:
            return pickle.dumps((whole, None), 5)
    parts = {name: each for name, value in vars(error).items() if (each := _if_packed(value)) is not None}
    args = [_if_packed(each) or packed(_text(each)) for each in error.args]
    leaves = [broken_down(each, where) for each in error.exceptions] if isinstance(error, BaseExceptionGroup) else None
    kind = _if_packed(type(error))
    if kind is None:  # a class that cannot go either: the nearest one above it that can
        kind = next(each for base in type(error).__mro__[1:] if (each := _if_packed(base)) is not None)
        args = [packed(f"{type(error).__name__}: {_text(error)}")]
    return pickle.dumps((None, (kind, args, parts, leaves)), 5)


def put_together(data: bytes) -> BaseException:
    """The error that `broken_down` packed. Its own `__init__` is not called again: it may want other arguments."""
    whole, broken = pickle.loads(data)
    if whole is not None:
        return pickle.loads(whole)  # type: ignore[no-any-return]
    kind, args, parts, leaves = broken
    values, made = tuple(map(pickle.loads, args)), pickle.loads(kind)
    if leaves is not None:
        values = values[0], tuple(map(put_together, leaves))
    plain = next(base for base in made.__mro__ if base.__module__ == "builtins")  # OSError and groups have their own
    error: BaseException = plain.__new__(made, *values)
    plain.__init__(error, *values)
    vars(error).update({name: pickle.loads(each) for name, each in parts.items()})
    return error


def _if_packed(value: Any) -> bytes | None:
    try:
        data = packed(value)
        pickle.loads(data)
    except Exception:  # noqa: BLE001 - it stays behind
        return None
    return data


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - an error whose text raises is still an error
        return f"a {type(value).__name__}"
