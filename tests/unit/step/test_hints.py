"""Who asks for another attempt: `raise Retry`, and `Retry-After` wherever a library keeps it."""

import email.message
import io
import pickle
import urllib.error
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
import requests

from nbflow.errors import DurationError
from nbflow.step.hints import Retry, asked_by_server, behind, explicit

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


def with_headers(headers):
    error = OSError("503")
    error.response = SimpleNamespace(headers=headers)
    return error


def of_requests(value):
    response = requests.Response()
    response.status_code, response.headers["Retry-After"] = 503, value
    return requests.HTTPError("503", response=response)


def of_httpx(value):
    request = httpx.Request("GET", "http://127.0.0.1/")
    return httpx.HTTPStatusError("503", request=request, response=httpx.Response(503, headers={"retry-after": value}))


def of_urllib(value):
    headers = email.message.Message()
    headers["Retry-After"] = value
    return urllib.error.HTTPError("http://127.0.0.1/", 503, "busy", headers, io.BytesIO())


def of_aiohttp(value):
    error = OSError("503")
    error.headers = {"RETRY-AFTER": value}
    return error


def of_botocore(value):
    error = OSError("SlowDown")
    error.response = {"ResponseMetadata": {"HTTPHeaders": {"retry-after": value}}}
    return error


def wrapped(value):
    try:
        raise ValueError("no rows") from of_requests(value)
    except ValueError as error:
        return error


def grouped(value):
    return ExceptionGroup("all failed", [OSError(), of_requests("3"), of_httpx(value)])


@pytest.mark.parametrize("made", [of_requests, of_httpx, of_urllib, of_aiohttp, of_botocore, wrapped, grouped])
def test_it_is_found_where_each_library_keeps_it(made):
    """A server that says when to come back would be asked again at once, and lock the user out."""
    assert asked_by_server(made("120"), NOW) == 120


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", 120.0),
        (" 120 ", 120.0),
        (b"120", 120.0),
        (120, 120.0),
        ("0", 0.0),
        ("Fri, 15 Jan 2027 08:02:00 GMT", 120.0),
        ("Friday, 15-Jan-27 08:02:00 GMT", 120.0),
        ("Fri Jan 15 08:02:00 2027", 120.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("99999999999999999999999", 999999999999.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Fri, 99 Jan 2027 08:02:00 GMT", None),
        ("١٢", None),
    ],
)
def test_whole_seconds_and_dates_count_and_nothing_else(value, wait):
    """A wait would be negative, or the step fail by an error about a header."""
    assert asked_by_server(with_headers({"Retry-After": value}), NOW) == wait


@pytest.mark.parametrize("headers", [{}, None, 7, [("Retry-After", "9")], {"X": "1"}])
def test_headers_of_any_kind_are_no_trouble(headers):
    """An unusual client library would turn a 503 into an AttributeError."""
    assert asked_by_server(with_headers(headers), NOW) is None
    assert asked_by_server(OSError(), NOW) is None


def test_causes_in_a_circle_end():
    """A step would hang in the search for a header."""
    one, other = OSError(), OSError()
    one.__cause__, other.__cause__ = other, one
    assert asked_by_server(one, NOW) is None


@pytest.mark.parametrize("after", [90, 90.0, "90", "1m30s", timedelta(seconds=90)])
def test_retry_takes_every_form_of_a_duration(after):
    """`raise Retry(after="90s")` would wait something else than the options would."""
    assert Retry(after=after).after == 90.0
    assert str(Retry(after=after)) == "asked to be tried again in 1 min 30 s"


@pytest.mark.parametrize("after", [-1, "soon", True, float("nan"), float("inf")])
def test_retry_refuses_what_is_no_duration(after):
    """A typo would retry at once, or never."""
    with pytest.raises(DurationError, match="after"):
        Retry(after=after)


def test_retry_pickles():
    """A retry asked for in a worker process would arrive as another error, or without its time."""
    there = pickle.loads(pickle.dumps(Retry("not yet", after=3)))
    assert (str(there), there.after) == ("not yet", 3.0)


def test_what_is_behind_an_error():
    """After the last attempt one would see that a retry was asked for, and not why."""

    def chained(raised):
        try:
            try:
                raise KeyError("x")
            except KeyError as error:
                raised(error)
        except Retry as error:
            return error

    def plainly(_):
        raise Retry

    def by_cause(error):
        raise Retry from error

    def by_none(_):
        raise Retry from None

    assert isinstance(behind(chained(plainly)), KeyError) and isinstance(behind(chained(by_cause)), KeyError)
    assert behind(chained(by_none)) is None and behind(OSError()) is None
    one = Retry()
    assert explicit(ExceptionGroup("x", [OSError(), ExceptionGroup("y", [one])])) == [one] and explicit(OSError()) == []
