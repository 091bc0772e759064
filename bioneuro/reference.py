"""NumPy twins of every C kernel: the readable specification, and the oracle of the tests.

Each function here has the name, the arguments and the result of the function of the same name in
:mod:`bioneuro.kernels`, which says what they mean and how large they may be; it is written for reading, not for speed.
``n_threads`` is accepted and ignored. ``indptr (n_rows + 1,)``, ``indices (nnz,)`` and ``data (nnz,)`` are a pathway in
CSR form: rows are post-synaptic cells, columns are pre-synaptic cells. ``X``, ``Y``, ``dY`` are batch-major:
``(batch, features)``. Structure and numbers are trusted here; :mod:`bioneuro.kernels` checks them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit

__all__ = [
    "backward",
    "candidates",
    "compete",
    "compete_grad",
    "contrast_response",
    "contrast_response_inverse",
    "contrast_response_slope",
    "feature_map",
    "forward",
    "grow",
    "hebbian_step",
    "input_grad",
    "lifetime",
    "normal",
    "normalize_rows",
    "patches",
    "patches_grad",
    "plasticity_step",
    "prune",
    "step_key",
    "stream_key",
    "threefry",
    "transpose_index",
    "turnover",
    "validate",
    "weight_grad",
]

#: Rows whose summed activity is below this did not take part in the batch: they are left as they are.
INACTIVE = 1e-6
#: Weight that one of 0 counts as where its logarithm is taken.
FAINTEST = 1e-30


def _rows(indptr: NDArray) -> NDArray[np.intp]:
    """Post-synaptic cell of every stored synapse, shape ``(nnz,)``."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def _matrix(indptr: NDArray, indices: NDArray, data: NDArray, n_cols: int) -> sp.csr_array:
    return sp.csr_array((data, indices, indptr), shape=(len(indptr) - 1, n_cols))


# --- drive and its gradients -------------------------------------------------------------------------------


def forward(
    indptr: NDArray, indices: NDArray, data: NDArray, X: NDArray, bias: NDArray | None = None, *,
    n_threads: object = None,
) -> NDArray:  # fmt: skip
    """Drive of every post-synaptic cell, ``Y = X W^T + b``.

    Parameters
    ----------
    indptr, indices, data : ndarray
    X : ndarray, shape (batch, n_cols)
    bias : ndarray, shape (n_rows,), optional
    n_threads : object
        Ignored.

    Returns
    -------
    Y : ndarray, shape (batch, n_rows)
    """
    Y = (_matrix(indptr, indices, data, X.shape[1]) @ X.T).T
    return np.ascontiguousarray(Y if bias is None else Y + bias)


def input_grad(
    indptr: NDArray, indices: NDArray, data: NDArray, dY: NDArray, n_cols: int, *, n_threads: object = None
) -> NDArray:
    """Gradient with respect to the input, ``dX = dY W``.

    Parameters
    ----------
    indptr, indices, data : ndarray
    dY : ndarray, shape (batch, n_rows)
    n_cols : int
    n_threads : object
        Ignored.

    Returns
    -------
    dX : ndarray, shape (batch, n_cols)
    """
    return np.ascontiguousarray((_matrix(indptr, indices, data, n_cols).T @ dY.T).T)


def weight_grad(indptr: NDArray, indices: NDArray, X: NDArray, dY: NDArray, *, n_threads: object = None) -> NDArray:
    """Sampled product (SDDMM) ``G_ij = sum_b dY_bi X_bj`` on the stored pattern.

    Parameters
    ----------
    indptr, indices : ndarray
    X : ndarray, shape (batch, n_cols)
    dY : ndarray, shape (batch, n_rows)
    n_threads : object
        Ignored.

    Returns
    -------
    G : ndarray, shape (nnz,)
    """
    return np.einsum("bk,bk->k", dY[:, _rows(indptr)], X[:, indices])


def backward(
    indptr: NDArray, indices: NDArray, data: NDArray, X: NDArray, dY: NDArray, *, n_threads: object = None
) -> tuple[NDArray, NDArray]:
    """``(dX, G)``: :func:`input_grad` and :func:`weight_grad`.

    Parameters
    ----------
    indptr, indices, data : ndarray
    X : ndarray, shape (batch, n_cols)
    dY : ndarray, shape (batch, n_rows)
    n_threads : object
        Ignored.

    Returns
    -------
    dX : ndarray, shape (batch, n_cols)
    G : ndarray, shape (nnz,)
    """
    return input_grad(indptr, indices, data, dY, X.shape[1]), weight_grad(indptr, indices, X, dY)


# --- competition -------------------------------------------------------------------------------------------


def compete(
    drive: NDArray, *, beta: float = 1.0, threshold: NDArray | None = None, k: int | None = None,
    n_threads: object = None,
) -> NDArray:  # fmt: skip
    """Rates after divisive inhibition, ``y = softmax(beta a - th)`` over the cells of a row of ``drive``.

    With ``k`` only the ``k`` cells of largest ``beta a - th`` stay active (ties: the lower index wins) and share
    the softmax; the others are exactly 0.

    Parameters
    ----------
    drive : ndarray, shape (batch, n_cells)
    beta : float
    threshold : ndarray, shape (n_cells,), optional
    k : int, optional
    n_threads : object
        Ignored.

    Returns
    -------
    Y : ndarray, shape (batch, n_cells)
    """
    z = beta * drive - (0 if threshold is None else threshold)
    if k is not None and k < z.shape[1]:
        losers = np.argsort(-z, axis=1, kind="stable")[:, k:]
        z = z.copy()
        np.put_along_axis(z, losers, -np.inf, axis=1)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).astype(drive.dtype)


def compete_grad(Y: NDArray, dY: NDArray, *, beta: float = 1.0, n_threads: object = None) -> NDArray:
    """Gradient of :func:`compete` with respect to the drive: ``beta y (dy - sum_i y_i dy_i)``.

    Exact for softmax; for k-winners exact wherever the winners do not change.

    Parameters
    ----------
    Y : ndarray, shape (batch, n_cells)
    dY : ndarray, shape (batch, n_cells)
    beta : float
    n_threads : object
        Ignored.

    Returns
    -------
    da : ndarray, shape (batch, n_cells)
    """
    return (beta * Y * (dY - (Y * dY).sum(axis=1, keepdims=True))).astype(Y.dtype)


# --- plasticity --------------------------------------------------------------------------------------------


def threefry(counter: NDArray[np.uint32], key: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Threefry2x32-20 (Salmon et al. 2011) of each ``counter`` under ``key``.

    Parameters
    ----------
    counter : ndarray of uint32, shape (n, 2)
    key : ndarray of uint32, shape (2,)

    Returns
    -------
    words : ndarray of uint32, shape (n, 2)
    """
    a, b = counter[:, 0].astype(np.uint32), counter[:, 1].astype(np.uint32)
    k = np.append(key, key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    a, b = a + k[0], b + k[1]
    for turn, rotation in enumerate((13, 15, 26, 6, 17, 29, 16, 24, 13, 15, 26, 6, 17, 29, 16, 24, 13, 15, 26, 6)):
        a = a + b
        b = (b << np.uint32(rotation) | b >> np.uint32(32 - rotation)) ^ a
        if turn % 4 == 3:
            s = turn // 4 + 1
            a, b = a + k[s % 3], b + (k[(s + 1) % 3] + np.array([s], np.uint32))
    return np.stack([a, b], axis=1)


def step_key(seed: int, step: int) -> NDArray[np.uint32]:
    """Key of one step: :func:`threefry` of ``(step low, step high)`` under ``(seed low, seed high)``.

    Parameters
    ----------
    seed, step : int
        In [0, 2^64).

    Returns
    -------
    key : ndarray of uint32, shape (2,)
    """
    words = np.array([[step & 0xFFFFFFFF, step >> 32], [seed & 0xFFFFFFFF, seed >> 32]], np.uint32)
    return threefry(words[:1], words[1])[0]


def normal(rows: NDArray, columns: NDArray, seed: int, step: int) -> NDArray[np.float64]:
    """Standard normal number of each synapse, keyed by ``(seed, step, row, column)`` and nothing else.

    Counter ``(row, column)`` under :func:`step_key`; Box-Muller on the two words, ``u = (word + 0.5) / 2^32``:
    ``sqrt(-2 log u0) cos(2 pi u1)``.

    Parameters
    ----------
    rows, columns : ndarray of int, shape (nnz,)
        Post- and pre-synaptic cell of each synapse, in [0, 2^32).
    seed, step : int
        In [0, 2^64).

    Returns
    -------
    xi : ndarray of float64, shape (nnz,)
    """
    counter = np.stack([rows, columns], axis=1).astype(np.uint32)
    u = (threefry(counter, step_key(seed, step)) + 0.5) / 2.0**32
    return np.sqrt(-2 * np.log(u[:, 0])) * np.cos(2 * np.pi * u[:, 1])


# A form that relaxes: new weights from those before, targets T_ij = G_ij / c_i, alpha_i of each synapse and noise.
# Its keyword-only arguments are the parameters of its own, here and below.


def _log_relaxation(w: NDArray, T: NDArray, alpha: NDArray, noise: NDArray, *, floor: float = 0.001) -> NDArray:
    goal, level = np.log(np.maximum(T, 0.0) + floor), np.log(np.maximum(w, 0.0) + floor)
    return np.maximum(np.exp((1 - alpha) * level + alpha * goal + noise) - floor, 0.0)


def _log_power(
    w: NDArray, T: NDArray, alpha: NDArray, noise: NDArray, *, floor: float = 0.001, exponent: float = 1.0
) -> NDArray:
    goal = exponent * np.log(np.maximum(T, 0.0) + floor)
    return np.exp((1 - alpha) * np.log(np.maximum(w, FAINTEST)) + alpha * goal + noise)


def _log_covariance(w: NDArray, T: NDArray, alpha: NDArray, noise: NDArray, *, slope: float = 1.0) -> NDArray:
    log_w = (1 - alpha) * np.log(np.maximum(w, FAINTEST)) + alpha * slope * T + noise
    return np.exp(np.minimum(log_w, np.log(np.finfo(float).max)))


# The other forms: new weights from those before, both terms of the drive, eta G_ij and eta c_i w_ij, and noise; and the
# signs they have however small they are.


def _exponential(
    w: NDArray, hebb: NDArray, loss: NDArray, noise: NDArray, *, decay: float = 1.0, bound: float = np.inf
) -> tuple[NDArray, NDArray]:
    growth = np.sign(w) * np.clip(hebb - decay * loss, -bound, bound)
    return w * np.exp(growth + noise), np.sign(w)


def _signed(w: NDArray, hebb: NDArray, loss: NDArray, noise: NDArray, *, w0: float = 0.0) -> tuple[NDArray, NDArray]:
    w = w + (np.abs(w) + w0) * (hebb - loss)
    return w * np.exp(noise), np.sign(w)


#: Forms of :func:`plasticity_step` that relax, and those that follow a drive. What each needs: ``_core.FORMS``.
RELAXING: dict[str, Callable[..., NDArray]] = {
    "log-relaxation": _log_relaxation,
    "log-power": _log_power,
    "log-covariance": _log_covariance,
}
DRIVEN: dict[str, Callable[..., tuple[NDArray, NDArray]]] = {"exponential": _exponential, "signed": _signed}


def plasticity_step(
    indptr: NDArray, indices: NDArray, data: NDArray, G: NDArray, c: NDArray, form: Any = "log-relaxation", *,
    theta: float = 0.0, seed: int = 0, step: int = 0, n_threads: object = None, **parameters: float,
) -> int:  # fmt: skip
    """One local learning step on the stored synapses; changes ``data`` in place.

    ``form`` is the name of a form with its ``parameters``, or a ready ``Plasticity`` (without). Forms, with
    ``alpha_i = 1 - exp(-eta c_i)``, ``T_ij = G_ij / c_i`` and ``xi`` from :func:`normal`:

    - ``"log-relaxation"``: ``log(w + floor) += alpha_i [log(T_ij + floor) - log(w_ij + floor)] + noise``, ``w >= 0``;
      rows with ``c_i < 1e-6`` are left as they are; targets and weights below 0 count as 0.
    - ``"log-power"``: ``log w += alpha_i [exponent log(T_ij + floor) - log w_ij] + noise``, ``w > 0`` (one below 1e-30
      counts as that); rows with ``c_i < 1e-6`` and targets below 0 as above.
    - ``"log-covariance"``: ``log w += alpha_i [slope T_ij - log w_ij] + noise``, ``w > 0``; small weights and ``c_i``
      as in log-power; ``G`` may be negative. It is meant for standardised rates ``(x_j - m_j) / s_j`` in place of
      ``x_j``, which are the caller's to make: then ``T_ij = z_ij = (E[x_j | i active] - m_j) / s_j``, the
      standardised covariance, and w goes to ``exp(slope z_ij)`` times a factor of the row.
    - ``"exponential"``: ``w <- w exp(sgn(w) D_ij + noise)``, ``D_ij = eta (G_ij - decay c_i w_ij)`` bounded by
      ``bound`` either way: keeps every sign at any step size.
    - ``"signed"``: ``w <- (w + eta (|w| + w0) (G_ij - c_i w_ij)) exp(noise)``: signs may change (Kesten-Hebb).

    The log forms are for excitatory pathways, the signed one for mixed ones, the exponential one for all.

    Parameters of all forms (and what they are where none is given): ``eta`` (1), the learning rate; ``sigma`` (0):
    ``noise = sigma sqrt(alpha_i (2 - alpha_i)) xi_ij``, with ``alpha_i`` from ``|c_i|``, so that ``sigma`` is the
    stationary standard deviation of log w that noise alone gives under the log forms; ``w_min`` (0) and ``w_max``
    (inf): then ``|w|`` is clipped to ``[w_min, w_max]`` (signs stay; a weight that is exactly 0 stays 0 unless its form
    moves it); ``normalize`` (True): then each changed row is divided by its Euclidean norm (synaptic scaling; a row of
    zeros stays). Weights saturate at the largest number there is. Of some: ``floor`` (1e-3) and ``exponent`` (1), > 0;
    ``slope`` (1), ``w0`` (0) and ``decay`` (1), >= 0; ``bound`` (inf), > 0.

    Parameters
    ----------
    indptr, indices, data : ndarray
    G : ndarray, shape (nnz,)
    c : ndarray, shape (n_rows,)
    form : str or Plasticity
    theta : float
    seed, step : int
    n_threads : object
        Ignored.
    **parameters : float

    Returns
    -------
    n_silent : int
    """
    if not isinstance(form, str):
        form, parameters = form.form, form.parameters
    own = dict(parameters)
    eta, sigma = own.pop("eta", 1.0), own.pop("sigma", 0.0)
    w_min, w_max, normalize = own.pop("w_min", 0.0), own.pop("w_max", np.inf), own.pop("normalize", True)

    rows = _rows(indptr)
    n_rows = len(indptr) - 1
    alpha = -np.expm1(-eta * np.abs(c.astype(float)))
    w, g, ci = data.astype(float), G.astype(float), c.astype(float)[rows]
    changed = np.ones(n_rows, bool)
    noise = np.zeros(len(w))
    if sigma > 0:
        noise = sigma * np.sqrt(alpha * (2 - alpha))[rows] * normal(rows, indices, seed, step)
    if form in RELAXING:
        changed = c >= INACTIVE
        moved = RELAXING[form](w, g / np.where(changed, c, 1.0)[rows], alpha[rows], noise, **own)
        sign = np.ones(1)
    else:
        moved, sign = DRIVEN[form](w, eta * g, eta * ci * w, noise, **own)
    w = np.where(changed[rows], sign * np.clip(np.abs(moved), w_min, w_max), w)
    if normalize:
        w = np.where(changed[rows], _unit_rows(indptr, w), w)
    data[:] = w
    return int(np.count_nonzero(np.abs(data) < theta * _row_max(indptr, data)[rows]))


def _unit_rows(indptr: NDArray, w: NDArray) -> NDArray:
    """Each row of ``w`` by its Euclidean norm; rows of zeros as they are."""
    rows = _rows(indptr)
    top = _row_max(indptr, w)  # weights that saturated have squares beyond all numbers
    unit = w / np.where(top > 1e150, top, 1.0)[rows]
    norm = np.sqrt(np.bincount(rows, unit * unit, len(indptr) - 1))
    return unit / np.where(norm > 0, norm, 1.0)[rows]


def normalize_rows(indptr: NDArray, indices: NDArray, data: NDArray, *, n_threads: object = None) -> None:
    """Synaptic scaling: divide each row by its Euclidean norm, in place; rows of zeros stay.

    Parameters
    ----------
    indptr, indices, data : ndarray
    n_threads : object
        Ignored.
    """
    data[:] = _unit_rows(indptr, data.astype(float))


def hebbian_step(
    indptr: NDArray, indices: NDArray, data: NDArray, X: NDArray, drive: NDArray, form: Any = "log-relaxation", *,
    beta: float = 1.0, threshold: NDArray | None = None, k: int | None = None, gain: NDArray | None = None,
    seed: int = 0, step: int = 0, n_threads: object = None, **parameters: float,
) -> NDArray:  # fmt: skip
    """``Y = compete(drive)``, then :func:`plasticity_step` with ``G_ij = gain_i sum_b Y_bi X_bj`` and
    ``c_i = gain_i sum_b Y_bi`` for the cells that are active in the batch; changes their ``data``, returns ``Y``.

    Parameters
    ----------
    indptr, indices, data : ndarray
    X : ndarray, shape (batch, n_cols)
    drive : ndarray, shape (batch, n_rows)
    form : str or Plasticity
    beta : float
    threshold : ndarray, shape (n_rows,), optional
    k : int, optional
    gain : ndarray, shape (n_rows,), optional
    seed, step : int
    n_threads : object
        Ignored.
    **parameters : float

    Returns
    -------
    Y : ndarray, shape (batch, n_rows)
    """
    Y = compete(drive, beta=beta, threshold=threshold, k=k)
    cell_gain = np.ones(Y.shape[1]) if gain is None else gain.astype(float)
    active = (Y != 0).any(axis=0)
    G = weight_grad(indptr, indices, X, Y).astype(float) * cell_gain[_rows(indptr)]
    c = Y.sum(axis=0, dtype=float) * cell_gain
    changed = data.copy()
    plasticity_step(indptr, indices, changed, G, c, form, seed=seed, step=step, **parameters)
    data[:] = np.where(active[_rows(indptr)], changed, data)
    return Y


# --- structure ---------------------------------------------------------------------------------------------


def _row_max(indptr: NDArray, data: NDArray) -> NDArray:
    top = np.zeros(len(indptr) - 1, data.dtype)
    np.maximum.at(top, _rows(indptr), np.abs(data))
    return top


def validate(indptr: NDArray, indices: NDArray, data: NDArray, n_cols: int) -> None:
    """Raise ``ValueError`` naming the argument and the offending position unless this is a proper CSR structure:
    ``indptr`` starts at 0, never falls, ends at ``len(indices)``; columns of a row rise strictly and lie in
    ``[0, n_cols)``; ``data`` (may be ``None``: structure only) is finite.

    Parameters
    ----------
    indptr, indices : ndarray
    data : ndarray or None
    n_cols : int
    """
    nnz = len(indices)
    if indptr[0] != 0:
        raise ValueError(f"indptr[0] must be 0, got {indptr[0]}")
    falls = np.flatnonzero(np.diff(indptr) < 0)
    if falls.size:
        i = falls[0] + 1
        raise ValueError(f"indptr must not decrease, but indptr[{i}] = {indptr[i]} < indptr[{i - 1}] = {indptr[i - 1]}")
    if indptr[-1] != nnz:
        raise ValueError(f"indptr[-1] must be len(indices) = {nnz}, got {indptr[-1]}")
    outside = np.flatnonzero((indices < 0) | (indices >= n_cols))
    first = np.zeros(nnz, bool)
    first[indptr[:-1][np.diff(indptr) > 0]] = True
    unsorted = np.flatnonzero((np.diff(indices, prepend=-1) <= 0) & ~first)
    k = min([*outside[:1], *unsorted[:1]], default=None)
    if k is not None and outside.size and k == outside[0]:
        raise ValueError(f"indices must lie in [0, {n_cols}), but indices[{k}] = {indices[k]}")
    if k is not None:
        raise ValueError(
            f"indices must rise strictly within a row, but indices[{k}] = {indices[k]} follows {indices[k - 1]}"
        )
    if data is not None:
        bad = np.flatnonzero(~np.isfinite(data))
        if bad.size:
            raise ValueError(f"data must be finite, but data[{bad[0]}] = {data[bad[0]]}")


def transpose_index(
    indptr: NDArray, indices: NDArray, n_cols: int, *, n_threads: object = None
) -> tuple[NDArray, NDArray, NDArray]:
    """CSR structure of W^T and the permutation that carries the values: ``data_T = data[permutation]``.

    Parameters
    ----------
    indptr, indices : ndarray
    n_cols : int
    n_threads : object
        Ignored.

    Returns
    -------
    t_indptr : ndarray, shape (n_cols + 1,)
    t_indices : ndarray, shape (nnz,)
    permutation : ndarray, shape (nnz,)
    """
    order = np.argsort(indices, kind="stable")
    t_indptr = np.zeros(n_cols + 1, indptr.dtype)
    np.cumsum(np.bincount(indices, minlength=n_cols), out=t_indptr[1:])
    return t_indptr, _rows(indptr)[order].astype(indices.dtype), order.astype(indices.dtype)


def prune(
    indptr: NDArray, indices: NDArray, data: NDArray, theta: float, *, n_threads: object = None
) -> tuple[NDArray, NDArray, NDArray]:
    """New CSR without the synapses of ``|w| < theta max_j |w_ij|``: they turn silent and leave. ``0 <= theta <= 1``.

    Parameters
    ----------
    indptr, indices, data : ndarray
    theta : float
    n_threads : object
        Ignored.

    Returns
    -------
    indptr, indices, data : ndarray
    """
    rows = _rows(indptr)
    keep = np.abs(data) >= theta * _row_max(indptr, data)[rows]
    new_indptr = np.zeros_like(indptr)
    np.cumsum(np.bincount(rows[keep], minlength=len(indptr) - 1), out=new_indptr[1:])
    return new_indptr, indices[keep], data[keep]


def candidates(
    indptr: NDArray, indices: NDArray, n_cols: int, n_candidates: int, *, seed: int = 0, step: int = 0,
    n_threads: object = None,
) -> tuple[NDArray, NDArray]:  # fmt: skip
    """Random sites for new synapses: CSR structure of at most ``n_candidates`` silent columns per row.

    Row ``i`` draws ``n_candidates`` columns, draw ``t`` being word 0 of :func:`threefry` with counter ``(i, t)`` under
    :func:`step_key`, scaled to ``[0, n_cols)`` as ``word * n_cols >> 32``; present and repeated columns drop out.

    Parameters
    ----------
    indptr, indices : ndarray
    n_cols : int
    n_candidates : int
    seed, step : int
    n_threads : object
        Ignored.

    Returns
    -------
    cand_indptr, cand_indices : ndarray
    """
    out_indptr, out = np.zeros_like(indptr), []
    counter, key = np.empty((n_candidates, 2), np.uint32), step_key(seed, step)
    counter[:, 1] = np.arange(n_candidates)
    for i in range(len(indptr) - 1):
        counter[:, 0] = i
        drawn = (threefry(counter, key)[:, 0].astype(np.uint64) * np.uint64(n_cols)) >> np.uint64(32)
        fresh = np.setdiff1d(drawn.astype(indices.dtype), indices[indptr[i] : indptr[i + 1]])
        out.append(fresh)
        out_indptr[i + 1] = out_indptr[i] + len(fresh)
    return out_indptr, np.concatenate(out) if out else indices[:0].copy()


def grow(
    indptr: NDArray, indices: NDArray, data: NDArray, cand_indptr: NDArray, cand_indices: NDArray, score: NDArray,
    n_grow: int, weight: float, *, n_threads: object = None,
) -> tuple[NDArray, NDArray, NDArray]:  # fmt: skip
    """New CSR in which each row has gained its ``n_grow`` best candidates (highest ``score > 0``; ties: lower column).

    A newborn synapse weighs ``weight * max_j |w_ij|`` (``weight`` itself in a row without synapses; saturated, never
    infinite).

    Parameters
    ----------
    indptr, indices, data : ndarray
    cand_indptr, cand_indices : ndarray
    score : ndarray, shape (len(cand_indices),)
    n_grow : int
    weight : float
    n_threads : object
        Ignored.

    Returns
    -------
    indptr, indices, data : ndarray
    """
    top = _row_max(indptr, data).astype(float)
    largest = float(np.finfo(data.dtype).max)
    weight = float(data.dtype.type(np.clip(weight, -largest, largest)))
    new_indptr, new_indices, new_data = np.zeros_like(indptr), [], []
    for i in range(len(indptr) - 1):
        old, cand = slice(indptr[i], indptr[i + 1]), slice(cand_indptr[i], cand_indptr[i + 1])
        s = score[cand]
        best = np.argsort(-s, kind="stable")[:n_grow]
        born = cand_indices[cand][best[s[best] > 0]]
        with np.errstate(over="ignore"):
            size = np.clip(weight * (top[i] if old.stop > old.start else 1.0), -largest, largest)
        newborn = np.full(len(born), size, data.dtype)
        columns = np.concatenate([indices[old], born])
        order = np.argsort(columns)
        new_indices.append(columns[order])
        new_data.append(np.concatenate([data[old], newborn])[order])
        new_indptr[i + 1] = new_indptr[i] + len(order)
    if not new_indices:
        return new_indptr, indices[:0].copy(), data[:0].copy()
    return new_indptr, np.concatenate(new_indices).astype(indices.dtype), np.concatenate(new_data)


#: Streams of random numbers of their own: :func:`stream_key`.
DEATHS, BIRTHS = 0, 1


def stream_key(seed: int, step: int, stream: int) -> NDArray[np.uint32]:
    """Key of another stream of one step: counter ``(2^32 - 1, stream)`` under :func:`step_key`.

    Parameters
    ----------
    seed, step : int
        In [0, 2^64).
    stream : int
        ``DEATHS`` or ``BIRTHS``.

    Returns
    -------
    key : ndarray of uint32, shape (2,)
    """
    return threefry(np.array([[0xFFFFFFFF, stream]], np.uint32), step_key(seed, step))[0]


def lifetime(rows: NDArray, numbers: NDArray, key: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Exponential numbers of mean 1, ``-log u``: the two words of counter ``(row, number)`` are one integer, whose
    upper 52 bits, and a half, are the numerator of ``u`` over 2^52.

    Parameters
    ----------
    rows, numbers : ndarray of int
        Of one shape ``(n,)``, or broadcast to it: the row and the number of each draw, in [0, 2^32).
    key : ndarray of uint32, shape (2,)
        From :func:`stream_key`.

    Returns
    -------
    lifetimes : ndarray of float64, shape (n,)
    """
    words = threefry(np.stack(np.broadcast_arrays(rows, numbers), axis=1).astype(np.uint32), key).astype(np.uint64)
    bits = (words[:, 0] << np.uint64(32) | words[:, 1]) >> np.uint64(12)
    return -np.log((bits + 0.5) * 2.0**-52)


def turnover(
    indptr: NDArray, indices: NDArray, data: NDArray, n_cols: int, *, birth: float, death: float, gamma: float,
    size: float, time: NDArray | None = None, sign: Literal["E", "I"] = "E",
    normalize: bool = False, seed: int = 0, step: int = 0, n_threads: object = None,
) -> tuple[NDArray, NDArray, NDArray, int]:  # fmt: skip
    """New CSR after random births and deaths of synapses, and how many died.

    A stored synapse dies with probability ``1 - exp(-death time_i (|w_ij| / size)^-gamma)``, if its :func:`lifetime`,
    numbered by its column, is below that exponent; a silent pair is born with probability ``1 - exp(-birth time_i)`` at
    weight ``size`` (``-size`` for ``sign="I"``). Births: row i walks its columns from the left; the t-th draw skips
    ``floor(lifetime / (birth time_i))`` of them and hits the next, which lets that column be born unless it was stored,
    even if it dies in this very call. All in double precision. With ``normalize`` :func:`normalize_rows` follows.

    Parameters
    ----------
    indptr, indices, data : ndarray
    n_cols : int
    birth, death : float
    gamma : float
    size : float
    time : ndarray, shape (n_rows,), optional
    sign : {"E", "I"}
    normalize : bool
    seed, step : int
    n_threads : object
        Ignored.

    Returns
    -------
    indptr, indices, data : ndarray
    n_died : int
    """
    rows, n_rows = _rows(indptr), len(indptr) - 1
    pace = np.ones(n_rows) if time is None else time.astype(float)
    with np.errstate(over="ignore", divide="ignore"):
        hazard = (np.abs(data).astype(float) / size) ** -gamma
        doomed = death * pace
        exponent = np.where(doomed[rows] > 0, doomed[rows] * np.where(doomed[rows] > 0, hazard, 0.0), 0.0)
    dies = lifetime(rows, indices, stream_key(seed, step, DEATHS)) < exponent

    new_indptr, new_indices, new_data = np.zeros_like(indptr), [], []
    key, draws = stream_key(seed, step, BIRTHS), np.arange(n_cols)
    for i in range(n_rows):
        stored = slice(indptr[i], indptr[i + 1])
        born = draws[:0]
        if birth * pace[i] > 0:
            with np.errstate(over="ignore"):
                skipped = np.floor(lifetime(np.full(n_cols, i), draws, key) / (birth * pace[i]))
            hit = np.cumsum(np.minimum(skipped, n_cols).astype(np.int64) + 1) - 1
            born = np.setdiff1d(hit[hit < n_cols], indices[stored])
        columns = np.concatenate([indices[stored][~dies[stored]], born])
        newborn = np.full(len(born), -size if sign == "I" else size, data.dtype)
        weights = np.concatenate([data[stored][~dies[stored]], newborn])
        order = np.argsort(columns)
        new_indices.append(columns[order].astype(indices.dtype))
        new_data.append(weights[order].astype(data.dtype))
        new_indptr[i + 1] = new_indptr[i] + len(order)
    made = new_indptr, np.concatenate(new_indices), np.concatenate(new_data)
    if normalize:
        normalize_rows(*made)
    return *made, int(dies.sum())


# --- retina ------------------------------------------------------------------------------------------------


def contrast_response(x: NDArray, exponent: float = 1.0, semi_saturation: float = np.inf) -> NDArray:
    """Naka & Rushton's ``R = R_max c^n / (c^n + c_50^n)`` with ``c_50 = semi_saturation``, ``R_max`` such that
    ``R(1) = 1``: in double precision, as a logistic function of log contrast. ``semi_saturation = inf`` gives ``c^n``.

    Parameters
    ----------
    x : ndarray
        Intensities in [0, 1].
    exponent : float > 0
    semi_saturation : float > 0

    Returns
    -------
    r : ndarray of float64, shape of ``x``
    """
    with np.errstate(divide="ignore"):
        log_x = np.log(np.asarray(x, float))
    if np.isinf(semi_saturation):
        return np.exp(exponent * log_x)
    log_s = np.log(semi_saturation)
    return expit(exponent * (log_x - log_s)) / expit(-exponent * log_s)


def contrast_response_inverse(r: NDArray, exponent: float = 1.0, semi_saturation: float = np.inf) -> NDArray:
    """The ``x`` whose :func:`contrast_response` is ``r``, for ``0 <= r <= 1``.

    Parameters
    ----------
    r : ndarray
        Responses in [0, 1].
    exponent : float > 0
    semi_saturation : float > 0

    Returns
    -------
    x : ndarray of float64, shape of ``r``
    """
    r = np.asarray(r, float)
    if np.isinf(semi_saturation):
        return r ** (1 / exponent)
    log_s = np.log(semi_saturation)
    with np.errstate(divide="ignore"):
        log_odds = np.log(r) - np.log(1 - r + np.exp(exponent * log_s))  # logit(r R(1)) without rounding to 1
    return np.exp(log_s + log_odds / exponent)


def contrast_response_slope(x: NDArray, exponent: float = 1.0, semi_saturation: float = np.inf) -> NDArray:
    """Derivative ``dr/dx`` of :func:`contrast_response`, for ``x > 0``: ``r n / x``, times ``1 - R / R_max``.

    Parameters
    ----------
    x : ndarray
        Intensities in (0, 1].
    exponent : float > 0
    semi_saturation : float > 0

    Returns
    -------
    slope : ndarray of float64, shape of ``x``
    """
    r = contrast_response(x, exponent, semi_saturation)
    x = np.asarray(x, float)
    left = 1.0 if np.isinf(semi_saturation) else expit(exponent * np.log(semi_saturation / x))
    return r * left * exponent / x


def _windows(images: NDArray, patch_size: int) -> NDArray:
    """Zero-padded p x p neighbourhood of every pixel: ``(batch * height * width, p, p, channels)``."""
    before, after = (patch_size - 1) // 2, patch_size // 2
    padded = np.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (patch_size, patch_size), axis=(1, 2))
    return view.transpose(0, 1, 2, 4, 5, 3).reshape(-1, patch_size, patch_size, images.shape[3])


def patches(
    R: NDArray, *, patch_size: int = 7, c0: float = 0.5, g0: float = 0.5, gate_exponent: float = 1.0,
    n_threads: object = None,
) -> tuple[NDArray, NDArray]:  # fmt: skip
    """ON/OFF patches of the contrast responses ``R`` ``(batch, height, width, channels)``, stride 1, zero padded.

    ``m`` = patch mean of each channel; ON = ``(r - m)+``, OFF = ``(m - r)+``; ``z = [ON, OFF]``;
    ``|z| = sqrt(sum z^2 + 1e-8)``; ``U = z / (|z| + c0)``; gate ``g = |z|^e / (|z|^e + g0^e)``, ``e = gate_exponent``.
    A row of ``U`` is the ON half then the OFF half, each in (row, column, channel) order.

    Parameters
    ----------
    R : ndarray, shape (batch, height, width, channels)
    patch_size : int
    c0 : float
    g0, gate_exponent : float
    n_threads : object
        Ignored.

    Returns
    -------
    U : ndarray, shape (batch * height * width, 2 * p * p * channels)
    gate : ndarray, shape (batch * height * width,)
    """
    d = _windows(R, patch_size)
    d = (d - d.mean(axis=(1, 2), keepdims=True)).reshape(len(d), -1)
    z = np.concatenate([np.maximum(d, 0), np.maximum(-d, 0)], axis=1)
    norm = np.sqrt((z * z).sum(axis=1) + 1e-8)
    return (z / (norm + c0)[:, None]).astype(R.dtype), _gate(norm, g0, gate_exponent).astype(R.dtype)


def _gate(norm: NDArray, g0: float, gate_exponent: float) -> NDArray:
    with np.errstate(over="ignore"):
        return 1 / (1 + (g0 / norm) ** gate_exponent)


def patches_grad(
    R: NDArray, dU: NDArray, dgate: NDArray, *, patch_size: int = 7, c0: float = 0.5, g0: float = 0.5,
    gate_exponent: float = 1.0, n_threads: object = None,
) -> NDArray:  # fmt: skip
    """Gradient of :func:`patches` with respect to ``R``, given those with respect to ``U`` and ``g``.

    Parameters
    ----------
    R : ndarray, shape (batch, height, width, channels)
    dU : ndarray, shape (batch * height * width, 2 * p * p * channels)
    dgate : ndarray, shape (batch * height * width,)
    patch_size : int
    c0, g0, gate_exponent : float
    n_threads : object
        Ignored.

    Returns
    -------
    dR : ndarray, shape (batch, height, width, channels)
    """
    batch, height, width, channels = R.shape
    p = patch_size
    d = _windows(R, p).astype(float)
    d = (d - d.mean(axis=(1, 2), keepdims=True)).reshape(len(d), -1)
    half = d.shape[1]
    norm = np.sqrt((d * d).sum(axis=1) + 1e-8)
    # U = z / (|z| + c0): dz = dU / (|z| + c0) + z * (d|z|) / |z|, and z^2 sums to d^2
    z = np.concatenate([np.maximum(d, 0), np.maximum(-d, 0)], axis=1)
    gate = _gate(norm, g0, gate_exponent)
    dnorm = -(dU * z).sum(axis=1) / (norm + c0) ** 2 + dgate * gate * (1 - gate) * gate_exponent / norm
    dd = (dU[:, :half] * (d > 0) - dU[:, half:] * (d < 0)) / (norm + c0)[:, None] + d * (dnorm / norm)[:, None]
    dd = dd.reshape(-1, p, p, channels)
    dd = (dd - dd.mean(axis=(1, 2), keepdims=True)).reshape(batch, height, width, p, p, channels)
    before = (p - 1) // 2
    dR = np.zeros((batch, height + p - 1, width + p - 1, channels))
    for i in range(p):
        for j in range(p):
            dR[:, i : i + height, j : j + width] += dd[:, :, :, i, j]
    return dR[:, before : before + height, before : before + width].astype(R.dtype)


def feature_map(
    R: NDArray, W: NDArray, pool_rows: NDArray, pool_cols: NDArray, *, beta: float = 1.0, k: int | None = None,
    patch_size: int = 7, c0: float = 0.5, g0: float = 0.5, gate_exponent: float = 1.0, n_threads: object = None,
) -> NDArray:  # fmt: skip
    """Pooled rates ``S``: ``y = g softmax(beta W u)`` at every pixel, with
    ``u`` and ``g`` from :func:`patches`, then ``sum_yx pool_rows_ry pool_cols_cx y_yx``.

    Parameters
    ----------
    R : ndarray, shape (batch, height, width, channels)
    W : ndarray, shape (n_columns, 2 * p * p * channels)
    pool_rows : ndarray, shape (grid_rows, height)
    pool_cols : ndarray, shape (grid_cols, width)
    beta : float
    k : int, optional
    patch_size : int
    c0, g0, gate_exponent : float
    n_threads : object
        Ignored.

    Returns
    -------
    S : ndarray, shape (batch, grid_rows, grid_cols, n_columns)
    """
    U, gate = patches(R, patch_size=patch_size, c0=c0, g0=g0, gate_exponent=gate_exponent)
    Y = compete(U @ W.T, beta=beta, k=k) * gate[:, None]
    Y = Y.reshape(*R.shape[:3], len(W))
    return np.einsum("ry,cx,byxi->brci", pool_rows, pool_cols, Y, optimize=True).astype(R.dtype)
