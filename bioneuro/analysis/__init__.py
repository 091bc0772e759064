"""Which law do synaptic weights follow, how sparse are they, and how sure can we be.

Silent synapses (zero or not stored) are always left apart, and excitatory and inhibitory weights are
described apart. Where small weights were pruned, every candidate is fitted by its *left-truncated*
likelihood: what is left of an exponential after its small values are cut away looks lognormal to a fit
that ignores the cut.

`samples` holds weights and their cuts, `laws` the candidate laws, `fits` which law it is, `measures` what
describes one matrix, each built on those before it; `intervals` over seeds stands alone.
"""

from .activity import PairwiseCorrelation, fraction_active, pairwise_correlation
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
from .intervals import MeanInterval, PairedDifference, holm, mean_interval, paired_difference
from .laws import DISTRIBUTIONS, Candidate
from .measures import (
    SONG_2005,
    dale_index,
    density,
    gini,
    row_index,
    row_thresholds,
    treves_rolls,
    weight_report,
)
from .samples import positive_weights

__all__ = [
    "DISTRIBUTIONS",
    "SONG_2005",
    "Candidate",
    "KSBootstrap",
    "LogMoments",
    "MeanInterval",
    "PairedDifference",
    "PairwiseCorrelation",
    "Vuong",
    "dale_index",
    "density",
    "fit_weight_distribution",
    "fraction_active",
    "gini",
    "holm",
    "ks_bootstrap",
    "log_moments",
    "mean_interval",
    "paired_difference",
    "pairwise_correlation",
    "pit",
    "positive_weights",
    "row_index",
    "row_thresholds",
    "treves_rolls",
    "truncated_density",
    "vuong",
    "weight_report",
]
