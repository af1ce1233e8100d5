"""Whose an event is, and what else than files is seen."""

import asyncio
import contextvars
import glob
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nbflow.errors import StepTimeout
from nbflow.keys import origin
from nbflow.trace import Fact
from nbflow.world import adopt, broken, exclude, unseen, versions, watch
from nbflow.world.current import current, running


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        Path(name).write_text(name)
    return tmp_path


def read(name):
    Path(name).read_text()


def subjects(sight):
    return {fact.subject for fact in sight.facts()}


def touched(run, *args):
    with watch() as sight:
        run(*args)
    return sight.touched


def test_nothing_seen():
    """Each pure step would carry facts."""
    before = {*running}  # other tests leave steps that cannot be stopped
    with watch() as sight:
        sum(range(10))
    assert sight.facts() == ()
    assert sight.touched == frozenset()
    assert sight.state == {}
    assert {*running} <= before
    assert current.get() is None


def test_only_while_open():
    """What the next cell reads would be a fact of this one."""
    with watch() as sight:
        read("a")
    read("b")
    assert subjects(sight) == {"a"}


def test_nested():
    """A flow's facts would lack those of its tasks, or a task have its neighbour's."""
    with watch() as outer:
        read("a")
        with watch() as inner:
            read("b")
        read("c")
    assert subjects(inner) == {"b"}
    assert subjects(outer) == {"a", "b", "c"}


def test_raising_run_closes():
    """After an error everything would be attributed to a step that is over."""
    before = {*running}
    with pytest.raises(ZeroDivisionError), watch() as sight:
        read("a")
        1 / 0
    assert {*running} <= before
    assert subjects(sight) == {"a"}


def test_adopt():
    """A step around one that hit would not depend on what the hit depends on."""
    facts = (Fact("file", "a", "0"), Fact("environment", "X", "0"), Fact("random", "random", "0"))
    with watch() as outer, watch() as inner:
        adopt((*facts, Fact("touched", "network", "")))
    for sight in (outer, inner):
        assert sight.facts() == facts[:2]
        assert sight.trace() == (Fact("touched", "network", ""), *facts[:2])
        assert sight.touched == {"network"}
    adopt(facts)


def test_adopt_of_what_this_run_made():
    """An outer step that writes what its inner one reads would never hit."""
    with watch() as outer:
        Path("d").write_text("1")
        adopt((Fact("file", "d", "0"),))
    assert [broken(fact) for fact in outer.facts()] == [None]


def test_adopt_from_another_folder():
    """A step that changes the folder around one that hit would look for its files in the wrong place."""
    os.makedirs("below/deep")
    Path("below/d").write_text("1")
    with watch() as first:
        os.chdir("below")
        with watch() as inner:
            read("d")
            os.listdir("deep")
        os.chdir("..")
    with watch() as outer:
        os.chdir("below")
        adopt(inner.facts())
        os.chdir("..")
    assert subjects(inner) == {"d", "deep/"}
    assert subjects(first) == subjects(outer) == {"below/d", "below/deep/"}
    assert [broken(fact) for fact in outer.facts()] == [None, None]


def test_coroutines_are_told_apart():
    """Steps that wait for one another in one loop would share their facts."""

    async def step(name, mine, other):
        with watch() as sight:
            mine.set()
            await other.wait()
            read(name)
            await asyncio.to_thread(read, "c")
        return sight

    async def main():
        one, two = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(step("a", one, two), step("b", two, one))

    first, second = asyncio.run(main())
    assert subjects(first) == {"a", "c"}
    assert subjects(second) == {"b", "c"}


def test_thread_of_a_step():
    """A file read by a helper thread would be no fact; another step would get it."""

    def run(name, barrier):
        with watch() as sight:
            barrier.wait()
            thread = threading.Thread(target=read, args=(name,))
            thread.start()
            thread.join()
            barrier.wait()
        return sight

    barrier = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, "ab", [barrier] * 2)
    assert subjects(first) == {"a"}
    assert subjects(second) == {"b"}


@pytest.mark.parametrize("name", ["", "Controller", "my IO loop", "profile-Profile"])
def test_pool_of_nobody(name):
    """A pool made earlier would read behind the step's back."""
    with ThreadPoolExecutor(1, thread_name_prefix=name) as pool:
        pool.submit(int).result()
        with watch() as sight:
            pool.submit(read, "a").result()
    assert subjects(sight) == {"a"}


@pytest.mark.parametrize(
    "name", ["IOPub", "Heartbeat", "Control", "IPythonHistorySavingThread", "nbflow-timer", "IO loop"]
)
def test_threads_of_the_kernel(name):
    """The kernel's own work would count: every cell would have touched the network."""
    go, done = threading.Event(), threading.Event()

    def work():
        go.wait()
        read("a")
        done.set()

    thread = threading.Thread(target=work, name=name)
    thread.start()
    with watch() as sight:
        go.set()
        done.wait()
    thread.join()
    assert sight.facts() == ()


def test_main_thread_outside_the_step():
    """What the user does while steps run in the background would be their facts."""
    began, go = threading.Event(), threading.Event()
    sights = []

    def step():
        with watch() as sight:
            began.set()
            go.wait()
            read("b")
        sights.append(sight)

    thread = threading.Thread(target=step)
    thread.start()
    began.wait()
    read("a")
    go.set()
    thread.join()
    assert subjects(sights[0]) == {"b"}


def test_closed_in_another_context():
    """A sight that a generator closes elsewhere would raise into user code."""
    before, sight = {*running}, watch()
    contextvars.copy_context().run(sight.__enter__)
    sight.__exit__(None, None, None)
    assert {*running} <= before


def test_unseen():
    """What nbflow itself looks at would be the user's."""
    with watch() as sight, unseen():
        read("a")
        with watch() as inner:
            read("b")
    assert sight.facts() == ()
    assert subjects(inner) == {"b"}


def test_excluded_store(folder):
    """The store would be a database that each step touches."""
    exclude(folder / "cache-of-mine")

    def run():
        os.mkdir("cache-of-mine")
        Path("cache-of-mine/x").write_text("1")
        sqlite3.connect("cache-of-mine/x.db").close()

    with watch() as sight:
        run()
    assert sight.facts() == ()
    assert sight.touched == frozenset()


def test_network():
    """A bare task would serve Monday's rows on Tuesday."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert touched(lambda: socket.create_connection(server.getsockname()).close()) == {"network"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        assert touched(plain.sendto, b"x", ("127.0.0.1", 9)) == {"network"}
    assert touched(socket.getaddrinfo, "127.0.0.1", 80) == {"network"}
    assert touched(socket.gethostbyname, "127.0.0.1") == {"network"}


def test_kept_alive_connection():
    """A session that keeps its connection would look like pure work from the second request on."""
    import http.client
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        connection = http.client.HTTPConnection(*server.server_address)

        def ask():
            connection.request("GET", "/")
            connection.getresponse().read()

        ask()
        assert touched(ask) == {"network"}
        connection.close()
        server.shutdown()
        thread.join()


def test_unix_socket_is_no_network(folder):
    """Talking to a local daemon or to one's own threads would count as the network."""
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        server.listen()
        assert touched(client.connect, "s") == frozenset()
    for end in socket.socketpair():
        end.close()


def test_event_loop_is_no_network():
    """Starting a loop would make every async task one that touches the network."""

    async def main():
        await asyncio.sleep(0)
        await asyncio.to_thread(int)

    assert touched(asyncio.run, main()) == frozenset()


def test_database():
    """An upsert would be skipped; a database file would be digested as a whole."""
    sqlite3.connect("my.db").close()

    def run(name, **options):
        connection = sqlite3.connect(name, **options)
        connection.execute("create table if not exists t (x)")
        connection.close()

    with watch() as sight:
        sight.mention(["my.db"])
        run("my.db")
    assert sight.touched == {"database"}
    assert sight.facts() == ()
    assert touched(lambda: run("file:my.db?mode=rw", uri=True)) == {"database"}
    assert touched(run, ":memory:") == frozenset()
    assert touched(lambda: run("file:x?mode=memory", uri=True)) == frozenset()


@pytest.mark.parametrize(
    "run",
    [
        lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        lambda: os.system("true"),
        lambda: os.system("true # it's"),
        lambda: os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ), 0),
    ],
)
def test_child_process(run):
    """Files that a child reads are unseen, and nobody would know."""
    assert touched(run) == {"child process"}


@pytest.mark.parametrize(
    "run",
    [
        lambda: subprocess.run(["cat", "below/x.txt"], check=True, capture_output=True),
        lambda: subprocess.run(["cat", "x.txt"], check=True, capture_output=True, cwd="below"),
        lambda: subprocess.run("cat 'below/x.txt' | wc", check=True, capture_output=True, shell=True),
        lambda: os.system("cat below/x.txt > out.txt"),
        lambda: os.waitpid(os.posix_spawn("/bin/cat", ["cat", "below/x.txt"], os.environ), 0),
    ],
)
def test_words_of_a_child_process(run):
    """`subprocess.run(["sort", path])` with a kept result would be served after the file changed."""
    os.mkdir("below")
    Path("below/x.txt").write_text("1")
    with watch() as sight:
        run()
    assert "child process" in sight.touched
    found = {fact.subject: fact for fact in sight.facts()}
    assert "below/x.txt" in found
    assert set(found) <= {"below/x.txt", "out.txt"}
    Path("below/x.txt").write_text("2")
    assert broken(found["below/x.txt"]) == "below/x.txt changed"


@pytest.mark.parametrize("kind", ["fork", "pool", "executor"])
def test_process_pool(kind):
    """What a pool of processes reads is unseen, and nobody would know; a pool of threads is none."""
    code = {
        "fork": "pid = os.fork()\n    pid or os._exit(0)\n    os.waitpid(pid, 0)",
        "pool": "with multiprocessing.Pool(1) as pool: pool.map(abs, [1])",
        "executor": "with ProcessPoolExecutor(1) as pool: pool.submit(abs, 1).result()",
    }[kind]
    source = f"""
import multiprocessing, os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.pool import ThreadPool
from nbflow.world import watch
with watch() as sight:
    with ThreadPool(1) as pool: pool.map(abs, [1])
assert sight.touched == frozenset(), sight.touched
with watch() as sight:
    {code}
assert sight.touched == {{"child process"}}, sight.touched
"""
    subprocess.run([sys.executable, "-c", source], check=True, timeout=60)


def test_harmless_child():
    """`platform` or a thread pool asking for the number of cores would make pure work uncached."""
    import platform

    assert touched(lambda: platform._syscmd_file(sys.executable)) == frozenset()


def test_error_of_a_signal_handler_passes():
    """A timeout that strikes while the hook runs would be lost."""

    class Slow(os.PathLike):
        """`glob` tells the hook before it asks for the path: the hook is the first to ask."""

        def __fspath__(self):
            signal.raise_signal(signal.SIGALRM)
            return "*"

    def strike(*_):
        raise StepTimeout

    old = signal.signal(signal.SIGALRM, strike)
    try:
        with watch(), pytest.raises(StepTimeout):
            glob.glob(Slow())
    finally:
        signal.signal(signal.SIGALRM, old)
    assert current.get() is None


def test_hook_meets_itself():
    """What the hook opens while `tempfile` holds its lock would stop the process for ever."""
    code = (
        "import tempfile\nfrom nbflow.world import watch\nwith watch():\n    tempfile.gettempdir(); open('a').close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_hook_never_raises(monkeypatch):
    """A path that cannot be handled would break the user's `open` in another way than Python does."""
    with watch() as sight:
        with pytest.raises(ValueError, match="null"):
            open("a\0b")
        with pytest.raises(TypeError):
            open(3.5)
        with pytest.raises(OSError):
            os.listdir(9999)
        os.mkdir("gone")
        os.chdir("gone")
        os.rmdir("../gone")
        with pytest.raises(FileNotFoundError):
            open("x")
    assert sight.touched == frozenset()


def test_distribution_imported_by_the_user():
    """A new version of a library that only this run imports would be ignored."""
    sys.modules.pop("six", None)
    with watch() as sight:
        import six
    (fact,) = sight.facts()
    assert (fact.kind, fact.subject, fact.hint) == ("distribution", "six", six.__version__)
    assert broken(fact) is None
    assert broken(fact._replace(hint="0.1", digest="0")) == f"six 0.1 → {six.__version__}"
    assert broken(fact._replace(subject="no-such-thing")) == "no-such-thing is gone"


@pytest.fixture
def installed(folder, monkeypatch):
    """A folder of distributions where only their names count; what is found there is forgotten at the end."""
    installed = folder / "site-packages"
    installed.mkdir()
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setattr(versions, "_known", {})
    monkeypatch.setattr(versions, "_MODULES", dict(versions._MODULES))
    origin.providers.cache_clear()
    yield installed
    for name in ("made_up", "made_up_too"):
        sys.modules.pop(name, None)
    origin.providers.cache_clear()


def upgrade(folder, old, new):
    """Another name for a distribution, or a first one, and a time of its folder that importlib.metadata has not seen."""
    if old:
        (folder / f"{old}.dist-info").rename(folder / f"{new}.dist-info")
    else:
        (folder / f"{new}.dist-info").mkdir()
    os.utime(folder, ns=(0, folder.stat().st_mtime_ns + 1_000_000_000))


def test_distribution_changed_in_a_running_kernel(installed):
    """After `%pip install -U` a cell would hit with what the old version made, until the kernel is started anew."""
    upgrade(installed, None, "made_up-1.0")
    (installed / "made_up.py").touch()
    (known,) = versions.facts("made_up")
    assert (known.hint, broken(known)) == ("1.0", None)
    upgrade(installed, "made_up-1.0", "made_up-2.0")
    assert broken(known) == "made_up 1.0 → 2.0"
    sys.modules["made_up"] = object()
    assert [fact.hint for fact in versions.facts("made_up")] == ["2.0"]
    upgrade(installed, "made_up-2.0", "made_up-3.0")
    assert [fact.hint for fact in versions.facts("made_up")] == ["2.0"], "which is what is in memory"
    assert versions.distribution("not_yet") is None
    upgrade(installed, None, "not_yet-1.0")
    assert versions.distribution("not_yet") == "1.0"


def test_distribution_that_is_called_otherwise(installed):
    """A new version of what brings `Crypto` or `cv2` would be ignored, for their names tell nothing of where they are from."""
    upgrade(installed, None, "other_name-1.0")
    (installed / "other_name-1.0.dist-info" / "METADATA").write_text("Name: other-name\nVersion: 1.0\n")
    (installed / "other_name-1.0.dist-info" / "top_level.txt").write_text("made_up_too\n")
    (installed / "made_up_too.py").touch()
    with watch() as sight:
        import made_up_too  # noqa: F401
    (fact,) = sight.facts()
    upgrade(installed, "other_name-1.0", "other_name-2.0")
    assert [each.hint for each in versions.facts("made_up_too")] == ["1.0"], "which is what is in memory"
    upgrade(installed, "other_name-2.0", "other_name-1.0")
    origin.providers.cache_clear()
    del sys.modules["made_up_too"]
    assert (fact.subject, fact.hint, broken(fact)) == ("other-name", "1.0", None)
