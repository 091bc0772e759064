"""The robust accuracy that a whole ensemble of attacks leaves, in tiers of effort; resumable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Choice, Flag, check, check_count
from ..extras import pandas
from ..progress import track
from ..protocols import Classifier, WhiteBox
from .base import Attack, AttackResult
from .cache import Cache
from .goals import Criterion, as_goal
from .inputs import check_input, checked_names
from .norms import NORMS, distances
from .probabilities import with_logits
from .registry import NamedAttack, named_attacks, tier_attacks
from .survivors import STANDS, Campaign, broken_without_attack, campaign

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WorstCase", "worst_case"]

#: In `WorstCase.broken_by`: wrong without any attack; not broken.
CLEAN_NAME, STANDS_NAME = "clean", ""


@dataclass(frozen=True, eq=False, repr=False)
class WorstCase(AttackResult):
    """What an ensemble reached, and which of its attacks it was.

    Attributes
    ----------
    attacks : tuple of A str
        Names in the order they were run.
    broken_by : ndarray of shape (K, N), str
        The attack that broke the sample, ``"clean"`` if none was needed, ``""`` if it stands. A sample broken at a
        smaller budget keeps the name it has there.
    n_tried, n_broken : ndarray of shape (K, A), int
        Samples that an attack was run on at this budget, those that no smaller budget and no attack before it had
        broken; and those that it broke.
    """

    attacks: tuple[str, ...]
    broken_by: NDArray[np.str_]
    n_tried: NDArray[np.intp]
    n_broken: NDArray[np.intp]

    def by_attack(self) -> pd.DataFrame:
        """Which attack was the strongest: a row for each budget and attack.

        An attack sees only what those before it left standing, so a late one with many broken samples is stronger
        than an early one with as many.

        Returns
        -------
        DataFrame with columns epsilon, attack, tried, broken, share, robust_accuracy
            ``share`` is broken / tried (NaN if none was left to try), ``robust_accuracy`` that after this attack.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        pd = pandas()
        rows = []
        for k, epsilon in enumerate(self.epsilons):
            standing = self.success.shape[1] * self.robust_accuracy[k] + self.n_broken[k].sum()
            for name, tried, broken in zip(self.attacks, self.n_tried[k], self.n_broken[k], strict=True):
                standing -= broken
                share = broken / tried if tried else np.nan
                rows.append((epsilon, name, tried, broken, share, standing / self.success.shape[1]))
        return pd.DataFrame(rows, columns=["epsilon", "attack", "tried", "broken", "share", "robust_accuracy"])


def worst_case(
    model: Classifier,
    X: ArrayLike,
    y: ArrayLike,
    epsilons: float | ArrayLike,
    norm: str = "linf",
    *,
    tier: Literal["quick", "full"] | None = None,
    attacks: Sequence[str | Attack] | Mapping[str, Mapping[str, Any]] | None = None,
    sources: Sequence[WhiteBox] | Mapping[str, WhiteBox] = (),
    criterion: Criterion = "untargeted",
    cache: str | PathLike[str] | None = None,
    random_state: int = 0,
    batch_size: int = 256,
    progress: bool = False,
) -> WorstCase:
    """Attack each sample with a whole ensemble: it is broken if any attack breaks it.

    Budgets from the smallest on, attacks from the cheapest on, each only on what still stands. Print no figure of this
    without `audit`.

    Parameters
    ----------
    model : WhiteBox
        `bioneuro.protocols.Classifier` is enough: without gradients the tiers run their black-box attacks, and without
        logits, but with ``predict_proba``, on the logarithms of the probabilities. If it offers ``surrogates()``
        (`bioneuro.protocols.Surrogates`), the tiers attack through each of them too (`Adaptive`).
    X : array of shape (N, features), in [0, 1]
    y : array of shape (N,)
        True labels.
    epsilons : float or sequence of K floats >= 0
        Budgets in `norm`, in units of the pixels' range [0, 1].
    norm : {"linf", "l2"} or another of `NORMS`
    tier : {"quick", "full"}, optional
        `TIERS`: "quick" is for about 200 samples, "full" for figures to publish, on 1,000 and more: more steps,
        restarts and queries. The default is "quick", unless `attacks` are given.
    attacks : sequence of names or Attack objects, or dict name -> parameters, optional
        In place of a tier. Names are those in `ATTACKS`; ``"adaptive:<name>"`` is that attack through every surrogate
        that the model offers, ``"transfer:<name>"`` that attack crafted on every one of `sources`.
    sources : sequence of WhiteBox, or dict name -> WhiteBox
        Further models with the same classes; images crafted on each are tried too (`Transfer`).
    criterion : "untargeted" or `Targeted`
    cache : path of a folder, optional
        The result of each attack at each budget is kept there, and not run again as long as model, samples and the
        attack's parameters are the same: what was interrupted goes on. A model is known by its answers on X and
        around it, so these are asked for each time. Many models and samples may share a folder.
    random_state : int >= 0
        Seed of the attacks made here, each with a seed of its own; Attack objects keep theirs.
    batch_size, progress
        See `Attack.__call__`.

    Returns
    -------
    WorstCase
        The same whether or not it was interrupted, and whatever the cache held.

    Raises
    ------
    TypeError, ValueError
        As `Attack.__call__`; also an unknown name or tier, both tier and attacks, an Attack of another norm, or, with
        `cache`, one with a parameter that has no description.
    NotADirectoryError
        `cache` is a file.

    Warns
    -----
    UserWarning
        A file of the cache is damaged, or not what its name says: it is replaced.
    """
    check_count("random_state", random_state, 0)
    if tier is not None and attacks is not None:
        raise ValueError(f"give either tier or attacks, got tier={tier!r} and {len(attacks)} attacks")
    check("norm", norm, Choice(NORMS))
    given, model = model, with_logits(model)
    chosen = tier_attacks(tier or "quick", norm) if attacks is None else attacks
    named = named_attacks(model, chosen, norm, sources, int(random_state))
    images, labels, budgets = check_input(model, X, y, epsilons)
    if attacks is None:
        named = [one for one in named if not one.attack.lacking(model)]
    if not named:
        raise ValueError("attacks must be at least one; what was asked for comes to none")
    for _, attack in named:
        attack.check_model(model)
    check_count("batch_size", batch_size)
    check("progress", progress, Flag())
    goal = as_goal(criterion, labels, np.asarray(model.classes_))

    def shown(attacks: Sequence[NamedAttack], epsilon: float) -> Iterable[NamedAttack]:
        return track(attacks, progress, f"epsilon {epsilon:g}")

    with checked_names(given, X):
        kept = None if cache is None else Cache(cache, model, images, labels, batch_size)

        def run(named: NamedAttack, rows: NDArray, epsilon: float) -> tuple[NDArray, NDArray[np.bool_]]:
            def result() -> tuple[NDArray, NDArray[np.bool_]]:
                return named.attack.at(model, images[rows], goal[rows], epsilon, batch_size, progress)

            return result() if kept is None else kept.result(*named, images[rows], goal[rows], epsilon, result)

        clean = broken_without_attack(model, images, goal, batch_size)
        reached = campaign(images, budgets, clean, named, run, shown)
    return _named_result(reached, budgets, images, norm, [name for name, _ in named])


def _named_result(
    reached: Campaign, budgets: NDArray[np.float64], X: NDArray, norm: str, attacks: Sequence[str]
) -> WorstCase:
    names = np.array([*attacks, STANDS_NAME, CLEAN_NAME])  # the last two by -2 and -1
    return WorstCase(
        epsilons=budgets,
        adversarial=reached.adversarial,
        success=reached.broken_by != STANDS,
        distance=np.stack([distances(NORMS[norm], images, X) for images in reached.adversarial]),
        norm=norm,
        attacks=tuple(attacks),
        broken_by=names[reached.broken_by],
        n_tried=reached.n_tried,
        n_broken=reached.n_broken,
    )
