"""Many processes that ask for the same keys at once, with big values, slow ones, and somebody who prunes beside."""

import mmap
import os
import random
import time

import numpy as np

from nbflow import configure, logs, task
from nbflow.store import Store
from tests.faults.parts import SECRET, ended, fork, index_is_sound, kill


class Slow:
    """A value that takes its time to be pickled."""

    def __init__(self, number):
        self.number = number

    def __reduce__(self):
        time.sleep(0.02)
        return Slow, (self.number,)

    def __eq__(self, other):
        return isinstance(other, Slow) and self.number == other.number


def value_of(number):
    if number % 20 == 0:
        return Slow(number)
    if number % 10 == 5:
        return np.full(120_000, number)
    return [number] * (number % 700)


@task(persist_result=True, ignore=["tally"])
def compute(number, tally):
    """Tell that this process computed it."""
    tally(number)
    return value_of(number)


def ask(folder, counts, own, numbers, gates):
    def tally(number):
        counts[own + number] += 1  # a byte that only this process writes

    said = []
    store = Store(folder, SECRET, warn=said.append)
    configure(store=store)
    for numbers_of_round, (ready, go) in zip(numbers, gates, strict=True):
        os.write(ready, b".")
        os.read(go, 1)
        for number in numbers_of_round:
            got = compute(number, tally)
            right = value_of(number)
            assert np.array_equal(got, right) if isinstance(right, np.ndarray) else got == right
    store.close()
    assert not said, said
    assert not logs._said, logs._said


def prune(folder):
    store = Store(folder, SECRET, warn=print)
    while True:
        store.prune()
        store.verify()


def race(folder, processes, keys, rounds):
    """Let processes ask for so many keys, new ones each round, in orders of their own; each is computed once."""
    counts = mmap.mmap(-1, processes * rounds * keys)
    gates = [(os.pipe(), os.pipe()) for _ in range(rounds)]
    children = []
    for process in range(processes):
        dice = random.Random(process)
        numbers = [dice.sample(range(turn * keys, (turn + 1) * keys), keys) for turn in range(rounds)]
        ends = [(ready[1], go[0]) for ready, go in gates]
        children.append(fork(ask, folder, counts, process * rounds * keys, numbers, ends))
    pruner = fork(prune, folder)
    for ready, go in gates:
        waiting = 0
        while waiting < processes:
            waiting += len(os.read(ready[0], processes))
        os.write(go[1], b"." * processes)
    codes = [ended(child) for child in children]
    assert kill(pruner) == -9, "the one who prunes failed"
    for ends in gates:
        for end in (*ends[0], *ends[1]):
            os.close(end)
    assert codes == [0] * processes
    computed = np.frombuffer(bytes(counts), np.uint8).reshape(processes, rounds * keys).sum(axis=0)
    assert set(computed.tolist()) == {1}, f"computed {np.unique(computed, return_counts=True)} times"
    said = []
    store = Store(folder, SECRET, warn=said.append)
    assert store.stats().entries == rounds * keys, "an entry is lost"
    assert store.verify() == (rounds * keys, 0, 0)
    store.close()
    assert said == []
    index_is_sound(folder)
    return {
        "calls": processes * keys * rounds,
        "computed": int(computed.sum()),
        "computed twice, lost, locked, warned": 0,
        "most keys computed by one process": int(np.frombuffer(bytes(counts), np.uint8).reshape(processes, -1).sum(axis=1).max()),
    }  # fmt: skip
