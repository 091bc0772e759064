"""Figures. Every function takes `ax=None`, draws on it or on a new one, and returns it.

Colours are Okabe and Ito's, which colour-blind readers tell apart; series also differ in marker or dash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, sparse, stats

from . import analysis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "accuracy_bars",
    "adversarial_examples",
    "episodes",
    "gabor_fits",
    "loss_by_step",
    "loss_landscape",
    "low_data_curve",
    "one_shot_errors",
    "rate_distribution",
    "receptive_fields",
    "robustness_curve",
    "weight_distribution",
    "winning_prototypes",
]

Floats = NDArray[np.float64]

BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, BLACK = COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#000000",
)
MARKERS = "osD^vPX*"
GREY = "0.35"
LAW_STYLES = {
    "lognormal": (BLUE, "-"),
    "gamma": (VERMILION, "-."),
    "exponential": (ORANGE, (0, (1, 1))),
    "weibull": (GREEN, (0, (5, 1))),
    "half-normal": (PURPLE, (0, (3, 1, 1, 1, 1, 1))),
    "normal": (SKY, (0, (3, 2))),
    "power law": (GREY, "-"),
}


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError('figures need matplotlib: pip install "bioneuro[plot]"') from error
    return plt


def new_figure(size: tuple[float, float] = (6.4, 4.2)) -> Figure:
    """An empty figure of `size` inches."""
    return _pyplot().figure(figsize=size, layout="constrained")


def _axes(ax: Axes | None, size: tuple[float, float] = (6.4, 4.2)) -> Axes:
    plt = _pyplot()
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def _tidy(ax: Axes, *, grid: str = "y") -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)


# --- Weights ------------------------------------------------------------------------------------------


def _weights_of(model_or_weights: Any, layer: str) -> Any:
    """The weights to draw: `model.weights()[layer]` or what was passed; inhibitory ones as magnitudes."""
    weights = model_or_weights
    if callable(getattr(weights, "weights", None)):
        pathways = weights.weights()
        if layer not in pathways:
            raise ValueError(f"the model has no layer {layer!r}: choose from {', '.join(map(repr, pathways))}")
        weights = pathways[layer]
    if not sparse.issparse(weights):
        weights = np.asarray(weights)
    return -weights if weights.size and weights.max() <= 0 else weights


def _cortical_shape(weights: Floats, cut: Floats | None) -> dict[str, float]:
    """The lognormal of cortical sigma that, cut as the weights are, has their median."""
    sigma = analysis.SONG_2005.sigma
    centre = float(np.median(np.log(weights)))
    if cut is None:
        return {"s": sigma, "scale": float(np.exp(centre))}

    def below_half(mu: float) -> float:
        law = stats.lognorm(sigma, scale=np.exp(mu))
        return np.log(2) + float(np.median(law.logsf(weights) - law.logsf(cut)))

    low, high = centre - 20, centre + 20
    mu = low if below_half(low) >= 0 else optimize.brentq(below_half, low, high, xtol=1e-3)
    return {"s": sigma, "scale": float(np.exp(mu))}


def _log10_density(log10_w: Floats, law: str, params: dict, threshold: ArrayLike | None) -> Floats:
    w = 10**log10_w
    return analysis.truncated_density(w, law, params, threshold=threshold) * w * np.log(10)


def _qq_inset(ax: Axes, uniforms: Floats) -> None:
    """Normal quantiles of the weights' ranks under the lognormal fit: a straight line if it holds."""
    inset = ax.inset_axes((0.03, 0.68, 0.22, 0.27))
    probability = (np.arange(200) + 0.5) / 200
    theory = stats.norm.ppf(probability)
    observed = stats.norm.ppf(np.clip(np.quantile(uniforms, probability), 1e-12, 1 - 1e-12))
    inset.axline((0, 0), slope=1, color=GREY, linewidth=0.8)
    inset.plot(theory, observed, ".", color=BLUE, markersize=3)
    inset.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), xticks=[-2, 0, 2], yticks=[-2, 0, 2], aspect="equal")
    inset.tick_params(labelsize=7, length=2, pad=1)
    inset.set_title("Q-Q, lognormal fit", fontsize=7, pad=3)


def weight_distribution(
    model_or_weights: Any,
    ax: Axes | None = None,
    *,
    threshold: ArrayLike | None = None,
    layer: str = "association",
    distributions: tuple[str, ...] = ("lognormal", "gamma", "exponential"),
    bins: int = 60,
) -> Axes:
    """Histogram of log10 w with the fitted (truncated) laws, the cortical shape and a Q-Q inset.

    Parameters
    ----------
    model_or_weights : model, array_like or scipy.sparse
        Weights of one sign (of inhibitory ones the magnitudes are drawn), or a model whose method
        `weights()` returns a dict of such matrices.
    ax : Axes, optional
    threshold : float or array_like, optional
        As in `analysis.fit_weight_distribution`: the laws are then fitted and drawn left-truncated.
    layer : str
        Key of `model.weights()`.
    distributions : tuple of str
        Laws to overlay; the best of all by AIC is added.
    bins : int

    Returns
    -------
    Axes
        The dashed curve is the *shape* of the cortex (lognormal, sigma 0.9355, Song et al. 2005): its units
        are mV, so its median is put at the weights' own, under the same cut.
    """
    ax = _axes(ax, (7.2, 4.6))
    weights = _weights_of(model_or_weights, layer)
    fit = analysis.fit_weight_distribution(weights, threshold=threshold)
    positive, cut = analysis.positive_weights(weights, threshold)

    log10_w = np.log10(positive)
    heights, *_ = ax.hist(log10_w, bins=bins, density=True, color="0.82", edgecolor="white", linewidth=0.3)
    margin = 0.04 * np.ptp(log10_w)
    grid = np.linspace(log10_w.min() - margin, log10_w.max() + margin, 600)
    for row in fit[fit.distribution.isin({*distributions, fit.distribution[0]})].itertuples():
        colour, dash = LAW_STYLES.get(row.distribution, (BLACK, "-"))
        curve = _log10_density(grid, row.distribution, row.params, cut)
        label = f"{row.distribution}: KS {row.ks:.3f}, ΔAIC {row.aic - fit.aic.min():,.0f}"
        ax.plot(grid, curve, color=colour, linestyle=dash, linewidth=2, label=label)

    cortex = _cortical_shape(positive, cut)
    label = f"cortical shape, σ {cortex['s']:.2f} (Song et al. 2005)"
    curve = _log10_density(grid, "lognormal", cortex, cut)
    ax.plot(grid, curve, color=BLACK, linestyle="--", linewidth=1.2, label=label)
    lognormal = fit.params[fit.distribution == "lognormal"].iloc[0]
    _qq_inset(ax, analysis.pit(positive, "lognormal", lognormal, threshold=cut))

    moments = analysis.log_moments(positive)
    n, n_silent = fit.attrs["n"], fit.attrs["n_silent"]
    ax.set_title(
        f"{n:,} weights, {n_silent / (n + n_silent):.0%} of synapses silent\n"
        f"log w: σ {moments.sd:.2f}, skewness {moments.skewness:z.2f}, "
        f"excess kurtosis {moments.kurtosis:z.2f}",
        loc="left",
        fontsize=10,
    )
    ax.set(
        xlabel="log$_{10}$ weight", ylabel="probability density", ylim=(0, 1.65 * heights.max())
    )  # room for inset and legend
    title = None if cut is None else "fits left-truncated at the cut"
    ax.legend(frameon=False, fontsize=8, title=title, title_fontsize=8, alignment="left")
    _tidy(ax)
    return ax


def _tile(fields: Floats, gap: int = 1) -> Floats:
    """Images (n, h, w), each scaled to [-1, 1], on one sheet with NaN between them."""
    n, height, width = fields.shape
    n_columns = int(np.ceil(np.sqrt(n)))
    n_rows = -(-n // n_columns)
    peak = np.abs(fields).max(axis=(1, 2), keepdims=True)
    sheet = np.full((n_rows * n_columns, height + gap, width + gap), np.nan)
    sheet[:n, :height, :width] = fields / np.where(peak > 0, peak, 1)
    sheet = sheet.reshape(n_rows, n_columns, height + gap, width + gap).transpose(0, 2, 1, 3)
    return sheet.reshape(n_rows * (height + gap), n_columns * (width + gap))[:-gap, :-gap]


def receptive_fields(W: Any, image_shape: tuple[int, int], ax: Axes | None = None, n: int = 64) -> Axes:
    """The first `n` rows of `W` as images on one sheet, each scaled to its own largest value.

    Parameters
    ----------
    W : scipy.sparse or array_like, (n_cells, h * w) or (n_cells, 2 * h * w)
        With 2 h w columns (ON, then OFF cells) the field is ON minus OFF.
    image_shape : (h, w)
    ax : Axes, optional
    n : int

    Returns
    -------
    Axes
    """
    height, width = image_shape
    size = height * width
    if n < 1:
        raise ValueError(f"n must be >= 1, got {n}")
    rows = (sparse.csr_array(W)[:n].toarray() if sparse.issparse(W) else np.asarray(W)[:n]).astype(np.float64)
    if rows.ndim != 2 or rows.shape[1] not in (size, 2 * size):
        raise ValueError(f"W must have {size} or {2 * size} columns for {height} x {width} images, got {rows.shape}")
    on_off = rows.shape[1] == 2 * size
    fields = rows[:, :size] - rows[:, size:] if on_off else rows
    ax = _axes(ax, (5.0, 5.2))
    colours = _pyplot().get_cmap("RdBu_r").with_extremes(bad="white")
    sheet = _tile(fields.reshape(-1, height, width))
    picture = ax.imshow(sheet, cmap=colours, vmin=-1, vmax=1, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    meaning = "ON − OFF" if on_off else "weight"
    ax.set_title(f"Receptive fields of {len(fields)} cells", loc="left", fontsize=10)
    bar = ax.figure.colorbar(picture, ax=ax, shrink=0.5, ticks=[-1, 0, 1])
    bar.set_label(f"{meaning} (of each cell's largest)")
    return ax


def gabor_fits(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    good: float = 0.6,
    label: str = "fields",
    color: str = BLUE,
    marker: str = "o",
) -> Axes:
    """The plane of Ringach (2002): length of each field against its width, in cycles of its own grating.

    Blobs and single edges lie at the lower left, fields of several stripes at the upper right. Call it again on the
    same `ax` for another population.

    Parameters
    ----------
    frame : DataFrame
        Columns `nx`, `ny`, `r2` (`analysis.fit_gabors`); rows that are not finite are left out.
    ax : Axes, optional
    good : float
        Fields whose R2 is lower are drawn hollow: their parameters mean little.
    label, color, marker : str
        Of this population.
    """
    _need_columns(frame, ("nx", "ny", "r2"))
    ax = _axes(ax, (5.2, 4.6))
    nx, ny, r2 = frame[["nx", "ny", "r2"]].dropna().to_numpy(float).T
    fitted = r2 >= good
    text = f"{label}: median R² {np.median(r2):.2f}, {fitted.mean():.0%} ≥ {good:g}" if r2.size else label
    ax.plot(nx[fitted], ny[fitted], marker, color=color, markersize=4.5, alpha=0.8, label=text)
    ax.plot(nx[~fitted], ny[~fitted], marker, markerfacecolor="none", markeredgecolor=color, markersize=4.5, alpha=0.6)
    ax.set(xscale="log", yscale="log", xlabel="$n_x = f\\sigma_x$, cycles across stripes")
    ax.set_ylabel("$n_y = f\\sigma_y$, cycles along stripes")
    ax.set_title("Gabor fits: length against width", loc="left", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    _tidy(ax, grid="both")
    return ax


def rate_distribution(rates: ArrayLike, ax: Axes | None = None, *, bins: int = 40) -> Axes:
    """Histogram of log10 of the cells' mean rates, with the lognormal of the same log mean and deviation.

    Parameters
    ----------
    rates : array_like (n_cells,)
        Mean rate of each cell, >= 0; silent cells are counted in the legend only.
    ax : Axes, optional
    bins : int
    """
    rates = np.asarray(rates, dtype=np.float64)
    if rates.ndim != 1 or not np.isfinite(rates).all() or (rates < 0).any():
        raise ValueError(f"rates must be finite and >= 0, one for each cell, got shape {rates.shape}")
    active = np.log10(rates[rates > 0])
    if active.size < 2:
        raise ValueError(f"rates must hold at least 2 cells that fire, got {active.size}")
    ax = _axes(ax)
    ax.hist(active, bins=bins, density=True, color=SKY, alpha=0.6, label=f"{active.size} of {rates.size} cells")
    mean, sd = active.mean(), active.std()
    if sd > 0:
        grid = np.linspace(active.min(), active.max(), 200)
        ax.plot(grid, stats.norm.pdf(grid, mean, sd), color=BLUE, label=f"lognormal, σ {sd * np.log(10):.2f}")
    ax.set(xlabel="log10 of the mean rate", ylabel="density")
    ax.set_title("Firing rates of the cells", loc="left", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    _tidy(ax)
    return ax


# --- Results over seeds -------------------------------------------------------------------------------


def _need_columns(frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    if missing := [column for column in columns if column not in frame.columns]:
        raise ValueError(f"frame lacks the columns {missing}: it has {list(frame.columns)}")
    if frame.empty:
        raise ValueError("frame is empty: there is nothing to draw")


def _over_seeds(frame: pd.DataFrame, x: str, y: str, level: float) -> Floats:
    """Rows (x, mean, low, high) over the seeds, sorted by x; the repeats of a seed are averaged first."""
    per_seed = frame.groupby([x, "seed"])[y].mean()
    return np.array(
        [
            (position, *analysis.mean_interval(values.to_numpy(), level)[:3])
            for position, values in per_seed.groupby(level=0)
        ]
    )


def _curves(frame: pd.DataFrame, x: str, y: str, ax: Axes, level: float) -> None:
    from matplotlib.ticker import PercentFormatter

    _need_columns(frame, ("model", x, y, "seed"))
    for i, (model, part) in enumerate(frame.groupby("model", sort=False)):
        position, mean, low, high = _over_seeds(part, x, y, level).T
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        dash = "-" if i < len(COLOURS) else "--"
        ax.plot(position, mean, dash, color=colour, marker=marker, markersize=5, linewidth=1.8, label=model)
        ax.fill_between(position, np.clip(low, 0, 1), np.clip(high, 0, 1), color=colour, alpha=0.18, lw=0)
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.legend(frameon=False, fontsize=8)
    _tidy(ax)


def _evidence(frame: pd.DataFrame, level: float) -> str:
    """What a curve and its band are."""
    n = frame["seed"].nunique()
    return f"mean, {level:.0%} interval over {n} seeds" if n > 1 else "one seed"


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
    ax = _axes(ax)
    _curves(frame, "epsilon", "robust_accuracy", ax, level)
    ax.set(xlabel="attack radius ε", ylabel="robust accuracy")
    ax.set_title(f"Accuracy under attack ({_evidence(frame, level)})", loc="left", fontsize=10)
    return ax


def low_data_curve(frame: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Accuracy against the number of training images a class, on a log axis, by model.

    Parameters
    ----------
    frame : DataFrame
        Columns `model`, `n_shot`, `accuracy` (0 to 1), `seed`.
    ax : Axes, optional
    level : float
        Of the band; a single seed has none.
    """
    ax = _axes(ax)
    _curves(frame, "n_shot", "accuracy", ax, level)
    ax.set_xscale("log")
    shots = np.unique(frame["n_shot"])
    ax.set_xticks(shots, labels=[f"{shot:g}" for shot in shots])
    ax.minorticks_off()
    ax.set(xlabel="training images per class", ylabel="test accuracy")
    ax.set_title(f"Learning from few images ({_evidence(frame, level)})", loc="left", fontsize=10)
    return ax


def accuracy_bars(frame: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Accuracy of each model as a bar with its Student interval; each seed is a dot.

    Parameters
    ----------
    frame : DataFrame
        Columns `model`, `accuracy` (0 to 1), `seed`.
    ax : Axes, optional
    level : float
    """
    ax = _axes(ax)
    from matplotlib.ticker import PercentFormatter

    _need_columns(frame, ("model", "accuracy", "seed"))
    models = list(dict.fromkeys(frame["model"]))
    for place, model in enumerate(models):
        seeds = frame[frame["model"] == model].groupby("seed")["accuracy"].mean().to_numpy()
        interval = analysis.mean_interval(seeds, level)
        error = None if np.isnan(interval.half_width) else interval.half_width
        ax.barh(place, interval.mean, xerr=error, height=0.6, color=SKY, ecolor=BLACK, capsize=3)
        ax.plot(seeds, np.full(seeds.size, place), "o", color=BLUE, markersize=3.5)
        ax.text(0.01, place, f"{interval.mean:.1%}", va="center", fontsize=8)
    ax.set_yticks(range(len(models)), labels=models)
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(xlabel="test accuracy", xlim=(0, 1.02))
    ax.set_title(f"Accuracy (mean, {level:.0%} interval; dots are seeds)", loc="left", fontsize=10)
    _tidy(ax, grid="x")
    return ax


# --- Under attack --------------------------------------------------------------------------------------


def loss_landscape(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Loss along the gradient and along a random direction, a thin line a sample and a thick one for their median.

    Above 0 the margin means that the sample is broken. Where gradients are masked, the random direction does as well.

    Parameters
    ----------
    frame : DataFrame
        Of `bioneuro.attacks.loss_landscape`: columns `sample`, `direction`, `distance`, `loss`.
    ax : Axes, optional
    """
    ax = _axes(ax)
    _need_columns(frame, ("sample", "direction", "distance", "loss"))
    for direction, label, colour, dash in (
        ("gradient", "along the gradient", VERMILION, "-"),
        ("random", "along a random direction", BLUE, "--"),
    ):
        part = frame[frame["direction"] == direction]
        _bundle(part, "distance", ax, colour, dash, label)
    ax.set(xlabel="distance from the sample", ylabel="loss")
    ax.set_title(f"Loss around {frame['sample'].nunique()} samples (bold: median)", loc="left", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    return ax


def loss_by_step(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Loss of each sample at every step of an attack, a thin line a sample and a thick one for their median.

    Parameters
    ----------
    frame : DataFrame
        Of `bioneuro.attacks.loss_by_step`: columns `sample`, `step`, `loss`.
    ax : Axes, optional
    """
    ax = _axes(ax)
    _need_columns(frame, ("sample", "step", "loss"))
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
    _tidy(ax)


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
    ax = _axes(ax, (1.6 + 0.75 * len(clean), 0.6 + 0.75 * len(rows)))
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
    images = np.asarray(values, dtype=np.float64)
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
    return _pyplot().get_cmap("RdBu_r")((1 + relative[..., 0]) / 2)[..., :3]


def _texts(values: ArrayLike | None, n: int, name: str) -> list[str] | None:
    if values is None:
        return None
    texts = [str(value) for value in np.asarray(values)]
    if len(texts) != n:
        raise ValueError(f"{name} must hold one value for each of the {n} images, got {len(texts)}")
    return texts


# --- Few images ---------------------------------------------------------------------------------------


def episodes(results: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Mean accuracy of each model over few-shot episodes with its interval, one group of bars a number of shots.

    Parameters
    ----------
    results : DataFrame
        Of :func:`bioneuro.fewshot.compare`: columns `model`, `n_shot`, `accuracy`.
    ax : Axes, optional
    level : float
        Of the interval, over episodes.
    """
    from matplotlib.ticker import PercentFormatter

    _need_columns(results, ("model", "n_shot", "accuracy"))
    ax = _axes(ax)
    models, shots = list(dict.fromkeys(results["model"])), sorted(results["n_shot"].unique())
    width = 0.8 / len(models)
    for i, model in enumerate(models):
        for place, shot in enumerate(shots):
            part = results[(results["model"] == model) & (results["n_shot"] == shot)]
            if part.empty:
                continue
            interval = analysis.mean_interval(part["accuracy"].to_numpy(float), level)
            error = None if np.isnan(interval.half_width) else interval.half_width
            left = place + (i - (len(models) - 1) / 2) * width
            label = model if place == 0 else None
            ax.bar(left, interval.mean, width, yerr=error, color=COLOURS[i % len(COLOURS)], capsize=2, label=label)
    ax.set_xticks(range(len(shots)), labels=[f"{shot:g}" for shot in shots])
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(xlabel="images of each class to learn from", ylabel="accuracy", ylim=(0, 1.02))
    ax.set_title(f"Few-shot episodes (mean, {level:.0%} interval over episodes)", loc="left", fontsize=10)
    ax.legend(frameon=False, fontsize=8)
    _tidy(ax)
    return ax


def winning_prototypes(
    queries: ArrayLike,
    supports: ArrayLike,
    rows: ArrayLike,
    shares: ArrayLike,
    image_shape: tuple[int, ...],
    ax: Axes | None = None,
    *,
    right: ArrayLike | None = None,
) -> Axes:
    """Which images to learn from drove each decision: a query a row, beside it its winners with their shares.

    Parameters
    ----------
    queries : array_like (m, features)
        Images that were classified.
    supports : array_like (n, features)
        Images that were learned from.
    rows, shares : array_like (m, k)
        Of :meth:`bioneuro.fewshot.AssociationHead.winners`: rows of `supports`, the most influential first, and the
        share of the vote of each.
    image_shape : (height, width) or (height, width, channels)
    ax : Axes, optional
    right : array_like (m,) of bool, optional
        Whether each query was classified rightly: green or vermilion mark.
    """
    queries, supports, rows, shares = (np.asarray(values) for values in (queries, supports, rows, shares))
    if rows.ndim != 2 or rows.shape != shares.shape or len(rows) != len(queries):
        raise ValueError(f"rows and shares must be {len(queries)} x k, got {rows.shape} and {shares.shape}")
    if rows.size and not 0 <= rows.min() <= rows.max() < len(supports):
        raise ValueError(f"rows must lie in [0, {len(supports)}), got {rows.min()} to {rows.max()}")
    height, width = image_shape[:2]
    ax = _axes(ax, (1.0 * (rows.shape[1] + 1) + 0.6, 1.0 * len(rows) + 0.5))
    gap = 0.15 * width
    for i, query in enumerate(queries):
        for k, image in enumerate([query, *supports[rows[i]]]):
            left = k * (width + gap) + gap * (k > 0)
            top = i * (height + 3 * gap)
            ax.imshow(
                image.reshape(image_shape),
                cmap="gray_r",
                vmin=0,
                vmax=1,
                extent=(left, left + width, top + height, top),
            )
            if k:
                ax.text(left, top + height + 1.6 * gap, f"{shares[i, k - 1]:.0%}", fontsize=7, color=GREY)
            elif right is not None:
                good = bool(np.asarray(right)[i])
                ax.plot([left - gap] * 2, [top, top + height], color=GREEN if good else VERMILION, linewidth=3)
    ax.set(xlim=(-2 * gap, (rows.shape[1] + 1) * (width + gap) + gap), ylim=(len(rows) * (height + 3 * gap), -gap))
    ax.set_aspect("equal")
    ax.axis("off")
    ax.set_title("Query, and the images that decided (share of the vote)", loc="left", fontsize=9)
    return ax


def one_shot_errors(results: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Error of each model in a one-shot task: a bar with its interval over runs, each run a dot.

    Parameters
    ----------
    results : DataFrame
        Columns `model`, `run`, `error` (0 to 1): of :func:`bioneuro.fewshot.omniglot_one_shot`, with a column more.
    ax : Axes, optional
    level : float
    """
    from matplotlib.ticker import PercentFormatter

    _need_columns(results, ("model", "run", "error"))
    ax = _axes(ax)
    models = list(dict.fromkeys(results["model"]))
    for place, model in enumerate(models):
        errors = results.loc[results["model"] == model, "error"].to_numpy(float)
        interval = analysis.mean_interval(errors, level)
        half = None if np.isnan(interval.half_width) else interval.half_width
        ax.barh(place, interval.mean, xerr=half, height=0.6, color=SKY, ecolor=BLACK, capsize=3)
        ax.plot(errors, np.full(errors.size, place), "o", color=BLUE, markersize=3.5, alpha=0.5)
        ax.text(0.005, place, f"{interval.mean:.1%}", va="center", fontsize=8)
    ax.set_yticks(range(len(models)), labels=models)
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(xlabel="one-shot error", xlim=(0, None))
    ax.set_title(f"One-shot classification (mean, {level:.0%} interval; dots are runs)", loc="left", fontsize=10)
    _tidy(ax, grid="x")
    return ax
