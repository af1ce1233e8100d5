"""Transactions as users have them: what is kept when, what is undone, in which order."""

import asyncio
import threading

import numpy as np
import pytest

from nbflow import ConfigurationError, InterfaceError, flow, get_transaction, task, transaction
from nbflow import events as e
from nbflow.transactions import CommitMode, IsolationLevel, Transaction, TransactionState, atransaction
from tests.fakes import kinds


class Log(list):
    """What happened, in order, where no key sees it."""

    def __nbflow_digest__(self):
        return "a log"


class Steps:
    """Tasks that log what they do and what is undone; they know their transaction only by what they are given."""

    def __init__(self):
        self.log = log = Log()

        @task(persist_result=True)
        def good(x):
            log.append(f"did {x}")
            get_transaction().set("x", x)
            return [x]

        @good.on_rollback
        def undo(txn):
            log.append(f"undid {txn.get('x')}")

        @good.on_commit
        def keep(txn):
            log.append(f"kept {txn.get('x')}")

        @task
        def bad():
            raise ValueError("bad")

        @bad.on_rollback
        def never(txn):
            log.append("undid what failed")

        self.good, self.bad = good, bad


@pytest.fixture
def steps(fresh):
    return Steps()


# A group


def test_a_group_is_kept_at_its_end(steps, fresh):
    """A result would be kept although what belongs to it has not been done."""
    with transaction() as group:
        steps.good(1)
        steps.good(2)
        assert not steps.good.is_cached(1)
        assert group.is_active()
    assert group.is_committed()
    assert steps.good.is_cached(1)
    assert steps.good.is_cached(2)
    assert steps.log == ["did 1", "did 2", "kept 1", "kept 2"]
    assert steps.good(1) == [1]
    assert len(steps.log) == 4


def test_a_failure_undoes_what_was_done_before_it(steps, fresh):
    """Half of a group would stay: neither the steps before the failure undone, nor in which order."""
    with pytest.raises(ValueError, match="bad"), transaction() as group:
        steps.good(1)
        steps.good(2)
        steps.bad()
    assert group.is_rolled_back()
    assert steps.log == ["did 1", "did 2", "undid 2", "undid 1"]
    assert not steps.good.is_cached(1)
    assert get_transaction() is None
    assert kinds(fresh.events)[-2:] == ["RolledBack", "RolledBack"]


def test_a_failure_that_is_caught_undoes_the_group_too(steps):
    """A group that is half done would be kept because its code caught the error."""
    with transaction() as group:
        steps.good(1)
        with pytest.raises(ValueError, match="bad"):
            steps.bad()
        steps.good(2)
    assert group.is_rolled_back()
    assert steps.log == ["did 1", "undid 1", "did 2", "undid 2"]
    assert not steps.good.is_cached(2)


def test_a_retry_that_works_is_no_failure(fresh):
    """A step that is retried would undo the steps before it, although it worked in the end."""
    log, tries = Log(), Log()

    @task(on_rollback=[lambda txn: log.append("undid inner")])
    def inner():
        log.append("inner")

    @task(retries=1)
    def outer():
        inner()
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("once")

    with transaction() as group:
        inner()
        outer()
    assert group.is_committed()
    assert log == ["inner", "inner", "undid inner", "inner"]


def test_submitted_steps_belong_to_their_group(steps):
    """A group would end before its steps have, or not hear that one of them failed."""
    with transaction():
        steps.good.map([1, 2, 3])
    assert sorted(steps.log[3:]) == ["kept 1", "kept 2", "kept 3"]
    steps.log.clear()
    with pytest.raises(ValueError, match="bad"), transaction():
        steps.good.submit(4)
        steps.bad.submit()
    assert sorted(steps.log) == ["did 4", "undid 4"]
    future = None
    with pytest.raises(ZeroDivisionError), transaction():
        future = steps.good.submit(5)
        raise ZeroDivisionError
    assert future.done()
    assert sorted(steps.log[2:]) == ["did 5", "undid 5"]
    assert future.state.name == "RolledBack"


def test_without_a_group_each_step_commits_for_itself(steps):
    """What an inner step did would be lost when the outer one fails: Prefect keeps it only at the very end."""

    @task
    def outer():
        steps.good(1)
        raise ValueError("after it")

    with pytest.raises(ValueError, match="after it"):
        outer()
    assert steps.log == ["did 1", "kept 1"]
    assert steps.good.is_cached(1)


def test_a_group_in_a_step_commits_at_its_own_end(steps):
    """A group within a task would be undone by what follows it, or never be one."""

    @task(on_commit=[lambda txn: steps.log.append("outer kept")])
    def outer(fail):
        with transaction():
            steps.good(1)
            if fail:
                steps.bad()
        steps.log.append("between")
        return 1

    with pytest.raises(ValueError, match="bad"):
        outer(True)
    assert steps.log == ["did 1", "undid 1"]
    steps.log.clear()
    outer(False)
    assert steps.log == ["did 1", "kept 1", "between", "outer kept"]


def test_inner_steps_of_a_group_are_part_of_it(steps):
    """A step's own steps would be kept although the group is undone."""

    @task
    def outer(x):
        return steps.good(x)

    with pytest.raises(ValueError, match="bad"), transaction():
        outer(1)
        steps.bad()
    assert steps.log == ["did 1", "undid 1"]
    assert not outer.is_cached(1)


def test_a_hit_commits_nothing(steps):
    """Hooks would run for work that was done long ago."""
    steps.good(1)
    steps.log.clear()
    with pytest.raises(ValueError, match="bad"), transaction():
        steps.good(1)
        steps.bad()
    assert steps.log == []
    assert steps.good.is_cached(1)


def test_a_group_in_a_flow(steps):
    """A flow that fails within a group would leave its effects."""

    @flow
    def etl():
        with transaction():
            steps.good(1)
            steps.bad()

    assert etl(return_state=True).is_failed()
    assert steps.log == ["did 1", "undid 1"]


def test_what_is_staged_does_not_change(fresh):
    """A result that is changed before the commit would be kept as it became, and served as it never was."""

    @task(persist_result=True)
    def make():
        return {"rows": [1], "values": np.arange(100_000.0)}

    with transaction():
        made = make()
        made["rows"].append(2)
        made["values"][:] = -1
    again = make()
    assert kinds(fresh.events)[-1] == "Hit"
    assert again["rows"] == [1]
    assert np.array_equal(again["values"], np.arange(100_000.0))


def test_what_cannot_be_kept_does_not_fail_the_group(fresh):
    """A value without a stored form would undo the group, or be told nowhere."""

    @task(persist_result=True)
    def make():
        return threading.Lock()

    with transaction() as group:
        make()
    assert group.is_committed()
    assert any("cannot be stored" in each for each in fresh.warned)


# Modes


@pytest.mark.parametrize(
    ("mode", "fails", "log"),
    [
        ("LAZY", False, ["did 1", "kept 1"]),
        ("LAZY", True, ["did 1", "undid 1"]),
        ("EAGER", False, ["did 1", "kept 1"]),
        ("EAGER", True, ["did 1", "kept 1"]),
        ("OFF", False, ["did 1", "undid 1"]),
        ("OFF", True, ["did 1", "undid 1"]),
    ],
)
def test_commit_modes(steps, mode, fails, log):
    """A mode would commit too early, too late, or what nobody committed."""
    try:
        with transaction(commit_mode=CommitMode(mode)):
            steps.good(1)
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        assert fails
    assert steps.log == log
    assert steps.good.is_cached(1) == (log[-1] == "kept 1")


def test_off_is_committed_by_hand(steps):
    """What is committed by hand would be undone at the end."""
    with transaction(commit_mode="OFF") as group:
        steps.good(1)
        assert group.commit()
        assert not group.commit()
    assert group.is_committed()
    assert steps.log == ["did 1", "kept 1"]


def test_lazy_children_commit_with_their_parent_and_eager_ones_do_not(steps):
    """An inner group would be kept though the outer one fails, or undone though it was to be kept at once."""
    with pytest.raises(ZeroDivisionError), transaction() as outer:
        with transaction() as lazy:
            steps.good(1)
        with transaction(commit_mode=CommitMode.EAGER) as eager:
            steps.good(2)
        assert lazy.is_active()
        assert eager.is_committed()
        raise ZeroDivisionError
    assert [each.state for each in (outer, lazy, eager)] == ["ROLLED_BACK", "ROLLED_BACK", "COMMITTED"]
    assert steps.log == ["did 1", "did 2", "kept 2", "undid 1"]


def test_what_fails_within_fails_what_is_around(steps):
    """An inner group that failed would be followed by a commit of the outer one."""
    with transaction() as outer:
        steps.good(1)
        with pytest.raises(ZeroDivisionError), transaction() as inner:
            raise ZeroDivisionError
    assert inner.is_rolled_back()
    assert outer.is_rolled_back()
    assert steps.log == ["did 1", "undid 1"]


def test_the_states_of_a_transaction(fresh):
    """Code could not ask where a transaction stands."""
    group = Transaction()
    assert group.is_pending()
    with group as entered:
        assert entered is group
        assert get_transaction() is group
        assert group.is_active()
        group.stage(1)
        assert group.is_staged()
        with pytest.raises(InterfaceError, match="begun"):
            group.__enter__()
    assert group.state is TransactionState.COMMITTED
    assert get_transaction() is None
    with pytest.raises(ConfigurationError, match="SOON"):
        transaction(commit_mode="SOON")
    assert transaction(isolation_level=IsolationLevel.SERIALIZABLE).is_pending()


# Hooks


def test_hooks_that_fail(fresh, caplog):
    """An error in a hook would hide the error that it was called for, or keep the other hooks from running."""
    log = Log()

    def broken(txn):
        raise RuntimeError("in a hook")

    async def later(txn):
        await asyncio.sleep(0)
        log.append("later")

    @task(on_rollback=[lambda txn: log.append("first"), broken, later])
    def step():
        return 1

    with pytest.raises(ZeroDivisionError), transaction():
        step()
        raise ZeroDivisionError
    assert log == ["later", "first"]
    assert "broken() failed" in caplog.text


def test_a_commit_whose_hook_fails_is_undone(steps, caplog):
    """A group would be called kept though committing it went wrong."""

    def broken(txn):
        raise RuntimeError("in a hook")

    @task(persist_result=True, on_commit=[broken], on_rollback=[lambda txn: steps.log.append("undid")])
    def step():
        return 1

    with transaction() as group:
        step()
    assert steps.log == ["undid"]
    assert not step.is_cached()
    assert group.is_rolled_back()


def test_hooks_may_be_called_by_hand(fresh):
    """`stage` could not bring hooks of its own."""
    log = []
    with pytest.raises(ZeroDivisionError), transaction() as group:
        group.stage("x", on_rollback_hooks=[lambda txn: log.append("undone")], on_commit_hooks=[log.append])
        raise ZeroDivisionError
    assert log == ["undone"]


# Data


def test_data_is_inherited_and_its_own(fresh):
    """A hook would not find what was set, find it changed, or change it for others."""
    rows = [1]
    with transaction() as outer:
        outer.set("rows", rows)
        rows.append(2)
        outer.set("other", 1)
        with transaction() as inner:
            got = inner.get("rows")
            got.append(3)
            assert inner.get("rows") == [1]
            inner.set("other", 2)
            assert inner.get("other") == 2
        assert outer.get("other") == 1
        with pytest.raises(ValueError, match="unknown"):
            outer.get("unknown")
        assert outer.get("unknown", default=None) is None


# Keys of its own


def test_a_value_under_a_key(fresh):
    """A transaction with a key would not keep its value, or not know that it is kept."""
    for number in range(2):
        with transaction(key="report") as txn:
            if not txn.is_committed():
                txn.stage({"rows": number})
        assert txn.read().result == {"rows": 0}
    with transaction(key="report", overwrite=True) as txn:
        assert not txn.is_committed()
        txn.stage({"rows": 2})
    assert txn.read().result == {"rows": 2}
    with pytest.raises(ZeroDivisionError), transaction(key="other") as txn:
        txn.stage(1)
        raise ZeroDivisionError
    assert txn.read() is None
    with transaction(key="third", write_on_commit=False) as txn:
        txn.stage(1)
    assert txn.read() is None


def test_a_store_of_its_own(fresh, tmp_path):
    """The value of a transaction would be kept somewhere else than it was said."""
    with transaction(key="report", store=tmp_path / "apart") as txn:
        txn.stage(1)
    with transaction(key="report") as here:
        assert not here.is_committed()
    with transaction(key="report", store=tmp_path / "apart") as there:
        assert there.is_committed()
    there._slot.store.close()


# Async


def test_async_groups(steps):
    """`async with` would not be a group, or hold up the loop while it waits."""

    @task(persist_result=True, on_rollback=[lambda txn: steps.log.append("undid async")])
    async def astep(x):
        await asyncio.sleep(0)
        return x

    async def main(fail):
        async with transaction() as group:
            await astep(1)
            steps.good.submit(1)
            if fail:
                raise ZeroDivisionError
        return group.state

    with pytest.raises(ZeroDivisionError):
        asyncio.run(main(True))
    assert sorted(steps.log) == ["did 1", "undid 1", "undid async"]
    steps.log.clear()
    assert asyncio.run(main(False)) is TransactionState.COMMITTED
    assert astep.is_cached(1)
    assert atransaction is transaction


def test_groups_of_two_async_tasks_are_two(steps):
    """A failure in one branch of a gather would undo the other one."""

    async def one(x, fail):
        async with transaction() as group:
            await asyncio.sleep(0)
            steps.good(x)
            await asyncio.sleep(0)
            if fail:
                raise ZeroDivisionError
        return group

    async def main():
        return await asyncio.gather(one(1, False), one(2, True), return_exceptions=True)

    kept, error = asyncio.run(main())
    assert kept.is_committed()
    assert isinstance(error, ZeroDivisionError)
    assert steps.good.is_cached(1)
    assert not steps.good.is_cached(2)


def test_rolled_back_is_shown(steps, fresh):
    """A step that was undone would be shown as if it had been done."""
    from nbflow.step.phases import Phase, after

    with pytest.raises(ZeroDivisionError), transaction():
        steps.good(1)
        raise ZeroDivisionError
    phase = None
    for event in fresh.events:
        phase = after(phase, event)
    assert phase is Phase.ROLLED_BACK
    assert type(fresh.events[-1]) is e.RolledBack
