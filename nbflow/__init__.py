"""nbflow: notebooks that restart where they stopped.

Put `%%task` before a cell or `@task` above a function: the result is kept on disk under a key made of the
code and the data that it depends on, flaky calls are retried, and a panel shows every step.

    %load_ext nbflow

    from nbflow import task

    @task(retries=5, retry_delay_seconds=[5, 10, 20], cache_expiration="1d")
    def fetch(url): ...

    fetch(url)          # runs, or comes back from disk
    fetch.map(urls)     # the same on threads; a bad item never takes the others down
"""

from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbflow.api import *  # noqa: F403 - what __getattr__ finds, for type checkers

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Find a public name, and `__all__`, when it is first used: `import nbflow` itself costs next to nothing."""
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module 'nbflow' has no attribute {name!r}")
    if PathFinder.find_spec(f"nbflow.{name}", __path__):  # noqa: F405 - the import system sets it; one module of ours does not need all the others
        raise AttributeError(f"module 'nbflow.{name}' is not imported yet")
    api = import_module("nbflow.api")
    if name != "__all__" and name not in api.__all__:
        raise AttributeError(f"module 'nbflow' has no attribute {name!r}")
    value = globals()[name] = getattr(api, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext nbflow`: the magics, the panel."""
    import_module("nbflow.notebook").load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """`%unload_ext nbflow`: everything is put back."""
    import_module("nbflow.notebook").unload_ipython_extension(shell)
