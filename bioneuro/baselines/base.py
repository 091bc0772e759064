"""What the baselines share: checks of data, and answers from one pass through their network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from sklearn.utils.validation import check_is_fitted

from ..checks import Kind, check_dtype, check_parameters
from ..connectivity import RandomState
from ..estimators import LogitClassifier, check_classes, check_unit_interval, validated, validated_with_labels
from ..network import INFERENCE_BATCH, slices
from ..protocols import Pullback
from ..white_box import Front, WhiteBoxMixin
from .input_responses import input_response
from .pathways import feed_forward

__all__ = ["GradientClassifier"]


@dataclass(kw_only=True, eq=False, repr=False)
class GradientClassifier(WhiteBoxMixin, LogitClassifier):
    """A rival that sees its input through ``r(X)`` and knows the gradient of its logits.

    The parameters of an estimator are the fields of its class and of its bases: a dataclass writes the constructor that
    scikit-learn reads. A subclass writes :meth:`_start`, :meth:`_network`, :meth:`_vjp` and :meth:`weights`, and in
    `constraints` what its own parameters may be.

    Parameters
    ----------
    contrast : None or (exponent, semi_saturation)
        With it the retina's contrast response stands in front: ``x^n (1 + s^n) / (x^n + s^n)`` (Naka-Rushton), both
        > 0; X must then lie in [0, 1].
    random_state : int, RandomState, Generator or None
    dtype : {"float32", "float64"}
    """

    contrast: tuple[float, float] | None = None
    random_state: RandomState = None
    dtype: Literal["float32", "float64"] = "float32"

    #: What parameters may be, see :func:`bioneuro.checks.check`; those of the bases hold too.
    constraints: ClassVar[Mapping[str, tuple[Kind | str | None, ...]]] = {}

    # --- what a subclass writes ---------------------------------------------------------------------------

    @abstractmethod
    def _network(self, R: NDArray) -> NDArray:
        """Logits (n, n_classes) of responses R (n, n_features)."""

    @abstractmethod
    def _vjp(self, R: NDArray) -> tuple[NDArray, Pullback]:
        """Logits of R, and the map from a gradient with respect to them to that with respect to R."""

    @abstractmethod
    def weights(self) -> dict[str, csr_array]:
        """Every pathway's weights (rows: post-synaptic cells), by name, from the inputs on."""

    def _start(self, classes: NDArray) -> None:
        """A fresh network for these classes; the parameters and ``n_features_in_`` are already checked."""
        check_classes(classes)
        self.classes_ = classes

    def _front(self) -> Front:
        return input_response(self.contrast)

    def _check_parameters(self) -> None:
        for kind in reversed(type(self).__mro__):
            check_parameters(self, vars(kind).get("constraints", {}))
        check_dtype(self.dtype)
        self._front()

    # --- answers ------------------------------------------------------------------------------------------

    def _logits(self, X: ArrayLike) -> NDArray:
        R = self._front().response(self._checked(X))
        return np.concatenate([self._network(R[rows]) for rows in slices(len(R), INFERENCE_BATCH)])

    def _response_pass(self, X: NDArray) -> tuple[NDArray, Pullback]:
        return self._vjp(self._front().response(X))

    # --- for reports --------------------------------------------------------------------------------------

    def outgoing(self) -> dict[str, dict[str, csr_array]]:
        """What each population of cells makes, by name: ``{"inputs": {"hidden_1": W}, "hidden_1": {"output": W}}``."""
        return feed_forward(self.weights())

    # --- checks of data -----------------------------------------------------------------------------------

    def _checked(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self, "classes_")
        return self._check_intensities(validated(self, X, self.dtype))

    def _validate_labelled(self, X: ArrayLike, y: ArrayLike, reset: bool) -> tuple[NDArray, NDArray]:
        self._check_parameters()
        checked, labels = validated_with_labels(self, X, y, self.dtype, reset=reset)
        return self._check_intensities(checked), labels

    def _check_intensities(self, X: NDArray) -> NDArray:
        if self._bounded_by():
            check_unit_interval(X, f"with {self._bounded_by()}")
        return X

    def _bounded_by(self) -> str:
        """The parameter that needs X in [0, 1]; "" if none does."""
        return "contrast" if self.contrast is not None else ""
