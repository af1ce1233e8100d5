"""How a decorator's options are spelled for type checkers and for `help`: by the fields of one class."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from nbflow.errors import ConfigurationError

if TYPE_CHECKING:
    from nbflow.options import TaskOptions
    from nbflow.tasks.task import Task

__all__ = ["FN", "declared", "spell", "spelled_by"]

FN = inspect.Parameter("fn", inspect.Parameter.POSITIONAL_ONLY, default=None)
"""What a decorator takes besides its options."""

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
        spell(decorator, options, FN)
        return cast("_Decorator[Spelled]", decorator)

    return wrap


def spell(taker: Callable[..., Any], options: Callable[..., Any], *first: inspect.Parameter) -> None:
    """Let `help` show the keywords of the options, behind what stands first."""
    keywords = list(inspect.signature(options).parameters.values())
    taker.__signature__ = inspect.Signature([*first, *keywords])  # type: ignore[attr-defined]
    taker.__doc__ = f"{inspect.getdoc(taker)}\n\n{inspect.getdoc(options)}"


def declared(make: Callable[..., R], *args: Any, **options: Any) -> R:
    """Make a part of a declaration; where it cannot be meant, the user's own line is all there is to show."""
    try:
        return make(*args, **options)
    except (ConfigurationError, TypeError) as error:
        raise error.with_traceback(None) from None
