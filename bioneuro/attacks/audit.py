"""Is a robustness figure to be believed? The signs of gradient masking, each measured, each pass or warn.

After Athalye, Carlini & Wagner 2018 (arXiv 1802.00420), section 3.1, and Carlini et al. 2019, "On evaluating
adversarial robustness" (arXiv 1902.06705). A check is one generator function and one line in `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..protocols import Loss, ResponseFront, WhiteBox
from .base import (
    Attack,
    AttackResult,
    SampleRandom,
    check_input,
    logits,
    loss_gradient,
    loss_values,
    predict,
    track,
)
from .combine import Ensemble, Transfer
from .gradient import FGSM, LOSSES, PGD, attacked_gradient, offers_response
from .norms import LINF, NORMS
from .square import Square

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["audit"]

#: Largest relative error of an analytic gradient against finite differences.
GRADIENT_TOLERANCE = 0.05
#: Step lengths of the finite differences; the best counts, as the right one depends on the model's precision.
DIFFERENCE_STEPS = (1e-2, 1e-3, 1e-4, 1e-5)
#: A sample's gradient counts as vanished when no entry reaches this.
TINY_GRADIENT = 1e-8
#: Shares above which vanished gradients (of samples) and exact zeros (among a gradient's entries) are a
#: warning.
VANISHED_SHARE, ZERO_SHARE = 0.05, 0.5
#: Random starts make two runs differ a little: a share of the samples this small is no evidence.
ACCURACY_TOLERANCE = 0.01
#: Excess over the budget, and difference between two identical calls, that rounding explains.
ROUNDING = 1e-6


class Finding(NamedTuple):
    check: str
    value: float
    passed: bool


def audit(
    model: WhiteBox,
    X: ArrayLike,
    y: ArrayLike,
    epsilon: float = 0.1,
    norm: str = "linf",
    *,
    n_steps: int = 40,
    n_queries: int = 1000,
    sources: Sequence[WhiteBox] = (),
    random_state: int = 0,
    batch_size: int = 256,
    progress: bool = False,
) -> pd.DataFrame:
    """Look for masked gradients and broken attacks, the usual reasons for robustness that is not there.

    Parameters
    ----------
    model : WhiteBox
    X : array of shape (N, features), in [0, 1]
        A hundred samples do; with N samples, differences of robust accuracy up to max(1 / N, 0.01) pass.
    y : array of shape (N,)
        True labels.
    epsilon : float > 0
        Budget of the comparisons; best where the model's robust accuracy is neither 0 nor 100 %.
    norm : {"linf", "l2"}
    n_steps : int >= 1
        Steps of PGD; also four times as many are run.
    n_queries : int >= 1
        Queries of the black-box attack.
    sources : sequence of WhiteBox
        Further models with the same classes, to transfer from.
    random_state : int
    batch_size, progress
        See `Attack.__call__`.

    Returns
    -------
    DataFrame with columns check, value, status
        One row a check; status is "pass" or "warn". The values:

        ========================================  =========================================================
        clean accuracy                            share; warns at chance or below
        predict against decision_function         share of samples where they disagree
        determinism                               largest difference between two identical calls
        gradient error (loss, variable)           relative error against finite differences
        response inverse, response increasing     largest error; share of features that break it
        vanished gradients (loss)                 share of samples whose gradient is (next to) zero
        zero gradient entries (loss)              share of entries that are exactly zero
        single step minus iterative               difference of robust accuracy, >= 0 expected
        n steps minus 4 n steps                   the same
        black-box minus white-box                 the same, Square against PGD on both losses
        transfer i minus white-box                the same, for each of `sources`
        rise over epsilon                         largest rise of robust accuracy with a growing budget
        robust accuracy, unbounded                at a budget that allows any image; 0 expected
        budget excess                             largest distance beyond epsilon, or outside [0, 1]
        ========================================  =========================================================

    Raises
    ------
    TypeError, ValueError
        As `Attack.__call__`.
    ImportError
        pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("tables of results need pandas: pip install pandas") from error
    PGD(norm=norm, n_steps=n_steps).check_model(model)
    X, y, budgets = check_input(model, X, y, epsilon)
    if budgets.size != 1 or budgets[0] == 0:
        raise ValueError(f"epsilon must be one positive number, got {epsilon}")
    case = _Case(model, X, y, float(budgets[0]), norm, n_steps, n_queries, sources, random_state, batch_size)
    findings = [finding for check in track(CHECKS, progress, "audit") for finding in check(case)]
    rows = [(name, float(value), "pass" if passed else "warn") for name, value, passed in findings]
    return pd.DataFrame(rows, columns=["check", "value", "status"])


@dataclass
class _Case:
    """One model, one set of samples, and the attacks on it; those that several checks use run once."""

    model: WhiteBox
    X: NDArray
    y: NDArray
    epsilon: float
    norm: str
    n_steps: int
    n_queries: int
    sources: Sequence[WhiteBox]
    random_state: int
    batch_size: int

    def __post_init__(self) -> None:
        self.results: list[tuple[AttackResult, float]] = []

    def pgd(self, loss: Loss = "ce", n_steps: int | None = None) -> PGD:
        n_steps = n_steps or self.n_steps
        return PGD(norm=self.norm, loss=loss, n_steps=n_steps, random_state=self.random_state)

    def both_losses(self) -> Ensemble:
        return Ensemble([self.pgd(loss) for loss in LOSSES])

    def accuracy(self, attack: Attack, epsilon: float | None = None) -> float:
        """Robust accuracy; each budget by itself, so that nothing is carried over from a smaller one."""
        epsilon = self.epsilon if epsilon is None else epsilon
        result = attack(self.model, self.X, self.y, epsilon, batch_size=self.batch_size)
        self.results.append((result, epsilon))
        return float(result.robust_accuracy[0])

    @cached_property
    def iterative(self) -> float:
        return self.accuracy(self.pgd())

    @cached_property
    def white_box(self) -> float:
        return self.accuracy(self.both_losses())

    def not_weaker(self, check: str, weak: float, strong: float) -> Finding:
        """The attack that should be the stronger one leaves no more samples standing than the other."""
        return Finding(check, weak - strong, weak - strong >= -self.tolerance)

    @property
    def tolerance(self) -> float:
        return max(1 / len(self.X), ACCURACY_TOLERANCE) + 1e-9


# --- the model ---


def _clean_accuracy(case: _Case) -> Iterator[Finding]:
    accuracy = float((predict(case.model, case.X) == case.y).mean())
    yield Finding("clean accuracy", accuracy, accuracy > 1 / len(case.model.classes_))


def _agreement(case: _Case) -> Iterator[Finding]:
    best = np.asarray(case.model.classes_)[logits(case.model, case.X).argmax(axis=1)]
    disagree = float((predict(case.model, case.X) != best).mean())
    yield Finding("predict against decision_function", disagree, disagree <= ACCURACY_TOLERANCE)


def _determinism(case: _Case) -> Iterator[Finding]:
    def twice(values: Callable[[], NDArray]) -> float:
        first, second = np.array(values(), float), np.array(values(), float)
        return float(np.abs(first - second).max() / max(1.0, np.abs(first).max()))

    difference = max(
        twice(lambda: logits(case.model, case.X)),
        twice(lambda: loss_gradient(case.model.input_gradient, case.X, case.y, "ce")),
    )
    yield Finding("determinism", difference, difference <= ROUNDING)


# --- its gradients ---


def _gradient_errors(case: _Case) -> Iterator[Finding]:
    """Directional derivatives against central differences of the losses, in x and, if offered, in r(x).

    At random points next to the samples: at the samples themselves flat patches sit exactly on the kinks of
    rectifiers, where no difference is right.
    """
    n, features = case.X.shape
    random = SampleRandom(case.random_state, case.X)
    margin = 2 * max(DIFFERENCE_STEPS)
    jitter = max(DIFFERENCE_STEPS) * (2 * random.uniform(features) - 1)
    images = (margin + (1 - 2 * margin) * case.X + jitter).astype(case.X.dtype)
    directions = np.sign(random.uniform(features) - 0.5)
    directions[directions == 0] = 1
    for loss in LOSSES:
        error = _difference_error(case, images, directions, loss, in_response=False)
        yield Finding(f"gradient error ({loss}, x)", error, error <= GRADIENT_TOLERANCE)
        if offers_response(case.model):
            error = _difference_error(case, images, directions, loss, in_response=True)
            yield Finding(f"gradient error ({loss}, response)", error, error <= GRADIENT_TOLERANCE)


def _difference_error(case: _Case, images: NDArray, directions: NDArray, loss: Loss, in_response: bool) -> float:
    """``|differences - derivatives| / |differences|`` over all samples, the least over the step lengths."""
    front = cast(ResponseFront, case.model)
    if in_response:
        points, to_images = np.asarray(front.response(images)), front.response_inverse
        gradient = loss_gradient(front.response_gradient, images, case.y, loss)
        # Relative to the distance to the ends of the range, so that no response leaves it.
        directions = directions * np.minimum(points - front.response(np.zeros_like(images)),
                                             front.response(np.ones_like(images)) - points)  # fmt: skip
    else:
        points, to_images = images, lambda moved: moved
        gradient = loss_gradient(case.model.input_gradient, images, case.y, loss)
    derivatives = (gradient.astype(float) * directions).sum(axis=1)

    def loss_at(step: float) -> NDArray:
        moved = np.asarray(to_images((points + step * directions).astype(points.dtype)))
        return loss_values(case.model, moved.astype(images.dtype, copy=False), case.y, loss)

    errors = []
    for step in DIFFERENCE_STEPS:
        differences = (loss_at(step) - loss_at(-step)) / (2 * step)
        scale = max(float(np.linalg.norm(differences)), float(np.linalg.norm(derivatives)))
        errors.append(float(np.linalg.norm(differences - derivatives)) / scale if scale else 0.0)
    return min(errors)


def _response(case: _Case) -> Iterator[Finding]:
    """What the search in the response space rests on: r is invertible, and increasing feature by feature."""
    if not offers_response(case.model):
        return
    front = cast(ResponseFront, case.model)
    response = np.asarray(front.response(case.X))
    error = float(np.abs(np.asarray(front.response_inverse(response)) - case.X).max())
    # r(x) may be flat to rounding near 0, so single precision cannot give back more than a small part of a
    # level.
    yield Finding("response inverse", error, error <= 1e-3)
    low, high = LINF.box(case.X, case.epsilon)
    broken = (np.asarray(front.response(low)) > response) | (np.asarray(front.response(high)) < response)
    yield Finding("response increasing", float(broken.mean()), not broken.any())


def _vanishing(case: _Case) -> Iterator[Finding]:
    """Of the gradient that PGD follows, at the samples themselves."""
    for loss in LOSSES:
        gradient = np.abs(attacked_gradient(case.model, case.X, case.y, loss, case.norm))
        vanished = float((gradient.max(axis=1) < TINY_GRADIENT).mean())
        yield Finding(f"vanished gradients ({loss})", vanished, vanished <= VANISHED_SHARE)
        zero = float((gradient == 0).mean())
        yield Finding(f"zero gradient entries ({loss})", zero, zero <= ZERO_SHARE)


# --- attacks on it ---


def _single_step(case: _Case) -> Iterator[Finding]:
    single = case.accuracy(FGSM(norm=case.norm, random_state=case.random_state))
    yield case.not_weaker("single step minus iterative", single, case.iterative)


def _more_steps(case: _Case) -> Iterator[Finding]:
    longer = case.accuracy(case.pgd(n_steps=4 * case.n_steps))
    yield case.not_weaker("n steps minus 4 n steps", case.iterative, longer)


def _black_box(case: _Case) -> Iterator[Finding]:
    square = Square(norm=case.norm, n_queries=case.n_queries, random_state=case.random_state)
    yield case.not_weaker("black-box minus white-box", case.accuracy(square), case.white_box)


def _transfer(case: _Case) -> Iterator[Finding]:
    for i, source in enumerate(case.sources):
        crafted_by = PGD(
            norm=case.norm,
            momentum=1.0,
            early_stop=False,
            n_steps=case.n_steps,
            random_state=case.random_state,
        )
        accuracy = case.accuracy(Transfer(source, crafted_by))
        yield case.not_weaker(f"transfer {i} minus white-box", accuracy, case.white_box)


def _monotone(case: _Case) -> Iterator[Finding]:
    accuracies = [case.accuracy(case.both_losses(), share * case.epsilon) for share in (0.25, 0.5)]
    accuracies += [case.white_box, case.accuracy(case.both_losses(), 2 * case.epsilon)]
    rise = float(np.diff(accuracies).max())
    yield Finding("rise over epsilon", rise, rise <= case.tolerance)


def _unbounded(case: _Case) -> Iterator[Finding]:
    accuracy = case.accuracy(case.both_losses(), NORMS[case.norm].diameter(case.X.shape[1]))
    yield Finding("robust accuracy, unbounded", accuracy, accuracy == 0)


def _budget(case: _Case) -> Iterator[Finding]:
    """Over all attacks that the checks before this one ran."""
    excess = max(
        max(float(r.distance.max()) - epsilon, -float(r.adversarial.min()), float(r.adversarial.max()) - 1)
        for r, epsilon in case.results
    )
    yield Finding("budget excess", max(excess, 0.0), excess <= ROUNDING)


CHECKS: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
    _clean_accuracy,
    _agreement,
    _determinism,
    _gradient_errors,
    _response,
    _vanishing,
    _single_step,
    _more_steps,
    _black_box,
    _transfer,
    _monotone,
    _unbounded,
    _budget,
)
