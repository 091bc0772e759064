"""Foolbox on our models: its attacks run, and agree with ours."""

import pickle

import numpy as np
import pytest
from adapter_models import EPSILON, BlackBox, assert_agree, victims
from attack_models import Linear

from bioneuro.adapters import FoolboxAttack, to_foolbox
from bioneuro.attacks import FGSM, PGD, Targeted, worst_case

torch = pytest.importorskip("torch")
foolbox = pytest.importorskip("foolbox")


def attacked(attack, name, n=150, model=None, **bounds):
    """The model, X and y it gets right, and what the attack makes of them: images and whether they succeed."""
    fitted, X, y, images, true = victims(name, n)
    adapted = to_foolbox(model or fitted, **bounds)
    torch.manual_seed(0)
    _, images, success = attack(adapted, torch.tensor(images), torch.tensor(true), epsilons=EPSILON[name])
    return fitted, X, y, images.numpy(), success.numpy()


@pytest.mark.parametrize("name", ["bio", "mlp"])
def test_fgsm_is_the_same_image_by_image(name):
    model, X, y, theirs, success = attacked(foolbox.attacks.FGSM(random_start=False), name)
    ours = FGSM(space="input")(model, X, y, EPSILON[name])
    same = np.isclose(theirs.reshape(X.shape), ours.adversarial[0], atol=1e-6)
    assert same.mean() > 0.999  # the sign of a gradient near 0 is a matter of rounding
    assert 0.1 < success.mean() < 0.9
    assert (success == ours.success[0]).mean() > 0.98


@pytest.mark.parametrize("name", ["bio", "mlp"])
def test_pgd_breaks_as_many(name):
    attack = foolbox.attacks.LinfPGD(rel_stepsize=2.5 / 20, steps=20)
    model, X, y, _, success = attacked(attack, name)
    ours = PGD(n_steps=20, space="input")(model, X, y, EPSILON[name])
    assert_agree(ours.success[0], success)


def test_the_response_space_breaks_at_least_as_many():
    model, X, y, _, success = attacked(foolbox.attacks.LinfPGD(rel_stepsize=2.5 / 20, steps=20), "bio")
    assert PGD(n_steps=20)(model, X, y, EPSILON["bio"]).success.mean() >= success.mean() - 0.02


def test_l2_pgd_breaks_as_many():
    model, X, y, images, true = victims("mlp")
    torch.manual_seed(0)
    attack = foolbox.attacks.L2PGD(rel_stepsize=2.5 / 20, steps=20)
    *_, success = attack(to_foolbox(model), torch.tensor(images), torch.tensor(true), epsilons=0.5)
    assert_agree(PGD(n_steps=20, norm="l2")(model, X, y, 0.5).success[0], success.numpy())


@pytest.mark.parametrize(
    "attack",
    [
        foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=2, steps=15),
        foolbox.attacks.LinfDeepFoolAttack(steps=10),
        foolbox.attacks.EADAttack(binary_search_steps=2, steps=15),
        foolbox.attacks.DDNAttack(steps=15),
        foolbox.attacks.LInfFMNAttack(steps=15),
        foolbox.attacks.NewtonFoolAttack(steps=10),
        foolbox.attacks.HopSkipJumpAttack(steps=2, max_gradient_eval_steps=20, initial_gradient_eval_steps=10),
        foolbox.attacks.BoundaryAttack(steps=30),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_attacks_run(attack):
    model, X, y, images, true = victims("bio", 8)
    before = pickle.dumps(model)
    torch.manual_seed(0)
    found, *_ = attack(to_foolbox(model), torch.tensor(images), torch.tensor(true), epsilons=None)
    found = found.numpy()
    assert found.shape == images.shape and found.min() >= 0 and found.max() <= 1
    assert (model.predict(found.reshape(X.shape)) != y).mean() > 0.5
    assert pickle.dumps(model) == before


def test_bounds_are_the_range_of_the_images():
    model, X, y, images, true = victims("mlp", 20)
    attack = foolbox.attacks.FGSM(random_start=False)
    _, expected, _ = attack(to_foolbox(model), torch.tensor(images), torch.tensor(true), epsilons=0.08)
    bytes_, expected = torch.tensor(images * 255), 255 * expected
    _, found, _ = attack(to_foolbox(model, bounds=(0, 255)), bytes_, torch.tensor(true), epsilons=0.08 * 255)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-5)
    with pytest.raises(ValueError, match=r"bounds must be \(lowest, highest\), got \(1, 0\)"):
        to_foolbox(model, bounds=(1, 0))


def test_decision_attacks_need_no_gradient_and_gradient_attacks_say_so():
    model, *_ = victims("mlp", 1)
    attacked(foolbox.attacks.LinfAdditiveUniformNoiseAttack(), "mlp", 5, BlackBox(model))
    with pytest.raises(TypeError, match="choose attacks that need no gradients"):
        attacked(foolbox.attacks.FGSM(), "mlp", 5, BlackBox(model))


# --- as one of our attacks


def test_an_attack_of_foolbox_counts_as_ours_do():
    epsilon = EPSILON["mlp"]
    model, X, y, found, success = attacked(foolbox.attacks.FGSM(random_start=False), "mlp")
    result = FoolboxAttack("FGSM", {"random_start": False})(model, X, y, [0.0, epsilon])
    np.testing.assert_array_equal(result.success[1], success)
    np.testing.assert_allclose(result.adversarial[1], found.reshape(X.shape), atol=1e-6)
    assert not result.success[0].any() and result.distance[1].max() <= epsilon + 1e-6


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("L2CarliniWagnerAttack", {"steps": 30, "binary_search_steps": 3}),
        ("EADAttack", {"steps": 30, "binary_search_steps": 3}),  # seeks the smallest in L1
        ("LinearSearchBlendedUniformNoiseAttack", {"steps": 10}),  # works in the norm it is given
    ],
)
def test_smallest_perturbations_count_inside_the_ball(name, parameters):
    model, X, y, *_ = victims("mlp", 40)
    attack = FoolboxAttack(name, parameters, norm="l2", random_state=1)
    result, again = (attack(model, X, y, [0.2, 0.8, 8.0]) for _ in range(2))
    assert (result.distance <= np.array([[0.2], [0.8], [8.0]]) + 1e-6).all()
    assert result.robust_accuracy[0] > result.robust_accuracy[-1]
    np.testing.assert_array_equal(result.adversarial, again.adversarial)


def test_it_joins_the_worst_case_and_takes_targets():
    model, X, y, *_ = victims("mlp", 40)
    deepfool = FoolboxAttack("LinfDeepFoolAttack", {"steps": 10})
    alone = deepfool(model, X, y, 0.05)
    joined = worst_case(model, X, y, 0.05, attacks=["fgsm", deepfool])
    assert (joined.success | ~alone.success).all()
    goal = model.classes_[(np.searchsorted(model.classes_, y) + 1) % 10]
    targeted = FoolboxAttack("LinfPGD", {"steps": 20})(model, X, y, 0.5, criterion=Targeted(goal))
    np.testing.assert_array_equal(model.predict(targeted.adversarial[0]) == goal, targeted.success[0])
    assert targeted.success.mean() > 0.5


def test_colour_images_go_there_and_back():
    model = Linear(np.random.default_rng(0).normal(size=(3, 24)))
    model.image_shape_ = (4, 2, 3)
    X = np.random.default_rng(1).uniform(0.3, 0.7, (20, 24))
    y = model.predict(X)
    ours = FGSM()(model, X, y, 0.02)
    theirs = FoolboxAttack("FGSM", {"random_start": False})(model, X, y, 0.02)
    np.testing.assert_allclose(theirs.adversarial, ours.adversarial, atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(name="Quantum"), "name must be that of a class in foolbox.attacks, got 'Quantum'"),
        (dict(name="LinfPGD", norm="l2"), "LinfPGD works in Linf distance, not in norm 'l2'"),
    ],
)
def test_attacks_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        FoolboxAttack(**arguments)


# --- images that an attack has lost


def test_an_image_with_nan_has_nan_logits_and_a_nan_gradient_and_the_others_are_as_they_were():
    for name in ("mlp", "bio"):
        model, _, _, images, _ = victims(name, 5)
        for view in (model, Linear(np.random.default_rng(0).normal(size=(3, images[0].size)))):
            adapted = to_foolbox(view, image_shape=(images.shape[2], images.shape[3]))
            whole = torch.tensor(images, requires_grad=True)
            logits = adapted(whole)
            logits[:, 0].sum().backward()
            lost = torch.tensor(images)
            lost[2, 0, 1, 1] = torch.nan
            lost.requires_grad_()
            found = adapted(lost)
            found[:, 0].sum().backward()
            others = [i for i in range(len(images)) if i != 2]
            assert torch.isnan(found[2]).all() and torch.isnan(lost.grad[2]).all()
            assert torch.equal(found[others], logits[others]) and torch.equal(lost.grad[others], whole.grad[others])
            with torch.no_grad():
                assert torch.isnan(adapted(lost)[2]).all()


def test_attacks_that_make_nan_of_one_image_lose_only_that():
    model, X, y, images, true = victims("mlp", 12)
    true = true.copy()
    true[-1] = (true[-1] + 1) % 10  # misclassified without any attack: the boundary attack divides by its distance, 0
    for attack in (foolbox.attacks.BoundaryAttack(steps=20), foolbox.attacks.NewtonFoolAttack(steps=3)):
        torch.manual_seed(0)
        _, found, success = attack(to_foolbox(model), torch.tensor(images), torch.tensor(true), epsilons=2.0)
        assert found.shape == images.shape and success[:-1].any()
    result = FoolboxAttack(name="NewtonFoolAttack", parameters={"steps": 3}, norm="l2")(model, X, y, [0.5, 2.0])
    assert np.isfinite(result.adversarial).all() and (result.distance <= result.epsilons[:, None]).all()
    np.testing.assert_array_equal(result.success[1], model.predict(result.adversarial[1]) != y)
