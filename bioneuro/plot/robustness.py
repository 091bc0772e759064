"""Models under attack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..checks import plain_array
from ._style import BLUE, GREY, SKY, VERMILION, Floats, axes, below, curves, evidence, need_columns, pyplot, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def robustness_curve(frame: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Robust accuracy against the attack's radius: mean and Student interval over seeds, by model.

    Parameters
    ----------
    frame : DataFrame
        Columns `model`, `epsilon`, `robust_accuracy` (0 to 1), `seed`.
    ax : Axes, optional
    level : float
        Of the band; a single seed has none.
    """
    ax = axes(ax)
    curves(frame, "epsilon", "robust_accuracy", ax, level)
    ax.set_xticks(np.unique(frame["epsilon"]))  # where it was attacked, and nowhere between
    ax.set(xlabel="attack radius ε", ylabel="robust accuracy")
    ax.set_title(f"Accuracy under attack\n{evidence(frame, level)}", loc="left", fontsize=10)
    return ax


def loss_landscape(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Loss along the gradient and along a random direction, a thin line a sample and a thick one for their median.

    Above 0 the margin means that the sample is broken. Where gradients are masked, the random direction does as well.

    Parameters
    ----------
    frame : DataFrame
        Of `bioneuro.attacks.loss_landscape`: columns `sample`, `direction`, `distance`, `loss`.
    ax : Axes, optional
    """
    ax = axes(ax)
    need_columns(frame, ("sample", "direction", "distance", "loss"))
    for direction, label, colour, dash in (
        ("gradient", "along the gradient", VERMILION, "-"),
        ("random", "along a random direction", BLUE, "--"),
    ):
        part = frame[frame["direction"] == direction]
        _bundle(part, "distance", ax, colour, dash, label)
    ax.set(xlabel="distance from the sample", ylabel="loss")
    ax.set_title(f"Loss around {frame['sample'].nunique()} samples (bold: median)", loc="left", fontsize=10)
    below(ax)
    return ax


def loss_by_step(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Loss of each sample at every step of an attack, a thin line a sample and a thick one for their median.

    Parameters
    ----------
    frame : DataFrame
        Of `bioneuro.attacks.loss_by_step`: columns `sample`, `step`, `loss`.
    ax : Axes, optional
    """
    ax = axes(ax)
    need_columns(frame, ("sample", "step", "loss"))
    _bundle(frame, "step", ax, VERMILION, "-", "")
    ax.set(xlabel="step", ylabel="loss")
    ax.set_title(f"Loss of {frame['sample'].nunique()} samples under attack (bold: median)", loc="left", fontsize=10)
    return ax


def _bundle(frame: pd.DataFrame, x: str, ax: Axes, colour: str, dash: Any, label: str) -> None:
    """Each sample's loss against `x`, and their median."""
    lines = frame.pivot(index=x, columns="sample", values="loss")
    ax.plot(lines.index, lines, dash, color=colour, linewidth=0.5, alpha=0.4)
    ax.plot(lines.index, lines.median(axis=1), dash, color=colour, linewidth=2, label=label or None)
    ax.axhline(0, color=GREY, linewidth=0.8)
    tidy(ax)


def adversarial_examples(
    clean: ArrayLike,
    adversarial: Mapping[str, ArrayLike],
    image_shape: tuple[int, ...],
    ax: Axes | None = None,
    *,
    labels: ArrayLike | None = None,
    predictions: Mapping[str, ArrayLike] | None = None,
) -> Axes:
    """What breaks each model: a row of clean images, then a row of adversarial images and one of differences a model.

    Parameters
    ----------
    clean : array_like (n, features)
        Images in [0, 1], one a column of the sheet.
    adversarial : dict of model to array_like (n, features)
        The same images as attacked for this model.
    image_shape : (h, w) or (h, w, channels)
        With three channels images are drawn in colour.
    ax : Axes, optional
    labels : array_like (n,), optional
        True classes, written on the clean images.
    predictions : dict of model to array_like (n,), optional
        What the model takes its adversarial images for, written on them; red where it is not the label.

    Returns
    -------
    Axes
        Differences of gray images are red where the attack adds light and blue where it takes some; those of
        coloured ones are gray where nothing changed. Full colour is the largest change of any image on the sheet.
    """
    clean = _images(clean, image_shape, "clean")
    if not adversarial:
        raise ValueError("adversarial must hold the images of at least one model")
    attacked = {model: _images(images, image_shape, f"adversarial[{model!r}]") for model, images in adversarial.items()}
    for model, images in attacked.items():
        if images.shape != clean.shape:
            raise ValueError(f"adversarial[{model!r}] must hold {len(clean)} images, as clean does, got {len(images)}")
    rows, names, texts = [_in_colour(clean)], ["clean"], [_texts(labels, len(clean), "labels")]
    largest = max(float(np.abs(images - clean).max()) for images in attacked.values())
    for model, images in attacked.items():
        rows += [_in_colour(images), _signed(images - clean, largest)]
        names += [model, "difference"]
        texts += [_texts((predictions or {}).get(model), len(clean), f"predictions[{model!r}]"), None]

    height, width = image_shape[:2]
    ax = axes(ax, (1.6 + 0.75 * len(clean), 0.6 + 0.75 * len(rows)))
    gap = max(1, height // 14)
    sheet = np.ones((len(rows), height + gap, len(clean), width + gap, 3))
    for row, images in zip(sheet, rows, strict=True):
        row[:height, :, :width] = images.transpose(1, 0, 2, 3)
    ax.imshow(sheet.reshape(len(rows) * (height + gap), -1, 3)[:-gap, :-gap], interpolation="nearest")
    for i, row_texts in enumerate(texts):
        for j, text in enumerate(row_texts or ()):
            wrong = i and labels is not None and text != str(np.asarray(labels)[j])
            place = (j * (width + gap) + 0.04 * width, i * (height + gap) + 0.06 * height)
            ax.text(*place, text, color=VERMILION if wrong else SKY, fontsize=8, va="top", fontweight="bold")
    ax.set_xticks([])
    ax.set_yticks([i * (height + gap) + height / 2 for i in range(len(rows))], labels=names, fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(f"Adversarial images (full colour of a difference: {largest:.2g})", loc="left", fontsize=10)
    return ax


def _images(values: ArrayLike, image_shape: tuple[int, ...], name: str) -> Floats:
    """As (n, height, width, channels)."""
    shape = (*image_shape, 1)[:3]
    if len(image_shape) not in (2, 3) or shape[2] not in (1, 3):
        raise ValueError(f"image_shape must be (height, width) or (height, width, 1 or 3), got {image_shape}")
    images = plain_array(values, name, np.float64)
    if images.ndim != 2 or images.shape[1] != np.prod(shape) or not len(images):
        raise ValueError(f"{name} must be (n, {np.prod(shape)}) with n >= 1, got shape {images.shape}")
    return images.reshape(-1, *shape)


def _in_colour(images: Floats) -> Floats:
    return np.broadcast_to(np.clip(images, 0, 1), (*images.shape[:3], 3))


def _signed(difference: Floats, largest: float) -> Floats:
    """Differences as colours, white or gray where there is none."""
    relative = difference / (largest or 1)
    if difference.shape[3] == 3:
        return (1 + relative) / 2
    return pyplot().get_cmap("RdBu_r")((1 + relative[..., 0]) / 2)[..., :3]


def _texts(values: ArrayLike | None, n: int, name: str) -> list[str] | None:
    if values is None:
        return None
    texts = [str(value) for value in plain_array(values, name)]
    if len(texts) != n:
        raise ValueError(f"{name} must hold one value for each of the {n} images, got {len(texts)}")
    return texts
