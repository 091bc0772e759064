"""Layers to compose by hand; :class:`bioneuro.BioClassifier` is one composition of them.

An encoder has ``learn(X)``, ``encode(X)``, ``encode_grad(X, dH, space)`` and ``n_features``; a readout has ``learn``,
``logits``, ``drive_grad`` and ``pathways``; a competition of association cells has the methods of :class:`Competition`.
A new one of any is a class with these methods.
"""

from bioneuro.layers.adaptation import Adaptation
from bioneuro.layers.association import Association
from bioneuro.layers.circuit import Circuit
from bioneuro.layers.competitive import CompetitiveLayer
from bioneuro.layers.feature_map import FeatureMap
from bioneuro.layers.growth import Recruitment, Vigilance
from bioneuro.layers.hypercolumns import Hypercolumns
from bioneuro.layers.inhibition import InhibitoryCells
from bioneuro.layers.local_map import LocalMap
from bioneuro.layers.mixing import Mixing
from bioneuro.layers.pools import SoftmaxPool
from bioneuro.layers.protocols import Competition, Encoder, Growth, Learned, Readout
from bioneuro.layers.readout import READOUTS, DeltaReadout, PerturbationReadout, VotesReadout
from bioneuro.layers.retina import Retina
from bioneuro.layers.settling import Settled, settle, settle_grad
from bioneuro.layers.unit_norm import UnitNorm

#: How association cells compete, by the name that :class:`bioneuro.BioClassifier` knows: one line each.
COMPETITIONS: dict[str, type[Competition]] = {"softmax": SoftmaxPool, "circuit": InhibitoryCells}
#: Maps of images by the name that :class:`bioneuro.BioClassifier` knows: one line each.
FEATURE_MAPS: dict[str, type[FeatureMap] | type[LocalMap]] = {"tied": FeatureMap, "local": LocalMap}

__all__ = [
    "COMPETITIONS",
    "FEATURE_MAPS",
    "READOUTS",
    "Adaptation",
    "Association",
    "Circuit",
    "Competition",
    "CompetitiveLayer",
    "DeltaReadout",
    "Encoder",
    "FeatureMap",
    "Growth",
    "Hypercolumns",
    "InhibitoryCells",
    "Learned",
    "LocalMap",
    "Mixing",
    "PerturbationReadout",
    "Readout",
    "Recruitment",
    "Retina",
    "Settled",
    "SoftmaxPool",
    "UnitNorm",
    "Vigilance",
    "VotesReadout",
    "settle",
    "settle_grad",
]
