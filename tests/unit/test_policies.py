"""What makes the key of a task: policies, key functions, `ignore`, `version`, `files`, and what cannot be keyed."""

import os
import threading
from pathlib import Path

import pytest

from nbflow import (
    DEFAULT,
    FLOW_PARAMETERS,
    INPUTS,
    NO_CACHE,
    RUN_ID,
    TASK_SOURCE,
    ConfigurationError,
    TaskOptions,
    UnkeyableError,
    configure,
    task,
    task_input_hash,
)
from nbflow.world import unseen
from tests.unit.keys.code_cases import cell


class Tasks:
    """Tasks that are written as cells of a notebook and edited there; `calls` lists what ran."""

    def __init__(self):
        self.space = {"__name__": "__main__", "task": task, "calls": []}

    def write(self, source):
        return cell(source, self.space)

    def ran(self, call):
        """How often a call ran the body."""
        self.space["calls"].clear()
        call()
        return len(self.space["calls"])


@pytest.fixture
def tasks(fresh):
    return Tasks()


ADD = "@task\ndef add(x, y=1):\n    calls.append(x)\n    return x + {}y\n"


@pytest.fixture
def add(tasks):
    """A task `add(x, y=1)` with options of the test's own, and how often a call ran it."""

    def make(**options):
        made = tasks.write(ADD.format(""))["add"].with_options(**options)
        return made, lambda *args, **kwargs: tasks.ran(lambda: made(*args, **kwargs))

    return make


class TestArithmetic:
    def test_minus_makes_a_new_policy(self):
        """A shared policy would lose an input for every task that uses it."""
        less = INPUTS - "y"
        assert less is not INPUTS
        assert (less.excluded, INPUTS.excluded) == ({"y"}, frozenset())

    @pytest.mark.parametrize("policy", [TASK_SOURCE, RUN_ID, FLOW_PARAMETERS, NO_CACHE, RUN_ID + TASK_SOURCE])
    def test_minus_without_inputs_is_the_same_policy(self, policy):
        """A program that subtracts from whatever it is given would make policies that differ in nothing."""
        assert policy - "y" is policy

    def test_minus_takes_names_only(self):
        """`INPUTS - TASK_SOURCE` would leave everything in."""
        with pytest.raises(ConfigurationError, match="name of an input"):
            INPUTS - TASK_SOURCE

    def test_plus_has_the_parts_of_both_whatever_the_order(self):
        """Two ways to write one policy would never hit each other's results."""
        assert (INPUTS + TASK_SOURCE) + RUN_ID == INPUTS + (TASK_SOURCE + RUN_ID) == RUN_ID + TASK_SOURCE + INPUTS
        assert (INPUTS + TASK_SOURCE) + (INPUTS + TASK_SOURCE) == DEFAULT

    def test_inputs_in_both_leave_out_what_either_does(self):
        """An input that was left out would come back by the sum."""
        both = (INPUTS - "a" + TASK_SOURCE) + (INPUTS - "b")
        assert both == DEFAULT - "a" - "b"
        assert (DEFAULT - "a").parts == DEFAULT.parts

    def test_nothing_added_is_nothing_changed(self):
        """`policy + NO_CACHE` would switch caching off, or a policy of nothing would keep under one key for all calls."""
        assert INPUTS + NO_CACHE == NO_CACHE + INPUTS == INPUTS
        assert not (NO_CACHE + NO_CACHE).keeps

    def test_configure(self):
        """A setting would change every user of the policy, be lost in a sum, or be lost to another one in silence."""
        assert INPUTS.configure(key_storage=None) is INPUTS
        one = INPUTS.configure(key_storage="keys/")
        assert one is not INPUTS
        assert (one.key_storage, INPUTS.key_storage) == ("keys/", None)
        assert (one - "y").key_storage == (one + TASK_SOURCE).key_storage == (TASK_SOURCE + one).key_storage == "keys/"
        assert (one + TASK_SOURCE.configure(key_storage="keys/")).key_storage == "keys/"
        with pytest.raises(ConfigurationError, match="key_storage is 'keys/' in one policy, 'other/' in the other"):
            one + TASK_SOURCE.configure(key_storage="other/")
        with pytest.raises(ConfigurationError, match="no setting 'storage'"):
            INPUTS.configure(storage="keys/")

    def test_configure_changes_no_key(self, add):
        """To name a place for keys would run everything again."""
        made, ran = add(cache_policy=DEFAULT)
        assert ran(1) == 1
        assert made.with_options(cache_policy=DEFAULT.configure(isolation_level="SERIALIZABLE")).is_cached(1)


class TestKeys:
    def test_an_excluded_input_does_not_matter(self, add):
        """A progress bar or a logger among the arguments would make every call a miss."""
        _, ran = add(cache_policy=DEFAULT - "y")
        assert [ran(1, 2), ran(1, 3), ran(2, 3)] == [1, 0, 1]

    def test_all_inputs_excluded(self, add):
        """A task keyed by its code alone would run for every argument."""
        _, ran = add(cache_policy=DEFAULT - "x" - "y")
        assert [ran(1, 2), ran(5, 6)] == [1, 0]

    def test_default_counts_code_and_inputs_and_no_run(self, tasks):
        """A result of other code or inputs would be served; or none at all after a restart."""
        tasks.write(ADD.format(""))
        call = lambda *args: tasks.ran(lambda: tasks.space["add"].with_options(cache_policy=DEFAULT)(*args))
        assert [call(1), call(1), call(2)] == [1, 0, 1]
        tasks.write(ADD.format("2 * "))
        assert [call(1), call(1)] == [1, 0]
        tasks.write(ADD.format("") + "    # as it was")
        assert call(1) == 0

    def test_inputs_alone_forget_the_code(self, tasks):
        """Whoever asked for it would pay for every edit."""
        tasks.write(ADD.format(""))
        call = lambda *args: tasks.ran(lambda: tasks.space["add"].with_options(cache_policy=INPUTS)(*args))
        assert [call(1), call(2)] == [1, 1]
        tasks.write(ADD.format("2 * "))
        assert [call(1), call(2), call(3)] == [0, 0, 1]

    def test_source_alone_forgets_the_inputs(self, add):
        """As above, for arguments."""
        _, ran = add(cache_policy=TASK_SOURCE)
        assert [ran(1), ran(2)] == [1, 0]

    def test_a_run_of_its_own(self, add):
        """`RUN_ID` outside of a flow would hit the result of another run."""
        _, ran = add(cache_policy=DEFAULT + RUN_ID)
        assert [ran(1), ran(1)] == [1, 1]

    def test_flow_parameters_where_there_is_no_flow(self, add):
        """All calls would share one result; or, beside other parts, none would be kept."""
        _, alone = add(cache_policy=FLOW_PARAMETERS)
        _, beside = add(cache_policy=INPUTS + FLOW_PARAMETERS)
        assert [alone(1), alone(1), beside(2), beside(2), beside(3)] == [1, 1, 1, 0, 1]

    def test_two_tasks_never_share(self, tasks):
        """`add(7)` and `mul(7)` under `INPUTS` would be one result."""
        tasks.write("@task\ndef one(x): return 1\n@task\ndef two(x): return 2\n")
        one, two = (tasks.space[name].with_options(cache_policy=INPUTS) for name in ("one", "two"))
        assert (one(7), two(7), one(7), two(7)) == (1, 2, 1, 2)

    def test_no_cache_keeps_nothing_whatever_else_is_said(self, add):
        """A task that must run would be skipped."""
        _, ran = add(cache_policy=NO_CACHE, persist_result=True, cache_expiration="1d")
        assert [ran(1), ran(1)] == [1, 1]

    def test_version(self, add):
        """A change that the code does not show, such as of a service, could not be told."""
        made, ran = add(version="1")
        assert [ran(1), ran(1)] == [1, 0]
        assert not made.with_options(version="2").is_cached(1)
        assert not made.with_options(version=None).is_cached(1)
        assert made.with_options(version="1").is_cached(1)

    def test_ignore(self, add):
        """As an excluded input, without a policy."""
        made, ran = add(ignore=["y"])
        assert [ran(1, 2), ran(1, 3), ran(2, 2)] == [1, 0, 1]
        assert not made.with_options(ignore=[]).is_cached(1, 3)


class TestKeyFunctions:
    def test_it_is_given_the_task_and_all_parameters(self, add):
        """A key function of Prefect's would find neither its context nor its defaults."""
        seen = []

        def key(context, parameters):
            seen.append((context.task.name, context.parameters, dict(parameters)))
            return f"x is {parameters['x']}"

        _, ran = add(cache_key_fn=key)
        assert [ran(1), ran(1, y=5), ran(2)] == [1, 0, 1]
        assert seen[0] == ("add", {"x": 1, "y": 1}, {"x": 1, "y": 1})

    def test_it_stands_for_the_policy_too_and_says_so_once(self, add, fresh):
        """Half of what was declared would be dropped in silence, or the warning would come with every call."""
        made, ran = add(cache_key_fn=lambda *_: "k", cache_policy=INPUTS)
        (text,) = fresh.warned
        assert "cache_policy is not used" in text
        assert [ran(1), ran(2), made.with_options(retries=1)(3)] == [1, 0, 2]
        assert len(fresh.warned) == 1

    def test_none_means_not_this_call(self, add):
        """A call that must not be kept would be, for all other calls that must not."""
        _, ran = add(cache_key_fn=lambda _, parameters: "k" if parameters["x"] else None)
        assert [ran(0), ran(0), ran(1), ran(1)] == [1, 1, 1, 0]

    def test_what_is_no_text_is_refused(self, add):
        """A number as key would fail deep in the store, or never hit."""
        made, _ = add(cache_key_fn=lambda *_: 5)
        with pytest.raises(ConfigurationError, match=r"returned 5: give text, or None"):
            made(1)

    def test_one_that_raises_costs_the_key_and_not_the_result(self, add, fresh):
        """A slip in a key function would stop the pipeline, or switch caching off for all other calls."""
        made, ran = add(cache_key_fn=lambda _, parameters: str(1 / parameters["x"]))
        assert [ran(0), ran(0), ran(1), ran(1)] == [1, 1, 1, 0]
        assert len([text for text in fresh.warned if "cache_key_fn" in text and "ZeroDivisionError" in text]) == 1
        configure(strict=True)
        with pytest.raises(UnkeyableError, match="ZeroDivisionError"):
            made(0)

    def test_beside_a_policy(self, add):
        """A policy would have to be given up for one more thing that counts."""
        day = ["monday"]
        _, ran = add(cache_policy=DEFAULT.calling(lambda *_: day[0]))
        assert [ran(1), ran(1), ran(2)] == [1, 0, 1]
        day[0] = "tuesday"
        assert ran(1) == 1


class TestTaskInputHash:
    def test_code_and_inputs_count(self, tasks):
        """A program that moves here from Prefect would be served results of other code or inputs."""
        source = "def half(v): return v / {}\n@task\ndef add(x, y=1):\n    calls.append(x)\n    return half(x) + y\n"
        options = {"cache_key_fn": task_input_hash, "cache_expiration": "1d"}
        call = lambda *args: tasks.ran(lambda: tasks.space["add"].with_options(**options)(*args))
        tasks.write(source.format(2))
        assert [call(1), call(1), call(1, 1), call(2), call(1, 2)] == [1, 0, 0, 1, 1]
        tasks.write(source.format(2) + "    # a comment")
        assert call(1) == 0
        tasks.write(source.format(4))
        assert [call(1), call(1)] == [1, 0]

    def test_types_count_and_ignored_parameters_do_not(self, add):
        """1 and True would share a result; an ignored argument would count after all."""
        _, ran = add(cache_key_fn=task_input_hash, ignore=["y"])
        assert [ran(1), ran(True), ran(1.0), ran(1, 2), ran(1 + 0j)] == [1, 1, 1, 0, 1]

    def test_in_a_key_function_of_ones_own(self, add):
        """To add to the usual key would mean to write all of it again."""
        day = ["monday"]
        _, ran = add(cache_key_fn=lambda context, parameters: f"{day[0]} {task_input_hash(context, parameters)}")
        assert [ran(1), ran(1)] == [1, 0]
        day[0] = "tuesday"
        assert ran(1) == 1

    def test_an_argument_without_content_is_named(self, tasks, fresh):
        """Nobody would know which argument it is."""
        tasks.write("@task\ndef use(config):\n    calls.append(1)\n    return 1\n")
        use = tasks.space["use"].with_options(cache_key_fn=task_input_hash)
        assert [tasks.ran(lambda: use([threading.Lock()])) for _ in range(2)] == [1, 1]
        (text,) = fresh.warned
        assert text.startswith("use() runs uncached: config[0] has no content")


class TestFiles:
    @pytest.fixture
    def here(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "rates.csv").write_text("1")
        return tmp_path

    @pytest.mark.parametrize("give", [str, lambda path: path], ids=["text", "path"])
    def test_content_counts_though_the_run_never_opens_it(self, add, here, give):
        """What a child process or a service reads could not be named: its results would be stale."""
        made, ran = add(files=[give(here / "rates.csv")])
        assert [ran(1), ran(1)] == [1, 0]
        (here / "rates.csv").write_text("2")
        assert "rates.csv changed" in made.explain(1).why
        assert [ran(1), ran(1)] == [1, 0]
        (here / "rates.csv").unlink()
        assert "rates.csv is gone" in made.explain(1).why
        assert [ran(1), ran(1)] == [1, 0]
        (here / "rates.csv").write_text("2")
        assert ran(1) == 0  # as it was

    def test_touched_is_not_changed(self, add, here):
        """A checkout or a copy would run everything again."""
        _, ran = add(files=["rates.csv"])
        assert ran(1) == 1
        (here / "rates.csv").write_text("1")
        assert ran(1) == 0

    def test_a_file_that_is_not_there_yet(self, add, here):
        """Its arrival would go unnoticed."""
        made, ran = add(files=["late"])
        assert [ran(1), ran(1)] == [1, 0]
        (here / "late").write_text("")
        assert "late is there now" in made.explain(1).why
        assert ran(1) == 1

    def test_folders_and_patterns(self, add, here):
        """A data set of many files would have to be listed by name."""
        for name in ("data/a.csv", "data/deep/b.csv"):
            (here / name).parent.mkdir(exist_ok=True)
            (here / name).write_text("1")
        (_, whole), (_, some) = add(files=["data"]), add(files=["data/*.csv"])
        assert [whole(1), whole(1), some(2), some(2)] == [1, 0, 1, 0]
        (here / "data/deep/b.csv").write_text("2")
        assert [whole(1), some(2)] == [1, 0]
        (here / "data/c.csv").write_text("1")
        assert [whole(1), some(2)] == [1, 1]

    def test_naming_another_file_runs_again(self, add, here):
        """An entry from before the file was named knows nothing of its content, and would be stale."""
        made, ran = add()
        assert ran(1) == 1
        named = made.with_options(files=["rates.csv"])
        assert not named.is_cached(1)
        assert [str(each) for each in named.explain(1).differences] == ["files is new"]
        named(1)
        assert named.is_cached(1)
        assert made.is_cached(1)

    def test_a_file_that_the_run_writes(self, tasks, here):
        """A result that was made of the file as it was before would be served for the file as it is now."""
        tasks.write(
            "import pathlib\n@task(files=['sum.txt'], persist_result=True)\n"
            "def add(x):\n    calls.append(x)\n    pathlib.Path('sum.txt').write_text('1')\n"
        )
        assert [tasks.ran(lambda: tasks.space["add"](1)) for _ in range(3)] == [1, 1, 0]

    @pytest.mark.parametrize("files", ["rates.csv", [1], [None]])
    def test_what_is_no_list_of_paths_is_refused(self, files):
        """`files="ab.csv"` would name the files a, b, ., c, s and v."""
        with pytest.raises(ConfigurationError, match="files="):
            TaskOptions(files=files)

    def test_a_pathlib_path_alone_is_refused(self, tmp_path):
        """As above."""
        with pytest.raises(ConfigurationError, match="files="):
            TaskOptions(files=tmp_path)


class Pool:
    def __init__(self):
        self.members = {"lock": [1, threading.Lock()]}


class TestUnkeyable:
    @pytest.fixture
    def use(self, fresh):
        @task
        def use(config, x=1, bar=None):
            calls.append(x)
            return x

        calls = use.calls = []
        return use

    def test_runs_with_one_warning_that_names_path_type_and_cures(self, use, fresh):
        """The step would fail, or run every time, and nobody would know why nor what to do."""
        for n in range(3):
            assert use({"pool": Pool()}, n) == n
        assert use.calls == [0, 1, 2]
        (text,) = fresh.warned
        assert text.startswith('use() runs uncached: config["pool"].members["lock"][1] has no content')
        assert "a _thread.lock" in text
        assert all(cure in text for cure in ("pass its data", "ignore=", "register_digest"))

    def test_strict_raises_and_runs_nothing(self, use):
        """A pipeline that must be cached would silently compute for hours."""
        configure(strict=True)
        with pytest.raises(UnkeyableError, match=r'config\["pool"\]\.members\["lock"\]\[1\] .* _thread\.lock'):
            use({"pool": Pool()})
        assert use.calls == []

    def test_one_bad_call_does_not_switch_off_the_others(self, use, fresh):
        """One odd argument would cost the cache of all."""
        use(threading.Lock()), use(5), use(5)
        assert len(use.calls) == 2

    @pytest.mark.parametrize("options", [
        {"ignore": ["bar"]}, {"cache_policy": DEFAULT - "bar"}, {"cache_key_fn": lambda _, parameters: str(parameters["x"])},
        {"cache_policy": TASK_SOURCE}, {"cache_policy": DEFAULT - "bar" - "config"},
    ])  # fmt: skip
    def test_the_cures_work(self, use, fresh, options):
        """The message would send the user to something that does not help."""
        cured = use.with_options(**options)
        for _ in range(2):
            cured(5, bar=threading.Lock())
        assert len(use.calls) == 1
        assert not fresh.warned

    def test_no_cache_does_not_warn(self, use, fresh):
        """Who said NO_CACHE would be told that nothing is cached."""
        use.with_options(cache_policy=NO_CACHE)(threading.Lock())
        assert not fresh.warned


@pytest.mark.parametrize("keeps", [True, False])
def test_file_of_a_step_inside_that_native_code_reads(keeps, fresh, tmp_path, monkeypatch):
    """The step around it would hit with what was in the file before."""
    monkeypatch.chdir(tmp_path)
    Path("rates.bin").write_text("1")

    @task(persist_result=keeps)
    def rates(path):
        with unseen():
            return Path(path).read_text()

    @task(persist_result=True)
    def report(stem):
        return rates(f"{stem}{os.extsep}bin")

    assert report("rates") == "1" and report.is_cached("rates")
    Path("rates.bin").write_text("22")
    assert report("rates") == "22"
