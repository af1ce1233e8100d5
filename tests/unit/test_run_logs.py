"""What runs log and print: who sees it, under which name, and what is left as it was."""

import asyncio
import builtins
import logging
import pickle
import subprocess
import sys
import threading

import pytest

from nbflow import InterfaceError, flow, get_run_logger, task
from nbflow import events as e
from nbflow.logging import disable_run_logger, get_logger
from nbflow.logs import RUNS


def logged(fresh):
    names = {each.step: each.task for each in fresh.events if type(each) in (e.Began, e.Queued)}
    return [(names[each.step], each.level, each.text) for each in fresh.events if type(each) is e.Logged]


@task(persist_result=False)
def work(x):
    get_run_logger().warning("working on %s", x)
    return x


def test_records_are_told_with_their_step_and_level(fresh):
    """The panel would not show what a run logged, or at the wrong step."""

    @flow
    def etl():
        logger = get_run_logger()
        logger.info("begin")
        work(1)
        work.submit(2).wait()
        logger.error("end")
        logger.debug("not shown: runs log from INFO on")

    etl()
    assert logged(fresh) == [
        ("etl", "INFO", "begin"),
        ("work", "WARNING", "working on 1"),
        ("work", "WARNING", "working on 2"),
        ("etl", "ERROR", "end"),
    ]


def test_records_say_which_run_they_are_of(fresh, caplog):
    """A log file could not be searched for one run."""
    runs = []

    @task(persist_result=False)
    def inner():
        get_run_logger(rows=3).info("here", extra={"more": 1})

    @flow(name="etl", flow_run_name="etl of Monday")
    def outer():
        get_run_logger().info("there")
        inner()
        runs.append(get_run_logger().extra["flow_run_id"])

    with caplog.at_level("INFO"):
        outer()
    there, here = caplog.records
    assert (there.name, there.flow_name, there.flow_run_name) == ("nbflow.flow_runs", "etl", "etl of Monday")
    assert (here.name, here.task_name, here.rows, here.more) == ("nbflow.task_runs", "inner", 3, 1)
    assert here.flow_run_id == there.flow_run_id == runs[0]
    assert not hasattr(there, "task_run_id")
    assert len(here.task_run_id) == 32
    assert pickle.loads(pickle.dumps(there)).getMessage() == "there"


def test_async_runs_log_for_themselves(fresh):
    """Runs that take turns would log under each other's name."""

    @task(persist_result=False)
    async def awork(x):
        await asyncio.sleep(0)
        get_run_logger().info("first %s", x)
        await asyncio.sleep(0)
        get_run_logger().info("second %s", x)

    async def main():
        await asyncio.gather(*map(awork, range(3)))

    asyncio.run(main())
    steps = {each.step: each.text[-1] for each in fresh.events if type(each) is e.Logged}
    assert len(steps) == 3
    assert all(each.text[-1] == steps[each.step] for each in fresh.events if type(each) is e.Logged)


def test_there_is_no_logger_outside_runs(fresh):
    """A mistake would be an AttributeError somewhere else."""
    with pytest.raises(InterfaceError, match=r"no flow and no task runs; use logging\.getLogger"):
        get_run_logger()
    with disable_run_logger():
        get_run_logger().info("nothing happens")
        work(1)
    assert logged(fresh) == []
    work(1)
    assert logged(fresh) == [("work", "WARNING", "working on 1")]
    assert get_logger("mine").name == "nbflow.mine"


def test_loggers_of_the_users_own_are_left_alone(fresh, caplog):
    """Records would be changed, doubled, or lost because they were logged in a step."""
    mine = logging.getLogger("mine")

    @task(persist_result=False)
    def noisy():
        mine.warning("as it was")
        print("printed", file=sys.stderr)

    before = list(mine.handlers), list(logging.getLogger().handlers)
    noisy()
    assert [each.getMessage() for each in caplog.records] == ["as it was"]
    assert not hasattr(caplog.records[0], "task_run_id")
    assert before == (list(mine.handlers), list(logging.getLogger().handlers))
    assert logged(fresh) == []


@task(persist_result=False)
def loud(x):
    print("task", x)


@pytest.mark.parametrize(
    ("of_flow", "of_task", "lines"),
    [
        (True, None, ["flow", "task 1"]),
        (True, False, ["flow"]),
        (False, True, ["task 1"]),
        (None, None, []),
        (None, True, ["task 1"]),
    ],
)
def test_log_prints_holds_for_tasks_that_do_not_say(fresh, capsys, of_flow, of_task, lines):
    """A flow's `log_prints` would not reach its tasks, or an opt-out would not count."""

    @flow(log_prints=of_flow)
    def etl():
        print("flow")
        loud.with_options(log_prints=of_task)(1)

    etl()
    assert [text for _, _, text in logged(fresh)] == lines
    assert capsys.readouterr().out.splitlines() == [each for each in ("flow", "task 1") if each not in lines]


def test_prints_go_to_the_log_as_well(fresh, caplog):
    """A log file would miss what a step prints, which is logged only in the panel."""
    with caplog.at_level("INFO"):
        loud.with_options(log_prints=True)(1)
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("nbflow.task_runs", "INFO", "task 1")
    assert record.task_name == "loud"


def test_overlapping_prints_put_print_back(fresh):
    """`print` would stay replaced after steps that overlap, as it does in Prefect."""
    before = builtins.print
    first, second = threading.Event(), threading.Event()

    @task(log_prints=True, persist_result=False)
    def one():
        print("one")
        first.set()
        second.wait(30)

    @task(log_prints=True, persist_result=False)
    def two():
        first.wait(30)
        print("two")

    @flow(log_prints=False)
    def both():
        print("not logged")
        futures = [one.submit(), two.submit()]
        futures[1].wait()
        second.set()

    both()
    assert builtins.print is before
    assert sorted(text for _, _, text in logged(fresh)) == ["one", "two"]


PROGRAM = """
import logging, sys
{setup}
from nbflow import flow, task, get_run_logger

@task
def work(x):
    get_run_logger().info("working on %s", x)
    print("printed")
    return x

@flow(name="etl", log_prints=True)
def etl():
    work(1)
    get_run_logger().warning("done")

etl()
"""


@pytest.mark.parametrize(
    ("setup", "lines"),
    [
        (
            "",
            [
                "INFO    | Task run 'work' - working on 1",
                "INFO    | Task run 'work' - printed",
                "WARNING | Flow run 'etl' - done",
            ],
        ),
        (
            "logging.basicConfig(format='%(levelname)s %(message)s')",
            ["INFO working on 1", "INFO printed", "WARNING done"],
        ),
    ],
)
def test_a_program_without_a_panel_shows_it_on_stderr(tmp_path, setup, lines):
    """A script's log would be seen nowhere, or twice where logging is set up."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(setup=setup)], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert [each.split(" | ", 1)[-1] for each in done.stderr.splitlines()] == lines
    assert done.stdout == ""


def test_nothing_of_ours_stays_behind():
    """Importing nbflow would change how a program logs."""
    assert all(each.propagate for each in RUNS.values())
    assert not logging.getLogger("nbflow").handlers


def test_a_flow_that_does_not_say_prints_as_around_it(fresh, capsys):
    """What a flow prints within a task that logs its prints would be lost to the log."""

    @flow
    def inner():
        print("inner")

    @task(log_prints=True, persist_result=False)
    def outer():
        print("outer")
        inner()

    outer()
    assert [text for _, _, text in logged(fresh)] == ["outer", "inner"]
    assert capsys.readouterr().out == ""
