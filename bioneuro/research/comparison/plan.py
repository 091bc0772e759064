"""The plan of a comparison: sizes and budgets, by data set."""

from __future__ import annotations

from dataclasses import dataclass

from ... import datasets
from .. import UserError

__all__ = ["ComparisonPlan"]


@dataclass(frozen=True)
class ComparisonPlan:
    """Everything that the results depend on, besides the models and the number of seeds."""

    dataset: str
    n_train: int
    quick: bool
    epsilons: tuple[float, ...]
    pgd_steps: int
    n_attacked: int = 200
    shots: tuple[int, ...] = (1, 5, 10)
    n_audited: int = 50
    audit_queries: int = 500
    n_described: int = 100

    @property
    def audit_epsilon(self) -> float:
        """The largest budget: there attacks along a masked gradient fall furthest behind others."""
        return max(self.epsilons)

    @classmethod
    def for_dataset(
        cls, name: str, n_available: int, *, n_train: int | None, quick: bool, epsilons: tuple[float, ...] | None
    ) -> ComparisonPlan:
        """The plan of a data set with `n_available` training images; None takes its usual."""
        usual = datasets.USUAL[name]
        if n_train is None:
            n_train = min(usual.n_train_quick if quick else usual.n_train or n_available, n_available)
        if n_train > n_available:
            raise UserError(f"--n-train {n_train} is more than the {n_available} training images of {name}")
        epsilons = tuple(sorted(set(epsilons or usual.linf_compared)))
        if quick:
            return cls(name, n_train, quick, epsilons, 5, n_attacked=100, n_audited=25, audit_queries=100)
        return cls(name, n_train, quick, epsilons, usual.pgd_steps)
