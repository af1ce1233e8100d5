import re
from html.parser import HTMLParser

import pytest

from nbflow.events import Started, Waiting
from nbflow.step.phases import Phase
from nbflow.widget import static
from nbflow.widget.lines import View
from tests.unit.widget.stories import T, board, everything, failed, hit, many, ran, started

SAFE = {"details", "summary", "span", "b", "table", "tbody", "col", "tr", "td", "div", "pre"}
VOID = {"col"}


class Page(HTMLParser):
    """Reads HTML as a browser would, and fails where a tag is not closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.names, self.rows, self.words = [], [], set(), [], ""
        self.feed(html)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data
        if "td" in self.open:
            self.rows[-1][-1] += data


def test_every_row_says_its_state_in_words():
    """Else somebody who reads without colours, or on GitHub where styles are gone, could not tell what happened."""
    rows = Page(static.html(board(*everything()).view(24))).rows
    assert [row[0].replace("\ufe0e", "") for row in rows] == [
        "⚡ cached",
        "✓ ran",
        "↻ retry in 17 s",
        "◐ running",
        "✓ ran",
        "○ queued",
        "✗ failed",
        "– not ready",
        "⊘ cancelled",
        "◷ timed out",
        "✓ ran",
    ]
    assert rows[1][1:4] == ["fetch(3)", "miss: first run", "2/3"]
    assert rows[0][5:] == ["saved 41.2 s", "1.8 MB"]


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "'><b>bold",
    "</td></table>",
    "&lt;b&gt;",
    "]]><!--",
    "\x1b[31mred\x1b[0m",
    "user\u202egnp.exe",
    "\ud800",
    "$x$ \\(y\\)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_errors_and_tracebacks_are_text(text):
    """Else an argument that comes from the web could run code in the notebook of whoever opens it."""
    page = static.html(
        board(
            *failed(1, text, arguments=(text,), error=text, trace=text),
            *started(2, "x", why=text, arguments=(text,)),
            *hit(3, text),
        ).view(24)
    )
    read = Page(page)
    assert set(read.tags) <= SAFE
    assert read.names <= {"style", "title", "open", "width", "colspan"}
    assert not re.search("[\x00-\x1f\x7f\u202e\ud800]", page.replace("\n", ""))
    shown = text.replace("\x1b[31m", "").replace("\x1b[0m", "").replace("\u202e", "").replace("\ud800", "")
    assert shown in read.words


def test_nothing_is_loaded_and_nothing_runs():
    """Else a saved notebook would phone home, or be blank where scripts and style sheets are stripped."""
    page = static.html(board(*everything()).view(24))
    assert not re.search(r"<(script|style|link|img|svg|iframe)|url\(|https?:|class=|id=", page)


def test_it_stays_small():
    """Else a notebook with many runs would become too big to open, or to keep in git."""
    everyday = static.html(board(*everything()).view(24))
    assert len(everyday.encode()) < 9_000
    long = "f" * 1_000_000
    cases = [
        many(10_000),
        [e for i in range(10_000) for e in failed(i, long, i * 0.01, arguments=(long,), error=long, trace=long)],
        [e for i in range(200) for e in failed(i, f"task{i}" + "n" * 1_000, error="<&>" * 1_000, trace="<" * 8192)],
        [e for i in range(5_000) for e in ran(i, f"task{i}")],
    ]
    for events in cases:
        assert len(static.html(board(*events).view(24)).encode()) < 24_000


def test_what_is_cut_is_counted():
    """Else a reader of the saved notebook would take the rows that are shown for all there were."""
    view = board(*[e for i in range(100) for e in ran(i, f"task{i}")], *failed(500, "last")).view(200)
    rows = Page(static.html(view)).rows
    assert rows[-1] == [f"and {101 - (len(rows) - 1)} more steps"]
    assert any("failed" in row[0] for row in rows), "what failed is not what is cut"


def blocks(view):
    """Where the blocks of each row begin and end, in percent of the timeline."""
    rows = []
    for row in static.table(view, 90_000).split("<tr>")[1:]:
        at, found = 0.0, []
        for gap, width in re.findall(r"float:left;(?:margin-left:([\d.]+)%;)?width:([\d.]+)%", row):
            found.append((at + float(gap or 0), at + float(gap or 0) + float(width)))
            at = found[-1][1]
        rows.append(found)
    return rows


def test_bars_share_one_timeline():
    """Else two bars below each other could not be compared."""
    view = board(*ran(1, at=0.0, cost=25.0), *ran(2, at=25.0, cost=75.0)).view(24)
    assert blocks(view) == [[(0, 25)], [(25, 100)]]


def test_a_bar_has_each_attempt_and_each_wait():
    """Else a step that failed twice before it ran would look like one long run."""
    view = board(*everything(), now=100.0).view(24)
    assert blocks(view)[1] == [(1, 3), (3, 5), (5, 8)]


def test_no_bar_leaves_its_place():
    """Else a block that does not fit would wrap, and the row be twice as high."""
    events = [*ran(1, at=0.0, cost=1000.0), *ran(2, at=1000.0, cost=0.0), *started(3, at=0.0, attempts=99)]
    for i in range(30):
        events += [Waiting(3, T + i, i, 0.001, "x"), Started(3, T + i + 0.001, i + 1, 99)]
    for row in blocks(board(*events, now=1000.0).view(24)):
        assert 0 < len(row) <= 9 and row[-1][1] <= 100.01
        assert all(end - start >= 0.99 for start, end in row), "what is short can still be seen"


def test_colours_can_be_told_from_both_backgrounds():
    """Else icons and bars would vanish in a dark theme, or in a light one."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for state in Phase:
        own = luminance(static.colour(state))
        for background in ("#ffffff", "#111111", "#212121"):
            light, dark = sorted((own, luminance(background)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 3, f"{state} on {background}"  # WCAG 2.2, 1.4.11


def test_a_receipt_is_one_line():
    """Else cells that only took results from the store would be drowned in tables."""
    one = Page(static.receipt(board(*hit(1)).view(24)))
    assert one.words == "⚡\ufe0e load('a') · cached 2 h ago · saved 41.2 s · 1.8 MB"
    two = Page(static.receipt(board(*hit(1), *hit(2)).view(24)))
    assert two.words == "⚡\ufe0e 2 steps cached · saved 1 min 22 s"


def test_nothing_at_all_can_be_drawn():
    """Else a panel that is opened before the first step would fail."""
    assert Page(static.html(View())).rows == []
    assert "0 steps" in static.html(board(now=0).view())


def test_tracebacks_are_folded_away():
    """Else the traceback of one step would push the rows of all others off the screen."""
    page = static.html(board(*failed(1, trace="Traceback\n  boom <x>"), now=T).view(24))
    assert "<details style" in page and "boom &lt;x&gt;" in page
