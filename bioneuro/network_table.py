"""A network in one look: its layers in a line, and a row for each pathway."""

from __future__ import annotations

from html import escape
from typing import Any, NamedTuple

import numpy as np

__all__ = ["PrintedBySizes", "html_table", "text_table"]


class PathwayRow(NamedTuple):
    """A pathway: its name, who makes it, its sign, cells before and behind, synapses, and their share of all pairs."""

    pathway: str
    made_by: str
    sign: str
    n_pre: int
    n_post: int
    synapses: int
    density: float


HEADINGS = ("pathway", "made by", "sign", "cells", "synapses", "density")


def pathway_rows(network: Any) -> list[PathwayRow]:
    """A row for each pathway, in the order in which the network names them."""
    maker = {name: cells for cells, made in network.outgoing().items() for name in made}
    return [
        PathwayRow(name, maker[name], pathway.sign, pathway.n_pre, pathway.n_post, pathway.nnz, pathway.density)
        for name, pathway in network.pathways().items()
    ]


def layers_of(network: Any) -> str:
    """The layers in a line, each with its size."""
    parts = [f"{type(layer).__name__} {layer.n_features}{_recruited(layer)}" for layer in network.layers.values()]
    if network.readouts:
        parts.append(f"{', '.join(network.readouts)} {network.n_classes}")
    return " -> ".join(parts)


def _recruited(layer: Any) -> str:
    """How many of its cells have learned, where others wait."""
    live = int(np.sum(getattr(layer, "live", layer.n_features)))
    return "" if live == layer.n_features else f" ({live} recruited)"


def cells_of(row: PathwayRow) -> tuple[str, ...]:
    """A row as text."""
    sizes, share = f"{row.n_pre} -> {row.n_post}", f"{100 * row.density:.3g} %"
    return row.pathway, row.made_by, row.sign, sizes, str(row.synapses), share


def text_table(network: Any, title: str = "Network") -> str:
    """As ``repr`` shows it."""
    table = [HEADINGS, *map(cells_of, pathway_rows(network))]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    aligned = "<<<>>>"
    lines = ["  ".join(f"{text:{way}{n}}" for text, way, n in zip(row, aligned, widths, strict=True)) for row in table]
    return "\n".join([f"{title}({layers_of(network)})", *(f"  {line.rstrip()}" for line in lines)])


class PrintedBySizes:
    """A layer that prints as its class and its sizes."""

    def __repr__(self: Any) -> str:
        return f"{type(self).__name__}({self.n_inputs} -> {self.n_features}{_recruited(self)})"


def html_table(network: Any) -> str:
    """As a notebook shows it."""

    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in cells) + "</tr>"

    body = "".join(line(cells_of(row), "td") for row in pathway_rows(network))
    return (
        f"<table><caption>{escape(layers_of(network))}</caption>"
        f"<thead>{line(HEADINGS, 'th')}</thead><tbody>{body}</tbody></table>"
    )
