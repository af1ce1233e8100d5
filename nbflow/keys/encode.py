"""Values to canonical bytes: equal for equal values, in every process, on every Python; different for all others.

Every datum carries its exact type and its length. A container is a Merkle node over its members, except where marshal
may write a whole plain tree at once (`plain`); which of the two forms it takes depends on the value alone. The order of
a dict is part of it, the order of a set is not; nor is sharing (`[x, x]` equals two equal members), but a value met
twice is encoded once, so that a tower of 60 such lists is 60 steps. Nothing rests on `id`, `hash`, `repr`, pickle's
bytes, samples or a limit of depth: pickle's depend on what is shared or interned (https://github.com/joblib/joblib/issues/1611).
"""

import marshal
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from nbflow.errors import UnkeyableError
from nbflow.keys import plain
from nbflow.keys.cycles import solve
from nbflow.keys.frame import NOWHERE, Frame
from nbflow.keys.nodes import Node, by_attribute, by_index, by_key, join, unnamed
from nbflow.keys.registry import Handler, find, register, register_digest

__all__ = [
    "Encoder",
    "Handler",
    "Node",
    "UnkeyableError",
    "by_attribute",
    "by_index",
    "by_key",
    "canonical",
    "content",
    "digest",
    "join",
    "register",
    "register_digest",
    "unnamed",
]

_ATOMS, _LARGE = plain.ATOMS, plain.LARGE
_STEPS = 20  # of a path in a message


def canonical(values: tuple[object, ...], names: Sequence[str] = ()) -> bytes:
    """Self-delimiting bytes for a tuple of any values, such as the arguments of a call.

    A live handle (a connection, a logger) counts by its type.

    Args:
        values: The values.
        names: What each is called, for the message of an error.

    Raises:
        UnkeyableError: One of them, or something inside it, has no content.

    >>> canonical((1,)) == canonical((True,))
    False
    """
    for value in values:
        kind = type(value)
        if kind is str or kind is bytes:
            if len(value) > _LARGE:  # type: ignore[arg-type]
                break
        elif kind not in _ATOMS or value != value:  # noqa: PLR0124 - a NaN
            break
    else:
        return plain.pack(marshal.dumps(values, 2))  # type: ignore[arg-type]
    blob = plain.dump(values)
    if blob is not None:
        return plain.pack(blob)
    return b"*" + Encoder(handles=[]).walk(
        Node(b"values", values), names or [f"values[{n}]" for n in range(len(values))]
    )


def content(value: object, name: str = "value") -> bytes:
    """16-byte digest of one value. A live handle has none.

    Args:
        value: Any value.
        name: What it is called, for the message of an error.

    Raises:
        UnkeyableError: The value, or something inside it, has no content.
    """
    return Encoder().walk(Node(b"value", (value,)), [name])


def _by_name(_encoder: "Encoder", kind: type) -> bytes:
    return join(b"class", [str(kind.__module__).encode(), kind.__qualname__.encode()])


def digest(value: object) -> str:
    """Hex digest of what a value or a function is: equal for equal content, in every process and on every Python.

    Raises:
        UnkeyableError: The value, or something inside it, has no content: a lock, an open file, a generator.

    >>> digest([1, 2]) == digest([1, 2]), digest([1, 2]) == digest([1, 2.0])
    (True, False)
    """
    return content(value).hex()


class Encoder:
    """One computation: nothing of it may be kept once the values it saw may have changed.

    Attributes:
        handles: None to refuse live handles; else a list that receives the names of their types.
    """

    identify: ClassVar[Callable[["Encoder", type], bytes]] = staticmethod(_by_name)
    """The identity of a class; `code` puts its own here, which identifies the user's classes by their code."""

    def __init__(self, *, handles: list[str] | None = None) -> None:
        self.handles = handles
        self._memo: dict[int, tuple[object, bytes]] = {}  # holds the value too, or its id might come again
        self._handlers: dict[type, Handler] = {}
        self._kinds: dict[type, bytes] = {}
        self._inside: frozenset[type] = frozenset()  # the classes whose identity is being found
        self._path: list[Frame] = []  # from the root to the value at hand
        self._above: dict[int, int] = {}  # id of each value on the path: where
        self._open: dict[int, Frame] = {}  # of this walk, those without a digest yet
        self._waiting: list[Frame] = []  # the same, in the order in which they were met
        self._up = NOWHERE  # the highest place that a walk within an encoder referred to

    def of(self, value: object) -> bytes:
        """16-byte digest of a value, for encoders: prefer to return a `Node`."""
        return self.walk(Node(b"value", (value,), label=unnamed))

    def kind(self, kind: type) -> bytes:
        """16-byte digest of what a class is; a class inside its own definition counts by name."""
        known = self._kinds.get(kind)
        if known is None:
            if kind in self._inside:
                return join(b"class above", [_full_name(kind).encode()])
            encoder = Encoder(handles=self.handles)
            encoder._inside = self._inside | {kind}
            encoder._path = self._path[:]
            known = Encoder.identify(encoder, kind)
            if not self._inside:
                self._kinds[kind] = known
        return known

    def refusal(self, value: object, why: str = "") -> UnkeyableError:
        """The error for a value without content: where it is, what it is, and what to do."""
        steps = [step for frame in self._path if (step := frame.step())]
        if len(steps) > _STEPS:
            steps[_STEPS // 2 : -_STEPS // 2] = ["…"]
        return UnkeyableError(
            f"{''.join(steps) or 'value'} has no content to make a key of: it is a {_full_name(type(value))}"
            f"{', ' + why if why else ''}",
            "pass its data instead, name it in ignore=, or give a key with cache_key_fn= or register_digest",
        )

    def walk(self, node: Node, names: Sequence[str] = ()) -> bytes:
        """16-byte digest of a node and all below it, by a stack of our own; names are those of the members."""
        base = len(self._path)
        outer = self._open, self._waiting
        self._open, self._waiting = {}, []
        root = Frame(node)
        if names:
            root.label = lambda _, index: names[index]
        self._path.append(root)
        try:
            while True:
                frame = self._path[-1]
                if self._advance(frame, base):
                    continue
                if frame is root:
                    break
                self._leave(frame)
            digest = root.digest()
        except RecursionError:
            raise self.refusal(self._path[-1].value, "nested too deeply for what takes it apart") from None
        finally:
            for frame in self._path[base:]:
                self._above.pop(id(frame.value), None)
            del self._path[base:]
            self._open, self._waiting = outer
        self._up = min(self._up, root.up)
        return digest

    def _advance(self, frame: Frame, base: int) -> bool:
        """Take in members until one has to be entered (True) or all are in (False)."""
        while True:
            for place in frame.todo:
                member = frame.member(place)
                key = id(member)
                if (known := self._memo.get(key)) is not None:
                    frame.run[place] = (known[1],)
                elif (other := self._open.get(key)) is not None:
                    frame.run[place] = other
                    frame.low = min(frame.low, other.index)
                    frame.circular = True
                elif base and (above := self._above.get(key)) is not None:
                    frame.run[place] = (base - above,)  # an encoder that called `of` is at it: so many levels up
                    frame.up = min(frame.up, above)
                elif self._enter(frame, place, member, key):
                    return True
            if not frame.more():
                return False

    def _enter(self, parent: Frame, place: int, value: Any, key: int) -> bool:
        """Encode a value at once, or put it on the path (True)."""
        kind = type(value)
        encode = self._handlers.get(kind)
        if encode is None:
            encode = self._handlers[kind] = find(kind)
        here = self._above[key] = len(self._path)
        outer, self._up = self._up, NOWHERE
        try:
            made = encode(self, value)
        except BaseException as error:
            del self._above[key]
            self._up = outer
            if isinstance(error, UnkeyableError | RecursionError | MemoryError) or not isinstance(error, Exception):
                raise
            raise self.refusal(value, f"and taking it apart raised {type(error).__name__}") from error
        up, self._up = self._up, outer
        if type(made) is Node:
            frame = Frame(made, value, len(self._waiting), up)
            self._path.append(frame)
            self._open[key] = frame
            self._waiting.append(frame)
            parent.run[place] = frame
            return True
        del self._above[key]
        parent.run[place] = (made,)
        parent.up = min(parent.up, up)
        if type(made) is bytes and up >= here:
            self._memo[key] = value, made
        return False

    def _leave(self, frame: Frame) -> None:
        """All members of a value are in: it, or the circle it was the entrance of, gets its digest."""
        self._path.pop()
        here = len(self._path)
        parent = self._path[-1]
        del self._above[id(frame.value)]
        if frame.low < frame.index:
            parent.low = min(parent.low, frame.low)
            parent.circular = True
            parent.up = min(parent.up, frame.up)
            return
        circle = self._waiting[frame.index :]
        del self._waiting[frame.index :]
        digests = solve(circle, Frame.digest) if frame.circular else [frame.digest()]
        up = min(member.up for member in circle)
        parent.up = min(parent.up, up)
        for member, digest in zip(circle, digests, strict=True):
            del self._open[id(member.value)]
            if up >= here:
                self._memo[id(member.value)] = member.value, digest
        parent.run[parent.at - parent.start] = (digests[0],)


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__
