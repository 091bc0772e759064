"""Rivals to measure against: scikit-learn classifiers on the same kernels and behind the same retina.

A new baseline is one file plus one line in :data:`BASELINES`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sklearn.base import ClassifierMixin

from ..spelling import spelled
from .cnn import ConvNet
from .dale import DaleMLP
from .exponentiated import ExponentiatedMLP
from .feedback_alignment import FeedbackAlignmentMLP
from .filters import FilterBank, FilterMap, OrientationHistogram
from .hebb_perturbation import HebbPerturbationClassifier
from .hpca import HPCAClassifier
from .hpca_local import LocalHPCAClassifier
from .krotov_hopfield import KrotovHopfieldClassifier
from .mlp import BackpropMLP
from .neighbours import NearestNeighbour
from .nonnegative_mlp import NonNegativeMLP
from .predictive_coding import PredictiveCodingMLP
from .rehearsal import ElasticMLP, ReplayMLP
from .soft_hebb import SoftHebbClassifier
from .sparse import SparseMLP, layer_densities
from .streaming import ExemplarNeighbours, NearestClassMean, StreamingLDA, StreamingLeastSquares

__all__ = [
    "BASELINES",
    "BackpropMLP",
    "ConvNet",
    "DaleMLP",
    "ElasticMLP",
    "ExemplarNeighbours",
    "ExponentiatedMLP",
    "FeedbackAlignmentMLP",
    "FilterBank",
    "FilterMap",
    "HPCAClassifier",
    "HebbPerturbationClassifier",
    "KrotovHopfieldClassifier",
    "LocalHPCAClassifier",
    "NearestClassMean",
    "NearestNeighbour",
    "NonNegativeMLP",
    "OrientationHistogram",
    "PredictiveCodingMLP",
    "ReplayMLP",
    "SoftHebbClassifier",
    "SparseMLP",
    "StreamingLDA",
    "StreamingLeastSquares",
    "layer_densities",
    "make",
]

BASELINES: dict[str, Callable[..., ClassifierMixin]] = {
    "mlp": BackpropMLP,
    "cnn": ConvNet,
    "nearest-neighbour": NearestNeighbour,
    "nonnegative": NonNegativeMLP,
    "fixed-mask": SparseMLP,
    "class-means": NearestClassMean,
    "streaming-lda": StreamingLDA,
    "streaming-least-squares": StreamingLeastSquares,
    "exemplars": ExemplarNeighbours,
    "replay": ReplayMLP,
    "elastic": ElasticMLP,
    "set": partial(SparseMLP, rewiring="set"),
    "rigl": partial(SparseMLP, rewiring="rigl"),
    "exponentiated": ExponentiatedMLP,
    "dale": DaleMLP,
    "krotov-hopfield": KrotovHopfieldClassifier,
    "soft-hebb": SoftHebbClassifier,
    "hpca": HPCAClassifier,
    "hpca-local": LocalHPCAClassifier,
    "hebb-perturbation": HebbPerturbationClassifier,
    "feedback-alignment": FeedbackAlignmentMLP,
    "direct-feedback-alignment": partial(FeedbackAlignmentMLP, direct=True),
    "predictive-coding": PredictiveCodingMLP,
}
_baseline: Any
for _baseline in {getattr(made, "func", made) for made in BASELINES.values()}:
    spelled(_baseline)


def make(name: str, **params: Any) -> ClassifierMixin:
    """A baseline by name, unfitted.

    Parameters
    ----------
    name : str
        A key of :data:`BASELINES`.
    **params
        Parameters of that estimator.

    Returns
    -------
    classifier

    Raises
    ------
    ValueError
        Unknown name.
    """
    if name not in BASELINES:
        raise ValueError(f"unknown baseline {name!r}; choose one of {', '.join(BASELINES)}")
    return BASELINES[name](**params)
