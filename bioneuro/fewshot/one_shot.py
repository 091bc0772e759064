"""Omniglot's official one-shot task, and its published baseline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from sklearn.metrics.pairwise import cosine_similarity

from .. import omniglot
from ..omniglot import OneShotRun
from ..progress import track
from .evaluation import frame

if TYPE_CHECKING:
    import pandas as pd


class ImageEncoder(Protocol):
    """What is asked of an encoder. It has learned before; one that offers ``similarity`` is compared by that."""

    image_shape_: tuple[int, ...]

    def transform(self, X: NDArray) -> Any:
        """Representations of images ``X (n, features)`` in [0, 1], an entry along the first axis for each."""
        ...


def omniglot_one_shot(
    encoder: ImageEncoder, runs: Iterable[OneShotRun] | None = None, *, progress: bool = False
) -> pd.DataFrame:
    """Error in each run of the official one-shot task: 20-way, within an alphabet, one drawing of each to learn from.

    A test image is given to the training image that it is most similar to. Every image is encoded once, by itself: no
    test image helps to classify another one.

    Parameters
    ----------
    encoder : object with ``image_shape_`` and ``transform(X)``
        Images come as rows of ``X`` at ``image_shape_`` (height, width), averaged over areas, ink 1 and paper 0.
        Similarity is ``encoder.similarity(A, B) -> (len(A), len(B))`` of two sets of representations, test images first
        (A), where there is such a method, and the cosine of the representations elsewhere.
    runs : iterable of OneShotRun, optional
        Default the official 20 (:func:`bioneuro.omniglot.one_shot_runs`).
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    DataFrame with columns run, error
        One row a run; error in [0, 1]. The published figure of a method is the mean.

    Raises
    ------
    ValueError
        No runs, an encoder without an image shape in gray, or similarities that do not fit the images.
    DatasetNotFoundError
        Where the official runs are needed and are not to be had.

    References
    ----------
    Lake, Salakhutdinov & Tenenbaum 2015, Science 350:1332. Published errors, in percent: people 4.5; with the whole
    background BPL 3.3, convnet 13.5, prototypical networks 13.7; with one of the two small backgrounds, which is what
    is at hand here, BPL 4.2, convnet 23.2, prototypical networks 30.1 (Lake et al. 2019, arXiv:1902.03477); Modified
    Hausdorff distance 38.8, which learns nothing.
    """
    shape = getattr(encoder, "image_shape_", None)
    if shape is None or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] != 1):
        raise ValueError(f"encoder must have learned gray images, image_shape_ (height, width), got {shape}")
    runs = list(omniglot.one_shot_runs() if runs is None else runs)
    if not runs:
        raise ValueError("runs must not be empty")
    rows = []
    for run in track(runs, progress, "one-shot runs"):
        images = omniglot.resize(np.concatenate([run.test, run.train]), tuple(shape[:2]))
        Z = encoder.transform(images)
        test, train = Z[: len(run.test)], Z[len(run.test) :]
        scores = np.asarray(_similarity(encoder, test, train))
        if scores.shape != (len(run.test), len(run.train)):
            raise ValueError(
                f"similarity must return {len(run.test)} x {len(run.train)} values, one for each test and training "
                f"image, got shape {scores.shape}"
            )
        if np.isnan(scores).any():
            raise ValueError(f"similarity must return numbers, got NaN in run {run.number}")
        rows.append((run.number, float(np.mean(scores.argmax(axis=1) != run.answers))))
    return frame(rows, ["run", "error"])


def _similarity(encoder: Any, A: Any, B: Any) -> NDArray:
    if hasattr(encoder, "similarity"):
        return encoder.similarity(A, B)
    A, B = (np.asarray(Z, float).reshape(len(Z), -1) for Z in (A, B))
    return cosine_similarity(A, B)


class Pixels:
    """The images themselves, by their cosine: what any representation must be better than.

    Parameters
    ----------
    image_shape : (height, width)
    """

    def __init__(self, image_shape: tuple[int, int] = (105, 105)) -> None:
        self.image_shape_ = tuple(image_shape)

    def transform(self, X: NDArray) -> NDArray:
        """``X`` as it is."""
        return X


class ModifiedHausdorff:
    """Modified Hausdorff distance between the inked pixels of two drawings, their centres of mass laid on each other.

    ``d(A, B) = max(mean_a min_b |a - b|, mean_b min_a |a - b|)`` (Dubuisson & Jain 1994, ICPR 1:566, their d_6 with
    f_2); the similarity is ``-d``. The official demonstration of the one-shot task, 38.8 % error.
    """

    image_shape_ = (omniglot.SIDE, omniglot.SIDE)

    def transform(self, X: NDArray) -> list[NDArray[np.float64]]:
        """Row and column of every pixel above 0, relative to their mean: an array (n_ink, 2) for each image."""
        drawings = [np.argwhere(image).astype(float) for image in X.reshape(-1, *self.image_shape_)]
        for number, points in enumerate(drawings):
            if not len(points):
                raise ValueError(f"X must have ink in every image, but X[{number}] is blank")
        return [points - points.mean(axis=0) for points in drawings]

    def similarity(self, A: list[NDArray], B: list[NDArray]) -> NDArray[np.float64]:
        """Minus the distances, (len(A), len(B))."""
        of_a, of_b = ([KDTree(points) for points in drawings] for drawings in (A, B))
        to_b = np.array([[tree.query(a)[0].mean() for tree in of_b] for a in A])
        to_a = np.array([[tree.query(b)[0].mean() for b in B] for tree in of_a])
        return -np.maximum(to_b, to_a)
