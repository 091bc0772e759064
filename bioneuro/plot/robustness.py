"""Models under attack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..analysis.scaling import Floats
from ..checks import plain_array
from ._style import (
    BLUE,
    GREY,
    VERMILION,
    axes,
    below,
    curves,
    evidence,
    headline,
    need_columns,
    points_a_unit,
    pyplot,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def robustness_curve(frame: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Robust accuracy against the attack's radius: mean and Student interval over seeds, by model.

    Parameters
    ----------
    frame : DataFrame
        Columns `model`, `epsilon`, `robust_accuracy` (0 to 1), `seed`; where there are columns `attack`, `norm` and
        `n` (attacked images) of one value, the title says so.
    ax : Axes, optional
    level : float
        Of the band; a single seed has none.

    Returns
    -------
    Axes
    """
    ax = axes(ax)
    curves(frame, "epsilon", "robust_accuracy", ax, level)
    ax.set_xticks(np.unique(frame["epsilon"]))  # where it was attacked, and nowhere between
    ax.set(xlabel="attack radius ε", ylabel="robust accuracy")
    about = [
        f"{frame[column].iloc[0]}{unit}"
        for column, unit in (("attack", ""), ("norm", ""), ("n", " images"))
        if column in frame.columns and frame[column].nunique() == 1
    ]
    headline(ax, f"Accuracy under attack\n{', '.join([*about, evidence(frame, level)])}")
    return ax


def loss_landscape(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Loss along the gradient and along a random direction, a thin line a sample and a thick one for their median.

    Above 0 the margin means that the sample is broken. Where gradients are masked, the random direction does as well.

    Parameters
    ----------
    frame : DataFrame
        Of `bioneuro.attacks.loss_landscape`: columns `sample`, `direction`, `distance`, `loss`.
    ax : Axes, optional

    Returns
    -------
    Axes
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
    headline(ax, f"Loss around {frame['sample'].nunique()} samples (bold: median)")
    below(ax)
    return ax


def loss_by_step(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Loss of each sample at every step of an attack, a thin line a sample and a thick one for their median.

    Parameters
    ----------
    frame : DataFrame
        Of `bioneuro.attacks.loss_by_step`: columns `sample`, `step`, `loss`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes(ax)
    need_columns(frame, ("sample", "step", "loss"))
    _bundle(frame, "step", ax, VERMILION, "-", "")
    ax.set(xlabel="step", ylabel="loss")
    headline(ax, f"Loss of {frame['sample'].nunique()} samples under attack (bold: median)")
    return ax


def _bundle(frame: pd.DataFrame, x: str, ax: Axes, colour: str, dash: Any, label: str) -> None:
    """Each sample's loss against `x`, and their median."""
    lines = frame.pivot(index=x, columns="sample", values="loss")
    ax.plot(lines.index, lines, dash, color=colour, linewidth=0.8, alpha=0.5)
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
        True classes, written over the clean images.
    predictions : dict of model to array_like (n,), optional
        What the model takes its adversarial images for, written over them; bold and red where it is not the label.

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
    gap, line = max(1, height // 14), -(-height // 3)  # between images, and where something is written over them
    heads = [line if row_texts else gap * (i > 0) for i, row_texts in enumerate(texts)]
    tops = [sum(heads[: i + 1]) + i * height for i in range(len(rows))]
    sheet = np.ones((tops[-1] + height, len(clean), width + gap, 3))
    for top, images in zip(tops, rows, strict=True):
        sheet[top : top + height, :, :width] = images.transpose(1, 0, 2, 3)
    sheet = sheet.reshape(len(sheet), -1, 3)[:, :-gap]
    ax.imshow(sheet, interpolation="nearest")
    fontsize = min(8.0, 0.8 * line * points_a_unit(ax, *sheet.shape[1::-1]))
    for i, (top, row_texts) in enumerate(zip(tops, texts, strict=True)):
        for j, text in enumerate(row_texts or ()):
            wrong = i and labels is not None and text != str(np.asarray(labels)[j])
            look = {"color": VERMILION, "fontweight": "bold"} if wrong else {"color": BLUE}
            place = j * (width + gap) + (width - 1) / 2, top - 0.5 - 0.1 * line
            ax.text(*place, text, fontsize=fontsize, ha="center", va="bottom", **look)
    ax.set_xticks([])
    ax.set_yticks([top + (height - 1) / 2 for top in tops], labels=names, fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    headline(ax, f"Adversarial images (full colour of a difference: {largest:.2g})")
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
