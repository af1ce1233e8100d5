"""What a cell left behind, as one value: how it is stored, thawed and put into effect."""

import ast
import io
import pickle
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from nbflow.errors import UnstorableError
from nbflow.notebook import ambient
from nbflow.notebook.forms import form
from nbflow.notebook.freeze import Freezer, Surroundings, leftover
from nbflow.notebook.heap import Finder, Path
from nbflow.notebook.interrupts import undisturbed
from nbflow.notebook.places import definitions, leads_to
from nbflow.notebook.remake import Maker, needs, remember
from nbflow.notebook.replay import NotKept
from nbflow.notebook.setters import Patch, put, put_environment
from nbflow.notebook.tee import Event
from nbflow.notebook.transform import Cell
from nbflow.store.serializers import Pickle, Write

__all__ = ["CellPickle", "Recording", "put_into_effect"]


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
        patches: Attributes of modules and of their classes that it set.
        environment: Environment variables that it set; None: it removed one.
        imports: Modules that it imported.
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
    patches: list[Patch] = field(default_factory=list)
    environment: dict[str, str | None] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)


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
        statements = definitions(self.cell.body, value.names, self.around.codes)
        plain = {name: each for name, each in value.names.items() if name not in statements}
        plain = {name: each for name, each in plain.items() if not (leftover(each) and self._unfit(each))}
        values = [NotKept() if self._unfit(each) else each for each in value.values]
        buffers: list[Any] = []
        freezer = Freezer(write, self.around, buffers)
        try:
            freezer.dump((value.imports, [*statements]))
            for name, statement in statements.items():
                freezer.dump({each: plain[each] for each in sorted(needs(self.cell.body, statement) & plain.keys())})
                freezer.made.add(name)
            rest = value.changed, value.random, value.events, values, value.classes, value.marks, value.settings
            freezer.dump((plain, value.deleted, *rest, value.patches, value.environment))
        except Exception as error:  # noqa: BLE001 - whatever a value raises, that is why
            plain |= {f"settings of {name}": each for name, each in value.settings.items()}
            plain |= {f"{owner.__name__}.{name}": each for owner, name, each in value.patches}
            plain |= {str(path[0]): each for path, each in value.changed if path[0] not in plain}
            raise self._blamed(plain, error) from None
        return buffers

    def loads(self, data: Any, buffers: Sequence[Any]) -> Recording:
        """The recording again. Nothing of it is in effect yet."""
        thawer = _Thawer(io.BytesIO(data), self, buffers)
        imports, defined = thawer.load()
        for module in imports:
            if module not in sys.modules:
                import_module(module)
        maker = Maker(self.cell.body, self.namespace, self._run)
        thawer.made = maker.made
        for name in defined:
            maker.make(name, thawer.load())
        names, *rest = thawer.load()
        left = Recording({**names, **{name: maker.made[name] for name in defined}}, *rest)
        left.imports = imports
        for name, statement in maker.fresh.items():
            changed, deleted = left.classes.get(name, ({}, []))
            for attribute, value in changed.items():
                setattr(maker.made[name], attribute, value)
            for attribute in deleted:
                delattr(maker.made[name], attribute)
            remember(name, statement, maker.made[name], changed.values())
        for path, _ in left.changed:
            thawer.finder.at(path)  # all is at hand before anything is changed
        return left

    def _run(self, statement: ast.stmt, names: dict[str, Any]) -> None:
        exec(self.cell.compiled(self.filename, statement), self.namespace, names)  # noqa: S102 - the user's own code

    def _unfit(self, value: Any) -> str:
        """Why a value cannot be stored, or `""`."""
        try:
            Freezer(len, self.around, [], self.around.defined).dump(value)
        except Exception as error:  # noqa: BLE001 - whatever a value raises, that is why
            return _said(value, error)
        return ""

    def _blamed(self, names: Mapping[str, Any], error: Exception) -> UnstorableError:
        for name, value in names.items():
            if why := self._unfit(value):
                return UnstorableError(f"{name}: {why}; give it a cell of its own, or name only the others in --out")
        if isinstance(error, UnstorableError):
            return error
        return UnstorableError(f"what it leaves behind cannot be stored ({type(error).__name__}: {str(error)[:100]})")


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
        self.finder = Finder(pickles.before)
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
                return self.finder.at(where)
            case "code":
                self.codes = self.codes or leads_to(self.pickles.cell.compiled(self.pickles.filename))
                return self.codes[where]
            case "made":
                return self.made[where]
        return self.pickles.namespace


def put_into_effect(recording: Recording, namespace: dict[str, Any], before: Mapping[str, Any]) -> None:
    """Change inputs in place, bind and unbind names: all of it or, should it be interrupted, nothing."""
    finder = Finder(before)
    targets = [(finder.at(path), content) for path, content in recording.changed]
    with undisturbed():
        for obj, content in targets:
            how = form(obj)
            assert how is not None
            assert how.put is not None
            how.put(obj, content)
        namespace.update(recording.names)
        for name in recording.deleted:
            namespace.pop(name, None)
        put_environment(recording.environment)
        ambient.make(recording.settings)
        put(recording.patches)
