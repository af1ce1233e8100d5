"""The inputs of a cell, found in its text."""

import ast

import pytest

from nbflow.notebook.names import names_of


def found(source):
    return names_of(ast.parse(source).body)


READS = {
    "a = b": "b",
    "a = 1; b = a": "",
    "a += 1": "a",
    "a[0] = b": "a b",
    "a.x = b": "a b",
    "del a": "a",
    "a: int = b": "b int",
    "a: b": "b",
    "for i in xs: s = i": "xs",
    "for i in xs: s = s + i": "s xs",
    "with o() as f: g = f": "o",
    "try: f()\nexcept E as e: print(e)": "E f print",
    "import os.path; os": "",
    "from a import b as c; c; b": "b",
    "[x for x in xs if y]": "xs y",
    "{k: v for k, v in d.items()}": "d",
    "(a := b) + a": "b",
    "a and (b := a); c": "a c",
    "lambda x: x + y": "y",
    "def f(x=d, *a) -> R: return g(x)": "R d",
    "def f(): return g\nf()": "g",
    "def f(): return g\ng = 1\nf()": "",
    "def f(): return f()\nf()": "",
    "@deco\ndef f(): return g": "deco g",
    "class K(Base): x = y": "Base y",
    "class K:\n  y = 1\n  z = y": "",
    "class K:\n  def m(self): return h": "",
    "class K:\n  def m(self): return h\nK().m()": "h",
    "match v:\n  case [a, *b] if a: c = b\n  case K(): pass": "K v",
    "f'{a!r:{w}}'": "a w",
    "x = [y for y in z]; y": "y z",
    "async def f(): await g()\nawait f()": "g",
}


@pytest.mark.parametrize("source", READS)
def test_reads(source):
    """A name missed here is a change that does not cause a miss: a stale result."""
    assert " ".join(sorted(found(source).reads)) == READS[source]


@pytest.mark.parametrize(
    ("source", "binds"),
    {
        "a, (b, *c) = d": "a b c",
        "import os.path as p, sys": "p sys",
        "for i in x: j = i": "i j",
        "with a as (b, c): pass": "b c",
        "try: x = 1\nexcept E as e: pass": "e x",
        "def f(): global g; g = 1\nf()": "f g",
        "[(n := i) for i in x]": "n",
        "match v:\n  case {'k': a, **rest}: pass": "a rest",
    }.items(),
)
def test_binds(source, binds):
    """A name missed here is not restored by a hit."""
    assert " ".join(sorted(found(source).binds)) == binds


@pytest.mark.parametrize(
    ("source", "names"),
    {
        "if a: b = 1\nc = b": "b",
        "for i in a: b = i\nprint(b, i)": "b i",
        "with a: b = 1\nb": "b",
        "try: b = f()\nexcept E: pass\nb": "b",
        "while a:\n  b = 1\nelse: b": "b",
        "b = 1\nif a: del b\nb": "b",
    }.items(),
)
def test_reads_that_only_the_run_can_decide(source, names):
    """Guessing 'input' makes the second run in a kernel miss; guessing 'bound' serves a stale result."""
    decided = found(source)
    assert " ".join(sorted(set().union(*decided.checks.values()))) == names
    assert not decided.reads & set(names.split())


@pytest.mark.parametrize(
    "source",
    [
        "globals()['x']",
        "y = locals()",
        "vars()['x']",
        "dir()",
        "eval(code)",
        "exec(code)",
        "from lib import *",
        "import __main__",
        "get_ipython().user_ns['x']",
        "get_ipython().run_line_magic('run', '-i other.py')",
        "get_ipython().run_line_magic('time', 'x = = 3')",
        "def f(): return globals()\nf()",
        "def f(c): return eval(c)",
        "f = lambda c: exec(c)",
        "get_ipython().run_line_magic('who', '')",
    ],
)
def test_cells_whose_inputs_nobody_can_know(source):
    """Such a cell must not be cached, or it is stale whenever what it reaches for changes."""
    assert found(source).opaque


@pytest.mark.parametrize(
    "source", ["vars(x)", "df.eval('a + b')", "def f(): return eval('a')", "x.globals", "eval = f; eval(x)", "dir(x)"]
)
def test_cells_that_only_look_reflective(source):
    """These are ordinary cells: refusing to cache them would puzzle."""
    assert not found(source).opaque


@pytest.mark.parametrize(
    ("source", "names"),
    {
        "df.query('price > @limit')": "limit price",
        "duckdb.sql('''select * from sales''')": "from sales select",
        "pd.read_sql(f'select {c} from {t}', con)": "from select",
        "q = 'from stock'\nduckdb.sql(q)": "from stock",
        "def f(d): return d.query('p > @low')\nf(x)": "low p",
        "df.eval('z = x + y')": "x y z",
        "get_ipython().run_cell_magic('sql', '', 'select * from sales')": "from sales select",
        "get_ipython().run_cell_magic('R', '-i df', 'mean(df$x)')": "df i mean x",
        "get_ipython().run_line_magic('store', 'df')": "df",
        "get_ipython().run_cell_magic('bash', '', 'echo df')": "",
        "get_ipython().run_line_magic('cd', 'data')": "",
    }.items(),
)
def test_names_in_strings_that_a_library_evaluates(source, names):
    """`df.query("p > @limit")` reads `limit`: a changed limit must be a miss."""
    assert " ".join(sorted(found(source).mentions)) == names


def test_text_held_by_an_input_is_looked_into_when_the_cell_runs():
    """`duckdb.sql(query)` with the text bound in another cell reads the frames that it names."""
    assert "query" in found("duckdb.sql(query)").queries


@pytest.mark.parametrize(
    ("source", "names"),
    {
        "get_ipython().system('echo {word} $name $$HOME')": "name word",
        "x = get_ipython().getoutput('ls {folder + sub}')": "folder sub",
        "get_ipython().run_line_magic('time', 'y = f(z)')": "f z",
        "get_ipython().run_line_magic('timeit', '-n 3 -r 1 f(z)')": "f z",
        "get_ipython().run_cell_magic('time', '', 'y = 1\\nz = y + w')": "w",
        "get_ipython().run_cell_magic('bash', '$flags', 'echo $HOME {x}')": "flags",
        "get_ipython().run_line_magic('unknown', '{x}')": "x",
        "get_ipython().system('awk {print}')": "print",
        "get_ipython().system('a { b')": "",
        "eval('a + b')": "a b eval",
        "exec('c = a')\nc": "a exec",
    }.items(),
)
def test_names_in_magics_and_code_strings(source, names):
    """`!cmd {x}` and `%time f(z)` read names as much as Python does."""
    assert " ".join(sorted(found(source).reads)) == names
    assert not found(source).opaque


def test_code_too_deep_to_analyse_is_not_cached():
    """A generated expression of a thousand terms must not crash the cell."""
    assert found("x = " + "+".join(["y"] * 900)).opaque
