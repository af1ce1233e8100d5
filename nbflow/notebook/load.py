"""`%load_ext nbflow` and `%unload_ext nbflow`: what is put into IPython, and how it is taken out again."""

from functools import partial
from typing import Any

from nbflow.durable.history import history
from nbflow.notebook.control import complete, nbflow
from nbflow.notebook.decide import of_a_cell
from nbflow.notebook.header import flags
from nbflow.notebook.magics import misplaced, task
from nbflow.notebook.transform import Wrap, mark
from nbflow.session import session
from nbflow.widget import attach, detach

__all__ = ["load_ipython_extension", "unload_ipython_extension"]

_MAGICS = (("line", "task", misplaced), ("cell", "task", task), ("line", "nbflow", nbflow))


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext nbflow`; a second time changes nothing."""
    unload_ipython_extension(shell)
    shell.input_transformers_cleanup.append(mark)
    shell.ast_transformers.append(Wrap(shell))
    for kind, name, function in _MAGICS:
        shell.register_magic_function(function, kind, name)
    for word in ("%%task", "%task"):
        shell.set_hook("complete_command", _flags, str_key=word)
    shell.set_hook("complete_command", _commands, str_key="%nbflow")
    setting = partial(getattr, session, "panel")
    attach(shell, session.bus, setting=setting, explain=session.explain, expect=history.expected, skip=of_a_cell)


def unload_ipython_extension(shell: Any) -> None:
    """`%unload_ext nbflow`: everything is as it was."""
    shell.input_transformers_cleanup[:] = [each for each in shell.input_transformers_cleanup if each is not mark]
    shell.ast_transformers[:] = [each for each in shell.ast_transformers if not isinstance(each, Wrap)]
    for kind, name, function in _MAGICS:
        if shell.magics_manager.magics[kind].get(name) is function:
            del shell.magics_manager.magics[kind][name]
    completers = shell.strdispatchers.get("complete_command")
    for word in ("%%task", "%task", "%nbflow"):
        if completers is not None:
            completers.strs.pop(word, None)
    detach(shell)


def _flags(_: Any, event: Any) -> list[str]:
    """Flags of `%%task` that go on from what is written."""
    return [text for text in flags if text.startswith(event.symbol)]


def _commands(_: Any, event: Any) -> list[str]:
    """What goes on in a line of `%nbflow`."""
    return complete(event.line, event.symbol)
