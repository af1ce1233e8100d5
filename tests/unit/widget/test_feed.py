"""What the page is sent, by a clock that a test moves."""

import json
import threading

import pytest

from nbflow.events import Completed, Logged, Progressed, Queued, Started, Waiting
from nbflow.widget.feed import Feed
from nbflow.widget.view import Board
from tests.unit.widget.stories import T, board, everything, failed, hit, many, ran, started


class Time:
    now = 100.0

    def __call__(self):
        return self.now


class Page:
    """As much of a page as keeps what it is sent."""

    def __init__(self):
        self.rows, self.details, self.head, self.messages = {}, {}, {}, 0

    def take(self, message):
        message = json.loads(json.dumps(message))
        self.messages += 1
        if message.get("k") == "p":
            for change in message["r"]:
                row = self.rows.setdefault(change["id"], {})
                row.update(change)
                for name in [name for name, value in row.items() if value is None]:
                    del row[name]
            for step in message.get("x", ()):
                self.rows.pop(step)
        else:
            self.rows = {row["id"]: row for row in message["r"]}
        self.head = message["h"]
        self.details |= {int(step): each for step, each in (message.get("d") or {}).items()}


@pytest.fixture
def time():
    return Time()


def feed(shown, time):
    made, page = Feed(shown, time), Page()
    made.patches()
    page.take(made.checkpoint(force=True))
    return made, page


def test_only_what_changed_is_sent(time):
    """Else ten thousand rows would travel ten times a second."""
    shown = board(*everything())
    made, page = feed(shown, time)
    shown.hear(Completed(4, T + 99, 96.0, 2048))
    (patch,) = made.patches()
    (change,) = patch["r"]
    assert change.pop("g")[-1][2] == "Completed"
    assert change == {"id": 4, "s": "Completed", "y": 2048, "e": "1 min 36 s", "b": None}
    assert patch["h"]["n"]["Completed"] == 4 and made.patches() == []


def test_a_page_that_gets_everything_shows_what_the_board_knows(time):
    """Else the live panel and the static one would tell different stories."""
    shown = board()
    made, page = feed(shown, time)
    for event in everything():
        shown.hear(event)
        for patch in made.patches():
            page.take(patch)
    (whole,) = [Page()]
    whole.take(made.checkpoint(force=True))
    assert page.rows == whole.rows and len(page.rows) == 11
    lines = {line.name: line for line in shown.view().lines}
    for row in page.rows.values():
        line = lines[row["n"] + row.get("a", "")]
        assert (row.get("w", ""), row.get("k", ""), row["s"]) == (line.reason, line.tries, line.state)
    assert page.rows[3]["u"] == pytest.approx(116.4) and page.rows[5]["p"] == 4, "counted from the first step"
    assert page.details[2] == {"errors": [[1, "OSError: busy"]], "log": "half way"}
    assert page.details[7]["trace"] == "Traceback\nValueError: bad"


def test_what_was_lost_on_the_way_is_healed_by_the_last_checkpoint(time):
    """Else a panel would show a step as running for ever, because the server dropped a message in a flood."""
    shown = board(*started(1))
    made, page = feed(shown, time)
    shown.hear(Completed(1, T + 1, 1.0, 1))
    assert made.patches() and made.checkpoint() is None, "lost, and it is too soon for a checkpoint"
    sent = []
    for _ in range(60):
        time.now += 0.1
        assert not made.patches()
        if (checkpoint := made.checkpoint()) is not None:
            sent.append(round(time.now - 100, 1))
            page.take(checkpoint)
    assert sent[0] <= 1.1 and sent[-1] == pytest.approx(4.0, abs=0.2) and len(sent) == 2
    assert page.rows[1]["s"] == "Completed" and made.settled and page.head["n"] == {"Completed": 1}


def test_checkpoints_are_rare_where_they_are_large(time):
    """Else each of them would delay the patches behind it."""
    shown = board(*many(5000))
    made, _ = feed(shown, time)
    sent = 0
    for number in range(300):
        time.now += 0.1
        shown.hear(Queued(90_000 + number, T + 200, "more", (), None))
        made.patches()
        sent += made.checkpoint() is not None
    assert sent in (5, 6), "thirty seconds, one every five"


def test_a_sign_of_life_comes_while_a_step_is_active_and_only_then(time):
    """Else a page could not tell a long step from a dead kernel, or an idle kernel would never be quiet."""
    shown = board(*started(1))
    made, page = feed(shown, time)
    beats = []
    for _ in range(163):
        time.now += 0.125
        beats += [(round(time.now - 100), patch["r"]) for patch in made.patches()]
    assert beats == [(5, []), (10, []), (15, []), (20, [])], "every five seconds"
    shown.hear(Completed(1, T + 20, 20.0, 0))
    made.patches()
    time.now += 60
    assert made.patches() == []


def test_a_thousand_events_a_second_are_ten_messages(time):
    """Else the server would drop messages, the user's own among them."""
    shown = board()
    made, page = feed(shown, time)
    events = many(400)
    for start in range(0, len(events), 100):
        for event in events[start : start + 100]:
            shown.hear(event)
        patches = made.patches()
        assert len(patches) == 1 and len(patches[0]["r"]) <= 100
        page.take(patches[0])
    assert len(page.rows) == 400
    shown = board(*many(1800))
    assert [len(patch["r"]) for patch in Feed(shown, time).patches()] == [500, 500, 500, 300]


def test_rows_that_the_board_let_go_leave_the_page(time):
    """Else a page that is open for a week would fill with rows that nobody can ask about."""
    shown = board(*[e for i in range(100) for e in ran(i)], keep=100)
    made, page = feed(shown, time)
    for event in [e for i in range(100, 150) for e in failed(i)]:
        shown.hear(event)
    for patch in made.patches():
        page.take(patch)
    assert set(page.rows) == set(range(50, 150)) and page.head["n"]["Completed"] == 100


def test_long_logs_travel_in_pieces_and_never_whole(time):
    """Else one step that prints without end would hold up the picture of all others."""
    shown = board(*[e for i in range(100) for e in started(i)])
    made, page = feed(shown, time)
    for i in range(100):
        shown.hear(Logged(i, T, "INFO", f"<{i}>" + "x" * 1_000_000))
    sizes = []
    while patches := made.patches():
        sizes += [len(json.dumps(patch.get("d", {}))) for patch in patches]
        for patch in patches:
            page.take(patch)
    assert max(sizes) < 80_000 and len(page.details) == 100
    assert len(json.dumps(made.checkpoint(force=True))) < 200_000


def test_a_job_tells_how_much_of_it_is_done(time):
    """Else the longest steps of all would show nothing but that they run."""
    shown = board(*started(1, "embed"), Progressed(1, T + 1, 25, 100))
    _, page = feed(shown, time)
    assert page.rows[1]["f"] == 0.25


def test_the_time_left_is_when_it_will_be_over(time):
    """Else the page could not count down without a message each second."""
    shown = board(*ran(1, cost=30.0), *started(2, at=90.0), now=100.0)
    _, page = feed(shown, time)
    assert page.head["l"] == 120


def test_errors_of_attempts_are_kept_in_order_and_bounded(time):
    """Else nobody could see what the third of nine attempts failed with."""
    shown = board(*started(1, attempts=99))
    for i in range(1, 60):
        shown.hear(Waiting(1, T + i, i, 0.5, f"OSError: number {i} " + "y" * 10_000))
        shown.hear(Started(1, T + i + 0.5, i + 1, 99))
    _, page = feed(shown, time)
    errors = page.details[1]["errors"]
    assert len(errors) == 24 and errors[-1][0] == 59 and errors[0][1].startswith("OSError: number 36")
    assert all(len(text) <= 300 for _, text in errors)


def test_hits_say_what_they_saved_and_under_which_key(time):
    """Else nobody could find the entry that a result came from."""
    events = hit(1)
    events[1] = events[1]._replace(key="0123456789abcdef0123")
    _, page = feed(board(*events), time)
    row = page.rows[1]
    assert (row["w"], row["e"], row["v"], row["y"], row["key"]) == (
        "cached 2 h ago", "saved 41.2 s", 41.2, 1_887_437, "0123456789abcdef",
    )  # fmt: skip


def test_sixteen_threads_and_every_row_ends_at_its_last_word(time):
    """Else a fan-out would leave rows that never end."""
    shown = Board(keep=10_000)
    made, page = feed(shown, time)
    over = threading.Event()

    def tell(first):
        for i in range(100):
            for event in ran(first + i):
                shown.hear(event)

    def send():
        while not over.is_set():
            for patch in made.patches():
                page.take(patch)

    sender = threading.Thread(target=send)
    tellers = [threading.Thread(target=tell, args=(n * 1000,)) for n in range(16)]
    for each in (sender, *tellers):
        each.start()
    for each in tellers:
        each.join()
    over.set()
    sender.join()
    for patch in made.patches():
        page.take(patch)
    assert len(page.rows) == 1600 and {row["s"] for row in page.rows.values()} == {"Completed"}
