"""Programs as users of Prefect write them: nothing but their import lines says `nbflow`.

Each runs as a process of its own, in a folder of its own, against a service on this machine that is as flaky as the
program is meant to stand. What is asserted is what it printed, what it wrote, and what the service was asked for.
"""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
CITIES = {"Oslo": [-3, 1, 4], "Cairo": [21, 25, 24], "Lima": [17, 19, 18]}
MODULES = [Path(os.__file__).parent / f"{name}.py" for name in ("bisect", "heapq", "keyword")]


class Service(ThreadingHTTPServer):
    """`/rates/DAY` is busy for the first three requests of a day; `/weather/CITY` fails for cities that it does not know."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked = Counter()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked[self.path] += 1
        _, kind, name = self.path.split("/")
        if kind == "rates" and self.server.asked[self.path] > 3:
            self.answer(200, {"rate": len(name) / 8})
        elif kind == "weather" and name in CITIES:
            self.answer(200, {"days": [{"day": day, "celsius": c} for day, c in enumerate(CITIES[name], 1)]})
        else:
            self.answer(503 if kind == "rates" else 404, {})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    server = Service()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def program(tmp_path, service):
    def run(name, *args, code=0, **environ):
        ours = {"API": service.url, "NBFLOW_STORE": str(tmp_path / ".nbflow"), "PYTHONWARNINGS": "error"}
        done = subprocess.run(
            [sys.executable, PROGRAMS / f"{name}.py", *map(str, args)],
            cwd=tmp_path,
            env=os.environ | ours | environ,
            capture_output=True,
            text=True,
            timeout=240,  # starting a cluster takes long on a busy machine
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


def test_programs_are_prefects_but_for_their_imports():
    """A user who changes `prefect` to `nbflow` in the import lines would have to change more."""
    for path in PROGRAMS.glob("*.py"):
        elsewhere = [
            line for line in path.read_text().splitlines() if not line.startswith(("from nbflow", "import nbflow"))
        ]
        assert not [line for line in elsewhere if "nbflow" in line], path
    assert len(list(PROGRAMS.glob("*.py"))) == 10


def test_retries_with_a_list_and_jitter_on_a_kept_result(program, service):
    """A busy service would fail the program, or it would ask again on the next run for what it has."""
    first = json.loads(program("rates", "2026-11-20", "2026-11-21").stdout)
    assert first == {"2026-11-20": 1.25, "2026-11-21": 1.25}
    assert service.asked == {"/rates/2026-11-20": 4, "/rates/2026-11-21": 4}
    assert json.loads(program("rates", "2026-11-20", "2026-11-21").stdout) == first
    assert service.asked.total() == 8


def test_an_upsert_into_a_database_that_others_use(program, tmp_path):
    """A locked database would fail the program, or a second run would skip the upsert as if it were a value."""
    assert json.loads(program("upsert", 1).stdout.splitlines()[1])["hall"] == {"temp": 20.0, "unit": "C"}
    out = program("upsert", 2).stdout.splitlines()
    assert out[0] == "['hall', 'roof']"
    assert json.loads(out[1]) == {"hall": {"temp": 40.0, "unit": "C"}, "roof": {"temp": 8.0, "unit": "C"}}
    with sqlite3.connect(tmp_path / "readings.db") as connection:
        assert connection.execute("select count(*) from readings").fetchone() == (2,)
    connection.close()


def test_chunks_go_on_where_the_file_says(program, tmp_path):
    """A program that keeps its own checkpoint would redo its chunks, or find its file not written."""
    folder = tmp_path / "code"
    folder.mkdir()
    for number in range(10):
        (folder / f"m{number}.py").write_text("x = 1\n" * (number + 1))
    stopped = program("chunks", folder, code=1, STOP_AFTER="2")
    assert "stopped after 2 chunks" in stopped.stderr
    assert len(json.loads((tmp_path / "done.json").read_text())) == 6
    out = program("chunks", folder).stdout.splitlines()
    assert out == ["6 were done before", "55"]
    assert program("chunks", folder).stdout.splitlines() == ["10 were done before", "55"]


def test_an_etl_flow_with_a_log_and_a_kept_write(program, tmp_path, service):
    """The table would be missing, or the log of the run would be seen nowhere."""
    done = program("etl")
    assert done.stdout == "6\n"
    assert [line.split(" | ", 1)[1] for line in done.stderr.splitlines()] == [
        "INFO    | Task run 'extract' - asking for Oslo",
        "INFO    | Task run 'extract' - asking for Cairo",
        "INFO    | Flow run 'weather' - 6 rows in all",
        "INFO    | Flow run 'weather' - wrote 6 rows to weather.csv",
    ]
    assert (tmp_path / "weather.csv").read_text().splitlines()[:2] == ["city,day,fahrenheit", "Oslo,1,26.6"]
    program("etl")
    assert service.asked == {"/weather/Oslo": 2, "/weather/Cairo": 2}  # it fetches, so it is asked anew


def test_tasks_in_a_comprehension_are_the_functions(program):
    """Tasks that are called like functions would give something else than the functions."""
    assert eval(program("plain", *MODULES).stdout) == [
        max(__import__("re").findall(r"[a-z]+", path.read_text()), key=len) for path in MODULES
    ]


def test_futures_are_resolved_wherever_they_are(program):
    """Futures in a dict would come back as futures, or a step that takes others' results would not get them."""
    out = json.loads(program("resolve", *MODULES).stdout)
    texts = [path.read_text() for path in MODULES]
    assert out["lines"] == {path.name: len(text.splitlines()) for path, text in zip(MODULES, texts, strict=True)}
    assert out["words"] == [sum(len(word) >= 3 for word in text.split()) for text in texts]
    assert out["all"] == sum(out["words"])


@pytest.mark.parametrize("name", ["completed", "completed_concurrent", "completed_threadpool", "completed_dask"])
def test_second_steps_follow_whatever_completed(program, name):
    """A city that fails would take the others with it, or the program would depend on its runner."""
    if name == "completed_dask":
        pytest.importorskip("distributed")
    out = json.loads(program(name, "Oslo", "Atlantis", "Cairo", "Lima", "Thule").stdout)
    assert out == [{"Cairo": 25, "Lima": 19, "Oslo": 4}, ["Atlantis", "Thule"]]
