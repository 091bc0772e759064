"""Expansion: many cells that each combine a few inputs at random, so that a linear readout sees combinations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bioneuro import connectivity
from bioneuro.layers.protocols import Space
from bioneuro.synapses import Sign

_SIGNS: tuple[Sign, Sign] = ("E", "I")


class Expansion:
    """Rates of randomly wired cells: ``z = ((W_E + W_I) (x - m))+``, ``h = z / |z|``, with ``m`` the mean input so far.

    As many excitatory as inhibitory synapses reach each cell, all of one size, and none of them learns; only its
    threshold ``(W_E + W_I) m`` does, by homeostasis: every cell comes to fire for about half of what it sees. Granule
    cells of the cerebellum and Kenyon cells of the mushroom body expand their input so, a handful of synapses each
    (Marr 1969, J. Physiol. 202:437; Dasgupta, Stevens & Navlakha 2017, Science 358:793).

    Parameters
    ----------
    n_inputs : int >= 2
    n_cells : int >= 1, default 2000
    n_synapses : even int in [2, 2 n_inputs], default 8
        Onto each cell, half of them inhibitory.
    random_state : int, RandomState, Generator or None
        Of the wiring.
    dtype : float32 or float64

    Attributes
    ----------
    excitatory, inhibitory : Synapses (n_cells, n_inputs)
    mean : ndarray (n_inputs,)
    """

    def __init__(
        self,
        n_inputs: int,
        n_cells: int = 2000,
        n_synapses: int = 8,
        random_state: connectivity.RandomState = 0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if n_synapses < 2 or n_synapses % 2:
            raise ValueError(f"n_synapses must be even and >= 2, half of each sign, got {n_synapses!r}")
        rng, one = connectivity.generator(random_state), connectivity.Constant(1.0)
        self.excitatory, self.inhibitory = (
            connectivity.random(
                n_cells, n_inputs, in_degree=n_synapses // 2, init=one, sign=sign, random_state=rng, dtype=dtype
            )
            for sign in _SIGNS
        )
        self.dtype = np.dtype(dtype)
        self.n_features = n_cells
        self.count = 0
        self.mean = np.zeros(n_inputs)

    def learn(self, X: ArrayLike, **_: Any) -> Expansion:
        """Adapt the thresholds to a batch ``X (n, n_inputs)``, beside all that came before it."""
        X = np.asarray(X, float)
        self.count += len(X)
        self.mean += (X - self.mean).sum(axis=0) / self.count
        return self

    def _rates(self, X: ArrayLike) -> tuple[NDArray, NDArray]:
        """Rates before normalisation, and their norm."""
        centred = (np.asarray(X, float) - self.mean).astype(self.dtype)
        z = self.excitatory.forward(centred)
        z += self.inhibitory.forward(centred)
        np.maximum(z, 0, out=z)
        return z, np.sqrt((z * z).sum(axis=1, keepdims=True) + self.dtype.type(1e-8))

    def encode(self, X: ArrayLike) -> NDArray:
        """Features ``h (n, n_cells)`` of ``X (n, n_inputs)``."""
        z, norm = self._rates(X)
        return z / norm

    def encode_grad(self, X: ArrayLike, dH: NDArray, *, space: Space = "image") -> NDArray:
        """Gradient of :meth:`encode` with respect to ``X``."""
        z, norm = self._rates(X)
        dz = (dH - z * (dH * z).sum(axis=1, keepdims=True) / norm**2) / norm
        dz = np.ascontiguousarray(dz * (z > 0), self.dtype)
        return self.excitatory.input_grad(dz) + self.inhibitory.input_grad(dz)
