import unicodedata

from nbflow.widget import text
from nbflow.widget.lines import View
from tests.unit.widget.stories import board, everything, failed, hit, many, ran


def columns(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in line)


def test_rows_are_aligned_columns():
    """Else a terminal would show a jumble that nobody can scan."""
    shown = text.text(board(*hit(1), *ran(2, "clean", why="clean() changed", cost=9.0)).view(), 80)
    assert shown.splitlines() == [
        "✓ nbflow: 2 steps · 1 cached (saved 41.2 s) · 9.0 s",
        "⚡ cached  load('a')  cached 2 h ago         saved 41.2 s   1.8 MB",
        "✓ ran      clean      miss: clean() changed         9.0 s  51.2 KB",
    ]


def test_no_line_is_wider_than_the_terminal():
    """Else each row would wrap, and the table fall apart."""
    wide = [*everything(), *ran(100, "日本語" * 40, arguments=("長い",)), *failed(101, error="é" * 300)]
    for width in (30, 45, 60, 80, 100, 110, 200):
        assert max(map(columns, text.text(board(*wide).view(), width).splitlines())) <= width


def test_the_headline_is_never_cut():
    """Else the number of failures would be the part that is missing."""
    view = board(*everything()).view()
    flat = " ".join(line.strip() for line in text.text(view, 60).splitlines()[:4])
    assert all(part in flat for part in view.headline.split(" · "))


def test_a_wide_terminal_has_a_timeline():
    """Else text would not show what waited for what."""
    lines = text.text(board(*ran(1, at=0.0, cost=50.0), *failed(2, at=50.0, cost=50.0)).view(), 120).splitlines()
    assert lines[1].endswith("█" * 9) and lines[2].endswith("▒" * 8)


def test_a_terminal_without_unicode_gets_ascii():
    """Else printing the table would raise on a console of an old code page."""
    for encoding in ("ascii", "cp1252"):
        shown = text.text(board(*everything(), *hit(50, "héllo → 日本")).view(), 100, encoding)
        shown.encode(encoding)
        assert "x failed" in shown and "* cached" in shown


def test_it_stays_small_and_counts_what_is_cut():
    """Else `text/plain` of ten thousand steps would fill the notebook that holds it."""
    assert len(text.text(board(*many(10_000)).view())) < 6_000
    shown = text.text(board(*[e for i in range(150) for e in ran(i, f"task{i}")]).view())
    assert len(shown) < 6_000
    rows = shown.count("✓ ran")
    assert shown.endswith(f"and {150 - rows} more steps")


def test_escape_codes_do_not_reach_the_terminal():
    """Else an argument could clear the screen or set the window's title."""
    shown = text.text(board(*failed(1, "a\x1b[2Jb", arguments=("\x1b]0;owned\x07",), error="c\rd\x9b31m")).view())
    assert not {c for c in shown if unicodedata.category(c) == "Cc"} - {"\n"}
    assert "owned" not in shown and "ab()" in shown


def test_receipts_and_nothing():
    """Else a run of hits, or a panel before the first step, would print a table without rows."""
    assert text.receipt(board(*hit(1)).view()) == "⚡ load('a') · cached 2 h ago · saved 41.2 s · 1.8 MB"
    assert text.text(View()) == "✓ nbflow: 0 steps"
