"""Learning by backpropagation, pass after pass: what the perceptrons and the convolutional network share."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from ..attacks import PGD, Goal
from ..checks import POSITIVE, Flag, Integer, Number, check_count, check_number
from ..connectivity import generator
from ..estimators import all_or_nothing, class_index, known_classes, learned
from ..network import batches
from ..progress import track
from ..threads import MOST, Threads
from .base import GradientClassifier

__all__ = ["BackpropClassifier", "mean_cross_entropy"]

#: Updates that ``n_epochs="auto"`` gives small data, however few samples they have.
MIN_UPDATES = 1500
#: Adversarial training: the budget grows linearly in this first share of the updates of ``fit``. From the start, a
#: large budget leaves a network at chance.
WARM_UP = 0.4
#: Its steps relative to the budget: of a single one (Wong et al. 2020), and of all together if there are more.
SINGLE_STEP, ALL_STEPS = 1.25, 2.5


@dataclass(kw_only=True, eq=False, repr=False)
class BackpropClassifier(GradientClassifier):
    """Minibatch learning. A subclass writes :meth:`_update` beside the network.

    With ``adversarial=(epsilon, n_steps)`` each batch is replaced by its images under :class:`bioneuro.attacks.PGD` on
    the present network (Linf, random start; Madry et al. 2018, arXiv 1706.06083); ``n_steps = 1`` is a single step of
    1.25 epsilon, "fast" adversarial training (Wong, Rice & Kolter 2020, arXiv 2001.03994). The budget grows
    linearly over the first 40 % of the updates of ``fit``; in ``partial_fit`` it is whole from the start.

    Parameters
    ----------
    learning_rate : float > 0
    n_epochs : "auto" or int >= 1
        Passes over the data in ``fit``; ``"auto"``: at least 15 passes and at least 1,500 updates.
    batch_size : int >= 1
        Most samples in an update.
    weight_decay : float >= 0
        Share of ``learning_rate`` by which weights (not biases) shrink in an update.
    adversarial : None or (epsilon, n_steps)
        Adversarial training; X must then lie in [0, 1].
    random_state : int, RandomState, Generator or None
        Of the first weights, the order of the samples and adversarial images.
    n_threads : int >= 1, "auto" or None
        Threads of the kernels; results do not depend on it.
    progress : bool
        Show a progress bar (tqdm).
    contrast, dtype
        See :class:`~bioneuro.baselines.base.GradientClassifier`.
    """

    learning_rate: float = 1e-3
    n_epochs: int | Literal["auto"] = "auto"
    batch_size: int = 128
    weight_decay: float = 1e-2
    adversarial: tuple[float, int] | None = None
    n_threads: Threads = None
    progress: bool = False

    constraints = {
        "learning_rate": (POSITIVE,),
        "n_epochs": (Integer(), "auto"),
        "batch_size": (Integer(),),
        "weight_decay": (Number(0),),
        "n_threads": (Integer(1, MOST), "auto", None),
        "progress": (Flag(),),
    }
    #: Name of the progress bar.
    _description = "backprop"
    #: Passes that ``n_epochs="auto"`` makes over large data.
    _min_epochs = 15

    @abstractmethod
    def _update(self, R: NDArray, true: NDArray) -> float:
        """One step on a batch of responses and class numbers; its mean loss before the step."""

    # --- learning -----------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike) -> BackpropClassifier:
        """Learn from ``X`` (n, n_features) and labels ``y`` (n,), from scratch.

        A call that fails or is interrupted leaves model and random state as they were; so does :meth:`partial_fit`.
        """
        with all_or_nothing(self):
            X, y = self._validate_labelled(X, y, reset=True)
            self._start(np.unique(y))
            n_epochs = self._passes(len(X))
            self._n_planned = n_epochs * math.ceil(len(X) / self.batch_size)
            self._learn(X, class_index(y, self.classes_), n_epochs)
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> BackpropClassifier:
        """Go on learning with one pass over ``X``; ``classes`` (all of them) is needed at the first call."""
        with all_or_nothing(self, *learned(self)):
            first = not hasattr(self, "classes_")
            X, y = self._validate_labelled(X, y, reset=first)
            known = known_classes(self, classes, first)
            true = class_index(y, known)
            if first:
                self._start(known)
            self._n_planned = 0
            self._show(X, true)
        return self

    def _show(self, X: NDArray, true: NDArray) -> None:
        """Learn from one batch of a stream."""
        self._learn(X, true, 1)

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        self._rng = generator(self.random_state)
        self.loss_curve_: list[float] = []

    def _learn(self, X: NDArray, true: NDArray, n_epochs: int) -> None:
        shown = X if self.adversarial else self._front().response(X)
        self._n_done = 0
        for _ in track(range(n_epochs), self.progress, self._description):
            losses = []
            for rows in batches(len(X), self.batch_size, self._rng):
                batch = self._augment(shown[rows])
                if self.adversarial:
                    batch = self._front().response(self._attacked(batch, true[rows]))
                losses.append(self._update(batch, true[rows]))
                self._n_done += 1
            self.loss_curve_.append(float(np.mean(losses)))

    def _augment(self, batch: NDArray) -> NDArray:
        """What is learned from in place of a batch of images, or of responses to them."""
        return batch

    def _passes(self, n_samples: int) -> int:
        """Passes of a ``fit`` to so many samples."""
        if self.n_epochs != "auto":
            return self.n_epochs
        return max(self._min_epochs, math.ceil(MIN_UPDATES / math.ceil(n_samples / self.batch_size)))

    def _attacked(self, X: NDArray, true: NDArray) -> NDArray:
        """Adversarial images of a batch, within the present budget."""
        assert self.adversarial is not None
        epsilon, n_steps = self.adversarial
        if self._n_planned:
            epsilon *= min(1.0, self._n_done / (WARM_UP * self._n_planned))
        if epsilon == 0:
            return X
        size = SINGLE_STEP if n_steps == 1 else ALL_STEPS / n_steps
        seed = int(self._rng.integers(2**31))
        attack = PGD(n_steps=n_steps, step_size=size, early_stop=False, random_state=seed)
        return attack.attempt(self, X, Goal(self.classes_[true]), epsilon)

    # --- helpers ------------------------------------------------------------------------------------------

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.adversarial is not None:
            if not isinstance(self.adversarial, tuple | list) or len(self.adversarial) != 2:
                raise ValueError(f"adversarial must be None or (epsilon, n_steps), got {self.adversarial!r}")
            check_number("epsilon of adversarial", self.adversarial[0], "> 0")
            check_count("n_steps of adversarial", self.adversarial[1])

    def _bounded_by(self) -> str:
        return super()._bounded_by() or ("adversarial" if self.adversarial else "")


def mean_cross_entropy(logits: NDArray, true: NDArray) -> float:
    """Of a batch of ``logits (n, n_classes)`` and class numbers ``true (n,)``."""
    return float(-log_softmax(logits, axis=1)[np.arange(len(true)), true].mean())
