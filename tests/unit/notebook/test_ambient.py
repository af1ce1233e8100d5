"""Settings that libraries keep for the whole process: noticed, undone, made again."""

import pickle
import subprocess
import sys
import warnings

import pytest

from nbflow.notebook import ambient

SETTINGS = {
    "plt.style.use": (
        "import matplotlib.style; matplotlib.style.use('ggplot')",
        "__import__('matplotlib').rcParams['axes.facecolor'] == '#E5E5E5'",
    ),
    "rcParams, a list in place": (
        "import matplotlib; matplotlib.rcParams['font.family'].insert(0, 'serif')",
        "__import__('matplotlib').rcParams['font.family'][0] == 'serif'",
    ),
    "seaborn's letters": (
        "import matplotlib.colors as c; c.colorConverter.colors['b'] = (0.1, 0.2, 0.3)",
        "__import__('matplotlib.colors').colors.to_rgb('b') == (0.1, 0.2, 0.3)",
    ),
    "pd.options": (
        "import pandas; pandas.options.display.max_rows = 7; pandas.set_option('display.precision', 2)",
        "(pandas := __import__('pandas')).get_option('display.max_rows') == 7 and pandas.options.display.precision == 2",
    ),
    "numpy": (
        "import numpy; numpy.set_printoptions(precision=3, suppress=True); numpy.seterr(divide='ignore')",
        "str((np := __import__('numpy')).array([1.23456])) == '[1.235]' and np.geterr()['divide'] == 'ignore'",
    ),
    "polars": (
        "import polars; polars.Config.set_tbl_rows(3)",
        "'┌' in (s := str(__import__('polars').DataFrame({'x': range(9)}))) and s.count('…') == 1",
    ),
    "scikit-learn": (
        "import sklearn; sklearn.set_config(transform_output='pandas')",
        "__import__('sklearn').get_config()['transform_output'] == 'pandas'",
    ),
    "warnings": (
        "import warnings; warnings.filterwarnings('ignore', 'so it .oes', UserWarning, module='shop')",
        "[f[0] for f in __import__('warnings').filters if f[1] and f[1].pattern == 'so it .oes'] == ['ignore']",
    ),
    "loggers": (
        "import logging; logging.getLogger('shop.cart').setLevel('ERROR'); logging.getLogger().setLevel(17)",
        "(logging := __import__('logging')).getLogger('shop.cart').level == 40 and logging.getLogger().level == 17",
    ),
    "locale": (
        "import locale; locale.setlocale(locale.LC_NUMERIC, 'C.UTF-8')",
        "(locale := __import__('locale')).setlocale(locale.LC_NUMERIC) == 'C.UTF-8'",
    ),
    "locale of messages": (
        "import locale; locale.setlocale(locale.LC_MESSAGES, 'C.UTF-8')",
        "(locale := __import__('locale')).setlocale(locale.LC_MESSAGES) == 'C.UTF-8'",
    ),
    "decimal": (
        "import decimal; decimal.getcontext().prec = 5; decimal.getcontext().traps[decimal.Inexact] = True",
        "(d := __import__('decimal')).getcontext().prec == 5 and d.getcontext().traps[d.Inexact]",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_noticed_undone_and_made_again(name):
    """Plots and tables behind a cached cell would look as if it had not run, or a retry find what the last one set."""
    change, holds = SETTINGS[name]
    first = change.partition(";")[0]
    pytest.importorskip(first.split()[1])
    exec(first)
    before = ambient.taken()
    assert ambient.changes(before) == {}
    exec(change)
    found = pickle.loads(pickle.dumps(ambient.changes(before)))
    try:
        assert eval(holds)
    finally:
        ambient.make(found, undo=True)
    assert not eval(holds) and ambient.changes(before) == {}
    ambient.make(found)
    try:
        assert eval(holds) and ambient.changes(before) == found
    finally:
        ambient.make(found, undo=True)


def test_an_import_is_no_change_but_what_the_cell_sets_after_it_is():
    """A cell that imports its library and sets it up would be half restored, or set three hundred defaults anew."""
    for name in ("matplotlib", "pandas", "polars", "sklearn"):
        pytest.importorskip(name)
    code = """
import locale
from nbflow.notebook import ambient
start = ambient.taken()
import decimal, matplotlib.pyplot, numpy, pandas, polars, sklearn.linear_model
names = {*ambient.changes(start)} - {"warnings", "logging"}
numpy.set_printoptions(precision=3)
matplotlib.rcParams["font.size"] = 4
print(*sorted(names), *[(name, *each) for name, each in ambient.changes(start).items() if name != "warnings"])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.strip() == "('matplotlib', 'font.size') ('numpy', 'precision')", ran.stderr


def test_filters_come_to_the_front_whatever_is_behind_them():
    """A fresh kernel with filters of its own would lose them, or show what the cell had silenced."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("default", UserWarning)
        before = ambient.taken()
        warnings.filterwarnings("ignore", "noise")
        warnings.filters.remove(next(each for each in warnings.filters if each[2] is UserWarning))
        found = ambient.changes(before)
        warnings.resetwarnings()
        warnings.simplefilter("default", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        ambient.make(found)
        assert [(each[0], each[2]) for each in warnings.filters] == [("ignore", Warning), ("error", RuntimeWarning)]


def test_what_a_library_refuses_costs_one_warning(fresh):
    """A locale that is not installed here would make every hit fail."""
    ambient.make({"locale": {"LC_NUMERIC": ("C", "xx_XX")}, "nowhere": {}})
    assert len(fresh.warned) == 2
