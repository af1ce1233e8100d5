"""`%%task` as a plain magic, for callers that go round the transformers, and its help."""

import ast
import inspect
from typing import Any

from IPython import get_ipython
from IPython.core.error import UsageError

from nbflow.notebook.header import flags
from nbflow.notebook.transform import Wrap

__all__ = ["misplaced", "task"]

_HELP = """Keep what this cell computes, and retry it.

    %%task [NAME] [flags]

The first run is an ordinary run. Later ones, in this kernel or after a restart, bring back the names it bound,
what it printed and plotted, and Out, in milliseconds, as long as its code, its inputs, the helpers it calls and the
files it read are the same. Comments and formatting do not count. `%task ...` on the first line does the same.

{flags}

DUR is 90, 90s, 2h30m or 1d. Flags take $name and {{expression}} from the namespace. NAME is what listings call the
cell: by default the first name it binds.

    %%task prices --retries 4 --retry-delay exp:1..60 --timeout 30s --expires 1d
    prices = fetch(URL)
"""


def task(line: str, cell: str) -> None:
    """Run a cell as the transformers would; only top-level `await` needs them."""
    __tracebackhide__ = "__ipython_bottom__"  # IPython drops this frame and all above it
    shell: Any = get_ipython()
    source = f"get_ipython().run_line_magic('task', {line!r})\n" + shell.transform_cell(cell)
    name = shell.compile.cache(source, shell.execution_count - 1, raw_code=cell)
    tree = Wrap(shell).visit(shell.compile.ast_parse(source, name))
    assert isinstance(tree, ast.Module)
    code = compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | shell.compile.flags, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        raise UsageError("%%task: a body that awaits needs the cell transformer: %load_ext nbflow in this kernel")
    exec(code, shell.user_ns)  # noqa: S102 - the user's own cell


def misplaced(_: str) -> None:
    """Refuse `%task` anywhere but on the first line."""
    raise UsageError("%task is for the first line of a cell, as %%task is: move it there")


def help_text() -> str:
    """All that `%%task?` says."""
    width = max(len(flag.usage) for flag in flags.values())
    lines = [f"    {flag.usage:<{width}}  {flag.help}" for flag in flags.values()]
    return _HELP.format(flags="\n".join(lines))


task.__doc__ = misplaced.__doc__ = help_text()
