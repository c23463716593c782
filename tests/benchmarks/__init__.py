"""The benchmarks: ``python tests/benchmarks/run.py``, or ``nox -s bench``. See ``docs/performance``."""
