"""Gabor functions fitted to receptive fields, and how oriented a field is without any fit."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from ..checks import plain_array
from ..extras import pandas
from .scaling import Floats

if TYPE_CHECKING:
    import pandas as pd


#: Starts refined, out of a dictionary of Gabors: best first, no two near neighbours of one another.
N_STARTS = 4
#: Smallest sd of the envelope in pixels, and largest relative to the longer side.
SIGMAS = (0.4, 1.5)
#: Lowest frequency relative to one cycle over the longer side: lower is no longer told from a blob.
LOWEST_FREQUENCY = 1 / 8
N_ORIENTATIONS = 24


class GaborFit(NamedTuple):
    """Parameters of a fitted Gabor function (see :func:`fit_gabor`) and the share of variance it explains.

    Attributes
    ----------
    x0, y0 : float
        Centre: column and row, in pixels.
    theta : float in [0, pi)
        Direction in which it is modulated, from the columns towards larger rows.
    sigma_x, sigma_y : float
        Standard deviation of the envelope along and across that direction, in pixels.
    frequency : float
        Cycles a pixel.
    phase : float in [-pi, pi]
        0: even, +-pi/2: odd.
    amplitude : float > 0
    r2 : float
        Share of the variance that it explains.
    """

    x0: float
    y0: float
    theta: float
    sigma_x: float
    sigma_y: float
    frequency: float
    phase: float
    amplitude: float
    r2: float

    @property
    def orientation(self) -> float:
        """Direction of the stripes, ``theta + pi / 2`` in [0, pi)."""
        return (self.theta + np.pi / 2) % np.pi

    @property
    def aspect(self) -> float:
        """``sigma_y / sigma_x``: above 1 the field is longer than it is wide."""
        return self.sigma_y / self.sigma_x

    @property
    def nx(self) -> float:
        """``f sigma_x``: cycles within an sd across the stripes (Ringach 2002); near 0 a blob or a single edge."""
        return self.frequency * self.sigma_x

    @property
    def ny(self) -> float:
        """``f sigma_y``: the same along the stripes."""
        return self.frequency * self.sigma_y

    def image(self, shape: tuple[int, int]) -> Floats:
        """The function on pixels of an image (height, width)."""
        even, odd = _pair(_grid(shape), *self[:6])
        value = self.amplitude * (np.cos(self.phase) * even - np.sin(self.phase) * odd)
        return value.reshape(shape)


def _grid(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Column and row of each pixel, flat."""
    y, x = np.indices(shape, float).reshape(2, -1)
    return x, y


def _pair(
    grid: tuple[Floats, Floats], x0: float, y0: float, theta: float, sigma_x: float, sigma_y: float, frequency: float
) -> tuple[Floats, Floats]:
    """Envelope times cosine and times sine."""
    dx, dy = grid[0] - x0, grid[1] - y0
    u = np.cos(theta) * dx + np.sin(theta) * dy
    v = np.cos(theta) * dy - np.sin(theta) * dx
    envelope = np.exp(-0.5 * ((u / sigma_x) ** 2 + (v / sigma_y) ** 2))
    wave = 2 * np.pi * frequency * u
    return envelope * np.cos(wave), envelope * np.sin(wave)


def _weights(even: Floats, odd: Floats, field: Floats) -> tuple[float, float]:
    """Least-squares weights of the pair: phase and amplitude need no search."""
    ee, oo, eo = even @ even, odd @ odd, even @ odd
    fe, fo = even @ field, odd @ field
    ridge = 1e-9 * (ee + oo) + 1e-300
    determinant = (ee + ridge) * (oo + ridge) - eo * eo
    a, b = (oo + ridge) * fe - eo * fo, (ee + ridge) * fo - eo * fe
    return float(a / determinant), float(b / determinant)


@lru_cache(maxsize=4)
def _dictionary(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Parameters (k, 6) of the possible starts, and (k, 2, pixels) an orthonormal basis of each one's pair."""
    height, width = shape
    side = max(shape)
    frequencies = np.geomspace(max(0.5 / side, 0.02), 0.4, 6)
    angles = np.arange(8) * np.pi / 8
    centres = [
        (x, y) for x in np.linspace(0.15, 0.85, 4) * (width - 1) for y in np.linspace(0.15, 0.85, 4) * (height - 1)
    ]
    widths = np.geomspace(0.12, 0.4, 3) * side
    starts = np.array([(x, y, theta, s, s, f) for (x, y), theta, s, f in product(centres, angles, widths, frequencies)])
    grid = _grid(shape)
    bases = np.stack([np.linalg.qr(np.stack(_pair(grid, *start), axis=1))[0].T for start in starts])
    return starts, bases


def _starts(field: Floats, shape: tuple[int, int]) -> Floats:
    """The best entries of the dictionary that differ in frequency, orientation or place."""
    starts, bases = _dictionary(shape)
    explained = ((bases @ field) ** 2).sum(axis=1)
    chosen: list[Floats] = []
    for k in np.argsort(-explained):
        start = starts[k]
        turn = [abs((start[2] - other[2] + np.pi / 2) % np.pi - np.pi / 2) for other in chosen]
        if all(
            angle > 0.5 or abs(np.log(start[5] / other[5])) > 0.6 or np.hypot(*(start[:2] - other[:2])) > max(shape) / 4
            for angle, other in zip(turn, chosen, strict=True)
        ):
            chosen.append(start)
        if len(chosen) == N_STARTS:
            break
    return np.array(chosen)


def _checked(field: ArrayLike, name: str = "field") -> Floats:
    field = plain_array(field, name, np.float64)
    if field.ndim != 2 or min(field.shape) < 4:
        raise ValueError(f"{name} must be 2-d, at least 4 x 4 (a Gabor function has 8 parameters), got {field.shape}")
    if not np.isfinite(field).all():
        raise ValueError(f"{name} must be finite")
    return field


class _Search:
    """Least squares of a flat ``field`` over ``p``: centre, orientation, logs of the widths, frequency."""

    def __init__(self, field: Floats, shape: tuple[int, int]) -> None:
        self.field, self.grid, side = field, _grid(shape), max(shape)
        least, most = np.log(SIGMAS[0]), np.log(SIGMAS[1] * side)
        self.low = np.array([0, 0, -np.inf, least, least, LOWEST_FREQUENCY / side])
        self.high = np.array([shape[1] - 1, shape[0] - 1, np.inf, most, most, 0.5])

    def pair(self, p: Floats) -> tuple[Floats, Floats]:
        return _pair(self.grid, p[0], p[1], p[2], np.exp(p[3]), np.exp(p[4]), p[5])

    def residuals(self, p: Floats) -> Floats:
        even, odd = self.pair(p)
        a, b = _weights(even, odd, self.field)
        return a * even + b * odd - self.field

    def slopes(self, p: Floats) -> Floats:
        """Jacobian at the solved weights, less what changing these would undo (Kaufman's approximation)."""
        sx, sy = np.exp(p[3:5])
        even, odd = pair = np.stack(self.pair(p))
        a, b = _weights(even, odd, self.field)
        wave, quarter = a * even + b * odd, b * even - a * odd  # the second: its derivative by the phase
        dx, dy = self.grid[0] - p[0], self.grid[1] - p[1]
        cos, sin = np.cos(p[2]), np.sin(p[2])
        u, v = cos * dx + sin * dy, cos * dy - sin * dx
        turn = 2 * np.pi * p[5]
        by_u, by_v = turn * quarter - wave * u / sx**2, -wave * v / sy**2
        J = np.stack(
            [
                sin * by_v - cos * by_u,
                -sin * by_u - cos * by_v,
                v * by_u - u * by_v,
                wave * (u / sx) ** 2,
                wave * (v / sy) ** 2,
                2 * np.pi * u * quarter,
            ],
            axis=1,
        )
        basis = np.linalg.qr(pair.T)[0]
        return J - basis @ (basis.T @ J)

    def refined(self, p: Floats, tolerance: float) -> optimize.OptimizeResult:
        return optimize.least_squares(
            self.residuals,
            np.clip(p, self.low, self.high),
            self.slopes,
            (self.low, self.high),
            x_scale=(1, 1, 0.3, 0.3, 0.3, 0.1),
            ftol=tolerance,
            xtol=tolerance,
            gtol=tolerance,
            max_nfev=100,
        )


def fit_gabor(field: ArrayLike) -> GaborFit:
    """Fit a Gabor function to a receptive field by least squares.

    ``g = A exp(-x'^2 / 2 sigma_x^2 - y'^2 / 2 sigma_y^2) cos(2 pi f x' + phase)``, with ``x', y'`` the distances
    from the centre along and across ``theta`` [1]_. Amplitude and phase are solved for exactly (they are linear in the
    cosine and the sine: variable projection [2]_), the other six by `scipy.optimize.least_squares` from the four best
    of a dictionary of Gabors. There is no constant term.

    Parameters
    ----------
    field : array_like (height, width)
        Signed, e.g. ON minus OFF weights; at least 4 x 4 pixels.

    Returns
    -------
    GaborFit
        ``r2 = 1 - |field - g|^2 / |field - mean|^2``. Eight parameters explain much of any small field: read it beside
        that of noise of the same size. All NaN where the field is constant.

    Raises
    ------
    ValueError
        A field that is not 2-d, is smaller than 4 x 4 or not finite.

    References
    ----------
    .. [1] D. L. Ringach, J. Neurophysiology 88:455 (2002).
    .. [2] L. Kaufman, BIT 15:49 (1975).
    """
    image = _checked(field)
    shape = image.shape
    variance = float(((image - image.mean()) ** 2).sum())
    if variance <= 1e-20 * float((image**2).sum()) or variance == 0:
        return GaborFit(*[np.nan] * 9)
    scale = np.sqrt(variance)
    search = _Search(image.ravel() / scale, shape)
    starts = _starts(search.field, shape)
    starts[:, 3:5] = np.log(starts[:, 3:5])
    roughly = min((search.refined(start, 1e-4) for start in starts), key=lambda found: found.cost)
    best = search.refined(roughly.x, 1e-9)
    x0, y0, theta, log_x, log_y, frequency = best.x
    a, b = _weights(*search.pair(best.x), search.field)
    turns = np.floor(theta / np.pi)
    theta -= turns * np.pi
    if theta >= np.pi:  # by rounding, from just below 0
        theta, turns = 0.0, turns + 1
    if turns % 2:  # half a turn changes the sign of the sine
        b = -b
    return GaborFit(
        float(x0),
        float(y0),
        float(theta),
        float(np.exp(log_x)),
        float(np.exp(log_y)),
        float(frequency),
        float(np.arctan2(-b, a)),
        float(np.hypot(a, b) * scale),
        1 - 2 * float(best.cost),
    )


def orientation_index(fields: ArrayLike) -> Floats:
    """How much more a field answers to gratings of one orientation than of others, in [0, 1].

    At the spatial frequency of its largest answer, ``|sum_k R_k exp(2i theta_k)| / sum_k R_k`` over 24 orientations,
    with ``R`` the answer to the grating at its best phase: 1 minus the circular variance [1]_. 0: no orientation is
    preferred; 1: a single one is answered.

    Parameters
    ----------
    fields : array_like (n, height, width)

    Returns
    -------
    ndarray (n,)
        NaN where a field is constant.

    References
    ----------
    .. [1] D. L. Ringach, R. M. Shapley & M. J. Hawken, J. Neuroscience 22:5639 (2002).
    """
    given = plain_array(fields, "fields", np.float64)
    if given.ndim != 3:
        raise ValueError(f"fields must be (n, height, width), got {given.shape}")
    n, height, width = given.shape
    flat = given.reshape(n, -1)
    varies = np.ptp(flat, axis=1) > 1e-12 * np.abs(flat).max(axis=1)
    flat = flat - flat.mean(axis=1, keepdims=True)  # a grating has no mean
    x, y = _grid((height, width))
    side = max(height, width)
    angles = np.arange(N_ORIENTATIONS) * np.pi / N_ORIENTATIONS
    frequencies = np.linspace(0.5 / side, 0.5, 12)
    waves = 2 * np.pi * (np.cos(angles)[:, None] * x + np.sin(angles)[:, None] * y)
    answers = np.stack([np.abs(flat @ np.exp(1j * f * waves).T) for f in frequencies], axis=1)
    at_best = answers[np.arange(n), answers.max(axis=2).argmax(axis=1)]
    total = at_best.sum(axis=1)
    vector = np.abs(at_best @ np.exp(2j * angles))
    return np.divide(vector, total, out=np.full(n, np.nan), where=(total > 0) & varies)


def fit_gabors(fields: ArrayLike) -> pd.DataFrame:
    """:func:`fit_gabor` of every field, with what follows from each fit.

    Parameters
    ----------
    fields : array_like (n, height, width)

    Returns
    -------
    DataFrame
        One row a field: the columns of :class:`GaborFit`; `orientation`, `aspect`, `nx`, `ny`; `orientation_index` of
        the field itself (:func:`orientation_index`).
    """
    fields = plain_array(fields, "fields", np.float64)
    index = orientation_index(fields)
    fits = [fit_gabor(_checked(field, f"fields[{i}]")) for i, field in enumerate(fields)]
    frame = pandas().DataFrame(fits, columns=GaborFit._fields)
    for name in ("orientation", "aspect", "nx", "ny"):
        frame[name] = [getattr(fit, name) for fit in fits]
    frame["orientation_index"] = index
    return frame
