"""Adam, the steps of Kingma & Ba 2015 (arXiv:1412.6980)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Adam"]


class Adam:
    """Running moments of one parameter array; :meth:`step` gives the change to add to it."""

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self) -> None:
        self.n_steps = 0

    def step(self, gradient: NDArray, learning_rate: float) -> NDArray:
        """``-lr m_hat / (sqrt(v_hat) + epsilon)``; ``gradient`` is used up as scratch."""
        if self.n_steps == 0:
            self.m, self.v = np.zeros_like(gradient), np.zeros_like(gradient)
        self.n_steps += 1
        self.m += (1 - self.beta1) * (gradient - self.m)
        np.multiply(gradient, gradient, out=gradient)
        self.v += (1 - self.beta2) * (gradient - self.v)
        scale = np.sqrt(self.v, out=gradient)
        scale /= math.sqrt(1 - self.beta2**self.n_steps)
        scale += self.epsilon
        rate = float(learning_rate)  # a NumPy scalar would make a step of float64
        return self.m * (-rate / (1 - self.beta1**self.n_steps)) / scale

    def move(self, place: NDArray[np.intp], stays: NDArray[np.bool_]) -> None:
        """The parameters were rearranged: entry i now is what entry ``place[i]`` was if it ``stays``, else new."""
        if self.n_steps:
            self.m, self.v = (np.where(stays, moment[place], moment.dtype.type(0)) for moment in (self.m, self.v))
