"""`%%task`: how a cell is run, recorded and restored."""

from nbflow.notebook.load import load_ipython_extension, unload_ipython_extension

__all__ = ["load_ipython_extension", "unload_ipython_extension"]
