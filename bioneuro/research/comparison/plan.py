"""The plan of a comparison: sizes and budgets, by data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ... import datasets
from ..errors import UserError

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
    #: Of chosen rivals only: budgets in L2, queries of the black-box attack, parts of a stream of classes.
    epsilons_l2: tuple[float, ...] = ()
    attack_queries: int = 0
    n_stream_parts: int = 0

    @property
    def grand(self) -> bool:
        """Whether this is the plan of the grand table."""
        return self.n_stream_parts > 0

    @property
    def audit_epsilon(self) -> float:
        """The largest budget: there attacks along a masked gradient fall furthest behind others."""
        return max(self.epsilons)

    @classmethod
    def for_dataset(
        cls,
        name: str,
        n_available: int,
        *,
        n_train: int | None,
        quick: bool,
        epsilons: tuple[float, ...] | None,
        rivals: bool = False,
        n_attacked: int | None = None,
    ) -> ComparisonPlan:
        """The plan of a data set with `n_available` training images; None takes its usual.

        With `rivals` everything is measured that the grand table shows.
        """
        usual = datasets.USUAL[name]
        if n_train is None:
            n_train = min(usual.n_train_quick if quick else usual.n_train or n_available, n_available)
        if n_train > n_available:
            raise UserError(f"--n-train {n_train} is more than the {n_available} training images of {name}")
        epsilons = tuple(sorted(set(epsilons or usual.linf_compared)))
        plan = cls(name, n_train, quick, epsilons, usual.pgd_steps)
        if quick:
            plan = replace(plan, pgd_steps=5, n_attacked=100, n_audited=25, audit_queries=100)
        if rivals:
            plan = replace(plan, epsilons_l2=usual.l2, attack_queries=500, n_stream_parts=5)
        if rivals and quick:
            plan = replace(plan, epsilons_l2=usual.l2[1:2], attack_queries=100, shots=(5,), n_audited=15)
        return plan if n_attacked is None else replace(plan, n_attacked=n_attacked)

    @classmethod
    def of_record(cls, configuration: Mapping[str, Any]) -> ComparisonPlan | None:
        """The plan that a configuration in JSON types holds; None if it is that of something else."""
        names = {field.name for field in fields(cls)}
        if not (isinstance(configuration, dict) and names <= configuration.keys()):
            return None
        values: dict[str, Any] = {name: configuration[name] for name in names}
        values |= {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**values)
