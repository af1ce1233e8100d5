"""What goes wrong in a `%%task` cell: retries, roll-back, interrupts, limits, a broken store."""

import re

import pytest

from tests.integration.kernels import Kernel, error, hit, text, told, users

pytestmark = pytest.mark.kernel

LEFT = "[n for n in globals() if n.startswith('__task')], 'Tee' in str(vars(__import__('sys').stdout).get('write'))"


@pytest.fixture
def k(k):
    k.out("import builtins\nbuiltins.tries = 0")
    return k


FLAKY = (
    "import builtins, random\nimport numpy as np\nbuiltins.tries += 1\nbox[0].append(len(box[0]))\nbox[1]['a'] += 1\n"
    "new_name = builtins.tries\nprint('attempt', builtins.tries, random.random(), np.random.rand())\n"
    "if builtins.tries < 3: raise OSError('flaky')\n"
)


def test_each_attempt_starts_from_the_state_before_the_first(k):
    """A second attempt that appends to what the first one left has the rows twice."""
    k.out("import numpy\nbox = [[1], {'a': 1}]\nalias = box[0]\nold = 1")
    out = k.out("%%task --retries 3\n" + FLAKY)
    assert k.value("box, alias is box[0], new_name") == "([[1, 1], {'a': 2}], True, 3)"
    draws = re.findall(r"attempt \d (\S+) (\S+)", text(out))
    assert len(draws) == 3
    assert len(set(draws)) == 1, "random and numpy draw the same in each attempt"
    assert sum(each[0] == "clear_output" for each in out) == 2
    assert "attempt 3 of 4" in told(out)
    k.out("builtins.tries = 9\nbox[:] = [[1], {'a': 1}]\nalias = box[0]")
    out = k.out("%%task --retries 3\n" + FLAKY)
    assert hit(out)
    assert text(out).count("attempt") == 1, "the entry holds only what the last attempt showed"


@pytest.mark.parametrize(
    ("body", "name"),
    {
        "undefined_name": "NameError",
        "assert tries < 0": "AssertionError",
        "raise MemoryError": "MemoryError",
        "compile('a b', '', 'exec')": "SyntaxError",
        "raise KeyboardInterrupt": "KeyboardInterrupt",
    }.items(),
)
def test_errors_that_no_second_attempt_would_mend(k, body, name):
    """Five attempts at a typo are four too many; Ctrl-C means stop."""
    reply, out = k.run("%%task --retries 3\nbuiltins.tries += 1\n" + body)
    assert reply["ename"] == name
    assert k.value("tries") == "1"


def test_which_errors_are_retried(k):
    """`--retry-on` and `--give-up-on` take names, so that nothing has to be imported for them."""
    flaky = "builtins.tries += 1\nraise {}('x')"
    k.out("%%task --retries 3 --retry-on OSError\n" + flaky.format("ConnectionError"))
    assert k.value("tries") == "4"
    k.out("builtins.tries = 0")
    k.out("%%task --retries 3 --retry-on KeyError\n" + flaky.format("ValueError"))
    assert k.value("tries") == "1"
    k.out("builtins.tries = 0")
    k.out("%%task --retries 3 --give-up-on LookupError\n" + flaky.format("KeyError"))
    assert k.value("tries") == "1"


def test_a_retry_is_refused_where_an_input_cannot_be_put_back(k):
    """A second attempt on half-consumed input is silently wrong."""
    k.out("rows = iter([1, 2, 3])")
    reply, out = k.run("%%task --retries 3\nbuiltins.tries += 1\nnext(rows)\nraise OSError('x')")
    assert reply["ename"] == "OSError"
    assert k.value("tries") == "1"
    assert "not retried: rows: a list_iterator was changed" in error(out)
    assert error(out).count("raise OSError") == 1


def test_nothing_is_kept_of_a_failure_and_the_last_good_result_stays(k):
    """An outage must not cost yesterday's result."""
    cell = "%%task {}\nv = 1\nif tries: raise OSError\nv"
    k.out("builtins.tries = 0")
    k.out(cell.format("t"))
    k.out("builtins.tries = 1")
    assert k.run(cell.format("t --refresh"))[0]["ename"] == "OSError"
    assert k.hits(cell.format("t"))
    assert not k.hits("%%task\nw = 1\n1/0")
    assert not k.hits("%%task\nw = 1\n1/0")


STALE = (
    "%%task prices --stale-on-error --timeout 0.3 {}\nimport asyncio, builtins, time\nrows.append(2)\nprint('trying')\n"
    "half = 1\nif builtins.tries: {}\nprices = len(rows)\nprint('good')\nprices"
)


@pytest.mark.parametrize(
    ("flags", "trouble", "why"),
    [
        ("--expires 0.001", "raise ConnectionError('no route')", "expired just now · ConnectionError: no route"),
        ("--expires 0.001 --retries 1", "1/0", "expired just now · ZeroDivisionError: division by zero"),
        ("--expires 0.001", "time.sleep(30)", "expired just now · StepTimeout: the attempt took"),
        ("--expires 0.001", "await asyncio.sleep(30)", "expired just now · StepTimeout: the attempt took"),
        ("--refresh", "raise OSError", "refresh failed · OSError"),
    ],
)
def test_a_stale_result_instead_of_an_error(k, flags, trouble, why):
    """An outage would stop Run All, or half of what failed be mixed with yesterday's result; or nobody would be told."""
    cell = STALE.format(flags, trouble)
    k.out("rows = [1]; alias = rows")
    k.out(cell)
    k.out("builtins.tries = 1; rows[:] = [1]; del prices, half")
    reply, out = k.run(cell)
    assert reply["status"] == "ok", error(out)
    assert re.search(rf"⚡ prices · stale: \d+ ms old, {re.escape(why)}", told(out)), told(out)
    last = max(at for at, each in enumerate(out) if each[0] == "clear_output")
    assert text(out[last:]) == "trying\ngood\n", "what the failed attempt had shown is gone"
    assert users(out)[-1][1] == "2"
    assert k.value("rows, alias is rows, prices, half") == "([1, 2], True, 2, 1)"
    k.out("rows.append(3)")
    assert k.run(cell)[0]["status"] == "error", "there is nothing old of these inputs"
    assert k.value(LEFT) == "([], False)"


def test_why_a_stale_result_is_not_served(k):
    """One sees an error where an old result was asked for: is there none, or could it not be used?"""
    cell = "%%task --stale-on-error --expires 0.001\nif builtins.tries:\n    a.name = 'n'\n    raise OSError('down')\ny = len(a)"
    k.out("import builtins, pandas as pd\nbuiltins.tries = 0\na = pd.Index([1])")
    assert "stored" in told(k.out(cell))
    k.out("builtins.tries = 1")
    reply, out = k.run(cell)
    assert reply["status"] == "error"
    why = "no stale result instead: a: a Index was changed, and cannot be changed again in place"
    assert f"nbflow: {why}" in error(out)
    assert why in told(out)


def test_an_interrupt_is_not_answered_by_a_stale_result(k):
    """Ctrl-C would end one cell, and Run All go on with the next one."""
    cell = "%%task t --expires 0.001 --stale-on-error\nimport builtins, time\nprint('here')\nif builtins.tries: time.sleep(30)"
    k.out(cell)
    k.out("builtins.tries = 1")
    assert k.interrupt_in(cell, "here")[0]["ename"] == "KeyboardInterrupt"


def test_rollback_on_final_failure(k):
    """Names and inputs get back what they were; without the flag they stay as the failure left them."""
    body = "rows.append(2)\nname = 'new'\nfresh = 1\nraise OSError('x')"
    k.out("rows, name = [1], 'old'\nalias = rows")
    out = k.out("%%task --rollback --retries 1\n" + body)
    assert "names and inputs put back" in told(out)
    assert k.value("rows, name, alias is rows, 'fresh' in globals()") == "([1], 'old', True, False)"
    k.out("%%task\n" + body)
    assert k.value("rows, name, fresh") == "([1, 2], 'new', 1)"


@pytest.mark.parametrize(
    ("head", "body", "when", "name"),
    [
        ("--retries 3", "import time\nv1 = 1\nprint('here')\ntime.sleep(30)", "here", "KeyboardInterrupt"),
        ("--retries 3", "import asyncio\nv1 = 1\nprint('here')\nawait asyncio.sleep(30)", "here", "CancelledError"),
        ("--retries 3 --retry-delay 30", "1/0", "↻", "KeyboardInterrupt"),
        ("--retries 3 --retry-delay 30", "import asyncio\nawait asyncio.sleep(0)\n1/0", "↻", "CancelledError"),
        ("", "print('here')\nslow = Slow()\ndelay = 1", "here", "KeyboardInterrupt"),
        ("", "seen = slow.v", "first run", "KeyboardInterrupt"),
    ],
    ids=["body", "async body", "wait", "async wait", "storing", "digesting"],
)
def test_an_interrupt_stops_at_once_and_leaves_nothing(k, head, body, when, name):
    """Ctrl-C must work wherever the cell happens to be, be the only thing one sees, and not be retried."""
    k.out(
        "import time\ndelay = 0\nclass Slow:\n    def __init__(self): self.v = 1\n    def __getstate__(self):\n"
        "        if delay: print('here', flush=True); time.sleep(30)\n        return self.__dict__\n"
        "    def __nbflow_digest__(self):\n        if delay: print('first run', flush=True); time.sleep(30)\n"
        "        return 1\nslow = Slow()"
    )
    if body.startswith("seen"):
        k.out("delay = 1")
    if "Slow()" in body:
        body = body.replace("print('here')\n", "")
    reply, out = k.interrupt_in(f"%%task t {head}\n{body}", when)
    assert reply.get("ename") == name, out
    trace = error(out)
    assert "nbflow/" not in trace
    assert "During handling" not in trace
    assert k.value("1 + 1") == "2"
    assert k.value(LEFT) == "([], False)"
    k.out("delay = 0")
    assert not k.hits(f"%%task t {head}\nprobe = 1")


def test_an_interrupt_while_a_hit_is_put_into_effect_leaves_all_or_nothing(k):
    """Half of yesterday's names beside half of today's is a notebook that no Run All has ever made."""
    k.out(
        "import builtins, time\nbuiltins.delay = 0\nclass Slow:\n    def __init__(self): self.v = 1\n"
        "    def __setstate__(self, state):\n        if builtins.delay: print('here', flush=True); time.sleep(30)\n"
        "        self.__dict__ = state\nrows = [1]"
    )
    cell = "%%task t\nrows.append(2)\nfirst = 1\nslow = Slow()\nlast = 2"
    k.out(cell)
    k.out("builtins.delay = 1; rows[:] = [1]; first = last = slow = None")
    reply, out = k.interrupt_in(cell, "here")
    assert reply.get("ename") == "KeyboardInterrupt", out
    assert k.value("rows, first, slow, last") == "([1], None, None, None)"
    assert k.value(LEFT) == "([], False)"
    k.out("builtins.delay = 0")
    assert k.hits(cell)
    assert k.value("rows, first, slow.v, last") == "([1, 2], 1, 1, 2)"


def test_timeouts(k):
    """A stuck request must not hold a Run All for the night; the traceback says where it was stuck."""
    reply, out = k.run("%%task --timeout 0.2\nimport time\ntime.sleep(30)")
    assert reply["ename"] == "StepTimeout"
    assert "----> 3 time.sleep(30)" in error(out)
    assert "timeouts.py" not in error(out)
    reply, out = k.run("%%task --timeout 0.2 --retries 1\nimport asyncio\nawait asyncio.sleep(30)")
    assert reply["ename"] == "StepTimeout"
    assert "line 3 of the cell" in error(out)
    assert "2 attempts" in error(out)
    reply, out = k.run(
        "%%task --timeout 0.2\nwhile True:\n    try:\n        time.sleep(30)\n    except Exception:\n        pass"
    )
    assert reply["ename"] == "StepTimeout"
    k.out("%%task --timeout 0.3 --retries 2\nbuiltins.tries += 1\nif tries < 3: time.sleep(30)\nok = tries")
    assert k.value("ok") == "3"
    reply, out = k.run("%%task --deadline 0.5 --retries 99 --retry-delay 0.1\nraise OSError('down')")
    assert reply["ename"] == "OSError"
    assert k.value("__import__('signal').getitimer(0)") == "(0.0, 0.0)"


def test_store_if(k):
    """An answer that says "error" with status 200 must not be served for a week."""
    cell = "%%task --store-if \"answer['ok']\"\nanswer = {'ok': tries > 0}"
    assert "--store-if answer['ok'] is false" in told(k.out(cell))
    k.out("builtins.tries = 1")
    assert "stored" in told(k.out(cell))
    assert "NameError" in told(k.out("%%task --store-if missing\nx = 1"))
    assert "stored" in told(k.out("%%task --store-if 'result > 2'\nx = 1\nx + 2"))


def test_a_store_that_cannot_be_used_costs_one_line_and_no_result(k):
    """A full or read-only disk is no reason for a cell to fail."""
    k.out("import nbflow, pathlib\nkept = nbflow.configure().store\npathlib.Path('file').write_text('x')")
    k.out("_ = nbflow.configure(store='file/below')")
    reply, first = k.run("%%task\nv = 5\nv")
    assert reply["status"] == "ok"
    assert users(first)[-1][1] == "5"
    second = k.out("%%task\nw = 6\nw")
    shown = text(first, "stderr") + text(second, "stderr")
    assert shown.count("\n") <= 1, shown
    assert "not cached" in told(second)
    k.out("_ = nbflow.configure(store=kept)")


def test_a_value_larger_than_the_store_may_be(k):
    """To write gigabytes that are thrown away at once takes minutes, and the disk."""
    k.out("import nbflow, numpy as np; nbflow.configure(max_size='1MB')")
    out = k.out("%%task\nbig = np.random.default_rng(0).random(1_000_000)")
    k.out("nbflow.configure(max_size=None)")
    assert "not cached: it takes more than the store may hold in all" in told(out), told(out)
    assert "raise max_size" in told(out)
    assert k.value("len(big)") == "1000000"


def test_entries_that_were_damaged_run_again(k):
    """Torn files happen; an exception in the user's cell must not."""
    k.out("%%task\nbig = list(range(100_000))")
    k.out(
        "import pathlib, os\nfrom nbflow.session import session\nfor path in pathlib.Path(session.store.folder).rglob('*.nbf'):\n"
        "    os.chmod(path, 0o600); data = bytearray(path.read_bytes()); data[100] ^= 1; path.write_bytes(data)"
    )
    out = k.out("%%task\nbig = list(range(100_000))")
    assert not hit(out)
    assert not error(out)
    assert k.value("len(big)") == "100000"
    assert k.hits("%%task\nbig = list(range(100_000))")


def test_a_class_that_is_gone_is_a_miss(k):
    """A value whose class does not exist any more cannot be made again: the cell runs."""
    k.out(
        "import sys, types\nmod = types.ModuleType('gone_mod'); exec('class G: pass', vars(mod)); sys.modules['gone_mod'] = mod"
    )
    cell = "%%task\nimport gone_mod\ng = gone_mod.G()"
    assert "stored" in told(k.out(cell))
    k.out("del mod.G")
    reply, out = k.run(cell)
    assert reply["ename"] == "AttributeError"
    assert "class G" not in error(out)


def test_one_of_two_kernels_runs_the_other_waits_and_restores(k):
    """Two notebooks that are opened at once must not both run the hour-long cell."""
    cell = (
        "%%task shared\nimport os, time\nprint('computing', flush=True)\n"
        "deadline = time.time() + 20\nwhile not os.path.exists(f'{folder}/go') and time.time() < deadline: time.sleep(0.01)\n"
        "answer = 42"
    )
    with Kernel(store=k.store) as other:
        for each in (k, other):
            each.out(f"folder = {k.folder!r}")
        message = k.start(cell)
        while "computing" not in str(k.client.get_iopub_msg(timeout=20)["content"].get("text")):
            pass
        waiting = other.start(cell)
        while other.client.get_iopub_msg(timeout=20)["msg_type"] != "execute_input":
            pass
        (k_path := __import__("pathlib").Path(k.folder) / "go").write_text("")
        k.finish(message)
        out = other.finish(waiting)[1]
        assert other.value("answer") == "42"
        assert hit(out), (told(out), k_path)
