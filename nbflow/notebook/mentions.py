"""What transformed magic lines read from the namespace, and expressions whose strings may hold names."""

import ast
import re
from collections.abc import Iterator
from string import Formatter
from typing import NamedTuple

__all__ = ["Magic", "assigned", "magic"]

_DOLLAR = re.compile(r"(?<!\$)\$([^\W\d]\w*)")
_FLAGS = re.compile(r"^(?:\s*-\w+(?:\s+\d+(?=\s))?)+")
_SHOWS = frozenset({
    "hist", "history", "pdef", "pdoc", "pfile", "pinfo", "pinfo2", "psearch", "psource", "recall", "who", "who_ls",
    "whos",
})  # fmt: skip
"""Magics that show what is bound, or was run."""
_RUNS_CODE = frozenset({"time", "timeit", "prun", "capture"})
_FOREIGN = frozenset({
    "HTML", "SVG", "alias", "alias_magic", "autoreload", "bash", "bookmark", "cat", "cd", "cmd", "colors", "conda",
    "config", "cp", "dirs", "env", "file", "html", "javascript", "js", "latex", "less", "load_ext", "ls", "mamba",
    "man", "markdown", "matplotlib", "micromamba", "mkdir", "more", "mv", "nbflow", "perl", "pip", "popd",
    "precision", "pushd", "pwd", "pylab", "pypy", "python", "python2", "python3", "reload_ext", "rm", "rmdir",
    "ruby", "run", "script", "set_env", "sh", "svg", "sx", "system", "unload_ext", "uv", "writefile", "xmode",
})  # fmt: skip
"""Magics whose words are names of files, settings or another language. Any other may take them for Python's."""


def assigned(body: list[ast.stmt], names: set[str]) -> Iterator[ast.expr]:
    """What the statements assign to one of these names."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(target, ast.Name) and target.id in names for target in targets):
                    yield node.value


class Magic(NamedTuple):
    """What a transformed magic or shell line reads from the namespace.

    Attributes:
        code: Python sources that it runs or interpolates.
        text: Text in which a name may stand, as in `%%sql` and `%%R -i df`; `""` if it is not of that kind.
        reflects: Why what it reads cannot be known before it runs, or `""`.
    """

    code: list[str]
    text: str = ""
    reflects: str = ""


def magic(node: ast.Call) -> Magic | None:
    """What a call made by IPython's transformers reads; None for any other call.

    >>> magic(ast.parse("get_ipython().system('echo {word} $name')").body[0].value)
    Magic(code=['word', 'name'], text='', reflects='')
    """
    match node:
        case ast.Call(
            func=ast.Attribute(
                value=ast.Call(func=ast.Name(id="get_ipython"), args=[]),
                attr="run_line_magic" | "run_cell_magic" | "system" | "getoutput" as how,
            ),
            args=args,
        ) if all(isinstance(arg, ast.Constant) for arg in args):
            texts = [str(arg.value) for arg in args if isinstance(arg, ast.Constant)]
        case _:
            return None
    if how in ("system", "getoutput"):
        return Magic(_interpolated(texts[0]))
    name, line, cell = (*texts, "", "", "")[:3]
    if name in _SHOWS:
        return Magic([], reflects=f"%{name}")
    if name in _RUNS_CODE:
        code = cell if how == "run_cell_magic" else _FLAGS.sub("", line)
        return Magic([code, *(_interpolated(line) if cell else [])])
    return Magic(
        _interpolated(line),
        text="" if name in _FOREIGN else f"{line}\n{cell}",
        reflects="%run -i" if name == "run" and "-i" in line.split() else "",
    )


def _interpolated(template: str) -> list[str]:
    try:
        fields = [field for _, field, *_ in Formatter().parse(template) if field]
    except ValueError:
        fields = []  # a lone brace: IPython leaves the line alone
    return fields + _DOLLAR.findall(template)
