"""Results on disk: a tidy CSV that only grows by whole units, and the configuration that produced it.

A unit is one model at one seed. The CSV is replaced in one step when a unit is complete, so whatever interrupts a run
leaves finished units only, and the next run skips them. Rows of different configurations never share a ledger.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...files import write_atomically
from .. import UserError
from .configuration import keep_configuration
from .output import folder_for_results

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Ledger", "Row"]


class Row(NamedTuple):
    """One result. ``setting`` is what the metric was taken at (images a class, epsilon, pathway, check), ``note`` what
    a number cannot say (the winning law, pass or warn)."""

    model: str
    readout: str
    seed: int
    metric: str
    setting: str
    value: float
    note: str


class Ledger:
    """``results.csv`` and ``configuration.json`` of one experiment in one folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    configuration : dict
        What the values depend on, in JSON types; a folder that holds another one is refused.
    environment : dict
        Versions and machine, kept for the record with each different one that added rows.

    Raises
    ------
    UserError
        The folder cannot be used, holds another configuration, or its files cannot be read.
    """

    def __init__(self, folder: Path, configuration: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        self.folder = folder
        self.path, self.configuration_path = folder / "results.csv", folder / "configuration.json"
        with folder_for_results(folder):
            self.rows = self._read_rows()
            keep_configuration(self.configuration_path, configuration, environment, self.path if self.rows else None)

    def finished(self, model: str, seed: int) -> bool:
        """Whether this unit's rows are in the ledger."""
        return any((row.model, row.seed) == (model, seed) for row in self.rows)

    def add(self, unit: Iterable[Row]) -> None:
        """Add all rows of one unit, on disk before this returns."""
        rows = [*self.rows, *unit]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)
        write_atomically(self.path, text.getvalue())
        self.rows = rows

    def frame(self) -> pd.DataFrame:
        """All rows as a DataFrame with the columns of `Row`."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=Row._fields)

    def _read_rows(self) -> list[Row]:
        if not self.path.exists():
            return []
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                header, *lines = csv.reader(file)
            if tuple(header) != Row._fields:
                raise ValueError("other columns")
            return [
                Row(model, readout, int(seed), metric, setting, float(value), note)
                for model, readout, seed, metric, setting, value, note in lines
            ]
        except ValueError as error:
            raise UserError(f"{self.path} is not a ledger of results ({error}); choose another --out") from error
