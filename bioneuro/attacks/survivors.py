"""Attacks in turn, each only on the samples that still stand: within one batch, and over budgets and whole attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..protocols import Classifier
from .answers import predict
from .goals import Goal

__all__ = ["CLEAN", "STANDS", "Campaign", "attack_survivors", "broken_without_attack", "campaign"]

#: In `Campaign.broken_by`, which else holds the number of an attack: wrong without any; not broken.
CLEAN, STANDS = -1, -2

A = TypeVar("A")


def attack_survivors(
    model: Classifier, X: NDArray, goal: Goal, attempts: Iterable[Callable[[NDArray], NDArray]]
) -> NDArray:
    """Make attempts in turn, each only on the samples that no earlier one broke.

    An attempt maps row indices to candidates for these rows. Returns (n, features): the candidate that
    broke the sample, else the last one.
    """
    found, alive = X.copy(), np.arange(len(X))
    for i, attempt in enumerate(attempts):
        if i:  # asked before the next attempt, not after the last one: the caller asks then
            alive = alive[~goal[alive].is_adversarial(predict(model, found[alive]))]
        if not alive.size:
            break
        found[alive] = attempt(alive)
    return found


def broken_without_attack(model: Classifier, X: NDArray, goal: Goal, batch_size: int) -> NDArray[np.bool_]:
    """Which samples meet the criterion as they are, (n,)."""
    labels = [predict(model, X[i : i + batch_size]) for i in range(0, len(X), batch_size)]
    return goal.is_adversarial(np.concatenate(labels))


@dataclass
class Campaign:
    """What A attacks reached on N samples at each of K budgets.

    Attributes
    ----------
    adversarial : ndarray of shape (K, N, features)
    broken_by : ndarray of int, shape (K, N)
        Number of the attack that broke the sample, at this or at a smaller budget; `CLEAN` or `STANDS`.
    n_tried, n_broken : ndarray of int, shape (K, A)
        Samples that an attack was run on at this budget, and those that it broke.
    """

    adversarial: NDArray
    broken_by: NDArray[np.intp]
    n_tried: NDArray[np.intp]
    n_broken: NDArray[np.intp]


def campaign(
    X: NDArray,
    budgets: NDArray[np.float64],
    clean: NDArray[np.bool_],
    attacks: Sequence[A],
    run: Callable[[A, NDArray, float], tuple[NDArray, NDArray[np.bool_]]],
    shown: Callable[[Sequence[A], float], Iterable[A]] = lambda attacks, epsilon: attacks,
) -> Campaign:
    """Every attack at every budget, smallest first, each time only on what still stands.

    ``run(attack, rows, epsilon)`` gives images and success of these rows of X; of ``clean`` samples nothing is tried.
    """
    shape = len(budgets), len(attacks)
    done = Campaign(
        np.empty((len(budgets), *X.shape), X.dtype),
        np.empty((len(budgets), len(X)), np.intp),
        np.zeros(shape, np.intp),
        np.zeros(shape, np.intp),
    )
    images, broken_by = X.copy(), np.where(clean, CLEAN, STANDS)
    for k in np.argsort(budgets, kind="stable"):
        for i, attack in enumerate(shown(attacks, float(budgets[k]))):
            rows = np.flatnonzero(broken_by == STANDS)
            if not rows.size or budgets[k] == 0:
                break
            images[rows], success = run(attack, rows, float(budgets[k]))
            broken_by[rows[success]] = i
            done.n_tried[k, i], done.n_broken[k, i] = len(rows), success.sum()
        done.adversarial[k], done.broken_by[k] = images, broken_by
    return done
