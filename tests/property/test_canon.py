"""Random programs: reformatting never changes the canonical dump, changing what they do always does."""

import ast
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from nbflow.keys.canon import dump

names = st.sampled_from(["a", "b", "c", "total"])
atoms = st.one_of(
    st.integers(0, 5).map(str),
    st.sampled_from(["True", "None", "1.0", "0.5", "'x'", "b'x'", "'it''s'", "f'{a}!'", "()"]),
    names,
)


def combine(inner):
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "<", "and", "or", "in"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        pair.map(lambda t: f"f({t[0]}, key={t[1]})"),
        pair.map(lambda t: f"[{t[0]}, {t[1]}]"),
        pair.map(lambda t: f"{{{t[0]}: {t[1]}}}"),
        pair.map(lambda t: f"[{t[0]} for a in {t[1]}]"),
        inner.map(lambda e: f"(lambda b: {e})"),
        inner.map(lambda e: f"(not {e})"),
        inner.map(lambda e: f"({e}).size"),
        inner.map(
            lambda e: f"f'<{{{e}!r}}>'" if "'" not in e and "{" not in e and "\\" not in e and '"' not in e else e
        ),
    )


expressions = st.recursive(atoms, combine, max_leaves=8)
statements = st.one_of(
    st.tuples(names, expressions).map(lambda t: f"{t[0]} = {t[1]}"),
    st.tuples(names, expressions).map(lambda t: f"{t[0]} += {t[1]}"),
    expressions.map(lambda e: f"if {e}:\n        c = 1\n    else:\n        c = 2"),
    expressions.map(lambda e: f"for b in {e}:\n        f(b)"),
    expressions.map(lambda e: f"return {e}"),
)
programs = st.lists(statements, min_size=1, max_size=5).map(
    lambda body: "def f(a, d=1):\n    " + "\n    ".join(body) + "\n"
)


def tokens(source):
    """Python's own view of a program, without positions: what must be told apart."""
    return ast.dump(ast.parse(source))


@settings(max_examples=200, deadline=None)
@given(programs, st.randoms(use_true_random=False))
def test_reformatting_changes_nothing(source, chance: random.Random):
    """A formatter that runs on save makes everything run again."""
    lines = []
    for line in ast.unparse(ast.parse(source)).splitlines():
        lines += [line] + ["" for _ in range(chance.randrange(3))]
        if line.strip() and chance.random() < 0.3:
            lines[-1] += "  # note" if lines[-1] else "    # note"
    assert dump(ast.parse("\n".join(lines)).body) == dump(ast.parse(source).body)


@settings(max_examples=300, deadline=None)
@given(programs, programs)
def test_different_programs_differ(one, two):
    """Two functions share a result. Local names are the same in both, so nothing is equal but by renaming them."""
    if tokens(one) == tokens(two):
        assert dump(ast.parse(one).body) == dump(ast.parse(two).body)
    elif renamed(one) != renamed(two):
        assert dump(ast.parse(one).body) != dump(ast.parse(two).body)


def renamed(source):
    """The bytecode, which knows local variables by number."""
    space = {}
    exec(compile(source, "<a>", "exec"), space)

    def shape(code):
        return (
            code.co_code,
            code.co_names,
            [shape(c) if hasattr(c, "co_code") else (type(c), repr(c)) for c in code.co_consts],
        )

    return shape(space["f"].__code__)


@settings(max_examples=200, deadline=None)
@given(programs, st.permutations(["b", "c", "total"]))
def test_renaming_locals_changes_nothing(source, order):
    """A refactoring of local names makes everything run again."""
    tree = ast.parse(source)
    local = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)} - {
        "a"
    }
    parameters = {arg.arg for node in ast.walk(tree) if isinstance(node, ast.Lambda) for arg in node.args.args}
    stores = local - parameters
    other = ast.parse(source)
    change = {name: f"renamed_{new}" for name, new in zip(["b", "c", "total"], order, strict=True) if name in stores}
    scoped = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - stores
    for node in ast.walk(other):
        if isinstance(node, ast.Name) and node.id in change and node.id not in scoped:
            node.id = change[node.id]
    assert dump(other.body) == dump(tree.body)
