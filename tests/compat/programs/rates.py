"""Rates from a service that is often busy: asked for with growing patience, and kept for a day."""

import json
import os
import sys
import urllib.request
from datetime import timedelta

from nbflow import flow, task
from nbflow.tasks import task_input_hash


@task(
    retries=4,
    retry_delay_seconds=[0.01, 0.02, 0.05, 0.1],
    retry_jitter_factor=0.5,
    persist_result=True,
    cache_key_fn=task_input_hash,
    cache_expiration=timedelta(days=1),
)
def fetch(day):
    with urllib.request.urlopen(f"{os.environ['API']}/rates/{day}", timeout=10) as reply:
        return json.load(reply)["rate"]


@flow
def rates(days):
    return {day: fetch(day) for day in days}


if __name__ == "__main__":
    print(json.dumps(rates(sys.argv[1:])))
