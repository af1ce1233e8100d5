"""Random cells against the truth: every old value that a run really read must be named by the analyser."""

import ast
import builtins
import random
import signal

from nbflow.notebook.names import names_of
from nbflow.notebook.transform import checked

NAMES = "abcdefg"


class Watched(dict):
    """A namespace that sees every read, inside functions too."""

    def __init__(self, old):
        super().__init__(old)
        self.old, self.read = dict(old), set()

    def __getitem__(self, name):
        value = super().__getitem__(name)
        if name in self.old and value is self.old[name]:
            self.read.add(name)
        return value

    def __delitem__(self, name):
        if name in self:
            self[name]
        super().__delitem__(name)


class Slow(BaseException):
    """A random function that calls itself without end."""


def stop(*_):
    raise Slow


class Old:
    """A value that can be added, called, iterated, entered; as a context it swallows errors."""

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        return kind is not None and issubclass(kind, Exception)

    __add__ = __radd__ = __iadd__ = __call__ = __getitem__ = __getattr__ = lambda self, *_, **__: Old()

    def __iter__(self):
        return iter((Old(), Old()))


def expression(rng, depth=0):
    name, other, more = (rng.choice(NAMES) for _ in range(3))
    if depth > 2:
        return name
    inner = lambda: expression(rng, depth + 1)
    return rng.choice(
        [
            lambda: name,
            lambda: "1",
            lambda: f"{name} + {inner()}",
            lambda: f"{name}({inner()})",
            lambda: f"[{other} for {other} in {inner()} if {more}]",
            lambda: f"({name} := {inner()})",
            lambda: f"(lambda {name}: {name} + {other})",
            lambda: f"(lambda {name}={inner()}: {name} + {other})(1)",
            lambda: f"{{{name}: {other} for {name} in {inner()} for {other} in {more}}}",
            lambda: f"({inner()} if {inner()} else {inner()})",
            lambda: f"({inner()} and {inner()})",
            lambda: f"[({name} := {more}) for {other} in {inner()}]",
            lambda: f"f'{{{name}}}'",
            lambda: f"next(({name} for {other} in {more}), 1)",
            lambda: f"[{name} for {other} in {more} if ({name} := {inner()})]",
            lambda: f"eval('{name} + {other}')",
        ]
    )()


def block(rng, depth):
    return [line for _ in range(rng.randint(1, 3)) for line in statement(rng, depth)]


def statement(rng, depth):
    name, other, more = (rng.choice(NAMES) for _ in range(3))
    inner = lambda: ["    " + line for line in block(rng, depth + 1)]
    simple = [
        lambda: [f"{name} = {expression(rng)}"],
        lambda: [f"{name} += {expression(rng)}"],
        lambda: [f"del {name}"],
        lambda: [expression(rng)],
        lambda: [f"{name}.x = {other}"],
        lambda: [f"{name}, {other} = {more}"],
        lambda: [f"{name}: {other} = {more}"],
        lambda: [f"import math as {name}"],
        lambda: [f"{name} = {other} = {more}"],
        lambda: [f"{name}: {other}"],
    ]
    if depth > 2:
        return rng.choice(simple)()
    compound = [
        lambda: [f"if {expression(rng)}:", *inner(), "else:", *inner()],
        lambda: [f"for {name} in {expression(rng)}:", *inner()],
        lambda: [f"while {name}:", *inner(), "    break"],
        lambda: [f"with {expression(rng)} as {name}:", *inner()],
        lambda: ["try:", *inner(), f"except Exception as {name}:", *inner(), "finally:", *inner()],
        lambda: [f"def {name}({other}=None, *_):", *inner(), f"    return {more}"],
        lambda: [f"def {name}(*_):", f"    global {other}", *inner()],
        lambda: [f"class {name}:", *inner(), f"    def m(self): return {more}", f"{name}.m(1)"],
        lambda: [
            f"match {name}:",
            f"    case [{other}, *_] if {more}:",
            *["    " + line for line in inner()],
            f"    case {other}:",
            *["    " + line for line in inner()],
        ],
        lambda: [
            f"def {name}(*_):",
            f"    {other} = 1",
            "    def inner():",
            f"        nonlocal {other}",
            f"        {other} = {more}",
            "    inner()",
            *inner(),
        ],
    ]
    return rng.choice([*simple, *compound])()


class Run:
    def __init__(self, ns):
        self.ns, self.touched = ns, set()

    def touch(self, *names):
        self.touched |= {n for n in names if n in self.ns.old and dict.get(self.ns, n) is self.ns.old[n]}


def one(rng):
    """Old values read and not named by a random cell; its source."""
    source = "\n".join(line for _ in range(3) for line in statement(rng, 0))
    try:
        body = ast.parse(source).body
        compile(source, "", "exec")
    except SyntaxError:
        return set(), source
    names = names_of(body)
    ns = Watched({n: Old() for n in NAMES if rng.random() < 0.9})
    step = builtins.__fuzzed_step__ = Run(ns)
    tree = ast.fix_missing_locations(ast.Module(checked(body, names.checks, "__fuzzed_step__"), []))
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        exec(compile(tree, "", "exec"), ns)
    except (Exception, Slow):
        pass  # what was read up to here counts all the same
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        del builtins.__fuzzed_step__
    return ns.read - names.reads - step.touched, source


def test_no_read_of_an_old_value_goes_unnoticed():
    """An input that the analyser overlooks is a stale result; random cells find what no one thinks of."""
    before = signal.signal(signal.SIGALRM, stop)
    rng = random.Random(20_261_121)
    try:
        for _ in range(600):
            missed, source = one(rng)
            assert not missed, f"{missed} read unnoticed by\n{source}"
    finally:
        signal.signal(signal.SIGALRM, before)
