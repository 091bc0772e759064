"""Random search in L2 that changes few pixels by much, by logits alone: Sparse-RS where the budget is a length.

Square moves the budget between windows, in all of which every pixel changes a little. A steep response or a threshold
does not see that; it sees the few pixels that cross it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..protocols import Classifier
from .random_search import PixelSearch, Proposals
from .sample_random import SampleRandom

__all__ = ["FewPixels"]

#: Grey levels that pixels are moved to, and how far apart those from below and those from above may stay of it.
LOWEST, HIGHEST, LARGEST_GAP = 0.3, 0.7, 0.1
#: Share of `exchanged` that the last proposals exchange.
LAST = 0.1
#: A change that costs less than this share of the budget is drawn as if it cost as much.
CHEAPEST = 0.01


@dataclass(kw_only=True)
class FewPixels(PixelSearch):
    """Score-based random search over sets of pixels, each moved just across a grey level.

    A proposal gives back some of the changed pixels and spends what is left of the budget on others, drawn with odds
    in inverse proportion to the squared change: all to one level, drawn in [0.3, 0.7], those from below to a little
    above it, those from above to a little below. It is kept if it does not lower the margin loss
    ``max_{k != y} z_k - z_y`` (with a target t, ``z_t - max_{k != t} z_k``). A sample stops when that is positive.

    After Sparse-RS (Croce et al. 2022, arXiv 2006.12834), whose budget counts pixels, see `SparseRS`.

    Parameters
    ----------
    n_queries : int >= 1
        Evaluations of the model a sample at most, the starting one included.
    exchanged : float in (0, 1]
        Share of the changed pixels that a proposal gives back at first; it falls to a tenth.
    norm : {"l2"}
    random_state
        See `Attack`.
    """

    norm: str = "l2"
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def proposals(self, model: Classifier, X: NDArray, epsilon: float, random: SampleRandom) -> Proposals:
        return _Exchanges(X, epsilon, random, self.exchanged)


class _Exchanges(Proposals):
    def __init__(self, X: NDArray, epsilon: float, random: SampleRandom, exchanged: float) -> None:
        self.X, self.epsilon, self.random, self.exchanged = X, epsilon, random, exchanged
        self.best = X.copy()

    def propose(self, rows: NDArray, progress: float) -> NDArray:
        uniform = self.random.uniform(2 + 2 * self.X.shape[1], rows=rows)
        return _proposal(self.X[rows], self.best[rows], self.epsilon, self.exchanged * LAST**progress, uniform)


def _proposal(X: NDArray, best: NDArray, epsilon: float, share: float, uniform: NDArray) -> NDArray:
    """`best` (n, features) with a share of its changes taken back, and as many new ones as the budget then holds."""
    level, gap = uniform[:, :1] * (HIGHEST - LOWEST) + LOWEST, uniform[:, 1:2] * LARGEST_GAP
    give_back, race = np.split(uniform[:, 2:], 2, axis=1)
    images = np.where(give_back < share, X, best)
    crossed = np.where(X < level, level + gap, level - gap).astype(X.dtype)
    cost = np.square(crossed - X, dtype=np.float64)
    left = epsilon**2 - np.square(images - X, dtype=np.float64).sum(axis=1, keepdims=True)
    # The least of exponential variables is the i-th with a probability in inverse proportion to its mean.
    arrival = -np.log1p(-race) * np.maximum(cost, CHEAPEST * epsilon**2)
    arrival[images != X] = np.inf
    order = arrival.argsort(axis=1)
    spent = np.take_along_axis(np.where(np.isinf(arrival), np.inf, cost), order, axis=1).cumsum(axis=1)
    bought = np.zeros(X.shape, bool)
    np.put_along_axis(bought, order, spent <= left, axis=1)
    return np.where(bought, crossed, images)
