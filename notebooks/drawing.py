"""How the curves of the notebook on benchmarks are drawn."""

import math
from itertools import pairwise
from typing import Any

COLOURS = {"nbflow": "#0072B2", "joblib": "#D55E00", "diskcache": "#009E73", "not kept": "#767676"}
"""Of the palette of Okabe and Ito, which the colour-blind can tell apart."""
MARKERS = {"nbflow": "o", "joblib": "s", "diskcache": "^", "not kept": "."}
TITLES = {"miss": "the first call: computed and kept", "hit": "the next call: a hit"}
APART = 13.0  # points between two names


def draw(rows: Any, title: str, along: str, up: str, unit: str = "") -> Any:
    """A figure with a plot for each kind of call, both scales logarithmic; each line has its name at its end."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    kinds = [kind for kind in TITLES if kind in set(rows["call"])]
    size = 1.2 + 4.4 * len(kinds), 3.9
    figure, (plots,) = plt.subplots(
        1, len(kinds), figsize=size, sharey=True, squeeze=False, dpi=120, layout="constrained", facecolor="white"
    )
    figure.suptitle(title, fontweight="bold")
    low, high = (math.log10(edge) for edge in (rows["seconds"].min(), rows["seconds"].max()))
    for plot, kind in zip(plots, kinds, strict=True):
        for name, line in rows[rows["call"] == kind].groupby("way"):
            plot.plot(line["size"], line["seconds"], color=COLOURS[name], marker=MARKERS[name], ms=5, lw=1.8)
        plot.set(xscale="log", yscale="log", xlabel=along, title=TITLES[kind] if len(kinds) > 1 else "")
        plot.set_ylim(10 ** math.floor(low), 10 ** math.ceil(high))
        plot.xaxis.set_major_locator(LogLocator(numticks=12))
        plot.xaxis.set_major_formatter(EngFormatter(unit) if unit else "{x:,.0f}")
        plot.yaxis.set_major_formatter(EngFormatter("s"))
        plot.xaxis.set_minor_formatter(NullFormatter())
        plot.yaxis.set_minor_formatter(NullFormatter())
        plot.grid(color="#dddddd", linewidth=0.6)
        plot.spines[["top", "right"]].set_visible(False)
    plots[0].set_ylabel(up)
    figure.canvas.draw()  # from here on it is known where the lines end
    for plot, kind in zip(plots, kinds, strict=True):
        name_lines(plot, rows[rows["call"] == kind])
    return figure


def name_lines(plot: Any, rows: Any) -> None:
    """Names at the ends of the lines, moved apart where the ends are close."""
    ends = rows.sort_values("size").groupby("way").last().sort_values("seconds")
    true = [plot.transData.transform(end)[1] * 72 / plot.figure.dpi for end in ends[["size", "seconds"]].to_numpy()]
    heights = list(true)
    for _ in range(100):
        for below, above in pairwise(range(len(heights))):
            missing = max(0.0, APART - heights[above] + heights[below])
            heights[below] -= missing / 2
            heights[above] += missing / 2
    for (name, end), height, was in zip(ends.iterrows(), heights, true, strict=True):
        plot.annotate(
            name,
            (end["size"], end["seconds"]),
            (8, height - was),
            textcoords="offset points",
            va="center",
            color=COLOURS[name],
            fontweight="bold",
            annotation_clip=False,
        )
