"""One sheet about one trained network: receptive fields, laws of the weights, rates and what they represent."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from . import analysis, plot
from .extras import pandas
from .layers import FeatureMap, LocalMap
from .network import Network
from .network_estimator import NetworkEstimator

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["pathway_report", "report"]

#: Columns of :func:`pathway_report` that are printed on the sheet, and their headings there.
PRINTED = {
    "layer": "pathway",
    "density": "density",
    "law": "law",
    "fitted_sigma": "σ(log w)",
    "skewness": "skewness",
    "ks_lognormal": "KS logn.",
    "dale_index": "Dale",
}
#: The same for :func:`bioneuro.analysis.representation_report`.
PRINTED_RATES = (
    "active_share",
    "population_sparseness",
    "lifetime_sparseness",
    "correlation",
    "dimensionality",
    "selectivity",
    "selectivity_shuffled",
)


def pathway_report(model: NetworkEstimator) -> pd.DataFrame:
    """Describe every pathway of a fitted network.

    Parameters
    ----------
    model : fitted BioClassifier or NetworkClassifier

    Returns
    -------
    DataFrame
        `layer`, the columns of :func:`bioneuro.analysis.weight_report`, and `dale_index`, the smallest over the
        pre-synaptic cells, each with all of the synapses that it makes, those of other pathways too.

    Raises
    ------
    TypeError
        `model` is none of these; a pipeline or a search that holds one is not, either.
    sklearn.exceptions.NotFittedError
    """
    _check_model(model)
    outgoing = model.outgoing()
    indices = analysis.dale_indices(outgoing)
    smallest = {name: np.nanmin(indices[cells]) for cells, made in outgoing.items() for name in made}
    rows, cuts = [], model.cuts()
    for name, W in model.weights().items():
        sign = "I" if W.nnz and W.data.max() <= 0 else "E"
        row = analysis.weight_report(W, sign=sign, threshold=cuts.get(name))
        row.insert(0, "layer", name)
        row["dale_index"] = smallest[name]
        rows.append(row)
    return pandas().concat(rows, ignore_index=True)


def report(model: NetworkEstimator, X: ArrayLike | None = None, y: ArrayLike | None = None) -> Figure:
    """Draw the full sheet of a fitted network.

    Parameters
    ----------
    model : fitted BioClassifier or NetworkClassifier
    X : array_like (n, n_features), optional
        Samples whose rates are described: those of the last layer, the association cells of a BioClassifier.
    y : array_like (n,), optional
        Their labels, for the selectivity.

    Returns
    -------
    matplotlib.figure.Figure
        Receptive fields of the map (of images), the laws of the two topmost layers whose weights differ (association
        and map of a BioClassifier), a table of all pathways and, with `X`, the mean rates of the cells and a table of
        their sparseness, correlation and selectivity.

    Raises
    ------
    TypeError
        `model` is none of these; a pipeline or a search that holds one is not, either.
    ValueError
        `y` without `X`, or of another length.
    sklearn.exceptions.NotFittedError
    """
    _check_model(model)
    if X is None and y is not None:
        raise ValueError("y must come with X: labels describe samples")
    figure = plot.new_figure((13.5, 12.0))
    axes = figure.subplots(3, 2)
    _fields(model, axes[0, 0])
    for ax, name in zip_longest((axes[0, 1], axes[1, 0]), _topmost(model.network_)[:2]):
        if name is not None:
            plot.weight_distribution(model, ax, layer=name)
            ax.set_title(f"Weights: {name}", loc="left", fontsize=10)
        else:
            _say(ax, "no more layers whose weights differ")
    printed = pathway_report(model)[list(PRINTED)].rename(columns=PRINTED)
    _table(axes[1, 1], [list(printed), *printed.to_numpy().tolist()], "Pathways")
    if X is None:
        _say(axes[2, 0], "no samples given: report(model, X, y) shows rates")
        axes[2, 1].set_axis_off()
        return figure
    rates, name = _rates(model, X), next(reversed(model.network_.layers))
    plot.rate_distribution(rates.mean(axis=0), axes[2, 0])
    described = analysis.representation_report(rates, y).iloc[0]
    rows = [[name.replace("_", " "), described[name]] for name in PRINTED_RATES if name in described]
    _table(axes[2, 1], [[f"rates of {name}", f"{len(rates)} samples"], *rows], "Representation")
    return figure


def _check_model(model: object) -> None:
    if isinstance(model, NetworkEstimator):
        check_is_fitted(model, "network_")
        return
    inside = {"steps": "model[-1]", "param_grid": "model.best_estimator_", "estimator": "the model that it fitted"}
    hint = next((f": pass the network in it, {where}" for name, where in inside.items() if hasattr(model, name)), "")
    raise TypeError(f"model must be a BioClassifier or a NetworkClassifier, got {type(model).__name__}{hint}")


def _topmost(network: Network) -> list[str]:
    """Of each layer that has some, the first pathway whose weights are not all alike, the last layer first."""
    found = []
    for layer in reversed(network.layers.items()):
        own = Network(dict([layer]), {}).pathways()
        found += [name for name, synapses in own.items() if synapses.nnz and np.ptp(synapses.weights) > 0][:1]
    return found


def _rates(model: NetworkEstimator, X: ArrayLike) -> NDArray:
    """Those of the last layer's cells; of a layer that has none, what it encodes."""
    H, top = model.network_.seen(model.checked_rows(X)), model.network_.association
    return top.respond(H) if hasattr(top, "respond") else top.encode(H)


def _fields(model: NetworkEstimator, ax: Axes) -> None:
    encoder, image_shape = model.encoder_, model.image_shape_
    if not isinstance(encoder, FeatureMap | LocalMap) or image_shape is None or image_shape[2:] not in ((), (1,)):
        _say(ax, "no gray images: no receptive fields to draw")
        return
    shape = encoder.retina.patch_size, encoder.retina.patch_size
    if isinstance(encoder, LocalMap):  # a row of its weights holds the patches of all positions
        plot.receptive_fields(encoder.receptive_fields(encoder.centre), shape, ax)
        ax.set_title("Receptive fields in the middle of the image", loc="left", fontsize=10)
    else:
        plot.receptive_fields(encoder.columns.synapses.to_scipy(), shape, ax)


def _say(ax: Axes, text: str) -> None:
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", color="0.4", transform=ax.transAxes)


def _table(ax: Axes, rows: list[list[Any]], title: str) -> None:
    ax.set_axis_off()
    ax.set_title(title, loc="left", fontsize=10)
    table = ax.table([[_printed(value) for value in row] for row in rows], loc="upper center", cellLoc="left")
    for cell in table.get_celld().values():
        cell.visible_edges = "B"
        cell.set_edgecolor("0.8")
    table.auto_set_font_size(False)
    table.set_fontsize(8)
    table.auto_set_column_width(list(range(len(rows[0]))))
    table.scale(1, 1.25)


def _printed(value: Any) -> str:
    """A figure to three digits; a dash where there is none, such as a law of weights that are all alike."""
    if value is None or value != value:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
