"""When a `%%task` cell is a hit and when a miss, and the reason it gives."""

import pytest

from tests.integration.kernels import hit, told

pytestmark = pytest.mark.kernel


HELPERS = "LIMIT = 3\ndef inner(v):\n    limit = LIMIT\n    return v + limit\ndef clean(v):\n    return inner(v) * 2\n"

STILL_A_HIT = {
    "comments, blank lines, quotes, parentheses": (
        "",
        "a = 'x'\nb = [1, 2]",
        "",
        '# why\n\na = ("x")\nb = [\n    1,  # one\n    2,\n]',
    ),
    "a comment in a helper": (
        HELPERS,
        "y = clean(2)",
        HELPERS.replace("return inner", "# doubled\n    return inner"),
        "",
    ),
    "a docstring in a helper": (
        HELPERS,
        "y = clean(2)",
        HELPERS.replace("    return inner", "    'Doc.'\n    return inner"),
        "",
    ),
    "a local name in a helper": (HELPERS, "y = clean(2)", HELPERS.replace("limit", "most"), ""),
    "a helper's cell run again": (HELPERS, "y = clean(2)", HELPERS, ""),
    "an equal value from other code": ("a = 2", "y = a", "a = 1 + 1", ""),
    "an equal list, dict, set": ("a = [1, {'k': {1, 2}}]", "y = a", "a = [1, dict(k={2, 1})]", ""),
    "an equal frame": (
        "import pandas as pd\ndf = pd.DataFrame({'x': [1, 2]})",
        "y = df.x.sum()",
        "df = df.copy()[['x']].drop_duplicates()",
        "",
    ),
    "another global changed": ("a = other = 1", "y = a", "other = 2", ""),
    "the label": ("", "a = 1", "", "%%task renamed\na = 1"),
    "retries, expiry and the like": (
        "",
        "a = 1",
        "",
        "%%task --retries 3 --expires 1d --timeout 9s --output last\na = 1",
    ),
    "an input left out": ("lr = noise = 1", "%%task --ignore noise\ny = lr + noise", "noise = 2", ""),
    "one value for all inputs": ("a = iter([1])\nv = 1", "%%task --key v\ny = a", "a = iter([2])", ""),
    "nan": ("a = float('nan')", "y = a", "a = float('nan')", ""),
    "a lambda of the same text": ("f = lambda v: v + 1", "y = f(1)", "f = lambda v: v + 1", ""),
    "an environment variable that nobody read": ("import os", "y = os.sep", "os.environ['TERM'] = 'other'", ""),
}


@pytest.mark.parametrize("name", STILL_A_HIT)
def test_still_a_hit(k, name):
    """A miss here is an hour of computing again for a change that changes nothing."""
    before, body, change, again = STILL_A_HIT[name]
    task = lambda source: source if source.startswith("%%task") else "%%task t\n" + source
    k.out(before)
    first = k.out(task(body))
    assert "stored" in told(first), told(first)
    k.out(change)
    second = k.out(task(again or body))
    assert "⚡" in told(second), told(second)


A_MISS = {
    "the code": ("", "y = 1", "", "y = 2", "the code changed"),
    "the type of a constant": ("", "y = 1000", "", "y = '1000'", "the code changed"),
    "the last expression": ("", "y = 1\n5", "", "y = 1\n6", "the code changed"),
    "an input": ("lr = 0.1", "y = lr", "lr = 0.05", "", "input lr 0.1 → 0.05"),
    "1 and True": ("a = 1", "y = a", "a = True", "", "input a"),
    "the order of a dict": ("a = {'x': 1, 'y': 2}", "y = list(a)", "a = {'y': 2, 'x': 1}", "", "input a"),
    "a dtype": ("import numpy as np\na = np.zeros(2, 'i4')", "y = a", "a = np.zeros(2, 'f4')", "", "input a"),
    "one element": ("import numpy as np\na = np.zeros(10**6)", "y = a.sum()", "a[777_777] = 1", "", "input a"),
    "a column's name": (
        "import pandas as pd\ndf = pd.DataFrame({'x': [1]})",
        "y = df.sum()",
        "df = df.rename(columns={'x': 'z'})",
        "",
        "input df",
    ),
    "a helper": (HELPERS, "y = clean(2)", HELPERS.replace("* 2", "* 3"), "", "clean() changed"),
    "a helper's helper": (HELPERS, "y = clean(2)", HELPERS.replace("v + limit", "v - limit"), "", "inner() changed"),
    "a global that a helper reads": (HELPERS, "y = clean(2)", "LIMIT = 5", "", "LIMIT 3 → 5"),
    "a default": ("def f(a=1): return a", "y = f()", "def f(a=2): return a", "", "default a of f() 1 → 2"),
    "a closure": (
        "def make(n):\n    def f(): return n\n    return f\nf = make(1)",
        "y = f()",
        "f = make(2)",
        "",
        "changed|→",
    ),
    "a method": (
        "class K:\n    def m(self): return 1\nk = K()",
        "y = k.m()",
        "class K:\n    def m(self): return 2\nk = K()",
        "",
        "input k changed",
    ),
    "a name that is gone": ("a = 1", "try: y = a\nexcept NameError: y = 0", "del a", "", "a"),
    "a builtin that is shadowed": ("", "y = len([1])", "len = lambda v: 7", "", "len"),
    "a name in a query": (
        "import pandas as pd\ndf = pd.DataFrame({'p': [1, 2, 3]})\nlimit = 1",
        "y = df.query('p > @limit')",
        "limit = 2",
        "",
        "input limit 1 → 2",
    ),
    "a name in a shell line": ("w = 'a'", "!echo {w}", "w = 'b'", "", "input w"),
    "a name that the run finds to be read": (
        "flag, late = False, 'old'",
        "if flag:\n    late = 'new'\ngot = late",
        "late = 'other'",
        "",
        "late changed",
    ),
    "an input added": ("cfg = 1", "%%task --in cfg\ny = 1", "cfg = 2", "", "input cfg 1 → 2"),
    "a file it read": (
        "import pathlib\npathlib.Path('d.csv').write_text('1')",
        "y = open('d.csv').read()",
        "pathlib.Path('d.csv').write_text('2')",
        "",
        "d.csv changed",
    ),
    "a file that it wrote": (
        "import pathlib",
        "pathlib.Path('o.csv').write_text('1')",
        "pathlib.Path('o.csv').unlink()",
        "",
        "o.csv is gone",
    ),
    "an environment variable that it read": (
        "import os\nos.environ['RATE'] = '1'",
        "y = os.environ['RATE']",
        "os.environ['RATE'] = '2'",
        "",
        "RATE",
    ),
}


@pytest.mark.parametrize("name", A_MISS)
def test_a_miss_that_says_why(k, name):
    """A hit here is a stale result; a miss without its reason cannot be trusted."""
    before, body, change, again, why = A_MISS[name]
    task = lambda source: source if source.startswith("%%task") else "%%task t\n" + source
    k.out(before)
    first = k.out(task(body))
    assert "stored" in told(first), told(first)
    k.out(change)
    second = told(k.out(task(again or body)))
    assert "⚡" not in second
    assert any(each in second for each in why.split("|")), second


def test_edit_and_edit_back(k):
    """Trying B and returning to A must not cost A again."""
    cells = ["%%task t\ny = 1", "%%task t\ny = 2"]
    assert [k.hits(cells[i]) for i in (0, 1, 0, 1)] == [False, False, True, True]
    seen = []
    for value in (1, 2, 1, 2):
        k.out(f"a = {value}")
        seen.append(k.hits("%%task u\nz = a"))
    assert seen == [False, False, True, True]


def test_a_name_bound_in_a_loop_and_read_after_is_no_input(k):
    """Else the second Run All in one kernel would miss everywhere."""
    cell = "%%task\nfor j in range(3):\n    last = j\nprint(last)"
    k.out(cell)
    assert k.hits(cell)
    k.out("del last, j")
    assert k.hits(cell)


def test_a_nested_check_does_not_enter_the_key(k):
    """The code that nbflow adds to a cell is not the cell's code."""
    cell = "%%task\nif True:\n    a = 1\n    if a:\n        b = a\n        print(a, b)\nif a:\n    print(b)"
    k.out(cell)
    assert k.hits(cell)


@pytest.mark.parametrize(
    "body",
    [
        "y = globals()['a']",
        "def f(c): return eval(c)\ny = f(code)",
        "%who",
        "y = eval(code)",
        "from math import *",
        "y = locals()",
    ],
)
def test_what_cannot_be_known_is_not_cached_unless_told(k, body):
    """A cell that reaches for names at run time would be stale whenever they change."""
    k.out("a, code = 1, 'a'")
    out = told(k.out("%%task\n" + body))
    assert "not cached" in out
    assert "--in" in out
    k.out("%%task --in a\n" + body)
    assert k.hits("%%task --in a\n" + body)


@pytest.mark.parametrize("body", ["name = input()", "import getpass\nword = getpass.getpass()"])
def test_what_was_typed_is_not_kept(k, body):
    """A password must not end up in a store, nor an old answer be taken for a new one."""
    message = k.client.execute("%%task\n" + body, allow_stdin=True)
    k.client.get_stdin_msg(timeout=20)
    k.client.input("typed")
    assert "not cached: it asks by" in told(k.finish(message)[1])


def test_a_live_handle_counts_by_its_type_and_a_spent_one_not_at_all(k):
    """A database connection is no data; an open file is used up by reading."""
    k.out("import sqlite3\ncon = sqlite3.connect(':memory:')")
    cell = "%%task\nrows = con.execute('select 1').fetchall()"
    assert "stored" in told(k.out(cell))
    k.out("con = sqlite3.connect(':memory:')")
    assert k.hits(cell)
    k.out("gen = (i for i in range(3))")
    assert "not cached" in told(k.out("%%task\ntotal = sum(gen)"))
    assert "gen" in told(k.out("%%task\ntotal = sum(gen)"))


def test_what_a_magic_of_somebodys_reads_by_name(k):
    """`%%R -i df` and `%%snakeviz` take names as text: with another `df` they would hit with results of the old one."""
    k.out(
        "from IPython.core.magic import register_cell_magic, register_line_magic\n"
        "@register_cell_magic\ndef other(line, cell):\n    names = get_ipython().user_ns\n"
        "    names['made'] = names[line.split()[1]] * 10\n"
        "@register_cell_magic\ndef profiled(line, cell):\n    exec(cell, get_ipython().user_ns)\n"
        "@register_line_magic\ndef push(line):\n    get_ipython().user_ns['made'] = get_ipython().user_ns[line] * 10"
    )
    for body in ("%%other -i df\nprint(1)", "%%profiled\nmade = df * 10", "%push df"):
        for df in (1, 2):
            k.out(f"df = {df}")
            assert not k.hits(f"%%task\n{body}"), body
            assert k.value("made") == str(10 * df)
            k.out("del made")
            assert k.hits(f"%%task\n{body}"), body
            assert k.value("made") == str(10 * df)
            k.out("del made")


def test_files_that_are_named(k):
    """What a child process reads is not seen: without `--file` its old output would be served."""
    k.out(
        "import os, pathlib\nos.makedirs('named', exist_ok=True); path = pathlib.Path('named/a.csv'); path.write_text('1')"
    )
    for flags in ("--file named/a.csv", "--file $path other.csv", "--file named/*.csv", "--file {path.parent}"):
        cell = f"%%task t {flags}\nout = !cat named/a.csv"
        assert "stored" in told(k.out(cell))
        assert k.hits(cell)
        k.out("path.write_text(path.read_text() + '2')")
        assert "miss: named/a.csv changed" in told(k.out(cell))
    missing = "%%task u --file late.csv\ny = 1"
    k.out(missing)
    assert k.hits(missing)
    k.out("pathlib.Path('late.csv').write_text('')")
    assert "miss: late.csv is there now" in told(k.out(missing))
    assert "miss: --file" in told(k.out("%%task u --file another.csv\ny = 1"))


def test_a_module_edited_on_disk_is_told_once(k):
    """Whoever edited a helper takes the old result for the new one; it is right for the code that is loaded."""
    write = "open('disk.py', 'w').write('def f(v):\\n    return v + {}\\n')"
    k.out(
        write.format(1) + "\nimport sys; sys.path.insert(0, ''); sys.dont_write_bytecode = True; import disk, importlib"
    )
    cell = "%%task t\ny = disk.f(1)"
    told_edit = "disk.py was edited after it was loaded: reload it to use the new code"
    assert told_edit not in told(k.out(cell))
    k.out(write.format("1  # as before"))
    assert told_edit not in told(k.out(cell))
    k.out(write.format(2222))
    for shown in (True, False):
        out = k.out(cell)
        assert hit(out)
        assert (told_edit in told(out)) is shown
    k.out("importlib.reload(disk)")
    out = told(k.out(cell))
    assert "miss: f() changed" in out
    assert told_edit not in out
    k.out("sys.path.remove('')")


@pytest.mark.parametrize("header", ["--ignore late", "--key 1"])
def test_what_is_left_out_does_not_count_when_it_turns_out_to_be_read(k, header):
    """The flag would be taken, and do nothing."""
    k.out("flag, late = False, 'old'")
    cell = f"%%task {header}\nif flag:\n    late = 'new'\ngot = late"
    k.out(cell)
    k.out("late = 'other'")
    assert k.hits(cell)


def test_expiry_is_the_readers(k):
    """The same entry is fresh for one caller and old for another."""
    k.out("%%task\ny = 1")
    assert k.hits("%%task --expires 1h\ny = 1")
    out = told(k.out("%%task --expires 0\ny = 1"))
    assert "miss: expired" in out
    assert "miss: refresh asked" in told(k.out("%%task --refresh\ny = 1"))


def test_results_from_the_network_are_kept_and_marked(k):
    """`%%task` was asked for; what may be Monday's rows is said to be."""
    k.out(
        "import http.server, threading\nserver = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
        "threading.Thread(target=server.serve_forever, daemon=True).start()\nport = server.server_port"
    )
    cell = "%%task {}\nimport urllib.request\nbody = urllib.request.urlopen(f'http://127.0.0.1:{{port}}/').status"
    assert "network: kept without --expires" in told(k.out(cell.format("")))
    assert "network: kept without --expires" in told(k.out(cell.format("")))
    assert "kept without" not in told(k.out(cell.format("other --expires 1d --refresh")))
    k.out("server.shutdown(); server.server_close()")
