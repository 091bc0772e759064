"""The sheet about one network: what it prints is what was computed."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import bioneuro as bn

plt = pytest.importorskip("matplotlib.pyplot")

SMALL = {
    "encoder__n_columns": 4, "n_cells": 20, "mixing": 200, "supervision__eta": 0, "schedule__readout_epochs": 1,
    "random_state": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def data():
    return bn.datasets.load("digits")


@pytest.fixture(scope="module")
def model(data):
    parameters = {
        "n_cells": 100,
        "mixing": 400,
        "schedule__teaching_epochs": 1,
        "schedule__readout_epochs": 5,
        "random_state": 0,
    }
    return bn.BioClassifier(**parameters).fit(data.X_train[:200], data.y_train[:200])


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def texts(figure):
    return [
        cell.get_text().get_text() for ax in figure.axes for table in ax.tables for cell in table.get_celld().values()
    ]


def test_pathway_report_has_a_row_for_each_pathway(model):
    frame = bn.pathway_report(model)
    assert list(frame["layer"]) == list(model.weights())
    assert set(frame.loc[frame["layer"] == "readout_inhibitory", "pathway"]) == {"I"}
    assert (frame["dale_index"] == 1).all()
    W = model.weights()["association"]
    theirs = bn.analysis.weight_report(W, sign="E")
    ours = frame[frame["layer"] == "association"].iloc[0]
    assert ours["fitted_sigma"] == theirs["fitted_sigma"][0] and ours["best"] == theirs["best"][0]


def test_report_draws_every_part(model, data):
    figure = bn.report(model, data.X_test[:100], data.y_test[:100])
    figure.canvas.draw()
    drawn = titles(figure)
    assert {"Weights: association", "Weights: map", "Pathways", "Firing rates of the cells", "Representation"} <= {
        *drawn
    }
    assert any(title.startswith("Receptive fields") for title in drawn)
    assert {"association", "map", "readout_excitatory", "selectivity", "100 samples"} <= {*texts(figure)}
    rates = model.network_.association.respond(model.network_.on_features.seen(model.transform(data.X_test[:100])))
    selectivity = np.nanmean(bn.analysis.class_selectivity(rates, data.y_test[:100]))
    assert f"{selectivity:.3g}" in texts(figure)


def test_report_without_samples_shows_the_weights(model):
    figure = bn.report(model)
    figure.canvas.draw()
    assert "Representation" not in titles(figure) and "Pathways" in titles(figure)


def test_report_of_plain_vectors(data):
    model = bn.BioClassifier(
        image_shape=None, n_cells=40, random_state=0, readout="votes", mixing=200, supervision__eta=0
    )
    model.fit(data.X_train[:80], data.y_train[:80])
    figure = bn.report(model, data.X_test[:40])
    figure.canvas.draw()
    assert "Weights: map" not in titles(figure) and "selectivity" not in texts(figure)


def test_one_channel_is_gray(data):
    model = bn.BioClassifier(image_shape=(8, 8, 1), **SMALL)
    assert bn.report(model.fit(data.X_train[:60], data.y_train[:60])).axes[0].images


def test_report_of_untied_fields_shows_patches(data):
    """Not square, so that the weights of all positions cannot pass for one field."""
    X = data.X_train[:60].reshape(-1, 8, 8)[:, :, 1:7].reshape(60, 48)
    model = bn.BioClassifier(encoder__feature_map="local", image_shape=(8, 6), **SMALL).fit(X, data.y_train[:60])
    ax = bn.report(model).axes[0]
    assert ax.get_title(loc="left") == "Receptive fields in the middle of the image"
    drawn = ax.images[0].get_array().filled(np.nan)
    assert drawn.shape == (7, 7)  # four fields of 3 x 3, a gap between them
    W = model.encoder_.receptive_fields(4 * 6 + 3)[0]
    field = (W[:9] - W[9:]).reshape(3, 3)
    np.testing.assert_allclose(drawn[:3, :3], field / np.abs(field).max(), rtol=1e-6)


def test_labels_without_samples_are_refused(model, data):
    with pytest.raises(ValueError, match="y must come with X"):
        bn.report(model, y=data.y_test)


def test_labels_of_another_length_are_refused(model, data):
    with pytest.raises(ValueError, match="labels must be one for each stimulus"):
        bn.report(model, data.X_test[:50], data.y_test[:40])


def test_rate_distribution_counts_silent_cells():
    rates = np.r_[np.zeros(3), np.random.default_rng(0).lognormal(-3, 0.8, 500)]
    ax = bn.plot.rate_distribution(rates)
    labels = ax.get_legend_handles_labels()[1]
    assert "500 of 503 cells" in labels
    sigma = np.log(rates[3:]).std()
    assert f"lognormal, σ {sigma:.2f}" in labels


def stack(*layers):
    schedule = bn.Schedule(association_epochs=1, teaching_epochs=1, readout_epochs=1)
    return bn.NetworkClassifier(list(layers), schedule=schedule, random_state=0)


def test_report_of_a_stack_by_hand(data):
    layers = bn.layers
    features = layers.FeatureMap((8, 8), n_columns=4, random_state=0)
    cells = (
        layers.Mixing(64, 60, random_state=0),
        ("v2", layers.Association(30, 60, 10)),
        layers.Association(20, 30, 10),
    )
    model = stack(features, *cells).fit(data.X_train[:60], data.y_train[:60])
    figure = bn.report(model, data.X_test[:40], data.y_test[:40])
    figure.canvas.draw()
    assert {"Weights: association", "Weights: v2"} <= {*titles(figure)} and figure.axes[0].images
    assert {"v2", "map", "rates of association", "40 samples"} <= {*texts(figure)}
    rates = model.network_.association.respond(model.transform(data.X_test[:40], up_to="v2"))
    assert f"{np.nanmean(bn.analysis.class_selectivity(rates, data.y_test[:40])):.3g}" in texts(figure)
    assert list(bn.pathway_report(model)["layer"]) == list(model.weights())


def test_report_of_a_last_layer_without_cells(data):
    model = stack(bn.layers.UnitNorm(64), ("mix", bn.layers.Mixing(64, 40, random_state=0))).fit(
        data.X_train[:60], data.y_train[:60]
    )
    figure = bn.report(model, data.X_test[:40])
    assert "rates of mix" in texts(figure)
    assert [ax.texts[0].get_text() for ax in figure.axes[1:3]] == ["no more layers whose weights differ"] * 2


@pytest.mark.parametrize("function", [bn.report, bn.pathway_report])
def test_another_model_is_refused(function, model):
    with pytest.raises(TypeError, match="model must be a BioClassifier or a NetworkClassifier, got NearestNeighbour$"):
        function(bn.baselines.NearestNeighbour())
    with pytest.raises(TypeError, match=r"got Pipeline: pass the network in it, model\[-1\]$"):
        function(make_pipeline(model))
    with pytest.raises(TypeError, match="got GridSearchCV: pass the network in it, model.best_estimator_$"):
        function(GridSearchCV(model, {}))


def test_an_unfitted_network_is_refused():
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        bn.report(bn.BioClassifier())
