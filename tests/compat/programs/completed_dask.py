"""Weather of some cities, asked for on DaskTaskRunner; those that fail are left out."""

import json
import os
import sys
import urllib.request

from nbflow import flow, task
from nbflow.futures import as_completed
from nbflow.task_runners import DaskTaskRunner


@task
def fetch(city):
    with urllib.request.urlopen(f"{os.environ['API']}/weather/{city}", timeout=10) as reply:
        return json.load(reply)["days"]


@task
def warmest(days):
    return max(day["celsius"] for day in days)


@flow(
    task_runner=DaskTaskRunner(
        cluster_kwargs={"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    )
)
def survey(cities):
    asked = {fetch.submit(city): city for city in cities}
    second, failed = {}, []
    for future in as_completed(asked):
        try:
            days = future.result()
        except Exception:
            failed.append(asked[future])
        else:
            second[asked[future]] = warmest.submit(days)
    return {city: future.result() for city, future in second.items()}, failed


if __name__ == "__main__":
    found, failed = survey(sys.argv[1:])
    print(json.dumps([dict(sorted(found.items())), sorted(failed)]))
