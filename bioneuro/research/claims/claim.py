"""What a claim is: what to run, when the rows bear it out, and their figure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...datasets import Dataset
from .rows import Found
from .settings import Settings
from .verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: ``progress(items, desc)`` iterates over the items and may show how far it is.
Track = Callable[[Iterable[Any], str], Iterable[Any]]
#: Settings of a claim.
S = TypeVar("S", bound=Settings)


class Claim(ABC, Generic[S]):
    """One claim about the network: what to run, and when the rows bear it out.

    Class attributes: ``number`` ("C1"), ``title`` (three words at most), ``statement`` (one sentence), ``x_name``
    (what ``x`` of the rows is), ``small`` and ``full`` (:class:`Settings`).
    """

    number: str
    title: str
    statement: str
    x_name: str = ""
    small: S
    full: S

    @abstractmethod
    def run(self, data: Dataset, seed: int, settings: S, progress: Track) -> Iterator[Found]:
        """Everything measured at one seed."""

    @abstractmethod
    def verdict(self, frame: pd.DataFrame) -> Verdict:
        """What the rows of all seeds say (columns claim, condition, x, measure, value, seed, note)."""

    @abstractmethod
    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        """Draw the rows."""
