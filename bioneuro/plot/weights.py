"""Weights, receptive fields and rates of cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, sparse, stats

from .. import analysis
from ..analysis.scaling import Floats
from ..analysis.weight_samples import as_matrix
from ..checks import Choice, check, check_count, plain_array
from ._style import (
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    axes,
    below,
    headline,
    need_columns,
    pyplot,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LAW_STYLES = {
    "lognormal": (BLUE, "-"),
    "gamma": (VERMILION, "-."),
    "exponential": (ORANGE, (0, (1, 1))),
    "weibull": (GREEN, (0, (5, 1))),
    "half-normal": (PURPLE, (0, (3, 1, 1, 1, 1, 1))),
    "normal": (SKY, (0, (3, 2))),
    "power law": (GREY, "-"),
}


def _weights_of(model_or_weights: Any, layer: str, threshold: ArrayLike | None) -> tuple[Any, ArrayLike | None]:
    """The weights to draw, `model.weights()[layer]` or what was passed, inhibitory ones as magnitudes, and their cut:
    the one that was named, else what the model itself knows of it."""
    weights = model_or_weights
    if callable(getattr(weights, "weights", None)):
        pathways = weights.weights()
        if layer not in pathways:
            raise ValueError(f"the model has no layer {layer!r}: choose from {', '.join(map(repr, pathways))}")
        if threshold is None and callable(getattr(weights, "cuts", None)):
            threshold = weights.cuts().get(layer)
        weights = pathways[layer]
    if hasattr(weights, "to_scipy"):
        weights = weights.to_scipy()
    if sparse.issparse(weights):
        return (-weights if weights.nnz and weights.data.max() <= 0 else weights), threshold
    weights = weights if np.ma.is_masked(weights) else plain_array(weights, "weights", np.float64)
    return (-weights if weights.size and weights.max() <= 0 else weights), threshold


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
    inset: bool | None = None,
) -> Axes:
    """Histogram of log10 w with the fitted (truncated) laws and the cortical shape, the figures of the fits below.

    Parameters
    ----------
    model_or_weights : model, Synapses, scipy.sparse or array_like
        Weights of one sign (of inhibitory ones the magnitudes are drawn), or a model whose method
        `weights()` returns a dict of such matrices.
    ax : Axes, optional
    threshold : float or array_like, optional
        As in `analysis.fit_weight_distribution`: the laws are then fitted and drawn left-truncated. By default that of
        the model, where it has a method `cuts()` and its small weights were cut.
    layer : str
        Key of `model.weights()`.
    distributions : tuple of str
        Keys of `analysis.DISTRIBUTIONS` to overlay; the best of all by AIC is added.
    bins : int
    inset : bool, optional
        Whether a quantile plot of the lognormal fit is drawn inside; by default only in a figure of its own.

    Returns
    -------
    Axes
        The title names the law that describes the weights, if one does, and sigma of the (truncated) lognormal; the
        legend has the best law first. The dashed curve is the *shape* of the cortex (lognormal, sigma 0.9355, Song et
        al. 2005): its units are mV, so its median is put at the weights' own, under the same cut.
    """
    for i, name in enumerate(distributions):
        check(f"distributions[{i}]", name, Choice(analysis.DISTRIBUTIONS))
    inset = ax is None if inset is None else inset
    ax = axes(ax, (7.2, 4.8))
    weights, threshold = _weights_of(model_or_weights, layer, threshold)
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
    if inset:
        _qq_inset(ax, analysis.pit(positive, "lognormal", lognormal, threshold=cut))

    moments = analysis.log_moments(positive)
    headline(
        ax,
        f"{_count(fit)}: {fit.attrs['best'] or 'no law fits'}\n"
        f"log w: σ {lognormal['s']:.2f}, skewness {moments.skewness:z.2f}, kurtosis {moments.kurtosis:z.2f}",
        fontsize=9,
    )
    ax.set(xlabel="log$_{10}$ weight", ylabel="probability density")
    ax.set_ylim(0, heights.max() * (1.6 if inset else 1.08))
    title = None if cut is None or not cut.any() else "fits left-truncated at the cut"
    below(ax, title)
    tidy(ax)
    return ax


def _count(fit: pd.DataFrame) -> str:
    n, n_silent = fit.attrs["n"], fit.attrs["n_silent"]
    return f"{n:,} weights, {n_silent / (n + n_silent):.0%} silent"


def weight_comparison(
    models: Mapping[str, Any],
    ax: Axes | None = None,
    *,
    layer: str = "association",
    relative: bool = True,
    bins: int = 50,
) -> Axes:
    """Distributions of log weight of several models on the same axes, each with the law that describes it.

    Parameters
    ----------
    models : dict of name to model, Synapses, scipy.sparse or array_like
        As in :func:`weight_distribution`; a model that knows where it cut small weights is fitted under its cut.
    ax : Axes, optional
    layer : str
        Key of `model.weights()`.
    relative : bool
        Weights in units of their median, so that shapes can be compared where units differ.
    bins : int

    Returns
    -------
    Axes
        The legend names, for each, the law (none where the best does not fit), its KS distance, sigma of the
        (truncated) lognormal and the share of synapses that are silent.
    """
    if not isinstance(models, Mapping):
        raise TypeError(f"models must be a dict of name to model or weights, got {type(models).__name__}")
    if not models:
        raise ValueError("models must not be empty")
    check_count("bins", bins)
    described = {}
    for name, model in models.items():
        weights, threshold = _weights_of(model, layer, None)
        fit = analysis.fit_weight_distribution(weights, threshold=threshold)
        log10_w = np.log10(analysis.positive_weights(weights)[0])
        described[name] = fit, log10_w - np.median(log10_w) if relative else log10_w
    ax = axes(ax, (7.2, 4.8))
    edges = np.histogram_bin_edges(np.concatenate([log10_w for _, log10_w in described.values()]), bins)
    seen = np.zeros(len(edges) - 1, bool)  # bins of which a reader would see something
    for i, (name, (fit, log10_w)) in enumerate(described.items()):
        sigma = fit.params[fit.distribution == "lognormal"].iloc[0]["s"]
        law = fit.attrs["best"] or "no law"
        label = f"{name}: {law}, KS {fit.ks[0]:.3f}, σ {sigma:.2f}, {_count(fit)}"
        colour, dash = COLOURS[i % len(COLOURS)], ("-", "--", "-.", ":")[i % 4]
        heights = np.histogram(log10_w, edges, density=True)[0]
        seen |= heights > 0.002 * heights.max()
        outline = np.repeat(edges, 2), np.pad(np.repeat(heights, 2), 1)
        ax.plot(*outline, dash, color=colour, linewidth=1.8, label=label)
    ax.set(xlabel="log$_{10}$ weight" + (", relative to the median" if relative else ""), ylabel="probability density")
    headline(ax, f"Weights: {layer}")
    ax.set_xlim(edges[seen.argmax()], edges[len(seen) - seen[::-1].argmax()])
    ax.set_ylim(0, None)
    below(ax)
    tidy(ax)
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
    W : Synapses, scipy.sparse or array_like, (n_cells, h * w) or (n_cells, 2 * h * w)
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
    check_count("n", n)
    rows = as_matrix(W)[:n].toarray()
    if not rows.size or not np.isfinite(rows).all():
        raise ValueError(f"W must be finite and have at least one row, got shape {rows.shape}")
    if rows.shape[1] not in (size, 2 * size):
        raise ValueError(f"W must have {size} or {2 * size} columns for {height} x {width} images, got {rows.shape}")
    on_off = rows.shape[1] == 2 * size
    fields = rows[:, :size] - rows[:, size:] if on_off else rows
    ax = axes(ax, (5.4, 4.6))
    colours = pyplot().get_cmap("RdBu_r").with_extremes(bad="white")
    sheet = _tile(fields.reshape(-1, height, width))
    picture = ax.imshow(sheet, cmap=colours, vmin=-1, vmax=1, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    meaning = "ON − OFF" if on_off else "weight"
    headline(ax, f"Receptive fields of {len(fields)} cells")
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

    Returns
    -------
    Axes
    """
    need_columns(frame, ("nx", "ny", "r2"))
    ax = axes(ax, (5.2, 4.6))
    nx, ny, r2 = frame[["nx", "ny", "r2"]].dropna().to_numpy(float).T
    fitted = r2 >= good
    text = f"{label}: median R² {np.median(r2):.2f}, {fitted.mean():.0%} ≥ {good:g}" if r2.size else label
    ax.plot(nx[fitted], ny[fitted], marker, color=color, markersize=4.5, alpha=0.8, label=text)
    ax.plot(nx[~fitted], ny[~fitted], marker, markerfacecolor="none", markeredgecolor=color, markersize=4.5, alpha=0.6)
    ax.set(xscale="log", yscale="log", xlabel="$n_x = f\\sigma_x$, cycles across stripes")
    ax.set_ylabel("$n_y = f\\sigma_y$, cycles along stripes")
    headline(ax, f"Gabor fits: length against width\nhollow: R² < {good:g}")
    below(ax)
    tidy(ax, grid="both")
    return ax


def rate_distribution(rates: ArrayLike, ax: Axes | None = None, *, bins: int = 40) -> Axes:
    """Histogram of log10 of the cells' mean rates, with the lognormal of the same log mean and deviation.

    Parameters
    ----------
    rates : array_like (n_cells,)
        Mean rate of each cell, >= 0; silent cells are counted in the legend only.
    ax : Axes, optional
    bins : int

    Returns
    -------
    Axes
    """
    rates = plain_array(rates, "rates", np.float64)
    if rates.ndim != 1 or not np.isfinite(rates).all() or (rates < 0).any():
        raise ValueError(f"rates must be finite and >= 0, one for each cell, got shape {rates.shape}")
    active = np.log10(rates[rates > 0])
    if active.size < 2:
        raise ValueError(f"rates must hold at least 2 cells that fire, got {active.size}")
    ax = axes(ax)
    ax.hist(active, bins=bins, density=True, color=SKY, alpha=0.6, label=f"{active.size} of {rates.size} cells")
    mean, sd = active.mean(), active.std()
    if sd > 0:
        grid = np.linspace(active.min(), active.max(), 200)
        ax.plot(grid, stats.norm.pdf(grid, mean, sd), color=BLUE, label=f"lognormal, σ {sd * np.log(10):.2f}")
    ax.set(xlabel="log$_{10}$ mean rate", ylabel="probability density")
    headline(ax, "Firing rates of the cells")
    below(ax)
    tidy(ax)
    return ax
