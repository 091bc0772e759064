"""Dale's ANN: excitatory cells that inhibitory ones hold back by subtraction and by division, all signs fixed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.utils.validation import check_is_fitted

from ..checks import SHARE, Flag, check_count
from ..connectivity import dense
from ..losses import loss_gradient
from ..protocols import Pullback
from ..rules import add_within_sign
from ..synapses import Synapses
from ..threads import Threads
from .backprop import BackpropClassifier, mean_cross_entropy
from .mlp import layer_names
from .nonnegative_inputs import NonNegativeInputs

__all__ = ["DaleMLP"]

#: Floor under the divisor: a cell without any input is silent, not undefined.
FLOOR = 1e-6


class _Gradients(NamedTuple):
    """Of a loss, with respect to what a layer consists of."""

    excitation: NDArray
    recruitment: NDArray
    inhibition: NDArray
    alpha: NDArray
    gain: NDArray
    bias: NDArray


class _Pass(NamedTuple):
    """Drive ``z (batch, n_e)`` of a layer, the map from a gradient with respect to it to that with respect to the
    layer's input, and the map from one to the gradients of the layer's parts."""

    drive: NDArray
    pullback: Callable[[NDArray], NDArray]
    gradients: Callable[[NDArray], _Gradients]


class _Layer:
    """E cells with drive ``z`` and the I cells that hold them back, both driven by the layer below."""

    def __init__(self, n_pre: int, n_e: int, n_i: int, rng: np.random.Generator, dtype: Any) -> None:
        scale = math.sqrt(2 * math.pi / (n_pre * (2 * math.pi - 1)))

        def exponential(rng: np.random.Generator, n: int) -> NDArray:
            return rng.exponential(scale, n)

        self.excitation = dense(n_e, n_pre, exponential, sign="E", random_state=rng, dtype=dtype)
        if n_i > 1:
            self.recruitment = dense(n_i, n_pre, exponential, sign="E", random_state=rng, dtype=dtype)
        else:  # the mean of the E cells, so that it balances them
            mean = self.excitation.to_scipy().toarray().mean(axis=0, keepdims=True)
            self.recruitment = Synapses.from_scipy(csr_array(mean), sign="E")
        self.inhibition = Synapses.from_scipy(csr_array(np.full((n_e, n_i), -1 / n_i, dtype)), sign="I")
        self.alpha = np.full(n_i, math.log(math.sqrt((2 * math.pi - 1) / n_pre)), dtype)
        self.gain, self.bias = np.ones(n_e, dtype), np.zeros(n_e, dtype)

    def forward(self, x: NDArray, n_threads: Threads) -> _Pass:
        shunt = np.exp(self.alpha)
        q = self.recruitment.forward(x, n_threads=n_threads)
        shunting = q * shunt
        balance = self.excitation.forward(x, n_threads=n_threads) + self.inhibition.forward(q, n_threads=n_threads)
        divisor = x.dtype.type(FLOOR) - self.inhibition.forward(shunting, n_threads=n_threads)
        normalised = balance / divisor

        def parts(dz: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
            """Gradients with respect to balance, divisor, I cells, and their shunting."""
            dbalance = np.ascontiguousarray(dz * self.gain / divisor)
            ddivisor = np.ascontiguousarray(-dbalance * normalised)
            dshunting = -self.inhibition.input_grad(ddivisor, n_threads=n_threads)
            dq = self.inhibition.input_grad(dbalance, n_threads=n_threads) + dshunting * shunt
            return dbalance, ddivisor, dq, dshunting

        def pullback(dz: NDArray) -> NDArray:
            dbalance, _, dq, _ = parts(dz)
            dx = self.excitation.input_grad(dbalance, n_threads=n_threads)
            return dx + self.recruitment.input_grad(np.ascontiguousarray(dq), n_threads=n_threads)

        def gradients(dz: NDArray) -> _Gradients:
            dbalance, ddivisor, dq, dshunting = parts(dz)
            grad = self.inhibition.weight_grad(q, dbalance, n_threads=n_threads)
            grad -= self.inhibition.weight_grad(np.ascontiguousarray(shunting), ddivisor, n_threads=n_threads)
            return _Gradients(
                self.excitation.weight_grad(x, dbalance, n_threads=n_threads),
                self.recruitment.weight_grad(x, np.ascontiguousarray(dq), n_threads=n_threads),
                grad,
                (dshunting * shunting).sum(axis=0),
                (dz * normalised).sum(axis=0),
                dz.sum(axis=0),
            )

        return _Pass(normalised * self.gain + self.bias, pullback, gradients)

    def step(self, gradients: _Gradients, rate: float, corrected: bool) -> None:
        """Down the gradients; no sign changes."""
        n_e, n_pre = self.excitation.shape
        root = math.sqrt(n_e)
        of_recruitment, of_inhibition, of_alpha = (root, n_pre, root * n_pre) if corrected else (1, 1, 1)
        add_within_sign(self.excitation, -rate * gradients.excitation)
        add_within_sign(self.recruitment, -rate / of_recruitment * gradients.recruitment)
        add_within_sign(self.inhibition, -rate / of_inhibition * gradients.inhibition)
        self.alpha -= rate / of_alpha * gradients.alpha
        self.gain = np.maximum(self.gain - rate * gradients.gain, 0).astype(self.gain.dtype)
        self.bias -= rate * gradients.bias


@dataclass(kw_only=True, eq=False, repr=False)
class DaleMLP(NonNegativeInputs, BackpropClassifier):
    """Perceptron of separate excitatory and inhibitory cells, with feed-forward inhibition, trained by backpropagation.

    A layer has E cells, and I cells ``q = W_IX x`` that see the same input and act within the layer only::

        z = g (W_EX x - W_EI q) / (W_EI (exp(alpha) q)) + b,       x of the next layer = (z)+

    with all ``W >= 0`` and ``g >= 0``: Dale's law, subtraction and division (shunting). Stochastic gradient descent,
    with what leaves its sign clipped to 0. Through the I cells a step changes what all E cells of a layer do; the
    corrected steps of ``W_IX``, ``W_EI`` and ``alpha`` are smaller by ``sqrt(n_E)``, ``n_X`` and
    ``sqrt(n_E) n_X``, which makes all of them change the output about equally.

    Parameters
    ----------
    hidden : sequence of int >= 1
        E cells of each hidden layer; empty: none.
    inhibitory : float in [0, 1]
        I cells of a hidden layer, as a share of its E cells; at least one. The output has one.
    corrected : bool
        Whether the steps are corrected.
    learning_rate : float > 0
    n_epochs, batch_size, contrast, random_state, dtype, n_threads, progress
        See :class:`~bioneuro.baselines.backprop.BackpropClassifier`. Inputs must be >= 0: they are rates.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    layers_ : list
        From the input to the logits.
    loss_curve_ : list of float
        Mean loss of each pass so far.

    References
    ----------
    Cornford, Kalajdzievski, Leite, Lamarquette, Kullmann & Richards 2021, Learning to live with Dale's principle: ANNs
    with separate excitatory and inhibitory units, ICLR; first weights after the authors' code
    (github.com/linclab/ltlwdp).
    """

    hidden: Iterable[int] = field(default=(512,), kw_only=False)
    inhibitory: float = 0.1
    corrected: bool = True
    learning_rate: float = 0.1
    weight_decay: float = field(default=0.0, init=False)
    adversarial: None = field(default=None, init=False)

    constraints = {"inhibitory": (SHARE,), "corrected": (Flag(),)}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # what is divided by its own drive knows the direction of its input only: of two inputs, one number
        tags.classifier_tags.poor_score = True
        return tags

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for size in self.hidden:
            check_count("hidden", size)

    # --- learning -----------------------------------------------------------------------------------------

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        inhibitory = [max(1, round(self.inhibitory * n)) for n in self.hidden]
        sizes = (self.n_features_in_, *self.hidden, len(classes))
        self.layers_ = [
            _Layer(n_pre, n_e, n_i, self._rng, np.dtype(self.dtype))
            for (n_pre, n_e), n_i in zip(pairwise(sizes), [*inhibitory, 1], strict=True)
        ]

    def _update(self, R: NDArray, true: NDArray) -> float:
        passes = self._passes_through(R)
        z = passes[-1].drive
        dz = loss_gradient(z, true, "ce") / z.dtype.type(len(R))
        steps = []
        for k in range(len(passes) - 1, -1, -1):
            steps.append(passes[k].gradients(dz))
            if k:
                dz = passes[k].pullback(dz) * (passes[k - 1].drive > 0)
        for layer, step in zip(reversed(self.layers_), steps, strict=True):
            layer.step(step, self.learning_rate, self.corrected)
        return mean_cross_entropy(z, true)

    # --- the network --------------------------------------------------------------------------------------

    def _passes_through(self, R: NDArray) -> list[_Pass]:
        passes: list[_Pass] = []
        for layer in self.layers_:
            x = np.maximum(passes[-1].drive, 0) if passes else R
            passes.append(layer.forward(x, self.n_threads))
        return passes

    def _network(self, R: NDArray) -> NDArray:
        return self._passes_through(R)[-1].drive

    def _vjp(self, R: NDArray) -> tuple[NDArray, Pullback]:
        passes = self._passes_through(R)

        def pullback(dlogits: NDArray) -> NDArray:
            delta = passes[-1].pullback(np.ascontiguousarray(dlogits, R.dtype))
            for done in reversed(passes[:-1]):
                delta = done.pullback(delta * (done.drive > 0))
            return delta

        return passes[-1].drive, pullback

    # --- for reports --------------------------------------------------------------------------------------

    def weights(self) -> dict[str, csr_array]:
        """Every pathway's weights as a read-only csr_array (rows: post-synaptic cells), by name.

        ``"hidden_1"``: excitation of its E cells; ``"hidden_1_i"``: of its I cells; ``"hidden_1_i_to_e"``: inhibition
        of the former by the latter, <= 0; and so on to ``"output"``.
        """
        check_is_fitted(self, "layers_")
        found = {}
        for name, layer in zip(layer_names(len(self.layers_)), self.layers_, strict=True):
            found[name] = layer.excitation.to_scipy()
            found[f"{name}_i"] = layer.recruitment.to_scipy()
            found[f"{name}_i_to_e"] = layer.inhibition.to_scipy()
        return found

    def outgoing(self) -> dict[str, dict[str, csr_array]]:
        """What each population of cells makes: ``{"inputs": {"hidden_1": W, "hidden_1_i": W}, ...}``."""
        weights, found = self.weights(), {}
        for below, name in pairwise(["inputs", *layer_names(len(self.layers_))]):
            found[below] = {name: weights[name], f"{name}_i": weights[f"{name}_i"]}
            found[f"{name}_i"] = {name: weights[f"{name}_i_to_e"]}
        return found
