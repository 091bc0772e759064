"""Competition of transmitters: an axon's excitation and inhibition draw on one resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..checks import Choice, check, check_number
from ..synapses import Synapses
from ..synapses.array_checks import check_array, check_range
from ..threads import Threads
from .base import on_synapses

__all__ = ["TransmitterCompetition"]

#: Which synapses share one balance of excitation and inhibition.
Shared = Literal["axon", "dendrite", "synapse"]


@dataclass(frozen=True, kw_only=True)
class TransmitterCompetition:
    """Two pathways between the same pairs of cells, one of each sign, of which the stronger suppresses the weaker::

        log E_ij += eta (G_ij + chi D_j - decay E_ij)
        log I_ij -= eta (G_ij + chi D_j + decay I_ij)
        D_j = sum_i (E_ij - I_ij) / sum_i (E_ij + I_ij)

    with ``E, I >= 0`` the sizes of excitatory and inhibitory synapses, ``G_ij = mean_b(y_bi x_bj)`` as in every rule
    (with an error in place of ``Y``: the delta rule) and ``D_j`` the balance of axon j, which is all that a cell's
    synapses share: an axon makes more of the transmitter that it has more of, at the cost of the other. No sign is
    given; D = 0 is a fixed point, an unstable one, and a cell ends with one transmitter (Dale's law), unless G holds
    synapses of both signs against it, ``|G_ij| > chi``. The winner settles at ``E_ij = (chi + G_ij) / decay``, so that
    ``chi / decay`` is the size of the weights, and G, the error that stays, is of the order of chi.

    No rule of :data:`RULES`, as it steps two pathways at once.

    Parameters
    ----------
    eta : float > 0, default 0.02
        Learning rate.
    chi : float >= 0, default 0.05
        Strength of the competition, in units of G; 0: none.
    decay : float >= 0, default 0.02
        Loss per size of a synapse.
    shared_by : {"axon", "dendrite", "synapse"}
        "axon" as above; the others are its controls, the same feedback from ``D_i``, the balance of what a cell
        receives, and from ``D_ij``, that of one pair of synapses.
    n_threads : int >= 1, "auto" or None
        Threads of the kernels; any number gives identical results.

    References
    ----------
    The rule is this project's own. Kin: Dale 1935, Pharmacology and nerve-endings, Proc. R. Soc. Med. 28, 319-332 (one
    cell, one transmitter); Spitzer 2017, Neurotransmitter switching in the developing and adult brain, Annu. Rev.
    Neurosci. 40, 1-19 (activity makes cells exchange their transmitter); competition for a resource of the cell, as
    in synaptic scaling; Kivinen & Warmuth 1997, Inf. Comput. 132, 1-63 (the multiplicative step on both signs).
    """

    eta: float = 0.02
    chi: float = 0.05
    decay: float = 0.02
    shared_by: Shared = "axon"
    n_threads: Threads = None

    def __post_init__(self) -> None:
        check_number("eta", self.eta, "> 0")
        check_number("chi", self.chi, ">= 0")
        check_number("decay", self.decay, ">= 0")
        check("shared_by", self.shared_by, Choice(get_args(Shared)))

    def step(self, excitatory: Synapses, inhibitory: Synapses, X: NDArray, Y: NDArray) -> None:
        """Change both pathways in place. A step that fails changes nothing.

        Parameters
        ----------
        excitatory, inhibitory : Synapses
            Of signs "E" and "I", with the same stored pairs and dtype.
        X : ndarray of shape (batch, n_pre), dtype of the weights, C-contiguous
            Pre-synaptic rates.
        Y : ndarray of shape (batch, n_post), dtype of the weights, C-contiguous
            Post-synaptic rates, or errors ``target - output``.

        Raises
        ------
        ValueError
            Other signs, pathways that do not store the same pairs, rates of the wrong shape or not finite.
        TypeError
            Rates or pathways of different dtypes.
        """
        with excitatory.exclusive(), inhibitory.exclusive():
            before = excitatory.weights.copy()
            try:
                self._step(excitatory, inhibitory, X, Y)
            except BaseException:  # Ctrl-C, too
                A = csr_array((before, excitatory.indices, excitatory.indptr), excitatory.shape)
                excitatory.replace_rows(np.arange(excitatory.n_post), A)
                raise

    def _step(self, excitatory: Synapses, inhibitory: Synapses, X: NDArray, Y: NDArray) -> None:
        if (excitatory.sign, inhibitory.sign) != ("E", "I"):
            raise ValueError(f"pathways must have signs 'E' and 'I', got {excitatory.sign!r} and {inhibitory.sign!r}")
        for rates, name in (X, "X"), (Y, "Y"):
            check_array(rates, name, (excitatory.dtype,), ndim=2)
            check_range(rates, name, -np.inf, self.n_threads)
        drive = self.balance(excitatory, inhibitory)
        drive *= self.chi
        drive += excitatory.weight_grad(X, Y, n_threads=self.n_threads) / len(X)
        drive = drive.astype(excitatory.dtype)
        loss = np.full(excitatory.n_post, self.decay, excitatory.dtype)
        for pathway in (excitatory, inhibitory):
            # the form adds its drive to the signed weight: growth of excitation is loss of inhibition
            pathway.plasticity_step(
                drive, loss, form="exponential", eta=self.eta, normalize=False, n_threads=self.n_threads
            )

    def balance(self, excitatory: Synapses, inhibitory: Synapses) -> NDArray[np.float64]:
        """``D`` at each stored pair, (nnz,), in [-1, 1]; 0 where no synapse is left.

        Raises
        ------
        ValueError
            The pathways do not store the same pairs.
        TypeError
            Their dtypes differ.
        """
        if excitatory.dtype != inhibitory.dtype:
            raise TypeError(f"pathways must have one dtype, got {excitatory.dtype} and {inhibitory.dtype}")
        same = excitatory.shape == inhibitory.shape and all(
            np.array_equal(getattr(excitatory, part), getattr(inhibitory, part)) for part in ("indptr", "indices")
        )
        if not same:
            raise ValueError("pathways must store the same pairs of cells")
        up, down = excitatory.weights.astype(float), inhibitory.weights.astype(float)
        if self.shared_by == "axon":
            who = excitatory.indices
        elif self.shared_by == "dendrite":
            who = on_synapses(excitatory, np.arange(excitatory.n_post))
        else:
            who = np.arange(excitatory.nnz)
        net, total = np.bincount(who, up + down), np.bincount(who, up - down)
        return np.divide(net, total, out=np.zeros_like(net), where=total > 0)[who]
