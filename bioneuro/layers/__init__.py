"""Layers to put together by hand (:class:`bioneuro.NetworkClassifier`); :class:`bioneuro.BioClassifier` is one stack.

What a layer must have is said by :class:`Layer`, of a readout by :class:`Readout`, of a competition of association
cells by :class:`Competition`. To add one of your own, write a class with these methods.
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
from .interfaces import Competition, CompetitionMaker, Encoder, Growth, Layer, Learned, PlasticLayer, ReadCells, Readout
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
    "Layer",
    "Learned",
    "LocalMap",
    "MapSettings",
    "Mixing",
    "PassedOn",
    "PlasticLayer",
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
