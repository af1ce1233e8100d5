import threading
import time
from types import SimpleNamespace

import pytest

from nbflow.bus import Bus
from nbflow.events import Began, Completed, Hit, Missed, Started
from nbflow.widget import runs
from tests.unit.widget.stories import T, failed, hit, ran, started

PATIENCE = 20.0
LIVE = "application/vnd.jupyter.widget-view+json"


class Publisher:
    """What IPython publishes with: keeps each message, and lets a test wait for one."""

    def __init__(self):
        self.messages, self._more = [], threading.Condition()

    def publish(self, data, metadata=None, *, transient=None, update=False):
        with self._more:
            self.messages.append(
                SimpleNamespace(data=data, metadata=metadata, id=transient["display_id"], update=update)
            )
            self._more.notify_all()

    def wait_for(self, wanted):
        with self._more:
            assert self._more.wait_for(lambda: any(map(wanted, self.messages)), PATIENCE), self.shown()

    def shown(self):
        """What is there to see at the end: the last message of each output."""
        last = {}
        for message in self.messages:
            assert message.update == (message.id in last), "an output is made once and then updated"
            last[message.id] = message.data
        return list(last.values())


class Shell:
    """As much of IPython's shell as a panel knows."""

    def __init__(self, message="3f2504e0-4f89-11d3-9a0c-0305e82c3301", kernel="kernel"):
        self.display_pub = Publisher()
        self.kernel = kernel
        self.hooks = {"pre_run_cell": [], "post_run_cell": []}
        self.events = SimpleNamespace(
            register=lambda name, hook: self.hooks[name].append(hook),
            unregister=lambda name, hook: self.hooks[name].remove(hook),
        )
        self.get_parent = lambda: {"header": {"msg_id": message}}

    def cell(self, *told, bus=None):
        info = object()
        for hook in self.hooks["pre_run_cell"]:
            hook(info)
        for each in told:
            each() if callable(each) else bus.tell(each)
        for hook in self.hooks["post_run_cell"]:
            hook(SimpleNamespace(info=info))


@pytest.fixture
def at():
    """`at(setting, **shell)`: a shell with panels, and the bus that they listen to."""
    shells = []

    def make(setting="html", skip=None, **options):
        shell, bus = Shell(**options), Bus(warn=pytest.fail)
        runs.attach(shell, bus, setting=lambda: setting, skip=skip)
        shells.append(shell)
        shell.cell()  # the cell that called attach
        return shell, bus

    yield make
    for shell in shells:
        runs.detach(shell)


def text(shell):
    return [data["text/plain"] for data in shell.display_pub.shown()]


def test_a_cell_has_one_output_for_all_its_steps(at):
    """Else a loop over a hundred files would fill the notebook with a hundred panels."""
    shell, bus = at()
    shell.cell(*ran(1), *failed(2, "embed"), *ran(3), bus=bus)
    (data,) = shell.display_pub.shown()
    assert set(data) == {"text/html", "text/plain"} and "<table" in data["text/html"]
    assert data["text/plain"].startswith("✗ nbflow: 3 steps · 1 failed")


def test_each_cell_has_its_own(at):
    """Else a panel would show the steps of cells that ran before."""
    shell, bus = at()
    shell.cell(*ran(1, "alpha"), bus=bus)
    shell.cell(bus=bus)
    shell.cell(*ran(2, "beta"), bus=bus)
    first, second = text(shell)
    assert "alpha" in first and "beta" not in first and "beta" in second and "alpha" not in second


def test_it_is_there_before_the_first_step_prints(at):
    """Else the panel would stand below the output of the steps that it tells of."""
    shell, bus = at()
    began = threading.Event()

    def printing():
        assert len(shell.display_pub.messages) == 1
        began.set()

    shell.cell(*started(1), printing, Completed(1, T, 1.0, 1), bus=bus)
    assert began.is_set()


def test_a_run_of_hits_is_one_line(at):
    """Else Run All after a restart, which is all hits, would fill the notebook with tables."""
    shell, bus = at()
    shell.cell(*hit(1), *hit(2), bus=bus)
    shell.cell(*hit(3), bus=bus)
    assert text(shell) == [
        "⚡ 2 steps cached · saved 1 min 22 s",
        "⚡ load('a') · cached 2 h ago · saved 41.2 s · 1.8 MB",
    ]
    assert len(shell.display_pub.messages) == 2


def test_a_long_run_of_hits_is_live(at):
    """Else a loop over a million hits would look as if nothing happened."""
    shell, bus = at()
    shell.cell(
        *hit(1), Began(2, T, "slow", (), None), lambda: shell.display_pub.wait_for(lambda m: "slow" in str(m.data)),
        Hit(2, T, 1.0, 1.0, 1), bus=bus,
    )  # fmt: skip
    assert text(shell)[0].startswith("⚡ nbflow: 2 steps · 2 cached")


def test_a_cell_without_steps_shows_nothing(at):
    """Else every cell of the notebook would have an empty panel."""
    shell, bus = at()
    shell.cell(bus=bus)
    assert shell.display_pub.messages == []


def test_steps_with_a_line_of_their_own_have_no_panel(at):
    """Else a `%%task` cell would be told twice."""
    shell, bus = at(skip=lambda event: event.task == "cell")
    shell.cell(*ran(1, "cell"), bus=bus)
    assert shell.display_pub.messages == []
    shell.cell(*started(2, "cell"), *ran(3, "inner", parent=2), Completed(2, T + 9, 9.0, 1), bus=bus)
    assert "inner" in text(shell)[0] and "cell" not in text(shell)[0]


def test_what_submit_left_running_is_shown_to_its_end(at):
    """Else a saved notebook would say for ever that a step runs which ended a second after its cell."""
    shell, bus = at()
    shell.cell(*started(1, "slow"), bus=bus)
    assert "running" in text(shell)[0]
    shell.cell(*ran(2, "other"), bus=bus)
    bus.tell(Completed(1, T + 5, 5.0, 1))
    shell.display_pub.wait_for(lambda m: "slow" in m.data["text/plain"] and "✓ ran" in m.data["text/plain"])
    slow, other = text(shell)
    assert "✓ ran" in slow and "other" not in slow and "slow" not in other


def test_nested_cells_count_as_part_of_the_cell_that_runs_them(at):
    """Else a magic that runs code would cut a panel in two."""
    shell, bus = at()
    shell.cell(*ran(1, "before"), lambda: shell.cell(*ran(2, "inside"), bus=bus), *ran(3, "after"), bus=bus)
    (shown,) = text(shell)
    assert all(name in shown for name in ("before", "inside", "after"))


def test_an_interrupted_cell_ends_its_panel(at):
    """Else the panel of an asynchronous cell that was interrupted, which has no result, would stay live for ever."""
    shell, bus = at()
    for hook in shell.hooks["pre_run_cell"]:
        hook(object())
    for event in ran(1, "first"):
        bus.tell(event)
    for hook in shell.hooks["post_run_cell"]:
        hook(None)
    shell.cell(*ran(2, "second"), bus=bus)
    assert len(text(shell)) == 2 and "second" not in text(shell)[0]


def test_attaching_twice_and_detaching_twice_is_the_same_as_once(at):
    """Else `%reload_ext nbflow` would show every panel twice."""
    shell, bus = at()
    runs.attach(shell, bus, setting=lambda: "html")
    shell.cell(*ran(1), bus=bus)
    assert len(text(shell)) == 1
    runs.detach(shell)
    runs.detach(shell)
    assert shell.hooks == {"pre_run_cell": [], "post_run_cell": []} and bus.sinks == ()
    shell.cell(*ran(2), bus=bus)
    assert len(text(shell)) == 1


def test_the_cell_that_attaches_is_shown_too():
    """Else the first cell of a notebook, which imports nbflow and calls a task, would have no panel."""
    shell, bus = Shell(), Bus(warn=pytest.fail)
    shell.cell(lambda: runs.attach(shell, bus, setting=lambda: "html"), *ran(1, "alpha"), bus=bus)
    shell.cell(*ran(2, "beta"), bus=bus)
    runs.detach(shell)
    alpha, beta = text(shell)
    assert "alpha" in alpha and "beta" not in alpha and "beta" in beta


def test_nothing_of_ours_listens_after_the_cell(at):
    """Else every cell would leave a sink on the bus, and each step would cost more than the one before."""
    shell, bus = at()
    for number in range(20):
        shell.cell(*ran(number), bus=bus)
        shell.cell(*hit(100 + number), bus=bus)
    assert bus.sinks == ()


@pytest.mark.parametrize(
    ("setting", "options", "expected"),
    [
        ("auto", {}, "widget"),
        ("auto", {"message": "0a1b2c3d_4242_7"}, "html"),
        ("widget", {"message": "0a1b2c3d_4242_7"}, "widget"),
        ("keep", {}, "keep"),
        ("basic", {}, "basic"),
        ("html", {}, "html"),
        ("text", {}, "text"),
        ("off", {}, "off"),
        ("auto", {"kernel": None}, "off"),
        ("off", {"kernel": None}, "off"),
        ("widget", {"kernel": None}, "print"),
        ("text", {"kernel": None}, "print"),
    ],
)
def test_the_setting_means_what_can_be_shown_here(setting, options, expected):
    """Else nbclient would save the state of widgets that nobody saw, or a terminal would print unasked."""
    assert runs.mode(setting, Shell(**options)) == expected


@pytest.mark.parametrize("setting", ["auto", "widget", "keep"])
def test_databricks_gets_widgets_that_it_can_draw(setting, monkeypatch):
    """Else a notebook there would show an empty box."""
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "15.4")
    assert runs.mode(setting, Shell()) == "basic"
    assert runs.mode("html", Shell()) == "html" and runs.mode("auto", Shell(kernel=None)) == "off"


@pytest.mark.parametrize(("setting", "live"), [("widget", False), ("basic", False), ("keep", True)])
def test_what_is_left_of_a_live_panel_when_its_cell_has_ended(at, setting, live):
    """Else a user who wants to filter after the run could not, or a saved notebook would say that steps still run."""
    shell, bus = at(setting)
    shows = lambda: shell.display_pub.wait_for(lambda message: LIVE in message.data)  # noqa: E731 - a step of the cell
    shell.cell(*started(1, "slow"), shows, Completed(1, T + 5, 5.0, 1), bus=bus)
    shell.display_pub.wait_for(lambda message: "✓ ran" in message.data["text/plain"])
    (data,) = shell.display_pub.shown()
    assert (LIVE in data) is live and "✓ ran" in data["text/plain"]
    if live:
        from ipywidgets.widgets.widget import _instances

        panel, until = _instances[data[LIVE]["model_id"]], time.monotonic() + PATIENCE
        while [row["s"] for row in panel.ckpt["r"]] != ["Completed"]:
            assert time.monotonic() < until, "what is kept must be told how it ended, even if a message was lost"
            time.sleep(0.02)
        panel.close()


def test_off_is_off(at):
    """Else a user who wants no panels could not have none."""
    shell, bus = at("off")
    shell.cell(lambda: None, *ran(1), bus=bus)
    assert shell.display_pub.messages == [] and bus.sinks == ()


def test_text_has_no_html(at):
    """Else a front end that asked for text would show a table all the same."""
    shell, bus = at("text")
    shell.cell(*ran(1), bus=bus)
    shell.cell(*hit(2), bus=bus)
    assert [set(data) for data in shell.display_pub.shown()] == [{"text/plain"}] * 2


def test_a_terminal_that_asked_gets_a_table_on_stderr(at, capsys):
    """Else steps in IPython's terminal could not be seen, or would be mixed into what a script prints."""
    shell, bus = at("text", kernel=None)
    shell.cell(*ran(1, "fetch"), bus=bus)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("✓ nbflow: 1 step") and "fetch" in err and shell.display_pub.messages == []


def test_a_live_panel_takes_the_place_of_the_first_words_and_is_frozen(at):
    """Else a long run would not be live, or the saved notebook would hold a widget that no kernel knows."""
    shell, bus = at("widget")
    live = lambda: shell.display_pub.wait_for(lambda message: LIVE in message.data)  # noqa: E731 - a step of the cell
    shell.cell(*started(1, "slow"), live, Completed(1, T + 5, 5.0, 1), bus=bus)
    with_view = next(message.data for message in shell.display_pub.messages if LIVE in message.data)
    assert {"text/html", "text/plain"} < set(with_view)
    (data,) = shell.display_pub.shown()
    assert set(data) == {"text/html", "text/plain"} and "✓ ran" in data["text/plain"]


def test_a_short_run_never_makes_a_widget(at):
    """Else every quick cell would pay the 0.2 s that importing ipywidgets takes."""
    shell, bus = at("widget")
    shell.cell(*ran(1), bus=bus)
    assert all(LIVE not in message.data for message in shell.display_pub.messages)


def test_outputs_say_whose_they_are(at):
    """Else a recorder of a cell's outputs, or a tool that cleans notebooks, could not leave panels out."""
    shell, bus = at()
    recorded = []
    shell.display_pub.publish = lambda *args, **options: recorded.append(args)
    shell.cell(Began(1, T, "fetch", (), None), Missed(1, T, "first run", {}), Started(1, T, 1, 1), bus=bus)
    bus.tell(Completed(1, T, 1.0, 1))
    assert recorded == [] and shell.display_pub.messages[0].metadata == {"nbflow": "panel"}
