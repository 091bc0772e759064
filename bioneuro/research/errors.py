"""Errors of the experiments that a user is told of in one line."""

from __future__ import annotations

__all__ = ["UnitsFailedError", "UserError"]


class UserError(Exception):
    """A mistake in what was asked for; its message is one line that says what to do."""


class UnitsFailedError(Exception):
    """Parts of an experiment failed; what the others found is kept."""
