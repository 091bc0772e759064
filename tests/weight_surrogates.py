"""Weights drawn from known laws and cut as a pathway's weak synapses are, for the tests of the analysis."""

import numpy as np
from scipy import sparse

from bioneuro import analysis

CUT_LAWS = {  # true parameters of surrogates, as scipy names them
    "exponential": {"scale": 0.3},
    "gamma": {"a": 2.0, "scale": 0.2},
    "half-normal": {"scale": 0.3},
    "lognormal": {"s": 0.8, "scale": 0.14},
    "weibull": {"c": 1.6, "scale": 0.3},
}


def surrogate(law, seed=0, shape=(150, 200), theta=0.05):
    """Weight matrix whose entries below theta times their row's maximum were silenced."""
    draw = analysis.DISTRIBUTIONS[law].law.rvs(**CUT_LAWS[law], size=shape, random_state=seed)
    return sparse.csr_array(np.where(draw >= theta * draw.max(axis=1, keepdims=True), draw, 0.0))
