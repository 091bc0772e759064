"""Corruptions of images, as MNIST-C has them: what happens without an adversary, in five severities.

After Mu & Gilmer 2019, "MNIST-C: a robustness benchmark for computer vision", arXiv 1906.02337, and Hendrycks &
Dietterich 2019, arXiv 1903.12261; written anew, with lengths relative to the side of the image, so that they fit 8 x 8
digits as well as photographs. They have no budget: `bioneuro.attacks` is for that. A corruption is one function in
`bioneuro.corruption_functions` and one line in `CORRUPTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import corruption_functions
from .attacks.answers import predict
from .attacks.inputs import check_images, check_input, checked_names
from .attacks.sample_random import SampleRandom
from .checks import check_count
from .corruption_functions import Distortion, Draws
from .extras import pandas
from .image_shapes import resolve_shape
from .progress import track
from .protocols import Classifier

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CORRUPTIONS", "SEVERITIES", "Corruption", "corrupt", "evaluate"]

SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Corruption:
    """A corruption and its strength at each severity.

    Attributes
    ----------
    apply : callable
        ``apply(images, strength, draws)``, see `bioneuro.corruption_functions`.
    strengths : tuple of 5 floats
        What they mean is said at the function; lengths are shares of the image's longer side.
    """

    apply: Distortion
    strengths: tuple[float, float, float, float, float]


#: Corruptions by name. Strengths chosen by eye, to run from hardly seen to hardly read on MNIST.
CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": Corruption(corruption_functions.gaussian_noise, (0.1, 0.2, 0.3, 0.4, 0.55)),
    "shot_noise": Corruption(corruption_functions.shot_noise, (0.15, 0.3, 0.45, 0.6, 0.8)),
    "impulse_noise": Corruption(corruption_functions.impulse_noise, (0.03, 0.08, 0.15, 0.25, 0.4)),
    "gaussian_blur": Corruption(corruption_functions.gaussian_blur, (0.02, 0.035, 0.05, 0.07, 0.09)),
    "motion_blur": Corruption(corruption_functions.motion_blur, (0.07, 0.12, 0.17, 0.23, 0.3)),
    "glass_blur": Corruption(corruption_functions.glass_blur, (0.04, 0.06, 0.08, 0.11, 0.15)),
    "translate": Corruption(corruption_functions.translate, (0.04, 0.08, 0.12, 0.16, 0.2)),
    "rotate": Corruption(corruption_functions.rotate, (10, 20, 30, 40, 50)),
    "scale": Corruption(corruption_functions.scale, (1.1, 1.2, 1.3, 1.45, 1.6)),
    "shear": Corruption(corruption_functions.shear, (0.15, 0.3, 0.45, 0.6, 0.8)),
    "brightness": Corruption(corruption_functions.brightness, (0.1, 0.2, 0.3, 0.45, 0.6)),
    "contrast": Corruption(corruption_functions.contrast, (0.75, 0.5, 0.35, 0.25, 0.15)),
    "fog": Corruption(corruption_functions.fog, (0.2, 0.35, 0.5, 0.65, 0.8)),
    "occlusion": Corruption(corruption_functions.occlusion, (0.15, 0.22, 0.3, 0.37, 0.45)),
    "stripe": Corruption(corruption_functions.stripe, (0.04, 0.08, 0.12, 0.16, 0.22)),
    "dotted_line": Corruption(corruption_functions.dotted_line, (0.03, 0.05, 0.07, 0.1, 0.13)),
    "zigzag": Corruption(corruption_functions.zigzag, (0.03, 0.05, 0.07, 0.1, 0.13)),
}


def corrupt(
    X: ArrayLike,
    name: str,
    severity: int = 3,
    image_shape: tuple[int, ...] | None = None,
    random_state: int = 0,
) -> NDArray:
    """Corrupted copies of images.

    Parameters
    ----------
    X : array of shape (n, features), in [0, 1]
        Kept in float32 or float64; other dtypes become float64.
    name : str
        Out of `CORRUPTIONS`.
    severity : int in 1..5
    image_shape : (height, width) or (height, width, channels), optional
        None: a square grey image.
    random_state : int >= 0
        An image's corruption depends on this and on its own content, not on the other images.

    Returns
    -------
    ndarray of shape (n, features), in [0, 1]

    Raises
    ------
    ValueError
        An unknown name, a severity, shape or seed out of range, or X out of shape or range.
    """
    corruption, severity = _named(name), _checked_severity(severity)
    check_count("random_state", random_state, 0)
    X = check_images(X)
    shape = _two_sided(X.shape[1], image_shape, None)
    return _apply(X, corruption, severity, shape, random_state)


def evaluate(
    model: Classifier,
    X: ArrayLike,
    y: ArrayLike,
    *,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    image_shape: tuple[int, ...] | None = None,
    random_state: int = 0,
    batch_size: int = 1000,
    progress: bool = False,
) -> pd.DataFrame:
    """Accuracy of a model on corrupted images.

    Parameters
    ----------
    model : Classifier
    X : array of shape (n, features), in [0, 1]
    y : array of shape (n,)
        True labels, out of ``model.classes_``.
    corruptions : sequence of names in `CORRUPTIONS`, optional
        Default: all.
    severities : sequence of ints in 1..5
    image_shape : (height, width) or (height, width, channels), optional
        None: ``model.image_shape_`` if there is one, else a square grey image.
    random_state : int >= 0
        See `corrupt`.
    batch_size : int >= 1
        Images corrupted and predicted at once.
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    DataFrame with columns corruption, severity, accuracy
        The first row, "none" at severity 0, is of the images as they are.

    Raises
    ------
    ImportError
        pandas is not installed.
    TypeError, ValueError
        As `corrupt`; also labels or a batch size out of range.
    """
    pd = pandas()
    rows, labels, _ = check_input(model, X, y, 0.0)
    check_count("batch_size", batch_size)
    check_count("random_state", random_state, 0)
    shape = _two_sided(rows.shape[1], image_shape, model)
    names = list(CORRUPTIONS) if corruptions is None else list(corruptions)
    cases = [(name, _named(name), _checked_severity(level)) for name in names for level in severities]
    batches = [slice(i, i + batch_size) for i in range(0, len(rows), batch_size)]

    def accuracy(change: Callable[[NDArray], NDArray]) -> float:
        return float(np.mean(np.concatenate([predict(model, change(rows[b])) == labels[b] for b in batches])))

    with checked_names(model, X):
        table = [("none", 0, accuracy(np.copy))]
        for name, corruption, level in track(cases, progress, "corruptions"):
            change = partial(_apply, corruption=corruption, severity=level, shape=shape, random_state=random_state)
            table.append((name, level, accuracy(change)))
    return pd.DataFrame(table, columns=["corruption", "severity", "accuracy"])


def _apply(
    X: NDArray, corruption: Corruption, severity: int, shape: tuple[int, int, int], random_state: int
) -> NDArray:
    images = X.reshape(len(X), *shape).astype(np.float64)
    draws = Draws(SampleRandom(int(random_state), X), images.shape)
    changed = corruption.apply(images, corruption.strengths[severity - 1], draws)
    return np.clip(changed, 0, 1).reshape(X.shape).astype(X.dtype)


# --- checks ---


def _named(name: str) -> Corruption:
    if name not in CORRUPTIONS:
        raise ValueError(f"unknown corruption {name!r}; choose from {', '.join(CORRUPTIONS)}")
    return CORRUPTIONS[name]


def _checked_severity(severity: int) -> int:
    check_count("severity", severity, SEVERITIES[0], SEVERITIES[-1])
    return int(severity)


def _two_sided(features: int, image_shape: tuple[int, ...] | None, model: object) -> tuple[int, int, int]:
    height, width, channels = resolve_shape(features, image_shape, model)
    if min(height, width) < 2:
        raise ValueError(f"corruptions need images; rows of {features} features are none: give image_shape")
    return height, width, channels
