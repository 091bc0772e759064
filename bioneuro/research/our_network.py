"""Our network read by another readout, and the contrast response that rivals share with it."""

from __future__ import annotations

import copy

from ..classifier import BioClassifier

__all__ = ["by_readout", "by_votes", "contrast_of"]


def by_readout(network: BioClassifier, readout: str) -> BioClassifier:
    """A fitted network read by another of its readouts; nothing is trained again."""
    return copy.copy(network).set_params(readout=readout)


def by_votes(network: BioClassifier) -> BioClassifier:
    """A fitted network read by its votes, which it holds whatever its readout."""
    return by_readout(network, "votes")


def contrast_of(network: BioClassifier) -> tuple[float, float]:
    """Exponent and semi-saturation of its retina, for a rival behind the same response."""
    parameters = network.get_params()
    return parameters["encoder__exponent"], parameters["encoder__semi_saturation"]
