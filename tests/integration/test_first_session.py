"""The first hour with nbflow: an empty notebook in the home directory, nothing set up, the kernel restarted."""

import contextlib
import re
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.kernels import Kernel, error, hit, result, text, told, users

pytestmark = pytest.mark.kernel

RAN = r"✓ {} · ran in [\d.]+ m?s · stored [\d.]+ K?B · miss: {}"
HIT = r"⚡ {} · cached (just now|\d+ s ago) · saved [\d.]+ m?s · [\d.]+ K?B{}"

NOTEBOOK = {
    "load": "%load_ext nbflow",
    "imports": "import requests, sqlite3\nimport pandas as pd\nimport matplotlib.pyplot as plt",
    "all in one": "%%task sales\ncon = sqlite3.connect('shop.db')\nsales = pd.read_sql('select * from sale', con)\nlen(sales)",
    "connection": "con = sqlite3.connect('shop.db')",
    "query": "%%task sold\nsold = pd.read_sql('select * from sale', con)\nlen(sold)",
    "fetch": "%%task rows\nrows = requests.get(URL).json()['rows']\nlen(rows)",
    "fetch, expires": "%%task fresh --expires 1d\nfresh = requests.get(URL).json()['rows']\nlen(fresh)",
    "session": "session = requests.Session()\n_ = session.get(URL)",
    "fetch by the session": "%%task kept\nkept = session.get(URL).json()['rows']\nlen(kept)",
    "forest": (
        "%%task model\nfrom sklearn.ensemble import RandomForestClassifier\nX, t = [[i] for i in range(20)], [0, 1] * 10\n"
        "model = RandomForestClassifier(2).fit(X, t)\nmodel.score(X, t)"
    ),
    "predict": "%%task\nguesses = model.predict(X).tolist()\nguesses",
}
QUERIES = "load", "imports", "connection", "query"


class Home:
    """A home directory without a project, and notebooks in it."""

    def __init__(self, folder):
        self.folder = folder
        self.asked = 0
        home = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                home.asked += 1
                body = b'{"rows": [{"p": 1}, {"p": 2}]}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            protocol_version = "HTTP/1.1"  # a session keeps its connection

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        self.serving = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.serving.start()

    def close(self):
        self.server.shutdown()
        self.serving.join()
        self.server.server_close()

    def kernel(self):
        """A kernel as a front end starts one for a notebook in the home directory."""
        setup = f"URL = {self.url!r}"
        unset = dict.fromkeys(("NBFLOW_STORE", "NBFLOW_STORE_KEY_FILE"), "")
        return Kernel(load=False, setup=setup, folder=self.folder, HOME=str(self.folder), **unset)

    def run_all(self, *names):
        """What each cell shows in a new kernel."""
        with self.kernel() as kernel:
            return {name: does(kernel, NOTEBOOK[name]) for name in names or NOTEBOOK}

    def sell(self):
        with contextlib.closing(sqlite3.connect(self.folder / "shop.db")) as shop:
            shop.execute("create table if not exists sale (price int)")
            shop.execute("insert into sale values (1)")
            shop.commit()


def does(kernel, code):
    """Runs a cell that must not fail; its outputs."""
    reply, out = kernel.run(code)
    assert reply["status"] == "ok", error(out)
    return out


def says(out, pattern):
    """Whether the line's last state is this."""
    return re.fullmatch(pattern, told(out).split(" | ")[-1])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("home"))
    home.sell()
    yield home
    home.close()


@pytest.fixture(scope="module")
def runs(home):
    """Run All, and Run All after a restart."""
    return home.run_all(), home.run_all()


@pytest.fixture(scope="module")
def k(home):
    """A notebook that stays open while things are edited."""
    (home.folder / "prices.csv").write_text("p,q\n1,2\n3,4\n")
    with home.kernel() as kernel:
        for name in ("load", "imports"):
            does(kernel, NOTEBOOK[name])
        yield kernel


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("query", " · database: kept without --expires"),
        ("fetch", " · network: kept without --expires"),
        ("fetch, expires", ""),
        ("fetch by the session", " · network: kept without --expires"),
        ("forest", ""),
        ("predict", ""),
    ],
)
def test_run_all_after_a_restart_brings_everything_back(runs, name, mark):
    """It is what one installs nbflow for; what may be stale by then says so, whatever the connection was."""
    first, second = (run[name] for run in runs)
    label = NOTEBOOK[name].split()[1]
    label = "guesses" if name == "predict" else label
    assert says(first, RAN.format(label, "first run") + mark), told(first)
    assert says(second, HIT.format(label, mark)), told(second)
    assert result(first) == result(second) is not None


def test_a_server_is_asked_once(home, runs):
    """A second request for what is on disk is what the cell was marked for to avoid."""
    assert runs
    assert home.asked == 2 + 3, "what the three tasks ask once, and the cell that is none in both kernels"


def test_a_connection_made_in_the_cell_says_to_move_it(runs):
    """The cell that everybody writes first cannot be kept: the line must name the culprit, and the cure."""
    for run in runs:
        assert result(run["all in one"]) == "1"
        assert says(
            run["all in one"],
            r"✓ sales · ran in [\d.]+ m?s · not cached: con: a Connection cannot be stored .*give it a cell of its own.*",
        ), told(run["all in one"])


def test_rows_added_to_a_database_come_by_refresh(home, runs):
    """What is behind a connection is unseen: the mark says so, and `--refresh` is the way out."""
    home.sell()
    assert result(home.run_all(*QUERIES)["query"]) == "1"
    with home.kernel() as kernel:
        for name in QUERIES[:-1]:
            does(kernel, NOTEBOOK[name])
        out = does(kernel, NOTEBOOK["query"].replace("sold", "sold --refresh", 1))
        assert result(out) == "2"
        assert "refresh" in told(out)
        assert result(does(kernel, NOTEBOOK["query"])) == "2"


def test_where_it_lies(home, runs, k):
    """One looks for what fills the disk, and git must not; a project elsewhere must not find it."""
    assert runs
    store = Path(home.folder) / ".nbflow"
    assert (store / ".gitignore").read_text().split() == ["*"]
    assert store.stat().st_mode & 0o777 == 0o700
    assert str(store) in text(does(k, "%nbflow config"))
    does(k, "import os; os.makedirs('elsewhere', exist_ok=True); os.chdir('elsewhere')")
    out = does(k, "%%task\nseen = 1")
    does(k, "os.chdir('..')")
    assert hit(does(k, "%%task\nseen = 1")), told(out)
    assert not (store.parent / "elsewhere" / ".nbflow").exists()


def test_a_value_in_a_query_is_an_input(k):
    """`@limit` is a name in a string: forgotten, the table of yesterday's limit is served."""
    does(k, "df = pd.DataFrame({'p': [1, 2, 3]})\nlimit = 1")
    cell = "%%task\nbig = df.query('p > @limit')\nlen(big)"
    assert result(does(k, cell)) == "2"
    does(k, "limit = 2")
    out = does(k, cell)
    assert result(out) == "1"
    assert says(out, RAN.format("big", "input limit 1 → 2")), told(out)
    assert says(does(k, cell), HIT.format("big", ""))


def test_a_file_that_the_cell_wrote_is_made_again(home, k):
    """A hit without the picture on disk leaves the report without it."""
    cell = "%%task plot\npd.DataFrame({'p': [1, 2]}).plot()\nplt.savefig('plot.png')"
    picture = home.folder / "plot.png"
    first = does(k, cell)
    assert says(first, RAN.format("plot", "first run")), told(first)
    assert says(does(k, cell), HIT.format("plot", ""))
    picture.unlink()
    out = does(k, cell)
    assert says(out, RAN.format("plot", r"plot\.png is gone")), told(out)
    assert picture.stat().st_size > 0
    again = does(k, cell)
    assert hit(again)
    pictures = [[each[2] for each in users(out)] for out in (first, again)]
    assert pictures == [[["image/png", "text/plain"]]] * 2


def test_axes_come_back_once(k):
    """A restored `ax` must be one to work on, and its plot must not be drawn twice."""
    does(k, "table = pd.DataFrame({'p': [1, 2]})")
    cell = "%%task\nax = table.plot()"
    first, second = does(k, cell), does(k, cell)
    assert says(first, RAN.format("ax", "first run")), told(first)
    assert says(second, HIT.format("ax", "")), told(second)
    for out in (first, second):
        assert [each[2] for each in users(out)] == [["image/png", "text/plain"]]
    assert k.value("len(ax.lines), plt.get_fignums()") == "(1, [])"
    shown = users(does(k, "ax.set_title('mine')\nax.figure"))
    assert [each[0] for each in shown] == ["execute_result"], "one picture, of the figure asked for"


def test_counting_calls_in_a_list(k):
    """It is how one finds out whether the cache works: counting must not be what makes it miss."""
    does(k, "calls = []\ndef slow(v):\n    calls.append(v)\n    return v * 2")
    cell = "%%task\ntripled = [slow(v) for v in range(3)]\nlen(calls)"
    assert result(does(k, cell)) == "3"
    counting = "%%task\ndoubled = [slow(v) for v in range(3)]"
    does(k, "calls.clear()")
    assert says(does(k, counting), RAN.format("doubled", "first run"))
    assert says(does(k, counting), HIT.format("doubled", ""))
    assert k.value("len(calls), doubled") == "(3, [0, 2, 4])"
    does(k, "calls = []")
    assert says(does(k, counting), HIT.format("doubled", ""))
    assert k.value("calls") == "[]", "nothing was called"


def test_a_helper_and_a_file_are_edited(home, k):
    """The two edits of every day; all that follows from them runs again, and nothing else."""
    clean = "def clean(d):\n    '''{}'''\n    return d.{}"
    cells = ["%%task prices\nprices = pd.read_csv('prices.csv')", "%%task tidy\ntidy = clean(prices)"]
    run = lambda: [does(k, cell) for cell in cells]
    does(k, clean.format("Rows with everything.", "dropna()"))
    run()
    does(k, clean.format("Rows without gaps.", "dropna( )"))
    assert all(map(hit, run())), "a docstring and a space"
    does(k, clean.format("Rows, filled.", "fillna(0)"))
    read, tidied = run()
    assert hit(read)
    assert says(tidied, RAN.format("tidy", r"clean\(\) changed")), told(tidied)
    (home.folder / "prices.csv").write_text("p,q\n1,2\n3,5\n")
    read, tidied = run()
    assert says(read, RAN.format("prices", r"prices\.csv changed")), told(read)
    assert says(tidied, RAN.format("tidy", "input prices changed")), told(tidied)
    assert k.value("tidy.q.sum()").startswith("np.int64(7)")
    (home.folder / "prices.csv").write_text("p,q\n1,2\n3,4\n")
    assert all(map(hit, run())), "edited back"
