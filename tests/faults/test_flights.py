"""One flight per key, among threads, event loops, pools and processes at once, when things go wrong."""

import asyncio
import os
import shutil
import signal
import subprocess
import threading
import time
from multiprocessing import get_context

import pytest

from nbflow import configure, logs, task
from nbflow.clock import Clock
from nbflow.errors import InterfaceError
from nbflow.session import session
from nbflow.store import Store
from nbflow.store.waits import holder
from tests.fakes import FakeClock
from tests.faults.parts import SECRET, ended, fork, kill

PATIENCE = 20
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@task(persist_result=True, ignore=["do"])
def step(key, do):
    """Compute what `do` computes."""
    return do()


@task(persist_result=True, ignore=["do"])
async def astep(key, do):
    """The same for an event loop."""
    return await do()


@pytest.fixture
def place(tmp_path):
    """The session on a store of its own; what children find."""
    kept = session.settings
    store = Store(tmp_path / "store", SECRET, warn=print)
    configure(store=store)
    yield store
    session.settings = kept
    store.close()


class Pipe:
    """Bytes between processes: what was said, by whom."""

    def __init__(self):
        self.read, self.write = os.pipe()

    def say(self, text):
        os.write(self.write, text.encode().ljust(16))

    def hear(self):
        os.set_blocking(self.read, False)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                return os.read(self.read, 16).decode().strip()
            except BlockingIOError:
                time.sleep(0.002)
        raise AssertionError("nothing was said")


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    os.close(made.read)
    os.close(made.write)


def hold(pipe, key, end=None):
    """Run a step that says it holds its key and then waits to be killed, or ends."""

    def body():
        pipe.say("held")
        return end() if end else signal.pause()

    step(key, body)


def waiters(key, do):
    """Ask for one key from threads, an event loop, the pool; gives what joins them and returns what they got."""
    got = []

    def ask():
        try:
            got.append(step(key, do))
        except ValueError as error:
            got.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    futures = [step.submit(key, do) for _ in range(3)]

    def join():
        for thread in threads:
            thread.join(PATIENCE)
        for future in futures:
            try:
                got.append(future.result(timeout=PATIENCE))
            except ValueError as error:
                got.append(error)
        return got

    return join


def test_a_killed_holder_frees_all_waiters_and_one_computes(place, pipe):
    """A kernel that crashed would block the same step in all other kernels, or they would all run it at once."""
    child = fork(hold, pipe, 1)
    assert pipe.hear() == "held"
    ran = []
    at = {}

    def compute():
        ran.append(1)
        at["ran"] = time.monotonic()
        return 5

    other = Pipe()
    second = fork(lambda: step(1, lambda: other.say("ran") or 5))
    join = waiters(1, compute)
    assert place.claim("ff" * 16)  # others go on meanwhile
    place.release("ff" * 16)
    assert (ran, step.is_cached(1, compute)) == ([], False)
    killed = time.monotonic()
    kill(child)
    assert join() == [5] * 6
    assert ended(second) == 0
    other.say("end")
    elsewhere = 0
    while other.hear() == "ran":
        elsewhere += 1
    assert len(ran) + elsewhere == 1
    assert time.monotonic() - killed < 5
    os.close(other.read)
    os.close(other.write)


def test_coroutines_of_several_loops_and_processes_compute_once(place, pipe):
    """Async downloads of one URL in two kernels would be done twice, or freeze an event loop."""
    counted = Pipe()

    async def compute():
        counted.say("ran")
        await asyncio.sleep(0)
        return 7

    async def main():
        beats = []

        async def beat():
            while True:
                beats.append(1)
                await asyncio.sleep(0.001)

        heart = asyncio.create_task(beat())
        got = await asyncio.gather(*(astep(key, compute) for key in range(5) for _ in range(4)))
        heart.cancel()
        return got

    children = [fork(lambda: asyncio.run(main())) for _ in range(3)]
    got = []
    threads = [threading.Thread(target=lambda: got.extend(asyncio.run(main()))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert got == [7] * 40
    assert [ended(child) for child in children] == [0, 0, 0]
    counted.say("end")
    ran = 0
    while counted.hear() == "ran":
        ran += 1
    assert ran == 5
    os.close(counted.read)
    os.close(counted.write)


def test_a_holder_that_fails_lets_one_waiter_try(place, pipe):
    """A server that is down would be asked by all waiting kernels at the same moment."""
    go = Pipe()

    def fail():
        go.hear()
        raise ValueError("down")

    child = fork(lambda: pytest.raises(ValueError, hold, pipe, 2, fail))
    assert pipe.hear() == "held"
    running, most, ran = [], [], []

    def compute():
        running.append(1)
        most.append(len(running))
        ran.append(1)
        time.sleep(0.01)
        running.pop()
        if len(ran) < 3:
            raise ValueError("still down")
        return 6

    join = waiters(2, compute)
    go.say("go")
    got = join()
    assert ended(child) == 0
    assert (len(ran), set(most)) == (3, {1})
    assert sum(isinstance(each, ValueError) for each in got) == 2
    assert got.count(6) == 4
    os.close(go.read)
    os.close(go.write)


def cross(pipe, other, first, second, form):
    """Hold one key and then ask for another one, whose holder asks for the first."""
    if form == "thread":
        step(first, lambda: (other.say("held"), pipe.hear(), step(second, lambda: 1))[2])
    elif form == "pool":
        step.submit(
            first, lambda: (other.say("held"), pipe.hear(), step.submit(second, lambda: 1).result())[2]
        ).result()
    else:

        async def one():
            return 1

        async def both():
            other.say("held")
            pipe.hear()
            return await astep(second, one)

        asyncio.run(astep(first, both))


def refused(*args):
    try:
        cross(*args)
    except InterfaceError:
        return True
    return False


@pytest.mark.parametrize("form", ["thread", "pool", "loop"])
def test_a_circle_of_processes_is_an_error_at_once(place, pipe, form):
    """Two kernels that need each other's result would both hang for ever."""
    other = Pipe()
    child = fork(lambda: refused(other, pipe, 2, 1, form) and os._exit(3))
    began = time.monotonic()
    mine = refused(pipe, other, 1, 2, form)
    assert (mine, ended(child)) in {(True, 0), (False, 3)}  # whoever closes the circle; the other one goes on
    assert time.monotonic() - began < 5
    os.close(other.read)
    os.close(other.write)


def test_a_circle_through_threads_of_two_processes_is_found(place, pipe):
    """A deadlock that goes through another thread of the same kernel would be missed."""
    other, done = Pipe(), Pipe()

    def theirs():
        """Hold 2 and wait for 3 in this process, whose holder waits for 1 of the other one."""
        inner = threading.Event()

        def third():
            inner.set()
            other.hear()
            try:
                return step(1, lambda: 1)
            except InterfaceError:
                return done.say("found") or 1

        thread = threading.Thread(target=lambda: step(3, third))
        thread.start()
        inner.wait(PATIENCE)
        step(2, lambda: (pipe.say("held"), step(3, lambda: 1))[1])
        thread.join(PATIENCE)

    child = fork(theirs)

    def first():
        assert pipe.hear() == "held"
        other.say("go")
        try:
            return step(2, lambda: 1)
        except InterfaceError:
            return done.say("found") or 1

    assert step(1, first) == 1
    assert done.hear() == "found"
    assert ended(child) == 0
    for each in (other, done):
        os.close(each.read)
        os.close(each.write)


def test_a_cancelled_waiter_waits_no_more(place, pipe):
    """A cell that was interrupted while it waited would make later steps fail as parts of a circle."""
    key, outer = "ab" * 16, "cd" * 16

    class Owner:
        parent = None

    class Inner:
        def __init__(self, parent):
            self.parent = parent

    async def wait():
        async def never():
            raise AssertionError

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(astep(3, never), 0.05)

    child = fork(lambda: asyncio.run(astep(3, lambda: asyncio.to_thread(lambda: (pipe.say("held"), signal.pause())))))
    assert pipe.hear() == "held"
    asyncio.run(wait())
    with pytest.raises(TimeoutError):
        astep.submit(3, None).result(timeout=0.05)
    kill(child)

    one, two = Owner(), Owner()
    place.claim(outer, one)
    place.claim(key, two)
    leave = place.when_free(key, print, Inner(one))
    with pytest.raises(InterfaceError):
        place.when_free(outer, print, two)
    leave()
    leave()
    place.when_free(outer, lambda: None, two)()
    place.release(outer)
    place.release(key)


def test_only_whoever_holds_a_key_gives_it_up(place):
    """Another kernel, or a step that ends late, would let a third one run what is still being computed."""
    key = "ab" * 16

    def stranger():
        for owner in (None, "mine", "theirs"):
            place.release(key, owner)
        assert not place.claim(key, "theirs", wait=False)
        place.close()
        again = Store(place.folder, SECRET, warn=print)
        assert not again.claim(key, "mine", wait=False)
        again.close()

    assert place.claim(key, "mine")
    place.release(key, "theirs")
    second = Store(place.folder, SECRET, warn=print)
    assert not second.claim(key, "theirs", wait=False)
    second.release(key, "theirs")
    second.close()
    assert ended(fork(stranger)) == 0
    assert ended(fork(stranger)) == 0  # the first one's end changed nothing
    place.release(key, "mine")
    assert ended(fork(lambda: place.claim(key, "theirs", wait=False) or os._exit(1))) == 0


def test_a_wait_may_have_an_end(place, pipe):
    """Whoever has no time to wait for another kernel's result could only interrupt."""
    child = fork(hold, pipe, 9)
    assert pipe.hear() == "held"
    future = step.submit(9, lambda: "mine")
    with pytest.raises(TimeoutError):
        future.result(timeout=0.1)
    assert step.with_options(persist_result=False)(9, lambda: "mine too") == "mine too"
    assert not future.done()
    kill(child)
    assert future.result(timeout=PATIENCE) == "mine"


def test_children_of_a_dead_holder_hold_nothing(place, pipe):
    """A kernel that was killed would block its steps for as long as a server, or a worker, that it had started runs."""
    key, children = "ac" * 16, Pipe()

    def hold():
        assert place.claim(key)
        forked = fork(time.sleep, 600)
        program = subprocess.Popen(["sleep", "600"], close_fds=False)
        children.say(str(forked))
        children.say(str(program.pid))
        time.sleep(600)

    holder = fork(hold)
    left = [int(children.hear()) for _ in range(2)]
    waiter = fork(lambda: place.claim(key) and pipe.say("mine"))
    assert not place.claim(key, wait=False)
    killed = time.monotonic()
    kill(holder)
    try:
        assert pipe.hear() == "mine"
        assert time.monotonic() - killed < 5
        for child in left:
            os.kill(child, 0)  # they are there
    finally:
        for child in left:
            os.kill(child, signal.SIGKILL)
    assert ended(waiter) == 0
    os.close(children.read)
    os.close(children.write)


def test_forks_inside_a_step(place):
    """A process pool inside a task would hang, where its workers ask for what their parent computes."""

    def pool():
        with get_context("fork").Pool(2) as workers:
            return workers.map(twice, range(4)), workers.apply(itself)

    assert step(4, pool) == ([0, 1, 2, 3], "refused")
    child = fork(lambda: step(4, pool) == ([0, 1, 2, 3], "refused") or os._exit(1))
    assert ended(child) == 0


def twice(number):
    return step((4, number // 2), lambda: number // 2) + step((5, number), lambda: number - number // 2)


def itself():
    try:
        return step(4, lambda: "ran")
    except InterfaceError:
        return "refused"


def test_a_fork_beside_threads_that_hold_and_wait(place):
    """A child made while other threads compute would inherit claims that nobody ever gives back."""
    stop = threading.Event()
    holds = threading.Event()
    threads = [
        threading.Thread(target=lambda: step(6, lambda: holds.set() or stop.wait(PATIENCE))),
        threading.Thread(target=lambda: holds.wait(PATIENCE) and step(6, lambda: True)),
    ]
    for thread in threads:
        thread.start()
    holds.wait(PATIENCE)
    children = [fork(lambda n=n: step((7, n), lambda: 1)) for n in range(5)]
    assert [ended(child) for child in children] == [0] * 5
    last = fork(lambda: step(6, lambda: False) or os._exit(1))  # waits for its parent, as a stranger would
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert ended(last) == 0


def test_a_stopped_holder_is_named(place, pipe):
    """A kernel that was suspended with Ctrl-Z would hold up all others, and nobody would know why."""
    clock = place._flights._clock = FakeClock()
    place.claim("ff" * 16)
    place.release("ff" * 16)
    child = fork(hold, pipe, 8)
    assert pipe.hear() == "held"
    os.kill(child, signal.SIGSTOP)
    os.waitpid(child, os.WUNTRACED)
    said = set(logs._said)
    logs._said.clear()
    try:
        thread = threading.Thread(target=step, args=(8, lambda: 1))
        thread.start()
        clock.wait_parked(1)
        clock.advance(9)
        assert logs._said == set()
        clock.advance(2)
        [text] = logs._said
        assert text.startswith(f"step waits for process {child}, ") and f"kill -CONT {child}" in text
    finally:
        logs._said.clear()
        logs._said.update(said)
        os.kill(child, signal.SIGCONT)
        kill(child)
        thread.join(PATIENCE)
    assert holder(-1, 1) == (0, False)


def test_a_claim_ends_where_it_began(place, pipe):
    """After `rm -rf .nbflow` a step that was waited for would end, but who waited would not hear of it."""
    key = "ab" * 16
    place.claim(key, "parent")

    def ask():
        place.find(key)
        pipe.say("asking")
        place.claim(key)

    child = fork(ask)
    assert pipe.hear() == "asking"
    shutil.rmtree(place.folder)
    place._recheck = 0.0
    place.find(key)
    assert place.claim("cd" * 16)  # in the new folder
    place.release(key)
    assert ended(child) == 0
    place.release("cd" * 16)


def test_a_child_has_timers_of_its_own(pipe):
    """A worker of a process pool would wait for ever before its first retry, or do its parent's work."""
    clock = Clock()
    heard = threading.Event()

    def wait():
        clock.after(0.01, heard.set)
        assert heard.wait(PATIENCE)

    clock.after(0, lambda: pipe.say("parent"))
    assert pipe.hear() == "parent"
    with clock._timer._changed:  # as the timer's thread may at any moment
        clock.after(0.001, lambda: pipe.say("again"))
        child = fork(wait)
        code = ended(child)
    assert code == 0
    assert pipe.hear() == "again"
    assert not os.get_blocking(pipe.read)
    with pytest.raises(BlockingIOError):
        os.read(pipe.read, 16)
