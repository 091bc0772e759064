"""The grand table: which models, what they cost, their ranks, the page and its picture."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from bioneuro import BioClassifier, plot
from bioneuro.baselines import BASELINES, BackpropMLP, ConvNet, LocalHPCAClassifier, NearestNeighbour, make
from bioneuro.research import UserError
from bioneuro.research.commands import main
from bioneuro.research.comparison import costs, experiment, ranks, rivals_page
from bioneuro.research.comparison.models import MODELS, ComparedModel, chosen_models
from bioneuro.research.comparison.originals import ORIGINALS, measured, original_lines
from bioneuro.research.comparison.plan import ComparisonPlan
from bioneuro.research.records.ledger import Row

DOCS = Path(__file__).parent.parent / "docs"
in_a_checkout = pytest.mark.skipif(
    not (DOCS / "data").is_dir(), reason="no documents here: this is not a source checkout"
)
PLAN = ComparisonPlan.for_dataset("digits", 1297, n_train=100, quick=True, epsilons=(0.1, 0.2), rivals=True)


# --- which models


def test_every_baseline_is_in_the_grand_table():
    assert set(BASELINES) - {"mlp"} <= set(MODELS)
    assert all(MODELS[name].rival for name in BASELINES if name != "mlp")
    assert {"bioneuro", "MLP"} <= {name for name, model in MODELS.items() if not model.rival}


def test_without_names_no_rival_is_compared():
    assert all(not model.rival for model in chosen_models(MODELS, None, PLAN, {}).values())


def test_names_choose_and_all_is_all():
    assert list(chosen_models(MODELS, ["hpca", "MLP", "hpca"], PLAN, {})) == ["hpca", "MLP"]
    everything = set(chosen_models(MODELS, ["all"], PLAN, {}))
    assert everything >= {name for name, model in MODELS.items() if not model.needs}
    with pytest.raises(UserError, match="unknown model 'perceptron': choose from all, bioneuro"):
        chosen_models(MODELS, ["perceptron"], PLAN, {})


def test_a_model_whose_modules_are_missing_is_left_out_of_all_and_refused_by_name():
    models = {**MODELS, "odd": ComparedModel(MODELS["MLP"].make, "softmax", "", needs=("no_such_module",))}
    assert "odd" not in chosen_models(models, ["all"], PLAN, {})
    with pytest.raises(UserError, match="model 'odd' needs no_such_module, which is not installed"):
        chosen_models(models, ["odd"], PLAN, {})


def test_models_are_made_with_their_settings_and_their_seed():
    chosen = chosen_models(MODELS, ["hpca", "mlp, adversarially trained"], PLAN, {"hpca": {"n_hidden": 7}})
    made = {name: model.make(5) for name, model in chosen.items()}
    assert made["hpca"].n_hidden == 7 and made["hpca"].random_state == 5
    assert made["mlp, adversarially trained"].adversarial == (0.2, 7)


def test_readouts_of_one_network_still_share_it_and_seeds_of_others_do_not_matter():
    chosen = chosen_models(MODELS, ["bioneuro", "bioneuro votes", "MLP"], PLAN, {})
    assert chosen["bioneuro"].make == chosen["bioneuro votes"].make != chosen["MLP"].make


# --- a run


@pytest.fixture
def small(monkeypatch):
    def mlp(n, seed):
        return BackpropMLP((n,), n_epochs=3, random_state=seed)

    models = {
        "one": ComparedModel(partial(mlp, 8), "softmax", "hidden_1"),
        "two": ComparedModel(partial(mlp, 16), "softmax", "hidden_1", rival=True),
        "means": ComparedModel(lambda seed: make("class-means"), "distances", "output", rival=True),
    }
    monkeypatch.setattr(experiment, "MODELS", models)
    return models


ARGUMENTS = ["compare", "--quick", "--n-train", "100", "--epsilons", "0.1", "--n-attacked", "10", "--jobs", "1"]


def test_a_run_measures_everything_and_more_models_may_be_added(small, tmp_path, capsys):
    arguments = [*ARGUMENTS, "--seeds", "2", "--out", str(tmp_path)]
    assert main([*arguments, "--models", "two"]) == 0
    before = (tmp_path / "results.csv").read_text()
    assert main([*arguments, "--models", "two", "means"]) == 0
    after = (tmp_path / "results.csv").read_text()
    assert after.startswith(before)
    frame = pd.read_csv(tmp_path / "results.csv")
    found = frame.groupby("model")["metric"].agg(set)
    everything = {criterion.metric for criterion in ranks.CRITERIA} | {"audit"}
    assert everything <= found["two"] and everything <= found["means"]
    assert (tmp_path / "ranks.png").read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    assert "≤" in printed and "no gradient: black-box attack only" in printed


def test_rows_of_other_parameters_are_refused(small, tmp_path, capsys):
    arguments = [*ARGUMENTS, "--seeds", "1", "--out", str(tmp_path), "--models", "means", "two"]
    assert main(arguments) == 0
    small["two"] = ComparedModel(lambda seed: BackpropMLP((9,)), "softmax", "hidden_1", rival=True)
    capsys.readouterr()
    assert main(arguments) == 2
    assert "two with other parameters (hidden=(16,)" in capsys.readouterr().err


# --- costs


def test_cost_of_a_perceptron_is_its_weights(digits):
    model = BackpropMLP((8,), n_epochs=1).fit(digits.X_train[:100], digits.y_train[:100])
    cost = costs.of(model, digits.image_shape)
    assert cost.operations == 64 * 8 + 8 * 10 and cost.bytes_moved == 4 * cost.operations
    assert cost.memory > cost.bytes_moved


def test_cost_of_sparse_weights_has_their_indices(digits):
    model = LocalHPCAClassifier(2, n_epochs=1, patch_size=4, stride=4).fit(digits.X_train[:100], digits.y_train[:100])
    cost = costs.of(model, digits.image_shape)
    assert cost.operations == 8 * 16 + 8 * 10 and cost.bytes_moved == 8 * 8 * 16 + 4 * 8 * 10


def test_cost_of_a_map_counts_every_place_where_it_is_used(digits):
    model = BioClassifier(n_cells=20, mixing=0, supervision__eta=0.0, schedule__association_epochs=1, random_state=0)
    model.fit(digits.X_train[:60], digits.y_train[:60])
    weights = {name: W.nnz for name, W in model.weights().items()}
    cost = costs.of(model, digits.image_shape)
    assert cost.operations == sum(weights.values()) + 63 * weights["map"]


def test_cost_of_stored_samples_and_of_means(digits):
    data = digits.X_train[:100], digits.y_train[:100]
    assert costs.of(NearestNeighbour().fit(*data), digits.image_shape)[:2] == (100 * 64, 4 * 100 * 64)
    assert costs.of(make("class-means").fit(*data), digits.image_shape)[:2] == (640, 8 * 640)


def test_cost_of_convolutions(digits):
    pytest.importorskip("torch")
    model = ConvNet(channels=(2, 3), n_epochs=1, random_state=0).fit(digits.X_train[:100], digits.y_train[:100])
    kernels = [int(np.prod(tuple(W.shape))) for W in model.parameters_[::2]]
    cost = costs.of(model, digits.image_shape)
    assert cost.operations == 64 * kernels[0] + 16 * kernels[1] + kernels[2] + kernels[3]
    assert cost.bytes_moved == 4 * sum(kernels)


def test_cost_of_what_is_not_known_is_an_error(digits):
    with pytest.raises(TypeError, match=r"cost of object is unknown: it has no weights\(\)"):
        costs.of(object(), digits.image_shape)


# --- ranks


def frame_of(**values):
    rows = [Row(m, "r", seed, "accuracy", "", v, "") for m, own in values.items() for seed, v in enumerate(own)]
    return pd.DataFrame(rows, columns=Row._fields)


def test_ranks_follow_the_means_and_intervals_what_seeds_decide():
    frame = frame_of(a=[0.9, 0.91, 0.92], b=[0.85, 0.93, 0.9], c=[0.5, 0.51, 0.52])
    found = ranks.rank_table(frame, [ranks.RankCriterion("clean", "accuracy")]).set_index("model")
    assert found["rank"].to_dict() == {"a": 1, "b": 2, "c": 3}
    assert found.loc[list("abc"), ["low", "high"]].to_numpy().tolist() == [[1, 2], [1, 2], [3, 3]]
    turned = ranks.rank_table(frame, [ranks.RankCriterion("x", "accuracy", higher=False)]).set_index("model")
    assert turned["rank"].to_dict() == {"c": 1, "b": 2, "a": 3}


def test_what_never_changes_with_seeds_is_beyond_doubt_and_ties_share_a_rank():
    frame = frame_of(a=[0.2] * 3, b=[0.1] * 3, c=[0.1] * 3)
    found = ranks.rank_table(frame, [ranks.RankCriterion("clean", "accuracy")]).set_index("model")
    assert found.loc[list("abc"), ["rank", "low", "high"]].to_numpy().tolist() == [[1, 1, 1], [2, 2, 3], [2, 2, 3]]


def test_models_come_best_overall_first_and_criteria_in_their_order_whoever_lacks_one():
    rows = [Row(m, "r", 0, "accuracy", "", v, "") for m, v in (("a", 0.1), ("b", 0.9), ("c", 0.5))]
    rows += [Row(m, "r", 0, "density", "", v, "") for m, v in (("a", 0.1), ("c", 0.2))]
    criteria = [ranks.RankCriterion("density", "density"), ranks.RankCriterion("clean", "accuracy")]
    found = ranks.rank_table(pd.DataFrame(rows, columns=Row._fields), criteria)
    assert found[["criterion", "model"]].to_numpy().tolist() == [
        ["density", "c"], ["density", "a"], ["clean", "b"], ["clean", "c"], ["clean", "a"]
    ]  # fmt: skip


def test_one_seed_leaves_every_rank_open():
    found = ranks.rank_table(frame_of(a=[0.9], b=[0.5]), [ranks.RankCriterion("clean", "accuracy")])
    assert found[["low", "high"]].to_numpy().tolist() == [[1, 2], [1, 2]]


def test_a_model_of_whose_values_none_is_finite_has_no_rank():
    found = ranks.rank_table(frame_of(a=[0.9, 0.8], b=[np.nan] * 2), [ranks.RankCriterion("clean", "accuracy")])
    assert found["model"].to_list() == ["a"]


def test_robustness_without_an_audit_has_no_rank_and_with_a_warning_is_a_bound():
    rows = [Row(m, "r", 0, "robust_accuracy", "0.1", 0.5, "") for m in "ab"]
    frame = pd.DataFrame([*rows, Row("a", "r", 0, "audit", "check", 0.0, "warn")], columns=Row._fields)
    criterion = ranks.RankCriterion("robust", "robust_accuracy")
    assert list(ranks.rank_table(frame, [criterion])["model"]) == ["a"]
    table = ranks.value_table(frame, ["a", "b"], [criterion])
    assert table["robust"].to_list() == ["≤ 50.0", "-"]


def test_rank_map_draws_every_rank_and_refuses_none():
    found = ranks.rank_table(
        frame_of(a=[0.9, 0.91, 0.92], b=[0.85, 0.93, 0.9]), [ranks.RankCriterion("clean", "accuracy")]
    )
    ax = plot.rank_map(found)
    assert [text.get_text() for text in ax.texts] == ["1\n1–2", "2\n1–2"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match="ranks must have at least one row"):
        plot.rank_map(found[:0])
    with pytest.raises(ValueError, match="ranks must be >= 1, got 0"):
        plot.rank_map(found.assign(rank=0))
    with pytest.raises(ValueError, match=r"ranks lacks the columns \['high'\]"):
        plot.rank_map(found.drop(columns="high"))


# --- the page


@in_a_checkout
def test_the_page_is_what_the_command_makes_of_the_data(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rivals_page, "rank_picture", lambda ranks, path: path)  # drawn in other tests
    (tmp_path / "data").mkdir()
    for source in (path for path in (DOCS / "data").iterdir() if path.is_file()):
        head, *rows = source.read_text(encoding="utf-8").splitlines(keepends=True)
        if source.name.startswith("rivals-"):  # a ledger has its models in the order in which they were finished
            rows.sort(key=lambda row: row.partition(",")[0], reverse=True)
        (tmp_path / "data" / source.name).write_text("".join([head, *rows]), encoding="utf-8")
    assert main(["compare", "--page", str(tmp_path)]) == 0
    assert (tmp_path / "rivals.md").read_text(encoding="utf-8") == (DOCS / "rivals.md").read_text(encoding="utf-8")


def test_a_page_needs_data(tmp_path, capsys):
    assert main(["compare", "--page", str(tmp_path)]) == 2
    assert "has no rivals-<dataset>.csv" in capsys.readouterr().err


def test_the_page_says_who_is_better_than_the_network():
    frame = frame_of(bioneuro=[0.8, 0.81, 0.82], a=[0.9, 0.91, 0.93], b=[0.7, 0.9, 0.8], c=[0.6, 0.7, 0.5])
    assert rivals_page.better_than(frame).to_numpy().tolist() == [["clean", "1 of 3", "a"]]
    one = frame[frame["seed"] == 1]
    assert rivals_page.better_than(one).to_numpy().tolist() == [["clean", "2 of 3", "all but c"]]
    assert rivals_page.doubt_of(frame).startswith("beyond doubt") and "one seed" in rivals_page.doubt_of(one)


def test_a_better_figure_that_is_an_upper_bound_is_named_as_one():
    rows = [Row(m, "r", s, "robust_accuracy", "0.1", v, "") for m, v in (("bioneuro", 0.1), ("a", 0.2)) for s in (0, 1)]
    rows += [Row(m, "r", 0, "audit", "check", 0.0, said) for m, said in (("bioneuro", "pass"), ("a", "warn"))]
    found = rivals_page.better_than(pd.DataFrame(rows, columns=Row._fields))
    assert found.to_numpy().tolist() == [["robust Linf", "1 of 1", "a (≤)"]]


def test_the_page_says_which_models_have_fewer_seeds_and_which_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(rivals_page, "MODELS", dict.fromkeys(["bioneuro", "a", "slow"]))
    monkeypatch.setattr(rivals_page, "NOTES", {"x": "An hour a seed."})
    frame = frame_of(bioneuro=[0.8, 0.81, 0.82], a=[0.9])
    rows = [Row("bioneuro", "r", 0, "train_seconds", "1000", 1.0, "")]
    (tmp_path / "data").mkdir()
    pd.concat([frame, pd.DataFrame(rows, columns=Row._fields)]).to_csv(tmp_path / "data" / "rivals-x.csv", index=False)
    rivals_page.write_page(tmp_path)
    text = (tmp_path / "rivals.md").read_text(encoding="utf-8")
    assert "## x: 1,000 training images, 3 seeds" in text and "| clean | 0 of 1 |" in text
    assert "Fewer seeds, so that little of it is beyond doubt: a (1)." in text
    assert "Not measured here: slow. An hour a seed." in text


# --- published figures


def test_every_original_is_a_baseline_with_these_settings():
    for name, original in ORIGINALS.items():
        make(name, **original.settings)
        assert 50 < original.published < 100 and original.gap


def test_an_original_is_measured_on_its_classes(digits, monkeypatch):
    monkeypatch.setitem(ORIGINALS, "hebb-perturbation", ORIGINALS["hebb-perturbation"].__class__(
        95.0, "", {"n_hidden": 20, "n_epochs": 5}, (1, 2, 6), "small"))  # fmt: skip
    row = measured("hebb-perturbation", digits, 60, 0)
    assert row["n_train"] == 60 and 0.2 < row["accuracy"] < 1


@in_a_checkout
def test_the_page_reads_what_the_command_keeps(digits, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("bioneuro.research.commands.compare.load_data", lambda name: digits)
    monkeypatch.setitem(ORIGINALS, "hpca", ORIGINALS["hpca"].__class__(96.96, "", {"n_hidden": 20, "n_epochs": 2}))
    arguments = ["compare", "--originals", "--models", "hpca", "--n-train", "100", "--out", str(tmp_path)]
    assert main(arguments) == 0
    kept = (tmp_path / "originals.csv").read_text()
    assert kept.splitlines()[0] == (DOCS / "data" / "originals.csv").read_text().splitlines()[0]
    assert "| hpca | 100 | " in original_lines(tmp_path / "originals.csv")
    assert main(arguments) == 0
    assert (tmp_path / "originals.csv").read_text() == kept


def test_only_rivals_with_published_figures_can_be_checked(capsys):
    assert main(["compare", "--originals", "--models", "dale"]) == 2
    assert "no published figure of 'dale' is known" in capsys.readouterr().err
