import threading
from collections import Counter

import pytest

from nbflow.events import Began, Completed, Hit, Logged, Missed, Named, Queued, Started, Waiting
from nbflow.step.phases import Phase
from nbflow.widget import plain
from nbflow.widget.rows import Segment
from nbflow.widget.view import Board
from tests.unit.widget.stories import T, board, everything, failed, hit, many, ran, started


def lines(view):
    return {line.name: line for line in view.lines}


def test_a_hit_says_how_old_it_is_and_what_it_saved():
    """Else nobody could tell whether to trust a result that was not computed today, or what caching is worth."""
    (line,) = board(*hit(1)).view().lines
    assert (line.state, line.word, line.name) == (Phase.CACHED, "cached", "load('a')")
    assert (line.reason, line.time, line.size) == ("cached 2 h ago", "saved 41.2 s", "1.8 MB")


def test_a_miss_says_why():
    """Else a user whose cell runs again would not know what changed."""
    (line,) = board(*ran(1, why="clean() changed", cost=9.0)).view().lines
    assert (line.word, line.reason, line.time, line.size) == ("ran", "miss: clean() changed", "9.0 s", "51.2 KB")


def test_a_step_is_explained_lazily_and_once():
    """Else drawing ten thousand misses would compare ten thousand keys with the store, twice a second."""
    asked = Counter()

    def explain(task, missed):
        asked[task, missed.step] += 1
        return f"input i{missed.step} changed"

    shown = board(*[e for i in range(50) for e in ran(i)], explain=explain)
    first = shown.view()
    assert len(asked) == 20
    assert [line.reason for line in first.lines[:21]] == [f"miss: input i{i} changed" for i in range(20)] + [
        "miss: first run"
    ]
    shown.view()
    assert [line.reason for line in shown.view().lines][49] == "miss: input i49 changed"
    assert set(asked.values()) == {1}


def test_an_explanation_that_fails_leaves_the_engines_word():
    """Else a store that cannot be read would break the panel."""

    def explain(task, missed):
        raise OSError("the store is gone")

    (line,) = board(*ran(1, why="expired"), explain=explain).view().lines
    assert line.reason == "miss: expired"


def test_a_run_that_has_a_name_is_shown_by_it():
    """Else `task_run_name` would be nowhere to be seen."""
    (line,) = board(*ran(1, "fetch", arguments=(3,))[:1], Named(1, T, "fetch for March")).view().lines
    assert line.name == "fetch for March"


def test_waits_count_down_and_attempts_are_numbered():
    """Else a step in backoff would look as if it hung."""
    view = board(*everything(), now=100.0).view()
    line = lines(view)["rates"]
    assert (line.word, line.reason, line.tries, line.time) == ("retry in 17 s", "HTTPError: 503", "1/3", "1 min 38 s")
    assert lines(board(*everything(), now=500.0).view())["rates"].word == "retry in 0 s"


def test_the_timeline_has_each_attempt_and_each_wait():
    """Else a step that failed twice before it ran would look like one long run."""
    line = lines(board(*everything()).view())["fetch(3)"]
    assert line.segments == (
        Segment(T + 1, T + 3, Phase.FAILED),
        Segment(T + 3, T + 5, Phase.AWAITING_RETRY),
        Segment(T + 5, T + 8, Phase.COMPLETED),
    )
    assert (line.tries, line.time, line.log) == ("2/3", "7.0 s", ("half way",))


def test_a_result_that_was_not_kept_says_so_with_the_cure():
    """Else a user would wonder for ever why a step that calls an API runs each time."""
    assert lines(board(*everything()).view())["ping"].reason == "not cached: network; give cache_expiration="


def test_a_failure_shows_its_error_and_keeps_its_traceback():
    """Else the first thing that one wants to know about a failed run would be missing."""
    line = lines(board(*everything()).view())["embed"]
    assert (line.word, line.reason, line.time) == ("failed", "ValueError: bad", "21.0 s")
    assert line.trace == "Traceback\nValueError: bad"


def test_the_headline_counts():
    """Else the state of a long run could not be read at a glance."""
    view = board(*everything(), now=100.0).view()
    assert view.headline == (
        "8/11 steps · 1 cached (saved 41.2 s) · 1 failed · 1 timed out · 1 cancelled · 1 not ready · 1 min 40 s"
    )
    assert (view.state, view.active, view.total) == (Phase.FAILED, 3, 11)


def test_a_finished_run_no_longer_counts_time():
    """Else a saved notebook would say that a run took as long as its kernel lived."""
    view = board(*ran(1, cost=5.0), now=3600.0).view()
    assert view.headline == "1 step · 5.0 s"


def test_children_stand_below_the_step_that_called_them():
    """Else the inner steps of two parallel parents would be mixed up."""
    view = board(
        *started(1, "outer", arguments=(1,)),
        *started(2, "outer", arguments=(2,)),
        *ran(3, "inner", parent=1),
        *ran(4, "inner", parent=2),
        *ran(5, "leaf", parent=3),
        *ran(6, "orphan", parent=99),
    ).view()
    assert [(line.depth, line.name) for line in view.lines] == [
        (0, "outer(1)"),
        (1, "inner"),
        (2, "leaf"),
        (0, "outer(2)"),
        (1, "inner"),
        (0, "orphan"),
    ]


def test_many_steps_of_a_task_share_a_line_but_failures_keep_theirs():
    """Else ten thousand rows would hide the three that matter."""
    view = board(*ran(1, "prepare"), *many(480), now=200.0).view(200)
    group = lines(view)["fetch ×480"]
    assert group.reason == "374 ran · 96 cached · 10 failed"
    assert (group.word, group.steps) == ("10 failed", 480)
    assert [line.name for line in view.lines[:3]] == ["prepare", "fetch ×480", "fetch(7)"]
    assert sum(line.word == "failed" for line in view.lines) == 10
    assert view.left_out == 0 and view.headline.startswith("481 steps · 96 cached")


def test_a_group_of_ten_thousand_shows_some_dozens_of_failures_at_most():
    """Else a fan-out that fails as a whole would fill the screen."""
    view = board(*[e for i in range(10_000) for e in failed(i, "fetch", i * 0.01)]).view()
    assert 20 <= len(view.lines) <= 40
    assert view.counts[Phase.FAILED] == 10_000


def test_running_steps_of_a_group_keep_their_lines():
    """Else nobody could see what a long fan-out is doing now."""
    view = board(*many(480), *started(1, "fetch", 5.0, ("'now'",))).view()
    assert lines(view)["fetch('now')"].word == "running"


def test_memory_is_bounded_and_counts_stay_exact():
    """Else a notebook that runs for a week would fill its kernel's memory with rows."""
    shown = board(*started(1, "long"), *[e for i in range(2, 502) for e in ran(i, at=i)], keep=100)
    view = shown.view(1000)
    assert len(shown._rows) == 100
    assert (view.total, view.counts[Phase.COMPLETED], view.active) == (501, 500, 1)
    assert lines(view)["long"].word == "running", "a step that runs is never forgotten"
    shown.hear(Completed(1, T + 600, 600.0, 0))
    assert shown.view(1000).active == 0


def test_logs_are_ring_buffers():
    """Else a step that prints in a loop would take all memory."""
    shown = board(*started(1), *[Logged(1, T, "INFO", f"line {i}") for i in range(1000)])
    assert shown.view().lines[0].log == tuple(f"line {i}" for i in range(800, 1000))
    shown.hear(Logged(1, T, "INFO", "x" * 1_000_000))
    assert sum(map(len, shown.view().lines[0].log)) <= 64 * 1024


def test_all_logs_and_tracebacks_share_a_bound():
    """Else ten thousand steps with a full log each would take half a gigabyte."""
    shown = board(
        *[e for i in range(400) for e in [*started(i, at=i), Logged(i, T + i, "INFO", "x" * 60_000), *failed(i)[3:]]]
    )
    kept = [sum(map(len, line.log)) for line in shown.view(1000).lines]
    assert sum(kept) <= 8_100_000
    assert kept[0] == 0 and kept[-1] == 60_000, "the oldest go first"


def test_events_of_unknown_steps_are_left_alone():
    """Else a step of an earlier cell that ends during this one would break its panel."""
    assert board(Completed(1, T, 1.0, 1), Hit(2, T, 1.0, 1.0, 1), Logged(3, T, "INFO", "x")).view().total == 0


def test_a_sealed_board_takes_no_new_steps_and_finishes_the_old():
    """Else the panel of a cell would fill with the steps of later cells while its own still run."""
    shown = board(*started(1))
    shown.seal()
    for event in (*ran(2), Completed(1, T + 5, 5.0, 1)):
        shown.hear(event)
    view = shown.view()
    assert (view.total, view.active) == (1, 0)


def test_steps_that_are_shown_elsewhere_are_left_out():
    """Else a `%%task` cell would be told twice, by its own line and by a panel."""
    shown = board(*started(1, "cell"), *ran(2, "inner", parent=1), skip=lambda event: event.task == "cell")
    assert [line.name for line in shown.view().lines] == ["inner"]


def test_a_queued_step_is_one_row_with_what_it_was_told_last():
    """Else a step that waited for a worker would be counted twice."""
    shown = board(Queued(1, T, "fetch", ("?",), None), *ran(1, at=30.0, cost=2.0, arguments=(7,)))
    (line,) = shown.view().lines
    assert (line.name, line.time) == ("fetch(7)", "2.0 s"), "waiting for a worker is not running"


def test_a_late_word_of_a_step_that_ended_changes_nothing():
    """Else a runaway thread would turn its timed-out step into one that ran."""
    shown = board(*failed(1))
    before = shown.view()
    for event in (Started(1, T + 50, 2, 2), Waiting(1, T + 51, 2, 1.0, "x"), Completed(1, T + 60, 1.0, 5)):
        shown.hear(event)
    assert shown.view().lines == before.lines and shown.view().counts == before.counts


def test_stale_results_after_failed_attempts_are_cached():
    """Else a step that fell back to an old entry would be shown as running for ever."""
    shown = board(*started(1, attempts=2), Waiting(1, T + 1, 1, 1.0, "OSError: down"), Hit(1, T + 2, 90_000.0, 3.0, 10))
    (line,) = shown.view().lines
    assert (line.word, line.reason) == ("cached", "cached 1 d ago")


def test_hundreds_of_retries_stay_small():
    """Else a step that retries for a night would grow its row, and the HTML of it, without end."""
    shown = board(*started(1, attempts=1000))
    for i in range(1, 500):
        shown.hear(Waiting(1, T + i, i, 0.5, "OSError"))
        shown.hear(Started(1, T + i + 0.5, i + 1, 1000))
    assert len(shown.view().lines[0].segments) <= 24


def test_a_session_begins_its_timeline_anew_after_a_long_pause():
    """Else the bars of a session that was left alone over lunch would be too thin to see."""
    shown = board(*ran(1, at=0.0), *ran(2, at=4000.0), now=4002.0, pause=300.0)
    assert shown.view().began == T + 4000
    assert board(*ran(1, at=0.0), *ran(2, at=4000.0)).view().began == T


def test_any_thread_may_tell_while_another_looks():
    """Else steps on worker threads would lose events, or deadlock with the panel."""
    shown = Board(keep=500)
    done = threading.Event()

    def look():
        while not done.is_set():
            shown.view()

    def tell(first):
        for i in range(2000):
            for event in ran(first + i):
                shown.hear(event)

    looker = threading.Thread(target=look)
    tellers = [threading.Thread(target=tell, args=(n * 10_000,)) for n in range(4)]
    for each in (looker, *tellers):
        each.start()
    for each in tellers:
        each.join()
    done.set()
    looker.join()
    view = shown.view()
    assert view.counts[Phase.COMPLETED] == view.total == 8000 and not shown.busy


def test_what_is_heard_and_never_looked_at_stays_bounded():
    """Else a script that never opens a panel would keep each event of each step."""
    shown = board(*[e for i in range(20_000) for e in hit(i)])
    assert len(shown._inbox) < 10_000


def test_an_explanation_may_tell_events():
    """Else an explanation that looks into the store, which may tell of trouble there, would deadlock."""
    shown = board(*ran(1), explain=lambda task, missed: shown.hear(Logged(1, T, "INFO", "looked")) or "x")
    assert shown.view().lines[0].reason == "miss: x"
    assert shown.view().lines[0].log == ("looked",)


class Rude:
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("a\r\n\tb\x00\x07c", "a bc"),
        ("user\u202egnp.exe\u202c", "usergnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("half \ud800 a pair", "half  a pair"),
        (Rude(), "<Rude>"),
        ("x" * 50, "x" * 19 + "…"),
    ],
)
def test_text_from_anywhere_is_made_harmless(text, expected):
    """Else a file name could recolour the terminal, hide its ending, or break the saving of the notebook."""
    assert plain.line(text, 20) == expected


def test_a_name_of_a_megabyte_is_cut_before_it_is_looked_at():
    """Else one absurd argument would stop the panel for seconds."""
    (line,) = board(*ran(1, "task" * 300_000, arguments=("y" * 1_000_000,) * 50)).view().lines
    assert len(line.name) <= 96


def test_a_long_text_keeps_its_end():
    """Else the last line of a traceback, which names the error, would be the one that is cut."""
    cut = plain.block("\n".join(f"line {i}" for i in range(1000)) + "\n\x1b[31mValueError\x1b[0m\n", 100)
    assert cut.startswith("…\nline ") and cut.endswith("line 999\nValueError") and len(cut) <= 102


def test_a_line_that_is_longer_than_its_place_keeps_its_end():
    """Else a step that prints one enormous line would seem to have printed nothing."""
    assert plain.block("x" * 1_000_000 + "end", 100) == "…" + "x" * 97 + "end"
    assert plain.block("x" * 1_000_000 + "\nend", 100).endswith("x\nend")


def test_the_traits_of_a_miss_are_let_go():
    """Else the panel would keep what every key was made of for as long as its rows."""
    without = board(*ran(1))
    without.view()
    assert without._rows[1].missed is None
    shown = board(*[e for i in range(1000) for e in ran(i)], explain=lambda task, missed: "")
    shown.view(0)
    assert sum(row.missed is not None for row in shown._rows.values()) <= 256


def test_began_twice_is_one_step():
    """Else a step that is told of by two processes would be counted twice."""
    assert (
        board(Began(1, T, "a", (), None), Began(1, T + 1, "a", (), None), Missed(1, T + 1, "x", {})).view().total == 1
    )


def test_what_was_told_before_it_listened_is_heard_once_and_in_its_order():
    """Else a panel that is opened during a run would show attempts twice, or steps as queued that run."""
    past = ran(1)
    shown = Board()
    for event in past[2:]:
        shown.hear(event)
    shown.recall(past[:3])
    (line,) = shown.view().lines
    assert line.word == "ran" and len(line.segments) == 1
