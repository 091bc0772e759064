"""Which law do synaptic weights follow, how sparse are they, and how sure can we be.

Silent synapses (zero or not stored) are always left apart, and excitatory and inhibitory weights are
described apart. Where small weights were pruned, every candidate is fitted by its *left-truncated*
likelihood: what is left of an exponential after its small values are cut away looks lognormal to a fit
that ignores the cut.

`weight_samples` holds weights and their cuts, `laws` the candidate laws, `fits` which law it is, `weight_measures`
what describes one matrix, each built on those before it; `intervals` over seeds, `proportions` of images and the
`information` in rates stand alone; `scaling` keeps sums inside float64.
`representation` describes the rates of a population, `gabor` the shape of receptive fields.
"""

from .activity import PairwiseCorrelation, fraction_active, pairwise_correlation, treves_rolls
from .fits import (
    KSBootstrap,
    LogMoments,
    Vuong,
    fit_weight_distribution,
    ks_bootstrap,
    log_moments,
    pit,
    truncated_density,
    vuong,
)
from .gabor import GaborFit, fit_gabor, fit_gabors, orientation_index
from .information import (
    DiscreteInformation,
    InformationBounds,
    discrete_entropy,
    discrete_information,
    gaussian_information,
    information_bounds,
    information_by_samples,
    relative_noise,
    shuffled_information,
    synaptic_capacity,
)
from .intervals import MeanInterval, PairedDifference, holm, mean_interval, paired_difference
from .laws import DISTRIBUTIONS, Candidate
from .proportions import paired_shares, share_interval
from .representation import class_selectivity, participation_ratio, representation_report
from .weight_measures import (
    SONG_2005,
    dale_index,
    dale_indices,
    density,
    gini,
    row_thresholds,
    site_index,
    weight_report,
)
from .weight_samples import positive_weights, row_index

__all__ = [
    "DISTRIBUTIONS",
    "SONG_2005",
    "Candidate",
    "GaborFit",
    "DiscreteInformation",
    "InformationBounds",
    "KSBootstrap",
    "LogMoments",
    "MeanInterval",
    "PairedDifference",
    "PairwiseCorrelation",
    "Vuong",
    "class_selectivity",
    "dale_index",
    "dale_indices",
    "density",
    "fit_gabor",
    "fit_gabors",
    "discrete_entropy",
    "discrete_information",
    "fit_weight_distribution",
    "gaussian_information",
    "fraction_active",
    "gini",
    "holm",
    "information_bounds",
    "information_by_samples",
    "ks_bootstrap",
    "log_moments",
    "mean_interval",
    "orientation_index",
    "paired_difference",
    "paired_shares",
    "participation_ratio",
    "pairwise_correlation",
    "pit",
    "positive_weights",
    "representation_report",
    "relative_noise",
    "row_index",
    "row_thresholds",
    "share_interval",
    "shuffled_information",
    "site_index",
    "synaptic_capacity",
    "treves_rolls",
    "truncated_density",
    "vuong",
    "weight_report",
]
