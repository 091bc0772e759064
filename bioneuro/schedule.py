"""How long each stage of learning takes, and how fast the readout learns, as a parameter of the classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .checks import Checked, Integer, Number
from .network import epochs_of, readout_batch, teaching_batch
from .spelling import spelled

__all__ = ["Schedule"]

Epochs: TypeAlias = int | Literal["auto"]

#: What "auto" means: samples shown per association cell, and least steps of teaching and of the readout.
SAMPLES_PER_CELL = 6.5
TEACHING_STEPS = 1000
READOUT_STEPS = 1000


@spelled
@dataclass(frozen=True, kw_only=True)
class Schedule(Checked):
    """Passes over the training samples in ``fit``, stage by stage.

    Parameters
    ----------
    association_epochs : int >= 1 or "auto"
        ``"auto"``: as many as show 6.5 samples per association cell.
    teaching_epochs : int >= 1 or "auto"
        Of the third factor. ``"auto"``: at least 8 passes and 1,000 steps.
    readout_epochs : int >= 1 or "auto"
        ``"auto"``: at least 10 passes and 1,000 steps.
    readout_eta : float, default 0.5
        Learning rate of the readout, in [0, 100]; it falls linearly to 0.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    association_epochs: Epochs = "auto"
    teaching_epochs: Epochs = "auto"
    readout_epochs: Epochs = "auto"
    readout_eta: float = 0.5

    _kinds = {
        "association_epochs": (Integer(), "auto"),
        "teaching_epochs": (Integer(), "auto"),
        "readout_epochs": (Integer(), "auto"),
        "readout_eta": (Number(0, 100),),
    }

    def of_association(self, n: int, n_cells: int) -> int:
        """Passes of ``n_cells`` association cells over ``n`` samples."""
        return _epochs(self.association_epochs, math.ceil(SAMPLES_PER_CELL * n_cells / n))

    def of_teaching(self, n: int) -> int:
        """Passes of the third factor over ``n`` samples."""
        return _epochs(self.teaching_epochs, max(8, epochs_of(TEACHING_STEPS, teaching_batch(n), n)))

    def of_readout(self, n: int) -> int:
        """Passes of the readout over ``n`` samples."""
        return _epochs(self.readout_epochs, max(10, epochs_of(READOUT_STEPS, readout_batch(n), n)))


def _epochs(given: Epochs, automatic: int) -> int:
    return automatic if isinstance(given, str) else int(given)
