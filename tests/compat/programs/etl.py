"""From a service into a table: extract, transform, load, with a log, a limit in time and a result that is kept."""

import csv
import json
import os
import urllib.request

from nbflow import flow, get_run_logger, task


@task(retries=2, retry_delay_seconds=0.01, timeout_seconds=30)
def extract(city):
    logger = get_run_logger()
    logger.info("asking for %s", city)
    with urllib.request.urlopen(f"{os.environ['API']}/weather/{city}", timeout=10) as reply:
        return json.load(reply)["days"]


@task
def transform(city, days):
    return [{"city": city, "day": day["day"], "fahrenheit": round(day["celsius"] * 9 / 5 + 32, 1)} for day in days]


@task(persist_result=True)
def load(rows, path):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, ["city", "day", "fahrenheit"])
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


@flow(name="weather", timeout_seconds=60, log_prints=True)
def etl(cities, path="weather.csv"):
    logger = get_run_logger()
    rows = [row for city in cities for row in transform(city, extract(city))]
    print(f"{len(rows)} rows in all")
    written = load(rows, path)
    logger.info("wrote %d rows to %s", written, path)
    return written


if __name__ == "__main__":
    print(etl(["Oslo", "Cairo"]))
