"""Competitive Hebbian cells, and a readout by Hebb and weight perturbation: the sibling rule of the network's paper."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import softmax

from ..checks import POSITIVE, PROPER_SHARE, SHARE
from ..connectivity import Uniform, dense
from ..rules import PresynapticCompetition, WeightPerturbation
from ..synapses import Synapses
from .backprop import mean_cross_entropy
from .nonnegative_inputs import NonNegativeInputs
from .unsupervised import ToInput, UnsupervisedClassifier

__all__ = ["HebbPerturbationClassifier"]

#: Law of the first weights, as published.
FIRST_WEIGHTS = Uniform(0.01, 0.1)
#: Gain of the competition between hidden cells while they learn, per standard deviation of their drive, and the share
#: of the largest standard deviation below which a cell's drive counts as constant.
COMPETITION, FLAT = 3.0, 1e-6
#: How far from 0 Hebb alone takes the weights of outputs; with 1 answers are too sure of themselves.
HEBB = 0.25
#: Rate of the homeostatic biases, of the hidden cells and of the outputs, per step.
HOMEOSTASIS = 0.3


@dataclass(kw_only=True, eq=False, repr=False)
class HebbPerturbationClassifier(NonNegativeInputs, UnsupervisedClassifier):
    """Hidden cells compete for the synapses of each input; outputs learn by Hebb and by weight perturbation.

    Rates are the upper half of a sigmoid, ``h = (2 sigmoid(a) - 1)+`` of ``a = W x + b``, ``W >= 0``, and the bias
    keeps each cell's mean rate at `target` (homeostasis). While they learn, cells compete: ``y = softmax(3 s)``, s
    the drive standardised over the batch. W learns by :class:`bioneuro.rules.PresynapticCompetition` from x and y
    relative to their means: of an input's synapses the one grows whose cell wins most often together with it. At the
    end of ``fit`` a synapse that is weaker than `theta` times the strongest of its input turns silent, and is no
    longer stored. Outputs ``z = V h + c`` with h scaled as in
    :class:`~bioneuro.baselines.unsupervised.UnsupervisedClassifier` learn by ``dV = hebb_rate (mean((n_classes t - 1)
    h) / 4 - V)`` in the first half of the passes, t the label, and in all of them by
    :class:`bioneuro.rules.WeightPerturbation` whose reward is the fall of the loss of the batch. Their bias c keeps
    all classes equally probable on average.

    No gradient is used to learn. What attacks are given is the exact one.

    Parameters
    ----------
    target : float in (0, 1)
        Mean rate of each hidden cell.
    theta : float in [0, 1]
        0 keeps all synapses, 1 the strongest of each input.
    hebb_rate : float in [0, 1]
        Of outputs.
    learning_rate : float > 0
        Of weight perturbation; it falls linearly to 0 in ``fit``.
    perturbation : float > 0
        Its size.
    n_hidden and all others
        See :class:`~bioneuro.baselines.unsupervised.UnsupervisedClassifier`.

    Notes
    -----
    The paper gives its published table; the equations are a reconstruction from what is known of it: competitive
    excitatory Hebb, Hebb and perturbation at the output, homeostatic biases, the rescaled sigmoid, first weights
    U(0.01, 0.1), and about one synapse an input that is not silent.

    References
    ----------
    Stricker, Roehrbein & Knoblauch 2026, Energy-efficient information representation in MNIST classification using
    biologically inspired learning, arXiv:2603.00588.
    """

    n_hidden: int = field(default=200, kw_only=False)
    hidden_rate: float = 0.3
    target: float = 0.1
    theta: float = 1.0
    hebb_rate: float = 0.1
    learning_rate: float = 3e-2
    perturbation: float = 1e-2
    weight_decay: float = field(default=0.0, init=False)

    constraints = {
        "target": (PROPER_SHARE,),
        "theta": (SHARE,),
        "hebb_rate": (SHARE,),
        "perturbation": (POSITIVE,),
    }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True  # two inputs leave it two synapses
        return tags

    # --- learning -----------------------------------------------------------------------------------------

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        self.hidden_bias_ = np.zeros(self.n_hidden, self.dtype)
        self._seed = int(self._rng.integers(2**31))

    def _first_hidden(self) -> Synapses:
        return dense(
            self.n_hidden, self.n_features_in_, FIRST_WEIGHTS, sign="E", random_state=self._rng, dtype=self.dtype
        )

    def _first(self, n_post: int, n_pre: int, length: float = 1.0) -> Synapses:
        return super()._first(n_post, n_pre, 0.1 * length)

    def _hidden_step(self, R: NDArray, rate: float) -> None:
        drive = self._drive(R)
        sd = drive.std(axis=0)
        has_a_say = sd > FLAT * sd.max()
        y = softmax(COMPETITION * (drive - drive.mean(axis=0)) / np.where(has_a_say, sd, np.inf), axis=1)
        tiny = np.finfo(R.dtype).tiny
        X, Y = (np.ascontiguousarray(A / np.maximum(A.mean(axis=0), tiny), R.dtype) for A in (R, y))
        PresynapticCompetition(eta=rate).step(self.hidden_, X, Y)
        drift = np.clip(self._respond(R)[0].mean(axis=0) / self.target - 1, -1, 1)
        self.hidden_bias_ -= self.hidden_bias_.dtype.type(HOMEOSTASIS) * drift

    def _finish_hidden(self) -> None:
        W = self.hidden_.to_scipy().copy()
        strongest = W.max(axis=0).toarray().ravel()
        W.data[W.data < self.theta * strongest[W.indices]] = 0
        W.eliminate_zeros()
        self.hidden_ = Synapses.from_scipy(csr_array(W), sign="E")

    def _update(self, R: NDArray, true: NDArray) -> float:
        h, z, _ = self._forward(R)
        labels = np.eye(len(self.classes_), dtype=z.dtype)[true]
        done = self._n_done / self._n_planned if self._n_planned else 0.0
        if done < 0.5:
            n_classes = len(self.classes_)
            hebb = self.output_.weight_grad(h, labels * n_classes - 1, n_threads=self.n_threads) / len(h)
            self.output_.add((HEBB * hebb - self.output_.weights) * h.dtype.type(self.hebb_rate))
        rule = WeightPerturbation(
            eta=self.learning_rate * (1 - done), noise=self.perturbation, memory=None, seed=self._seed
        )
        loss = self._loss(self.output_, h, true)
        tried = self._loss(rule.perturb(self.output_), h, true)
        rule.step(self.output_, h, z, reward=loss - tried)
        answered = softmax(z, axis=1).mean(axis=0)
        self.bias_ += z.dtype.type(HOMEOSTASIS) * (1 / len(self.classes_) - answered)
        return loss

    # --- the network --------------------------------------------------------------------------------------

    def _respond(self, R: NDArray) -> tuple[NDArray, ToInput]:
        h = np.maximum(np.tanh((self._drive(R) + self.hidden_bias_) / 2), 0)  # 2 sigmoid(a) - 1
        return h, lambda dh: self._drive_back(dh * (h > 0) * (1 - h * h) / 2)

    def _loss(self, output: Synapses, h: NDArray, true: NDArray) -> float:
        logits = output.forward(h, self.bias_, n_threads=self.n_threads)
        return mean_cross_entropy(logits.astype(float), true)
