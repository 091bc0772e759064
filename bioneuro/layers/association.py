"""Association layer: competitive cells on features, each with a vote for every class."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from bioneuro import _core
from bioneuro.layers.competitive import CompetitiveLayer
from bioneuro.synapses import Synapses

#: What a cell recruited by one sample believes of that sample's class; the rest is shared by all classes.
RECRUIT_CONFIDENCE = 0.9


class Association(CompetitiveLayer):
    """Competitive layer on features ``h`` with votes ``v_i(c)`` that relax to ``E[label = c | cell i active]``.

    A cell is recruited by a sample: its afferent weights start as that sample's features. In learning the label adds
    a top-down drive ``kappa v_i(label)``: ``kappa = 0`` leaves cells feature-specific, a large one makes them
    task-specific.

    Parameters
    ----------
    H : array (n, n_features), T : array (n, n_classes)
        Samples that recruit the first cells, one each: features >= 0 and one-hot labels.
    kappa : float, default 0
        Top-down gain, >= 0.
    theta : float, default 0.02
        Weights below ``theta`` times a cell's strongest are silent from the start.
    activity_gain : float, default 0.25
        Gain of the smooth activity that readouts see, relative to ``beta``, > 0.
    **competition
        ``beta``, ``sharpening``, ``k``, ``eta``, ``sigma``, ``homeostasis``, ``seed``, ``n_threads`` of
        :class:`CompetitiveLayer`.
    """

    def __init__(self, H, T, *, kappa=0.0, theta=0.02, activity_gain=0.25, **competition):
        if not kappa >= 0:
            raise ValueError(f"kappa must be >= 0, got {kappa}")
        if not activity_gain > 0:
            raise ValueError(f"activity_gain must be > 0, got {activity_gain}")
        self.kappa, self.theta, self.activity_gain = float(kappa), float(theta), float(activity_gain)
        super().__init__(self._recruited(H), **competition)
        self.votes = self._first_votes(T, H.dtype)

    def _recruited(self, H):
        H = np.where(H >= self.theta * H.max(axis=1, keepdims=True), H, 0)
        synapses = Synapses.from_scipy(sp.csr_array(H), sign="E")
        synapses.normalize_rows()
        return synapses

    @staticmethod
    def _first_votes(T, dtype):
        share = (1 - RECRUIT_CONFIDENCE) / T.shape[1]
        return (share + RECRUIT_CONFIDENCE * T).astype(dtype)

    def recruit(self, H, T):
        """Add one cell for each sample."""
        n_before = self.n_cells
        rows = sp.vstack([self.synapses.to_scipy(), self._recruited(H).to_scipy()], format="csr")
        self.synapses = Synapses.from_scipy(sp.csr_array(rows), sign="E")
        self.votes = np.concatenate([self.votes, self._first_votes(T, self.votes.dtype)])
        rate = np.concatenate([self.rate * n_before, np.ones(len(H))])
        self.rate = rate / len(rate)  # a newcomer is expected to win its share, as the others were

    def learn(self, H, T):
        """One learning step on features ``H (batch, n_features)`` and one-hot labels ``T (batch, n_classes)``."""
        y = super().learn(H, self.kappa * (T @ self.votes.T) if self.kappa else None)
        c = y.sum(axis=0)
        alpha = -np.expm1(-self.eta * c)
        target = (y.T @ T) / np.maximum(c, 1e-6)[:, None]
        self.votes += np.where(c >= 1e-6, alpha, 0)[:, None] * (target - self.votes)
        return y

    def activity(self, drive):
        """Smooth activity ``q = sqrt(softmax(gain beta a))``, rows of unit norm, from the drive ``a``."""
        return np.sqrt(_core.compete(drive, beta=self.activity_gain * self.beta, n_threads=self.n_threads))

    def activity_grad(self, Q, dQ):
        """Gradient of :meth:`activity` with respect to the drive."""
        return self.activity_gain * self.beta / 2 * Q * (dQ - Q * (Q * dQ).sum(axis=1, keepdims=True))
