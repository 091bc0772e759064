"""Layers out of files and pickles of former versions, brought up to date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .inhibition import InhibitoryCells
from .interfaces import Competition
from .pools import SoftmaxPool


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
    own = {name: layer.pop(name) for name in InhibitoryCells.SAVED if name not in options}
    return InhibitoryCells.restored(**options, **own)
