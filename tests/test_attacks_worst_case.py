"""Worst case: tiers, which attack it was, and results kept on disk."""

import warnings
from dataclasses import dataclass, field

import numpy as np
import pytest
from attack_models import EPSILONS, D, Linear, Quantised, Saturated

from bioneuro.attacks import (
    ATTACKS,
    PGD,
    TIERS,
    Attack,
    Ensemble,
    Square,
    Targeted,
    Transfer,
    UniformNoise,
    WorstCase,
    worst_case,
)
from bioneuro.attacks.registry import named_attacks, tier_attacks

STEPS = {"fgsm": {}, "pgd-margin": {"n_steps": 10}, "square": {"n_queries": 30}}


class Counted:
    """A model that counts the samples it is asked about, by method; it may break down after so many gradients."""

    def __init__(self, model, fail_after=None):
        self.model, self.classes_, self.fail_after = model, model.classes_, fail_after
        self.asked = {"predict": 0, "decision_function": 0, "input_gradient": 0}

    def _ask(self, name, X, *args, **kwargs):
        self.asked[name] += len(X)
        if name == "input_gradient" and self.fail_after is not None and self.asked[name] > self.fail_after:
            raise KeyboardInterrupt
        return getattr(self.model, name)(X, *args, **kwargs)

    def predict(self, X):
        return self._ask("predict", X)

    def decision_function(self, X):
        return self._ask("decision_function", X)

    def input_gradient(self, X, y, loss="ce"):
        return self._ask("input_gradient", X, y, loss=loss)


def same(one, other):
    assert one.attacks == other.attacks and one.norm == other.norm
    for name in ("epsilons", "adversarial", "success", "distance", "broken_by", "n_tried", "n_broken"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# --- which attack it was ---


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_broken_by_is_the_first_attack_that_breaks_the_sample(binary, norm):
    model, X, y = binary
    y = y.copy()
    y[:5] = np.where(y[:5] == 3, 7, 3)  # wrong without any attack
    members = [UniformNoise(norm=norm, random_state=1), Square(norm=norm, n_queries=40), PGD(norm=norm)]
    epsilons = EPSILONS[norm][::-1]  # the order asked for is kept
    result = worst_case(model, X, y, epsilons, norm, attacks=members)
    assert isinstance(result, WorstCase) and repr(result).startswith("WorstCase(200 samples")
    assert result.attacks == ("UniformNoise", "Square", "PGD")
    alone = np.stack([attack(model, X, y, epsilons).success for attack in members])
    np.testing.assert_array_equal(result.success, alone.any(axis=0))
    np.testing.assert_array_equal(result.success, result.broken_by != "")
    assert (result.broken_by[:, :5] == "clean").all() and not (result.broken_by[:, 5:] == "clean").any()
    smallest = result.broken_by[-1, 5:]
    first = np.where(alone[:, -1, 5:].any(axis=0), alone[:, -1, 5:].argmax(axis=0), 3)
    np.testing.assert_array_equal(smallest, np.array([*result.attacks, ""])[first])
    # a name stays with the sample at larger budgets, as the image does
    for larger, smaller in zip(result.broken_by[:-1], result.broken_by[1:], strict=True):
        np.testing.assert_array_equal(larger[smaller != ""], smaller[smaller != ""])


def test_table_by_attack_adds_up(binary):
    model, X, y = binary
    result = worst_case(model, X, y, [0.02, 0.0, 0.04], attacks=STEPS)
    table = result.by_attack()
    assert list(table.columns) == ["epsilon", "attack", "tried", "broken", "share", "robust_accuracy"]
    assert len(table) == 9 and table["attack"].tolist() == list(STEPS) * 3
    last = table.groupby("epsilon")["robust_accuracy"].last()
    for epsilon, accuracy in zip(result.epsilons, result.robust_accuracy, strict=True):
        assert last[epsilon] == pytest.approx(accuracy)
    at = table[table["epsilon"] == 0.04]
    np.testing.assert_array_equal(at["tried"].to_numpy()[1:], (at["tried"] - at["broken"]).to_numpy()[:-1])
    assert at["tried"].iloc[0] == (~result.success[0]).sum()
    assert (table.loc[table["epsilon"] == 0, "tried"] == 0).all()
    assert (result.broken_by[2] == "square").sum() == result.n_broken[:, 2].sum()


def test_targeted_worst_case():
    rng = np.random.default_rng(5)
    model = Linear(rng.normal(size=(3, D)))
    X = rng.uniform(0.3, 0.7, (30, D))
    y = model.predict(X)
    target = (y + 1) % 3
    result = worst_case(model, X, y, [0.02, 0.2], attacks=["pgd-margin"], criterion=Targeted(target))
    reached = np.stack([model.predict(images) == target for images in result.adversarial])
    np.testing.assert_array_equal(result.success, reached)
    assert result.success[1].all() and not result.success[0].all()


# --- tiers and names ---


def test_the_full_tier_has_what_the_standard_of_autoattack_has():
    """Croce & Hein 2020: APGD of 100 steps, without and with targets, and 5,000 queries of Square."""
    full = TIERS["full"]
    assert full["apgd-ce"] == full["apgd-t"] == {"n_steps": 100} and full["square"] == {"n_queries": 5000}


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_tiers_name_attacks_that_exist_with_parameters_they_have(tier, norm):
    honest = Linear(np.eye(2))
    model = Quantised(np.eye(2))
    steps = named_attacks(model, tier_attacks(tier, norm), norm, {"honest": honest}, 0)
    names = [step.name for step in steps]
    assert len(set(names)) == len(names) and {step.attack.norm for step in steps} == {norm}
    assert any(name.endswith("by not quantised") for name in names)
    assert any(name.endswith("from honest") for name in names)
    assert len(named_attacks(honest, tier_attacks(tier, norm), norm, (), 0)) < len(
        steps
    )  # nothing to offer, nothing to craft on


def test_a_tier_sees_through_a_mask(binary):
    honest, X, _ = binary
    model = Saturated(honest.W, honest.b, honest.classes_)
    X = X[:40]
    y = model.predict(X)
    result = worst_case(model, X, y, 0.05, tier="quick", sources={"honest": honest})
    np.testing.assert_array_equal(~result.success[0], model.robust(X, y, 0.05, "linf"))


def test_seed_of_an_attack_depends_on_its_name_and_not_on_the_others(binary, capsys):
    model, X, y = binary
    alone = worst_case(model, X, y, 0.01, attacks={"pgd-margin": {"n_steps": 3}})
    after = worst_case(model, X, y, 0.01, attacks={"uniform-noise": {}, "pgd-margin": {"n_steps": 3}})
    stood = ~(after.broken_by[0] == "uniform-noise")
    np.testing.assert_array_equal(after.adversarial[0][stood], alone.adversarial[0][stood])
    other = worst_case(model, X, y, 0.01, attacks={"pgd-margin": {"n_steps": 3}}, random_state=1)
    assert not np.array_equal(other.adversarial, alone.adversarial)
    assert capsys.readouterr() == ("", "")  # no bar unasked


def test_sources_have_names_and_are_tried_unasked(binary):
    model, X, y = binary
    result = worst_case(model, X, y, 0.02, attacks=["fgsm"], sources=[model])
    assert result.attacks == ("fgsm", "pgd-ce from source 0")
    result = worst_case(model, X, y, 0.02, attacks=["transfer:fgsm", "fgsm"], sources={"twin": model})
    assert result.attacks == ("fgsm from twin", "fgsm") and result.n_broken[0, 1] == 0
    assert worst_case(model, X, y, 0.02, attacks=[PGD(n_steps=2), PGD(n_steps=3)]).attacks == ("PGD 1", "PGD 2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tier": "thorough"}, r"tier must be one of \['full', 'quick'\], got 'thorough'"),
        ({"tier": "quick", "attacks": ["fgsm"]}, "give either tier or attacks"),
        ({"attacks": []}, "attacks must be at least one"),
        ({"attacks": ["adaptive:fgsm"]}, "attacks must be at least one"),
        ({"attacks": ["adaptive:deepfool"]}, "unknown attack 'adaptive:deepfool'"),
        ({"norm": "l1"}, "norm must be one of .*, got 'l1'"),
    ],
)
def test_bad_plans(binary, arguments, message):
    with pytest.raises(ValueError, match=message):
        worst_case(*binary, 0.1, **arguments)


# --- the cache ---


def test_interrupted_run_goes_on_bit_for_bit_and_asks_only_for_what_is_missing(binary, tmp_path):
    model, X, y = binary
    epsilons = [0.01, 0.03]
    through = worst_case(model, X, y, epsilons, attacks=STEPS)
    whole = Counted(model)
    same(worst_case(whole, X, y, epsilons, attacks=STEPS), through)
    broken_off = Counted(model, fail_after=whole.asked["input_gradient"] // 2)
    with pytest.raises(KeyboardInterrupt):
        worst_case(broken_off, X, y, epsilons, attacks=STEPS, cache=tmp_path)
    n_kept = len(list(tmp_path.iterdir()))
    assert 0 < n_kept < 6 and all(path.suffix == ".npz" for path in tmp_path.iterdir())
    again = Counted(model)
    same(worst_case(again, X, y, epsilons, attacks=STEPS, cache=tmp_path), through)
    assert again.asked["input_gradient"] < whole.asked["input_gradient"]
    # and once more: of the model nothing is asked but its fingerprint, and one pass over what was kept
    kept = Counted(model)
    same(worst_case(kept, X, y, epsilons, attacks=STEPS, cache=tmp_path, batch_size=7), through)
    assert kept.asked["input_gradient"] == 4 * 16  # two losses in two norms at the probes
    assert (
        kept.asked["decision_function"] == len(X) + 16
        and kept.asked["predict"] == 2 * len(X) + 16 + through.n_tried.sum()
    )
    assert len(list(tmp_path.iterdir())) == 6


def replaced_once(problem, run, whole, warning):
    """What is kept is no use: the same attack warns, runs again, and finds its own result the next time."""
    model, X, y = problem
    with pytest.warns(UserWarning, match=warning):
        same(worst_case(model, X, y, 0.02, **run), whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(worst_case(model, X, y, 0.02, **run), whole)


def test_a_cache_asks_the_model_about_images_only(binary, tmp_path):
    model, X, y = binary

    class Strict(Linear):
        def hidden(self, X):
            assert X.min() >= 0 and X.max() <= 1
            return X

    X = np.round(X)  # all ends of the range
    worst_case(Strict(model.W, model.b, model.classes_), X, model.predict(X), 0.1, attacks=["fgsm"], cache=tmp_path)


TAMPERED = {
    "all broken": (lambda kept: {"success": np.ones_like(kept["success"])}, "the model does not confirm"),
    "none broken": (lambda kept: {"success": np.zeros_like(kept["success"])}, "the model does not confirm"),
    "far away": (lambda kept: {"adversarial": np.ones_like(kept["adversarial"])}, "within 0.02 of the samples"),
    "one of them far away": (
        lambda kept: {"adversarial": kept["adversarial"] + 0.1 * (np.arange(200) == 7)[:, None]},
        "within 0.02 of the samples",
    ),
    "as they were": (lambda kept: {"adversarial": kept["adversarial"] * 0 + 0.5}, "within 0.02 of the samples"),
    "outside the range": (lambda kept: {"adversarial": kept["adversarial"] + 2}, r"not all in \[0, 1\]"),
    "NaN": (lambda kept: {"adversarial": np.full_like(kept["adversarial"], np.nan)}, r"not all in \[0, 1\]"),
    "a pickle": (lambda kept: {"success": np.array([print] * 200, object)}, "Object arrays cannot be loaded"),
    "a bomb": (lambda kept: {"adversarial": np.zeros((3000, 1000))}, "adversarial.npy takes 24000128 bytes"),
    "one more sample": (lambda kept: {"success": np.ones(201, bool)}, r"its success is bool \(201,\)"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_edited_results_are_found_out_and_replaced(how, binary, tmp_path):
    model, X, y = binary
    change, problem = TAMPERED[how]
    run = {"attacks": ["pgd-margin"], "cache": tmp_path}
    first = worst_case(model, X, y, 0.02, **run)
    (path,) = tmp_path.iterdir()
    kept = dict(np.load(path))
    np.savez_compressed(path, **kept | change(kept))
    replaced_once(binary, run, first, f"is not a usable result .*{problem}.* run again and the file replaced")


def test_a_file_cut_short_is_closed_and_replaced(binary, tmp_path):
    model, X, y = binary[0], binary[1][:10], binary[2][:10]
    run = {"attacks": ["fgsm"], "cache": tmp_path}
    first = worst_case(model, X, y, 0.02, **run)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for n in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:n])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            same(worst_case(model, X, y, 0.02, **run), first)
        assert [w.category for w in caught] == [UserWarning]  # no ResourceWarning


def n_files(folder):
    return len(list(folder.iterdir()))


def test_another_model_attack_sample_or_budget_never_takes_a_result(binary, tmp_path):
    model, X, y = binary
    run = {"attacks": {"pgd-margin": {"n_steps": 3}}, "cache": tmp_path}
    worst_case(model, X, y, 0.02, **run)
    assert n_files(tmp_path) == 1

    class Sibling(Linear):
        pass

    hardly = Linear(model.W * (1 + 1e-12), model.b, model.classes_)
    masked = Quantised(model.W, model.b, model.classes_)
    others = [
        lambda: worst_case(hardly, X, y, 0.02, **run),
        lambda: worst_case(masked, X, y, 0.02, **run),
        lambda: worst_case(Sibling(model.W, model.b, model.classes_), X, y, 0.02, **run),
        lambda: worst_case(model, X, y, 0.021, **run),
        lambda: worst_case(model, X[:50], y[:50], 0.02, **run),
        lambda: worst_case(model, X.astype(np.float32), y, 0.02, **run),
        lambda: worst_case(model, X, y, 0.02, attacks={"pgd-margin": {"n_steps": 4}}, cache=tmp_path),
        lambda: worst_case(model, X, y, 0.02, random_state=1, **run),
        lambda: worst_case(model, X, y, 0.02, criterion=Targeted(10 - y), **run),
    ]
    for n, other in enumerate(others, start=2):
        other()
        assert n_files(tmp_path) == n


def test_models_that_agree_on_the_samples_alone_are_told_apart(binary, tmp_path):
    """The same labels and logits on X, another gradient; and another surrogate."""
    model, X, y = binary

    class Backwards(Linear):
        def input_gradient(self, X, y, loss="ce"):
            return -super().input_gradient(X, y, loss)

    Backwards.__qualname__ = "Linear"
    run = {"attacks": ["pgd-margin"], "cache": tmp_path}
    strong = worst_case(model, X, y, 0.03, **run).robust_accuracy[0]
    weak = worst_case(Backwards(model.W, model.b, model.classes_), X, y, 0.03, **run).robust_accuracy[0]
    assert n_files(tmp_path) == 2 and strong < weak

    class Blind(Saturated):
        def surrogates(self):
            return {"softer": Backwards(self.W, self.b, self.classes_)}

    Blind.__qualname__ = "Saturated"
    run["attacks"] = ["adaptive:pgd-margin"]
    for offering in (Saturated, Blind):
        worst_case(offering(model.W, model.b, model.classes_), X, y, 0.03, **run)
    assert n_files(tmp_path) == 4


def test_another_source_is_another_attack(binary, tmp_path):
    model, X, y = binary
    rng = np.random.default_rng(3)
    for n in (1, 2):
        source = Linear(rng.normal(size=(2, D)), classes=model.classes_)
        worst_case(model, X, y, 0.02, attacks=[Transfer(source, PGD(n_steps=3))], cache=tmp_path)
        assert n_files(tmp_path) == n


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def garbage(path):
    path.write_bytes(b"not an archive")


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def of_another(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["key"] = np.frombuffer(bytes(arrays["key"]).replace(b"0.02", b"0.03"), np.uint8)
    np.savez(path, **arrays)


def too_few(path):
    with np.load(path) as file:
        arrays = dict(file)
    arrays["success"] = arrays["success"][:-1]
    np.savez(path, **arrays)


def without_images(path):
    with np.load(path) as file:
        arrays = dict(file)
    del arrays["adversarial"]
    np.savez(path, **arrays)


@pytest.mark.parametrize("damage", [cut, garbage, flipped, of_another, too_few, without_images])
def test_damaged_file_is_reported_and_replaced(binary, tmp_path, damage):
    model, X, y = binary
    run = {"attacks": {"pgd-margin": {"n_steps": 3}}, "cache": tmp_path}
    whole = worst_case(model, X, y, 0.02, **run)
    (path,) = tmp_path.iterdir()
    damage(path)
    replaced_once(binary, run, whole, f"{path.name} is not a usable result .*pgd-margin at 0.02 is run again")


def test_other_files_in_the_folder_are_left_alone(binary, tmp_path):
    model, X, y = binary
    (tmp_path / "notes.txt").write_text("mine")
    worst_case(model, X, y, 0.02, attacks=["fgsm"], cache=tmp_path / "deep" / "er")
    worst_case(model, X, y, 0.02, attacks=["fgsm"], cache=str(tmp_path))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_labels_that_are_strings_can_be_kept(binary, tmp_path):
    model, X, y = binary
    named = Linear(model.W, model.b, np.array(["seven", "three"], dtype=object))
    y = named.predict(X)
    first = worst_case(named, X, y, 0.02, attacks=["fgsm"], cache=tmp_path)
    same(worst_case(named, X, y, 0.02, attacks=["fgsm"], cache=tmp_path), first)
    assert n_files(tmp_path) == 1


@dataclass(kw_only=True)
class WithFunction(Attack):
    function: object = field(default=np.sign)

    def run(self, model, X, goal, epsilon, random):
        return X + epsilon * self.function(X - 0.5)


def test_bad_caches(binary, tmp_path):
    model, X, y = binary
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="cache must be a folder, but .*file is a file"):
        worst_case(model, X, y, 0.1, attacks=["fgsm"], cache=tmp_path / "file")
    with pytest.raises(TypeError, match=r"Ensemble.attacks\[0\].function is a ufunc, which the cache cannot describe"):
        worst_case(model, X, y, 0.1, attacks=[Ensemble([WithFunction()])], cache=tmp_path)
    assert worst_case(model, X, y, 0.1, attacks=[WithFunction()]).success.any()


def test_every_attack_can_be_kept(binary, tmp_path):
    model, X, y = binary
    quick = {name: {} for name, make in ATTACKS.items() if "linf" in getattr(make, "func", make).norms}
    quick |= {"square": {"n_queries": 20}, "rays": {"n_queries": 128}}
    first = worst_case(model, X[:8], y[:8], 0.005, attacks=quick, cache=tmp_path)
    same(worst_case(model, X[:8], y[:8], 0.005, attacks=quick, cache=tmp_path), first)
