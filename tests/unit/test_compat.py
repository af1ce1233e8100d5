"""The names that programs of Prefect's import, at the places where they import them."""

import importlib

import pytest

from nbflow import open_store, task
from nbflow.filesystems import LocalFileSystem
from nbflow.results import ResultStore

NAMES = {
    "nbflow": "flow task Flow Task State unmapped allow_failure get_run_logger tags",
    "nbflow.tasks": "task Task exponential_backoff task_input_hash",
    "nbflow.flows": "flow Flow",
    "nbflow.futures": (
        "wait as_completed resolve_futures_to_results resolve_futures_to_states PrefectFuture PrefectFutureList"
    ),
    "nbflow.task_runners": "ThreadPoolTaskRunner ConcurrentTaskRunner ProcessPoolTaskRunner DaskTaskRunner TaskRunner",
    "nbflow.cache_policies": "DEFAULT INPUTS TASK_SOURCE RUN_ID FLOW_PARAMETERS NO_CACHE NONE CachePolicy",
    "nbflow.filesystems": "LocalFileSystem",
    "nbflow.results": "ResultStore",
    "nbflow.states": "State StateType Completed Failed Crashed Cancelled Pending Running Scheduled AwaitingRetry Retrying",
    "nbflow.logging": "get_run_logger get_logger disable_run_logger",
    "nbflow.transactions": "transaction atransaction get_transaction Transaction CommitMode IsolationLevel TransactionState",
    "nbflow.context": "get_run_context tags TaskRunContext FlowRunContext",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_are_where_prefect_has_them(module):
    """A program whose import lines were changed would not start."""
    found = importlib.import_module(module)
    assert [each for each in NAMES[module].split() if not hasattr(found, each)] == []
    if module != "nbflow":
        assert set(NAMES[module].split()) <= {*found.__all__}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda folder: folder,
        str,
        lambda folder: LocalFileSystem(basepath=str(folder)),
        lambda folder: LocalFileSystem(basepath=folder),
        lambda folder: ResultStore(result_storage=LocalFileSystem(basepath=folder)),
        lambda folder: ResultStore(result_storage=folder),
        open_store,
    ],
)
def test_places_for_results(fresh, tmp_path, wrap):
    """A program that says where results are kept would find them somewhere else."""
    folder = tmp_path / "results"
    given = wrap(folder)

    @task(result_storage=given)
    def double(x):
        return 2 * x

    assert double(2) == 4
    assert double.is_cached(2)
    assert not task(double.fn).is_cached(2)
    store = open_store(folder)
    assert [each.tag for each in store.entries()] == ["double"]
    store.close()
