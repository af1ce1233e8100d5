"""Words around an argument that say how it is taken: as it is, as one value for all, failures and all.

Also the set of everything among arguments that stands for something else: while it is empty, as it is in most
programs, no argument has to be searched.
"""

from functools import partial
from typing import Any
from weakref import ref

__all__ = ["Annotation", "alive", "allow_failure", "note", "opaque", "quote", "unmapped"]

alive: "dict[int, ref[Any]]" = {}
"""All futures, states and annotations of this process, each by its identity: two that are equal are still two."""


def note(thing: Any) -> None:
    """Count one among those, for as long as it lives."""
    name = object.__hash__(thing)  # every call of `id` is told to audit hooks
    alive[name] = ref(thing, partial(alive.pop, name))  # in C alone, as whatever is called when something dies


class Annotation:
    """An argument with a word around it; a task gets the argument without it."""

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        note(self)

    def __repr__(self) -> str:
        """`unmapped([1, 2])`."""
        return f"{type(self).__name__}({self.value!r})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and bool(self.value == other.value)

    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew, so that the process that it comes to knows of it."""
        return type(self), (self.value,)


class unmapped(Annotation):  # noqa: N801 - Prefect's name, read as a word beside an argument, as those below
    """An argument that `map` gives to every item as it is.

    >>> from nbflow import task
    >>> task(pow).map([2, 3], unmapped(2)).result()
    [4, 9]
    """

    __slots__ = ()


class allow_failure(Annotation):  # noqa: N801
    """A future as an argument: should it fail, its exception is passed in place of its value.

    In a list, a dict or a future of a list, that holds for each future within.

    >>> from nbflow import task
    >>> task(repr).submit(allow_failure(task(ord).submit("ten"))).result()
    "TypeError('ord() expected a character, but string of length 3 found')"
    """

    __slots__ = ()


class quote(Annotation):  # noqa: N801
    """An argument that is passed as it is, and never searched for futures: they arrive as futures.

    >>> from nbflow import task
    >>> task(persist_result=False)(len).submit(quote(task(abs).map([-1, -2]))).result()
    2
    """

    __slots__ = ()


class opaque(Annotation):  # noqa: N801
    """A future as an argument that is resolved, or a large collection that is not searched for futures."""

    __slots__ = ()
