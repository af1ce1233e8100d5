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
from operator import attrgetter
from typing import Any

from nbflow.keys.builtin import mapping
from nbflow.keys.bulk import bulk
from nbflow.keys.encode import Encoder, Handler, Node, join, register, unnamed
from nbflow.keys.objects import Made, derived


def _numbers(base: type, *names: str) -> Handler:
    """An encoder for what a few plain attributes say completely."""
    tag, fields = base.__name__, attrgetter(*names)

    def encode(encoder: Encoder, value: Any) -> Made:
        return derived(encoder, value, base, (tag, fields(value)))

    return encode


def _datetime(encoder: Encoder, value: dt.datetime) -> Made:
    fields = (value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.fold)
    zone = b"" if value.tzinfo is None else encoder.of(value.tzinfo)
    return derived(encoder, value, dt.datetime, ("datetime", fields, zone))


def _time(encoder: Encoder, value: dt.time) -> Made:
    fields = (value.hour, value.minute, value.second, value.microsecond, value.fold)
    zone = b"" if value.tzinfo is None else encoder.of(value.tzinfo)
    return derived(encoder, value, dt.time, ("time", fields, zone))


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
        return derived(encoder, value, kind, (tag, str(value)))

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


def _random(_: Encoder, value: random.Random) -> Node:
    return Node(b"random", (type(value).__name__, value.getstate()), label=unnamed)


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
register(dt.date, _numbers(dt.date, "year", "month", "day"), subclasses=True)
register(dt.timedelta, _numbers(dt.timedelta, "days", "seconds", "microseconds"), subclasses=True)
register(fractions.Fraction, _numbers(fractions.Fraction, "numerator", "denominator"), subclasses=True)
register(uuid.UUID, _numbers(uuid.UUID, "int"), subclasses=True)
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
