"""How many lines and how many words each module has, counted side by side; the futures are resolved at the end."""

import json
import sys
from pathlib import Path

from nbflow import flow, task, unmapped
from nbflow.futures import resolve_futures_to_results, wait


@task
def lines(path):
    return len(Path(path).read_text(encoding="utf-8").splitlines())


@task
def words(path, least):
    return sum(len(word) >= least for word in Path(path).read_text(encoding="utf-8").split())


@task
def total(counts):
    return sum(counts)


@flow
def survey(paths):
    by_lines = {Path(path).name: lines.submit(path) for path in paths}
    by_words = words.map(paths, unmapped(3))
    done, not_done = wait([*by_lines.values(), *by_words])
    assert not not_done, not_done
    assert len(done) == 2 * len(paths)
    return resolve_futures_to_results({"lines": by_lines, "words": by_words, "all": total.submit(by_words)})


if __name__ == "__main__":
    print(json.dumps(survey(sys.argv[1:])))
