"""Readings into SQLite: one row for each sensor, written again when a new reading comes, while others write too."""

import json
import sqlite3
import sys
import threading

from nbflow import flow, task

PATH = "readings.db"


@task
def create():
    with sqlite3.connect(PATH) as connection:
        connection.execute("create table if not exists readings (sensor text primary key, payload text)")


@task(retries=5, retry_delay_seconds=[0.05, 0.1, 0.2, 0.4, 0.8])
def upsert(sensor, payload):
    with sqlite3.connect(PATH, timeout=0) as connection:
        connection.execute(
            "insert into readings values (?, ?) on conflict (sensor) do update set payload = excluded.payload",
            (sensor, json.dumps(payload)),
        )
    return sensor


def hold(locked, seconds):
    """Another program, which has the database for itself for a while."""
    connection = sqlite3.connect(PATH, isolation_level=None)
    connection.execute("begin exclusive")
    locked.set()
    threading.Event().wait(seconds)
    connection.execute("commit")
    connection.close()


@flow
def ingest(readings):
    create()
    locked = threading.Event()
    other = threading.Thread(target=hold, args=(locked, 0.15))
    other.start()
    locked.wait(10)
    written = [upsert(sensor, payload) for sensor, payload in readings]
    other.join()
    return written


if __name__ == "__main__":
    scale = float(sys.argv[1])
    print(ingest([("hall", {"temp": 20 * scale, "unit": "C"}), ("roof", {"temp": 4 * scale, "unit": "C"})]))
    with sqlite3.connect(PATH) as connection:
        print(
            json.dumps(
                {sensor: json.loads(payload) for sensor, payload in connection.execute("select * from readings")}
            )
        )
