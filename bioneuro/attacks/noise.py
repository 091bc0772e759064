"""Noise as an attack: what chance alone finds in the ball, the least that any other attack must find."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..protocols import Classifier
from .base import Attack, SampleRandom, at_least, attack_survivors
from .goals import Goal

__all__ = ["GaussianNoise", "UniformNoise"]


@dataclass(kw_only=True)
class _Noise(Attack):
    n_draws: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("n_draws", self.n_draws, 1)

    def run(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        def draw(rows: NDArray) -> NDArray:
            noise = epsilon * self.unit_noise(random, X.shape[1], rows)
            return self.geometry.project(X[rows] + noise, X[rows], epsilon)

        return attack_survivors(model, X, goal, [draw] * self.n_draws)

    @abstractmethod
    def unit_noise(self, random: SampleRandom, features: int, rows: NDArray) -> NDArray:
        """Noise for a ball of radius 1, (len(rows), features)."""


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

    def unit_noise(self, random: SampleRandom, features: int, rows: NDArray) -> NDArray:
        return self.geometry.uniform(random, features, rows)


@dataclass(kw_only=True)
class GaussianNoise(_Noise):
    """Gaussian noise: standard deviation epsilon / 2 cut at epsilon (Linf), or epsilon / sqrt(features) (L2).

    Parameters
    ----------
    n_draws : int >= 1
        Tries a sample; it is broken if any of them meets the criterion.
    norm, random_state
        See `Attack`.
    """

    def unit_noise(self, random: SampleRandom, features: int, rows: NDArray) -> NDArray:
        deviation = 0.5 if self.norm == "linf" else 1 / np.sqrt(features)
        return deviation * random.normal(features, rows=rows)
