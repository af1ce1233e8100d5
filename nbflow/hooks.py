"""Functions of the user's that are called when something happened to a run.

They run here, in this process, one after the other. What one of them raises is logged, and changes nothing: the run
came to what it came to, and the other hooks are called.
"""

import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from nbflow.errors import ConfigurationError
from nbflow.logs import logger

__all__ = ["Hook", "checked", "finish", "run_hook"]

Hook = Callable[..., Any]


def checked(option: str, given: Any) -> tuple[Hook, ...]:
    """Hooks as an option gives them.

    Raises:
        ConfigurationError: They are no list, or one of them cannot be called.
    """
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError(f"{option}={given!r}: give a list of functions")
    hooks = tuple(given)
    for each in hooks:
        if not callable(each):
            raise ConfigurationError(f"{option} has {each!r}, which cannot be called: give a list of functions")
    return hooks


def run_hook(hook: Hook, *args: Any) -> bool:
    """Call a hook, and wait for it where it is a coroutine function; whether it ended well."""
    try:
        made = hook(*args)
        if isinstance(made, Coroutine):
            finish(made)
    except Exception:
        name = getattr(hook, "__name__", type(hook).__name__)
        logger.exception("nbflow: the hook %s() failed", name)
        return False
    return True


def finish(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The value of a coroutine, in a thread that is not asynchronous, or whose loop is held up meanwhile."""
    import asyncio  # noqa: PLC0415 - a third of our import time, which only coroutines need

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(coroutine))
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            errors.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="nbflow-hook", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
