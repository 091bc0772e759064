"""Random generators from what a caller gives as ``random_state``; anything else is refused by that name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from sklearn.utils import check_random_state

__all__ = ["drawn_generator", "generator_from", "random_state_from", "seed_of"]

T = TypeVar("T")


def generator_from(random_state: Any) -> np.random.Generator:
    """:func:`numpy.random.default_rng`: a Generator as it is, or a new one.

    Raises
    ------
    ValueError
    """
    return _made(np.random.default_rng, random_state, "Generator")


def random_state_from(random_state: Any) -> np.random.RandomState:
    """:func:`sklearn.utils.check_random_state`: a RandomState as it is, or a new one; None is NumPy's global one.

    Raises
    ------
    ValueError
    """
    return _made(check_random_state, random_state, "RandomState")


def drawn_generator(random_state: Any) -> np.random.Generator:
    """A new Generator, keyed by a draw from :func:`random_state_from`: that of an estimator's learning.

    Raises
    ------
    ValueError
    """
    return np.random.default_rng(random_state_from(random_state).randint(2**31))


def seed_of(random_state: int | np.random.Generator | None) -> int:
    """An integer seed; a Generator or None gives a new one each time.

    Raises
    ------
    ValueError
    """
    if isinstance(random_state, int | np.integer):
        generator_from(random_state)
        return int(random_state)
    return int(generator_from(random_state).integers(2**32))


def _made(make: Callable[[Any], T], random_state: Any, kind: str) -> T:
    try:
        return make(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"random_state must be an integer >= 0, a numpy.random.{kind} or None, got {random_state!r} ({error})"
        ) from error
