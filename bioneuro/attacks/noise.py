"""Noise as an attack: what chance alone finds in the ball, the least that any other attack must find."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count
from ..protocols import Classifier
from .base import Attack
from .goals import Goal
from .norms import L0, NORMS
from .sample_random import SampleRandom
from .survivors import attack_survivors

__all__ = ["GaussianNoise", "SaltAndPepper", "UniformNoise"]


@dataclass(kw_only=True)
class _Noise(Attack):
    """Several draws in turn. A subclass writes `noisy`."""

    n_draws: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("n_draws", self.n_draws)

    def run(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        def draw(rows: NDArray) -> NDArray:
            noisy = self.noisy(X[rows], epsilon, random, rows)
            return self.geometry.project(noisy, X[rows], epsilon)

        return attack_survivors(model, X, goal, [draw] * self.n_draws)

    @abstractmethod
    def noisy(self, X: NDArray, epsilon: float, random: SampleRandom, rows: NDArray) -> NDArray:
        """Noisy images (n, features) of X, which are the samples `rows` of the batch; they may leave the budget."""


@dataclass(kw_only=True)
class UniformNoise(_Noise):
    """Uniform noise in the whole ball.

    Parameters
    ----------
    n_draws : int >= 1
        Tries a sample; it is broken if any of them meets the criterion.
    norm, random_state
        See `Attack`.
    """

    def noisy(self, X: NDArray, epsilon: float, random: SampleRandom, rows: NDArray) -> NDArray:
        return X + epsilon * self.geometry.uniform(random, X.shape[1], rows)


@dataclass(kw_only=True)
class GaussianNoise(_Noise):
    """Gaussian noise: standard deviation epsilon / 2 cut at epsilon (Linf), or epsilon / sqrt(features) (L2).

    Parameters
    ----------
    n_draws, norm, random_state
        See `UniformNoise`.
    """

    def noisy(self, X: NDArray, epsilon: float, random: SampleRandom, rows: NDArray) -> NDArray:
        features = X.shape[1]
        deviation = 0.5 if self.norm == "linf" else 1 / np.sqrt(features)
        return X + epsilon * deviation * random.normal(features, rows=rows)


@dataclass(kw_only=True)
class SaltAndPepper(_Noise):
    """Features, in L0 pixels, turned white or black at random, as many as the budget holds.

    In L0 that is epsilon of them; in L2 as many as fit into epsilon^2; in Linf all, each as far as epsilon lets it
    go. A pixel keeps its place in the random order but costs nothing where it has the value already.

    Parameters
    ----------
    n_draws, norm, random_state
        See `UniformNoise`; here ``norm`` may also be "l0".
    """

    norms: ClassVar[tuple[str, ...]] = tuple(NORMS)

    def noisy(self, X: NDArray, epsilon: float, random: SampleRandom, rows: NDArray) -> NDArray:
        channels = self.geometry.channels if isinstance(self.geometry, L0) else 1
        pixels = X.shape[1] // channels
        uniform = random.uniform(2 * pixels, rows=rows)
        extreme = np.where(uniform[:, :pixels] < 0.5, 0, 1).repeat(channels, axis=1)
        if self.norm == "linf":
            return extreme
        change = np.abs(extreme - X).reshape(len(X), pixels, channels).max(axis=2).astype(np.float64)
        cost, budget = (change**2, epsilon**2) if self.norm == "l2" else (change > 0, np.floor(epsilon))
        order = uniform[:, pixels:].argsort(axis=1)
        spent = np.take_along_axis(cost, order, axis=1).cumsum(axis=1)
        chosen = np.zeros(change.shape, bool)
        np.put_along_axis(chosen, order, spent <= budget, axis=1)
        return np.where(chosen.repeat(channels, axis=1), extreme, X)
