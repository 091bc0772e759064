"""The checks of the audit: a check is one generator function and one line in `CHECKS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..losses import LOSSES
from ..protocols import Loss, ResponseFront, WhiteBox
from .adaptive import Adaptive, offered_surrogates
from .answers import gradient_of, logits, losses_of, predict
from .base import Attack, AttackResult
from .decision import CGBA, LEAST_QUERIES, RayS
from .ensemble import Ensemble
from .few_pixels import FewPixels
from .frank_wolfe import FrankWolfe
from .gradient import FGSM, PGD
from .landscape import end_points
from .norms import LINF, NORMS
from .sample_random import SampleRandom
from .spaces import attacked_gradient, offers_response
from .square import Square
from .transfer import Transfer

__all__ = ["CHECKS", "Case", "Finding", "Status"]

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
#: An attack has converged if four times the steps, or starts, break no more of the samples than this.
CONVERGED = 0.05
#: Least share of samples whose loss rises at least as much along the gradient as along a random direction.
GRADIENT_SHARE = 0.5
#: Most that a response may change on its way to an image and back.
RESPONSE_ERROR = 1e-5
#: An entry of a gradient is tiny below this share of the sample's largest.
TINY_SHARE = 1e-6
#: Excess over the budget, and difference between two identical calls, that rounding explains.
ROUNDING = 1e-6


Status = Literal["pass", "warn", "value"]


class Finding(NamedTuple):
    """One check's value; "value" is for information, there is no right or wrong."""

    check: str
    value: float
    status: Status


def judged(check: str, value: float, passed: bool) -> Finding:
    """A finding that passes or warns."""
    return Finding(check, value, "pass" if passed else "warn")


@dataclass
class Case:
    """One model, one set of samples, and the attacks on it; those that several checks use run once."""

    model: WhiteBox
    X: NDArray
    y: NDArray
    epsilon: float
    norm: str
    n_steps: int
    n_queries: int
    sources: Mapping[str, WhiteBox]
    random_state: int
    batch_size: int

    def __post_init__(self) -> None:
        self.results: list[tuple[AttackResult, float]] = []

    def pgd(self, loss: Loss = "ce", n_steps: int | None = None) -> PGD:
        n_steps = n_steps or self.n_steps
        return PGD(norm=self.norm, loss=loss, n_steps=n_steps, random_state=self.random_state)

    def climbing(self, loss: Loss) -> list[Attack]:
        """What follows a gradient: in small steps and, in L2, in jumps."""
        jumps = FrankWolfe(loss=loss, n_steps=self.n_steps, random_state=self.random_state)
        return [self.pgd(loss), *([jumps] if self.norm == jumps.norm else [])]

    def plain(self) -> list[Attack]:
        """On both losses, by the model's own gradient."""
        return [attack for loss in LOSSES for attack in self.climbing(loss)]

    def strongest(self) -> Ensemble:
        """The same, and on the margin through every surrogate that the model offers."""
        through = [Adaptive(attack, name) for name in self.surrogates for attack in self.climbing("margin")]
        return Ensemble([*self.plain(), *through])

    @cached_property
    def surrogates(self) -> list[str]:
        return list(offered_surrogates(self.model))

    def run(self, attack: Attack, epsilon: float | None = None) -> AttackResult:
        """Each budget by itself, so that nothing is carried over from a smaller one."""
        epsilon = self.epsilon if epsilon is None else epsilon
        result = attack(self.model, self.X, self.y, epsilon, batch_size=self.batch_size)
        self.results.append((result, epsilon))
        return result

    def accuracy(self, attack: Attack, epsilon: float | None = None) -> float:
        """Robust accuracy."""
        return float(self.run(attack, epsilon).robust_accuracy[0])

    @cached_property
    def iterative(self) -> float:
        return self.accuracy(self.pgd())

    @cached_property
    def white_box_result(self) -> AttackResult:
        return self.run(self.strongest())

    @property
    def white_box(self) -> float:
        return float(self.white_box_result.robust_accuracy[0])

    def not_weaker(self, check: str, weak: float, strong: float) -> Finding:
        """The attack that should be the stronger one leaves no more samples standing than the other."""
        return judged(check, weak - strong, weak - strong >= -self.tolerance)

    @property
    def tolerance(self) -> float:
        return max(1 / len(self.X), ACCURACY_TOLERANCE) + 1e-9

    def converged(self, check: str, short: float, long: float) -> Finding:
        """The longer attack is not weaker, and hardly stronger."""
        gain = short - long
        return judged(check, gain, -self.tolerance <= gain <= max(CONVERGED, self.tolerance))


# --- the model ---


def _clean_accuracy(case: Case) -> Iterator[Finding]:
    accuracy = float((predict(case.model, case.X) == case.y).mean())
    yield judged("clean accuracy", accuracy, accuracy > 1 / len(case.model.classes_))


def _agreement(case: Case) -> Iterator[Finding]:
    best = np.asarray(case.model.classes_)[logits(case.model, case.X).argmax(axis=1)]
    disagree = float((predict(case.model, case.X) != best).mean())
    yield judged("predict against decision_function", disagree, disagree <= ACCURACY_TOLERANCE)


def _determinism(case: Case) -> Iterator[Finding]:
    def twice(values: Callable[[], NDArray]) -> float:
        first, second = np.array(values(), float), np.array(values(), float)
        return float(np.abs(first - second).max() / max(1.0, np.abs(first).max()))

    difference = max(
        twice(lambda: logits(case.model, case.X)),
        twice(lambda: gradient_of(case.model.input_gradient, case.X, case.y, "ce")),
    )
    yield judged("determinism", difference, difference <= ROUNDING)


# --- its gradients ---


def _gradient_errors(case: Case) -> Iterator[Finding]:
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
        error = _difference_error(case, images, directions, loss)
        yield judged(f"gradient error ({loss}, x)", error, error <= GRADIENT_TOLERANCE)
        if offers_response(case.model):
            error = _difference_error(case, images, directions, loss, case.model)
            yield judged(f"gradient error ({loss}, response)", error, error <= GRADIENT_TOLERANCE)


def _difference_error(
    case: Case, images: NDArray, directions: NDArray, loss: Loss, front: ResponseFront | None = None
) -> float:
    """``|differences - derivatives| / |differences|`` over all samples, the least over the step lengths.

    With respect to the response of ``front``, if that is given, else to the input.
    """
    if front is not None:
        points, to_images = np.asarray(front.response(images)), front.response_inverse
        gradient = gradient_of(front.response_gradient, images, case.y, loss)
        # Relative to the distance to the ends of the range, so that no response leaves it.
        directions = directions * np.minimum(points - front.response(np.zeros_like(images)),
                                             front.response(np.ones_like(images)) - points)  # fmt: skip
    else:
        points, to_images = images, lambda R: R
        gradient = gradient_of(case.model.input_gradient, images, case.y, loss)
    derivatives = (gradient.astype(float) * directions).sum(axis=1)

    def loss_at(step: float) -> NDArray:
        moved = np.asarray(to_images((points + step * directions).astype(points.dtype)))
        return losses_of(case.model, moved.astype(images.dtype, copy=False), case.y, loss)

    errors = []
    for step in DIFFERENCE_STEPS:
        differences = (loss_at(step) - loss_at(-step)) / (2 * step)
        scale = max(float(np.linalg.norm(differences)), float(np.linalg.norm(derivatives)))
        errors.append(float(np.linalg.norm(differences - derivatives)) / scale if scale else 0.0)
    return min(errors)


def _response(case: Case) -> Iterator[Finding]:
    """What the search in the response space rests on: r is invertible, and increasing feature by feature."""
    front = case.model
    if not offers_response(front):
        return
    response = np.asarray(front.response(case.X))
    images = np.asarray(front.response_inverse(response))
    # What the search believes in is r. Where r is flat to rounding, the pixel itself is not given back, but neither
    # search nor model could tell the difference; that the pixel stays in its ball is checked on the images.
    error = float(np.abs(np.asarray(front.response(images)) - response).max())
    yield judged("response inverse", error, error <= RESPONSE_ERROR)
    yield Finding("pixel error of the response inverse", float(np.abs(images - case.X).max()), "value")
    low, high = LINF.box(case.X, case.epsilon)
    broken = (np.asarray(front.response(low)) > response) | (np.asarray(front.response(high)) < response)
    yield judged("response increasing", float(broken.mean()), not broken.any())


def _vanishing(case: Case) -> Iterator[Finding]:
    """Of the gradient that PGD follows, at the samples themselves."""
    for loss in LOSSES:
        gradient = np.abs(attacked_gradient(case.model, case.X, case.y, loss, case.norm))
        vanished = float((gradient.max(axis=1) < TINY_GRADIENT).mean())
        yield judged(f"vanished gradients ({loss})", vanished, vanished <= VANISHED_SHARE)
        zero = float((gradient == 0).mean())
        yield judged(f"zero gradient entries ({loss})", zero, zero <= ZERO_SHARE)
        tiny = float((gradient <= TINY_SHARE * gradient.max(axis=1, keepdims=True)).mean())
        yield Finding(f"tiny gradient entries ({loss})", tiny, "value")


def _against_random(case: Case) -> Iterator[Finding]:
    ends = end_points(case.model, case.X, case.y, case.epsilon, case.norm, "margin", case.random_state)
    along, elsewhere = (losses_of(case.model, images, case.y, "margin") for images in ends)
    share = float((along >= elsewhere).mean())
    yield judged("gradient against random direction", share, share >= GRADIENT_SHARE)


# --- attacks on it ---


def _single_step(case: Case) -> Iterator[Finding]:
    single = case.accuracy(FGSM(norm=case.norm, random_state=case.random_state))
    yield case.not_weaker("single step minus iterative", single, case.iterative)


def _more_steps(case: Case) -> Iterator[Finding]:
    longer = case.accuracy(case.pgd(n_steps=4 * case.n_steps))
    yield case.converged("n steps minus 4 n steps", case.iterative, longer)


def _more_starts(case: Case) -> Iterator[Finding]:
    starts = case.accuracy(replace(case.pgd(), n_restarts=4))
    yield case.converged("1 start minus 4 starts", case.iterative, starts)


def _adaptive(case: Case) -> Iterator[Finding]:
    if case.surrogates:
        plain = case.accuracy(Ensemble(case.plain()))
        yield Finding("plain minus adaptive", plain - case.white_box, "value")


def _black_box(case: Case) -> Iterator[Finding]:
    square = Square(norm=case.norm, n_queries=case.n_queries, random_state=case.random_state)
    yield case.not_weaker("black-box minus white-box", case.accuracy(square), case.white_box)


def _few_pixels(case: Case) -> Iterator[Finding]:
    """In L2, changing few pixels much may break what small steps, and windows full of small changes, do not."""
    if case.norm == "l2":
        small = case.accuracy(Ensemble([case.pgd(loss) for loss in LOSSES]))
        yield Finding("small steps minus white-box", small - case.white_box, "value")
        search = FewPixels(n_queries=case.n_queries, random_state=case.random_state)
        yield case.not_weaker("few pixels minus white-box", case.accuracy(search), case.white_box)


def _decision_based(case: Case) -> Iterator[Finding]:
    make = {"linf": RayS, "l2": CGBA}[case.norm]
    attack = make(norm=case.norm, n_queries=max(case.n_queries, LEAST_QUERIES), random_state=case.random_state)
    yield case.not_weaker("decision-based minus white-box", case.accuracy(attack), case.white_box)


def _transfer(case: Case) -> Iterator[Finding]:
    for name, source in case.sources.items():
        crafted_by = PGD(
            norm=case.norm,
            momentum=1.0,
            early_stop=False,
            n_steps=case.n_steps,
            random_state=case.random_state,
        )
        accuracy = case.accuracy(Transfer(source, crafted_by))
        yield case.not_weaker(f"transfer {name} minus white-box", accuracy, case.white_box)
        broken = case.white_box_result.success[0] & (predict(source, case.X) == case.y)
        images = case.white_box_result.adversarial[0][broken]
        survived = float((predict(source, images) == case.y[broken]).mean()) if broken.any() else 1.0
        yield Finding(f"white-box images on {name}", survived, "value")


def _monotone(case: Case) -> Iterator[Finding]:
    accuracies = [case.accuracy(case.strongest(), share * case.epsilon) for share in (0.25, 0.5)]
    accuracies += [case.white_box, case.accuracy(case.strongest(), 2 * case.epsilon)]
    rise = float(np.diff(accuracies).max())
    yield judged("rise over epsilon", rise, rise <= case.tolerance)


def _unbounded(case: Case) -> Iterator[Finding]:
    accuracy = case.accuracy(case.strongest(), NORMS[case.norm].diameter(case.X.shape[1]))
    yield judged("robust accuracy, unbounded", accuracy, accuracy == 0)


def _budget(case: Case) -> Iterator[Finding]:
    """Over all attacks that the checks before this one ran."""
    excess = max(
        max(float(r.distance.max()) - epsilon, -float(r.adversarial.min()), float(r.adversarial.max()) - 1)
        for r, epsilon in case.results
    )
    yield judged("budget excess", max(excess, 0.0), excess <= ROUNDING)


CHECKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    _clean_accuracy,
    _agreement,
    _determinism,
    _gradient_errors,
    _response,
    _vanishing,
    _against_random,
    _single_step,
    _more_steps,
    _more_starts,
    _adaptive,
    _black_box,
    _few_pixels,
    _decision_based,
    _transfer,
    _monotone,
    _unbounded,
    _budget,
)
