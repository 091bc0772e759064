"""What a network asks of its parts: structural types, nothing to inherit from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

from bioneuro.synapses import Synapses

__all__ = ["Encoder", "Progress", "Readout", "Space"]

#: With respect to what a gradient is asked: the input itself, or the retina's response to it.
Space = Literal["image", "response"]


@runtime_checkable
class Encoder(Protocol):
    """Inputs to features. How it learned, by ``learn(X)`` or elsewhere, is its own affair: a network uses it as it is.

    One for images also has a ``retina``; one with ``columns`` shows their synapses among the pathways of a network.
    """

    @property
    def n_features(self) -> int:
        """Length of the feature vector."""
        ...

    def encode(self, X: NDArray) -> NDArray:
        """Features ``(n, n_features)`` of ``X (n, n_inputs)``."""
        ...

    def encode_grad(self, X: NDArray, dH: NDArray, *, space: Space = "image") -> NDArray:
        """Gradient of :meth:`encode`, ``(n, n_inputs)``, given that with respect to the features."""
        ...


@runtime_checkable
class Readout(Protocol):
    """The association's drive ``(batch, n_cells)`` to the logits of the classes ``(batch, n_classes)``."""

    def logits(self, drive: NDArray) -> NDArray:
        """Logits from the drive."""
        ...

    def drive_grad(self, drive: NDArray, dlogits: NDArray) -> NDArray:
        """Gradient with respect to the drive, given that with respect to the logits."""
        ...

    def learn(self, drive: NDArray, T: NDArray, eta: float) -> None:
        """One step on a batch of drives and one-hot labels ``T (batch, n_classes)`` with learning rate ``eta``."""
        ...

    def pathways(self) -> dict[str, Synapses]:
        """Its pathways by name; a readout without any is never asked to learn.

        ``presynaptic``, a dict from their names to the population that makes each, says so where these are not the
        association's cells.
        """
        ...


class Progress(Protocol):
    """Shows how far a loop over epochs has come, as ``tqdm`` does."""

    def __call__(self, iterable: Iterable[int], /, *, desc: str) -> Iterable[int]: ...
