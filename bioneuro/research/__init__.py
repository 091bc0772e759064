"""The research on top of the library: claims, comparisons with rivals, attacks, few images, streams of tasks.

Nothing in the library imports it, except the entry of the command line (``bioneuro/__main__.py``), and it uses only
public names of the library. Each experiment keeps what is finished first, and reports from that alone. An experiment of
your own runs by :func:`sweep`.
"""

from .errors import UnitsFailedError, UserError
from .sweeps import sweep

__all__ = ["UnitsFailedError", "UserError", "sweep"]
