"""Libraries in C and Rust that read and write behind Python's back, each in a process of its own."""

import subprocess
import sys
import textwrap

import pytest


def run(folder, code):
    source = "from nbflow.world import broken, watch\nimport os, pathlib\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("when", ["before", "inside"])
def test_polars(tmp_path, when):
    """A new table under an old name would be ignored; a written one not be missed. First import inside included."""
    pytest.importorskip("polars")
    before, inside = ("import polars as pl", "pass") if when == "before" else ("pass", "import polars as pl")
    run(
        tmp_path,
        f"""
        pathlib.Path("a.csv").write_text("x\\n1\\n")
        {before}
        with watch() as sight:
            {inside}
            table = pl.read_csv("a.csv")
        files = [fact for fact in sight.facts() if fact.kind == "file"]
        assert [fact.subject for fact in files] == ["a.csv"], sight.facts()
        assert sight.touched == frozenset()
        pathlib.Path("a.csv").write_text("x\\n2\\n")
        assert broken(files[0]) == "a.csv changed"
        with watch() as sight:
            table.write_parquet("b.parquet")
        assert [fact.subject for fact in sight.facts()] == ["b.parquet"]
        assert sight.touched == {{"files"}}
        with watch() as sight:
            pl.scan_parquet("*.parquet").collect()
        assert {{fact.subject for fact in sight.facts()}} == {{"*.parquet", "b.parquet"}}
        import pickle
        assert pickle.loads(pickle.dumps(pl.read_csv)) is pl.read_csv
        """,
    )


def test_pandas_through_pyarrow(tmp_path):
    """`pd.read_parquet` would read a file that nobody saw."""
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    run(
        tmp_path,
        """
        import pandas as pd
        with watch() as sight:
            pd.DataFrame({"a": [1]}).to_parquet("a.parquet")
        assert [fact.subject for fact in sight.facts() if fact.kind == "file"] == ["a.parquet"], sight.facts()
        assert sight.touched == {"files"}, sight.touched
        with watch() as sight:
            pd.read_parquet("a.parquet")
        assert [fact.subject for fact in sight.facts() if fact.kind == "file"] == ["a.parquet"], sight.facts()
        with watch() as sight:
            pd.DataFrame({"a": [1]}).to_feather("a.feather")
            pd.read_feather("a.feather")
        assert [fact.subject for fact in sight.facts() if fact.kind == "file"] == ["a.feather"], sight.facts()
        """,
    )


def test_pyarrow_folder(tmp_path):
    """A part added to a partitioned data set would be ignored."""
    pytest.importorskip("pyarrow")
    run(
        tmp_path,
        """
        import pyarrow as pa, pyarrow.parquet as pq, pyarrow.dataset as ds
        os.makedirs("d/k=1")
        pq.write_table(pa.table({"a": [1]}), "d/k=1/0.parquet")
        with watch() as sight:
            ds.dataset("d").to_table()
        names = {fact.subject: fact for fact in sight.facts()}
        assert set(names) == {"d/", "d/k=1/", "d/k=1/0.parquet"}, names
        pq.write_table(pa.table({"a": [1]}), "d/k=1/1.parquet")
        assert broken(names["d/k=1/"]) == "the listing of d/k=1/ changed"
        """,
    )


def test_duckdb(tmp_path):
    """A file named in SQL would be read unseen."""
    pytest.importorskip("duckdb")
    run(
        tmp_path,
        """
        import duckdb
        pathlib.Path("a.csv").write_text("x\\n1\\n")
        with watch() as sight:
            duckdb.sql("select * from 'a.csv'").fetchall()
            duckdb.connect().execute("select * from 'a.csv'").fetchall()
        assert [fact.subject for fact in sight.facts()] == ["a.csv"], sight.facts()
        assert sight.touched == frozenset()
        with watch() as sight:
            duckdb.sql("copy (select 1) to 'b.parquet'")
        assert sight.touched == {"files"}, sight.touched
        with watch() as sight:
            duckdb.connect("my.db").close()
        assert sight.touched == {"database"} and sight.facts() == (), sight
        """,
    )


def test_h5py(tmp_path):
    """An HDF5 file would be read unseen."""
    pytest.importorskip("h5py")
    run(
        tmp_path,
        """
        import h5py
        with watch() as sight:
            with h5py.File("a.h5", "w") as file:
                file["x"] = 1
        assert [fact.subject for fact in sight.facts()] == ["a.h5"] and sight.touched == {"files"}
        with watch() as sight:
            h5py.File("a.h5").close()
        assert [fact.subject for fact in sight.facts()] == ["a.h5"] and sight.touched == frozenset()
        with watch() as sight:
            h5py.File("a.h5", "a").close()
        assert sight.facts() == () and sight.touched == {"files"}
        """,
    )


def test_nothing_is_imported(tmp_path):
    """A first step would pay for libraries that nobody uses."""
    run(
        tmp_path,
        """
        import sys
        with watch():
            import colorsys
        from nbflow.world import readers
        assert not set(readers._ENTRIES) & set(sys.modules)
        assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("nbflow")]
        """,
    )


def test_failing_import(tmp_path):
    """A library that is not installed would raise in another way, or leave a finder behind."""
    run(
        tmp_path,
        """
        import sys
        with watch():
            try:
                import cx_Oracle
            except ModuleNotFoundError as error:
                assert error.name == "cx_Oracle"
        assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("nbflow")]
        """,
    )


@pytest.mark.parametrize(
    ("needs", "make", "read"),
    [
        ("polars", "pl.DataFrame({'x': [1]}).write_parquet(name)", "pl.sql(f\"select * from read_parquet('{name}')\")"),
        ("polars", "pl.DataFrame({'x': [1]}).write_csv(name)", "pool.submit(pl.read_csv, name).result()"),
        ("pyarrow", "f.write_feather(pa.table({'x': [1]}), name)", "pa.ipc.open_file(name).read_all()"),
        ("duckdb", "open(name, 'w').write('x')", "duckdb.execute('select * from read_csv(?)', [name]).fetchall()"),
        ("safetensors", "st.save_file({'x': np.arange(3)}, name)", "safetensors.safe_open(name, 'np').keys()"),
        ("lxml", "open(name, 'w').write('<a/>')", "etree.parse(name)"),
        ("pyreadstat", "pyreadstat.write_sav(pd.DataFrame({'x': [1]}), name)", "pd.read_spss(name)"),
        ("soundfile", "soundfile.write(name, [0.0], 8000, format='WAV')", "soundfile.read(name)"),
    ],
)
def test_name_made_at_run_time(tmp_path, needs, make, read):
    """A file whose name is put together in the step and that C code opens would be read unseen."""
    pytest.importorskip(needs)
    imports = {
        "polars": "import polars as pl",
        "pyarrow": "import pyarrow as pa, pyarrow.feather as f",
        "safetensors": "import safetensors, safetensors.numpy as st, numpy as np",
        "lxml": "from lxml import etree",
        "pyreadstat": "import pandas as pd, pyreadstat",
    }
    run(
        tmp_path,
        f"""
        {imports.get(needs, "import " + needs)}
        from concurrent.futures import ThreadPoolExecutor
        name = "a" + chr(46) + "data"
        {make}
        with watch() as sight, ThreadPoolExecutor(1) as pool:
            {read}
        assert [fact.subject for fact in sight.facts()] == ["a.data"], sight.facts()
        assert sight.touched == frozenset()
        """,
    )


def test_sql_in_memory(tmp_path):
    """Tables of a database in memory, which dies with the run, would make pure work uncached."""
    pytest.importorskip("pandas")
    run(
        tmp_path,
        """
        import pandas as pd, sqlite3
        with watch() as sight:
            connection = sqlite3.connect(":memory:")
            pd.DataFrame({"a": [1]}).to_sql("t", connection)
            pd.read_sql("select * from t", connection)
        assert sight.touched == frozenset(), sight.touched
        with watch() as sight:
            connection = sqlite3.connect("my.db")
            pd.DataFrame({"a": [1]}).to_sql("t", connection)
        assert sight.touched == {"database"}, sight.touched
        """,
    )


def test_first_task_of_a_process_is_kept(tmp_path):
    """Putting the wrappers in place would look as if the step itself had bound `pl.read_csv` anew."""
    pytest.importorskip("polars")
    (tmp_path / "steps.py").write_text(
        "import polars as pl\nfrom nbflow import task\n@task\ndef rows(name): return len(pl.read_csv(name))\n"
    )
    run(
        tmp_path,
        """
        import nbflow
        nbflow.configure(store="store")
        pathlib.Path("a.csv").write_text("x\\n1\\n")
        from steps import rows
        assert rows("a.csv") == 1
        assert rows.is_cached("a.csv")
        """,
    )
