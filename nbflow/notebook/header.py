"""The line after `%%task`: a name and flags, to options. The flags are spelled where the options are.

Quotes work as in a shell. `$name` and `{expression}` are taken from the namespace; a word that is nothing
else passes the value itself, so that `--expires $ttl` may be a timedelta. What is an expression already
(`--key`, `--store-if`) is left alone.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import lru_cache
from typing import Any, NoReturn

from IPython.core.error import UsageError

from nbflow.errors import ConfigurationError
from nbflow.options import TaskOptions, option, parse_names
from nbflow.spelling import near

__all__ = ["CellOptions", "Flag", "flags", "parse"]

OUTPUTS = ("all", "last", "none")


def _parse_output(text: str) -> str:
    if text not in OUTPUTS:
        raise ConfigurationError(f"{text!r} is none of {', '.join(OUTPUTS)}")
    return text


def _parse_expression(text: str) -> str:
    try:
        compile(text, "<flag>", "eval")
    except (SyntaxError, ValueError) as error:
        raise ConfigurationError(f"{text!r} is not an expression: {getattr(error, 'msg', error)}") from None
    return text


def _parse_identifiers(text: str) -> tuple[str, ...]:
    names = parse_names(text)
    for name in names:
        if not name.isidentifier():
            raise ConfigurationError(f"{name!r} is not a name")
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOptions:
    """What only a cell can be asked, beside the options of its step.

    Attributes:
        task: The options that cells share with functions.
        inputs: Names that count as inputs whatever the code says.
        ignore: Inputs that are left out of the key.
        out: Only these names are kept; None keeps all.
        key: An expression whose value stands for the values of all inputs.
        store_if: An expression that must be true of the results, or they are not kept.
        rollback: On final failure, names and changed inputs get back their values from before the cell.
        output: What a hit shows: `all`, the `last` result only, or `none`.
        explain: Say what would happen and why; run nothing.
    """

    task: TaskOptions = field(default_factory=TaskOptions)
    inputs: tuple[str, ...] = option((), "--in", _parse_identifiers, "also count these names as inputs", metavar="A,B")
    ignore: tuple[str, ...] = option((), "--ignore", _parse_identifiers, "leave these inputs out", metavar="A,B")
    out: tuple[str, ...] | None = option(None, "--out", _parse_identifiers, "keep only these names", metavar="X,Y")
    key: str | None = option(
        None, "--key", _parse_expression, "the value of EXPR stands for all inputs", metavar="EXPR", expression=True
    )
    store_if: str | None = option(
        None, "--store-if", _parse_expression, "keep the result only if EXPR is true", metavar="EXPR", expression=True
    )
    rollback: bool = option(
        default=False,
        flag="--rollback",
        parse=None,
        help="on final failure, put back what was there before",
        value=True,
    )
    output: str = option("all", "--output", _parse_output, "what a hit shows: all, last or none", metavar="WHAT")
    explain: bool = option(
        default=False, flag="--explain", parse=None, help="say what would happen and why; run nothing", value=True
    )


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its spelling, the option it sets, how, and the words for its help."""

    text: str
    option: str
    of_task: bool
    parse: Callable[[str], Any] | None
    value: Any
    help: str
    metavar: str
    expression: bool
    many: bool

    @property
    def usage(self) -> str:
        """The flag with what it takes."""
        return f"{self.text} {self.metavar}" if self.parse else self.text


def _flags() -> Iterator[Flag]:
    for owner in (TaskOptions, CellOptions):
        for each in fields(owner):
            if each.metadata.get("flag"):
                yield _flag_of(each, of_task=owner is TaskOptions)


def _flag_of(option: Field[Any], *, of_task: bool) -> Flag:
    says = option.metadata
    return Flag(
        says["flag"],
        option.name,
        of_task,
        says["parse"],
        says.get("value"),
        says["help"],
        says.get("metavar", "N"),
        says.get("expression", False),
        says.get("many", False),
    )


flags: Mapping[str, Flag] = {flag.text: flag for flag in _flags()}


def parse(header: str, namespace: Mapping[str, Any]) -> CellOptions:
    """Options from the text behind `%%task`.

    Raises:
        UsageError: A flag is unknown, lacks its value, or its value cannot be meant. One line, for people.

    >>> parse("prices --retries 4 --in a,b", {}).task.retries
    4
    """
    return _parsed(header, namespace) if _FILLED_IN.search(header) else _plain(header)


@lru_cache(256)
def _plain(header: str) -> CellOptions:
    """Options that depend on nothing but the text."""
    return _parsed(header, {})


def _parsed(header: str, namespace: Mapping[str, Any]) -> CellOptions:
    task: dict[str, Any] = {}
    cell: dict[str, Any] = {}
    for flag, word in _words(header):
        if flag is None:
            if "name" in task:
                _fail(f"{word!r} comes after the name {task['name']!r}: a name is one word, or quoted")
            task["name"] = str(_expanded(word, namespace, "the name"))
            continue
        chosen = task if flag.of_task else cell
        value = flag.value if flag.parse is None else _value(flag, word, namespace)
        if isinstance(value, tuple) and isinstance(chosen.get(flag.option), tuple):
            value = (*chosen[flag.option], *value)
        chosen[flag.option] = value
    try:
        return CellOptions(task=TaskOptions(**task), **cell)
    except ConfigurationError as error:
        _fail(_in_flags(str(error)))


def _words(header: str) -> Iterator[tuple[Flag | None, str]]:
    kept: list[str] = []  # what stands in braces is one word, spaces and quotes included
    folded = _BRACES.sub(lambda spot: kept.append(spot[0]) or f"\0{len(kept) - 1}\0", header)  # type: ignore[func-returns-value]
    try:
        words = (_FOLDED.sub(lambda spot: kept[int(spot[1])], word) for word in shlex.split(folded))
    except ValueError as error:
        _fail(f"{error}: {header}")
    last: Flag | None = None  # that takes all the words up to the next flag
    for word in words:
        if not word.startswith("-"):
            yield last, word
            continue
        text, equals, rest = word.partition("=")
        flag = flags.get(text)
        if flag is None:
            _fail(f"there is no flag {text}{near(text, flags) or '; %%task? lists them'}")
        if flag.parse is None and equals:
            _fail(f"{text} takes no value")
        if flag.parse is not None and not equals:
            rest = next(words, "")
            if not rest or rest in flags:
                _fail(f"{text} needs a value: {flag.usage}")
        last = flag if flag.many else None
        yield flag, rest


def _value(flag: Flag, word: str, namespace: Mapping[str, Any]) -> Any:
    assert flag.parse is not None
    given = word if flag.expression else _expanded(word, namespace, flag.text)
    if not isinstance(given, str):
        if flag.many:
            return (*given,) if isinstance(given, (list, tuple, set)) else (given,)
        if flag.of_task:
            return given
        given = ",".join(map(str, given)) if isinstance(given, (list, tuple, set, frozenset)) else str(given)
    try:
        return flag.parse(given)
    except ConfigurationError as error:
        said = _in_flags(str(error))
        _fail(said if said.startswith(flag.text) else f"{flag.text}: {said}")


_FILLED_IN = re.compile(r"[${]")
_BRACES = re.compile(r"\{[^{}]*\}")
_FOLDED = re.compile("\0(\\d+)\0")
_SPOT = re.compile(r"\$\$|\{\{|\}\}|\$([^\W\d]\w*)|\{([^{}]+)\}")


def _expanded(word: str, namespace: Mapping[str, Any], where: str) -> Any:
    """A word with `$name` and `{expression}` filled in; the value itself where it is nothing else."""

    def look(spot: re.Match[str]) -> Any:
        source = spot[1] or spot[2]
        if source is None:
            return spot[0][0]
        try:
            return eval(source, {**namespace})  # noqa: S307 - the user's own expression, in the user's kernel
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told in one line
            _fail(f"{where}: {spot[0]}: {error}")

    if (whole := _SPOT.fullmatch(word)) is not None:
        return look(whole)
    return _SPOT.sub(lambda spot: str(look(spot)), word)


def _in_flags(message: str) -> str:
    """A message about options, in the words of flags."""
    message = message.removeprefix("a duration=")
    for flag in flags.values():
        message = re.sub(rf"\b{flag.option}=", f"{flag.text} ", message) if flag.of_task else message
    return message


def _fail(message: str) -> NoReturn:
    raise UsageError(f"%%task: {message}") from None
