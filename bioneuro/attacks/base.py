"""What every attack shares: checks, order of work, budget, result. A new attack writes `Attack.run`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import Choice, Flag, check, check_count
from ..progress import track
from ..protocols import Classifier, WhiteBox
from ..seeds import seed_of
from .answers import finite, predict
from .goals import Criterion, Goal, as_goal
from .inputs import check_input, checked_names
from .norms import NORMS, Norm, distances
from .sample_random import SampleRandom
from .survivors import STANDS, broken_without_attack, campaign

__all__ = ["Attack", "AttackResult", "Composite"]


@dataclass(frozen=True, eq=False)
class AttackResult:
    """What an attack reached at each of K budgets on N samples.

    Attributes
    ----------
    epsilons : ndarray of shape (K,)
        The budgets, in the order they were asked for.
    adversarial : ndarray of shape (K, N, features)
        Images inside both [0, 1] and the ball of radius ``epsilons[k]``, successful or not, in the dtype of
        X.
    success : ndarray of shape (K, N), bool
        The adversarial image meets the criterion: it is misclassified, or given its target label. Samples that
        meet it without any attack count as broken, at distance 0; a sample broken at one budget is broken at
        every larger one, by the same image.
    distance : ndarray of shape (K, N), float64
        Distance of ``adversarial`` from X in `norm`, successful or not; never more than the budget, to the last digit.
    norm : {"linf", "l2", "l0", "l0-rgb"}
    """

    epsilons: NDArray[np.float64]
    adversarial: NDArray
    success: NDArray[np.bool_]
    distance: NDArray[np.float64]
    norm: str

    @property
    def robust_accuracy(self) -> NDArray[np.float64]:
        """Share of samples that stand at each budget, (K,), in [0, 1].

        Classified correctly, or, with targets, as anything but their target.
        """
        return 1 - self.success.mean(axis=1)

    def __repr__(self) -> str:
        figures = ", ".join(f"{e:g}: {a:.1%}" for e, a in zip(self.epsilons, self.robust_accuracy, strict=True))
        return f"{type(self).__name__}({self.success.shape[1]} samples, {self.norm}, robust accuracy {{{figures}}})"


@dataclass(kw_only=True)
class Attack(ABC):
    """Base of all attacks: hyper-parameters are fields, ``attack(model, X, y, epsilons)`` runs it.

    A subclass is a dataclass that writes `run`, which must stay near the budget only as well as it can:
    clipping to the ball and to [0, 1], survivors, batches and bookkeeping are done here.

    Parameters
    ----------
    norm : {"linf", "l2", "l0", "l0-rgb"}
        Norm of the budget, one of the attack's ``norms``. The last two count features, and pixels of three channels.
    random_state : int, Generator or None
        Resolved to an integer seed once, here, so one attack object always repeats itself. A sample's random
        numbers depend on this seed and on the sample's own content alone, never on its batch or position.
    """

    norm: str = "linf"
    random_state: int | np.random.Generator | None = 0

    #: Methods and attributes that `run` uses of the model.
    requires: ClassVar[tuple[str, ...]] = ("predict", "classes_")
    #: The norms it can work in, out of `NORMS`.
    norms: ClassVar[tuple[str, ...]] = ("linf", "l2")

    def __post_init__(self) -> None:
        check("norm", self.norm, Choice(self.norms))
        self.random_state = seed_of(self.random_state)

    @abstractmethod
    def run(self, model: WhiteBox, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        """Candidates (n, features) for one batch of samples that still stand, and one epsilon > 0.

        Must not change X. `goal` says what counts (``goal.is_adversarial(labels)``) and what to ascend
        (`ascent_values`); `random` gives each sample its own stream.
        """

    @final
    def __call__(
        self,
        model: Classifier,
        X: ArrayLike,
        y: ArrayLike,
        epsilons: float | ArrayLike,
        *,
        criterion: Criterion = "untargeted",
        batch_size: int = 256,
        progress: bool = False,
    ) -> AttackResult:
        """Attack every sample at every budget, smallest first, each time only those that still stand.

        Parameters
        ----------
        model : Classifier (`WhiteBox` for gradient attacks)
        X : array of shape (N, features), in [0, 1]
            float32 and float64 are passed on as they are; other dtypes become float64. Never changed.
        y : array of shape (N,)
            True labels, out of ``model.classes_``.
        epsilons : float or sequence of K floats >= 0
            Budgets, in any order.
        criterion : "untargeted" or `Targeted`
            Success is any wrong label, or the sample's target.
        batch_size : int
            Samples given to the model at once; the result does not depend on it beyond the model's own
            rounding.
        progress : bool
            Show a tqdm bar for each budget.

        Returns
        -------
        AttackResult

        Raises
        ------
        TypeError
            The model lacks a method that the attack needs; X or epsilons are no real numbers.
        ValueError
            X, y, epsilons or criterion out of shape or range, or the model returns NaN or a wrong shape.
        """
        self.check_model(model)
        images, labels, budgets = check_input(model, X, y, epsilons)
        check_count("batch_size", batch_size)
        check("progress", progress, Flag())
        goal = as_goal(criterion, labels, np.asarray(model.classes_))

        def run(attack: Attack, rows: NDArray, epsilon: float) -> tuple[NDArray, NDArray[np.bool_]]:
            return attack.at(model, images[rows], goal[rows], epsilon, batch_size, progress)

        with checked_names(model, X):
            clean = np.zeros(len(images), bool)
            if not (self.begins_at_X and (budgets > 0).all()):
                clean = broken_without_attack(model, images, goal, batch_size)
            reached = campaign(images, budgets, clean, [self], run)
        distance = np.stack([distances(self.geometry, found, images) for found in reached.adversarial])
        return AttackResult(budgets, reached.adversarial, reached.broken_by != STANDS, distance, self.norm)

    @final
    def at(
        self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, batch_size: int, progress: bool
    ) -> tuple[NDArray, NDArray[np.bool_]]:
        """Images (n, features) and success (n,) at one budget, batch by batch; no checks of its arguments."""
        images, success = np.empty_like(X), np.empty(len(X), bool)
        batches = [slice(i, i + batch_size) for i in range(0, len(X), batch_size)]
        for rows in track(batches, progress, f"{type(self).__name__} {self.norm} {epsilon:g}"):
            images[rows] = self.attempt(model, X[rows], goal[rows], epsilon)
            success[rows] = goal[rows].is_adversarial(predict(model, images[rows]))
        return images, success

    @final
    def attempt(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float) -> NDArray:
        """`run` on one batch, brought inside the budget; no checks of its arguments."""
        assert isinstance(self.random_state, int | np.integer)
        white_box = cast(WhiteBox, model)  # as far as this attack needs it: check_model has looked
        candidates = self.run(white_box, X, goal, epsilon, SampleRandom(int(self.random_state), X))
        return self.geometry.project(finite(candidates, type(self).__name__, X.shape), X, epsilon)

    def check_model(self, model: Classifier) -> None:
        """Raise TypeError if the model lacks what this attack uses."""
        if missing := self.lacking(model):
            advice = "without gradients, choose black-box attacks"
            if "classes_" in missing and hasattr(model, "fit"):
                advice = "fit it first"
            raise TypeError(
                f"{type(self).__name__} needs {', '.join(missing)}, which {type(model).__name__} lacks "
                f"(see bioneuro.protocols); {advice}"
            )

    def lacking(self, model: Classifier) -> list[str]:
        """Names of what this attack uses and the model lacks."""
        return [name for name in self.requires if not hasattr(model, name)]

    @property
    def begins_at_X(self) -> bool:
        """Whether `run` tries X itself first, so that the model need not be asked about it before."""
        return False

    @property
    def geometry(self) -> Norm:
        return NORMS[self.norm]


@dataclass
class Composite(Attack):
    """An attack made of others: it has their norm, and draws no random numbers of its own."""

    norm: str = field(init=False, kw_only=True)
    random_state: int | np.random.Generator | None = field(default=0, init=False, kw_only=True)

    norms: ClassVar[tuple[str, ...]] = tuple(NORMS)

    @property
    @abstractmethod
    def parts(self) -> Sequence[Attack]:
        """The attacks it is made of."""

    def __post_init__(self) -> None:
        norms = {attack.norm for attack in self.parts}
        if len(norms) != 1:
            raise ValueError(f"attacks must be at least one, all of one norm; got norms {sorted(norms)}")
        (self.norm,) = norms
        super().__post_init__()
