"""A flow whose tasks run in other processes: what surrounds them there, and what comes back."""

import os
import subprocess
import sys
import textwrap

PROGRAM = textwrap.dedent(
    """
    import os
    from nbflow import ProcessPoolTaskRunner, events, flow, get_run_logger, tags, task, transaction
    from nbflow.context import get_run_context
    from nbflow.session import session

    heard, here = [], os.getpid()
    session.bus.join(heard.append)

    @task(persist_result=True)
    def work(x):
        get_run_logger().info("working on %s", x)
        print("printed", x)
        run = get_run_context().task_run
        return os.getpid(), sorted(run.tags), run.flow_run_id, run.task_name

    @work.on_rollback
    def undo(txn):
        print("undone in the parent:", os.getpid() == here)

    @task
    def bad(x):
        raise ValueError(x)

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2), log_prints=True)
    def surrounded():
        with tags("a"):
            for pid, names, flow_run_id, name in work.map(range(2)).result():
                assert pid != here
                assert (names, name, flow_run_id) == (["a"], "work", get_run_context().flow_run.id)

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
    def grouped():
        with transaction():
            work.submit(10).wait()
            assert not work.is_cached(10)
            bad.submit(1)

    if __name__ == "__main__":
        surrounded()
        steps = {each.step: each.task for each in heard if type(each) is events.Queued}
        print(sorted((steps[each.step], each.text) for each in heard if type(each) is events.Logged))
        print(grouped(return_state=True).message, work.is_cached(10))
    """
)


def test_what_surrounds_a_call_goes_along(tmp_path):
    """Tags, run, log or a transaction would be lost where a task runs in another process."""
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=os.environ | {"NBFLOW_STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    logged = [("work", f"{word} {x}") for word in ("printed", "working on") for x in range(2)]
    assert done.stdout.splitlines() == [
        str(logged),
        "printed 10",
        "undone in the parent: True",
        "Flow run encountered an exception: ValueError: 1 False",
    ]
    assert sorted(each.split(" | ", 1)[1] for each in done.stderr.splitlines()) == sorted(
        f"INFO    | Task run 'work' - {text}" for text in (*(text for _, text in logged), "working on 10")
    )
