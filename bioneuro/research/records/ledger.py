"""Results on disk: a tidy CSV that only grows by whole units, and the configuration that produced it.

The CSV is replaced in one step when a unit is complete, so whatever interrupts a run leaves finished units only, and
the next run skips them. Rows of different configurations never share a ledger.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from ...atomic_write import write_atomically
from ..errors import UserError
from ..execution import succeeded
from .configuration import keep_configuration, read_configuration

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "KeptResults", "Ledger", "ModelLedger", "Row", "folder_for_results", "kept_results", "kept_rows", "write_table",
]  # fmt: skip

#: The column that says which unit a row is of, where no other columns do.
UNIT = "unit"


class Ledger:
    """A table of results with any columns in one file, and its configuration in another beside it.

    Parameters
    ----------
    path : Path
        Of the CSV; its folder is made if it is not there.
    configuration : dict
        What the values depend on, in JSON types; results of another one are refused.
    environment : dict
        Versions and machine, kept for the record with each different one that added rows.
    configuration_path : Path, optional
        Default: that of the CSV, ending in ``.json``.

    Raises
    ------
    UserError
        The folder cannot be used, holds another configuration, or its files cannot be read.
    """

    #: Columns whose values name the unit of a row.
    unit_columns: tuple[str, ...] = (UNIT,)
    #: Names and types of the columns; None: those of the rows added.
    columns: Mapping[str, type] | None = None

    def __init__(
        self,
        path: Path,
        configuration: Mapping[str, Any],
        environment: Mapping[str, Any],
        configuration_path: Path | None = None,
    ) -> None:
        self.path, self.configuration_path = path, configuration_path or path.with_suffix(".json")
        with folder_for_results(path.parent):
            self._text = self.path.read_bytes() if self.path.exists() else b""
            self._frame = self._read(self._text)
            kept = None if self._frame.empty else self.path
            keep_configuration(self.configuration_path, configuration, environment, kept)

    @property
    def folder(self) -> Path:
        return self.path.parent

    def frame(self) -> pd.DataFrame:
        """All rows."""
        return self._frame.copy()

    def finished(self, *unit: Hashable) -> bool:
        """Whether this unit's rows are in the ledger."""
        return not self._frame.empty and unit in set(self._units().itertuples(index=False, name=None))

    def add(self, rows: pd.DataFrame) -> None:
        """Add all rows of one unit, on disk before this returns.

        What is there stays as it is, and is held as it would be read again: resuming changes no digit.
        """
        if self._frame.empty:
            text = _csv(rows).encode()
        else:
            text = self._text.rstrip(b"\n") + b"\n" + _csv(rows[list(self._frame.columns)], header=False).encode()
        write_atomically(self.path, text)
        self._text, self._frame = text, self._read(text)

    def complete(
        self,
        compute: Callable[..., pd.DataFrame],
        units: Sequence[tuple[Any, ...]],
        *,
        n_jobs: int | None = 1,
        scheduler: str | None = None,
        description: str = "",
        progress: bool = True,
    ) -> pd.DataFrame:
        """All rows of these units; missing ones are computed by ``compute(*unit)`` and written to disk one by one.

        A unit that fails loses no other.

        Parameters
        ----------
        compute : function
        units : sequence of tuple
        n_jobs : int or None
            Processes that share the units (:mod:`bioneuro.research.sweeps`); None: one for each processor.
        scheduler : str or None
            Address of a Dask cluster that computes them instead.
        description : str
        progress : bool
            A bar over the units, on a terminal.

        Raises
        ------
        UnitsFailedError
            Units failed; all others are on disk.
        """
        names = [" ".join(map(str, unit)) for unit in units]
        missing = [(name, unit) for name, unit in zip(names, units, strict=True) if not self.finished(name)]
        for i, rows in succeeded(
            compute,
            [unit for _, unit in missing],
            [name for name, _ in missing],
            n_jobs=n_jobs,
            scheduler=scheduler,
            description=description,
            n_finished=len(units) - len(missing),
            progress=progress,
        ):
            self.add(rows.assign(**{UNIT: missing[i][0]}))
        order = {name: i for i, name in enumerate(names)}
        rows = self._frame[self._frame[UNIT].isin(order)]
        return rows.sort_values(UNIT, key=lambda unit: unit.map(order), kind="stable", ignore_index=True)

    def _units(self) -> pd.DataFrame:
        return self._frame[list(self.unit_columns)].drop_duplicates()

    def _read(self, text: bytes) -> pd.DataFrame:
        import pandas as pd

        if not self.path.exists():
            return pd.DataFrame(columns=list(self.columns or ()))
        try:
            return _frame_of(text, self.path, self.columns, self.unit_columns)
        except UserError as error:
            raise UserError(f"{error}; choose another --out") from error


class Row(NamedTuple):
    """One result of one model at one seed. ``setting`` is what the metric was taken at (images a class, epsilon,
    pathway, check), ``note`` what a number cannot say (the winning law, pass or warn)."""

    model: str
    readout: str
    seed: int
    metric: str
    setting: str
    value: float
    note: str


class ModelLedger(Ledger):
    """``results.csv`` and ``configuration.json`` of one experiment in one folder; a unit is one model at one seed."""

    unit_columns = ("model", "seed")
    columns = get_type_hints(Row)

    def __init__(self, folder: Path, configuration: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        super().__init__(folder / "results.csv", configuration, environment, folder / "configuration.json")

    @property
    def rows(self) -> list[Row]:
        return [Row(*row) for row in self._frame.itertuples(index=False, name=None)]

    def add_rows(self, unit: Iterable[Row]) -> None:
        """Add all rows of one unit, on disk before this returns."""
        import pandas as pd

        self.add(pd.DataFrame(list(unit), columns=Row._fields))

    def check_parameters(self, made_of: Callable[[str, int], str], models: Container[str]) -> None:
        """Refuse to mix rows of ``models`` made of different parameters, which the note of the training time holds.

        Parameters
        ----------
        made_of : function of a model's name and a seed
            The parameters that it has now.
        models : names

        Raises
        ------
        UserError
        """
        for row in self.rows:
            if row.metric != "train_seconds" or row.model not in models:
                continue
            if row.note != (now := made_of(row.model, row.seed)):
                there, here = (set(note.replace("; ", ", ").split(", ")) for note in (row.note, now))
                raise UserError(
                    f"{self.path} holds {row.model} with other parameters ({', '.join(sorted(there - here))} there, "
                    f"{', '.join(sorted(here - there))} now): choose another --out, or delete it"
                )


class KeptResults(NamedTuple):
    """What a `ModelLedger` keeps."""

    frame: pd.DataFrame
    configuration: Mapping[str, Any]
    environments: list[Mapping[str, Any]]


def kept_results(folder: Path) -> KeptResults:
    """What a `ModelLedger` keeps in a folder, in which nothing is changed.

    Raises
    ------
    UserError
        The folder holds no results, or files that cannot be read.
    OSError
    """
    path = folder / "results.csv"
    if missing := [file for file in (path, folder / "configuration.json") if not file.is_file()]:
        raise UserError(f"{folder} holds no results: there is no {missing[0].name}")
    return KeptResults(kept_rows(path), *read_configuration(folder / "configuration.json"))


def kept_rows(path: Path) -> pd.DataFrame:
    """The rows of a CSV that a `ModelLedger` has written, wherever it is now.

    Raises
    ------
    UserError
        It is no such file, or has no rows.
    OSError
    """
    frame = _frame_of(path.read_bytes(), path, ModelLedger.columns, ModelLedger.unit_columns)
    if frame.empty:
        raise UserError(f"{path} has no rows: nothing is finished yet")
    return frame


def _frame_of(text: bytes, path: Path, columns: Mapping[str, type] | None, unit_columns: Sequence[str]) -> pd.DataFrame:
    """The rows in ``text``, which is that of ``path``, every digit as it is written."""
    import pandas as pd

    exact: Any = {"float_precision": "round_trip"}
    if columns is not None:  # a setting may look like a number, a note like a missing value
        missing = {name: ["nan"] for name, kind in columns.items() if kind is float}
        exact |= {"dtype": dict(columns), "keep_default_na": False, "na_values": missing}
    try:
        frame = pd.read_csv(io.BytesIO(text), **exact)
        if lacking := [name for name in columns or unit_columns if name not in frame]:
            raise ValueError(f"no column {lacking[0]!r}")
    except ValueError as error:  # pandas' own errors derive from it
        raise UserError(f"{path} is not a table of results ({error})") from error
    return frame


def write_table(frame: pd.DataFrame, path: Path) -> Path:
    """A table as CSV, whole or not at all."""
    write_atomically(path, _csv(frame))
    return path


def _csv(frame: pd.DataFrame, header: bool = True) -> str:
    return frame.to_csv(index=False, na_rep="nan", header=header, lineterminator="\n")


@contextmanager
def folder_for_results(folder: Path) -> Iterator[None]:
    """Make the folder before any work is done; an OSError, here or in the block, names the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot keep results in {folder}: {error.strerror or error}") from error
