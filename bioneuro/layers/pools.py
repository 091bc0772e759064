"""Softmax pools: competition by division, each cell by the summed activity of its pool."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _core
from .._attributes import Count, Maybe, ThreadCount
from ..checks import check, check_count
from ..synapses import Synapses
from ..threads import Threads
from .interfaces import Learned
from .numeric_limits import GAIN


class SoftmaxPool:
    """Rates ``y = softmax(gain a)`` over the cells of a pool: one pool of all cells, or pools of ``n_rivals`` each.

    In learning the competition is sharper and thresholds take part, ``softmax(sharpening gain a - th)``.

    Parameters
    ----------
    n_cells : int
    beta : float, default 3
        Gain of the competition, in units of one over the spread of the drive where a layer measures it, > 0.
    sharpening : float, default 2
        Gain in learning relative to that in response, > 0.
    k : int or None
        With ``k`` only the k most excited cells of a pool are active.
    n_rivals : int or None
        Cells of a pool, divides ``n_cells``; None: all cells are in one.
    n_threads : int >= 1, "auto" or None
    seed, dtype
        Of a competition that has synapses; a pool has none.
    """

    SAVED: ClassVar = {
        "beta": GAIN,
        "sharpening": GAIN,
        "k": Maybe(Count(1)),
        "n_rivals": Maybe(Count(1)),
        "n_threads": ThreadCount(),
    }

    #: A teacher follows the gradient of the votes through a softmax.
    taught: ClassVar[bool] = True
    presynaptic: ClassVar[dict[str, str]] = {}
    common_threshold = 0.0

    def __init__(
        self,
        n_cells: int,
        *,
        beta: float = 3.0,
        sharpening: float = 2.0,
        k: int | None = None,
        n_rivals: int | None = None,
        n_threads: Threads = None,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        check("beta", beta, GAIN)
        check("sharpening", sharpening, GAIN)
        check_count("seed", seed, 0)
        if n_rivals is not None and (n_rivals < 1 or n_cells % n_rivals):
            raise ValueError(f"n_rivals must divide the {n_cells} cells, got {n_rivals}")
        self.beta, self.sharpening, self.k = float(beta), float(sharpening), k
        self.n_rivals, self.n_threads = n_rivals, n_threads

    def rivals(self, a: NDArray) -> NDArray:
        """``a (batch, n_cells)`` with a pool a row, ``(batch x pools, n_rivals)``: a view."""
        return a if self.n_rivals is None else a.reshape(-1, self.n_rivals)

    # --- response ---

    def drive(self, a: NDArray, gain: float, threshold: NDArray) -> NDArray:
        """The afferent drive itself: competition comes with the rates."""
        return a

    def drive_grad(self, drive: NDArray, da: NDArray, gain: float) -> NDArray:
        return da

    def rates(self, drive: NDArray, gain: float, out: NDArray | None = None) -> NDArray:
        """``softmax(gain a)``."""
        out = np.empty_like(drive) if out is None else out
        _core.compete(self.rivals(drive), beta=gain, k=self.k, n_threads=self.n_threads, out=self.rivals(out))
        return out

    def rates_grad(self, Y: NDArray, dY: NDArray, gain: float) -> NDArray:
        da = _core.compete_grad(self.rivals(Y), self.rivals(dY), beta=gain, n_threads=self.n_threads)
        return da.reshape(Y.shape)

    def activity(self, drive: NDArray, gain: float) -> NDArray:
        """``q = sqrt(softmax(gain a))``, rows of unit norm, whatever ``k``."""
        q = np.empty_like(drive)
        _core.compete(self.rivals(drive), beta=gain, n_threads=self.n_threads, out=self.rivals(q))
        return np.sqrt(q, out=q)

    def activity_grad(self, drive: NDArray, dQ: NDArray, gain: float) -> NDArray:
        Q = self.activity(drive, gain)
        return gain / 2 * Q * (dQ - Q * (Q * dQ).sum(axis=1, keepdims=True))

    # --- learning ---

    def top_down(self, support: NDArray) -> NDArray:
        """Excitation of each cell by a label, in proportion to its vote for it."""
        return support

    def compete(self, a: NDArray, gain: float, threshold: NDArray, speed: float) -> tuple[NDArray, None]:
        """Rates for learning, written over the drive; they sum to 1 over a pool."""
        beta = self.sharpening * gain
        if self.n_rivals is None:
            _core.compete(a, beta=beta, threshold=threshold, k=self.k, n_threads=self.n_threads, out=a)
        else:
            a -= threshold / a.dtype.type(beta)  # the kernel's thresholds are those of the columns, not of all cells
            _core.compete(self.rivals(a), beta=beta, k=self.k, n_threads=self.n_threads, out=self.rivals(a))
        return a, None

    def learn(self, learned: Learned, inhibitory: NDArray | None) -> None:
        """A pool is the same for all cells: there is nothing to learn."""

    def pathways(self) -> dict[str, Synapses]:
        return {}
