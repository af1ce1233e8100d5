"""`%nbflow`, without a kernel: what each command says is read from what it prints."""

import re
import threading

import pytest
from IPython.core.error import UsageError

from nbflow import checkpoint, once, task
from nbflow.events import Began, Hit
from nbflow.notebook.control import complete, nbflow
from nbflow.session import configure, session


def test_a_task_with_a_store_of_its_own(fresh, tmp_path, capsys):
    """`ls` and `clear` would say that nothing is kept, and `explain` compare with what lies elsewhere."""

    @task(name="own", result_storage=tmp_path / "own", cache_policy=None, persist_result=True)
    def own(n):
        return n

    own(1)
    own(2)
    nbflow("explain own")
    assert "input n 1 → 2" in capsys.readouterr().out
    nbflow("ls own")
    assert capsys.readouterr().out.count("just now") == 4
    nbflow("clear own")
    assert capsys.readouterr().out == "dropped 2 results\n"
    assert not own.is_cached(1)


def test_a_miss_is_explained_by_what_was_there_then(fresh, tmp_path, capsys):
    """A step would be said to differ from siblings that came later, or in its inputs where a file changed."""
    data = tmp_path / "a.csv"
    data.write_text("1")

    @task(name="read", persist_result=True)
    def read(path, n):
        return path.read_text(), n

    read(data, 1)
    nbflow("explain read")
    assert capsys.readouterr().out == "read: missed just now: first run\n"
    read(data, 2)
    data.write_text("22")
    read(data, 1)
    nbflow("explain read")
    assert capsys.readouterr().out == f"read: missed just now: {data} changed\n"


def test_steps_that_run_meanwhile(fresh, capsys):
    """A look at what is kept would end in a RuntimeError while submitted steps go on."""
    over = threading.Event()

    def tell():
        for number in range(10**9):
            if over.is_set():
                return
            session.recent.append(Began(number, 0.0, "busy", (), None))
            session.recent.append(Hit(number, 0.0, 1.0, 1.0, 1))

    thread = threading.Thread(target=tell)
    thread.start()
    try:
        for _ in range(10):
            for line in ("explain", "explain none", "stats", "history none"):
                nbflow(line)
            assert complete("%nbflow history bu", "bu") == ["busy"]
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(
    ("line", "name", "value", "shown"),
    [
        ("cache=0", "cache", False, "off  (configure())"),
        ("cache=off", "cache", False, "off  (configure())"),
        ("cache=True", "cache", True, "on  (configure())"),
        ("strict=no", "strict", False, "off  (configure())"),
        ("strict=1", "strict", True, "on  (configure())"),
        ("refresh_cache=yes", "refresh_cache", True, "True  (configure())"),
        ("panel=off", "panel", "off", "off  (configure())"),
        ("retries=3", "retries", 3, "3  (configure())"),
        ("tag_limits=api=2,db=1", "tag_limits", {"api": 2, "db": 1}, "api=2, db=1  (configure())"),
        ("cache=none", "cache", None, "on  (default)"),
    ],
)
def test_settings_as_they_are_written(fresh, capsys, line, name, value, shown):
    """`config cache=0` would leave caching on, and `retries` could not be set at all."""
    if value is None:
        configure(**{name: False})
    nbflow(f"config {line}")
    assert getattr(session.settings, name) == value
    assert type(getattr(session.settings, name)) is type(value)
    found = dict(each.split(" = ", 1) for each in capsys.readouterr().out.splitlines())
    assert {told.strip(): what for told, what in found.items()}[name] == shown
    assert complete(f"%nbflow config {name}", name) == [f"{name}="]


class World:
    """What a task reads without its being an input."""

    down = False

    def __nbflow_digest__(self):
        return "the world"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ls", "nothing is kept in "),
        ("ls none", "nothing is kept of 'none'"),
        ("ls --jobs", "there are no jobs, and nothing is in doubt"),
        ("explain", "no step was looked up in this session"),
        ("explain none", "no step of 'none' was looked up in this session"),
        ("history", "no step ran in this session"),
        ("history none", "no step of 'none' ran in this session"),
        ("clear none", "nothing is kept of 'none'"),
        ("prune none --older 1d", "nothing is kept of 'none'"),
        ("stats", "this session: 0 from the store, 0 computed, 0 ms saved"),
    ],
)
def test_where_there_is_nothing(fresh, capsys, line, says):
    """A command that prints nothing would look as if it had not run."""
    nbflow(line)
    assert says in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("lss", "there is no 'lss'; did you mean 'ls'?"),
        ("clear", "clear: name a task, or give --all"),
        ("clear own --all", "clear: name a task, or give --all"),
        ("config cache", "config cache: write NAME=VALUE"),
        ("ls 'own", "No closing quotation"),
    ],
)
def test_what_cannot_be_meant(fresh, line, says):
    """A typing error would be a traceback, or drop what was not named."""
    with pytest.raises(UsageError, match=re.escape(f"%nbflow: {says}")):
        nbflow(line)


def test_what_is_there(fresh, capsys):
    """Nobody would see how far a job is, what is in doubt, or why an old result came."""

    @task(name="grown", cache_expiration=60, stale_on_error=True)
    def grown(n):
        if world.down:
            raise OSError(n)
        return n

    world = World()
    for n in range(40):
        grown(n)
    assert checkpoint("letters", ["a", "b"]).map(len) == [1, 1]
    with pytest.raises(ZeroDivisionError):
        once("invoice", lambda: 1 / 0)
    nbflow("ls --jobs")
    said = capsys.readouterr().out
    assert "letters" in said and "invoice" in said and "once.resolve(KEY, 'done')" in said
    nbflow("history grown")
    assert re.search(r"^and \d+ earlier steps$", capsys.readouterr().out, re.MULTILINE)
    nbflow("stats")
    assert "grown" in capsys.readouterr().out
    world.down = True
    fresh.clock.advance(61)
    assert grown(3) == 3
    nbflow("explain grown")
    assert capsys.readouterr().out.startswith("grown: stale result just now: ")
    nbflow("prune --max-size 1B")
    assert capsys.readouterr().out.startswith("dropped 42 results, ")


@pytest.mark.parametrize(
    ("line", "symbol", "found"),
    [
        ("%nbflow l", "l", ["ls"]),
        ("%nbflow none x", "x", []),
        ("%nbflow ls --j", "--j", ["--jobs"]),
        ("%nbflow stats g", "g", []),
        ("%nbflow clear g", "g", ["grown"]),
        ("%nbflow config pan", "pan", ["panel="]),
    ],
)
def test_what_a_word_may_become(fresh, line, symbol, found):
    """Names of tasks, which are long, would have to be typed."""
    task(name="grown", persist_result=True)(abs)(-1)
    assert complete(line, symbol) == found


def test_a_switch_is_on_or_off(fresh):
    """A word that means neither would turn on what should be off."""
    with pytest.raises(UsageError, match="cache='never': give True or False"):
        nbflow("config cache=never")
    with pytest.raises(UsageError, match="panel="):
        nbflow("config panel={[]:1}")
