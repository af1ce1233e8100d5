"""The longest words of some modules: with tasks, and with the same functions as they are."""

import re
import sys
from pathlib import Path

from nbflow import flow, task


@task
def read(path):
    return Path(path).read_text(encoding="utf-8")


@task(name="longest word")
def longest(text):
    return max(re.findall(r"[a-z]+", text), key=len)


@flow
def with_tasks(paths):
    return [longest(read(path)) for path in paths]


def with_functions(paths):
    return [longest.fn(read.fn(path)) for path in paths]


if __name__ == "__main__":
    paths = sys.argv[1:]
    found = with_tasks(paths)
    assert found == with_functions(paths)
    print(found)
