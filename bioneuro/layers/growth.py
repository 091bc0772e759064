"""Growth: which inputs of a batch are novel, and which cells they recruit out of a fixed budget."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def novel_inputs(H: NDArray, label: NDArray, own: NDArray, other: NDArray, vigilance: float) -> NDArray[np.intp]:
    """Inputs that recruit a cell, as if they came one after another, the worst matched first.

    An input is novel where ``own < vigilance`` or ``own < other``; one that recruits matches those behind it, too.

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
    """A cell for each recruiting input, or -1 where none is to be had.

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
    young = np.zeros(len(owner), bool)  # who has just been recruited has had no time to be used
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
