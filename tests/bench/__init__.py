"""nbflow beside its peers, in one run on one machine: `python -m tests.bench [area ...]`."""
