"""Exponentiated Hebb: every weight grows or shrinks in proportion to itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import _core
from ..synapses import Form
from .fused import FusedRule

#: Largest change of log |w| in one step of the delta rule, of the teacher, and as the mean input moves.
LARGEST_GROWTH = 1.0


@dataclass(frozen=True, kw_only=True)
class Exponential(FusedRule):
    """``w_ij <- w_ij exp(eta sgn(w_ij) (G_ij - c_i w_ij) + noise)``.

    ``G_ij = mean_b(y_bi x_bj)``, ``c_i = mean_b(y_bi)``, ``noise = sigma sqrt(alpha_i (2 - alpha_i)) xi_ij`` with
    ``alpha_i = 1 - exp(-eta |c_i|)``. No sign can change at any step size and 0 stays 0, in "mixed" pathways too. Here
    weights count with their sign: ``G > 0`` makes an inhibitory synapse weaker. Fixed point, where the sign allows:
    ``E[y_i x_j] / E[y_i]``. With an error in place of ``Y`` it is the delta rule of
    :class:`bioneuro.layers.DeltaReadout`.

    Parameters
    ----------
    eta : float > 0, default 0.1
    sigma, normalize, seed
        Noise and scaling (off): as for :class:`FusedRule`.

    References
    ----------
    Kivinen & Warmuth 1997, Exponentiated gradient versus gradient descent for linear predictors, Inf. Comput. 132,
    1-63 (the multiplicative step); the decay and the noise are this project's.
    """

    normalize: bool = False

    form: ClassVar[Form] = "exponential"


def gradient_step(eta: float, w_max: float = np.inf, *, normalize: bool = False) -> _core.Plasticity:
    """``log |w_ij| += eta sgn(w_ij) G_ij``, bounded by :data:`LARGEST_GROWTH` either way, and ``|w_ij| <= w_max``.

    The exponential form without its decay: growth of excitation is loss of inhibition, and no sign can change.
    """
    return _core.Plasticity("exponential", eta=eta, decay=0.0, bound=LARGEST_GROWTH, w_max=w_max, normalize=normalize)
