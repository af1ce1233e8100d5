"""Writers that are killed at random instants, and writers that end at every line of a save."""

import os
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import nbflow.store
from nbflow.store import Store
from tests.faults.parts import SECRET, draft, ended, examine, fork, kill, version_of

WATCHED = str(Path(nbflow.store.__file__).parent)
WRITERS = 4


def key_of(owner, number):
    return f"{owner:016x}{number:016x}"


def write(folder, owner, seed, report):
    """Save and load for ever; each save that returned is reported as owner, number, version."""
    said = []
    store = Store(folder, SECRET, warn=said.append)
    dice = random.Random(seed)
    version = seed * 1000
    os.write(report, b"go\n")
    while True:
        version += 1
        who, number = dice.choice((owner, owner, WRITERS)), dice.randrange(12)  # the last ones' keys are everybody's
        key = key_of(who, number)
        for found in store.find(key):
            version_of(key, store.load(found))
        if dice.random() < 0.8:
            store.save(draft(key, version))
            os.write(report, f"{who} {number} {version}\n".encode())
        assert not said, said


def rounds(folder, count, seed):
    """Kill four writers at random instants, so many times; gives what was seen."""
    dice = random.Random(seed)
    seen = Counter()
    newest = {}
    for turn in range(count):
        pipes, children = [], []
        for owner in range(WRITERS):
            read, report = os.pipe()
            children.append(fork(write, folder, owner, turn * WRITERS + owner + 1, report))
            os.close(report)
            pipes.append(read)
            if not turn % 4 or owner == WRITERS - 1:  # at times into the opening, at times into the saving
                os.read(read, 3)
        time.sleep(dice.uniform(0, 0.06))
        for child in dice.sample(children, WRITERS):
            assert kill(child) == -9, "a writer failed"
            seen["kills"] += 1
        for pipe in pipes:
            with open(pipe) as lines:
                for line in lines:
                    if len(words := line.split()) == 3:
                        who, number, version = map(int, words)
                        seen["saves"] += 1
                        newest[key_of(who, number), who] = version
        versions, orphans = examine(folder)
        for (key, who), version in newest.items():
            assert key in versions, f"a saved entry is lost: {key}"
            assert versions[key] >= version or who == WRITERS, f"a save is lost: {key}"
        seen["orphans swept"] += orphans
        seen["entries checked"] += len(versions)
    return dict(seen)


SAVES = {
    "the first save of all": ((), (7, 0)),
    "small in place of big": (((3, 0),), (3, 2)),
    "big in place of big": (((3, 0),), (3, 5)),
    "a new big one": (((1, 0), (2, 1)), (3, 1)),
}
"""What is there before, and the number and version saved: their sizes are as `value_of` says."""


def stop_at(line):
    """End the process before the line of that number, of those that a save goes through."""
    count = 0

    def local(frame, event, _):
        nonlocal count
        if event == "line":
            if count == line:
                os._exit(99)
            count += 1
        return local

    sys.settrace(lambda frame, *_: local if frame.f_code.co_filename.startswith(WATCHED) else None)
    return lambda: count


def save_until(folder, number, version, line, report):
    key = key_of(0, number)
    store = Store(folder, SECRET, warn=print)
    lines = stop_at(line)
    store.save(draft(key, version))
    sys.settrace(None)
    os.write(report, b"%d" % lines())


def lines_of(folder, before, saved, line):
    """Save in a child that ends at a line; gives the number of lines if it got through."""
    for number, version in before:
        store = Store(folder, SECRET, warn=print)
        store.save(draft(key_of(0, number), version))
        store.close()
    read, report = os.pipe()
    child = fork(save_until, folder, *saved, line, report)
    os.close(report)
    with open(read) as lines:
        text = lines.read()
    code = ended(child)
    assert code == (0 if text else 99)
    return int(text or 0)


def every_line(folder, step):
    """End a save before each line of it (or each so many-th); gives how many there were of each."""
    ends = {}
    for name, (before, saved) in SAVES.items():
        total = lines_of(folder / "whole", before, saved, -1)
        shutil.rmtree(folder / "whole")
        ends[name] = 0
        for line in range(step // 2, total, step):
            place = folder / str(line)
            if lines_of(place, before, saved, line):
                continue
            ends[name] += 1
            versions, _ = examine(place)
            for number, version in before:
                key = key_of(0, number)
                assert versions.pop(key) in ({version, saved[1]} if number == saved[0] else {version})
            assert versions in ({}, {key_of(0, saved[0]): saved[1]})
            store = Store(place, SECRET, warn=print)
            store.save(draft(key_of(0, saved[0]), 9))
            store.close()
            versions, _ = examine(place)
            assert versions[key_of(0, saved[0])] == 9
            shutil.rmtree(place)
    return ends
