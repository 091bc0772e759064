"""Information that cells carry, in bits, by estimators whose bias is bounded or shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ..checks import check_count, check_number, plain_array
from .activity import stimulus_rates
from .scaling import Floats

NATS_PER_BIT = float(np.log(2))
#: Samples whose distances to all others are in memory at a time.
ROWS = 512

# --- discrete ----------------------------------------------------------------------------------------------


class DiscreteInformation(NamedTuple):
    """Result of :func:`discrete_information`, in bits.

    Attributes
    ----------
    information : float
        I(a; b).
    conditional : float
        H(a | b).
    correction : float
        What the Miller-Madow terms took from the first.
    """

    information: float
    conditional: float
    correction: float


def discrete_entropy(values: ArrayLike) -> tuple[float, float]:
    """Plug-in entropy of discrete values and its Miller-Madow term ``(m - 1) / 2n``, in bits.

    Parameters
    ----------
    values : array_like, (n,)
        ``m`` different ones. The plug-in estimate is too small by about the second value [1]_.

    Returns
    -------
    entropy, correction : float

    References
    ----------
    .. [1] G. A. Miller, in: Information Theory in Psychology, ed. H. Quastler (1955), 95-100.
    """
    values = plain_array(values, "values")
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"values must be 1-d with at least one value, got shape {values.shape}")
    counts = np.unique(values, return_counts=True)[1]
    return float(stats.entropy(counts, base=2)), (counts.size - 1) / (2 * values.size * NATS_PER_BIT)


def discrete_information(a: ArrayLike, b: ArrayLike) -> DiscreteInformation:
    """``I(a; b) = H(a) + H(b) - H(a, b)`` and ``H(a | b) = H(a, b) - H(b)``, with the correction of Miller (1955).

    Where values of ``a`` outnumber samples per value of ``b``, what is left of the bias is upwards for the
    information and downwards for the conditional entropy: see :func:`shuffled_information`.

    Parameters
    ----------
    a, b : array_like of discrete values, (n,)

    Returns
    -------
    DiscreteInformation
    """
    a, b = plain_array(a, "a"), plain_array(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"a and b must be paired: they have shapes {a.shape} and {b.shape}")
    codes = [np.unique(values, return_inverse=True)[1].ravel() for values in (a, b)]
    joint = codes[0] * (codes[1].max(initial=0) + 1) + codes[1]
    (h_a, m_a), (h_b, m_b), (h_ab, m_ab) = map(discrete_entropy, (*codes, joint))
    return DiscreteInformation(h_a + m_a + h_b + m_b - h_ab - m_ab, h_ab + m_ab - h_b - m_b, m_ab - m_a - m_b)


def shuffled_information(a: ArrayLike, b: ArrayLike, rng: np.random.Generator, n_shuffles: int = 20) -> Floats:
    """:func:`discrete_information` with ``b`` in random order: what is found where there is none.

    Parameters
    ----------
    a, b : array_like, (n,)
        Discrete values.
    rng : Generator
    n_shuffles : int >= 1

    Returns
    -------
    ndarray, (n_shuffles,)
        Bits.
    """
    check_count("n_shuffles", n_shuffles)
    discrete_information(a, b)  # bad arguments are refused before anything is drawn
    return np.array([discrete_information(a, rng.permutation(b)).information for _ in range(n_shuffles)])


# --- continuous --------------------------------------------------------------------------------------------


class InformationBounds(NamedTuple):
    """Bounds of I(X; Z) in bits.

    Attributes
    ----------
    lower, upper : float
        For X uniform over the n samples.
    gaussian : float
        Another upper bound, which knows no cap: it may lie below ``upper``.
    cap : float
        ``log2 n``: the most that ``lower`` and ``upper`` can be.
    """

    lower: float
    upper: float
    gaussian: float
    cap: float


def relative_noise(rates: ArrayLike, share: float) -> float:
    """``share`` times the root mean square over cells of the standard deviation of their rates.

    With noise of this size the information does not depend on the unit of the rates.

    Parameters
    ----------
    rates : array_like, (n, n_cells)
    share : float > 0

    Returns
    -------
    float
    """
    rates = stimulus_rates(rates)
    check_number("share", share, "> 0")
    sd = share * float(np.sqrt(rates.var(axis=0).mean()))
    if sd == 0:
        raise ValueError("rates must vary: all samples give the same")
    return sd


def information_bounds(rates: ArrayLike, noise_sd: float) -> InformationBounds:
    """Bounds of ``I(X; Z)``, ``Z = rates(X) + N(0, s^2 I)``, from samples and in closed form.

    A deterministic code of a continuous input carries infinite information, so the noise is part of the question: each
    cell's rate is read with Gaussian noise of standard deviation ``s``. With X uniform over the n samples Z is a
    mixture of n Gaussians, and with ``d_ij`` the distance of two samples' rates [1]_

        -mean_i log mean_j exp(-d_ij^2 / 8 s^2)  <=  I  <=  -mean_i log mean_j exp(-d_ij^2 / 2 s^2)  <=  log n.

    Where both are near ``cap`` the samples are too few to tell how much there is: no estimate that holds with
    confidence exceeds log n [2]_. The maximum-entropy bound ``1/2 log det(1 + Cov / s^2)`` is above I, too, but has no
    such cap; where the code is nearly Gaussian it is the tighter one. It is what a variational encoder with the best
    Gaussian marginal reports (its rate), and says how wide the code is, not how much of it is used.

    Parameters
    ----------
    rates : array_like, (n, n_cells)
        n >= 2 samples.
    noise_sd : float > 0
        ``s``, in the unit of the rates (:func:`relative_noise`).

    Returns
    -------
    InformationBounds
        In bits. For the population that the samples come from, ``lower`` is too low (the more so the nearer to the
        cap), ``upper`` may be, and ``gaussian`` is biased downwards where n is not many times n_cells: see
        :func:`information_by_samples`.

    References
    ----------
    .. [1] A. Kolchinsky & B. D. Tracey, Entropy 19:361 (2017).
    .. [2] D. McAllester & K. Stratos, AISTATS (2020), arXiv:1811.04251.
    """
    rates = stimulus_rates(rates)
    _check_noise(noise_sd)
    Z = (rates - rates.mean(axis=0)) / noise_sd
    n = len(Z)
    squares = (Z * Z).sum(axis=1)
    lower = upper = 0.0
    for start in range(0, n, ROWS):
        rows = slice(start, min(start + ROWS, n))
        distance = squares[rows, None] + squares - 2 * Z[rows] @ Z.T
        np.maximum(distance, 0, out=distance)  # rounding
        distance[np.arange(len(distance)), np.arange(start, start + len(distance))] = 0
        lower -= float(np.log(np.exp(distance / -8).mean(axis=1)).sum())
        upper -= float(np.log(np.exp(distance / -2).mean(axis=1)).sum())
    lower, upper = lower / n / NATS_PER_BIT, upper / n / NATS_PER_BIT
    return InformationBounds(lower, upper, gaussian_information(rates, noise_sd), float(np.log2(n)))


def gaussian_information(rates: ArrayLike, noise_sd: float) -> float:
    """``1/2 log2 det(1 + Cov(rates) / s^2)``: the upper bound ``gaussian`` of :func:`information_bounds` alone, which
    needs no pairs of samples.

    Parameters
    ----------
    rates : array_like, (n, n_cells)
    noise_sd : float > 0

    Returns
    -------
    float
        Bits.
    """
    rates = stimulus_rates(rates)
    _check_noise(noise_sd)
    Z = (rates - rates.mean(axis=0)) / noise_sd
    return float(np.log1p(np.maximum(np.linalg.eigvalsh(Z.T @ Z / len(Z)), 0)).sum()) / (2 * NATS_PER_BIT)


def information_by_samples(
    rates: ArrayLike, noise_sd: float, sizes: Iterable[int], rng: np.random.Generator
) -> list[InformationBounds]:
    """:func:`information_bounds` of nested random subsets, one for each size: how the bias falls with samples.

    Parameters
    ----------
    rates : array_like, (n, n_cells)
    noise_sd : float > 0
    sizes : iterable of int in [2, n]
    rng : Generator

    Returns
    -------
    list of InformationBounds
        One for each number of samples.
    """
    rates, sizes = stimulus_rates(rates), list(sizes)
    _check_noise(noise_sd)
    for i, size in enumerate(sizes):
        check_count(f"sizes[{i}]", size, 2, len(rates))
    order = rng.permutation(len(rates))
    return [information_bounds(rates[order[:size]], noise_sd) for size in sizes]


def synaptic_capacity(information: float, n_non_silent: int) -> float:
    """``C_S = I(X; Z) / number of synapses that are not silent``, in bits per synapse for an information in bits.

    Parameters
    ----------
    information : float >= 0
        In bits.
    n_non_silent : int >= 1

    Returns
    -------
    float
        Bits per synapse.
    """
    check_number("information", information, ">= 0")
    check_count("n_non_silent", n_non_silent)
    return information / n_non_silent


def _check_noise(noise_sd: float) -> None:
    check_number("noise_sd", noise_sd, "> 0")
