"""Measures of a population's rates, on codes whose answer is known."""

import numpy as np
import pytest

from bioneuro.analysis import class_selectivity, pairwise_correlation, participation_ratio, representation_report

rng = np.random.default_rng
LABELS = np.repeat(np.arange(4), 50)


def test_selectivity_of_known_cells():
    one, two, none = np.eye(4)[LABELS, 0], np.eye(4)[LABELS][:, :2].sum(axis=1), np.ones(200)
    graded = np.array([4.0, 1, 1, 1])[LABELS]
    found = class_selectivity(np.stack([one, two, none, graded, np.zeros(200)], axis=1), LABELS)
    assert found[:4] == pytest.approx([1, 0.5, 0, 0.6]) and np.isnan(found[4])


def test_selectivity_weighs_classes_not_stimuli():
    labels = np.repeat([0, 1], [10, 1000])
    assert class_selectivity(np.where(labels == 0, 3.0, 1.0)[:, None], labels) == pytest.approx([0.5])


def test_rare_firing_is_selective_by_chance():
    rates = (rng(0).random((200, 300)) < 0.01).astype(float)
    row = representation_report(rates, LABELS).loc["cells"]
    assert row["selectivity"] > 0.5
    assert row["selectivity"] == pytest.approx(row["selectivity_shuffled"], abs=0.05)


def test_correlation_of_known_cells():
    a = rng(0).random(1000)
    assert pairwise_correlation(np.stack([a, 2 * a, 3 - a], axis=1)).mean_size == pytest.approx(1)
    assert pairwise_correlation(np.stack([a, 5 + a, np.ones(1000)], axis=1)).mean_size == pytest.approx(1), (
        "one never changes"
    )
    assert np.isnan(pairwise_correlation(np.stack([a, np.ones(1000)], axis=1)).mean_size)
    independent = rng(1).random((2000, 30))
    assert pairwise_correlation(independent).mean_size == pytest.approx(np.sqrt(2 / np.pi / 2000), rel=0.1)


def test_dimensionality_of_known_codes():
    signal = rng(0).random((500, 1))
    assert participation_ratio(signal * np.arange(1, 9)) == pytest.approx(1)
    independent = rng(0).random((20_000, 10))
    assert participation_ratio(independent) == pytest.approx(10, rel=0.01)
    assert participation_ratio(np.eye(6)) == pytest.approx(5), "at most the stimuli less one"
    assert np.isnan(participation_ratio(np.ones((5, 3))))


@pytest.mark.parametrize("shape", [(40, 7), (7, 40)])
def test_dimensionality_follows_its_definition(shape):
    rates = rng(0).random(shape)
    values = np.linalg.eigvalsh(np.cov(rates.T))
    assert participation_ratio(rates) == pytest.approx(values.sum() ** 2 / (values**2).sum())


def test_report_of_a_code_of_single_cells():
    rates = np.c_[np.eye(4)[LABELS], np.zeros(200)]
    frame = representation_report(rates, LABELS, inputs=np.ones((200, 3)))
    cells, inputs = frame.loc["cells"], frame.loc["inputs"]
    assert (cells["n_cells"], cells["silent_share"], cells["active_share"]) == pytest.approx((5, 0.2, 0.2))
    assert cells["population_sparseness"] == pytest.approx(1) and cells["selectivity"] == pytest.approx(1)
    assert cells["lifetime_sparseness"] == pytest.approx(0.75 / (1 - 1 / 200))
    assert cells["correlation"] == pytest.approx(1 / 3)
    assert cells["correlation_shuffled"] < 0.1 and cells["selectivity_shuffled"] < 0.4
    assert cells["dimensionality"] == pytest.approx(3)
    assert inputs["population_sparseness"] == pytest.approx(0, abs=1e-12) and inputs["active_share"] == 1
    assert np.isnan(inputs["correlation"])


def test_report_has_what_it_was_given():
    rates = rng(0).random((20, 5))
    assert list(representation_report(rates).index) == ["cells"]
    assert "selectivity" not in representation_report(rates, inputs=rates)
    again = [representation_report(rates, np.arange(20) % 2, random_state=3) for _ in range(2)]
    assert again[0].equals(again[1])


@pytest.mark.parametrize("rates", [np.ones(5), np.ones((1, 5)), np.ones((5, 0))])
def test_rates_must_be_stimuli_by_cells(rates):
    with pytest.raises(ValueError, match=r"rates must be \(n_stimuli, n_cells\)"):
        representation_report(rates)


@pytest.mark.parametrize("bad", [-1.0, np.nan])
def test_rates_must_be_rates(bad):
    with pytest.raises(ValueError, match="rates must be finite and >= 0"):
        representation_report(np.array([[1.0, 2.0], [bad, 1.0]]))


def test_labels_must_be_one_a_stimulus():
    with pytest.raises(ValueError, match=r"labels must be one for each stimulus, shape \(4,\)"):
        class_selectivity(np.ones((4, 2)), [0, 1])


def test_labels_must_not_be_missing():
    with pytest.raises(ValueError, match=r"labels\[1\] is nan"):
        class_selectivity(np.ones((4, 2)), [0, np.nan, 0, 1])


def test_labels_must_differ():
    with pytest.raises(ValueError, match="labels must hold at least 2 classes"):
        class_selectivity(np.ones((4, 2)), np.zeros(4))


def test_inputs_must_be_those_of_the_rates():
    with pytest.raises(ValueError, match=r"inputs must have one row for each stimulus \(4\), got 3"):
        representation_report(np.ones((4, 2)), inputs=np.ones((3, 2)))


def test_inputs_must_be_rates():
    with pytest.raises(ValueError, match="inputs must be finite and >= 0"):
        representation_report(np.ones((4, 2)), inputs=-np.ones((4, 2)))
