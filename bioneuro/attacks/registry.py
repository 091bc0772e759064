"""Attacks by name, and the tiers of them that `worst_case` runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from ..checks import Choice, check
from ..protocols import Classifier, WhiteBox
from ..spelling import spelled
from .adaptive import Adaptive, offered_surrogates
from .apgd import APGD
from .base import Attack
from .decision import CGBA, RayS
from .ensemble import Ensemble
from .few_pixels import FewPixels
from .frank_wolfe import FrankWolfe
from .gradient import BIM, FGSM, PGD
from .noise import GaussianNoise, SaltAndPepper, UniformNoise
from .norms import NORMS
from .sparse_rs import SparseRS
from .square import Square
from .transfer import Transfer

#: What `bioneuro.attacks` offers of this: every attack that there is.
__all__ = [
    "APGD",
    "ATTACKS",
    "BIM",
    "CGBA",
    "FGSM",
    "PGD",
    "TIERS",
    "Adaptive",
    "Ensemble",
    "FewPixels",
    "FrankWolfe",
    "GaussianNoise",
    "RayS",
    "SaltAndPepper",
    "SparseRS",
    "Square",
    "Transfer",
    "UniformNoise",
]

#: Attacks by name, each called with ``norm=`` and ``random_state=``: cheap and strong ones first.
ATTACKS: dict[str, Callable[..., Attack]] = {
    "fgsm": FGSM,
    "pgd-margin": partial(PGD, loss="margin"),
    "pgd-ce": partial(PGD, loss="ce"),
    "bim": BIM,
    "apgd-ce": APGD,
    "apgd-dlr": partial(APGD, loss="dlr"),
    "apgd-t": partial(APGD, loss="dlr", n_target_classes=9),
    "frank-wolfe": FrankWolfe,
    "frank-wolfe-margin": partial(FrankWolfe, loss="margin"),
    "frank-wolfe-t": partial(FrankWolfe, loss="margin", n_target_classes=9),
    "uniform-noise": UniformNoise,
    "gaussian-noise": GaussianNoise,
    "salt-and-pepper": SaltAndPepper,
    "square": Square,
    "rays": RayS,
    "cgba": CGBA,
    "few-pixels": FewPixels,
    "sparse-rs": SparseRS,
}
_attack: Any
for _attack in {Adaptive, Ensemble, Transfer, *(getattr(make, "func", make) for make in ATTACKS.values())}:
    spelled(_attack)

#: Before the name of an attack: run it through every surrogate that the model offers; craft it on every source.
ADAPTIVE, TRANSFER = "adaptive:", "transfer:"

#: Parameters of PGD with which images transfer well.
FOR_TRANSFER: dict[str, Any] = {"momentum": 1.0, "early_stop": False}

#: What each tier runs, in this order, and with which parameters; attacks that do not know the norm are left out.
TIERS: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {
        "fgsm": {},
        "uniform-noise": {},
        "gaussian-noise": {},
        "salt-and-pepper": {},
        "transfer:pgd-ce": FOR_TRANSFER,
        "frank-wolfe": {"n_steps": 20, "n_restarts": 5},
        "frank-wolfe-margin": {"n_steps": 20, "n_restarts": 3},
        "pgd-margin": {"n_steps": 30},
        "apgd-ce": {"n_steps": 30},
        "adaptive:frank-wolfe-margin": {"n_steps": 20, "n_restarts": 2},
        "adaptive:pgd-margin": {"n_steps": 30},
        "apgd-t": {"n_steps": 20, "n_target_classes": 3},
        "square": {"n_queries": 500},
        "rays": {"n_queries": 300},
        "cgba": {"n_queries": 500},
        "few-pixels": {"n_queries": 500},
        "sparse-rs": {"n_queries": 1000},
    },
    "full": {
        "fgsm": {},
        "uniform-noise": {},
        "gaussian-noise": {},
        "salt-and-pepper": {},
        "transfer:pgd-ce": FOR_TRANSFER,
        "transfer:apgd-dlr": {},
        "frank-wolfe": {"n_restarts": 10},
        "frank-wolfe-margin": {"n_restarts": 10},
        "frank-wolfe-t": {},
        "pgd-margin": {"n_steps": 100, "n_restarts": 5},
        "pgd-ce": {"n_steps": 100, "n_restarts": 2},
        "apgd-ce": {"n_steps": 100},
        "apgd-dlr": {"n_steps": 100},
        "adaptive:frank-wolfe": {"n_restarts": 3},
        "adaptive:frank-wolfe-margin": {"n_restarts": 3},
        "adaptive:pgd-margin": {"n_steps": 100},
        "adaptive:apgd-ce": {"n_steps": 100},
        "apgd-t": {"n_steps": 100},
        "square": {"n_queries": 5000},
        "rays": {"n_queries": 2000},
        "cgba": {"n_queries": 5000},
        "few-pixels": {"n_queries": 5000},
        "sparse-rs": {"n_queries": 10_000},
    },
}


class NamedAttack(NamedTuple):
    """One attack of a worst case, and the name that results give it."""

    name: str
    attack: Attack


def tier_attacks(tier: str, norm: str) -> dict[str, dict[str, Any]]:
    """Names and parameters of the attacks of a tier that know the norm."""
    check("tier", tier, Choice(TIERS))
    return {name: params for name, params in TIERS[tier].items() if norm in _norms(name)}


def named_attacks(
    model: Classifier,
    attacks: Sequence[str | Attack] | Mapping[str, Mapping[str, Any]],
    norm: str,
    sources: Sequence[WhiteBox] | Mapping[str, WhiteBox],
    random_state: int,
) -> list[NamedAttack]:
    """The attacks to run, made and named, in the order asked for.

    Parameters
    ----------
    model : Classifier
        What surrogates it offers decides what ``"adaptive:..."`` stands for.
    attacks : sequence of names or Attack objects, or dict name -> parameters
    norm : str
    sources : sequence or dict of models
        If no name starts with ``"transfer:"``, PGD with momentum is crafted on each at the end.
    random_state : int
        An attack's seed depends on this and on its name in the results, not on what else is run.

    Raises
    ------
    ValueError
        Unknown norm or name, or an Attack of another norm.
    """
    check("norm", norm, Choice(NORMS))
    named = dict(sources) if isinstance(sources, Mapping) else {f"source {i}": m for i, m in enumerate(sources)}
    parameters = attacks if isinstance(attacks, Mapping) else {}
    asked = list(attacks)
    transfers = any(isinstance(attack, str) and attack.startswith(TRANSFER) for attack in asked)
    if named and not transfers:
        asked.append("transfer:pgd-ce")
        parameters = {**parameters, "transfer:pgd-ce": FOR_TRANSFER}
    found: list[NamedAttack] = []
    for attack in asked:
        if isinstance(attack, str):
            found += _made(model, attack, dict(parameters.get(attack, {})), norm, named, random_state)
        elif not isinstance(attack, Attack):
            raise TypeError(f"attacks must be names or Attack objects, got {attack!r}")
        elif attack.norm != norm:
            raise ValueError(f"{type(attack).__name__} is for norm {attack.norm!r}, worst_case was asked for {norm!r}")
        else:
            found.append(NamedAttack(type(attack).__name__, attack))
    return _unique(found)


def _made(
    model: Classifier,
    name: str,
    parameters: dict[str, Any],
    norm: str,
    sources: Mapping[str, WhiteBox],
    random_state: int,
) -> Iterator[NamedAttack]:
    """The attacks that one name stands for."""
    make, plain = _maker(name)

    def attack(called: str) -> Attack:
        digest = blake2b(f"{random_state} {called}".encode(), digest_size=4).digest()
        return make(norm=norm, random_state=int.from_bytes(digest, "little"), **parameters)

    if name.startswith(ADAPTIVE):
        for surrogate in offered_surrogates(model):
            called = f"{plain} by {surrogate}"
            yield NamedAttack(called, Adaptive(attack(called), surrogate))
    elif name.startswith(TRANSFER):
        for source, source_model in sources.items():
            called = f"{plain} from {source}"
            yield NamedAttack(called, Transfer(source_model, attack(called)))
    else:
        yield NamedAttack(name, attack(name))


def _maker(name: str) -> tuple[Callable[..., Attack], str]:
    plain = name.removeprefix(ADAPTIVE).removeprefix(TRANSFER)
    if plain not in ATTACKS:
        raise ValueError(
            f"unknown attack {name!r}; choose from {', '.join(ATTACKS)}, or one of these after {ADAPTIVE!r} or "
            f"{TRANSFER!r}"
        )
    return ATTACKS[plain], plain


def _norms(name: str) -> tuple[str, ...]:
    make: Any = _maker(name)[0]
    return getattr(make, "func", make).norms


def _unique(found: list[NamedAttack]) -> list[NamedAttack]:
    """Names numbered where they repeat, as those of objects do."""
    names = [attack.name for attack in found]
    return [
        NamedAttack(f"{name} {names[:i].count(name) + 1}" if names.count(name) > 1 else name, found[i].attack)
        for i, name in enumerate(names)
    ]
