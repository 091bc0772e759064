"""Layers to compose by hand; :class:`bioneuro.BioClassifier` is one composition of them.

An encoder has ``learn(X)``, ``encode(X)``, ``encode_grad(X, dH, space)`` and ``n_features``; a readout has ``learn``,
``logits``, ``drive_grad`` and ``pathways``; a competition of association cells has the methods of :class:`Competition`.
A new one of any is a class with these methods.
"""

from .adaptation import Adaptation
from .association import Association
from .circuit import Circuit
from .competitive import CompetitiveLayer
from .feature_map import FeatureMap
from .growth import Recruitment, Vigilance
from .hypercolumns import Hypercolumns
from .inhibition import InhibitoryCells
from .local_map import LocalMap
from .mixing import Mixing
from .passed_on import PassedOn
from .pools import SoftmaxPool
from .protocols import Competition, Encoder, Growth, Learned, ReadCells, Readout
from .readout import READOUTS, DeltaReadout, PerturbationReadout, VotesReadout
from .retina import Retina
from .settling import Settled, settle, settle_grad
from .unit_norm import UnitNorm

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
    "PassedOn",
    "PerturbationReadout",
    "ReadCells",
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
