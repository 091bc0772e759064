"""Continual learning: streams that change, one pass over them, and what is left of what was learned.

>>> import bioneuro as bn
>>> data = bn.datasets.load("digits")
>>> stream = bn.continual.split(data.X_train, data.y_train, data.X_test, data.y_test)
>>> model = bn.BioClassifier("votes", n_cells=500, random_state=0)
>>> bn.continual.run(model, stream).average_accuracy  # doctest: +SKIP
"""

from .one_pass import Result, compare, memory, run, summary, table, tested
from .streams import Batch, Stream, blurred, drifting, imbalanced, permuted, rotated, split

__all__ = [
    "Batch",
    "Result",
    "Stream",
    "blurred",
    "compare",
    "drifting",
    "imbalanced",
    "memory",
    "permuted",
    "rotated",
    "run",
    "split",
    "summary",
    "table",
    "tested",
]
