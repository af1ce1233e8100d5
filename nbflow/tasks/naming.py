"""What a run is called: a template of its parameters, or a function that gives a text."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nbflow.logs import warn

__all__ = ["run_name"]


def run_name(given: str | Callable[..., str] | None, parameters: Mapping[str, Any], otherwise: str) -> str:
    """The name of one run.

    Args:
        given: A template such as `"load-{day}"`, or a function; it is called with the parameters where it has a
            parameter of that name, else without arguments.
        parameters: By name.
        otherwise: The name where none is given, and, with a warning, where a template does not fit the parameters.

    Raises:
        TypeError: The function gave something else than a text.
    """
    if given is None:
        return otherwise
    if isinstance(given, str):
        try:
            return given.format(**parameters)
        except Exception as error:  # noqa: BLE001 - it runs the user's own __format__; a name is no reason to fail
            warn(f"{otherwise}: the run is not called {given!r}: {type(error).__name__}: {error}")
            return otherwise
    takes = "parameters" in inspect.signature(given).parameters
    made: Any = given(parameters=dict(parameters)) if takes else given()
    if not isinstance(made, str):
        name = getattr(given, "__name__", type(given).__name__)
        raise TypeError(f"{name}() names the runs of {otherwise}, and returned a {type(made).__name__}: return a text")
    return made
