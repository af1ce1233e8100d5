"""Binding arguments as Python does."""

import inspect
import re

import pytest

from nbflow.errors import ConfigurationError
from nbflow.keys.binder import binder

MUTABLE = []


def plain(a, b=2, *rest, c=3, **more): ...
def only(a, /, b, *, c): ...
def none(): ...
def keywords(*, a=1, b): ...
def positional(a, b=MUTABLE, /): ...
def annotated(a: 1 / 1 = object, *, b: print = print) -> len: ...
async def later(a, b=2): ...


class Model:
    def __init__(self, rate, *, deep=True): ...
    def fit(self, x, y=None): ...
    @classmethod
    def load(cls, path): ...
    @staticmethod
    def one(a): ...
    def __call__(self, x): ...


FUNCTIONS = [plain, only, none, keywords, positional, annotated, later, lambda x, *y: None]
CALLS = [((), {}), ((1,), {}), ((1, 2), {}), ((1, 2, 3), {}), ((1,), {"b": 5}), ((1,), {"z": 1, "b": 2, "y": 3}), ((), {"a": 1}), ((1,), {"a": 1}),
         ((1, 2), {"c": 3}), ((), {"b": 1}), ((1, 2, 3), {"c": 9, "q": 1}), ((), {"nope": 1})]  # fmt: skip


@pytest.mark.parametrize("fn", FUNCTIONS)
@pytest.mark.parametrize("call", CALLS)
def test_binds_as_python_does(fn, call):
    """A call that Python accepts is refused, or the other way round, or arguments land at other parameters."""
    args, kwargs = call
    bind = binder(fn)
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs)
        bound.apply_defaults()
        expected = tuple(bound.arguments.values())
    except TypeError:
        try:
            fn(*args, **kwargs)
        except TypeError as error:
            with pytest.raises(TypeError, match=re.escape(str(error))):
                bind(*args, **kwargs)
            return
        raise
    assert bind(*args, **kwargs) == expected
    assert bind.names == tuple(inspect.signature(fn).parameters)


def test_order_of_keywords_is_kept():
    """A frame built from **columns gets another order of columns from the cache."""
    assert list(binder(plain)(1, z=1, y=2)[-1]) == ["z", "y"]


def test_defaults_are_the_very_objects():
    """A default that is compared by identity is not recognised."""
    assert binder(positional)(1)[1] is MUTABLE
    assert binder(annotated)() == (object, print)


def test_methods():
    """A method as a task takes its first argument for self, or counts its arguments wrongly in messages."""
    model = Model(1)
    assert binder(model.fit)(1) == (1, None)
    assert binder(model.fit).names == ("x", "y")
    assert binder(Model.load)("p") == ("p",)
    assert binder(Model.one)(1) == (1,)
    assert binder(model)(1) == (1,)
    assert binder(Model)(1) == (1, True)
    assert binder(Model.fit).names == ("self", "x", "y")
    for call in ((), (1, 2, 3)):
        with pytest.raises(TypeError) as theirs:
            model.fit(*call)
        with pytest.raises(TypeError, match=re.escape(str(theirs.value))):
            binder(model.fit)(*call)


def test_no_signature():
    """The reason why a function written in C cannot be a task stays unknown."""
    for fn in (max, dict):
        with pytest.raises(ConfigurationError, match="wrap it"):
            binder(fn)


def test_partial():
    """Arguments that a partial fixes are asked for again."""
    import functools

    bind = binder(functools.partial(plain, 1, c=5))
    assert bind(3) == (3, (), 5, {})
