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
_RUN = 1024  # members of a node that are written by one call
_NOWHERE = 1 << 60
_NAN = ...  # stands for every NaN of Python: their payloads cannot be told apart by ordinary means


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
        elif kind not in _ATOMS or value != value:
            break
    else:
        return plain.pack(marshal.dumps(values, 2))
    blob = plain.dump(values)
    if blob is not None:
        return plain.pack(blob)
    return b"*" + Encoder(handles=[]).walk(Node(b"values", values), names or [f"values[{n}]" for n in range(len(values))])


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
        self._path: list[_Frame] = []  # from the root to the value at hand
        self._above: dict[int, int] = {}  # id of each value on the path: where
        self._open: dict[int, _Frame] = {}  # of this walk, those without a digest yet
        self._waiting: list[_Frame] = []  # the same, in the order in which they were met

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
        steps = [frame.step() for frame in self._path]
        return UnkeyableError(
            f"{''.join(steps) or 'value'} has no content to make a key of: it is a {_full_name(type(value))}"
            f"{', ' + why if why else ''}; pass its data instead, name it in ignore=, "
            "or give it a key with key= or register_digest"
        )

    def walk(self, node: Node, names: Sequence[str] = ()) -> bytes:
        """16-byte digest of a node and all below it, by a stack of our own; names are those of the members."""
        base = len(self._path)
        outer = self._open, self._waiting
        self._open, self._waiting = {}, []
        root = _Frame(node)
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
            digest = root.digest(_no_other)
        except RecursionError:
            raise self.refusal(None, "nested too deeply") from None
        finally:
            for frame in self._path[base:]:
                self._above.pop(id(frame.value), None)
            del self._path[base:]
            self._open, self._waiting = outer
        if base:
            self._path[-1].up = min(self._path[-1].up, root.up)
        return digest

    def _advance(self, frame: "_Frame", base: int) -> bool:
        """Take in members until one has to be entered (True) or all are in (False)."""
        members, ordered = frame.members, frame.ordered
        while True:
            if frame.at == frame.end:
                frame.cut()
                if frame.at == len(members):
                    return False
                frame.end = min(frame.at + _RUN, len(members)) if ordered else len(members)
                if ordered:
                    some = [*members[frame.at : frame.end]]
                    blob = plain.dump(some)
                    if blob is not None:
                        frame.parts.append(plain.pack(blob))
                        frame.at = frame.end
                        continue
                    kinds = {*map(type, some)}
                    if kinds <= _ATOMS and not (bytes in kinds and plain.has_large(some)):
                        frame.run = [member if member == member else _NAN for member in some]
                        frame.at = frame.end
                        continue
            run = frame.run
            for place in range(frame.at, frame.end):
                member = members[place]
                kind = type(member)
                if kind in _ATOMS and not ((kind is str or kind is bytes) and len(member) > _LARGE):
                    run.append(member if member == member else _NAN)
                    continue
                frame.at = place
                if not self._take(frame, member, base):
                    return True
            frame.at = frame.end

    def _take(self, frame: "_Frame", member: Any, base: int) -> bool:
        """Add what is known of a member; False if it has been entered instead."""
        key = id(member)
        known = self._memo.get(key)
        if known is not None:
            frame.run.append((known[1],))
            return True
        other = self._open.get(key)
        if other is not None:
            frame.run.append(other)
            frame.low = min(frame.low, other.index)
            frame.circular = True
            return True
        above = self._above.get(key)
        if above is not None:  # it is being encoded by an encoder that called `of`: so many levels up
            frame.run.append((base - above,))
            frame.up = min(frame.up, above)
            return True
        return self._enter(frame, member, key)

    def _enter(self, parent: "_Frame", value: Any, key: int) -> bool:
        kind = type(value)
        encode = self._handlers.get(kind)
        if encode is None:
            encode = self._handlers[kind] = find(kind)
        here = len(self._path)
        frame = _Frame(_NOTHING, value)
        self._path.append(frame)
        self._above[key] = here
        try:
            made = encode(self, value)
        except (UnkeyableError, RecursionError, MemoryError):
            raise
        except Exception as error:
            raise self.refusal(value, f"and taking it apart raised {type(error).__name__}") from error
        if type(made) is not bytes:
            frame.open(made, len(self._waiting))
            self._open[key] = frame
            self._waiting.append(frame)
            parent.run.append(frame)
            return False
        self._path.pop()
        del self._above[key]
        parent.run.append((made,))
        parent.up = min(parent.up, frame.up)
        if frame.up >= here:
            self._memo[key] = value, made
        return True

    def _leave(self, frame: "_Frame") -> None:
        """All members of a value are in: it, or the circle it was the entrance of, gets its digest."""
        self._path.pop()
        here = len(self._path)
        parent = self._path[-1]
        parent.at += 1
        del self._above[id(frame.value)]
        if frame.low < frame.index:
            parent.low = min(parent.low, frame.low)
            parent.circular = True
            parent.up = min(parent.up, frame.up)
            return
        circle = self._waiting[frame.index :]
        del self._waiting[frame.index :]
        digests = solve(circle, _Frame.digest) if frame.circular else [frame.digest(_no_other)]
        up = min(member.up for member in circle)
        parent.up = min(parent.up, up)
        for member, digest in zip(circle, digests, strict=True):
            del self._open[id(member.value)]
            if up >= here:
                self._memo[id(member.value)] = member.value, digest
        parent.run[-1] = (digests[0],)


class _Frame:
    """A value whose members are being taken in, or that waits for the others of its circle."""

    __slots__ = ("at", "circular", "end", "index", "label", "low", "members", "ordered", "parts", "run", "tag", "up", "value")

    def __init__(self, node: Node, value: object = None) -> None:
        self.value = value
        self.up = _NOWHERE  # the highest place on the path that something below refers to by its level
        self.at = self.end = 0  # members before `at` are in; the run ends at `end`
        self.run: list[Any] = []  # atoms stand for themselves, `(digest,)` and frames for the others
        self.parts: list[bytes | list[Any]] = []
        self.circular = False
        self.open(node, 0)

    def open(self, node: Node, index: int) -> None:
        self.tag, self.members, self.ordered, self.label = node
        self.index = self.low = index  # as in Tarjan's algorithm, https://doi.org/10.1137/0201010

    def step(self) -> str:
        """The member at hand, as a path is written."""
        return self.label(self.members, self.at) if self.at < len(self.members) else ""

    def cut(self) -> None:
        """End a run."""
        if self.run:
            self.parts.append(self.run if self.circular else self._written(self.run))
            self.run = []

    def digest(self, resolve: Callable[["_Frame"], bytes]) -> bytes:
        """Of tag and members, with what `resolve` says for those that have no digest yet."""
        parts = []
        for part in self.parts:
            if type(part) is list:
                part = self._written([(resolve(m), None) if type(m) is _Frame else m for m in part])
            parts.append(part)
        return join(self.tag, parts)

    def _written(self, run: list[Any]) -> bytes:
        if self.ordered:
            return b"." + plain.pack(marshal.dumps(run, 2))
        return b"." + plain.pack(marshal.dumps(sorted([marshal.dumps(member, 2) for member in run]), 2))


_NOTHING = Node(b"", ())


def _no_other(_: _Frame) -> bytes:
    raise AssertionError


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__
