"""Learning from few images: episodes, one-shot classification, and accuracy against training images a class.

These are different protocols and belong in different tables. `evaluate` draws a few classes and scores
within them, episode by episode (Vinyals et al. 2016, arXiv:1606.04080); `low_data_curve` keeps all classes,
trains on k images of each and scores on a whole test set; `omniglot_one_shot` is the official task of Lake,
Salakhutdinov & Tenenbaum (2015).
"""

from .class_splits import ClassSplit, split_classes, with_rotations
from .elastic_matcher import ElasticMatcher
from .elastic_votes import ElasticVotes
from .episodes import Episode, EpisodeSampler
from .evaluation import compare, differences, evaluate, summary
from .feature_readout import FeatureReadout
from .heads import HEADS, AssociationHead, FineTuned
from .jitter import Jitter, Jittered
from .low_data import low_data_curve
from .one_shot import ModifiedHausdorff, Pixels, omniglot_one_shot

__all__ = [
    "HEADS",
    "AssociationHead",
    "ClassSplit",
    "ElasticMatcher",
    "ElasticVotes",
    "Episode",
    "EpisodeSampler",
    "FeatureReadout",
    "FineTuned",
    "Jitter",
    "Jittered",
    "ModifiedHausdorff",
    "Pixels",
    "compare",
    "differences",
    "evaluate",
    "low_data_curve",
    "omniglot_one_shot",
    "split_classes",
    "summary",
    "with_rotations",
]
