"""Signed rule: steps in proportion to the size of a weight, which may cross 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from bioneuro.rules.base import Rule
from bioneuro.synapses import Sign, Synapses


@dataclass(kw_only=True)
class Signed(Rule):
    """``w_ij <- (w_ij + eta (|w_ij| + w0) (G_ij - c_i w_ij)) exp(noise)`` on a "mixed" pathway ("Kesten-Hebb").

    ``G_ij = mean_b(y_bi x_bj)``, ``c_i = mean_b(y_bi)``, ``noise`` as in :class:`~bioneuro.rules.Exponential`, whose
    Euler step this is for ``w0 = 0``. Nothing here looks at the signs of other synapses.

    Parameters
    ----------
    eta : float > 0, default 0.1
    w0 : float >= 0, default 0.02
        Size below which a weight still moves as if it had this one: what lets it cross 0.
    sigma : float >= 0, default 0
        Size of the proportional noise.
    normalize : bool, default False
        Synaptic scaling of the rows that changed to unit norm.
    seed : int >= 0, default 0
        Key of the noise.

    References
    ----------
    Kesten 1973, Random difference equations and renewal theory for products of random matrices, Acta Math. 131,
    207-248 (the process); the rule is this project's.
    """

    w0: float = 0.02
    sigma: float = 0.0
    normalize: bool = False
    seed: int = 0

    signs: ClassVar[tuple[Sign, ...]] = ("mixed",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_nonnegative("w0", "sigma")
        self.require_integer("seed", 0)

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, reward: float | None) -> None:
        # the kernel sums over the batch: eta / batch makes means of its sums
        synapses.hebbian_step(
            X, Y, form="signed", eta=self.eta / len(X), w0=self.w0, sigma=self.sigma, normalize=self.normalize,
            seed=self.seed, step=self.n_steps_, n_threads=self.n_threads,
        )  # fmt: skip
