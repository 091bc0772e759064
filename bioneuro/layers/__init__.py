"""Layers to compose by hand; :class:`bioneuro.BioClassifier` is one composition of them.

An encoder has ``learn(X)``, ``encode(X)``, ``encode_grad(X, dH, space)`` and ``n_features``; a readout has ``learn``,
``logits``, ``drive_grad`` and ``pathways``; a competition of association cells has the methods of :class:`Competition`.
To add one of your own, write a class with these methods.
"""

from .adaptation import Adaptation
from .association import Association
from .circuit import Circuit
from .competitions import COMPETITIONS, CircuitSettings, SoftmaxSettings
from .competitive import CompetitiveLayer
from .feature_map import FeatureMap
from .growth import GrowthSettings, Recruitment, Vigilance
from .hypercolumns import Hypercolumns
from .inhibition import InhibitoryCells
from .interfaces import Competition, CompetitionMaker, Encoder, Growth, Learned, ReadCells, Readout
from .local_map import LocalMap
from .map_settings import FEATURE_MAPS, MapSettings
from .mixing import Mixing
from .passed_on import PassedOn
from .pools import SoftmaxPool
from .readout import READOUTS, DeltaReadout, PerturbationReadout, VotesReadout
from .retina import Retina
from .settling import Settled, settle, settle_grad
from .unit_norm import UnitNorm

__all__ = [
    "COMPETITIONS",
    "FEATURE_MAPS",
    "READOUTS",
    "Adaptation",
    "Association",
    "Circuit",
    "CircuitSettings",
    "Competition",
    "CompetitionMaker",
    "CompetitiveLayer",
    "DeltaReadout",
    "Encoder",
    "FeatureMap",
    "Growth",
    "GrowthSettings",
    "Hypercolumns",
    "InhibitoryCells",
    "Learned",
    "LocalMap",
    "MapSettings",
    "Mixing",
    "PassedOn",
    "PerturbationReadout",
    "ReadCells",
    "Readout",
    "Recruitment",
    "Retina",
    "Settled",
    "SoftmaxPool",
    "SoftmaxSettings",
    "UnitNorm",
    "Vigilance",
    "VotesReadout",
    "settle",
    "settle_grad",
]
