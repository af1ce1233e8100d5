"""Which settings of which libraries are known: how they are read, set, and what they are right after the import.

A library is asked only once it is loaded. What is in none of these tables (formatters and converters that were
registered) is not noticed; what is noticed and cannot be set again is in `outside`.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final, NamedTuple

__all__ = ["LIBRARIES", "Library", "Pairs", "Settings", "Unset"]

Settings = dict[str, Any]
Pairs = Mapping[str, tuple[Any, Any]]
"""What settings were, and what they are to be."""


class Unset:
    """Stands for the value of a setting that there is not."""


class Library(NamedTuple):
    """How the settings of one module are read and set.

    Attributes:
        take: All of them by name; the values are not changed later.
        put: Sets some.
        fresh: What they are right after the import, for a cell that imports the library itself.
    """

    take: Callable[[Any], Settings]
    put: Callable[[Any, Pairs], object]
    fresh: Callable[[Any], Settings]


def _set(pairs: Pairs) -> Iterator[tuple[str, Any]]:
    return ((key, new) for key, (_, new) in pairs.items() if new is not Unset)


_OWN: Final = ("backend", "backend_fallback", "interactive", "webagg.")
"""Of matplotlib's: where figures go, which is the front end's business."""


def _matplotlib(module: Any) -> Settings:
    rows = dict.items(module.rcParams)
    found = {key: [*value] if type(value) is list else value for key, value in rows if not key.startswith(_OWN)}
    known = import_module("matplotlib.colors").colorConverter.colors
    return found | {f"color {letter}": tuple(known[letter]) for letter in _COLORS}


_COLORS: Final = {
    "b": (0, 0, 1),
    "g": (0, 0.5, 0),
    "r": (1, 0, 0),
    "m": (0.75, 0, 0.75),
    "y": (0.75, 0.75, 0),
    "c": (0, 0.75, 0.75),
    "k": (0, 0, 0),
}
"""What these letters stand for until one of seaborn's themes changes that."""


def _fresh_matplotlib(module: Any) -> Settings:
    found = {key: value for key, value in dict.items(module.rcParamsOrig) if not key.startswith(_OWN)}
    return found | {f"color {letter}": value for letter, value in _COLORS.items()}


def _set_matplotlib(module: Any, pairs: Pairs) -> None:
    letters = import_module("matplotlib.colors").colorConverter.colors
    for key, value in _set(pairs):
        if key.startswith("color "):
            letters[key[-1]] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that are on their way out
        module.rcParams.update({key: value for key, value in _set(pairs) if not key.startswith("color ")})


def _flat(tree: Mapping[str, Any], above: str = "") -> Settings:
    flat: Settings = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return flat


def _fresh_pandas(module: Any) -> Settings:
    options = import_module("pandas._config.config")._registered_options  # noqa: SLF001 - there is no other way to ask
    return {key: options[key].defval for key in _flat(module.options.d)}


def _set_pandas(module: Any, pairs: Pairs) -> None:
    for key, value in _set(pairs):
        module.set_option(key, value)


def _numpy(module: Any) -> Settings:
    return {**module.get_printoptions(), "errors": module.geterr()}


_FRESH_NUMPY: Final = {
    "precision": 8,
    "threshold": 1000,
    "edgeitems": 3,
    "linewidth": 75,
    "suppress": False,
    "nanstr": "nan",
    "infstr": "inf",
    "formatter": None,
    "sign": "-",
    "floatmode": "maxprec",
    "legacy": False,
    "override_repr": None,
    "errors": {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
}


def _fresh_numpy(module: Any) -> Settings:
    return {key: _FRESH_NUMPY.get(key, value) for key, value in _numpy(module).items()}


def _set_numpy(module: Any, pairs: Pairs) -> None:
    values = dict(_set(pairs))
    module.seterr(**values.pop("errors", {}))
    module.set_printoptions(**values)


def _polars(module: Any) -> Settings:
    return _flat(json.loads(module.Config.save()))


def _fresh_polars(module: Any) -> Settings:
    direct: Settings = {"set_fmt_float": "mixed", "set_float_precision": None, "set_thousands_separator": ""}
    direct |= {"set_decimal_separator": ".", "set_trim_decimal_zeros": False}
    fresh = {f"direct.{key}": value for key, value in direct.items()}
    return {key: fresh.get(key) for key in _polars(module)}


def _set_polars(module: Any, pairs: Pairs) -> None:
    tree: dict[str, Settings] = {"environment": {}, "direct": {}}
    for key, value in _set(pairs):
        kind, _, name = key.partition(".")
        tree[kind][name] = value
    module.Config.load(json.dumps(tree))


_FRESH_SKLEARN: Final = {
    "assume_finite": False,
    "print_changed_only": True,
    "display": "diagram",
    "transform_output": "default",
    "enable_metadata_routing": False,
}


def _sklearn(module: Any) -> Settings:
    return {key: value for key, value in module.get_config().items() if key in _FRESH_SKLEARN}


def _warnings(module: Any) -> Settings:
    """The filters in plain words: a category is named, so that no hit imports a library for its sake.

    What libraries show of warnings of their own is left out: it comes with their import.
    """
    filters = [(each, _plain(*each)) for each in module.filters]
    return {"filters": [plain for each, plain in filters if each[0] not in _SHOWS or plain[2] == "builtins"]}


_SHOWS: Final = frozenset({"always", "default"})


def _plain(action: str, message: Any, category: type, part: Any, line: int) -> tuple[Any, ...]:
    return action, _pattern(message), category.__module__, category.__qualname__, _pattern(part), line


def _pattern(part: Any) -> str:
    return part if isinstance(part, str) else getattr(part, "pattern", "")


def _set_warnings(module: Any, pairs: Pairs) -> None:
    """What came to the front of the filters comes there again, whatever there is behind it; what went goes."""
    old, new = pairs["filters"]
    same = 0
    while same < min(len(old), len(new)) and old[-1 - same] == new[-1 - same]:
        same += 1
    ahead, gone = new[: len(new) - same], old[: len(old) - same]
    for each in [each for each in module.filters if _plain(*each) in gone and _plain(*each) not in ahead]:
        module.filters.remove(each)
    for action, message, home, name, part, line in reversed(ahead):
        category = getattr(sys.modules.get(home), name, None)
        if category is not None:
            module.filterwarnings(action, message, category, part, line)
    with module.catch_warnings():
        pass  # forgets what was decided by the filters that went


def _logging(module: Any) -> Settings:
    loggers = {"": module.root, **module.root.manager.loggerDict}.items()
    states = {name: (each.level, each.propagate, each.disabled) for name, each in loggers if hasattr(each, "propagate")}
    found: Settings = {name: state for name, state in states.items() if state != _UNTOUCHED}
    return found | {"disabled below": module.root.manager.disable}


_UNTOUCHED: Final = (0, True, False)
"""Level, whether it passes on what it hears, whether it is switched off."""


def _set_logging(module: Any, pairs: Pairs) -> None:
    for name, (_, new) in pairs.items():
        if name == "disabled below":
            module.disable(new)
        else:
            logger = module.getLogger(name)
            level, logger.propagate, logger.disabled = _UNTOUCHED if new is Unset else new
            logger.setLevel(level)


def _locale(module: Any) -> Settings:
    return {name: module.setlocale(getattr(module, name)) for name in _PLACES}


_PLACES: Final = ("LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME")


def _set_locale(module: Any, pairs: Pairs) -> None:
    for name, value in _set(pairs):
        module.setlocale(getattr(module, name), value)


_CONTEXT: Final = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def _decimal(module: Any) -> Settings:
    return _held(module.getcontext())


def _held(context: Any) -> Settings:
    found = {name: getattr(context, name) for name in _CONTEXT}
    return found | {"traps": {kind for kind, on in context.traps.items() if on}}


def _set_decimal(module: Any, pairs: Pairs) -> None:
    context = module.getcontext()
    for name, value in _set(pairs):
        if name == "traps":
            context.traps.update({kind: kind in value for kind in context.traps})
        else:
            setattr(context, name, value)


_INTERPRETER: Final = ("recursionlimit", "switchinterval", "int_max_str_digits")


def _interpreter(module: Any) -> Settings:
    return {
        name: getattr(module, f"get{name}" if hasattr(module, f"get{name}") else f"get_{name}")()
        for name in _INTERPRETER
    }


def _set_interpreter(module: Any, pairs: Pairs) -> None:
    for name, value in _set(pairs):
        getattr(module, f"set{name}" if hasattr(module, f"set{name}") else f"set_{name}")(value)


def _set_gc(module: Any, pairs: Pairs) -> None:
    for name, value in _set(pairs):
        if name == "threshold":
            module.set_threshold(*value)
        else:
            (module.enable if value else module.disable)()


def _tqdm(_: Any) -> Settings:
    frame = getattr(sys.modules.get("pandas"), "DataFrame", None)
    return {"pandas": hasattr(frame, "progress_apply")}


def _set_tqdm(module: Any, pairs: Pairs) -> None:
    if any(value for _, value in _set(pairs)):  # it has no way back
        module.tqdm.pandas()


_TEXT: Final = ("float_precision", "max_seq_length", "max_width", "pprint")


def _ipython(module: Any) -> Settings:
    shell = module.get_ipython()
    text = shell.display_formatter.formatters["text/plain"]
    later = {f"{_LATER}{name}": value for name, value in shell.config.get("InlineBackend", {}).items()}
    return {name: getattr(text, name) for name in _TEXT} | {"shows": shell.ast_node_interactivity} | later


_LATER: Final = "InlineBackend."
"""What `%config` has set before there is a figure, which makes that object."""


def _set_ipython(module: Any, pairs: Pairs) -> None:
    shell = module.get_ipython()
    for name in [name for name, (_, new) in pairs.items() if new is Unset]:
        del shell.config.InlineBackend[name.removeprefix(_LATER)]
    for name, value in _set(pairs):
        if name.startswith(_LATER):
            config = type(shell.config)({"InlineBackend": {name.removeprefix(_LATER): value}})
            for each in shell.configurables:  # as `%config` does
                each.update_config(config)
        elif name == "shows":
            shell.ast_node_interactivity = value
        else:
            setattr(shell.display_formatter.formatters["text/plain"], name, value)


_FRESH_INLINE: Final = {
    "figure_formats": {"png"},
    "print_figure_kwargs": {"bbox_inches": "tight"},
    "close_figures": True,
}


def _inline(module: Any) -> Settings:
    if not module.InlineBackend.initialized():
        return dict(_FRESH_INLINE)
    found = module.InlineBackend.instance()
    return {name: type(value)(value) for name in _FRESH_INLINE for value in [getattr(found, name)]}


def _set_inline(module: Any, pairs: Pairs) -> None:
    shell = sys.modules["IPython"].get_ipython()
    found = module.InlineBackend.instance(parent=shell)
    found.shell = shell
    for name, value in _set(pairs):
        setattr(found, name, value)


_NONE: Final[Callable[[Any], Settings]] = lambda _: {}  # noqa: E731 - loaded before any cell

LIBRARIES: Final[dict[str, Library]] = {
    "matplotlib": Library(_matplotlib, _set_matplotlib, _fresh_matplotlib),
    "matplotlib_inline.config": Library(_inline, _set_inline, lambda _: dict(_FRESH_INLINE)),
    "pandas": Library(lambda module: _flat(module.options.d), _set_pandas, _fresh_pandas),
    "numpy": Library(_numpy, _set_numpy, _fresh_numpy),
    "polars": Library(_polars, _set_polars, _fresh_polars),
    "sklearn": Library(
        _sklearn, lambda module, pairs: module.set_config(**dict(_set(pairs))), lambda _: _FRESH_SKLEARN
    ),
    "warnings": Library(_warnings, _set_warnings, _NONE),
    "logging": Library(_logging, _set_logging, _NONE),
    "locale": Library(_locale, _set_locale, _NONE),
    "decimal": Library(_decimal, _set_decimal, lambda module: _held(module.DefaultContext)),
    "sys": Library(_interpreter, _set_interpreter, _NONE),
    "gc": Library(lambda module: {"enabled": module.isenabled(), "threshold": module.get_threshold()}, _set_gc, _NONE),
    "socket": Library(
        lambda module: {"timeout": module.getdefaulttimeout()},
        lambda module, pairs: module.setdefaulttimeout(pairs["timeout"][1]),
        _NONE,
    ),
    "time": Library(
        lambda module: {"zone": module.tzname}, lambda module, _: module.tzset(), _NONE
    ),  # TZ is set by now
    "tqdm": Library(_tqdm, _set_tqdm, lambda _: {"pandas": False}),
    "IPython": Library(_ipython, _set_ipython, _NONE),
}
