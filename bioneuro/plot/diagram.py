"""A fitted network as boxes and arrows: its populations of cells, and the pathways between them."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..analysis.weight_samples import as_matrix
from ._style import BLUE, GREY, VERMILION, axes, below, headline, points_a_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Pathways of our network that are wired once and do not learn.
FIXED = re.compile(r"mixing(_\d+)?_(excitatory|e_to_i|inhibitory)|readout_e_to_i")
#: Populations whose pathways have other names.
REACHED = {"map": "features", "readout": "classes"}
SIGN_STYLES = {
    "E": (VERMILION, "excitatory (E)"),
    "I": (BLUE, "inhibitory (I)"),
    "both": (GREY, "of both signs"),
}
#: Between populations of the main line, and from it to inhibitory cells; half the size of a box.
STEP, DROP = 1.8, 1.15
HALF_WIDTH, HALF_HEIGHT = 0.45, 0.32
#: Inches of that unit in a figure of its own, and the size of letters then: both shrink together.
INCHES, FONT = 1.35, 8.5


class DrawnPathway(NamedTuple):
    """Who makes it, whom it reaches, cells of both, the sign of its weights, and how many it has."""

    name: str
    maker: str
    target: str
    n_pre: int
    n_post: int
    sign: str
    n_synapses: int

    @property
    def density(self) -> float:
        return self.n_synapses / max(self.n_pre * self.n_post, 1)


def network_diagram(model: Any, ax: Axes | None = None) -> Axes:
    """Populations and pathways of a fitted network, with their sizes, signs and densities.

    Input is on the left. Excitatory populations are in a line, and inhibitory ones below it between the cells that
    drive them and those they inhibit, or above the cells that do both.

    Parameters
    ----------
    model : estimator or Network
        Fitted; ``model.outgoing()`` names what each population makes, as of :class:`bioneuro.BioClassifier` and the
        perceptrons of :mod:`bioneuro.baselines`.
    ax : Axes, optional
        Letters shrink with it: below about six inches of width it is a thumbnail.

    Returns
    -------
    Axes
        A box for each population, in the colour of what it makes, with its number of cells (of the retina: of the
        inputs in one window of the map). An arrow for each pathway; the percentage is its density, the share of all
        pairs of cells that have a synapse.

    Raises
    ------
    TypeError
        The model has no ``outgoing()``.
    NotFittedError
        It is not fitted.
    """
    if not callable(getattr(model, "outgoing", None)):
        raise TypeError(f"model must have a method outgoing(), as BioClassifier has, got {type(model).__name__}")
    outgoing = model.outgoing()
    pathways = [
        _pathway(name, maker, synapses, outgoing)
        for maker, made in outgoing.items()
        for name, synapses in made.items()
    ]  # fmt: skip
    places = _places(pathways)
    right, top = (max(place[k] for place in places.values()) for k in (0, 1))
    bottom = min(y for _, y in places.values())
    width, height = right + 2 * HALF_WIDTH + 0.2, top - bottom + 2 * HALF_HEIGHT + 0.2
    ax = axes(ax, (INCHES * width, INCHES * height + 0.7))
    scale = min(1.0, 1.3 * points_a_unit(ax, width, height) / (72 * INCHES))
    for name, place in places.items():
        _draw_population(ax, name, place, pathways, scale)
    for pathway in pathways:
        _draw_pathway(ax, pathway, places, scale)
    ax.set(xlim=(-HALF_WIDTH - 0.1, right + HALF_WIDTH + 0.1))
    ax.set(ylim=(bottom - HALF_HEIGHT - 0.1, top + HALF_HEIGHT + 0.1))
    ax.axis("off")
    n_synapses = sum(pathway.n_synapses for pathway in pathways)
    headline(ax, f"{type(model).__name__}: {n_synapses:,} synapses (%: of all pairs of cells, those that have one)")
    _explain(ax, pathways)
    return ax


def _pathway(name: str, maker: str, synapses: Any, populations: Container[str]) -> DrawnPathway:
    matrix = as_matrix(synapses, name)
    weights = matrix.data[matrix.data != 0]
    kind = "I" if _inhibitory(maker) else "E"
    if weights.size and not (weights > 0).all():
        kind = "I" if (weights < 0).all() else "both"
    n_post, n_pre = matrix.shape
    return DrawnPathway(name, maker, _target(name, populations), n_pre, n_post, kind, weights.size)


def _target(pathway: str, populations: Container[str]) -> str:
    """The population that a pathway reaches, by its name: the one that it begins with."""
    cells = re.sub("_(excitatory|inhibitory|e_to_i|i_to_e)$", "", pathway)
    if pathway.endswith("_e_to_i"):
        return f"{cells}_i"
    parts = cells.split("_")
    begins = ["_".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return REACHED.get(cells) or next((begin for begin in begins if begin in populations), cells)


def _inhibitory(population: str) -> bool:
    return population.endswith("_i")


def _places(pathways: list[DrawnPathway]) -> dict[str, tuple[float, float]]:
    """The centre of each population."""
    names = list(dict.fromkeys([*(p.maker for p in pathways), *(p.target for p in pathways)]))
    line = [name for name in names if not _inhibitory(name)]
    places = {name: (STEP * k, 0.0) for k, name in enumerate(line)}
    for name in filter(_inhibitory, names):
        driven_by = [places[p.maker][0] for p in pathways if p.target == name]
        reaches = [places[p.target][0] for p in pathways if p.maker == name]
        recurrent = driven_by == reaches
        places[name] = (float(np.mean(driven_by + reaches)), DROP if recurrent else -DROP)
    return places


def _draw_population(
    ax: Axes, name: str, place: tuple[float, float], pathways: list[DrawnPathway], scale: float
) -> None:
    from matplotlib.patches import FancyBboxPatch

    signs = {p.sign for p in pathways if p.maker == name}
    colour = SIGN_STYLES[signs.pop()][0] if len(signs) == 1 else GREY
    size = next((p.n_pre for p in pathways if p.maker == name), None)
    if size is None:
        size = next(p.n_post for p in pathways if p.target == name)
    x, y = place
    ax.add_patch(FancyBboxPatch(
        (x - HALF_WIDTH + 0.03, y - HALF_HEIGHT + 0.03), 2 * HALF_WIDTH - 0.06, 2 * HALF_HEIGHT - 0.06,
        boxstyle="round,pad=0.03", facecolor="white", edgecolor=colour, linewidth=1.8 * scale,
    ))  # fmt: skip
    label = re.sub("_i$", " I", name).replace("_", " ")
    ax.text(x, y, f"{label}\n{size:,}", ha="center", va="center", fontsize=FONT * scale)


def _draw_pathway(ax: Axes, pathway: DrawnPathway, places: dict[str, tuple[float, float]], scale: float) -> None:
    from matplotlib.patches import ArrowStyle, FancyArrowPatch

    (x0, y0), (x1, y1) = places[pathway.maker], places[pathway.target]
    start: tuple[float, float]
    end: tuple[float, float]
    label: tuple[float, float]
    if y0 == y1:
        start, end, label, ha, va = (x0 + HALF_WIDTH, y0), (x1 - HALF_WIDTH, y1), (0, 0.06), "center", "bottom"
    else:
        edge = HALF_HEIGHT * np.sign(y1 - y0)
        # excitation leaves a box on the right and inhibition comes in on the left; above a box it is the reverse
        side = 0.22 * (1 if x1 > x0 else np.sign(y0 - y1))
        start, end = (x0 + side, y0 + edge), (x1 - side if x1 != x0 else x0 + side, y1 - edge)
        away = -1 if (y1 < y0) == (x1 > x0) else 1
        label, ha, va = (0.12 * away, 0), "right" if away < 0 else "left", "center"
    colour = SIGN_STYLES[pathway.sign][0]
    inhibits = pathway.sign == "I"
    ax.add_patch(FancyArrowPatch(
        start, end, arrowstyle=ArrowStyle("-[", widthB=0.45, lengthB=0) if inhibits else "-|>",
        mutation_scale=12 * scale, color=colour, linestyle=(0, (4, 2)) if FIXED.fullmatch(pathway.name) else "-",
        linewidth=1.6 * scale, shrinkA=1, shrinkB=3 * scale if inhibits else 1,
    ))  # fmt: skip
    middle = (start[0] + end[0]) / 2 + label[0], (start[1] + end[1]) / 2 + label[1]
    share = f"{pathway.density:.2%}" if 0 < pathway.density < 0.01 else f"{pathway.density:.0%}"
    ax.text(*middle, share, ha=ha, va=va, fontsize=FONT * scale, color=colour)


def _explain(ax: Axes, pathways: list[DrawnPathway]) -> None:
    """A legend under the boxes of the colours and dashes that are there."""
    from matplotlib.lines import Line2D

    signs = [sign for sign in SIGN_STYLES if any(p.sign == sign for p in pathways)]
    lines = [Line2D([], [], color=SIGN_STYLES[sign][0], label=SIGN_STYLES[sign][1]) for sign in signs]
    if any(FIXED.fullmatch(p.name) for p in pathways):
        lines.append(Line2D([], [], color=GREY, linestyle=(0, (4, 2)), label="wired once, does not learn"))
    below(ax, handles=lines, drop=2, columns=len(lines))
