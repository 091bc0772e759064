"""Benchmarks of the kernels against what else a Python user could call. ``python -m benchmarks.report`` runs them all.

One module a kernel family, each with ``cases(tiny)``: what is timed, and against whom. Peers that are not installed are
left out and named. Times are medians of interleaved rounds in one process: read them as ratios.
"""
