"""History of our times over commits: ``asv run`` and ``asv publish``. The cases are the report's, without peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from benchmarks import linear, memory, plasticity, training
from benchmarks.harness import OURS, Case

SIZES = {
    f"{n_post} x {n_pre}, {density:.0%}, batch {batch}": (n_post, n_pre, density, batch)
    for n_post, n_pre, density, batch in linear.QUICK
}


def pick(cases: Iterable[Case], operation: str) -> Callable[[], object]:
    """Our call for one operation, made once: what is kept between calls exists. asv leaves out what is not found."""
    for case in cases:
        if case.operation == operation:
            case.calls[OURS]()
            return case.calls[OURS]
    raise NotImplementedError(operation)


class Products:
    """The products of a layer."""

    params = (list(SIZES), ["forward", "input_grad", "weight_grad", "backward"])
    param_names = ["size", "operation"]

    def setup(self, size: str, operation: str) -> None:
        self.call = pick(linear.products(SIZES[size], names=()), operation)

    def time_product(self, size: str, operation: str) -> None:
        self.call()


class Plasticity:
    """The forms of the plasticity step."""

    params = (list(plasticity.FORMS),)
    param_names = ["form"]

    def setup(self, form: str) -> None:
        self.call = pick(plasticity.cases(), f"plasticity: {form}")

    def time_step(self, form: str) -> None:
        self.call()


class Training:
    """A whole step at the first of the quick densities."""

    params = (["gradient", "plasticity"],)
    param_names = ["rule"]

    def setup(self, rule: str) -> None:
        self.call = pick(training.cases(quick=True), f"training: {rule}")

    def time_step(self, rule: str) -> None:
        self.call()


class Memory:
    """Peak of one layer of a million synapses, after everything it can do."""

    unit = "bytes a synapse"

    def track_peak(self) -> float:
        return memory.table(quick=True).iloc[-1, -1]
