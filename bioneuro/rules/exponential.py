"""Exponentiated Hebb: every weight grows or shrinks in proportion to itself."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from bioneuro.rules.base import Rule
from bioneuro.synapses import Synapses


@dataclass(kw_only=True)
class Exponential(Rule):
    """``w_ij <- w_ij exp(eta sgn(w_ij) (G_ij - c_i w_ij) + noise)``.

    ``G_ij = mean_b(y_bi x_bj)``, ``c_i = mean_b(y_bi)``, ``noise = sigma sqrt(alpha_i (2 - alpha_i)) xi_ij`` with
    ``alpha_i = 1 - exp(-eta |c_i|)``. No sign can change at any step size and 0 stays 0, in "mixed" pathways too. Here
    weights count with their sign: ``G > 0`` makes an inhibitory synapse weaker. Fixed point, where the sign allows:
    ``E[y_i x_j] / E[y_i]``. With an error in place of ``Y`` it is the delta rule of
    :class:`bioneuro.layers.DeltaReadout`.

    Parameters
    ----------
    eta : float > 0, default 0.1
    sigma : float >= 0, default 0
        Size of the proportional noise.
    normalize : bool, default False
        Synaptic scaling of the rows that changed to unit norm.
    seed : int >= 0, default 0
        Key of the noise.

    References
    ----------
    Kivinen & Warmuth 1997, Exponentiated gradient versus gradient descent for linear predictors, Inf. Comput. 132,
    1-63 (the multiplicative step); the decay and the noise are this project's.
    """

    sigma: float = 0.0
    normalize: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_nonnegative("sigma")
        self.require_integer("seed", 0)

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, reward: float | None) -> None:
        # the kernel sums over the batch: eta / batch makes means of its sums
        synapses.hebbian_step(
            X, Y, form="exponential", eta=self.eta / len(X), sigma=self.sigma, normalize=self.normalize,
            seed=self.seed, step=self.n_steps_, n_threads=self.n_threads,
        )  # fmt: skip
