"""A table of results that grows by whole units, so that an interrupted run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import UserError
from .configuration import keep_configuration
from .output import folder_for_results, write_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GrowingTable"]

#: The column that says which unit a row is of.
UNIT = "unit"


class GrowingTable:
    """``<path>.csv`` with the rows of finished units, and ``<path>.json`` with what they depend on.

    Unlike a `Ledger` it has the columns of whatever it is given.

    Parameters
    ----------
    path : Path
        Without an ending; its folder is made.
    configuration, environment : dict
        See :func:`keep_configuration`.

    Raises
    ------
    UserError
        The folder cannot be used, or holds results of another configuration.
    """

    def __init__(self, path: Path, configuration: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        self.path = path.with_name(path.name + ".csv")
        with folder_for_results(path.parent):
            self._frame = self._read()
            kept = self.path if self._frame is not None else None
            keep_configuration(path.with_name(path.name + ".json"), configuration, environment, kept)

    def complete(
        self,
        compute: Callable[..., pd.DataFrame],
        units: Sequence[tuple[Any, ...]],
        *,
        n_jobs: int | None = 1,
        description: str = "",
        progress: bool = True,
    ) -> pd.DataFrame:
        """All rows of these units: ``compute(*unit)`` of those that are missing, on disk as soon as it is there.

        Parameters
        ----------
        compute : function
        units : sequence of tuple
        n_jobs : int or None
            Processes that share the units (joblib).
        description : str
        progress : bool
            A bar over the units, on a terminal.
        """
        from joblib import Parallel, delayed
        from tqdm.auto import tqdm

        names = [" ".join(map(str, unit)) for unit in units]
        finished = set() if self._frame is None else set(self._frame[UNIT])
        missing = [(name, unit) for name, unit in zip(names, units, strict=True) if name not in finished]
        found = Parallel(n_jobs, return_as="generator")(delayed(compute)(*unit) for _, unit in missing)
        bar = tqdm(total=len(units), initial=len(units) - len(missing), desc=description, unit="unit", leave=False,
                   disable=None if progress else True)  # fmt: skip
        with bar:
            for (name, _), rows in zip(missing, found, strict=True):
                self._add(rows.assign(**{UNIT: name}))
                bar.update()
        assert self._frame is not None
        order = {name: i for i, name in enumerate(names)}
        rows = self._frame[self._frame[UNIT].isin(order)]
        return rows.sort_values(UNIT, key=lambda unit: unit.map(order), kind="stable", ignore_index=True)

    def _add(self, rows: pd.DataFrame) -> None:
        import pandas as pd

        frame = rows if self._frame is None else pd.concat([self._frame, rows], ignore_index=True)
        write_frame(frame, self.path)
        self._frame = frame

    def _read(self) -> pd.DataFrame | None:
        import pandas as pd

        if not self.path.exists():
            return None
        try:
            frame = pd.read_csv(self.path, engine="python")  # whose numbers are exact
        except ValueError as error:  # pandas' own errors are such
            raise UserError(f"{self.path} is not a table of results ({error}); choose another --out") from error
        if UNIT not in frame:
            raise UserError(f"{self.path} is not a table of results (no column {UNIT!r}); choose another --out")
        return frame
