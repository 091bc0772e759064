"""What it takes a fitted model to answer about one image: a proxy of energy, counted, not measured.

Synaptic operations are multiply-adds of synapses that are stored, once for every place of the image where they are
used. Bytes moved are those of the weights, each read once (what one image at a time costs on a machine whose caches
are smaller than the model), with the index that a sparse weight needs. Neither knows of rates that are 0, which an
event-driven machine would skip, nor of the activities, which are few beside the weights.
"""

from __future__ import annotations

import math
import pickle
from typing import Any, NamedTuple

from ...baselines.cnn import ConvNet
from ...baselines.streaming import StreamingClassifier

__all__ = ["Cost", "of"]

#: Bytes of the index of a sparse weight.
INDEX = 4


class Cost(NamedTuple):
    """Synaptic operations and bytes moved for one image; bytes of the fitted model, pickled, to the thousand."""

    operations: int
    bytes_moved: int
    memory: int


def of(network: Any, image_shape: tuple[int, ...]) -> Cost:
    """The cost of a fitted model.

    Raises
    ------
    TypeError
        It has no ``weights()``.
    """
    operations, moved = _synapses(network, image_shape)
    return Cost(operations, moved, round(len(pickle.dumps(network)), -3))  # what is below depends on the process


def _synapses(network: Any, image_shape: tuple[int, ...]) -> tuple[int, int]:
    if hasattr(network, "prototypes_"):  # kept and read with their zeros
        return network.prototypes_.size, network.prototypes_.nbytes
    if hasattr(network, "reservoir_"):
        return network.n_stored(), 8 * network.n_stored()
    if isinstance(network, StreamingClassifier):  # linear, whatever it learned from
        n = len(network.classes_) * network.n_features_in_
        return n, 8 * n
    if not hasattr(network, "weights"):
        raise TypeError(f"cost of {type(network).__name__} is unknown: it has no weights()")
    used = _places(network, image_shape)
    pathways = {name: W for name, W in network.weights().items() if used.get(name, 1)}
    operations = sum(W.nnz * used.get(name, 1) for name, W in pathways.items())
    return operations, sum(W.nnz * (W.data.itemsize + INDEX * _is_sparse(W)) for W in pathways.values())


def _is_sparse(W: Any) -> bool:
    return W.nnz < W.shape[0] * W.shape[1]


def _places(network: Any, image_shape: tuple[int, ...]) -> dict[str, int]:
    """How often a pathway is used for an image, where that is not once: cells that share their weights."""
    height, width = image_shape[:2]
    if isinstance(network, ConvNet):  # each convolution is followed by pooling by 2
        return {"conv_1": height * width, "conv_2": math.ceil(height / 2) * math.ceil(width / 2)}
    encoder: Any = getattr(network, "encoder_", None)
    tied = hasattr(encoder, "columns") and encoder.columns.synapses.n_pre == getattr(encoder, "n_patch", None)
    return {"map": height * width} if tied else {}
