"""Layers to compose by hand; :class:`bioneuro.BioClassifier` is one composition of them.

An encoder has ``learn(X)``, ``encode(X)``, ``encode_grad(X, dH, space)`` and ``n_features``; a readout has ``learn``,
``logits``, ``drive_grad`` and ``pathways``. A new one of either is a class with these methods.
"""

from bioneuro.layers.adaptation import Adaptation
from bioneuro.layers.association import Association
from bioneuro.layers.circuit import Circuit
from bioneuro.layers.competitive import CompetitiveLayer
from bioneuro.layers.feature_map import FeatureMap
from bioneuro.layers.protocols import Encoder, Readout
from bioneuro.layers.readout import READOUTS, DeltaReadout, PerturbationReadout, VotesReadout
from bioneuro.layers.retina import Retina
from bioneuro.layers.settling import Settled, settle, settle_grad

__all__ = [
    "READOUTS",
    "Adaptation",
    "Association",
    "Circuit",
    "CompetitiveLayer",
    "DeltaReadout",
    "Encoder",
    "FeatureMap",
    "PerturbationReadout",
    "Readout",
    "Retina",
    "Settled",
    "VotesReadout",
    "settle",
    "settle_grad",
]
