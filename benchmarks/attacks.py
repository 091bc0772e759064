"""Attacks on an MLP, against Foolbox's and AutoAttack's on the same weights in torch.

Ours run on the MLP as it is in the library, dense weights on the sparse kernels; theirs on ``torch.nn.Linear``. Each is
called as a user calls it, bookkeeping and the final check of what succeeded included.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.harness import OURS, Case
from bioneuro.attacks import APGD, FGSM, PGD, Attack, Square
from bioneuro.baselines import BackpropMLP
from bioneuro.datasets import load

#: Budgets at which PGD breaks about half of the images: what stops early has something to stop for, and to go on for.
EPSILON = {"linf": 0.06, "l2": 0.9}
STEPS, QUERIES = 40, 200


def cases(
    tiny: bool = False, *, quick: bool = False, dtype: str = "float32", threads: int | None = None
) -> Iterator[Case]:
    """784-512-10 on enlarged digits."""
    threads = threads or peers.default_threads()
    torch_peer = [] if peers.Torch.missing() else [peers.Torch]
    peers.set_threads(threads, [peers.Dense, *torch_peer])
    n, hidden = (8, 16) if tiny else (256, 512)
    steps, queries = (2, 4) if tiny else (STEPS, QUERIES)
    model, X, y = victim(n, hidden, dtype, threads)
    rivals = foreign_attacks(model, X, y, steps, queries)
    attacks: dict[str, tuple[Attack, int]] = {
        "FGSM": (FGSM(), 1),
        "PGD": (PGD(n_steps=steps, early_stop=False), steps),
        "PGD, stops early": (PGD(n_steps=steps), steps),
        "PGD, L2": (PGD(n_steps=steps, early_stop=False, norm="l2"), steps),
        "APGD-CE": (APGD(n_steps=steps), steps),
        "APGD-DLR": (APGD(n_steps=steps, loss="dlr"), steps),
        "Square": (Square(n_queries=queries), queries),
    }
    for name, (attack, evaluations) in list(attacks.items())[: 3 if quick else None]:

        def ours(attack: Attack = attack) -> object:
            return attack(model, X, y, EPSILON[attack.norm])

        size = f"784-{hidden}-10, {len(X)} images, {evaluations} steps"
        calls = {OURS: ours} | rivals.get(name, {})
        facts = dict(dtype=dtype, threads=threads, norm=attack.norm, n_steps=evaluations)
        yield Case(f"attack: {name}", size, len(X) * evaluations, "M/s", calls, facts)


def victim(n: int, hidden: int, dtype: Any, threads: int) -> tuple[BackpropMLP, NDArray, NDArray]:
    """An MLP that learned digits at 28 x 28 pixels, and at most n test images that it gets right."""
    data = load("digits")
    X_train, X_test = (enlarged(X).astype(dtype) for X in (data.X_train, data.X_test))
    model = BackpropMLP((hidden,), n_epochs=10, random_state=0, dtype=dtype, n_threads=threads)
    model.fit(X_train, data.y_train)
    right = np.flatnonzero(model.predict(X_test) == data.y_test)[:n]
    return model, X_test[right], data.y_test[right]


def enlarged(X: NDArray) -> NDArray:
    """8 x 8 images, each pixel three times as wide and high, with a black border: 28 x 28."""
    images = X.reshape(-1, 8, 8).repeat(3, axis=1).repeat(3, axis=2)
    return np.pad(images, ((0, 0), (2, 2), (2, 2))).reshape(len(X), 784)


def foreign_attacks(
    model: BackpropMLP, X: NDArray, y: NDArray, steps: int, queries: int
) -> dict[str, dict[str, Callable[[], object]]]:
    """What the libraries that are installed have to offer for each of ours: calls by library."""
    if not importlib.util.find_spec("torch"):
        return {}
    import torch

    network = in_torch(model)
    images, true = torch.from_numpy(X.reshape(-1, 1, 28, 28)), torch.from_numpy(np.searchsorted(model.classes_, y))
    calls: dict[str, dict[str, Callable[[], object]]] = {}
    if importlib.util.find_spec("foolbox"):
        import foolbox

        adapted = foolbox.PyTorchModel(network, bounds=(0, 1), device="cpu")

        def run(attack: Any, norm: str) -> Callable[[], object]:
            return lambda: attack(adapted, images, true, epsilons=EPSILON[norm])

        schedule: dict[str, Any] = dict(steps=steps, rel_stepsize=2.5 / steps)
        calls["FGSM"] = {"Foolbox": run(foolbox.attacks.FGSM(random_start=False), "linf")}
        calls["PGD"] = calls["PGD, stops early"] = {"Foolbox": run(foolbox.attacks.LinfPGD(**schedule), "linf")}
        calls["PGD, L2"] = {"Foolbox": run(foolbox.attacks.L2PGD(**schedule), "l2")}
    if importlib.util.find_spec("pyautoattack"):
        from pyautoattack.autopgd_base import APGDAttack
        from pyautoattack.square import SquareAttack

        options = dict(eps=EPSILON["linf"], seed=0, device="cpu", verbose=False)
        for loss in ("ce", "dlr"):
            apgd = APGDAttack(network, n_iter=steps, n_restarts=1, loss=loss, **options)
            calls[f"APGD-{loss.upper()}"] = {"AutoAttack": partial(apgd.perturb, images, true)}
        square = SquareAttack(network, n_queries=queries, **options)
        calls["Square"] = {"AutoAttack": partial(square.perturb, images, true)}
    return calls


def in_torch(model: BackpropMLP) -> Any:
    """The same network as torch layers, which agree with it on what it computes."""
    import torch

    layers: list[torch.nn.Module] = [torch.nn.Flatten()]
    for W, bias in zip(model.pathways_, model.biases_, strict=True):
        layer = torch.nn.Linear(W.shape[1], W.shape[0], dtype=getattr(torch, W.dtype.name))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(W.to_scipy().toarray()))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1]).eval().requires_grad_(False)
