"""What every attack shares: checks, order of work, budget, result. A new attack writes `Attack.run`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, ClassVar, cast, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import losses
from ..estimators import sum_is_finite
from ..progress import track
from ..protocols import Classifier, Loss, WhiteBox
from .goals import Criterion, Goal, as_goal
from .norms import NORMS, Norm

__all__ = ["Attack", "AttackResult", "SampleRandom"]


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
        Distance of ``adversarial`` from X in `norm`, successful or not.
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
        if self.norm not in self.norms:
            raise ValueError(f"norm must be one of {', '.join(self.norms)}; got {self.norm!r}")
        if isinstance(self.random_state, int | np.integer):
            if self.random_state < 0:
                raise ValueError(f"random_state must be at least 0, got {self.random_state}")
        else:
            self.random_state = int(np.random.default_rng(self.random_state).integers(2**32))

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
            The model lacks a method that the attack needs.
        ValueError
            X, y, epsilons or criterion out of shape or range, or the model returns NaN or a wrong shape.
        """
        self.check_model(model)
        X, y, budgets = check_input(model, X, y, epsilons)
        at_least("batch_size", batch_size, 1)
        white_box, goal = cast(WhiteBox, model), as_goal(criterion, y, np.asarray(model.classes_))

        adversarial = np.empty((len(budgets), *X.shape), X.dtype)
        success = np.empty((len(budgets), len(X)), bool)
        current, broken = X.copy(), np.zeros(len(X), bool)
        if not (self.begins_at_X and (budgets > 0).all()):
            broken = goal.is_adversarial(predict(model, X))
        for k in np.argsort(budgets, kind="stable"):
            alive = np.flatnonzero(~broken) if budgets[k] > 0 else np.arange(0)
            batches = [alive[i : i + batch_size] for i in range(0, len(alive), batch_size)]
            for rows in track(batches, progress, f"{type(self).__name__} {self.norm} {budgets[k]:g}"):
                current[rows] = self.attempt(white_box, X[rows], goal[rows], float(budgets[k]))
                broken[rows] = goal[rows].is_adversarial(predict(model, current[rows]))
            adversarial[k], success[k] = current, broken
        distance = np.stack([self.geometry.distance(a.astype(np.float64) - X) for a in adversarial])
        return AttackResult(budgets, adversarial, success, distance, self.norm)

    @final
    def attempt(self, model: WhiteBox, X: NDArray, goal: Goal, epsilon: float) -> NDArray:
        """`run` on one batch, brought inside the budget; no checks of its arguments."""
        assert isinstance(self.random_state, int | np.integer)
        candidates = self.run(model, X, goal, epsilon, SampleRandom(int(self.random_state), X))
        return self.geometry.project(finite(candidates, type(self).__name__, X.shape), X, epsilon)

    def check_model(self, model: Classifier) -> None:
        """Raise TypeError if the model lacks what this attack uses."""
        missing = [name for name in self.requires if not hasattr(model, name)]
        if missing:
            raise TypeError(
                f"{type(self).__name__} needs {', '.join(missing)}, which {type(model).__name__} lacks "
                "(see bioneuro.protocols); without gradients, choose black-box attacks"
            )

    @property
    def begins_at_X(self) -> bool:
        """`run` looks at X first and gives back what meets the criterion there: it need not be asked before."""
        return False

    @property
    def geometry(self) -> Norm:
        return NORMS[self.norm]


class SampleRandom:
    """A stream of random numbers for each sample of a batch, a function of (seed, the sample's content).

    So an attack gives a sample the same noise whichever samples surround it.
    """

    def __init__(self, seed: int, X: NDArray) -> None:
        self._seed, self._X = seed, X

    @cached_property
    def _generators(self) -> list[np.random.Generator]:
        digests = (blake2b(np.ascontiguousarray(row).tobytes(), digest_size=8).digest() for row in self._X)
        return [np.random.default_rng([self._seed, int.from_bytes(digest, "little")]) for digest in digests]

    def _chosen(self, rows: NDArray | None) -> list[np.random.Generator]:
        return self._generators if rows is None else [self._generators[row] for row in rows]

    def uniform(self, size: int, *, rows: NDArray | None = None) -> NDArray[np.float64]:
        """Uniform in [0, 1), (n, size), for all samples or for `rows` only."""
        return np.stack([generator.random(size) for generator in self._chosen(rows)])

    def normal(self, size: int, *, rows: NDArray | None = None) -> NDArray[np.float64]:
        """Standard normal, (n, size)."""
        return np.stack([generator.standard_normal(size) for generator in self._chosen(rows)])


def attack_survivors(
    model: Classifier, X: NDArray, goal: Goal, attempts: Iterable[Callable[[NDArray], NDArray]]
) -> NDArray:
    """Make attempts in turn, each only on the samples that no earlier one broke.

    An attempt maps row indices to candidates for these rows. Returns (n, features): the candidate that
    broke the sample, else the last one.
    """
    found, alive = X.copy(), np.arange(len(X))
    for i, attempt in enumerate(attempts):
        if i:  # asked before the next attempt, not after the last: whoever called asks anyway
            alive = alive[~goal[alive].is_adversarial(predict(model, found[alive]))]
        if not alive.size:
            break
        found[alive] = attempt(alive)
    return found


# --- asking the model ---


def predict(model: Classifier, X: NDArray) -> NDArray:
    """Predicted labels, (n,)."""
    return np.asarray(model.predict(X)).reshape(len(X))


def logits(model: Classifier, X: NDArray) -> NDArray[np.float64]:
    """``decision_function`` as (n, n_classes); the one column z of a binary model becomes [0, z]."""
    return as_logits(model.decision_function(X), len(X), len(model.classes_))


def as_logits(z: ArrayLike, n: int, n_classes: int) -> NDArray[np.float64]:
    """What a model returned as logits, checked; see `logits`."""
    z = np.asarray(z, dtype=np.float64)
    if z.ndim == 1:
        z = np.column_stack([np.zeros_like(z), z])
    return finite(z, "decision_function", (n, n_classes))


def loss_values(model: Classifier, X: NDArray, y: NDArray, loss: Loss) -> NDArray[np.float64]:
    """Loss of each sample, (n,), from ``decision_function``; see `bioneuro.protocols` for the two losses."""
    return losses.loss_values(logits(model, X), class_index(model, y), loss)


def ascent_values(model: Classifier, X: NDArray, goal: Goal, loss: Loss) -> NDArray[np.float64]:
    """What an attack on `goal` ascends, (n,): the margin is positive exactly where the goal is reached."""
    return goal.sign * loss_values(model, X, goal.labels, loss)


def class_index(model: Classifier, y: NDArray) -> NDArray[np.intp]:
    """Column of the logits that belongs to each label."""
    order = np.argsort(model.classes_)
    return order[np.searchsorted(model.classes_, y, sorter=order)]


def loss_gradient(gradient: Callable[..., NDArray], X: NDArray, y: NDArray, loss: Loss) -> NDArray:
    """The model's ``input_gradient`` or ``response_gradient``, its shape and finiteness checked."""
    return finite(np.asarray(gradient(X, y, loss=loss)), getattr(gradient, "__name__", "gradient"), X.shape)


# --- checks ---


def finite(values: NDArray, name: str, shape: tuple[int, ...]) -> NDArray:
    if values.shape != shape:
        raise ValueError(f"{name} returned shape {values.shape}, expected {shape}")
    if not sum_is_finite(values) and not np.isfinite(values).all():
        raise ValueError(f"{name} returned NaN or infinity for sample {np.argwhere(~np.isfinite(values))[0][0]}")
    return values


def at_least(name: str, value: float, minimum: float) -> None:
    if not value >= minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")


def check_input(model: Classifier, X: Any, y: Any, epsilons: Any) -> tuple[NDArray, NDArray, NDArray[np.float64]]:
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim != 2 or X.size == 0:
        raise ValueError(f"X must be (n, features) and not empty, got shape {X.shape}")
    X = np.ascontiguousarray(X, dtype=X.dtype if X.dtype in (np.float32, np.float64) else np.float64)
    if y.shape != (len(X),):
        raise ValueError(f"y must have one label for each of the {len(X)} rows of X, got shape {y.shape}")
    for wrong, problem in (
        (~np.isfinite(X), "X must be finite"),
        ((X < 0) | (X > 1), "X must lie in [0, 1]"),
    ):
        if wrong.any():
            row, feature = np.argwhere(wrong)[0]
            raise ValueError(f"{problem}; row {row}, feature {feature} is {X[row, feature]}")
    unknown = np.flatnonzero(~np.isin(y, model.classes_))
    if unknown.size:
        raise ValueError(f"y must hold labels out of model.classes_; y[{unknown[0]}] is {y[unknown[0]]!r}")
    budgets = np.atleast_1d(np.asarray(epsilons, dtype=np.float64))
    if budgets.ndim != 1 or budgets.size == 0:
        raise ValueError(f"epsilons must be a number or a flat sequence, got shape {budgets.shape}")
    if not (np.isfinite(budgets) & (budgets >= 0)).all():
        raise ValueError(f"epsilons must be finite and at least 0, got {budgets.tolist()}")
    return X, y, budgets
