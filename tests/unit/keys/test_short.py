"""Values in a few characters."""

import enum
import pathlib
import re
import time

import pytest

from nbflow.keys.short import redacted, short


class Colour(enum.Enum):
    RED = 1


class Thing:
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.05, "0.05"),
        (None, "None"),
        ("Paris", "'Paris'"),
        ([0.1, 2], "[0.1, 2]"),
        (list(range(1000)), "list of 1,000"),
        ({"a": 1}, "dict of 1"),
        (b"abc", "bytes of 3"),
        (10**50, "int of 167 bits"),
        (Colour.RED, "Colour.RED"),
        (pathlib.Path("a/b.csv"), "a/b.csv"),
        (len, "len()"),
        (Thing, "class Thing"),
        (re, "module re"),
        (Thing(), "Thing"),
    ],
)
def test_says_what_it_is(value: object, text: str) -> None:
    """`explain` would say that an input changed, not from what to what."""
    assert short(value) == text


def test_arrays_and_frames_by_their_size() -> None:
    """A million numbers, or an address, would be printed below a cell."""
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    assert short(numpy.zeros((1000, 3))) == "ndarray float64 1,000 × 3"
    assert short(pandas.DataFrame({"a": [1]})) == "DataFrame 1 × 1"
    assert short(numpy.float64(1.5)) == "float64 float64 1.5"
    assert short(numpy.array(["a"] * 3)) == "ndarray <U1 3"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdefghijklmnop1234567890",
        "ghp_0123456789abcdefABCDEF",
        "postgres://me:hunter2@host/db",
        "Bearer abc.def",
        "password=hunter2",
        "4f8a9c0d1e2b3a4c5d6e7f80",
        "eyJhbGciOiJIUzI1NiJ9.x.y",
    ],
)
def test_keeps_secrets(secret: str) -> None:
    """A key of an API would be written into the history, and into a notebook that is committed."""
    assert secret not in short(secret)
    assert short(secret) == f"str of {len(secret)}"
    assert secret not in short([secret])
    assert secret not in short({secret: secret})
    assert redacted(repr(secret)) == "str"


@pytest.mark.parametrize(
    "name", ["password", "db_passwd", "API_KEY", "apikey", "token", "auth", "client_secret", "keys"]
)
def test_text_that_is_called_a_secret_is_none_to_show(name: str) -> None:
    """A password looks like any other word: only its name tells."""
    assert short("correct", name) == "str of 7"
    assert short(3, name) == "3"


@pytest.mark.parametrize("name", ["author", "keyboard", "city", "", "the key", "--key"])
def test_other_names_hide_nothing(name: str) -> None:
    """`explain` would not tell from what to what an input changed."""
    assert short("Paris", name) == "'Paris'"


@pytest.mark.parametrize(
    "part", ["'Paris'", '"it\'s"', 3, None, "list[3]", "'" + "x y " * 14 + "xxx", "'http://h:80/a"]
)
def test_arguments_are_shown_as_they_are(part: object) -> None:
    """A panel would tell all steps of a task by the same name."""
    assert redacted(part) == part


def test_a_password_may_be_cut() -> None:
    """What is behind the cut tells that an address has a password in it."""
    assert redacted(repr("postgres://me:" + "x" * 99 + "@host")[:60]) == "str"


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1000,
        list(range(9)),
        [10**40] * 8,
        [10**5000],
        Thing(),
        pathlib.Path("a\nb"),
        1e300 + 1e300j,
        pathlib.Path("a" * 100),
    ],
)
def test_is_short_and_without_address(value: object) -> None:
    """A row of the panel would break over several lines."""
    assert len(short(value)) <= 40
    assert "0x" not in short(value)
    assert "\n" not in short(value)


def test_keeps_secrets_in_libraries_scalars() -> None:
    """A key of an API read with NumPy would be written into the history."""
    numpy = pytest.importorskip("numpy")
    for value in (
        numpy.str_("hunter2"),
        numpy.array("hunter2"),
        numpy.array("hunter2", object),
        numpy.void(b"hunter2"),
    ):
        assert "hunter2" not in short(value)


def test_a_column_named_shape() -> None:
    """A cell would fail because of what one of its columns is called."""
    pandas = pytest.importorskip("pandas")
    assert short(pandas.DataFrame({"shape": [1], "a": [2]}).groupby("a")) == "DataFrameGroupBy"


@pytest.mark.parametrize("text", ["x" * 50_000_000, "://" + ":" * 100_000, "://" * 100_000])
def test_long_text_takes_no_time(text: str) -> None:
    """A step would search a text of many MB, or one of many colons, for secrets that it does not show."""
    start = time.process_time()
    short(text)
    assert time.process_time() - start < 0.2
