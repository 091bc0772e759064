"""Benchmarks of the kernels against what else a Python user could call. ``python -m benchmarks.report`` runs them all.

One module a family, each with ``cases(tiny, ...)``: what is timed, and against whom. ``peers`` are the rivals of the
products: those that are not installed are left out and named. ``pip install ".[benchmark]"`` brings them. Times are
medians of interleaved rounds in one process: read them as ratios. ``asv run`` keeps their history.
"""
