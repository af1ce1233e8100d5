"""What a cell left behind, as one value: how it is stored, thawed and put into effect."""

import ast
import io
import pickle
import signal
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nbflow.errors import UnstorableError
from nbflow.notebook import ambient
from nbflow.notebook.forms import form, own, same
from nbflow.notebook.freeze import Freezer, Surroundings, leftover
from nbflow.notebook.heap import Path, at
from nbflow.notebook.places import definitions, leads_to, mentioned
from nbflow.notebook.replay import NotKept
from nbflow.notebook.tee import Event
from nbflow.notebook.transform import Cell
from nbflow.store.serializers import Pickle, Write

__all__ = ["CellPickle", "Recording", "put_into_effect", "remember", "undisturbed"]


@dataclass(slots=True, eq=False)
class Recording:
    """What a cell left behind.

    Attributes:
        names: What it bound.
        deleted: Names that it unbound.
        changed: Paths of inputs that it changed, with their new content.
        random: State of the shared random generators after it, if it is to be put back.
        events: What it showed.
        values: What went through the display hook.
        classes: Classes that it changed after their statement: attributes set, attributes deleted.
        marks: What to know of it whenever it is shown.
        settings: Those of libraries that it changed.
    """

    names: dict[str, Any]
    deleted: list[str] = field(default_factory=list)
    changed: list[tuple[Path, Any]] = field(default_factory=list)
    random: Any = None
    events: list[Event] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    classes: dict[str, tuple[dict[str, Any], list[str]]] = field(default_factory=dict)
    marks: list[str] = field(default_factory=list)
    settings: ambient.Changes = field(default_factory=dict)


class CellPickle(Pickle):
    """Pickle, for what one cell leaves behind.

    Args:
        cell: The cell as its text stands now.
        filename: Under which its source is known.
        namespace: The user's globals.
        before: What they were bound to before the cell; paths of inputs start there.
    """

    name = "cell"

    def __init__(self, cell: Cell, filename: str, namespace: dict[str, Any], before: Mapping[str, Any]) -> None:
        self.cell, self.filename, self.namespace, self.before = cell, filename, namespace, before
        self.around = Surroundings(namespace, before, {}, {}, {}, frozenset(), frozenset())

    def dump(self, value: Recording, write: Write) -> list[Any]:
        """Hand the stream on in parts; first what definitions need, then all the rest.

        Raises:
            UnstorableError: Something cannot be stored; the name it belongs to is named.
        """
        statements = definitions(self.cell.body, value.names)
        needed = set().union(*map(mentioned, statements.values()))
        plain = {name: each for name, each in value.names.items() if name not in statements}
        plain = {name: each for name, each in plain.items() if not (leftover(each) and self._unfit(each))}
        values = [NotKept() if self._unfit(each) else each for each in value.values]
        buffers: list[Any] = []
        freezer = Freezer(write, self.around, buffers)
        try:
            freezer.dump((sorted(statements), {name: each for name, each in plain.items() if name in needed}))
            rest = value.changed, value.random, value.events, values, value.classes, value.marks, value.settings
            freezer.dump((plain, value.deleted, *rest))
        except Exception as error:  # noqa: BLE001 - whatever a value raises, that is why
            plain |= {f"settings of {name}": each for name, each in value.settings.items()}
            raise self._blamed(plain, error) from None
        return buffers

    def loads(self, data: Any, buffers: Sequence[Any]) -> Recording:
        """The recording again. Nothing of it is in effect yet."""
        thawer = _Thawer(io.BytesIO(data), self, buffers)
        defined, needed = thawer.load()
        thawer.made.update(needed)
        fresh = _made(self, defined, thawer.made)
        names, *rest = thawer.load()
        left = Recording({**names, **{name: thawer.made[name] for name in defined}}, *rest)
        for name, statement in fresh.items():
            changed, deleted = left.classes.get(name, ({}, []))
            for attribute, value in changed.items():
                setattr(thawer.made[name], attribute, value)
            for attribute in deleted:
                delattr(thawer.made[name], attribute)
            remember(name, statement, thawer.made[name])
        for path, _ in left.changed:
            at(self.before, path)  # all is at hand before anything is changed
        return left

    def _unfit(self, value: Any) -> str:
        """Why a value cannot be stored, or `""`."""
        try:
            Freezer(len, self.around, []).dump(value)
        except Exception as error:  # noqa: BLE001 - whatever a value raises, that is why
            return _said(value, error)
        return ""

    def _blamed(self, names: Mapping[str, Any], error: Exception) -> UnstorableError:
        for name, value in names.items():
            if why := self._unfit(value):
                return UnstorableError(f"{name}: {why}; give it a cell of its own, or name only the others in --out")
        return UnstorableError(_said(None, error))


def _said(value: Any, error: Exception) -> str:
    if isinstance(error, UnstorableError):
        return str(error)
    if isinstance(error, RecursionError):
        return f"a {type(value).__name__} nested too deeply to be stored"
    return f"a {type(value).__name__} cannot be stored ({type(error).__name__}: {str(error)[:100]})"


class _Thawer(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, pickles: CellPickle, buffers: Sequence[Any]) -> None:
        super().__init__(file, buffers=buffers)
        self.pickles = pickles
        self.made: dict[str, Any] = {}
        self.codes: Mapping[Any, types.CodeType] = {}

    def find_class(self, module: str, name: str) -> Any:
        root, _, rest = name.partition(".")
        if module != "__main__" or root not in self.made:
            return super().find_class(module, name)
        found = self.made[root]
        for part in rest.split(".") if rest else ():
            found = getattr(found, part)
        return found

    def persistent_load(self, place: Any) -> Any:
        kind, where = place
        match kind:
            case "module":
                return __import__(where, fromlist=["_"])
            case "input":
                return at(self.pickles.before, where)
            case "code":
                self.codes = self.codes or leads_to(self.pickles.cell.compiled(self.pickles.filename))
                return self.codes[where]
        return self.pickles.namespace


_live: dict[str, tuple[bytes, type | None, dict[str, Any]]] = {}
"""Name -> statement, class, what it held: classes that are still as their statement made them."""


def _made(pickles: CellPickle, names: list[str], scratch: dict[str, Any]) -> dict[str, ast.stmt]:
    """Run the statements of some names among the names that they need, and give those that had to be run.

    Nothing is bound in the namespace yet. A live class of the same text is kept, so that older instances stay its own.
    """
    fresh: dict[str, ast.stmt] = {}
    for statement in pickles.cell.body:
        for name in _targets(statement).intersection(names):
            kept = _kept(pickles.namespace.get(name), name, statement)
            if kept is None:
                exec(pickles.cell.compiled(pickles.filename, statement), pickles.namespace, scratch)  # noqa: S102 - the user's own code
                fresh[name] = statement
            else:
                scratch[name] = kept
    return fresh


def _kept(now: Any, name: str, statement: ast.stmt) -> type | None:
    text, live, held = _live.get(name, (b"", None, {}))
    return live if live is not None and now is live and text == _text(statement) and same(held, own(live)) else None


def _targets(statement: ast.stmt) -> set[str]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return {name}
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
    return set()


def _text(statement: ast.stmt) -> bytes:
    return ast.dump(statement).encode()


def remember(name: str, statement: ast.stmt, value: Any) -> None:
    """A class that a statement has just made: while it stays as it is, a hit keeps it."""
    if isinstance(value, type):
        _live[name] = _text(statement), value, own(value)


def put_into_effect(recording: Recording, namespace: dict[str, Any], before: Mapping[str, Any]) -> None:
    """Change inputs in place, bind and unbind names: all of it or, should it be interrupted, nothing."""
    targets = [(at(before, path), content) for path, content in recording.changed]
    with undisturbed():
        for obj, content in targets:
            how = form(obj)
            assert how is not None
            assert how.put is not None
            how.put(obj, content)
        namespace.update(recording.names)
        for name in recording.deleted:
            namespace.pop(name, None)
        ambient.make(recording.settings)


@contextmanager
def undisturbed() -> Iterator[None]:
    """An interrupt that comes meanwhile is raised at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)
