"""Experiments that the command line runs: each writes a ledger of results first, then a report from it alone."""


class UserError(Exception):
    """A mistake in what was asked for; its message is one line that says what to do."""
