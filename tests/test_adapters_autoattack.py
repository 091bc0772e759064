"""AutoAttack (the authors' code, packaged as pyautoattack) on our models."""

import pickle

import numpy as np
import pytest
from adapter_models import EPSILON, Bordered, assert_agree, victims

from bioneuro.adapters import to_torch
from bioneuro.attacks import APGD, Square

torch = pytest.importorskip("torch")
pyautoattack = pytest.importorskip("pyautoattack")


def autoattack(model, attacks, epsilon, norm="Linf", n_steps=20, n_queries=20):
    """AutoAttack with fewer steps than its own; attacks "standard" or a list of names."""
    chosen = dict(version="standard") if attacks == "standard" else dict(version="custom", attacks=attacks)
    attack = pyautoattack.AutoAttack(to_torch(model), norm=norm, eps=epsilon, seed=0, **chosen)
    for part in (attack.apgd, attack.apgd_targeted, attack.fab):
        part.n_iter, part.n_restarts = n_steps, 1
    attack.square.n_queries = n_queries
    return attack


def attacked(name, n, attacks, epsilon, **options):
    """Model, X and y it gets right, and the images that AutoAttack returns."""
    model, X, y, images, true = victims(name, n)
    attack = autoattack(model, attacks, epsilon, **options)
    found, _ = attack.run_standard_evaluation(torch.tensor(images), torch.tensor(true))
    return model, X, y, found.numpy()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_the_standard_version_runs(norm):
    before = pickle.dumps(victims("bio", 10)[0])
    epsilon = {"Linf": 0.1, "L2": 0.5}[norm]
    model, X, y, found = attacked("bio", 10, "standard", epsilon, norm=norm, n_steps=5)
    assert found.shape == (len(X), 1, 8, 8) and found.min() >= 0 and found.max() <= 1
    delta = (found.reshape(X.shape) - X).astype(float)
    length = np.abs(delta).max(axis=1) if norm == "Linf" else np.linalg.norm(delta, axis=1)
    assert length.max() <= epsilon + 1e-5
    assert 0 < (model.predict(found.reshape(X.shape)) != y).mean() <= 1
    assert pickle.dumps(model) == before


@pytest.mark.parametrize("attack", ["fab", "fab-t"])
def test_fab_finds_small_perturbations(attack):
    model, X, y, found = attacked("mlp", 20, [attack], 0.2)
    assert (model.predict(found.reshape(X.shape)) != y).mean() > 0.7


@pytest.mark.parametrize("name", ["bio", "mlp"])
def test_square_breaks_as_many(name):
    model, X, y, images, true = victims(name, 100)
    bordered = Bordered(model)
    attack = autoattack(bordered, ["square"], EPSILON[name], n_queries=400)
    attack.square.rescale_schedule = True  # as in the paper, and as ours
    found, _ = attack.run_standard_evaluation(torch.tensor(bordered.border(images)), torch.tensor(true))
    ours = Square(n_queries=400)(model, X, y, EPSILON[name])
    assert_agree(ours.success[0], bordered.predict(found.numpy().reshape(len(X), -1)) != y)


@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_apgd_breaks_as_many(norm, loss):
    epsilon = {"Linf": EPSILON["mlp"], "L2": 0.4}[norm]
    model, X, y, found = attacked("mlp", 150, [f"apgd-{loss}"], epsilon, norm=norm)
    ours = APGD(n_steps=20, loss=loss, norm=norm.lower())(model, X, y, epsilon)
    assert_agree(ours.success[0], model.predict(found.reshape(X.shape)) != y)


@pytest.mark.parametrize("attack", ["apgd-dlr", "apgd-t"])
def test_apgd_breaks_as_many_of_ours(attack):
    model, X, y, found = attacked("bio", 60, [attack], EPSILON["bio"])
    ours = APGD(n_steps=20, loss="dlr", n_target_classes=9 if attack == "apgd-t" else 0, space="input")
    assert_agree(ours(model, X, y, EPSILON["bio"]).success[0], model.predict(found.reshape(X.shape)) != y)
