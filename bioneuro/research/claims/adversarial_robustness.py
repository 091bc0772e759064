"""C4: do more images withstand attack than in networks trained by backpropagation, and what explains it?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from ... import analysis, attacks
from ...classifier import BioClassifier
from ...datasets import USUAL, Dataset
from ...plot import MARKERS
from ..differences import ALPHA, in_words
from ..robustness.contenders import CEILING, CONTENDERS, CONTROL, OURS, ROBUST, SOURCES, Contender, Task, contenders
from .claim import Claim, Track
from .rows import Found, curve_of, draw_mean, legend_beside, values_of
from .settings import SMALL, Images, Settings, split_images
from .verdict import NOT_SHOWN, STRONG, TOLERATED_LOSS, Verdict, weak

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: The network that is claimed to be robust, with its default readout.
NETWORK = "bioneuro"
ROBUST_ACCURACY, WARNINGS = "robust accuracy", "audit warnings"
#: The attacks that small settings run instead of a tier.
FEW_ATTACKS: dict[str, dict[str, Any]] = {
    "transfer:pgd-ce": {"n_steps": 5, "momentum": 1.0, "early_stop": False},
    "pgd-margin": {"n_steps": 5},
    "pgd-ce": {"n_steps": 5},
    "adaptive:pgd-margin": {"n_steps": 3},
    "square": {"n_queries": 20},
}


@dataclass(frozen=True)
class RobustnessSettings(Settings):
    """How hard the attacks try.

    Parameters
    ----------
    n_attacked, n_audited : int >= 1
        Test images.
    audit_steps, audit_queries : int >= 1
        See :func:`bioneuro.attacks.audit`.
    tier : {"quick", "full"} or None
        See :func:`bioneuro.attacks.worst_case`; None runs :data:`FEW_ATTACKS`.
    left_out : tuple of str
        Contenders that are not run.
    robust : dict
        Parameters that make our network robust on these images, found by :meth:`fitted_to`; part of what results
        depend on.
    """

    n_attacked: int = 200
    n_audited: int = 50
    audit_steps: int = 40
    audit_queries: int = 500
    tier: str | None = "quick"
    left_out: tuple[str, ...] = ()
    robust: dict[str, Any] = field(default_factory=dict)

    def fitted_to(self, data: Dataset, n_train: int | None = None) -> RobustnessSettings:
        fitted = super().fitted_to(data, n_train)
        assert isinstance(fitted, RobustnessSettings)
        return replace(fitted, robust=dict(ROBUST.get(data.name, {})))

    @property
    def effort(self) -> dict[str, Any]:
        """Arguments of :func:`bioneuro.attacks.worst_case` that say which attacks run."""
        return {"attacks": FEW_ATTACKS} if self.tier is None else {"tier": self.tier}

    def sized(self, network: Any) -> Any:
        """An unfitted network with the sizes and the length of training of these settings."""
        if isinstance(network, BioClassifier):
            seed = cast(int, network.random_state)  # whoever makes a contender gives it a seed
            return network.set_params(**self.network(seed) | self.robust)
        known = network.get_params()
        sizes = {"image_shape": self.image_shape, "n_epochs": self.mlp_epochs}
        return network.set_params(**{name: value for name, value in sizes.items() if name in known})


#: Few images and steps.
SMALL_ATTACK: dict[str, Any] = SMALL | {
    "n_attacked": 40,
    "n_audited": 5,
    "audit_steps": 3,
    "audit_queries": 10,
    "tier": None,
}


def budgets(data: Dataset, norm: str = "linf") -> tuple[float, ...]:
    """Attack budgets of the robustness table for these images."""
    return USUAL[data.name or "digits"].budgets(norm)


def besieged(
    condition: str,
    network: Any,
    test: Images,
    epsilons: tuple[float, ...],
    settings: RobustnessSettings,
    sources: Mapping[str, Any],
    seed: int,
) -> Iterator[Found]:
    """Accuracy, worst case at each budget, and what the audit of it says at the middle one."""
    yield Found(condition, "accuracy", network.score(*test))
    X, y = (part[: settings.n_attacked] for part in test)
    result = attacks.worst_case(network, X, y, epsilons, sources=sources, random_state=seed, **settings.effort)
    for epsilon, accuracy in zip(epsilons, result.robust_accuracy, strict=True):
        yield Found(condition, ROBUST_ACCURACY, float(accuracy), epsilon)
    n = settings.n_audited
    checks = attacks.audit(
        network,
        X[:n],
        y[:n],
        middle(epsilons),
        n_steps=settings.audit_steps,
        n_queries=settings.audit_queries,
        sources=sources,
    )
    warned = checks[checks["status"] == "warn"]
    told = "; ".join(f"{row.check} = {row.value:.3g}" for row in warned.itertuples())
    yield Found(condition, WARNINGS, len(warned), note=told)


def middle(epsilons: Any) -> float:
    """The middle budget; of an even number, the upper of the two."""
    return float(sorted(epsilons)[len(epsilons) // 2])


def warnings(frame: pd.DataFrame, condition: str) -> str:
    """Warnings that the audit of a network gave at any seed; "" if there were none."""
    rows = frame[(frame["condition"] == condition) & (frame["measure"] == WARNINGS) & (frame["value"] > 0)]
    return "; ".join(dict.fromkeys(rows.sort_values("seed")["note"]))


class AdversarialRobustness(Claim[RobustnessSettings]):
    """The contenders of ``bioneuro attack`` in few images: this network against each control without adversarial
    training."""

    number = "C4"
    title = "adversarial robustness"
    statement = (
        "Under the worst case of all attacks (Linf, the middle budget) more images stand than with the best network "
        "that has not been trained on adversarial images either, at an accuracy no more than 0.5 points lower."
    )
    x_name = "attack radius ε"
    small = RobustnessSettings(
        **SMALL_ATTACK,
        left_out=tuple(name for name, model in CONTENDERS.items() if model.needs or model.role == CEILING),
    )
    full = RobustnessSettings()

    def run(self, data: Dataset, seed: int, settings: RobustnessSettings, progress: Track) -> Iterator[Found]:
        train, _, test = split_images(data, settings, seed)
        epsilons = budgets(data)
        models = contenders(Task(data.name, max(epsilons)))
        fitted: dict[Any, Any] = {}

        def network(contender: Contender) -> Any:
            if contender.make not in fitted:
                fitted[contender.make] = settings.sized(contender.make(seed)).fit(*train)
            return contender.read(fitted[contender.make])

        names = [name for name in models if name not in settings.left_out]
        for name in progress(names, "models"):
            sources = {source: network(models[source]) for source in SOURCES if source in names and source != name}
            yield from besieged(name, network(models[name]), test, epsilons, settings, sources, seed)

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        at = middle(frame["x"].dropna().unique())
        ours = values_of(frame, NETWORK, ROBUST_ACCURACY, at)
        controls = [name for name in frame["condition"].unique() if CONTENDERS[name].role == CONTROL]
        standing = {name: values_of(frame, name, ROBUST_ACCURACY, at) for name in controls}
        found = {name: analysis.paired_difference(ours, values) for name, values in standing.items()}
        p = dict(zip(found, analysis.holm([d.p_value for d in found.values()]), strict=True))
        unbeaten = [name for name in controls if not (found[name].mean > 0 and p[name] <= ALPHA)]
        best = max(controls, key=lambda name: standing[name].mean())
        lost = values_of(frame, best, "accuracy").mean() - values_of(frame, NETWORK, "accuracy").mean()
        matched = lost <= TOLERATED_LOSS
        doubt = warnings(frame, NETWORK)

        if doubt or any(not CONTENDERS[name].premise for name in unbeaten):
            form = NOT_SHOWN
        elif unbeaten:
            form = weak(" and ".join(dict.fromkeys(CONTENDERS[name].premise for name in unbeaten)))
        else:
            form = STRONG
        against = [f"minus {name}: {in_words(d, unit=' points', p=p[name])}" for name, d in found.items()]
        note = "\n".join(
            [
                f"At ε = {at:g}, best control: {best}; accuracy without attack "
                f"{100 * abs(lost):.1f} points {'below' if lost > 0 else 'above'} it"
                f"{'' if matched else ': NOT MATCHED'}.",
                *against,
                self._standing(frame, at),
                f"The audit WARNS, so that the figures are upper bounds: {doubt}" if doubt else "The audit passes.",
            ]
        )
        unit = f"images that stand at ε = {at:g}, this network minus the best control (share)"
        return Verdict.of(ours - standing[best], form, form != NOT_SHOWN and matched, unit, note)

    @staticmethod
    def _standing(frame: pd.DataFrame, at: float) -> str:
        def figures(name: str) -> str:
            clean, robust = (
                100 * values_of(frame, name, measure, x).mean()
                for measure, x in (("accuracy", None), (ROBUST_ACCURACY, at))
            )
            bound = "≤ " if warnings(frame, name) else ""
            trained = " (the ceiling)" if CONTENDERS[name].role == CEILING else ""
            return f"{name}{trained} {clean:.1f} / {bound}{robust:.1f}"

        return "Accuracy clean / attacked, %: " + "; ".join(figures(name) for name in frame["condition"].unique())

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        styles = {OURS: "-", CONTROL: "--", CEILING: ":"}
        for i, name in enumerate(frame["condition"].unique()):
            bound = "≤ " if warnings(frame, name) else ""
            draw_mean(
                ax,
                curve_of(frame, name, ROBUST_ACCURACY),
                marker=MARKERS[i % len(MARKERS)],
                linestyle=styles[CONTENDERS[name].role],
                label=bound + name,
            )
        ax.set(xlabel=self.x_name, ylabel="accuracy under attack", ylim=(0, 1.02))
        tested = sorted(frame["x"].dropna().unique())
        ax.set_xticks(tested, labels=[f"{epsilon:g}" for epsilon in tested])
        legend_beside(ax)
        return ax
