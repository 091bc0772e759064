"""What is compared: our network by its readouts, and its rivals. A model is one line of `MODELS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...baselines import BackpropMLP
from ...classifier import BioClassifier
from ..our_network import by_votes, contrast_of

__all__ = ["MODELS", "ComparedModel"]


@dataclass(frozen=True)
class ComparedModel:
    """A row of the comparison: a network, and what of it is measured.

    Entries with the same `make` share one trained network and differ in what reads it.

    Parameters
    ----------
    make : callable
        Unfitted network for a seed.
    readout : str
        What `predict` returns.
    cells : str
        Pathway onto the cells whose afferent weights are described; these cells have its name as a population.
    read : callable
        The fitted network as this entry reads it.
    ours : bool
        Set against the other models in the table of differences.
    """

    make: Callable[[int], Any]
    readout: str
    cells: str
    read: Callable[[Any], Any] = lambda network: network
    ours: bool = False


def _bioneuro(seed: int) -> BioClassifier:
    return BioClassifier(random_state=seed)


def _mlp(seed: int) -> BackpropMLP:
    return BackpropMLP(random_state=seed)


def _mlp_behind_contrast(seed: int) -> BackpropMLP:
    return BackpropMLP(contrast=contrast_of(BioClassifier()), random_state=seed)


MODELS: dict[str, ComparedModel] = {
    "bioneuro": ComparedModel(_bioneuro, "delta", "association", ours=True),
    "bioneuro votes": ComparedModel(_bioneuro, "votes", "association", read=by_votes, ours=True),
    "MLP": ComparedModel(_mlp, "softmax", "hidden_1"),
    "MLP + contrast response": ComparedModel(_mlp_behind_contrast, "softmax", "hidden_1"),
}
