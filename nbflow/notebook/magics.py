"""`%load_ext nbflow`: the transformers, the magics, and how they are taken away again."""

import ast
import inspect
from typing import Any

from IPython import get_ipython
from IPython.core.error import UsageError

from nbflow.notebook.transform import Wrap, mark

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def _misplaced(_: str) -> None:
    raise UsageError("%task stands on the first line of a cell, as %%task does")


def _task(line: str, cell: str) -> None:
    """Fallback."""
    __tracebackhide__ = "__ipython_bottom__"  # IPython drops this frame and all above it
    shell = get_ipython()
    source = f"get_ipython().run_line_magic('task', {line!r})\n" + shell.transform_cell(cell)
    name = shell.compile.cache(source, shell.execution_count - 1, raw_code=cell)
    tree = Wrap(shell).visit(shell.compile.ast_parse(source, name))
    code = compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | shell.compile.flags, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        raise UsageError("%%task: a body that awaits needs the cell transformer: %load_ext nbflow in this kernel")
    exec(code, shell.user_ns)  # noqa: S102 - the user's own cell


def load_ipython_extension(shell: Any) -> None:
    """Load; again changes nothing."""
    unload_ipython_extension(shell)
    shell.input_transformers_cleanup.append(mark)
    shell.ast_transformers.append(Wrap(shell))
    shell.register_magic_function(_misplaced, "line", "task")
    shell.register_magic_function(_task, "cell", "task")


def unload_ipython_extension(shell: Any) -> None:
    """Unload."""
    shell.input_transformers_cleanup[:] = [t for t in shell.input_transformers_cleanup if t is not mark]
    shell.ast_transformers[:] = [t for t in shell.ast_transformers if not isinstance(t, Wrap)]
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("task", None)
