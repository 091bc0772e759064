"""How well two sets of points with descriptors fit, once one is laid affinely on the other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: The map that leaves points where they are: rows are the two coordinates and the constant.
IDENTITY = np.array([[1, 0], [0, 1], [0, 0]], np.float32)


class PointSets(NamedTuple):
    """``places (n_sets, n_points, 2)``, about 0, and ``descriptors (n_sets, n_points, n)`` of unit norm."""

    places: NDArray[np.float32]
    descriptors: NDArray[np.float32]


def similarity_of(
    A: PointSets, B: PointSets, *, penalty: float, n_alignments: int, stiffness: float
) -> NDArray[np.float32]:
    """Similarity of every set of A to every set of B, (len(A), len(B)).

    A point p of one set fits a point q of the other as well as ``f_p . f_q - penalty |p - T(q)|^2``; each takes its
    best partner. T, an affine map of the set of B, starts as the identity and is fitted ``n_alignments`` times to those
    partners, of both directions, by least squares (iterated closest points, Besl & McKay 1992, with descriptors); a
    ridge holds it near the identity. Similarity is the smaller of the mean fits in the two directions, as in the
    Modified Hausdorff distance (Dubuisson & Jain 1994).

    Parameters
    ----------
    A, B : PointSets
        With as many points in every set.
    penalty : float >= 0
        Of the squared distance.
    n_alignments : int >= 0
    stiffness : float > 0
        Of the ridge, relative to the spread of the points.
    """
    n_sets, n_points, _ = B.places.shape
    homogeneous = np.concatenate([B.places, np.ones((n_sets, n_points, 1), np.float32)], axis=2)
    spread = float((B.places**2).mean()) if B.places.size else 1.0
    ridge = np.diag(np.array([spread, spread, 4 * spread], np.float32)) * np.float32(stiffness)
    descriptors = B.descriptors.reshape(n_sets * n_points, -1).T
    out = np.empty((len(A.places), n_sets), np.float32)
    for number, (places, own) in enumerate(zip(A.places, A.descriptors, strict=True)):
        alike = np.ascontiguousarray((own @ descriptors).reshape(-1, n_sets, n_points).swapaxes(0, 1))
        moved = B.places
        fit = alike - penalty * _squared_distances(places, moved)
        for _ in range(n_alignments):
            moved = homogeneous @ _affine(places, homogeneous, fit, ridge)
            fit = alike - penalty * _squared_distances(places, moved)
        out[number] = np.minimum(fit.max(axis=2).mean(axis=1), fit.max(axis=1).mean(axis=1))
    return out


def _squared_distances(places: NDArray, moved: NDArray) -> NDArray:
    """From each of ``places (n, 2)`` to each point of every set, (n_sets, n, n_points)."""
    own, others = (places**2).sum(axis=1), (moved**2).sum(axis=2)
    return own[:, None] + others[:, None, :] - 2 * (places @ moved.swapaxes(1, 2))


def _affine(places: NDArray, homogeneous: NDArray, fit: NDArray, ridge: NDArray) -> NDArray:
    """The maps (n_sets, 3, 2) of all sets that bring partners together."""
    partner_of_own, partner_of_other = fit.argmax(axis=2), fit.argmax(axis=1)
    chosen = np.take_along_axis(homogeneous, partner_of_own[..., None], axis=1)
    source = np.concatenate([chosen, homogeneous], axis=1)
    target = np.concatenate([np.broadcast_to(places, (*chosen.shape[:2], 2)), places[partner_of_other]], axis=1)
    n = source.shape[1]
    normal = source.swapaxes(1, 2) @ source / n + ridge
    return np.linalg.solve(normal, source.swapaxes(1, 2) @ target / n + ridge @ IDENTITY)
