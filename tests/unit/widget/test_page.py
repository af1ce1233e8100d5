"""The page's own logic, run by node where it is installed: no browser, no kernel."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from nbflow.durations import spell
from nbflow.widget import plain, static
from nbflow.widget.feed import Feed, phases
from nbflow.widget.lines import _countdown
from tests.unit.widget.stories import T, board, everything, many, ran, started
from tests.unit.widget.test_feed import Time

SCRIPT = Path(static.__file__).with_name("panel.js")
MODEL = """
import { readFileSync } from "node:fs";
import { arrange, countdown, open, size, spell } from SCRIPT;
const told = JSON.parse(readFileSync(0, "utf8"));
const on = {}, sent = [];
const state = { ckpt: told.ckpt, phases: told.phases };
const model = { get: name => state[name], on: (name, run) => { on[name] = run; }, off: () => {}, send: m => sent.push(m) };
const say = value => console.log(JSON.stringify(value));
"""

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")


def node(code, **told):
    """What a piece of JavaScript said, line by line."""
    script = MODEL.replace("SCRIPT", json.dumps(SCRIPT.as_uri())) + code
    command = ["node", "--no-warnings", "--input-type=module", "-e", script]
    ended = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def sent(*events, now=100.0):
    """A board, its feed and its first checkpoint."""
    shown = board(*events, now=now)
    feed = Feed(shown, Time())
    feed.patches()
    return shown, feed, {"ckpt": feed.checkpoint(force=True), "phases": phases()}


def test_the_page_spells_as_python_does():
    """Else a run would change its numbers at the moment when it ends."""
    times = [0.0, 0.004, 0.94, 0.9994, 1.0, 7.31, 59.9, 59.96, 60, 83, 119.6, 3599, 3600, 9000, 86_399, 200_000]
    sizes = [0, 812, 1024, 52_430, 1_887_437, 1024**3 - 1, 7 * 1024**4]
    lefts = [0.0, 0.2, 16.01, 99.5, 100, 3000, 7000]
    code = "say([told.times.map(spell), told.sizes.map(size), told.lefts.map(countdown)]);"
    ((spelled, sized, counted),) = node(code, times=times, sizes=sizes, lefts=lefts)
    assert spelled == [spell(each) for each in times]
    assert sized == [plain.size(each) for each in sizes]
    assert counted == [_countdown(each) for each in lefts]


def test_patches_are_put_together_and_a_gap_is_healed():
    """Else the page would show a row half old and half new, or stay wrong after one lost message."""
    shown, feed, told = sent(*everything())
    from nbflow.events import Completed, Started

    shown.hear(Completed(4, T + 99, 96.0, 2048))
    first = feed.patches()
    shown.hear(Started(3, T + 99, 2, 3))
    second = feed.patches()
    code = """
        const store = open(model, run => run());
        for (const patch of told.patches) on["msg:custom"](patch);
        say([...store.rows.values()]);
        say([store.active(), store.head.m]);
        state.ckpt = told.last;
        on["change:ckpt"]();
        say([...store.rows.values()]);
        state.ckpt = told.ckpt;  // an old one that comes late changes nothing
        on["change:ckpt"]();
        say(store.rows.get(4).s);
    """
    whole, (active, words), healed, last = node(
        code, **told, patches=[*first, *second], last=feed.checkpoint(force=True)
    )
    assert whole == healed and {row["s"] for row in whole} >= {"Completed", "Retrying"}
    assert active and words.startswith("9/11 steps") and last == "Completed"
    lost, _, healed, _ = node(code, **told, patches=second, last=feed.checkpoint(force=True))
    assert lost != healed and healed == whole


def test_a_row_whose_beginning_was_lost_waits_for_the_next_checkpoint():
    """Else one lost message would stop all views from being drawn: of that row not even its state is known."""
    _, _, told = sent(*started(1))
    code = """
        const store = open(model, run => run());
        const ui = { filter: "", only: "", sort: "steps", unfolded: new Set() };
        on["msg:custom"]({ k: "p", s: 9, t: 1, h: store.head, r: [{ id: 7, w: "miss" }] });
        say(arrange(store, ui).map(line => line.row.id));
    """
    assert node(code, **told) == [[1]]


def test_clocks_stand_still_when_the_kernel_is_silent():
    """Else a panel whose kernel has died would seem to run for ever."""
    _, _, told = sent(*started(1))
    code = """
        const real = Date.now;
        const store = open(model, run => run());
        say(store.silent());
        on["msg:custom"]({ k: "p", s: 9, t: real() / 1000, h: store.head, r: [] });
        say(store.silent());
        Date.now = () => real() + 20000;
        say([store.silent(), store.now() + store.origin < real() / 1000 + 1]);
    """
    assert node(code, **told) == [True, False, [True, True]], "the first one is of a picture that is years old"


def test_many_steps_of_a_task_share_a_line_that_opens():
    """Else ten thousand rows would hide the three that matter."""
    _, _, told = sent(*ran(1, "prepare"), *many(480), *started(9000, "fetch", 5.0), now=200.0)
    code = """
        const store = open(model, run => run());
        const ui = { filter: "", only: "", sort: "steps", unfolded: new Set() };
        const name = line => line.task ? `${line.task.n} x${line.task.rows.length}` : line.row.n + (line.row.a ?? "");
        const lines = arrange(store, ui);
        say(lines.map(name));
        say(lines[1].task.counts);
        ui.unfolded.add("fetch");
        say(arrange(store, ui).length);
        say(arrange(store, { ...ui, filter: "fetch(7)" }).map(name));
        say(arrange(store, { ...ui, only: "failed" }).length);
        say(arrange(store, { ...ui, sort: "attention" }).slice(0, 11).map(line => line.row.s));
    """
    lines, counts, opened, found, failed, urgent = node(code, **told)
    assert lines[:3] == ["prepare", "fetch x481", "fetch(7)"] and len(lines) == 2 + 10 + 1
    assert counts == {"ran": 374, "cached": 96, "failed": 10, "running": 1}
    assert (opened, found, failed) == (2 + 481, ["fetch(7)"], 10)
    assert urgent == ["Failed"] * 10 + ["Running"]


def test_children_stand_below_the_step_that_called_them():
    """Else the inner steps of two parallel parents would be mixed up."""
    events = [*started(1, "outer"), *started(2, "outer"), *ran(3, "inner", parent=1), *ran(4, "leaf", parent=3)]
    _, _, told = sent(*events)
    code = """
        const store = open(model, run => run());
        say(arrange(store, { filter: "", only: "", sort: "steps", unfolded: new Set() }).map(l => [l.level, l.row.id]));
    """
    assert node(code, **told) == [[[1, 1], [2, 3], [3, 4], [1, 2]]]
