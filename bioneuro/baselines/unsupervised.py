"""A hidden layer that a local rule teaches without labels, and a linear readout of it."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.utils.validation import check_is_fitted

from ..checks import POSITIVE, Integer
from ..connectivity import HalfNormal, MixedSign, dense
from ..losses import loss_gradient
from ..network import batches
from ..progress import track
from ..protocols import Pullback
from ..synapses import Synapses
from .adam import Adam
from .backprop import BackpropClassifier, mean_cross_entropy

__all__ = ["LONG", "UnsupervisedClassifier"]

#: A first length beyond that of learned weights: a winner shrinks and leaves the next sample to another cell, so that
#: all come to win (for SoftHebb as in Journe et al. 2023, arXiv:2209.11883).
LONG = 8.0

#: From a gradient with respect to hidden rates to that with respect to the input of the layer.
ToInput = Callable[[NDArray], NDArray]


@dataclass(kw_only=True, eq=False, repr=False)
class UnsupervisedClassifier(BackpropClassifier):
    """Hidden cells learn first, without labels; then softmax regression on their rates, by Adam.

    The readout sees the rates h of a sample, of N hidden cells, as ``h sqrt(N) / |h|``: the rates' size, which changes
    by orders of magnitude as weights grow to their length, is not in it.

    A subclass writes `_respond` and `_hidden_step`. In ``partial_fit`` both learn from each batch, once.

    Parameters
    ----------
    n_hidden : int >= 1
        Hidden cells.
    hidden_epochs : "auto" or int >= 1
        Passes of the hidden layer in ``fit``; ``"auto"``: as ``n_epochs``.
    hidden_rate : float > 0
        Learning rate of the hidden layer; in ``fit`` it falls linearly to 0.
    learning_rate, n_epochs, weight_decay
        Of the readout.
    batch_size, contrast, random_state, dtype, n_threads, progress
        See :class:`~bioneuro.baselines.backprop.BackpropClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    hidden_, output_ : Synapses
    bias_ : ndarray of shape (n_classes,)
    loss_curve_ : list of float
        Mean loss of each pass of the readout so far.
    """

    n_hidden: int = field(default=500, kw_only=False)
    hidden_epochs: int | Literal["auto"] = "auto"
    hidden_rate: float = 0.02
    weight_decay: float = 1e-4
    adversarial: None = field(default=None, init=False)

    #: Length of the first weight vectors of hidden cells, whose signs are drawn.
    first_length: ClassVar[float] = 1.0

    constraints = {
        "n_hidden": (Integer(),),
        "hidden_epochs": (Integer(), "auto"),
        "hidden_rate": (POSITIVE,),
    }

    @abstractmethod
    def _respond(self, R: NDArray) -> tuple[NDArray, ToInput]:
        """Hidden rates (n, n_cells) of responses R (n, n_features), and their pullback."""

    @abstractmethod
    def _hidden_step(self, R: NDArray, rate: float) -> None:
        """One step of the hidden layer on a batch."""

    def _finish_hidden(self) -> None:  # noqa: B027 (most have nothing to do)
        """What happens to the hidden layer at the end of its passes in ``fit``."""

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        self.hidden_ = self._first_hidden()
        self.output_ = self._first(len(classes), self.hidden_.n_post)
        self.bias_ = np.zeros(len(classes), self.dtype)
        self._adam = Adam(), Adam()

    def _first_hidden(self) -> Synapses:
        """Synapses onto the hidden cells, before they learn."""
        return self._first(self.n_hidden, self.n_features_in_, self.first_length)

    def _first(self, n_post: int, n_pre: int, length: float = 1.0) -> Synapses:
        init = MixedSign(HalfNormal(length / math.sqrt(n_pre)))
        return dense(n_post, n_pre, init, random_state=self._rng, dtype=self.dtype)

    # --- learning -----------------------------------------------------------------------------------------

    def _learn(self, X: NDArray, true: NDArray, n_epochs: int) -> None:
        R = self._front().response(X)
        passes = 1
        if self._n_planned:  # a fit
            passes = self._passes(len(X)) if self.hidden_epochs == "auto" else self.hidden_epochs
        for done in track(range(passes), self.progress, "hidden layer"):
            for rows in batches(len(R), self.batch_size, self._rng):
                self._hidden_step(R[rows], float(self.hidden_rate * (1 - done / passes)))
        if self._n_planned:
            self._finish_hidden()
        super()._learn(X, true, n_epochs)

    def _update(self, R: NDArray, true: NDArray) -> float:
        h, z, _ = self._forward(R)
        dz = loss_gradient(z, true, "ce")
        dz /= len(R)
        of_weights, of_bias = self._adam
        delta = of_weights.step(self.output_.weight_grad(h, dz, n_threads=self.n_threads), self.learning_rate)
        delta -= self.output_.weights * self.output_.dtype.type(self.learning_rate * self.weight_decay)
        self.output_.add(delta)
        self.bias_ += of_bias.step(dz.sum(axis=0), self.learning_rate)
        return mean_cross_entropy(z, true)

    # --- the network --------------------------------------------------------------------------------------

    def _forward(self, R: NDArray) -> tuple[NDArray, NDArray, ToInput]:
        """Normalised hidden rates, logits, and the pullback of the former to the input."""
        rates, to_input = self._respond(R)
        norm = np.linalg.norm(rates, axis=1, keepdims=True) / math.sqrt(self.hidden_.n_post)
        norm = np.where(norm > 0, norm, rates.dtype.type(1)).astype(rates.dtype)
        h = np.ascontiguousarray(rates / norm)

        def normalised_to_input(dh: NDArray) -> NDArray:
            return to_input((dh - h * (h * dh).mean(axis=1, keepdims=True)) / norm)

        return h, self.output_.forward(h, self.bias_, n_threads=self.n_threads), normalised_to_input

    def _network(self, R: NDArray) -> NDArray:
        return self._forward(R)[1]

    def _vjp(self, R: NDArray) -> tuple[NDArray, Pullback]:
        _, z, to_input = self._forward(R)

        def pullback(dlogits: NDArray) -> NDArray:
            dh = self.output_.input_grad(np.ascontiguousarray(dlogits, R.dtype), n_threads=self.n_threads)
            return to_input(dh)

        return z, pullback

    def _drive(self, U: NDArray) -> NDArray:
        return self.hidden_.forward(np.ascontiguousarray(U), n_threads=self.n_threads)

    def _drive_back(self, da: NDArray) -> NDArray:
        return self.hidden_.input_grad(np.ascontiguousarray(da), n_threads=self.n_threads)

    # --- for reports --------------------------------------------------------------------------------------

    def weights(self) -> dict[str, csr_array]:
        """Both layers' weights as read-only csr_arrays (rows: post-synaptic cells), by name."""
        check_is_fitted(self, "hidden_")
        return {"hidden_1": self.hidden_.to_scipy(), "output": self.output_.to_scipy()}
