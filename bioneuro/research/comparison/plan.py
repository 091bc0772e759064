"""How much is done in a comparison, by data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .. import UserError

__all__ = ["DATASETS", "Plan"]


class Defaults(NamedTuple):
    """Of one data set; ``n_train`` None takes all training images.

    On digits 40 steps of PGD leave at most two points less than 10, and the audit compares with four times as many
    anyway.
    """

    n_train: int | None
    n_train_quick: int
    epsilons: tuple[float, ...]
    pgd_steps: int


DATASETS = {
    "digits": Defaults(None, 400, (0.05, 0.1, 0.2), 10),
    "mnist": Defaults(20_000, 2_000, (0.1, 0.2, 0.3), 20),
    "fashion-mnist": Defaults(20_000, 2_000, (0.05, 0.1), 20),
    "cifar10": Defaults(20_000, 2_000, (0.01, 0.03), 20),
}


@dataclass(frozen=True)
class Plan:
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
        """The largest, where attacks that follow a masked gradient fall furthest behind those that do not."""
        return max(self.epsilons)

    @classmethod
    def for_dataset(
        cls, name: str, n_available: int, *, n_train: int | None, quick: bool, epsilons: tuple[float, ...] | None
    ) -> Plan:
        """The plan of a data set with `n_available` training images; None takes its defaults."""
        defaults = DATASETS[name]
        if n_train is None:
            n_train = min(defaults.n_train_quick if quick else defaults.n_train or n_available, n_available)
        if n_train > n_available:
            raise UserError(f"--n-train {n_train} is more than the {n_available} training images of {name}")
        epsilons = tuple(sorted(set(epsilons or defaults.epsilons)))
        if quick:
            return cls(name, n_train, quick, epsilons, 5, n_attacked=100, n_audited=25, audit_queries=100)
        return cls(name, n_train, quick, epsilons, defaults.pgd_steps)
