"""The line after `%%task`."""

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from IPython.core.error import UsageError

from nbflow.notebook.header import CellOptions, flags, parse
from nbflow.options import TaskOptions

SPACE = {
    "ttl": timedelta(days=1),
    "n": 3,
    "delays": [1, 5],
    "word": "feed",
    "errors": (OSError, KeyError),
    "paths": ["a.csv", Path("b.csv")],
}


def test_every_flag_of_an_option_is_known_and_documented():
    """An option that grows a flag must not wait for a second list to be edited."""
    wanted = {
        f.metadata["flag"] for owner in (TaskOptions, CellOptions) for f in fields(owner) if f.metadata.get("flag")
    }
    assert set(flags) == wanted
    assert all(flag.help and flag.usage.startswith(flag.text) for flag in flags.values())


@pytest.mark.parametrize(
    ("header", "option", "value"),
    [
        ("prices", "name", "prices"),
        ("'two words'", "name", "two words"),
        ("$word-$n", "name", "feed-3"),
        ("--retries 4", "retries", 4),
        ("--retries=4", "retries", 4),
        ("--retries {n + 1}", "retries", 4),
        ("--file a.csv", "files", ("a.csv",)),
        ("prices --file a.csv 'b c.csv' --retries 2 --file=$word.csv", "files", ("a.csv", "b c.csv", "feed.csv")),
        ("--file $paths {word}.txt", "files", ("a.csv", "b.csv", "feed.txt")),
        ("--retry-delay 1,5,30", "retry_delay_seconds", [1.0, 5.0, 30.0]),
        ("--retry-delay $delays", "retry_delay_seconds", [1, 5]),
        ("--jitter 0.5", "retry_jitter_factor", 0.5),
        ("--retry-on KeyError,requests.Timeout", "retry_on", ("KeyError", "requests.Timeout")),
        ("--give-up-on $errors", "give_up_on", (OSError, KeyError)),
        ("--timeout 30s", "timeout_seconds", 30.0),
        ("--deadline 2h30m", "deadline_seconds", 9000.0),
        ("--expires 1d", "cache_expiration", 86400.0),
        ("--expires $ttl", "cache_expiration", timedelta(days=1)),
        ("--refresh", "refresh_cache", True),
        ("--no-cache", "persist_result", False),
    ],
)
def test_options_of_the_step(header, option, value):
    """A flag that sets another option than its name says would be found out in production."""
    assert getattr(parse(header, SPACE).task, option) == value


@pytest.mark.parametrize(
    ("header", "option", "value"),
    [
        ("--in a,b --in c", "inputs", ("a", "b", "c")),
        ("--ignore a", "ignore", ("a",)),
        ("--out x,y", "out", ("x", "y")),
        ("", "out", None),
        ("--key 'len(df), {1: 2}'", "key", "len(df), {1: 2}"),
        ("--store-if \"result['ok']\"", "store_if", "result['ok']"),
        ("--rollback", "rollback", True),
        ("--output last", "output", "last"),
        ("", "output", "all"),
        ("--explain", "explain", True),
    ],
)
def test_options_of_the_cell(header, option, value):
    """As above."""
    assert getattr(parse(header, SPACE), option) == value


def test_a_delay_that_doubles():
    """`exp:1..60` is what a flaky service is polled with."""
    assert type(parse("--retry-delay exp:1..60", {}).task.retry_delay_seconds).__name__ == "wait_exponential"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("--retires 3", "there is no flag --retires; did you mean '--retries'?"),
        ("--frobnicate", "there is no flag --frobnicate; %%task? lists them"),
        ("--file", "--file needs a value: --file P..."),
        ("--file $n", "--file (3,): give a list of paths"),
        ("--expires soon", "--expires: 'soon' is not a duration"),
        ("--expires -1", "--expires"),
        ("--retries -1", "--retries -1: give a whole number"),
        ("--retries many", "--retries: 'many' is not a whole number"),
        ("--retries", "--retries needs a value: --retries N"),
        ("--retries --refresh", "--retries needs a value"),
        ("--refresh=1", "--refresh takes no value"),
        ("--timeout 0", "--timeout"),
        ("--jitter -1", "--jitter -1.0: give a number, 0 or more"),
        ("--output most", "--output: 'most' is none of all, last, none"),
        ("--key 'x +'", "--key: 'x +' is not an expression"),
        ("--out 'a b'", "--out: 'a b' is not a name"),
        ("--expires $missing", "--expires: $missing: name 'missing' is not defined"),
        ("--retries {1/0}", "--retries: {1/0}: division by zero"),
        ("--retry-on $n", "--retry-on 3"),
        ("--retry-delay 1,,2", "%%task: --retry-delay '' is not a duration"),
        ("--in $n", "--in: '3' is not a name"),
        ("--output $n", "--output: '3' is none of all, last, none"),
        ("one two", "'two' comes after the name 'one'"),
        ("'open", "No closing quotation"),
    ],
)
def test_what_cannot_be_meant(header, words):
    """One line, naming the flag, before anything runs."""
    with pytest.raises(UsageError) as raised:
        parse(header, SPACE)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_expression_in_the_header_binds_nothing():
    """Reading a header must not change the notebook."""
    space = dict(SPACE)
    parse("--retries {(m := n)}", space)
    assert space == SPACE
