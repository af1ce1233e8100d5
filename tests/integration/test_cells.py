"""`%%task` runs a cell as IPython would: each claim in a real kernel, next to a plain cell where that is the point."""

import re

import pytest

from tests.integration.kernels import error, hit, result, text, told, users

pytestmark = pytest.mark.kernel


def twice(k, cell, expect, prepare=""):
    """The same claim about a run and about its hit."""
    for cached in (False, True):
        k.out(prepare)
        out = k.out(cell)
        assert hit(out) == cached, told(out)
        assert expect(out), out


BODIES = {
    "plain error": "a=1\nb=2\n1/0",
    "error in a function": "def g(x):\n    y = x\n    return {}[y]\n\ng(3)",
    "error in a coroutine": "import asyncio\nasync def h():\n    await asyncio.sleep(0)\n    1/0\nawait h()",
    "chained": "try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e",
    "in a library": "import json\njson.loads('{')",
    "syntax": "a = 1\nb = = 2",
    "return": "a = 1\nreturn 3",
    "break": "a = 1\nbreak",
    "break in an else": "for i in ():\n    pass\nelse:\n    break",
    "await in a function that is not async": "def f():\n    await x",
    "multi-line": "z = [1,\n  2,\n  1/0,\n]",
    "last expression": "q = 0\n(1 +\n  1/q)",
    "exception group": "raise ExceptionGroup('g', [ValueError(1)])",
    "raise in a lambda": "(lambda: 1/0)()",
    "class body": "class K:\n    x = 1/0",
    "system exit": "raise SystemExit(3)",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_traceback_is_a_plain_cells(k, name):
    """Frames of a library in one's own traceback, or a wrong line, cost the time that caching saved."""
    plain = lambda out: error(out) or "\n\n" + text(out, "stderr")
    strip = lambda trace: re.sub(
        r"In\[\d+\]|ipykernel_\d+/\d+",
        "In[]",
        "\n".join(line for line in trace.splitlines()[2:] if not re.search(r"\s+1 |# c$|run_line_magic", line)),
    )
    bare, first = k.run("# c\n" + BODIES[name])
    task, second = k.run("%%task\n" + BODIES[name])
    assert strip(plain(second)) == strip(plain(first))
    assert task.get("ename") == bare.get("ename")


def test_after_the_last_attempt_there_is_one_traceback_and_a_note(k):
    """Three attempts must not leave three tracebacks, nor hide how many there were."""
    out = k.out("%%task --retries 2\nprint('x')\n1/0")
    assert sum(each[0] == "error" for each in out) == 1
    assert error(out).count("1/0") == 1
    assert "3 attempts" in error(out)
    assert "nbflow/" not in error(out)
    assert k.value("get_ipython().last_execution_succeeded") == "False"


def test_await_runs_on_the_kernels_own_loop(k):
    """Widgets, comms and background tasks stand still where a cell has a loop of its own."""
    k.out(
        "import asyncio\nticks = []\nasync def tick():\n    while len(ticks) < 500:\n        ticks.append(1)\n"
        "        await asyncio.sleep(.005)\nbackground = asyncio.create_task(tick())\nloop = asyncio.get_running_loop()"
    )
    k.out(
        "%%task --ignore ticks,loop\nn0 = len(ticks)\nwhile len(ticks) < n0 + 5:\n    await asyncio.sleep(.01)\n"
        "same = asyncio.get_running_loop() is loop"
    )
    assert k.value("same") == "True"
    k.out("background.cancel()")


def test_async_statements_at_the_top(k):
    """`async for`, `async with` and async comprehensions are what notebooks have top-level await for."""
    body = (
        "import contextlib\nasync def agen():\n    yield 1\n    yield 2\n@contextlib.asynccontextmanager\n"
        "async def ctx():\n    yield 3\nacc = [x async for x in agen()]\nasync for y in agen():\n    acc.append(y)\n"
        "async with ctx() as z:\n    acc.append(z)\nacc"
    )
    twice(k, "%%task\n" + body, lambda out: result(out) == "[1, 2, 1, 2, 3]")


def test_the_last_expression_is_shown_and_kept_in_out(k):
    """`Out[n]` and `_` are how people go on from a cell."""
    for _ in range(2):
        out = k.out("%%task\nw = 20\nw + 1")
        assert result(out) == "21"
        assert k.value("_") == "21"
    out = k.out("%%task\nw = 20\nw + 1;")
    assert hit(out)
    assert result(out) is None
    out = k.out("%%task\nw = 30\nw + 1 ;  # quiet")
    assert result(out) is None
    out = k.out("%%task\nw = 30\nw + 1")
    assert hit(out)
    assert result(out) == "31", "recorded under a ; that is gone"


@pytest.mark.parametrize(
    ("style", "body", "shown"),
    [("all", "1+1\nw=3\n2+2", ["2", "4"]), ("last_expr_or_assign", "w5=5", ["5"]), ("none", "1+1", [])],
)
def test_ipythons_own_choice_of_what_is_shown(k, style, body, shown):
    """A setting of IPython's that a cell ignores makes it look different."""
    k.out(f"get_ipython().ast_node_interactivity = {style!r}")
    try:
        twice(k, "%%task\n" + body, lambda out: [each[1] for each in out if each[0] == "execute_result"] == shown)
    finally:
        k.out("get_ipython().ast_node_interactivity = 'last_expr'")


def test_rich_results_and_results_that_cannot_be_stored(k):
    """A table must stay a table; a value that has no stored form must not cost the rest."""
    rich = "%%task\nclass R:\n    def _repr_html_(self): return '<b>x</b>'\nR()"
    twice(k, rich, lambda out: any(each[0] == "execute_result" and "text/html" in each[2] for each in out))
    lost = "%%task\nkept = 1\nopen(__import__('os').devnull)"
    twice(k, lost, lambda out: "TextIOWrapper" in str(result(out)))


def test_shell_lines_and_line_magics_in_the_body(k):
    """`!cmd {x}` and `%time f()` are half of what notebooks are made of."""
    cell = "%%task\n!echo {word} $word\nfiles = !echo one\n%time q = 3\nq"
    twice(k, cell, lambda out: "abc abc" in text(out) and result(out) == "3", "word = 'abc'")
    assert k.value("list(files)") == "['one']"
    k.out("word = 'xyz'")
    assert "xyz" in text(k.out(cell)), "a changed {name} must be a miss"


@pytest.mark.parametrize(
    ("cell", "expect"),
    {
        "%%task\n%%time\nq4 = 4\nprint('in')": lambda out: "in\n" in text(out),
        "%%task\n%%bash\necho shell": lambda out: "shell" in text(out),
        "%%time\n%%task\nq6 = 6\nq6": lambda out: "6" in str(result(out)) and "Wall" in text(out),
        "\n# about\n\n%%task named --retries 1\nq8 = 8\nq8": lambda out: result(out) == "8" and "named" in told(out),
        "%task renamed\nq9 = 9\nq9": lambda out: result(out) == "9" and "renamed" in told(out),
        "# about\n%task\nq10 = 10\nq10": lambda out: result(out) == "10",
        "%%task\n\n\nq11 = 11\nq11": lambda out: result(out) == "11",
    }.items(),
)
def test_other_cell_magics_and_where_the_header_may_stand(k, cell, expect):
    """Magics compose; an editor's comment above the header, or `%task` for its sake, changes nothing."""
    twice(k, cell, expect)


def test_under_capture(k):
    """`%%capture` above a task takes what it shows, run or hit."""
    for _ in range(2):
        k.out("%%capture cap\n%%task\nprint('captured')\nq7 = 7")
        assert "captured" in k.value("cap.stdout")
        assert k.value("q7") == "7"


@pytest.mark.parametrize("body", ["", "# only a comment", "pass", "'only a string'", "..."])
def test_bodies_with_nothing_in_them(k, body):
    """An empty cell must not crash, nor be kept."""
    assert k.run("%%task\n" + body)[0]["status"] == "ok"


@pytest.mark.parametrize(
    ("header", "words"),
    {
        "--nope 3": "there is no flag --nope",
        "--retires 3": "did you mean '--retries'",
        "--expires soon": "--expires: 'soon' is not a duration",
        "--retries -1": "--retries -1: give a whole number",
        "--retries": "--retries needs a value",
        "--in missing": "--in missing: 'missing' is not bound",
        "--ignore other": "--ignore other: 'other' is not read",
        "--expires $missing": "--expires: $missing: name 'missing' is not defined",
        "--key missing": "--key missing: NameError",
        "one two": "'two' comes after the name",
        "'open": "No closing quotation",
    }.items(),
)
def test_a_header_that_cannot_be_meant(k, header, words):
    """A typo in a flag must not run for twenty minutes uncached; one line says what is wrong."""
    reply, out = k.run(f"%%task {header}\nran = 1")
    assert reply["status"] == "error"
    assert reply["ename"] == "UsageError"
    shown = text(out, "stderr") + error(out)
    assert words in shown
    assert shown.strip().count("\n") == 0, shown
    assert k.value("'ran' in globals()") == "False"


def test_a_header_takes_values_from_the_namespace(k):
    """Settings of a notebook stand in one cell, not in every header."""
    k.out("from datetime import timedelta\nttl, n, word = timedelta(days=1), 2, 'feed'")
    out = k.out("%%task $word --expires $ttl --retries {n + 1} --retry-delay 0\n1/0")
    assert "4 attempts" in error(out)
    assert "feed" in told(out)


def test_explain_runs_nothing(k):
    """Asking what would happen must not make it happen."""
    k.out("lr = 0.1")
    cell = "rate = lr * 2\nprint('ran')\nran = True"
    out = k.out("%%task rates --explain\n" + cell)
    assert "would miss: first run" in told(out)
    assert not users(out)
    assert k.value("'ran' in globals()") == "False"
    k.out("%%task rates\n" + cell)
    assert "would hit" in told(k.out("%%task rates --explain\n" + cell))
    k.out("lr = 0.05")
    assert "would miss: input lr 0.1 → 0.05" in told(k.out("%%task rates --explain\n" + cell))


def test_post_mortem_debugging(k):
    """`%debug` stops in the user's function, one up is the cell, and nothing of nbflow's is in between."""
    k.run("%%task\nsecret = 5\ndef deep(v):\n    inner = v * 2\n    return inner / 0\ndeep(secret)")
    frames = k.value(
        "(lambda t: (lambda f: f(f, t))(lambda f, t: [] if t is None else "
        "[t.tb_frame.f_code.co_name, *f(f, t.tb_next)]))(__import__('sys').last_traceback)"
    )
    assert frames == "['run_code', '<module>', 'deep']"
    message = k.client.execute("%debug", allow_stdin=True)
    for answer in ("p inner", "up", "p secret", "up", "q"):
        k.client.get_stdin_msg(timeout=20)
        k.client.input(answer)
    out = text(k.finish(message)[1])
    assert "\n10\n" in out
    assert "\n5\n" in out
    assert "nbflow/" not in out


def test_a_tracing_debugger_sees_the_same_lines(k):
    """Breakpoints and stepping go by line events."""
    k.out(
        "import sys, builtins\nbuiltins.seen = []\ndef tracer(frame, event, arg):\n"
        "    if event == 'line' and frame.f_code.co_name == '<module>' and 'first' in frame.f_globals:\n"
        "        seen.append(frame.f_lineno)\n    return tracer\nfirst = 1\n"
        "class T:\n    def visit(self, tree):\n        sys.settrace(tracer)\n        return tree\ntransformer = T()"
    )
    body = "a = 0\nfor i in range(2):\n    a += i\nif a:\n    b = 1\n[q for q in (1, 2)]\na"
    lines = []
    for head in ("# plain", "%%task"):
        k.out("get_ipython().ast_transformers.append(transformer); seen.clear()")
        k.out(head + "\n" + body)
        k.out("sys.settrace(None); get_ipython().ast_transformers.remove(transformer)")
        lines.append([line for line in eval(k.value("seen")) if line > 1])
    assert lines[0]
    assert lines[1][: len(lines[0])] == lines[0]


def test_tasks_within_tasks_and_other_transformers(k):
    """A cell that runs cells, and somebody else's transformer, go on working."""
    out = k.out("%%task outer\nget_ipython().run_cell('%%task inner\\nnested = 1\\nprint(nested)')\nafter = 2\nafter")
    assert result(out) == "2"
    assert k.value("nested, after") == "(1, 2)"
    k.out(
        "import ast\nclass Double(ast.NodeTransformer):\n    def visit_Constant(self, node):\n"
        "        return ast.copy_location(ast.Constant(node.value * 2), node) if type(node.value) is int else node\n"
        "double = Double(); get_ipython().ast_transformers.insert(0, double)"
    )
    try:
        assert result(k.out("%%task\n21 + 0")) == "42"
    finally:
        k.out("get_ipython().ast_transformers.remove(double)")


def test_bodies_at_the_edge(k):
    """As many blocks as Python allows, `from __future__`, a nested task."""
    deep = "".join("    " * i + f"for i{i} in (1,):\n" for i in range(19)) + "    " * 19 + "deepest = 1"
    reply, out = k.run("%%task\n" + deep)
    assert reply["status"] == "ok", out
    assert k.value("deepest") == "1"
    assert "not cached" in told(out)
    deep = "".join("    " * i + f"for i{i} in (1,):\n" for i in range(17)) + "    " * 17 + "less = 1"
    assert "stored" in told(k.out("%%task\n" + deep))
    future = "%%task\nfrom __future__ import annotations\ndef fut(a: Undefined): return 1\nfut(1)"
    twice(k, future, lambda out: result(out) == "1")


def test_the_plain_magic(k):
    """Tools that call `run_cell_magic` go round the transformers."""
    magic = "get_ipython().run_cell_magic('task', '', {!r})"
    twice(k, magic.format("v5 = 5\nprint('via magic')\nv5 + 1"), lambda out: "via magic" in text(out))
    trace = error(k.out(magic.format("v5 = 5\n1/0")))
    assert "----> 3 1/0" in trace
    assert "magics.py" not in trace
    assert "await" in text(k.out(magic.format("await x")), "stderr")


def test_loading_again_reloading_and_unloading(k):
    """Hooks that double make every cell run twice; what stays behind haunts the kernel."""
    count = "sum('nbflow' in str(getattr(t, '__module__', '')) for t in {})".format(
        "get_ipython().input_transformers_cleanup + get_ipython().ast_transformers"
    )
    for _ in range(2):
        k.out("%load_ext nbflow\n%reload_ext nbflow")
    assert k.value(count) == "2"
    k.out("%unload_ext nbflow")
    try:
        assert k.value(count) == "0"
        assert "not found" in text(k.out("%%task\n1"), "stderr") + error(k.out("%%task\n1"))
    finally:
        k.out("%load_ext nbflow")
    assert result(k.out("%%task\nz = 4\nz")) == "4"
    k.out("%reset -f")
    assert k.hits("%%task\nz = 4\nz")


def test_help_and_completion(k):
    """Flags are found where people look: `%%task?` and the tab key."""
    shown = k.run("%%task?")[0]["payload"][0]["data"]["text/plain"]
    for flag in ("--retries N", "--retry-delay SPEC", "--expires DUR", "--store-if EXPR", "--explain"):
        assert flag in shown
    k.client.complete("%%task --re", 11)
    assert "--retries" in reply_of(k)["matches"]
    shown = k.run("%nbflow?")[0]["payload"][0]["data"]["text/plain"]
    for command in (
        "ls [TASK]",
        "history [TASK]",
        "clear [TASK] [--all]",
        "prune [TASK] [--max-size SIZE] [--older DUR]",
    ):
        assert f"%nbflow {command} " in shown
    k.out("%%task fit\nmodel = 1")
    for line, offered in {
        "%nbflow ex": "explain",
        "%nbflow prune --ol": "--older",
        "%nbflow history fi": "fit",
        "%nbflow config ver": "verify=",
    }.items():
        k.client.complete(line, len(line))
        assert offered in reply_of(k)["matches"], line


def reply_of(k):
    while True:
        message = k.client.get_shell_msg(timeout=20)
        if message["msg_type"] == "complete_reply":
            return message["content"]


def test_the_nbflow_magic(k):
    """What is kept and why something ran can be asked without leaving the notebook."""
    k.out("lr = 1\n%nbflow config strict=none")
    assert "nothing is kept" in text(k.out("%nbflow ls"))
    k.out("%%task fit\nmodel = lr * 2")
    k.out("lr = 2")
    k.out("%%task fit\nmodel = lr * 2")
    assert "input lr 1 → 2" in text(k.out("%nbflow explain fit"))
    assert re.search(r"fit +2 ", text(k.out("%nbflow ls")))
    assert text(k.out("%nbflow ls fit")).count("\n") == 3
    assert "2 results" in text(k.out("%nbflow stats"))
    k.out("%%task fit\nmodel = lr * 2")
    k.run("%%task --retries 2 broken\n1/0")
    latest, *_ = [line for line in text(k.out("%nbflow history")).splitlines() if line.startswith("broken")]
    assert re.search(r"broken .* 3/3 +✗ failed  ZeroDivisionError: division by zero", latest)
    head, *rows = text(k.out("%nbflow history fit")).splitlines()
    assert head.split() == ["step", "began", "time", "tries", "came", "to", "why"]
    assert [row.split("  ")[-1] for row in rows[:3]] == ["cached just now", "miss: input lr 1 → 2", "miss: first run"]
    assert re.search(r"^store += .*store +\(NBFLOW_STORE\)$", text(k.out("%nbflow config")), re.MULTILINE)
    shown = text(k.out("%nbflow config verify=sealed max_size=1GB"))
    assert re.search(r"verify += sealed +\(configure\(\)\)\nmax_size += 1,073,741,824 bytes  \(configure\(\)\)", shown)
    assert "verify     = full  (default)" in text(k.out("%nbflow config verify=none max_size=none"))
    assert "dropped 0 results" in text(k.out("%nbflow prune --older 30d"))
    for line, said in {
        "lss": "did you mean 'ls'",
        "config nope=1": "no setting",
        "config verify": "write NAME=VALUE",
        "prune --oldr 3d": "prune: there is no flag --oldr; did you mean '--older'?",
        "prune --older": "--older needs a value",
        "prune --older soon": "--older='soon' is not a duration",
        "clear": "name a task, or give --all",
        "stats now": "stats now: write stats",
    }.items():
        shown = text(k.out(f"%nbflow {line}"), "stderr")
        assert said in shown and shown.count("\n") == 1, shown
    assert "nothing is kept of 'fi'; there is fit" in text(k.out("%nbflow clear fi"))
    assert "dropped 2 results" in text(k.out("%nbflow clear fit"))
    assert not k.hits("%%task fit\nmodel = lr * 2")
    assert "%nbflow explain" in text(k.out("%nbflow"))
