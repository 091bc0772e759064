"""Rivals as large as the network: how many hidden cells give each its number of synapses, or its accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ... import datasets
from ..records.environment import environment
from ..records.ledger import Ledger
from ..records.text_table import markdown
from ..trial import seeing, stratified, validation_split
from .models import ComparedModel
from .plan import ComparisonPlan

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "REFERENCE",
    "Equal",
    "Size",
    "chosen_sizes",
    "n_synapses",
    "size_of",
    "size_lines",
    "sized",
    "sizes",
]

#: What is made equal.
Equal: TypeAlias = Literal["synapses", "accuracy"]
#: The model that the others are made equal to.
REFERENCE = "bioneuro"
#: Numbers of hidden cells that are tried for an accuracy, from the fewest on.
WIDTHS = tuple(2**k for k in range(3, 13))
#: Images by which accuracies are compared: this share of those there are, at most so many.
VALIDATION_SHARE, MOST_VALIDATION = 0.2, 1000
#: Relative difference in synapses that is good enough, and numbers of cells that are tried for it.
CLOSE, TRIES = 0.01, 8


class Size(NamedTuple):
    """A model at some size: hidden cells (0: of its own choice), synapses, accuracy on the validation images (NaN: not
    asked for), and whether it is equal: within 1 % of the synapses, or at least as accurate."""

    model: str
    cells: int
    synapses: int
    accuracy: float
    equal: bool


def sized(model: Any, n: int) -> dict[str, Any]:
    """The parameter by which an unfitted model has ``n`` hidden cells; none where their number is not a parameter."""
    params = model.get_params()
    if "n_hidden" in params:
        return {"n_hidden": n}
    if "hidden" in params:
        return {"hidden": n if isinstance(params["hidden"], int) else (n,)}
    return {}


def n_synapses(network: Any) -> int:
    """Stored synapses of a fitted model, all of its pathways together."""
    return int(sum(W.nnz for W in network.weights().values()))


def size_of(
    name: str,
    model: ComparedModel,
    kind: Equal,
    reference: Size | None,
    plan: ComparisonPlan,
    data: datasets.Dataset,
    seed: int = 0,
) -> Size:
    """The size at which a model is equal to the reference, or as near as it comes.

    Parameters
    ----------
    name : str
    model : ComparedModel
        Bound to its parameters (:func:`.models.chosen_models`). Without hidden cells to choose it stays as it is.
    kind : {"synapses", "accuracy"}
        ``"synapses"``: as many stored ones, within 1 %. ``"accuracy"``: of 8, 16, ... 4,096 hidden cells the fewest
        with which it gets at least as many validation images right; where none does, the most accurate.
    reference : Size or None
        None: this model is the reference.
    plan : ComparisonPlan
    data : Dataset
        Validation images are training images that nothing here learns from.
    seed : int >= 0
        Of images and model.
    """

    def learned(n: int = 0) -> Size:
        train, validation = _images(plan, data, seed)
        network = model.make(seed)
        network.set_params(**(sized(network, n) if n else {}))
        network = model.read(seeing(network, data.image_shape).fit(*train))
        accuracy, synapses = float(network.score(*validation)), n_synapses(network)
        if reference is None:
            equal = True
        else:
            equal = _close(synapses, reference) if kind == "synapses" else accuracy >= reference.accuracy
        return Size(name, n, synapses, accuracy, equal)

    def stored(n: int) -> Size:
        """Without learning for long: what is stored does not depend on it."""
        network = model.make(seed)
        short = {key: 1 for key in ("n_epochs", "hidden_epochs") if key in network.get_params()}
        network.set_params(**sized(network, n), **short)
        rows = stratified(data.y_train, 2 * len(np.unique(data.y_train)), seed)
        synapses = n_synapses(seeing(network, data.image_shape).fit(data.X_train[rows], data.y_train[rows]))
        return Size(name, n, synapses, float("nan"), reference is not None and _close(synapses, reference))

    if reference is None or not sized(model.make(seed), 1):
        return learned()
    return _with_synapses(stored, reference.synapses) if kind == "synapses" else _as_accurate(learned)


def _close(synapses: int, reference: Size) -> bool:
    return abs(synapses / reference.synapses - 1) <= CLOSE


def _as_accurate(tried: Callable[[int], Size]) -> Size:
    sizes = []
    for n in WIDTHS:
        sizes.append(tried(n))
        if sizes[-1].equal:
            return sizes[-1]
    return max(sizes, key=lambda size: size.accuracy)


def _with_synapses(tried: Callable[[int], Size], target: int) -> Size:
    """Along the power law through the last two sizes: synapses grow with the cells, or with their square."""
    sizes = {n: tried(n) for n in (64, 128)}
    while not (best := _nearest(sizes, target)).equal and len(sizes) < TRIES:
        (n_1, one), (n_2, other) = list(sizes.items())[-2:]
        exponent = np.log(other.synapses / one.synapses) / np.log(n_2 / n_1)
        n = max(1, round(n_2 * (target / other.synapses) ** (1 / exponent)))
        if n in sizes or other.synapses == one.synapses:
            break
        sizes[n] = tried(n)
    return best


def _nearest(sizes: Mapping[int, Size], target: int) -> Size:
    return min(sizes.values(), key=lambda size: abs(size.synapses - target))


def _images(plan: ComparisonPlan, data: datasets.Dataset, seed: int) -> Iterator[tuple[NDArray, NDArray]]:
    available = len(data.y_train)
    n_validation = min(MOST_VALIDATION, int(VALIDATION_SHARE * available))
    return validation_split(data, min(plan.n_train, available - n_validation), n_validation, seed)


def sizes(
    kind: Equal,
    models: Mapping[str, ComparedModel],
    plan: ComparisonPlan,
    data: datasets.Dataset,
    out: Path,
    settings: Mapping[str, Mapping[str, Any]],
) -> tuple[Ledger, pd.DataFrame]:
    """The :class:`Size` of the reference and of each model, kept one by one in ``out/sizes.csv``.

    Parameters
    ----------
    kind : {"synapses", "accuracy"}
    models : dict of str to ComparedModel
        Bound to ``settings``, the reference among them (:func:`.models.chosen_models`).
    plan : ComparisonPlan
    data : Dataset
    out : Path
    settings : dict of str to dict
        Parameters by model, for the record.

    Returns
    -------
    ledger : Ledger
    rows : DataFrame
        Columns are those of :class:`Size`; the reference is the first.
    """
    import pandas as pd

    configuration = {"equal": kind, **asdict(plan), "settings": {name: dict(own) for name, own in settings.items()}}
    ledger = Ledger(out / "sizes.csv", configuration, environment())

    def found(name: str, reference: Size | None) -> pd.DataFrame:
        return pd.DataFrame([size_of(name, models[name], kind, reference, plan, data)])

    first = ledger.complete(lambda name: found(name, None), [(REFERENCE,)], description=REFERENCE)
    (reference,) = (Size(*row) for row in first[list(Size._fields)].itertuples(index=False, name=None))
    others = [(name,) for name in models if name != REFERENCE]
    rest = ledger.complete(lambda name: found(name, reference), others, description=f"equal {kind}")
    return ledger, pd.concat([first, rest], ignore_index=True)[list(Size._fields)]


def chosen_sizes(frame: pd.DataFrame, models: Mapping[str, ComparedModel]) -> dict[str, dict[str, Any]]:
    """By model, the parameter of the size that a table of :class:`Size` has for it; none where it has no choice."""
    found = {row.model: sized(models[row.model].make(0), int(row.cells)) for row in frame.itertuples() if row.cells}
    return {name: parameters for name, parameters in found.items() if parameters}


def size_lines(path: Path) -> str:
    """A paragraph and a table of the page, from the file that :func:`sizes` keeps."""
    import pandas as pd

    frame = pd.read_csv(path)
    lines = [
        f"`{REFERENCE}` is what the others are equal to: within 1 % of its synapses, all pathways together, or",
        "at least as accurate on validation images (training images from which nothing learned in that search). "
        "Where none",
        "of the sizes tried is, the nearest or the most accurate is shown.",
        "",
    ]
    rows = []
    for row in frame.itertuples():
        accuracy = "-" if np.isnan(row.accuracy) else f"{100 * row.accuracy:.1f}"
        cells = f"{row.cells:,}" if row.cells else "its own"
        rows.append([row.model, cells, f"{row.synapses:,}", accuracy, "yes" if row.equal else "no"])
    head = ["", "hidden cells", "synapses", "validation accuracy, %", "equal"]
    return "\n".join([*lines, markdown(head, rows)])
