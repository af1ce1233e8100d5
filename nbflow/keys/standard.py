"""Values of the standard library: times, numbers, paths, enumerations, collections.

Dates are their numbers, never pickle's protocol 3, which drops `fold` (https://docs.python.org/3/library/pickle.html).
"""

import array
import collections
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import random
import re
import uuid
import zoneinfo
from collections.abc import Callable
from operator import attrgetter, index
from typing import Any

from nbflow.keys.builtin import mapping
from nbflow.keys.bulk import bulk
from nbflow.keys.encode import Encoder, Handler, Node, join, register, unnamed
from nbflow.keys.objects import Made, derived


def _numbers(base: type, fields: Callable[[Any], tuple[Any, ...]]) -> Handler:
    """An encoder for what a few whole numbers say completely."""
    tag = base.__name__

    def encode(encoder: Encoder, value: Any) -> Made:
        return derived(encoder, value, base, (tag, fields(value)))

    return encode


def _own(base: type, *names: str) -> Callable[[Any], tuple[Any, ...]]:
    """Attributes as the base class reads them, whatever a subclass says of them (a year may be a fiscal one)."""
    exact = attrgetter(*names)
    getters = [getattr(base, name).__get__ for name in names]
    return lambda value: exact(value) if type(value) is base else tuple([get(value) for get in getters])


_TIME = ("hour", "minute", "second", "microsecond", "fold")
_of_datetime, _of_time = _own(dt.datetime, "year", "month", "day", *_TIME), _own(dt.time, *_TIME)


def _datetime(encoder: Encoder, value: dt.datetime) -> Made:
    fields, zone = _of_datetime(value), value.tzinfo
    made = ("datetime", fields, b"" if zone is None else encoder.of(zone))
    return derived(encoder, value, dt.datetime, made)


def _time(encoder: Encoder, value: dt.time) -> Made:
    fields, zone = _of_time(value), value.tzinfo
    made = ("time", fields, b"" if zone is None else encoder.of(zone))
    return derived(encoder, value, dt.time, made)


def _timezone(_: Encoder, value: dt.timezone) -> Node:
    return Node(b"timezone", (value.utcoffset(None), value.tzname(None)), label=unnamed)


def _zone(encoder: Encoder, value: zoneinfo.ZoneInfo) -> Made:
    if value.key is None:
        raise encoder.refusal(value, "read from a file without a name")
    return derived(encoder, value, zoneinfo.ZoneInfo, ("ZoneInfo", value.key))


def _decimal(encoder: Encoder, value: decimal.Decimal) -> Made:
    parts = decimal.Decimal.as_tuple(value)
    return derived(encoder, value, decimal.Decimal, ("Decimal", parts.sign, parts.digits, parts.exponent))


def _path(kind: type[pathlib.PurePath]) -> Handler:
    tag = kind.__name__  # not its module, which moved in Python 3.13

    def encode(encoder: Encoder, value: pathlib.PurePath) -> Made:
        return derived(encoder, value, kind, (tag, kind.__str__(value)))

    return encode


def _enum(encoder: Encoder, value: enum.Enum) -> Node:
    name = None if isinstance(value, enum.Flag) else value._name_  # names of combined flags differ among Pythons
    return Node(join(b"enum", [encoder.kind(type(value))]), (name, value._value_), label=unnamed)


def _pattern(_: Encoder, value: re.Pattern[Any]) -> Node:
    return Node(b"pattern", (value.pattern, value.flags), label=unnamed)


def _array(encoder: Encoder, value: "array.array[Any]") -> Made:
    return derived(
        encoder, value, array.array, join(b"array.array", [value.typecode.encode(), bulk(memoryview(value))])
    )


def _random(encoder: Encoder, value: random.Random) -> bytes | Node:
    if value is random.choice.__self__:  # type: ignore[attr-defined]
        return join(b"the generator of random")  # its state is part of the world, no value
    made = Node(b"random", ("Random", value.getstate()), label=unnamed)
    more = {name: each for name, each in vars(value).items() if name != "gauss_next"}  # which is in the state
    if type(value) is random.Random and not more:
        return made
    return Node(join(b"derived", [encoder.kind(type(value))]), (made, more), label=unnamed)


def _ordered(encoder: Encoder, value: collections.OrderedDict[Any, Any]) -> Made:
    items = [(key, dict.__getitem__(value, key)) for key in collections.OrderedDict.__iter__(value)]
    return derived(encoder, value, collections.OrderedDict, mapping(b"OrderedDict", items))


def _counter(encoder: Encoder, value: collections.Counter[Any]) -> Made:
    return derived(encoder, value, collections.Counter, mapping(b"Counter", dict.items(value)))


def _defaultdict(encoder: Encoder, value: collections.defaultdict[Any, Any]) -> Made:
    items = [("default_factory", value.default_factory), *dict.items(value)]
    return derived(encoder, value, collections.defaultdict, mapping(b"defaultdict", items))


def _deque(encoder: Encoder, value: collections.deque[Any]) -> Made:
    content = Node(join(b"deque", [repr(value.maxlen).encode()]), [*collections.deque.__iter__(value)])
    return derived(encoder, value, collections.deque, content)


def _chain_map(encoder: Encoder, value: collections.ChainMap[Any, Any]) -> Made:
    return derived(encoder, value, collections.ChainMap, Node(b"ChainMap", value.maps))


for _kind in (
    pathlib.PurePath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.Path,
    pathlib.PosixPath,
    pathlib.WindowsPath,
):
    register(_kind, _path(_kind), subclasses=True)
register(dt.date, _numbers(dt.date, _own(dt.date, "year", "month", "day")), subclasses=True)
register(dt.timedelta, _numbers(dt.timedelta, _own(dt.timedelta, "days", "seconds", "microseconds")), subclasses=True)
register(
    fractions.Fraction,
    _numbers(fractions.Fraction, _own(fractions.Fraction, "numerator", "denominator")),
    subclasses=True,
)
register(uuid.UUID, _numbers(uuid.UUID, lambda value: (index(value.int),)), subclasses=True)
register(dt.datetime, _datetime, subclasses=True)
register(dt.time, _time, subclasses=True)
register(dt.timezone, _timezone)
register(zoneinfo.ZoneInfo, _zone, subclasses=True)
register(decimal.Decimal, _decimal, subclasses=True)
register(enum.Enum, _enum, subclasses=True)
register(re.Pattern, _pattern)
register(array.array, _array, subclasses=True)
register(random.Random, _random, subclasses=True)
register(collections.OrderedDict, _ordered, subclasses=True)
register(collections.Counter, _counter, subclasses=True)
register(collections.defaultdict, _defaultdict, subclasses=True)
register(collections.deque, _deque, subclasses=True)
register(collections.ChainMap, _chain_map, subclasses=True)
