"""Layers as files and pickles of former versions hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .inhibition import InhibitoryCells
from .pools import SoftmaxPool
from .protocols import Competition

#: What a circuit of version 3 held of its inhibitory cells, but for what it held as every layer did.
_OF_INHIBITORY_CELLS = (
    "inhibition",
    "specificity",
    "target",
    "to_inhibitory",
    "from_inhibitory",
    "inhibitory_rate",
    "common_threshold",
    "residual",
)


def upgraded(state: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a layer as they are now. Up to version 3, layers held those of their competition."""
    now = dict(state)
    if "competition" not in now:
        now["competition"] = _competition(now)
    return now


def _competition(layer: dict[str, Any]) -> Competition:
    """The competition out of the attributes of a layer, which loses them."""
    layer.pop("_inhibitory", None)
    options = {name: layer.pop(name) for name in ("beta", "sharpening", "k")} | {"n_threads": layer["n_threads"]}
    n_cells = layer["synapses"].n_post
    if "to_inhibitory" not in layer:
        return SoftmaxPool(n_cells, n_rivals=layer.pop("_n_rivals", None), **options)
    cells = object.__new__(InhibitoryCells)  # what its constructor would draw is in the file
    vars(cells).update(options | {name: layer.pop(name) for name in _OF_INHIBITORY_CELLS})
    return cells
