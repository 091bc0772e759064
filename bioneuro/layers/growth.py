"""Growth: which cells take over which inputs of a batch.

:class:`Recruitment` gives silent cells the inputs that are matched worst, :class:`Vigilance` gives unused cells the
inputs that are new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks import POSITIVE_SHARE, Checked
from ..connectivity import Init, initialiser
from ..spelling import spelled
from .interfaces import GrowingCells, TakeOver

#: A cell whose rate is below this share of the average is silent: it can be recruited.
SILENT = 0.1


@spelled
@dataclass(frozen=True, kw_only=True)
class GrowthSettings(Checked):
    """How association cells are recruited, as a parameter of :class:`bioneuro.BioClassifier`.

    Parameters
    ----------
    vigilance : float in (0, 1] or None, default 0.9
        In ``partial_fit``, a sample that no cell of its label matches so well, or that a cell of another label matches
        better, recruits a cell (:class:`Vigilance`). None: whatever cells have been silent lately learn what comes, and
        forget what they knew (:class:`Recruitment`).
    init : str or callable, default "uniform"
        Law of the weights from which a recruited cell starts: a name in :data:`bioneuro.connectivity.INITIALISERS` or
        ``init(rng, n)``, all > 0.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    vigilance: float | None = 0.9
    init: Init = "uniform"

    _kinds = {"vigilance": (POSITIVE_SHARE, None)}

    def __post_init__(self) -> None:
        super().__post_init__()
        initialiser(self.init)


NOBODY: TakeOver = (np.zeros(0, np.intp), np.zeros(0, np.intp))


@dataclass(frozen=True)
class Recruitment:
    """The most silent cells take over the inputs that all others match worst, whatever they learned before.

    Suited to data that are all shown again and again.

    Parameters
    ----------
    share : float in [0, 1]
        Largest share of a batch that recruits.
    """

    share: float

    def novel(self, cells: GrowingCells, H: NDArray, a: NDArray, T: NDArray) -> TakeOver:
        return NOBODY

    def worst_matched(self, rate: NDArray, match: NDArray) -> TakeOver:
        """By the mean rate of each cell, ``rate (n_cells,)``, and the best match of each input, ``match (batch,)``."""
        silent = np.flatnonzero(rate < SILENT / len(rate))
        n = min(int(np.ceil(self.share * len(match))), len(silent))
        return silent[np.argsort(rate[silent], kind="stable")[:n]], np.argsort(match, kind="stable")[:n]


@dataclass(frozen=True)
class Vigilance:
    """Cells that never learned take over novel inputs; what was learned stays.

    An input is novel if no cell of its label matches it, or a cell of another label matches it better. Once no unused
    cell is left, the label that owns most gives up the cell it used least to a label that owns fewer. So the budget of
    cells is never exceeded. (Vigilance is that of adaptive resonance: Carpenter & Grossberg 1987, Comput. Vis. Graph.
    Image Process. 37:54; errors recruit as in Reilly, Cooper & Elbaum 1982, Biol. Cybern. 45:35.)

    Parameters
    ----------
    least_match : float in (0, 1]
        Least match of an input that is not novel: a drive, relative to that of the input which the cell took over.
    """

    least_match: float

    def novel(self, cells: GrowingCells, H: NDArray, a: NDArray, T: NDArray) -> TakeOver:
        """Among features ``H (batch, n_features)`` with drives ``a (batch, n_cells)`` and one-hot labels ``T (batch,
        n_classes)``."""
        label, owner, match = T.argmax(axis=1), cells.owner, cells.match(a)
        same, owned = owner == label[:, None], owner >= 0
        own = np.where(same, match, 0).max(axis=1)
        other = np.where(~same & owned, match, 0).max(axis=1)
        inputs = novel_inputs(cells.profile(H), label, own, other, self.least_match)
        found = cells_for(label[inputs], owner, cells.age)
        return found[found >= 0], inputs[found >= 0]

    def worst_matched(self, rate: NDArray, match: NDArray) -> TakeOver:
        return NOBODY


def novel_inputs(H: NDArray, label: NDArray, own: NDArray, other: NDArray, vigilance: float) -> NDArray[np.intp]:
    """Inputs that recruit a cell, as if they came one after another, the worst matched first.

    An input is novel where ``own < vigilance`` or ``own < other``; an input that recruits counts as a match for those
    after it.

    Parameters
    ----------
    H : (batch, n_features)
        Inputs, rows of unit norm: what a recruited cell takes over.
    label : (batch,)
    own, other : (batch,)
        Best match of each input by the cells of its label, and by those of all other labels.
    vigilance : float in (0, 1]

    Returns
    -------
    ndarray of int, in the order in which they recruit
    """
    own, other = own.copy(), other.copy()
    candidates = np.flatnonzero((own < vigilance) | (own < other))
    chosen = []
    for k in candidates[np.argsort(own[candidates], kind="stable")]:
        if own[k] < vigilance or own[k] < other[k]:
            chosen.append(k)
            match = H[candidates] @ H[k]
            same = label[candidates] == label[k]
            for best, rows in ((own, same), (other, ~same)):
                best[candidates[rows]] = np.maximum(best[candidates[rows]], match[rows])
    return np.array(chosen, np.intp)


def cells_for(labels: NDArray, owner: NDArray, use: NDArray) -> NDArray[np.intp]:
    """A cell for each recruiting input, or -1 if there is none left.

    Cells that no label owns go first. Then the label that owns most gives up the cell it used least, as long as it
    stays ahead of, or level with, the one that asks: at a full budget, labels come to equal shares.

    Parameters
    ----------
    labels : (n,) of int
        Of the recruiting inputs, one after another.
    owner : (n_cells,) of int
        Label of each cell, -1 for none.
    use : (n_cells,)
        Activity of each cell in its life.
    """
    owner, free = owner.copy(), list(np.flatnonzero(owner < 0)[::-1])
    count = np.bincount(owner[owner >= 0], minlength=int(labels.max(initial=0)) + 1)
    young = np.zeros(len(owner), bool)  # just recruited: no time yet to be used
    cells = np.full(len(labels), -1)
    for i, label in enumerate(labels):
        richest = int(count.argmax())
        if free:
            cell = free.pop()
        elif count[richest] > count[label] + 1:
            members = np.flatnonzero((owner == richest) & ~young)
            if not members.size:
                continue
            cell = members[use[members].argmin()]
            count[richest] -= 1
        else:
            continue
        cells[i], owner[cell], young[cell] = cell, label, True
        count[label] += 1
    return cells
