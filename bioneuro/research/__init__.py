"""The research on top of the library: claims, comparisons with rivals, attacks, few images, streams of tasks.

Nothing in the library imports it, except the entry of the command line (``bioneuro/__main__.py``), and it uses only
public names of the library. Each experiment keeps what is finished first, and reports from that alone. An experiment of
your own runs by :func:`sweep`.
"""


class UserError(Exception):
    """A mistake in what was asked for; its message is one line that says what to do."""


class UnitsFailedError(Exception):
    """Parts of an experiment failed; what the others found is kept."""


from .sweeps import sweep  # noqa: E402  what it imports needs the error above

__all__ = ["UnitsFailedError", "UserError", "sweep"]
