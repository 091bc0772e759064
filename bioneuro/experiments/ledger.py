"""Results on disk: a tidy CSV that only grows by whole units, and the configuration that produced it.

A unit is one model at one seed. The CSV is replaced in one step when a unit is complete, so whatever interrupts a run
leaves finished units only, and the next run skips them. Rows of different configurations never share a ledger.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..files import write_atomically
from . import UserError

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
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.rows = self._read_rows()
            # Through JSON, so that what is compared has the types of what was kept.
            record = self._record(*json.loads(json.dumps([configuration, environment])))
            write_atomically(self.configuration_path, json.dumps(record, indent=2) + "\n")
        except OSError as error:
            raise UserError(f"cannot keep results in {folder}: {error.strerror or error}") from error

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

    def _record(self, configuration: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
        """What belongs into the configuration file: ours, and every environment that rows come from."""
        fresh = {"configuration": configuration, "environments": [environment]}
        if not self.configuration_path.exists():
            if self.rows:
                raise UserError(f"{self.path} has no {self.configuration_path.name} beside it; choose another --out")
            return fresh
        try:
            kept = json.loads(self.configuration_path.read_text(encoding="utf-8"))
            found, environments = kept["configuration"], kept["environments"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.configuration_path} is not a configuration; choose another --out") from error
        if not self.rows:
            return fresh
        if changed := list(_differences(found, configuration)):
            more = f"; {len(changed) - 3} more" if len(changed) > 3 else ""
            raise UserError(
                f"{self.folder} holds results of another configuration ({'; '.join(changed[:3])}{more}): "
                "choose another --out, or delete it"
            )
        if environment not in environments:
            environments.append(environment)
        return {"configuration": configuration, "environments": environments}


def _differences(found: Any, wanted: Any, name: str = "") -> Iterable[str]:
    """Each entry in which two configurations differ, as "name: found there, wanted now"."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(found.keys() - wanted.keys())]:
            yield from _differences(found.get(key), wanted.get(key), f"{name}.{key}" if name else key)
    elif found != wanted:
        yield f"{name}: {found!r} there, {wanted!r} now"
