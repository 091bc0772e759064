"""The robust accuracy that an ensemble of attacks leaves, and the registry of attacks by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from ..protocols import Classifier, WhiteBox
from .apgd import APGD
from .base import Attack, AttackResult
from .combine import Ensemble, Transfer
from .gradient import BIM, FGSM, PGD
from .noise import GaussianNoise, UniformNoise
from .square import Square

__all__ = ["ATTACKS", "worst_case"]

#: Attacks by name, each called with ``norm=`` and ``random_state=``. The order is that of `worst_case`:
#: cheap and strong ones first, for each sees only what the earlier ones left standing.
ATTACKS: dict[str, Callable[..., Attack]] = {
    "fgsm": FGSM,
    "pgd-margin": partial(PGD, loss="margin"),
    "pgd-ce": partial(PGD, loss="ce"),
    "bim": BIM,
    "apgd-ce": APGD,
    "apgd-dlr": partial(APGD, loss="dlr"),
    "apgd-t": partial(APGD, loss="dlr", n_target_classes=9),
    "uniform-noise": UniformNoise,
    "gaussian-noise": GaussianNoise,
    "square": Square,
}


def worst_case(
    model: Classifier,
    X: ArrayLike,
    y: ArrayLike,
    epsilons: float | ArrayLike,
    norm: str = "linf",
    *,
    attacks: Sequence[str | Attack] | None = None,
    sources: Sequence[WhiteBox] = (),
    random_state: int = 0,
    batch_size: int = 256,
    progress: bool = False,
) -> AttackResult:
    """Attack each sample with a whole ensemble: it is broken if any attack breaks it.

    Print no figure of this without `audit`.

    Parameters
    ----------
    model : WhiteBox
        `bioneuro.protocols.Classifier` is enough if `attacks` are black-box ones.
    X : array of shape (N, features), in [0, 1]
    y : array of shape (N,)
        True labels.
    epsilons : float or sequence of K floats >= 0
        Budgets in `norm`, in units of the pixels' range [0, 1].
    norm : {"linf", "l2"}
    attacks : sequence of names in `ATTACKS` or of Attack objects, optional
        Default: all of `ATTACKS`.
    sources : sequence of WhiteBox
        Further models with the same classes; images crafted on each are tried too (`Transfer`).
    random_state : int
        Seed of the attacks made here, each with a seed of its own; Attack objects keep theirs.
    batch_size, progress
        See `Attack.__call__`.

    Returns
    -------
    AttackResult

    Raises
    ------
    TypeError, ValueError
        As `Attack.__call__`; also an unknown name, or an Attack of another norm.
    """
    if not isinstance(random_state, int | np.integer):
        raise TypeError(f"random_state must be an integer, got {random_state!r}")
    chosen = list(ATTACKS) if attacks is None else attacks
    seeds = np.random.SeedSequence(random_state).generate_state(len(chosen) + len(sources)).tolist()
    ensemble = [_as_attack(attack, norm, seed) for attack, seed in zip(chosen, seeds, strict=False)]
    for source, seed in zip(sources, seeds[len(chosen) :], strict=True):
        crafted_by = PGD(norm=norm, momentum=1.0, early_stop=False, random_state=seed)
        ensemble.append(Transfer(source, crafted_by))
    return Ensemble(ensemble)(model, X, y, epsilons, batch_size=batch_size, progress=progress)


def _as_attack(attack: str | Attack, norm: str, seed: int) -> Attack:
    if isinstance(attack, str):
        if attack not in ATTACKS:
            raise ValueError(f"unknown attack {attack!r}; choose from {', '.join(ATTACKS)}")
        return ATTACKS[attack](norm=norm, random_state=seed)
    if attack.norm != norm:
        raise ValueError(f"{type(attack).__name__} is for norm {attack.norm!r}, worst_case was asked for {norm!r}")
    return attack
