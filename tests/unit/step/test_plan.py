"""The plan of a step: which commands it gives, which events it tells, what it returns."""

from concurrent.futures import CancelledError

import pytest

from nbflow import events as e
from nbflow.engine.loop import run
from nbflow.errors import DamagedError, StepTimeout, StoreError, UnkeyableError, UnstorableError
from nbflow.options import TaskOptions
from nbflow.step import commands as c
from nbflow.step.plan import STALE, judge, plan, reason
from nbflow.step.policy import Policy, policy_of
from tests.fakes import FakeClock, FakeWorld, kinds


def go(world, *, keyed=True, **options):
    return run(plan(1, policy_of(TaskOptions(**options)), keyed=keyed), world.hands())


def test_a_success_is_called_once_and_stored():
    """A result would be computed and not kept."""
    world = FakeWorld(41)
    assert go(world).value == 41
    assert world.calls == 1 and world.saved == [41]
    assert kinds(world.events) == ["Started", "Completed"]


def test_no_retries_means_one_call():
    """A task without retries would be called again."""
    world = FakeWorld(OSError())
    assert isinstance(go(world).error, OSError)
    assert world.calls == 1 and world.clock.slept == []
    assert kinds(world.events) == ["Started", "Failed"]


def test_no_sleep_after_the_last_failure():
    """A step that gives up would first wait once more."""
    world = FakeWorld(OSError())
    go(world, retries=3, retry_delay_seconds=2)
    assert world.calls == 4 and world.clock.slept == [2, 2, 2]
    assert kinds(world.events) == ["Started", "Waiting"] * 3 + ["Started", "Failed"]


def test_stops_at_the_first_success():
    """A step would go on retrying after it worked."""
    world = FakeWorld(OSError(), OSError(), 7)
    assert go(world, retries=5, retry_delay_seconds=1).value == 7
    assert world.calls == 3 and world.clock.slept == [1, 1]
    assert [event.attempt for event in world.events if type(event) is e.Started] == [1, 2, 3]


def test_delays_of_a_list_repeat_the_last():
    """Prefect's [1, 2] with three retries waits 1, 2, 2."""
    world = FakeWorld(OSError())
    go(world, retries=3, retry_delay_seconds=[1, 2])
    assert world.clock.slept == [1, 2, 2]


def test_the_error_is_the_users_own_with_a_note():
    """`except MyError` around a retried call would no longer catch, or nobody could tell how often it was tried."""
    error = OSError("503")
    outcome = go(FakeWorld(error, costs=[1.0]), retries=3, retry_delay_seconds=1.1)
    assert outcome.error is error
    assert error.__notes__ == ["nbflow: 4 attempts in 7.3 s"]


def test_no_note_without_a_retry():
    """Every failure of a plain task would carry noise."""
    error = OSError()
    go(FakeWorld(error), retries=3, give_up_on=OSError)
    assert not hasattr(error, "__notes__")


def test_waiting_tells_when_the_next_attempt_begins():
    """The panel could not count down."""
    world = FakeWorld(OSError("busy\nsecond line"), 1)
    go(world, retries=1, retry_delay_seconds=30)
    (waiting,) = [event for event in world.events if type(event) is e.Waiting]
    assert (waiting.attempt, waiting.seconds, waiting.error) == (1, 30, "OSError: busy")


@pytest.mark.parametrize(
    ("error", "event"), [(KeyboardInterrupt(), "Cancelled"), (SystemExit(3), "Crashed"), (MemoryError(), "Failed")]
)
def test_interrupts_are_told_and_passed_on(error, event):
    """Ctrl-C would be retried, swallowed, or leave a step that runs for ever in the panel."""
    world = FakeWorld(1)
    hands = world.hands()

    def call(_):
        raise error

    hands[c.Call] = call if not isinstance(error, Exception) else lambda _: c.Err(error)
    if isinstance(error, Exception):
        assert run(plan(1, Policy(), keyed=True), hands).error is error
    else:
        with pytest.raises(type(error)):
            run(plan(1, Policy(attempts=5), keyed=True), hands)
    assert kinds(world.events) == ["Started", event]
    assert world.saved == []


def test_interrupt_while_waiting_is_told():
    """Ctrl-C during a backoff would leave the step waiting for ever in the panel."""
    world = FakeWorld(OSError())
    hands = world.hands()

    def sleep(_):
        raise KeyboardInterrupt

    hands[c.Sleep] = sleep
    with pytest.raises(KeyboardInterrupt):
        run(plan(1, Policy(attempts=3), keyed=True), hands)
    assert kinds(world.events) == ["Started", "Waiting", "Cancelled"]


def test_timeouts_are_told_as_such_and_retried():
    """A slow attempt would not be tried again, or look like a bug of the user's."""
    world = FakeWorld(StepTimeout("slow"))
    go(world, retries=1, timeout_seconds=1)
    assert kinds(world.events) == ["Started", "Waiting", "Started", "TimedOut"]
    assert [command.timeout for command in world.asked if type(command) is c.Call] == [1, 1]


def test_a_deadline_shortens_the_last_attempt():
    """A step with a deadline of 10 s would run for 14."""
    world = FakeWorld(OSError(), costs=[4.0])
    go(world, retries=9, retry_delay_seconds=1, timeout_seconds=5, deadline_seconds=13)
    assert [command.timeout for command in world.asked if type(command) is c.Call] == [5, 5, 3]
    assert world.clock.now <= 14


def test_cost_is_that_of_the_attempt_that_worked():
    """Time saved would count the waits between attempts."""
    world = FakeWorld(OSError(), 1, costs=[3.0, 2.0])
    go(world, retries=1, retry_delay_seconds=60)
    assert world.events[-1].cost == 2.0


def test_found_behind_the_lock_is_not_run():
    """Ten kernels that start together would all compute the same table."""
    clock = FakeClock()
    world = FakeWorld(1, seen=c.Seen("", "entry", clock.time() - 60, 12.0, 345), load="kept", clock=clock)
    assert go(world).value == "kept"
    assert world.calls == 0
    assert world.events == [e.Hit(1, clock.time(), 60.0, 12.0, 345)]


def test_damaged_behind_the_lock_is_run():
    """A torn entry would fail the step."""
    world = FakeWorld(5, seen=c.Seen("", "entry", 0.0, 1.0, 1), load=DamagedError("torn"))
    assert go(world).value == 5
    assert kinds(world.events) == ["Started", "Completed"]


OLD = c.Seen("", "entry", FakeClock().time() - 2 * 86400, 12.0, 345)
DAILY = {"cache_expiration": "1d", "stale_on_error": True}


@pytest.mark.parametrize(
    ("options", "seen", "told"),
    [
        (DAILY, OLD, "2 d old, expired 1 d ago · OSError: 503"),
        ({**DAILY, "retries": 2, "retry_delay_seconds": 1800}, OLD, "2 d 1 h old, expired 1 d ago · OSError: 503"),
        ({"refresh_cache": True, "stale_on_error": True}, OLD, "2 d old, refresh failed · OSError: 503"),
        ({**DAILY, "refresh_cache": True}, OLD._replace(created=0.0), None),
        (DAILY, c.Seen("data.csv changed"), ""),
        ({"cache_expiration": "1d"}, OLD, ""),
    ],
)
def test_an_old_result_instead_of_an_error(options, seen, told):
    """An outage of an hour would stop a notebook that could go on with yesterday's prices; or stop nobody, unseen."""
    world = FakeWorld(OSError("503"), seen=seen, load="kept")
    outcome = go(world, **options)
    last = world.events[-1]
    if told == "":
        assert isinstance(outcome.error, OSError) and type(last) is e.Failed
        return
    assert outcome.value == "kept" and world.saved == []
    assert type(last) is e.Hit and last.saved == 0.0 and last.stale
    assert last.stale == told or told is None
    assert world.calls == options.get("retries", 0) + 1


@pytest.mark.parametrize(
    ("error", "load", "keyed"),
    [(OSError(), DamagedError("torn"), True), (CancelledError(), "kept", True), (OSError(), "kept", False)],
)
def test_no_old_result_where_there_is_none_to_use(error, load, keyed):
    """A torn entry would hide the error itself, a cancelled step would go on."""
    world = FakeWorld(error, seen=OLD, load=load)
    assert go(world, keyed=keyed, **DAILY).error is error
    assert not [event for event in world.events if type(event) is e.Hit]


def test_interrupts_are_never_answered_by_an_old_result():
    """Ctrl-C would end one cell, and Run All would go on."""
    world = FakeWorld(1, seen=OLD, load="kept")
    hands = world.hands()

    def call(_):
        raise KeyboardInterrupt

    hands[c.Call] = call
    with pytest.raises(KeyboardInterrupt):
        run(plan(1, policy_of(TaskOptions(**DAILY)), keyed=True), hands)
    assert kinds(world.events) == ["Started", "Cancelled"]


def test_what_is_made_from_a_stale_result_is_not_kept():
    """A report made from last week's rows would pass for a fresh one, for ever."""
    world = FakeWorld(5, touched=frozenset({STALE}))
    assert go(world, persist_result=True).value == 5
    assert world.saved == [] and "stale" in world.events[1].why


def test_unkeyed_asks_the_store_for_nothing():
    """A step without a key would touch the disk."""
    world = FakeWorld(5)
    assert go(world, keyed=False).value == 5
    assert not {c.Claim, c.Look, c.Load, c.Save} & {type(command) for command in world.asked}


def test_claims_before_it_looks():
    """Two steps could both look before either of them holds the key, and both run."""
    world = FakeWorld(5)
    go(world)
    order = [type(command) for command in world.asked if not isinstance(command, (c.Now, c.Tell))]
    assert order == [c.Claim, c.Look, c.Call, c.Save]


@pytest.mark.parametrize(
    "error",
    [
        StoreError("disk full"),
        UnstorableError("it changes its argument"),
        UnkeyableError("a lock"),
        OSError("gone"),
        TypeError(),
    ],
)
def test_what_cannot_be_saved_is_still_returned(error):
    """A full disk or an odd value would cost the result of an hour."""
    world = FakeWorld(5, save=error)
    assert go(world).value == 5
    assert kinds(world.events) == ["Started", "Unsaved", "Completed"]
    assert (str(error) or "TypeError") in world.events[1].why
    assert world.events[2].size == 0


@pytest.mark.parametrize(
    ("value", "touched", "options", "kept"),
    [
        (None, set(), {}, False),
        (None, set(), {"persist_result": True}, True),
        (None, set(), {"cache_expiration": "1d"}, True),
        (5, {"network"}, {}, False),
        (5, {"network"}, {"cache_expiration": "1d"}, True),
        (5, {"files", "database"}, {"persist_result": True}, True),
        (5, set(), {}, True),
        ([], set(), {}, True),
        (0, set(), {}, True),
    ],
)
def test_only_pure_work_is_kept_without_asking(value, touched, options, kept):
    """An upsert would be skipped the second time, or Monday's prices served on Tuesday."""
    world = FakeWorld(value, touched=frozenset(touched))
    assert go(world, **options).value == value
    assert world.saved == ([value] if kept else [])
    if not kept:
        assert "persist_result=True" in world.events[1].why


def test_failures_are_never_saved():
    """A failure would come back from the store for ever."""
    world = FakeWorld(OSError())
    go(world, retries=2, persist_result=True)
    assert world.saved == [] and not any(type(command) is c.Save for command in world.asked)


@pytest.mark.parametrize(
    ("wait", "why"),
    [
        (lambda *_: 1 / 0, "retry_delay_seconds raised ZeroDivisionError: division by zero"),
        (lambda *_: -1.0, "retry_delay_seconds gave -1.0: give seconds, 0 or more"),
        (lambda *_: float("nan"), "retry_delay_seconds gave nan: give seconds, 0 or more"),
        (lambda *_: float("inf"), "retry_delay_seconds gave inf: give seconds, 0 or more"),
        (lambda *_: None, "retry_delay_seconds gave None: give seconds, 0 or more"),
    ],
)
def test_a_wait_that_is_none_ends_the_step_with_the_users_own_error(wait, why):
    """A bug in the user's own wait would hide the error that it was there for, or leave the step without an end."""
    world, error = FakeWorld(OSError("busy")), None
    outcome = run(plan(1, Policy(attempts=2, wait=wait), keyed=True), world.hands())
    error = outcome.error
    assert isinstance(error, OSError) and error.__notes__ == [f"nbflow: not retried: {why}"]
    assert kinds(world.events) == ["Started", "Failed"]
    assert world.events[-1].error == f"OSError: busy · not retried: {why}"


def test_dropped_plan_closes_quietly():
    """An abandoned step would tell of a crash that there was not."""
    world = FakeWorld(1)
    steps = plan(1, Policy(), keyed=True)
    next(steps)
    steps.close()
    assert world.events == []


class TestJudge:
    """The one verdict on what a look found."""

    fresh = c.Seen("", "entry", 1000.0, 2.0, 3)

    def test_an_entry_without_expiry_is_fresh_for_ever(self):
        """A result of last year would be computed again."""
        assert judge(1, self.fresh, 1e9, Policy()) == e.Hit(1, 1e9, 1e9 - 1000, 2.0, 3)

    def test_expiry_counts_from_the_making_of_the_entry(self):
        """An entry would stay fresh as long as it is read, or expire one second early."""
        assert type(judge(1, self.fresh, 1059.0, Policy(max_age=60))) is e.Hit
        late = judge(1, self.fresh, 1060.0, Policy(max_age=60))
        assert type(late) is e.Missed and late.why == "expired: 1 min old, 1 min allowed"

    def test_expiry_of_nothing_is_never_fresh(self):
        """cache_expiration=0 would mean for ever."""
        assert type(judge(1, self.fresh, 1000.0, Policy(max_age=0))) is e.Missed

    def test_clock_set_back_is_no_age(self):
        """An entry from the future would show a negative age, or never be used."""
        assert judge(1, self.fresh, 500.0, Policy(max_age=60)).age == 0.0

    def test_refresh_beats_any_entry(self):
        """refresh_cache=True would serve what was kept."""
        assert judge(1, self.fresh, 1001.0, Policy(refresh=True)).why == "refresh asked"

    def test_lack_is_passed_on_in_words(self):
        """A miss would not say why."""
        assert judge(1, c.Seen("data.csv changed"), 1.0, Policy(), "traits") == (
            1,
            1.0,
            "data.csv changed",
            "traits",
            "",
        )


class TestReason:
    """An error in one line."""

    def test_first_line_only(self):
        """A panel's row would break over twenty lines."""
        assert reason(ValueError("a\nb")) == "ValueError: a"
        assert reason(ValueError()) == "ValueError"

    def test_long_text_is_cut(self):
        """An error with a page of HTML would fill the panel."""
        assert len(reason(ValueError("x" * 10_000))) == 500

    def test_error_whose_text_raises(self):
        """A broken __str__ of the user's error would hide the error itself."""

        class Odd(Exception):
            def __str__(self):
                raise RuntimeError

        world = FakeWorld(Odd())
        assert isinstance(go(world).error, Odd)
        assert world.events[-1].error.startswith("Odd: ")
