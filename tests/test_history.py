"""Accuracy and weights after every pass of learning, and their figures."""

import numpy as np
import pandas as pd
import pytest

import bioneuro as bn

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(scope="module")
def data():
    digits = bn.datasets.load("digits")
    return digits.X_train[:100], digits.y_train[:100], digits.X_test[:150], digits.y_test[:150]


def network():
    return bn.BioClassifier(
        n_cells=40,
        mixing=150,
        schedule=bn.Schedule(association_epochs=2, teaching_epochs=4, readout_epochs=6),
        random_state=0,
    )


@pytest.fixture(scope="module")
def learned(data):
    history = bn.History(data[2], data[3], weights="association")
    return network().fit(*data[:2], on_epoch=history), history


def test_last_rows_are_the_accuracies_of_the_model(learned, data):
    model, history = learned
    frame = history.frame()
    last = frame[frame["epoch"] == frame["epoch"].max()].set_index("readout")["accuracy"]
    assert set(last.index) == set(model.network_.readouts) == {"votes", "delta"}
    for readout, accuracy in last.items():
        assert accuracy == model.set_params(readout=readout).score(data[2], data[3])
    model.set_params(readout="delta")
    first = frame[frame["epoch"] == 0]["accuracy"]
    assert (first < last.min()).all()


def test_every_pass_of_every_stage_with_cells_is_there_once(data):
    passes, seen = [], bn.History(data[2], data[3])

    def watch(model, stage, done, n):
        seen(model, stage, done, n)
        if hasattr(model, "network_") and (done or not passes):
            passes.append(stage)

    network().fit(*data[:2], on_epoch=watch)
    frame = seen.frame().drop_duplicates("epoch")
    assert frame["epoch"].tolist() == list(range(len(passes)))
    assert frame["stage"].tolist() == passes


def test_it_changes_nothing_of_what_is_learned(learned, data):
    alone = network().fit(*data[:2])
    for name, W in learned[0].weights().items():
        assert (W != alone.weights()[name]).nnz == 0, name
    assert np.array_equal(alone.decision_function(data[2]), learned[0].decision_function(data[2]))


def test_another_fit_begins_anew(learned, data):
    history = bn.History(data[2], data[3])
    for _ in range(2):
        network().fit(*data[:2], on_epoch=history)
    pd.testing.assert_frame_equal(history.frame(), learned[1].frame())


def test_every_leaves_out_passes_but_not_the_last_of_a_stage(learned, data):
    history = bn.History(data[2], data[3], every=4)
    network().fit(*data[:2], on_epoch=history)
    full, frame = learned[1].frame(), history.frame()
    assert len(frame) < len(full)
    assert frame.merge(full).equals(frame)
    ends = full.groupby("stage")["epoch"].max()
    assert set(ends) <= set(frame["epoch"]) and 0 in set(frame["epoch"])


def test_curve_draws_the_frame(learned):
    ax = bn.plot.learning_curve(learned[1])
    frame = learned[1].frame()
    lines = {line.get_label(): line for line in ax.get_lines()}
    for readout, part in frame.groupby("readout"):
        assert np.array_equal(lines[readout].get_xydata(), part[["epoch", "accuracy"]].to_numpy())
    borders = {line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == ":"}
    assert borders == set(frame.groupby("stage", sort=False)["epoch"].max().iloc[:-1])
    same = bn.plot.learning_curve(frame)
    assert len(same.get_lines()) == len(ax.get_lines())


# --- weights


def test_last_weights_are_those_of_the_model(learned):
    model, history = learned
    frame, W = history.weight_frame(), model.weights()["association"]
    assert list(frame) == ["epoch", "stage", "density", "weight"]
    assert frame["epoch"].unique().tolist() == history.frame()["epoch"].unique().tolist()[1:]  # before: no synapses
    last = frame[frame["epoch"] == frame["epoch"].max()]
    assert np.array_equal(np.sort(last["weight"]), np.sort(W.data))
    assert (last["density"] == W.nnz / np.prod(W.shape)).all()


def test_of_many_weights_some_are_kept(learned, data, monkeypatch):
    monkeypatch.setattr("bioneuro.history.N_WEIGHTS", 50)
    history = bn.History(data[2], data[3], every=100, weights="association")
    network().fit(*data[:2], on_epoch=history)
    few, full = history.weight_frame(), learned[1].weight_frame()
    assert (few.groupby("epoch").size() == 50).all()
    for epoch, part in few.groupby("epoch"):
        of = full[full["epoch"] == epoch]
        assert part["weight"].is_unique and set(part["weight"]) <= set(of["weight"])
        assert part["density"].iloc[0] == of["density"].iloc[0]


def test_inhibitory_weights_are_kept_as_magnitudes(data):
    history = bn.History(data[2], data[3], every=100, weights="readout_inhibitory")
    network().fit(*data[:2], on_epoch=history)
    assert (history.weight_frame()["weight"] > 0).all()


def test_weights_of_no_pathway(data):
    with pytest.raises(ValueError, match="weights must be one of 'map', .*'association', .*, got 'synapses'"):
        network().fit(*data[:2], on_epoch=bn.History(data[2], data[3], weights="synapses"))


def test_ridges_are_histograms_of_the_passes_on_one_scale(learned):
    frame = learned[1].weight_frame()
    ax = bn.plot.weights_over_time(frame, n_ridges=4, bins=20)
    shown = [int(tick.get_text().split()[0]) for tick in ax.get_yticklabels()]
    passes = frame["epoch"].unique()
    assert len(shown) == 4 and shown[0] == passes[0] and shown[-1] == passes[-1] and set(shown) <= set(passes)
    edges = np.histogram_bin_edges(np.log10(frame["weight"]), 20)
    scales = []
    for place, (epoch, line) in enumerate(zip(shown, ax.get_lines(), strict=True)):
        x, y = line.get_data()
        part = frame[frame["epoch"] == epoch]
        heights = np.histogram(np.log10(part["weight"]), edges, density=True)[0]
        assert x == pytest.approx(np.repeat(edges, 2))
        drawn = (place - y)[1:-1:2]
        scales += list(drawn[heights > 0] / heights[heights > 0])
        assert f"({part['density'].iloc[0]:.1%})" in ax.get_yticklabels()[place].get_text()
    assert scales == pytest.approx([scales[0]] * len(scales))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        stage for stage in frame["stage"].unique() if (frame[frame["epoch"].isin(shown)]["stage"] == stage).any()
    ]


def test_no_weights_kept_are_no_ridges(data):
    with pytest.raises(ValueError, match="frame must have at least one row"):
        bn.plot.weights_over_time(bn.History(data[2], data[3]))


def test_nothing_recorded_is_no_curve(data):
    with pytest.raises(ValueError, match="frame must have at least one row"):
        bn.plot.learning_curve(bn.History(data[2], data[3]))


@pytest.mark.parametrize(
    ("X", "y", "every", "message"),
    [
        ([[0.0]], [1, 2], 1, "y must hold one label for each of the 1 samples, got 2"),
        ([], [], 1, "X must have at least one sample"),
        ([[0.0]], [1], 0, "every must be an integer >= 1, got 0"),
    ],
)
def test_wrong_arguments(X, y, every, message):
    with pytest.raises(ValueError, match=message):
        bn.History(X, y, every=every)
