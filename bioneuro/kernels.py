"""The C kernels on plain arrays: fast sparse products, local plasticity, competition, structure and the retina.

A pathway is a CSR matrix given as three arrays. Row ``i`` holds the synapses onto post-synaptic cell ``i``, column
``j`` those made by pre-synaptic cell ``j``; a synapse that is not stored is silent.

==================  =================  =========================================================================
``indptr``          ``(n_rows + 1,)``  int32 or int64; starts at 0, never falls, ends at ``nnz``
``indices``         ``(nnz,)``         of the type of ``indptr``; rise strictly within a row, in ``[0, n_cols)``
``data``            ``(nnz,)``         float32 or float64, finite
``X``, ``dY``, ..   batch-major        ``(batch, features)``, of the type of ``data``
==================  =================  =========================================================================

Rules that hold for every function here:

- Arrays are NumPy arrays in native byte order, C-contiguous and aligned. Anything else is refused by name with a
  ``TypeError`` (kind, dtype, byte order) or a ``ValueError`` (shape, layout, range); nothing is cast or copied in
  silence.
- The whole structure is checked on every call, in O(nnz), so no argument can crash the process.
  :class:`bioneuro.Synapses` checks once and keeps the layouts that the products run on, which are made for each call
  here: it is the better choice in a loop.
- Numbers are converted before arrays are looked at, so no ``__index__`` or ``__float__`` can change an array after its
  check. Arrays stay the caller's: no other thread may write to them or resize them during a call, as with NumPy.
  (:class:`bioneuro.Synapses` has arrays of its own and a lock.)
- Activities are not scanned: NaN and infinity spread through sums as in BLAS.
- ``out``, where there is one, is overwritten and returned; it must not share memory with an input.
- ``n_threads`` is the most that work at once: an integer in [1, 1024], or ``None`` or ``"auto"`` for the default
  (:mod:`bioneuro.threads`). Results are bit-identical for any number of threads. The GIL is released, so Python
  threads run side by side.

Every function has a NumPy twin of the same name in :mod:`bioneuro.reference`, its readable specification.
"""

from __future__ import annotations

import sys
from typing import Literal

from numpy.typing import NDArray

from . import _core
from .threads import Threads

__all__ = [
    "backward", "candidates", "compete", "compete_grad", "feature_map", "forward", "grow", "hebbian_step",
    "input_grad", "normalize_rows", "patches", "patches_grad", "plasticity_step", "prune", "transpose_index",
    "turnover", "validate", "weight_grad",
]  # fmt: skip

# --- drive and its gradients -------------------------------------------------------------------------------


def forward(
    indptr: NDArray, indices: NDArray, data: NDArray, X: NDArray, bias: NDArray | None = None, *,
    n_threads: Threads = None, out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """Drive of every post-synaptic cell, ``Y = X W^T + b``.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway ``W``, ``(n_rows, n_cols)`` in CSR form.
    X : ndarray, shape (batch, n_cols)
        Pre-synaptic rates, of the type of ``data``; not empty.
    bias : ndarray, shape (n_rows,), optional
        Added to the drive of each cell.
    n_threads : int >= 1, "auto" or None
        Threads to use.
    out : ndarray, shape (batch, n_rows), optional
        Where to put the result.

    Returns
    -------
    Y : ndarray, shape (batch, n_rows)
        Each entry is one chain of multiply-adds in column order: a sample's drive does not depend, to the last bit,
        on what else is in the batch.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position.

    Notes
    -----
    ``2 nnz batch`` flops; O(nnz) for the check.

    Examples
    --------
    >>> W = scipy.sparse.random(3000, 784, density=0.1, format="csr", dtype=np.float32)
    >>> Y = forward(W.indptr, W.indices, W.data, np.ones((128, 784), np.float32))
    """
    return _core.forward(indptr, indices, data, X, bias, n_threads=n_threads, out=out, check=True)


def input_grad(
    indptr: NDArray, indices: NDArray, data: NDArray, dY: NDArray, n_cols: int, *, n_threads: Threads = None,
    out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """Gradient of :func:`forward` with respect to its input, ``dX = dY W``.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway ``W``, ``(n_rows, n_cols)`` in CSR form.
    dY : ndarray, shape (batch, n_rows)
        Gradient with respect to the drive, of the type of ``data``; not empty.
    n_cols : int
        Number of pre-synaptic cells, >= 1.
    n_threads : int >= 1, "auto" or None
        Threads to use.
    out : ndarray, shape (batch, n_cols), optional
        Where to put the result.

    Returns
    -------
    dX : ndarray, shape (batch, n_cols)
        Each entry is one chain of multiply-adds in row order, whatever the batch.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position.

    Notes
    -----
    ``2 nnz batch`` flops; O(nnz) for the check.
    """
    return _core.input_grad(indptr, indices, data, dY, n_cols, n_threads=n_threads, out=out, check=True)


def weight_grad(
    indptr: NDArray, indices: NDArray, X: NDArray, dY: NDArray, *, n_threads: Threads = None, out: NDArray | None = None
) -> NDArray:
    """Sampled product (SDDMM) ``G_ij = sum_b dY_bi X_bj`` on the stored pattern.

    With ``dY`` the post-synaptic rates this is the Hebbian term; with the gradient of a loss, the weights' gradient.

    Parameters
    ----------
    indptr, indices : ndarray
        The pattern of the pathway, ``(n_rows, n_cols)`` in CSR form.
    X : ndarray, shape (batch, n_cols)
        Pre-synaptic rates, float32 or float64; not empty.
    dY : ndarray, shape (batch, n_rows)
        Post-synaptic rates or gradient, of the type of ``X``.
    n_threads : int >= 1, "auto" or None
        Threads to use.
    out : ndarray, shape (nnz,), optional
        Where to put the result.

    Returns
    -------
    G : ndarray, shape (nnz,)
        In the order of ``indices``. A sum over the batch (not a mean), blocked by tiles of samples.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position.

    Notes
    -----
    ``2 nnz batch`` flops; O(nnz) for the check. No dense ``(n_rows, n_cols)`` array is ever made.
    """
    return _core.weight_grad(indptr, indices, X, dY, n_threads=n_threads, out=out, check=True)


def backward(
    indptr: NDArray, indices: NDArray, data: NDArray, X: NDArray, dY: NDArray, *, n_threads: Threads = None
) -> tuple[NDArray, NDArray]:
    """Both gradients of :func:`forward` in one pass: ``dX = dY W`` and ``G_ij = sum_b dY_bi X_bj``.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway ``W``, ``(n_rows, n_cols)`` in CSR form.
    X : ndarray, shape (batch, n_cols)
    dY : ndarray, shape (batch, n_rows)
        Input and gradient with respect to the drive, of the type of ``data``; not empty.
    n_threads : int >= 1, "auto" or None
        Threads to use.

    Returns
    -------
    dX : ndarray, shape (batch, n_cols)
        As :func:`input_grad`, bit for bit.
    G : ndarray, shape (nnz,)
        As :func:`weight_grad`, up to the order of the sums.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position.

    Notes
    -----
    ``4 nnz batch`` flops, ``dY`` read once for both; O(nnz) for the check.
    """
    return _core.backward(indptr, indices, data, X, dY, n_threads=n_threads, check=True)


# --- competition and plasticity ----------------------------------------------------------------------------


def compete(
    drive: NDArray, *, beta: float = 1.0, threshold: NDArray | None = None, k: int | None = None,
    n_threads: Threads = None, out: NDArray | None = None,
) -> NDArray:  # fmt: skip
    """Rates after divisive inhibition, ``y = softmax(beta a - th)`` over the cells.

    Parameters
    ----------
    drive : ndarray, shape (batch, n_cells)
        Drive ``a``, float32 or float64; not empty.
    beta : float
        Sharpness of the competition.
    threshold : ndarray, shape (n_cells,), optional
        Homeostatic threshold ``th``, of the type of ``drive``.
    k : int, optional
        Only the ``k`` cells of largest ``beta a - th`` stay active (ties: the lower index wins) and share the softmax;
        the others are exactly 0. ``None``: all cells share it.
    n_threads : int >= 1, "auto" or None
        Threads to use.
    out : ndarray, shape (batch, n_cells), optional
        Where to put the result; it may be ``drive`` itself.

    Returns
    -------
    Y : ndarray, shape (batch, n_cells)
        Rates in [0, 1] that sum to 1 for each sample.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.

    Notes
    -----
    O(batch n_cells). Finite drive gives finite rates: the maximum is subtracted first.
    """
    return _core.compete(drive, beta=beta, threshold=threshold, k=k, n_threads=n_threads, out=out)


def compete_grad(
    Y: NDArray, dY: NDArray, *, beta: float = 1.0, n_threads: Threads = None, out: NDArray | None = None
) -> NDArray:
    """Gradient of :func:`compete` with respect to the drive, ``da = beta y (dy - sum_i y_i dy_i)``.

    Exact for softmax; for k-winners exact wherever the winners do not change.

    Parameters
    ----------
    Y : ndarray, shape (batch, n_cells)
        What :func:`compete` returned, float32 or float64; not empty.
    dY : ndarray, shape (batch, n_cells)
        Gradient with respect to ``Y``, of its type.
    beta : float
        As given to :func:`compete`.
    n_threads : int >= 1, "auto" or None
        Threads to use.
    out : ndarray, shape (batch, n_cells), optional
        Where to put the result; it may be ``dY`` itself.

    Returns
    -------
    da : ndarray, shape (batch, n_cells)

    Raises
    ------
    TypeError, ValueError
        Naming the argument.

    Notes
    -----
    O(batch n_cells).
    """
    return _core.compete_grad(Y, dY, beta=beta, n_threads=n_threads, out=out)


def plasticity_step(
    indptr: NDArray, indices: NDArray, data: NDArray, G: NDArray, c: NDArray,
    form: str | _core.Plasticity = "log-relaxation", *, theta: float = 0.0, seed: int = 0, step: int = 0,
    n_threads: Threads = None, **parameters: float,
) -> int:  # fmt: skip
    """One local, multiplicative learning step on the stored synapses; changes ``data`` in place.

    Equations of the forms and of their parameters: :func:`bioneuro.reference.plasticity_step`. Each changes a weight in
    proportion to its size, or its logarithm by a share of the way to a target; then noise in proportion to the size,
    bounds, and synaptic scaling of the row.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway in CSR form; ``data`` is writeable.
    G : ndarray, shape (nnz,)
        Hebbian term of every synapse, as :func:`weight_grad` gives it, of the type of ``data``.
    c : ndarray, shape (n_rows,)
        Activity of every post-synaptic cell, summed (forms that relax) or averaged over the batch like ``G``.
    form : str or Plasticity
        Name of the form, such as ``"log-relaxation"``: one of ``_core.FORMS``, which says for each the signs of pathway
        it is defined on, its parameters, and which arrays must be >= 0. Or a ready ``_core.Plasticity(name,
        **parameters)``, which is checked once and for all.
    theta : float
        Synapses below ``theta`` times their row's maximum count as silent, in [0, 1].
    seed, step : int
        Key of the noise, in [0, 2**64). Noise depends on ``(seed, step, row, column)`` and nothing else.
    n_threads : int >= 1, "auto" or None
        Threads to use.
    **parameters : float
        Of the form where it is given by name: ``eta``, ``sigma``, ``w_min``, ``w_max``, ``normalize`` (bool) and its
        own.

    Returns
    -------
    n_silent : int
        Synapses with ``|w| < theta max_j |w_ij|``: what :func:`prune` would take away.

    Raises
    ------
    TypeError, ValueError
        Naming the argument; also for a parameter that the form does not have. ``data`` is then untouched.

    Notes
    -----
    O(nnz), no scratch memory.
    """
    return _core.plasticity_step(
        indptr, indices, data, G, c, form, theta=theta, seed=seed, step=step, n_threads=n_threads, check=True,
        **parameters,
    )  # fmt: skip


def hebbian_step(
    indptr: NDArray, indices: NDArray, data: NDArray, X: NDArray, drive: NDArray,
    form: str | _core.Plasticity = "log-relaxation", *, beta: float = 1.0, threshold: NDArray | None = None,
    k: int | None = None, gain: NDArray | None = None, seed: int = 0, step: int = 0, n_threads: Threads = None,
    **parameters: float,
) -> NDArray:  # fmt: skip
    """Competition, Hebbian term and plasticity in one step, which costs only the cells that win; changes ``data``.

    ``Y = compete(drive)``; then :func:`plasticity_step` with ``G_ij = gain_i sum_b Y_bi X_bj`` and
    ``c_i = gain_i sum_b Y_bi``, for the cells with ``Y_bi != 0`` in some sample; the others stay as they are.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway in CSR form; ``data`` is writeable.
    X : ndarray, shape (batch, n_cols)
        Pre-synaptic rates, of the type of ``data``; not empty. For ``form="log-covariance"`` standardised ones.
    drive : ndarray, shape (batch, n_rows)
        Drive of the cells, as :func:`forward` gives it.
    form, seed, step, **parameters
        As for :func:`plasticity_step`.
    beta, threshold, k
        As for :func:`compete`.
    gain : ndarray, shape (n_rows,), optional
        Learning rate of each cell relative to the others; 1 where none is given. (The log-covariance form's own
        parameter is ``slope``.)
    n_threads : int >= 1, "auto" or None
        Threads to use.

    Returns
    -------
    Y : ndarray, shape (batch, n_rows)
        Rates after the competition.

    Raises
    ------
    TypeError, ValueError
        Naming the argument; ``data`` is then untouched.

    Notes
    -----
    O(batch n_rows) for the competition, then O(winners x synapses of a cell) where fewer than 1 in 16 rates are not 0,
    else as :func:`weight_grad`; O(nnz) for the check of the structure, which :meth:`bioneuro.Synapses.hebbian_step`
    does not need.
    """
    rule = _core.Plasticity(form, **parameters)
    Y = _core.compete(drive, beta=beta, threshold=threshold, k=k, n_threads=n_threads)
    _core.hebbian_step(
        indptr, indices, data, X, Y, rule, gain=gain, seed=seed, step=step, n_threads=n_threads, check=True
    )
    return Y


def normalize_rows(indptr: NDArray, indices: NDArray, data: NDArray, *, n_threads: Threads = None) -> None:
    """Synaptic scaling: divide each row by its Euclidean norm; changes ``data`` in place.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway in CSR form; ``data`` is writeable.
    n_threads : int >= 1, "auto" or None
        Threads to use.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position. ``data`` is then untouched.

    Notes
    -----
    O(nnz), no scratch memory. Sums of squares are in double precision; rows of zeros stay.
    """
    _core.normalize_rows(indptr, indices, data, n_threads=n_threads, check=True)


# --- structure ---------------------------------------------------------------------------------------------


def validate(indptr: NDArray, indices: NDArray, data: NDArray, n_cols: int) -> None:
    """Check that this is a proper CSR structure, as every function here does before it starts.

    Parameters
    ----------
    indptr, indices : ndarray
        ``indptr`` starts at 0, never falls and ends at ``len(indices)``; columns rise strictly within a row and lie in
        ``[0, n_cols)``.
    data : ndarray or None
        Finite; ``None``: only the structure counts.
    n_cols : int
        Number of pre-synaptic cells, >= 1.

    Raises
    ------
    TypeError
        For a wrong kind of array, dtype or byte order.
    ValueError
        Naming the argument, the first offending position and the values there.

    Notes
    -----
    O(nnz), at memory speed.
    """
    _core.validate(indptr, indices, data, n_cols)


def transpose_index(
    indptr: NDArray, indices: NDArray, n_cols: int, *, n_threads: Threads = None
) -> tuple[NDArray, NDArray, NDArray]:
    """CSR structure of the transpose, and the permutation that carries the values: ``data_T = data[permutation]``.

    Parameters
    ----------
    indptr, indices : ndarray
        The pattern of the pathway, ``(n_rows, n_cols)`` in CSR form.
    n_cols : int
        Number of pre-synaptic cells, >= 1.
    n_threads : int >= 1, "auto" or None
        Has no effect: one pass on one thread.

    Returns
    -------
    t_indptr : ndarray, shape (n_cols + 1,)
    t_indices : ndarray, shape (nnz,)
        Post-synaptic cells, rising within each pre-synaptic cell.
    permutation : ndarray, shape (nnz,)
        All of the type of ``indptr``.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position.

    Notes
    -----
    O(nnz + n_cols).
    """
    return _core.transpose_index(indptr, indices, n_cols, check=True)


def prune(
    indptr: NDArray, indices: NDArray, data: NDArray, theta: float, *, n_threads: Threads = None
) -> tuple[NDArray, NDArray, NDArray]:
    """New pathway without the synapses of ``|w_ij| < theta max_j |w_ij|``: they turn silent and leave.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway in CSR form.
    theta : float
        Share of the row's maximum below which a synapse leaves, in [0, 1]. 0 keeps all.
    n_threads : int >= 1, "auto" or None
        Threads to use.

    Returns
    -------
    indptr, indices, data : ndarray
        New arrays of the types given.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position.

    Notes
    -----
    O(nnz).
    """
    return _core.prune(indptr, indices, data, theta, n_threads=n_threads, check=True)


def candidates(
    indptr: NDArray, indices: NDArray, n_cols: int, n_candidates: int, *, seed: int = 0, step: int = 0,
    n_threads: Threads = None,
) -> tuple[NDArray, NDArray]:  # fmt: skip
    """Random sites for new synapses: at most ``n_candidates`` silent columns for each row, sorted and unique.

    Parameters
    ----------
    indptr, indices : ndarray
        The pattern of the pathway, ``(n_rows, n_cols)`` in CSR form.
    n_cols : int
        Number of pre-synaptic cells, in [1, 2**32).
    n_candidates : int
        Draws per row, in [0, 2**32); columns that are present, or drawn twice, drop out.
    seed, step : int
        Key of the draws, in [0, 2**64). A draw depends on ``(seed, step, row, number of the draw)`` and nothing else.
    n_threads : int >= 1, "auto" or None
        Threads to use.

    Returns
    -------
    cand_indptr, cand_indices : ndarray
        CSR structure of the candidates, of the type of ``indptr``.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position; also when the result might be too large
        for int32 indices.

    Notes
    -----
    O(nnz + n_rows (n_candidates + n_cols / 64)).
    """
    return _core.candidates(
        indptr, indices, n_cols, n_candidates, seed=seed, step=step, n_threads=n_threads, check=True
    )


def grow(
    indptr: NDArray, indices: NDArray, data: NDArray, cand_indptr: NDArray, cand_indices: NDArray, score: NDArray,
    n_grow: int, weight: float, *, n_threads: Threads = None,
) -> tuple[NDArray, NDArray, NDArray]:  # fmt: skip
    """New pathway in which each row has gained its ``n_grow`` best candidates.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway in CSR form.
    cand_indptr, cand_indices : ndarray
        Candidates, as :func:`candidates` gives them: same number of rows and index type, none of them stored already.
    score : ndarray, shape (len(cand_indices),)
        Of the type of ``data``; for example the Hebbian term by :func:`weight_grad` on the candidates. Only a score > 0
        can win, NaN never; ties go to the lower column.
    n_grow : int
        Most synapses that a row can gain, >= 0.
    weight : float
        A newborn synapse weighs ``weight * max_j |w_ij|``, or ``weight`` itself in a row without synapses. Finite.
    n_threads : int >= 1, "auto" or None
        Threads to use.

    Returns
    -------
    indptr, indices, data : ndarray
        New arrays of the types given.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position; also when the result might be too large
        for int32 indices.

    Notes
    -----
    O(nnz + 32 n_candidates), 64 for float64: the n-th best score is found bit by bit, with vectors.
    """
    grown = _core.grow(
        indptr, indices, data, cand_indptr, cand_indices, score, n_grow, weight, n_threads=n_threads, check=True
    )
    try:
        _core.validate(*grown[:2], None, sys.maxsize)
    except ValueError:
        raise ValueError("cand_indices must name silent synapses, but one that was to grow is stored already") from None
    return grown


def turnover(
    indptr: NDArray, indices: NDArray, data: NDArray, n_cols: int, *, birth: float, death: float, gamma: float,
    size: float, time: NDArray | None = None, sign: Literal["E", "I"] = "E",
    normalize: bool = False, seed: int = 0, step: int = 0, n_threads: Threads = None,
) -> tuple[NDArray, NDArray, NDArray, int]:  # fmt: skip
    """New pathway after random births and deaths of synapses: the weak are short-lived, the silent may wake.

    A stored synapse dies with probability ``1 - exp(-death time_i (|w_ij| / size)^-gamma)``, a silent pair is born at
    weight ``size`` with probability ``1 - exp(-birth time_i)``. Where births and deaths balance, a pair whose weight
    would be ``w`` is alive with probability ``1 / (1 + (death / birth) (w / size)^-gamma)``, logistic in log w: no
    density is given anywhere. Rows that are scaled to one norm hold it: where many die, the rest grow, and live longer.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway in CSR form.
    n_cols : int
        Number of pre-synaptic cells, in [1, 2**32).
    birth, death : float
        Rates, >= 0; of deaths: at weight ``size``.
    gamma : float
        How much longer strong synapses live, >= 0; 0: all alike.
    size : float
        Weight of newborns and the unit of all others; > 0 and finite in the type of ``data``. For rows of unit norm
        ``1 / sqrt(n_cols)``, say, the weight of each were all alive and alike.
    time : ndarray, shape (n_rows,), optional
        How much time passes for each cell, such as its amount of change; finite, >= 0, of the type of ``data``.
        ``None``: 1 for all.
    sign : {"E", "I"}
        Whether newborns are positive or negative.
    normalize : bool
        Whether all rows are then scaled to unit norm, as by :func:`normalize_rows`.
    seed, step : int
        Key of the draws, in [0, 2**64). A death depends on ``(seed, step, row, column)``, the births of a row on
        ``(seed, step, row)``, and on rates and weights.
    n_threads : int >= 1, "auto" or None
        Threads to use.

    Returns
    -------
    indptr, indices, data : ndarray
        New arrays of the types given. A synapse that died is not born again in the same call.
    n_died : int

    Raises
    ------
    TypeError, ValueError
        Naming the argument and, for the structure, the offending position; also when the result is too large for int32
        indices.

    Notes
    -----
    O(nnz + births): silent pairs are not visited. All arithmetic is in double precision: float32 weights live and die
    as the same numbers in float64 do, up to the rounding of newborns.
    """
    new_indptr, new_indices, new_data, n_died = _core.turnover(
        indptr, indices, data, n_cols, birth=birth, death=death, gamma=gamma, size=size, time=time, sign=sign,
        normalize=normalize, seed=seed, step=step, n_threads=n_threads, check=True,
    )  # fmt: skip
    if new_data is data:  # nothing happened
        new_indptr, new_indices, new_data = indptr.copy(), indices.copy(), data.copy()
        if normalize:
            normalize_rows(new_indptr, new_indices, new_data, n_threads=n_threads)
    return new_indptr, new_indices, new_data, n_died


# --- retina ------------------------------------------------------------------------------------------------


def patches(
    R: NDArray, *, patch_size: int = 7, c0: float = 0.5, g0: float = 0.5, gate_exponent: float = 1.0,
    n_threads: Threads = None,
) -> tuple[NDArray, NDArray]:  # fmt: skip
    """ON/OFF patches of contrast responses, divisively normalised; stride 1, zero padded.

    With ``m`` the patch mean of each channel: ON = ``(r - m)+``, OFF = ``(m - r)+``, ``z = [ON, OFF]``,
    ``|z| = sqrt(sum z^2 + 1e-8)``, ``U = z / (|z| + c0)``, gate
    ``g = |z|^m / (|z|^m + g0^m)`` with ``m = gate_exponent``.

    Parameters
    ----------
    R : ndarray, shape (batch, height, width, channels)
        Contrast responses, float32 or float64; not empty.
    patch_size : int
        Side ``p`` of a patch, in [1, 4096]; it may exceed the image. A patch reaches ``(p - 1) // 2`` pixels up and
        left of its position and ``p // 2`` down and right.
    c0 : float
        Semi-saturation of the divisive normalisation, > 0.
    g0, gate_exponent : float
        Semi-saturation of the gate, > 0, and its steepness ``m``, in (0, 8].
    n_threads : int >= 1, "auto" or None
        Threads to use.

    Returns
    -------
    U : ndarray, shape (batch * height * width, 2 * p * p * channels)
        The ON half, then the OFF half, each in (row, column, channel) order.
    gate : ndarray, shape (batch * height * width,)

    Raises
    ------
    TypeError, ValueError
        Naming the argument.

    Notes
    -----
    Bound by writing U: about 0.1 us for a position of 98 values. Go through a large set in batches.
    """
    return _core.patches(R, patch_size=patch_size, c0=c0, g0=g0, gate_exponent=gate_exponent, n_threads=n_threads)


def patches_grad(
    R: NDArray, dU: NDArray, dgate: NDArray, *, patch_size: int = 7, c0: float = 0.5, g0: float = 0.5,
    gate_exponent: float = 1.0, n_threads: Threads = None,
) -> NDArray:  # fmt: skip
    """Gradient of :func:`patches` with respect to ``R``, given those with respect to ``U`` and ``gate``.

    Parameters
    ----------
    R : ndarray, shape (batch, height, width, channels)
        As given to :func:`patches`.
    dU : ndarray, shape (batch * height * width, 2 * p * p * channels)
    dgate : ndarray, shape (batch * height * width,)
        Both of the type of ``R``.
    patch_size, c0, g0, gate_exponent
        As given to :func:`patches`.
    n_threads : int >= 1, "auto" or None
        Threads to use; work is split over images.

    Returns
    -------
    dR : ndarray, shape (batch, height, width, channels)
        Finite on flat patches, where the ON/OFF rectification contributes 0.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.

    Notes
    -----
    About twice as costly as :func:`patches`.
    """
    return _core.patches_grad(
        R, dU, dgate, patch_size=patch_size, c0=c0, g0=g0, gate_exponent=gate_exponent, n_threads=n_threads
    )


def feature_map(
    R: NDArray, W: NDArray, pool_rows: NDArray, pool_cols: NDArray, *, beta: float = 1.0, k: int | None = None,
    patch_size: int = 7, c0: float = 0.5, g0: float = 0.5, gate_exponent: float = 1.0, n_threads: Threads = None,
) -> NDArray:  # fmt: skip
    """Pooled rates of columns that compete at every position: the whole feature map in one pass.

    ``y = g softmax(beta W u)`` at every pixel, ``u`` and ``g`` from :func:`patches`; then
    ``s_rc = sum_yx pool_rows_ry pool_cols_cx y_yx``.

    Parameters
    ----------
    R : ndarray, shape (batch, height, width, channels)
        Contrast responses, float32 or float64; not empty.
    W : ndarray, shape (n_columns, 2 * p * p * channels)
        Weights of the columns, dense, of the type of ``R``.
    pool_rows : ndarray, shape (grid_rows, height)
    pool_cols : ndarray, shape (grid_cols, width)
        What each pooling window sees of the rows and columns of the image; of the type of ``R``.
    beta, k
        As for :func:`compete`.
    patch_size, c0, g0, gate_exponent
        As for :func:`patches`.
    n_threads : int >= 1, "auto" or None
        Threads to use; work is split over images.

    Returns
    -------
    S : ndarray, shape (batch, grid_rows, grid_cols, n_columns)

    Raises
    ------
    TypeError, ValueError
        Naming the argument.

    Notes
    -----
    ``4 p^2 channels n_columns`` flops a position. Memory beyond the result: one row of positions for each thread.
    """
    return _core.feature_map(
        R,
        W,
        pool_rows,
        pool_cols,
        beta=beta,
        k=k,
        patch_size=patch_size,
        c0=c0,
        g0=g0,
        gate_exponent=gate_exponent,
        n_threads=n_threads,
    )
