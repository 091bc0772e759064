"""Log w relaxes towards the log of the mean input at which the cell is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from bioneuro.rules.base import Rule
from bioneuro.synapses import Form, Sign, Synapses


@dataclass(kw_only=True)
class LogRelaxation(Rule):
    """``log(w_ij + floor) += alpha_i [log(T_ij + floor) - log(w_ij + floor)] + noise``, then rows of unit norm.

    ``G_ij = mean_b(y_bi x_bj)``, ``c_i = mean_b(y_bi)``, ``T = G / c``, ``alpha_i = 1 - exp(-eta c_i)``,
    ``noise = sigma sqrt(alpha_i (2 - alpha_i)) xi_ij``. Multiplicative, so no weight reaches 0 from above; cells that
    are silent in the whole batch stay as they are (:func:`bioneuro.kernels.plasticity_step`).

    Parameters
    ----------
    eta : float > 0, default 0.1
    floor : float > 0, default 1e-3
        Added to weights and targets before the logarithm.
    sigma : float >= 0, default 0
        Size-proportional noise: the stationary standard deviation of log w that it alone gives.
    normalize : bool, default True
        Synaptic scaling of the rows that changed to unit norm.
    seed : int >= 0, default 0
        Key of the noise.

    References
    ----------
    This project's reconstruction of Inoue, Roehrbein & Knoblauch 2026, arXiv:2603.03234; size-proportional noise:
    Loewenstein, Kuras & Rumpel 2011, J. Neurosci. 31, 9481-9488.
    """

    floor: float = 1e-3
    sigma: float = 0.0
    normalize: bool = True
    seed: int = 0

    form: ClassVar[Form] = "log-relaxation"
    signs: ClassVar[tuple[Sign, ...]] = ("E",)
    nonnegative: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("floor")
        self.require_nonnegative("sigma")
        self.require_integer("seed", 0)

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, reward: float | None) -> None:
        # the kernel sums over the batch: eta / batch makes means of its sums
        synapses.hebbian_step(
            X, Y, form=self.form, eta=self.eta / len(X), step=self.n_steps_, n_threads=self.n_threads,
            **self.parameters(),
        )  # fmt: skip

    def parameters(self) -> dict[str, Any]:
        """What the kernel is told beside the learning rate."""
        return {"floor": self.floor, "sigma": self.sigma, "normalize": self.normalize, "seed": self.seed}
