"""The notebook as a file: read, given its parameters, written back whole."""

import ast
import json
import keyword
import os
from collections.abc import Mapping
from pathlib import Path
from shutil import copymode
from typing import Any

import nbformat

from nbflow.errors import ConfigurationError
from nbflow.spelling import near

__all__ = ["beside", "inject", "parameter", "read", "title", "unasked", "write"]


def read(path: Path) -> Any:
    """The notebook in a file, as version 4.

    Raises:
        ConfigurationError: There is none that Python could run; one line says why.
    """
    if path.is_dir() or not path.exists():
        raise ConfigurationError(f"{path}: " + ("that is a folder" if path.is_dir() else "there is no such file"))
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{path} is not a notebook: it is not JSON") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} is not a notebook: its JSON is a {type(found).__name__}, not an object")
    try:
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # noqa: BLE001 - a file from anywhere may be wrong in any way
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise ConfigurationError(f"{path} is not a notebook: {first}") from None
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language.lower() != "python":
        raise ConfigurationError(f"{path} is a notebook in {language}; nbflow runs those in Python")
    return notebook


def parameter(text: str) -> tuple[str, Any]:
    """`name=value` as a name and a Python literal; what is no literal is text.

    Raises:
        ConfigurationError: There is no `=`, or no name before it.

    >>> parameter("months=[1, 2]"), parameter("city=New York")
    (('months', [1, 2]), ('city', 'New York'))
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigurationError(f"-p {text!r}: write NAME=VALUE, with a name that Python takes")
    try:
        return name, ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return name, value


def inject(notebook: Any, parameters: Mapping[str, Any]) -> None:
    """Add a cell that binds the parameters, where papermill puts it: behind the cell tagged `parameters`, or first.

    A cell that an earlier run injected is replaced. https://papermill.readthedocs.io/en/latest/usage-parameterize.html
    """
    if not parameters:
        return
    lines = ["# Parameters", *(f"{name} = {value!r}" for name, value in parameters.items())]
    cell = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["injected-parameters"]})
    cell["id"] = "injected-parameters"
    if notebook.nbformat_minor < 5:
        del cell["id"]
    cells = [each for each in notebook.cells if "injected-parameters" not in _tags(each)]
    place = next((i + 1 for i, each in enumerate(cells) if "parameters" in _tags(each)), 0)
    notebook.cells = [*cells[:place], cell, *cells[place:]]


def unasked(notebook: Any, parameters: Mapping[str, Any]) -> list[str]:
    """What is wrong with parameters that the cell tagged `parameters` does not bind, a line each."""
    cell = next((each for each in notebook.cells if "parameters" in _tags(each)), None)
    try:
        found = ast.walk(ast.parse("" if cell is None else cell.source))
    except SyntaxError:  # it has magics
        return []
    known = {node.id for node in found if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    what = "the cell tagged `parameters` has no such name"
    return [f"-p {name}: {what}{near(name, known)}" for name in parameters if known and name not in known]


def _tags(cell: Any) -> list[str]:
    return cell.metadata.get("tags", [])  # type: ignore[no-any-return]


def title(source: str) -> str:
    """The line that people know a cell by: its first one that is no comment."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    return next((line for line in lines if not line.startswith("#")), lines[0] if lines else "")


def beside(path: Path) -> Path:
    """Where the executed notebook goes by default: `tour.ipynb` becomes `tour.out.ipynb`."""
    return path.with_name(f"{path.stem.removesuffix('.out')}.out.ipynb")


def write(notebook: Any, path: Path) -> None:
    """Write a notebook; a reader sees the old file or the new one, never half of it.

    Raises:
        OSError: It cannot be written there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
        if path.exists():
            copymode(path, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
