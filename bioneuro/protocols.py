"""What a model must offer to be attacked, audited or evaluated: structural types, nothing to inherit from.

A scikit-learn classifier is a `Classifier`; add `input_gradient` and it is a `WhiteBox`; a white-box model
whose first stage acts on each feature alone may also be a `ResponseFront`. Either may be `Differentiable`
(`DifferentiableFront`) too: attacks then need one pass where they would need several, and can climb any loss.

Throughout, ``X`` is (n, features) in [0, 1], ``y`` holds labels out of ``classes_``, and the two losses of
one sample with logits z and true class t are

* ``"ce"``: softmax cross-entropy, ``log(sum_k exp z_k) - z_t``;
* ``"margin"``: ``max_{k != t} z_k - z_t``, positive exactly when the sample is misclassified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

__all__ = [
    "Classifier",
    "Differentiable",
    "DifferentiableFront",
    "Loss",
    "Pullback",
    "ResponseFront",
    "Surrogates",
    "WhiteBox",
]

Loss = Literal["ce", "margin"]
#: Maps ``D`` (n, n_classes) to the gradient of ``sum(D * logits)``, (n, features), where the logits were computed.
Pullback = Callable[[NDArray], NDArray]


@runtime_checkable
class Classifier(Protocol):
    """A fitted classifier. ``decision_function`` gives logits, (n, n_classes), or (n,) for two classes."""

    classes_: NDArray

    def predict(self, X: NDArray) -> NDArray: ...

    def decision_function(self, X: NDArray) -> NDArray: ...


@runtime_checkable
class WhiteBox(Classifier, Protocol):
    """A classifier that knows the gradient of its losses with respect to its input."""

    def input_gradient(self, X: NDArray, y: NDArray, loss: Loss = "ce") -> NDArray:
        """Gradient of the *sum* of the losses over the rows of X, (n, features)."""
        ...


@runtime_checkable
class Differentiable(WhiteBox, Protocol):
    """A white-box model that gives its logits and, from the same pass, what any function of them needs.

    By the chain rule every loss follows: ``z, pull = model.input_vjp(X)``, then ``pull(dloss / dz)``.
    """

    def input_vjp(self, X: NDArray) -> tuple[NDArray, Pullback]:
        """Logits (n, n_classes) at X, also for two classes, and the vector-Jacobian product there.

        ``predict`` is the class of the largest; they may differ from ``decision_function`` by a constant a
        sample. The pullback may be called any number of times, while it is kept so are the activities of X.
        """
        ...


@runtime_checkable
class ResponseFront(WhiteBox, Protocol):
    """A white-box model that sees its input only through ``r(X)``, strictly increasing feature by feature.

    The retina's contrast response ``x^n (1 + s^n) / (x^n + s^n)`` is the case in point: its slope is 0 at x
    = 0, so the gradient with respect to x vanishes on black pixels whatever the network behind it does, and
    an attack that follows it stands still. As r is increasing, the Linf ball around x is exactly the box
    ``[r(x - eps), r(x + eps)]``, in which the gradient is not masked. Attacks use it when it is offered. An
    L2 ball has no such image: there they follow the gradient with respect to x with the slope of r floored.
    """

    def response(self, X: NDArray) -> NDArray:
        """``r(X)``, (n, features)."""
        ...

    def response_inverse(self, R: NDArray) -> NDArray:
        """The X in [0, 1] with ``r(X) = R``, (n, features)."""
        ...

    def response_slope(self, X: NDArray) -> NDArray:
        """``r'(X)`` >= 0, (n, features)."""
        ...

    def response_gradient(self, X: NDArray, y: NDArray, loss: Loss = "ce") -> NDArray:
        """Gradient of the sum of losses at X with respect to ``r(X)``, (n, features)."""
        ...


@runtime_checkable
class DifferentiableFront(ResponseFront, Differentiable, Protocol):
    """A `ResponseFront` that is `Differentiable` with respect to its response, too."""

    def response_vjp(self, X: NDArray) -> tuple[NDArray, Pullback]:
        """As ``input_vjp``, at X, with respect to ``r(X)``."""
        ...


@runtime_checkable
class Surrogates(Classifier, Protocol):
    """A model that knows variants of itself whose gradients mislead an attack less than its own, if it has any."""

    def surrogates(self) -> Mapping[str, WhiteBox]:
        """White-box models by name, with the classes of this one; if it is a `ResponseFront`, with its response."""
        ...
