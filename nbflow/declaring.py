"""How a decorator's options are spelled for type checkers and for `help`: by the fields of one class."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from nbflow.errors import ConfigurationError

if TYPE_CHECKING:
    from nbflow.options import TaskOptions
    from nbflow.tasks.task import Task

__all__ = ["declared", "spell", "spelled_by"]

P = ParamSpec("P")
R = TypeVar("R")
Spelled = ParamSpec("Spelled")


class _Decorator(Protocol[Spelled]):
    """`@task` and `@task(...)`, whose keywords are the fields of `TaskOptions`."""

    @overload
    def __call__(self, fn: Callable[P, R], /) -> "Task[P, R]": ...  # type: ignore[overload-overlap]  # no option is positional
    @overload
    def __call__(self, *args: Spelled.args, **options: Spelled.kwargs) -> "_Wraps": ...


class _Wraps(Protocol):
    def __call__(self, fn: Callable[P, R], /) -> "Task[P, R]": ...


def spelled_by(options: "Callable[Spelled, TaskOptions]") -> Callable[[Callable[..., Any]], _Decorator[Spelled]]:
    """Give a decorator the keywords of the options."""

    def wrap(decorator: Callable[..., Any]) -> _Decorator[Spelled]:
        spell(decorator, options)
        return cast("_Decorator[Spelled]", decorator)

    return wrap


def spell(decorator: Callable[..., Any], options: Callable[..., Any]) -> None:
    """Let `help` show the keywords of the options."""
    fn = inspect.Parameter("fn", inspect.Parameter.POSITIONAL_ONLY, default=None)
    keywords = list(inspect.signature(options).parameters.values())
    decorator.__signature__ = inspect.Signature([fn, *keywords])  # type: ignore[attr-defined]
    decorator.__doc__ = f"{decorator.__doc__}\n\n{inspect.getdoc(options)}"


def declared(make: Callable[..., R], *args: Any, **options: Any) -> R:
    """Make a part of a declaration; where it cannot be meant, the user's own line is all there is to show."""
    try:
        return make(*args, **options)
    except (ConfigurationError, TypeError) as error:
        raise error.with_traceback(None) from None
