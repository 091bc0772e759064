"""Sweeps: a function at every point of a grid, on processes or on a cluster (:func:`sweep`).

``grid.py``: points, keys, seeds; ``point_files.py``: what is kept; ``runner.py``: all of it together.
"""

from .runner import sweep

__all__ = ["sweep"]
