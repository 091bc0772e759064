"""Fixed point of a recurrent circuit of excitatory and inhibitory cells, and its gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..checks import check_count, check_number
from ..synapses import Synapses

#: Most active cells of a sample whose equations are solved at once.
LARGEST_SUPPORT = 512
#: Elements of the small systems in memory at a time.
CHUNK = 1 << 23
#: Most rounds of pivoting, rounds without progress until cells are exchanged one by one, most cells that join at once.
PIVOTS, PATIENCE, MOST_JOIN = 60, 3, 32
#: Steps of the power iteration: 1 % is near enough, and an upper bound is not needed.
POWER_STEPS = 50


class Settled(NamedTuple):
    """Where a circuit came to rest.

    Attributes
    ----------
    y : ndarray, shape (batch, n_E)
    q : ndarray, shape (batch, n_I)
        Rates.
    residual : ndarray, shape (batch,)
        ``max_i |F(y)_i - y_i|`` relative to the largest rate.
    n_iter : ndarray of int, shape (batch,)
        Evaluations of ``F``.
    """

    y: NDArray
    q: NDArray
    residual: NDArray
    n_iter: NDArray[np.intp]


def matrix(pathway: Synapses | NDArray) -> NDArray:
    """A pathway as a dense array ``(n_post, n_pre)``."""
    return pathway.to_scipy().toarray() if isinstance(pathway, Synapses) else np.asarray(pathway)


def spectral_radius(U: NDArray, V: NDArray) -> float:
    """Spectral radius of ``|V| |U|``, which bounds that of ``V U`` on every set of active cells (power iteration)."""
    U, V = np.abs(U), np.abs(V)
    x = np.full(U.shape[1], 1.0, np.result_type(U, V))
    rho = 0.0
    for _ in range(POWER_STEPS):
        x = V @ (U @ x)
        before, rho = rho, float(np.linalg.norm(x))
        if rho == 0:
            break
        x /= rho
        if abs(rho - before) <= 1e-3 * rho:
            break
    return rho


def settle(
    drive: NDArray,
    U: Synapses | NDArray,
    V: Synapses | NDArray,
    threshold: NDArray | float = 0.0,
    *,
    tol: float = 1e-4,
    max_iter: int = 1000,
    start: NDArray | None = None,
) -> Settled:
    """Rates at which excitatory cells and the inhibitory cells that they drive hold each other in balance.

    ``y = F(y) = (a + V q - th)+`` with ``q = (U y)+``. Inhibition is a ``V <= 0``; any signs are taken.

    With ``U >= 0`` this is a linear complementarity problem, which :func:`pivot` solves in a few rounds. What is left
    takes steps: Newton's (the equations of the active cells, as if those stayed active) or, where that brings a sample
    no nearer to rest, ``y + d (F(y) - y)`` with ``d = 1 / (1 + rho)``, ``rho`` the spectral radius of ``|V| |U|``,
    which contracts for symmetric inhibition (``V = -U^T``). That has one fixed point for each drive; strong ``U`` and
    ``V`` that are unrelated need not have any. Each sample settles by itself: its rates do not depend on its batch (up
    to rounding).

    Parameters
    ----------
    drive : ndarray of shape (batch, n_E), float32 or float64
        Afferent drive ``a``, finite.
    U : Synapses or ndarray of shape (n_I, n_E)
        E -> I.
    V : Synapses or ndarray of shape (n_E, n_I)
        I -> E; inhibitory where negative.
    threshold : ndarray of shape (n_E,) or float
    tol : float, default 1e-4
        Largest residual at rest, > 0.
    max_iter : int, default 1000
        Most evaluations of ``F``, >= 1.
    start : ndarray of shape (batch, n_E), optional
        Rates to start from, >= 0; default ``(a - th)+``.

    Returns
    -------
    Settled
        Samples that did not settle have ``residual > tol``.

    Raises
    ------
    ValueError
        Shapes that do not fit, a drive or weights that are not finite, ``tol`` or ``max_iter`` out of range.
    """
    U, V = matrix(U), matrix(V)
    _check(drive, U, V, tol, max_iter, start)
    b = drive - np.asarray(threshold, drive.dtype)
    # rectified inhibitory cells make another system for each sample; without them it is a complementarity problem
    product = -(V @ U) if (U >= 0).all() else None
    y = np.maximum(b, 0) if start is None else np.array(start, drive.dtype)
    if product is not None:
        pivoted = pivot(b, product, tol=tol, start=start)
        solved = np.isfinite(pivoted).all(axis=1)
        y[solved] = pivoted[solved]
    residual, n_iter = np.empty(len(b)), np.full(len(b), max_iter)
    out, rows = np.empty_like(y), np.arange(len(b))
    r, target = _residual(b, y, U, V)
    d = 1.0 if (r <= tol).all() else 1 / (1 + spectral_radius(U, V))
    for n in range(1, max_iter + 1):
        done = (r <= tol) | (n == max_iter)
        out[rows[done]], residual[rows[done]], n_iter[rows[done]] = y[done], r[done], n
        if done.all():
            break
        rows, b, y, r, target = (array[~done] for array in (rows, b, y, r, target))
        trial = np.maximum(_newton(b, target > 0, product, U, V, target @ U.T > 0 if product is None else None), 0)
        r_trial, target_trial = _residual(b, trial, U, V)
        worse = ~(r_trial < r)
        if worse.any():
            trial[worse] = y[worse] + d * (target[worse] - y[worse])
            r_trial[worse], target_trial[worse] = _residual(b[worse], trial[worse], U, V)
        y, r, target = trial, r_trial, target_trial
    return Settled(out, np.maximum(out @ U.T, 0), residual, n_iter)


def pivot(b: NDArray, product: NDArray, *, tol: float, start: NDArray | None = None) -> NDArray:
    """Rates ``y >= 0`` with ``y = (b - P y)+``: block principal pivoting on all samples at once.

    The active cells' equations are solved; those that come out negative fall silent, those that are driven become
    active (Kim & Park 2011, SIAM J. Sci. Comput. 33:3261; the exchange of a single cell where the number of offenders
    does not fall is Murty's, finite for every P-matrix). The first active cells are those of a uniform inhibition.

    Parameters
    ----------
    b : ndarray of shape (batch, n)
    product : ndarray of shape (n, n)
        ``P``.
    tol : float
        Samples are done when the largest offence is below ``tol`` times the largest rate.
    start : ndarray of shape (batch, n), optional
        Its active cells start active.
    """
    active = _uniformly_inhibited(b, product) if start is None else start > 0
    best, patience = np.full(len(b), b.shape[1] + 1), np.full(len(b), PATIENCE)
    out, rows = np.zeros_like(b), np.arange(len(b))
    P = np.ascontiguousarray(product.T)
    for _ in range(PIVOTS):
        y = _newton(b, active, product)
        net = b - sp.csr_array(y) @ P
        offence = np.where(active, -y, net)
        offence[np.isnan(y).any(axis=1)] = 0
        largest = offence.max(axis=1)
        out[rows] = np.maximum(y, 0)
        more = largest > 0.1 * tol * y.max(axis=1)
        if not more.any():
            break
        rows, b, active, best, patience, offence, largest = (
            array[more] for array in (rows, b, active, best, patience, offence, largest)
        )
        offends = offence > 0
        count = np.count_nonzero(offends, axis=1)
        patience = np.where(count < best, PATIENCE, patience - 1)
        best = np.minimum(best, count)
        single = patience < 0
        n_join = min(MOST_JOIN, b.shape[1])
        # of the silent ones only the most driven join, so that no system grows large
        limit = np.partition(np.where(active, 0, offence), -n_join, axis=1)[:, -n_join, None]
        exchanged = offends & (active | (offence >= limit))
        last = b.shape[1] - 1 - np.argmax(offends[single][:, ::-1], axis=1)
        exchanged[single] = False
        exchanged[np.flatnonzero(single), last] = True
        active = active ^ exchanged
    return out


def _uniformly_inhibited(b: NDArray, product: NDArray) -> NDArray[np.bool_]:
    """Cells active if every sample's inhibition had the profile of all cells' together: Michelot's algorithm (1986)."""
    profile = product.mean(axis=1)
    active = b > 0
    for _ in range(PIVOTS):
        total = (b * active).sum(axis=1) / (1 + active @ profile)
        fewer = active & (b > total[:, None] * profile)
        if (fewer == active).all():
            break
        active = fewer
    return active


def settle_grad(y: NDArray, dy: NDArray, U: Synapses | NDArray, V: Synapses | NDArray) -> NDArray:
    """Gradient of the fixed point with respect to the drive, given that with respect to the rates.

    Implicit: on the active cells ``(I - V D U)^T da = dy``, ``D`` the inhibitory cells that are awake; 0 elsewhere.

    Parameters
    ----------
    y : ndarray of shape (batch, n_E)
        Rates at rest.
    dy : ndarray of shape (batch, n_E), dtype of ``y``
    U, V : as for :func:`settle`

    Returns
    -------
    ndarray of shape (batch, n_E)
        NaN where the system is singular: there the fixed point is no function of the drive.
    """
    U, V = matrix(U), matrix(V)
    if dy.shape != y.shape:
        raise ValueError(f"dy must have the shape of y, {y.shape}, got {dy.shape}")
    # the transposed circuit, held at the same active cells, however many: there is no other way to the gradient
    if (U >= 0).all():
        return _newton(dy, y > 0, np.ascontiguousarray(-(V @ U).T), largest=y.shape[1])
    U_T, V_T = np.ascontiguousarray(U.T), np.ascontiguousarray(V.T)
    return _newton(dy, y > 0, None, V_T, U_T, awake=y @ U.T > 0, largest=y.shape[1])


def _residual(b: NDArray, y: NDArray, U: NDArray, V: NDArray) -> tuple[NDArray, NDArray]:
    """Distance from rest of each sample relative to its largest rate, and ``F(y)``."""
    target = np.maximum(b + np.maximum(y @ U.T, 0) @ V.T, 0)
    size = np.maximum(y.max(axis=1), target.max(axis=1))
    distance = np.abs(target - y).max(axis=1)
    return np.divide(distance, size, out=np.zeros_like(distance), where=size > 0), target


def _newton(
    b: NDArray,
    active: NDArray[np.bool_],
    product: NDArray | None,
    U: NDArray | None = None,
    V: NDArray | None = None,
    awake: NDArray[np.bool_] | None = None,
    largest: int = LARGEST_SUPPORT,
) -> NDArray:
    """Solutions of the equations of the active cells; NaN where these are more than ``largest`` or their system is
    singular.

    The system is ``I + product``, or ``I - V D U`` with ``D`` the inhibitory cells that are ``awake``.
    """
    y = np.zeros_like(b)
    counts = np.count_nonzero(active, axis=1)
    order = np.argsort(counts, kind="stable")
    y[counts > largest] = np.nan
    order = order[(counts[order] > 0) & (counts[order] <= largest)]
    start = 0
    while start < len(order):
        # a chunk holds supports of similar size, padded to the largest
        sizes = counts[order[start:]].astype(np.int64)
        width = sizes * (sizes + (2 * len(U) if U is not None else 0))
        n = max(1, int(np.searchsorted(np.arange(1, len(sizes) + 1) * width, CHUNK)))
        rows = order[start : start + n]
        cells, real = _support(active[rows])
        A = _system(cells, real, product, U, V, None if awake is None else awake[rows])
        x = _solve(A, np.take_along_axis(b[rows], cells, axis=1) * real)
        chunk = np.zeros_like(b[rows])
        np.put_along_axis(chunk, cells, x, axis=1)
        y[rows] = chunk
        start += n
    return y


def _support(active: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Indices of the active cells of each sample ``(batch, k)``, padded with others, and which of them are not
    padding."""
    k = int(np.count_nonzero(active, axis=1).max())
    cells = np.argpartition(~active, k - 1, axis=1)[:, :k]
    return cells, np.take_along_axis(active, cells, axis=1)


def _system(
    cells: NDArray[np.intp],
    real: NDArray[np.bool_],
    product: NDArray | None,
    U: NDArray | None,
    V: NDArray | None,
    awake: NDArray | None,
) -> NDArray:
    """``I - V D U`` on the cells of each sample, ``(batch, k, k)``, ``D`` the inhibitory cells awake; identity in the
    padding."""
    if product is None:
        assert V is not None and U is not None and awake is not None  # given where the product is not
        A = -(V[cells] * awake[:, None, :]) @ U.T[cells].swapaxes(1, 2)
    else:
        A = product[cells[:, :, None], cells[:, None, :]]
    A *= real[:, :, None] & real[:, None, :]
    A += np.eye(cells.shape[1], dtype=A.dtype)
    return A


def _solve(A: NDArray, b: NDArray) -> NDArray:
    """Solutions ``(batch, k)``; NaN where a system is singular."""
    try:
        return np.linalg.solve(A, b[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:  # at least one system is singular: solve each by itself
        if len(A) == 1:
            return np.full_like(b, np.nan)
        return np.concatenate([_solve(A[i : i + 1], b[i : i + 1]) for i in range(len(A))])


def _check(drive: NDArray, U: NDArray, V: NDArray, tol: float, max_iter: int, start: NDArray | None) -> None:
    if not isinstance(drive, np.ndarray) or drive.ndim != 2 or not np.isfinite(drive).all():
        raise ValueError("drive must be a finite array of shape (batch, n_E)")
    n_excitatory, n_inhibitory = drive.shape[1], len(U)
    if U.shape != (n_inhibitory, n_excitatory):
        raise ValueError(f"U must have shape (n_I, {n_excitatory}), one column for each excitatory cell, got {U.shape}")
    if V.shape != (n_excitatory, n_inhibitory):
        raise ValueError(f"V must have shape {(n_excitatory, n_inhibitory)}, that of U transposed, got {V.shape}")
    for name, weights in (("U", U), ("V", V)):
        if not np.isfinite(weights).all():
            raise ValueError(f"{name} must hold finite weights")
    if start is not None and np.shape(start) != drive.shape:
        raise ValueError(f"start must have the shape of drive, {drive.shape}, got {np.shape(start)}")
    check_number("tol", tol, "> 0")
    check_count("max_iter", max_iter)
