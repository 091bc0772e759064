"""Readouts: from the association's drive to the logits of the classes. One class each, and one registry line."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from .. import _core, connectivity
from .._attributes import Array, Count, Maybe, Part, Pathway
from ..analysis import row_thresholds
from ..checks import Integer, Number, check, check_count
from ..rules.exponential import gradient_step
from ..synapses import Synapses
from .association import Association
from .interfaces import Encoder, ReadCells, Readout, feature_dtype
from .numeric_limits import GAIN_OR_NONE
from .passed_on import PassedOn

#: Added to votes before the logarithm, which bounds the confidence where no cell votes against.
VOTE_FLOOR = 1e-6
#: Largest |w| of the delta rule, far above where weights settle: with few cells, which cannot tell the classes apart,
#: they would grow without end.
LARGEST_WEIGHT = 1e3
#: E cells that drive an I cell of the delta rule: 80 to 20, as in cortex.
E_CELLS_PER_I_CELL = 4
#: Share of an output's strongest synapse of the same sign below which a synapse turns silent: on validation images of
#: MNIST and Fashion-MNIST, what cost least accuracy at less than half of the synapses.
WEAKEST = {"E": 0.08, "I": 0.16}
#: Pathway of the delta rule that is drawn once and does not learn.
WIRED = "readout_e_to_i"


def read_cells(layer: ReadCells | Encoder) -> ReadCells:
    """The cells that a readout of a layer reads: its own, or what it encodes."""
    if isinstance(layer, ReadCells):
        return layer
    return PassedOn(layer.n_features, dtype=feature_dtype(layer), n_threads=getattr(layer, "n_threads", None))


@lru_cache(maxsize=8)
def _full_pattern(n_post: int, n_pre: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """``indptr`` and ``indices`` of a CSR matrix that stores everything."""
    return np.arange(0, n_post * n_pre + 1, n_pre, dtype=np.int32), np.tile(np.arange(n_pre, dtype=np.int32), n_post)


class VotesReadout:
    """Logits ``log(sum_i y_i v_i(c))`` with ``y`` the rates: the association's own votes, nothing to learn.

    The sums are those of the kernels, not of BLAS, whose last digits depend on the batch and on the processor: a sample
    has the same logits alone and in any batch.

    Parameters
    ----------
    association : Association
        Or another layer with votes.
    n_classes : int
        That of the association; readouts are made alike.
    """

    SAVED: ClassVar = {"association": Part(Association)}

    def __init__(self, association: Association, n_classes: int, **_: Any) -> None:
        if not hasattr(association, "votes"):
            raise TypeError(
                f"association must be a layer with votes, as Association is, got {type(association).__name__}"
            )
        self.association = association

    @property
    def n_classes(self) -> int:
        """Classes that the cells vote for."""
        return self.association.n_classes

    def logits(self, drive: NDArray) -> NDArray:
        """Logits ``(batch, n_classes)`` from the drive ``(batch, n_cells)``."""
        return np.log(self._voted(self.association.rates(drive)) + VOTE_FLOOR)

    def _voted(self, y: NDArray) -> NDArray:
        """``sum_i y_i v_i(c)``, (batch, n_classes)."""
        return _core.forward(*self._pathway(), y, n_threads=self.association.n_threads)

    def _pathway(self) -> tuple[NDArray, NDArray, NDArray]:
        """The votes as CSR: a row for each class, a column for each cell."""
        votes = self.association.votes
        return *_full_pattern(*votes.shape[::-1]), np.ascontiguousarray(votes.T).ravel()

    def drive_grad(self, drive: NDArray, dlogits: NDArray) -> NDArray:
        """Gradient with respect to the drive, given that with respect to the logits."""
        y = self.association.rates(drive)
        dvoted = np.ascontiguousarray(dlogits / (self._voted(y) + VOTE_FLOOR), y.dtype)
        dy = _core.input_grad(*self._pathway(), dvoted, y.shape[1], n_threads=self.association.n_threads)
        return self.association.rates_grad(y, dy)

    def heard(self, drive: NDArray) -> tuple[NDArray, ...]:
        """Nothing: votes learn with the association."""
        return ()

    def learn_from(self, heard: tuple[NDArray, ...], T: NDArray, eta: float) -> None:
        pass

    def learn(self, drive: NDArray, T: NDArray, eta: float) -> None:
        pass

    def pathways(self) -> dict[str, Synapses]:
        return {}


class DeltaReadout:
    """Multiplicative delta rule on excitatory cells and on inhibitory cells that they drive.

    ``out = W_E q + W_I r + b`` and ``p = softmax(out)``, with ``q`` the activity of the association's E cells and
    ``r = U q`` the rates of the readout's I cells, one for every four E cells (80 to 20); ``W_E, U >= 0 >= W_I``, so
    that every cell makes synapses of one sign (Dale's law). Both pathways onto the outputs learn from their own
    pre-synaptic rates, ``log |W_E| += eta q (t - p)`` and ``log |W_I| -= eta r (t - p)``: the exponential form of
    :func:`bioneuro.kernels.plasticity_step`, which can change no sign (the EG+- algorithm of Kivinen & Warmuth 1997,
    Inf. Comput. 132:1, whose negative weights here see pooled rates). ``U`` is drawn once, each E cell onto one I cell
    with a weight of 1: at the start excitation and inhibition cancel. The bias is homeostatic: each output comes to
    fire as often as it is taught to.

    Now and then synapses that are weak beside the strongest onto their output turn silent (:data:`WEAKEST`), unless
    they never changed: their cell has not been active yet.

    Parameters
    ----------
    association : Association or another layer
        What it reads is the activity of its cells (:class:`bioneuro.layers.ReadCells`), else what it encodes.
    n_classes : int
    w_start : float, default 0.7
        Size of every synapse onto the outputs at the start.
    prune_every : int or None, default 100
        Learning steps from one round of pruning to the next; None: nothing turns silent.
    seed : int, default 0
        Of the wiring, and of what else is drawn.
    """

    SAVED: ClassVar = {
        "association": Part(ReadCells),
        "rng": Part(np.random.Generator),
        "bias": Array(None, dtype="association.dtype"),
        "excitatory": Pathway("bias.size", "association.n_cells", "E", "bias.dtype", LARGEST_WEIGHT),
        "to_inhibitory": Pathway(None, "association.n_cells", "E", "bias.dtype", LARGEST_WEIGHT),
        "inhibitory": Pathway("bias.size", "to_inhibitory.n_post", "I", "bias.dtype", LARGEST_WEIGHT),
        "w_start": Number(0, LARGEST_WEIGHT, ends="(]"),
        "prune_every": Maybe(Count(1)),
        "step": Count(),
    }

    #: Population that makes what the cells it reads do not make.
    presynaptic: ClassVar[dict[str, str]] = {"readout_inhibitory": "readout_i"}

    def __init__(
        self,
        association: ReadCells | Encoder,
        n_classes: int,
        *,
        w_start: float = 0.7,
        prune_every: int | None = 100,
        seed: int = 0,
    ) -> None:
        check("w_start", w_start, Number(0, LARGEST_WEIGHT, ends="(]"))
        check("prune_every", prune_every, Integer(), None)
        check_count("seed", seed, 0)
        self.association = association = read_cells(association)
        self.rng = np.random.default_rng(seed)
        n_cells, dtype = association.n_cells, association.dtype
        n_inhibitory = max(1, n_cells // E_CELLS_PER_I_CELL)
        start = connectivity.Constant(w_start)
        self.bias = np.zeros(n_classes, dtype)
        self.excitatory = connectivity.dense(n_classes, n_cells, start, sign="E", dtype=dtype)
        self.to_inhibitory = connectivity.dealt(
            n_inhibitory, n_cells, connectivity.Constant(1.0), sign="E", random_state=self.rng, dtype=dtype
        )
        self.inhibitory = connectivity.dense(n_classes, n_inhibitory, start, sign="I", dtype=dtype)
        self.w_start, self.prune_every, self.step = float(w_start), prune_every, 0

    @property
    def n_classes(self) -> int:
        """Outputs."""
        return len(self.bias)

    def inhibitory_rates(self, Q: NDArray) -> NDArray:
        """Rates ``r = U q >= 0`` of the I cells, from the activity ``Q`` of the E cells."""
        return self.to_inhibitory.forward(Q, n_threads=self.association.n_threads)

    def _outputs(self, Q: NDArray, R: NDArray) -> NDArray:
        n = self.association.n_threads
        return self.excitatory.forward(Q, self.bias, n_threads=n) + self.inhibitory.forward(R, n_threads=n)

    def logits(self, drive: NDArray) -> NDArray:
        """Logits ``(batch, n_classes)`` from the drive ``(batch, n_cells)``."""
        Q = self.association.activity(drive)
        return self._outputs(Q, self.inhibitory_rates(Q))

    def drive_grad(self, drive: NDArray, dlogits: NDArray) -> NDArray:
        """Gradient with respect to the drive, given that with respect to the logits."""
        dlogits = np.ascontiguousarray(dlogits, drive.dtype)
        n = self.association.n_threads
        dr = self.inhibitory.input_grad(dlogits, n_threads=n)
        dq = self.excitatory.input_grad(dlogits, n_threads=n) + self.to_inhibitory.input_grad(dr, n_threads=n)
        return self.association.activity_grad(drive, dq)

    def learn(self, drive: NDArray, T: NDArray, eta: float) -> None:
        """One step on a batch of drives and one-hot labels ``T (batch, n_classes)`` with learning rate ``eta``."""
        self.learn_from(self.heard(drive), T, eta)

    def heard(self, drive: NDArray) -> tuple[NDArray, NDArray]:
        """Rates of the E and of the I cells at a drive."""
        Q = self.association.activity(drive)
        return Q, self.inhibitory_rates(Q)

    def learn_from(self, heard: tuple[NDArray, ...], T: NDArray, eta: float) -> None:
        """:meth:`learn`, from what is :meth:`heard`."""
        check("eta", eta, GAIN_OR_NONE)
        Q, R = heard
        error = np.ascontiguousarray(self._error(self._outputs(Q, R), T), Q.dtype)
        n, rule = self.association.n_threads, gradient_step(eta, LARGEST_WEIGHT)
        for pathway, rates in (self.excitatory, Q), (self.inhibitory, R):
            pathway.hebbian_step(rates, error, rule, n_threads=n)
        self.bias += eta / len(T) * error.sum(axis=0)
        self.step += 1
        if self.prune_every is not None and self.step % self.prune_every == 0:
            self._prune()

    def _prune(self) -> None:
        """Synapses that are weak beside the strongest onto their output turn silent, if their cell was ever active."""
        for pathway in (self.excitatory, self.inhibitory):
            W = pathway.to_scipy().copy()
            size = np.abs(W.data)
            kept = (size >= row_thresholds(W, WEAKEST[pathway.sign])) | (size == W.dtype.type(self.w_start))
            W.data[~kept] = 0
            W.eliminate_zeros()
            pathway.replace_rows(np.arange(pathway.n_post), W)

    def cuts(self) -> dict[str, NDArray]:
        """Size below which each synapse would have turned silent, (nnz,) in CSR order, of the pathways that are pruned.

        0 for those whose cell was never active, which are spared. One that has shrunk since the last round lies at its
        cut.
        """
        cuts = {}
        if self.prune_every is not None and self.step >= self.prune_every:
            for name, pathway in (("readout_excitatory", self.excitatory), ("readout_inhibitory", self.inhibitory)):
                size = np.abs(pathway.weights)
                cut = np.minimum(row_thresholds(pathway, WEAKEST[pathway.sign]), size)
                cuts[name] = np.where(size == size.dtype.type(self.w_start), 0, cut)
        return cuts

    def _error(self, outputs: NDArray, T: NDArray) -> NDArray:
        return T - softmax(outputs, axis=1)

    def pathways(self) -> dict[str, Synapses]:
        """Named pathways, for the weight reports; all but the one of :data:`WIRED` learn."""
        return {
            "readout_excitatory": self.excitatory,
            WIRED: self.to_inhibitory,
            "readout_inhibitory": self.inhibitory,
        }


class PerturbationReadout(DeltaReadout):
    """The same cells taught by a scalar reward only (weight perturbation; Mazzoni, Andersen & Jordan 1991).

    Synaptic noise of standard deviation ``s`` reaches each output as ``xi ~ N(0, s^2)`` (``q`` has unit norm); the
    reward ``R = log p(label)`` with and without it gives the error ``(R(xi) - R(0)) xi / s^2``, whose mean is ``t - p``
    as ``s -> 0``: no output is told its own error.

    Parameters
    ----------
    association, n_classes, w_start, prune_every, seed
        See :class:`DeltaReadout`.
    """

    noise = 0.3

    def _error(self, outputs: NDArray, T: NDArray) -> NDArray:
        xi = self.rng.normal(0, self.noise, outputs.shape)
        reward = (log_softmax(outputs + xi, axis=1) - log_softmax(outputs, axis=1))[T > 0]
        return reward[:, None] * xi / self.noise**2


READOUTS: dict[str, Callable[..., Readout]] = {
    "votes": VotesReadout,
    "delta": DeltaReadout,
    "perturbation": PerturbationReadout,
}
