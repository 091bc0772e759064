"""Colour images from the file to the attacks: a small generated set in CIFAR-10's own format stands in for it."""

import hashlib
import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax

import bioneuro as bn
from bioneuro import BioClassifier, datasets
from bioneuro.research.claims.circuit_competition import CircuitCompetition
from bioneuro.research.claims.emergent_lognormality import EmergentLognormality
from bioneuro.research.claims.plausible_representations import PlausibleRepresentations
from bioneuro.research.claims.settings import Settings
from bioneuro.research.claims.task_encoding import TaskEncoding
from bioneuro.research.commands import main
from bioneuro.research.comparison import experiment as compare
from bioneuro.research.comparison.models import ComparedModel
from bioneuro.research.trial import Trial

SHAPE = (32, 32, 3)
#: Tint of each class; all have the same mean over the colours, so that a gray image does not tell them.
TINTS = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.5, 0.0, 1.0], [0.5, 0.5, 0.5]])
PER_BATCH = 32
SMALL = {
    "n_cells": 60, "schedule__association_epochs": 2, "schedule__readout_epochs": 10, "encoder__n_columns": 8,
    "encoder__patch_size": 5, "random_state": 0, "n_threads": 1,
}  # fmt: skip


def colour_planes(rng, y):
    """A tinted bar, upright or level, on noise: uint8 (n, channel, row, column), as the files have it."""
    images = rng.uniform(0, 0.15, (len(y), *SHAPE))
    for image, label in zip(images, y, strict=True):
        start = rng.integers(8, 20)
        bar = np.s_[start : start + 4, 4:28] if rng.random() < 0.5 else np.s_[4:28, start : start + 4]
        image[bar] += 0.8 * TINTS[label]
    return np.uint8(255 * np.clip(images, 0, 1)).transpose(0, 3, 1, 2)


@pytest.fixture
def generated(tmp_path, monkeypatch):
    """Six batches in an archive in BIONEURO_DATA; returns labels (6, n) and planes (6, n, channel, row, column)."""
    rng = np.random.default_rng(0)
    labels = rng.permuted(np.tile(np.uint8(np.arange(PER_BATCH) % len(TINTS)), (6, 1)), axis=1)
    planes = np.stack([colour_planes(rng, y) for y in labels])
    published = datasets.DATASETS["cifar10"]
    (filename,) = published.sha256
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for batch, y, images in zip(datasets.CIFAR10_BATCHES, labels, planes, strict=True):
            content = np.hstack([y[:, None], images.reshape(len(y), -1)]).tobytes()
            member = tarfile.TarInfo(f"{datasets.CIFAR10_FOLDER}/{batch}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / filename).write_bytes(buffer.getvalue())
    sha256 = {filename: hashlib.sha256(buffer.getvalue()).hexdigest()}
    monkeypatch.setitem(datasets.DATASETS, "cifar10", replace(published, sha256=sha256, n_test=PER_BATCH))
    monkeypatch.setenv("BIONEURO_DATA", str(tmp_path))
    return labels, planes


def test_rows_are_images_with_the_colours_last(generated):
    labels, planes = generated
    data = bn.datasets.load("cifar10")
    assert data.image_shape == SHAPE and data.X_train.shape == (5 * PER_BATCH, 3072)
    assert data.X_train.dtype == np.float32 and 0 <= data.X_train.min() and data.X_train.max() <= 1
    np.testing.assert_array_equal(data.y_test, labels[5])
    expected = planes[5].transpose(0, 2, 3, 1) / np.float32(255)
    np.testing.assert_allclose(data.X_test.reshape(-1, *SHAPE), expected, rtol=1e-6)


@pytest.mark.parametrize("feature_map", ["tied", "local"])
def test_classes_that_differ_in_colour_alone_are_told_apart(generated, feature_map):
    data = bn.datasets.load("cifar10")
    colour = BioClassifier(**SMALL, encoder__feature_map=feature_map, image_shape=data.image_shape)
    assert colour.fit(data.X_train, data.y_train).score(data.X_test, data.y_test) > 0.9

    gray = [X.reshape(len(X), -1, 3).mean(axis=2) for X in (data.X_train, data.X_test)]
    control = BioClassifier(**SMALL, encoder__feature_map=feature_map).fit(gray[0], data.y_train)
    assert control.image_shape_ == (32, 32)
    assert control.score(gray[1], data.y_test) < 0.6


@pytest.mark.parametrize("feature_map", ["tied", "local"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_input_gradient_in_colour(feature_map, loss):
    rng = np.random.default_rng(1)
    X, y = rng.uniform(0.2, 0.9, (30, 10 * 9 * 3)), np.arange(30) % 3
    model = BioClassifier(**SMALL, encoder__feature_map=feature_map, image_shape=(10, 9, 3), dtype="float64").fit(X, y)
    Z, t, rows = rng.uniform(0.2, 0.9, (4, X.shape[1])), y[:4], np.arange(4)

    def total(Z):
        z = model.decision_function(Z)
        if loss == "ce":
            return -log_softmax(z, axis=1)[rows, t].sum()
        others = z.copy()
        others[rows, t] = -np.inf
        return (others.max(axis=1) - z[rows, t]).sum()

    D, e = rng.normal(size=Z.shape), 1e-6
    expected = (total(Z + e * D) - total(Z - e * D)) / (2 * e)
    assert (model.input_gradient(Z, t, loss) * D).sum() == pytest.approx(expected, rel=1e-4)


def test_attacks_in_colour_stay_within_their_budget_and_fool(generated):
    data = bn.datasets.load("cifar10")
    model = BioClassifier(**SMALL, image_shape=data.image_shape).fit(data.X_train, data.y_train)
    X, y = data.X_test[:12], data.y_test[:12]
    attacks = [bn.attacks.PGD(n_steps=5, random_state=0), bn.attacks.Square(n_queries=20, random_state=0)]
    result = bn.attacks.worst_case(model, X, y, (0.0, 0.3), attacks=attacks)
    assert result.robust_accuracy[1] < result.robust_accuracy[0]
    assert np.abs(result.adversarial - X).max() <= 0.3 + 1e-6
    assert 0 <= result.adversarial.min() and result.adversarial.max() <= 1


def test_comparison_and_claims_tell_the_network_the_shape(generated):
    """3,072 features are no square: left to itself the network would take them for plain vectors."""
    data = bn.datasets.load("cifar10")
    plan = compare.ComparisonPlan.for_dataset("cifar10", len(data.X_train), n_train=40, quick=True, epsilons=None)
    model = ComparedModel(lambda seed: BioClassifier(**SMALL), "delta", "association")
    assert Trial(plan, data, 0).network(model).image_shape_ == SHAPE

    settings = Settings(n_cells=20, changed={"mixing": 200, "schedule__readout_epochs": 1}).fitted_to(data)
    X, y = data.X_train[:20], data.y_train[:20]
    assert BioClassifier(**settings.network(0)).fit(X, y).image_shape_ == SHAPE
    assert BioClassifier(**settings.encoder(0)).fit_features(X).image_shape_ == SHAPE


def test_claims_learn_features_of_images_of_that_shape(generated, monkeypatch):
    data = bn.datasets.load("cifar10")
    shapes = []

    class Seen(Exception):
        """Enough."""

    def note(self, X):
        shapes.append(self.image_shape)
        raise Seen

    settings = Settings(n_train=40, n_validation=10, n_test=20, n_cells=10).fitted_to(data)
    for claim in (CircuitCompetition(), TaskEncoding(), EmergentLognormality()):
        with monkeypatch.context() as patch, pytest.raises(Seen):
            patch.setattr(BioClassifier, "fit_features", note)
            list(claim.run(data, 0, settings, lambda items, _: items))
    assert shapes == [SHAPE] * 3


def test_representations_in_colour_are_described_without_fields(generated):
    data = bn.datasets.load("cifar10")
    claim = PlausibleRepresentations()
    settings = replace(claim.small, n_train=40, n_validation=10, n_test=20, n_cells=20, mlp_epochs=1).fitted_to(data)
    conditions = {found.condition for found in claim._codes(data, 0, settings) if found.measure == "selectivity"}
    assert {"inputs", "ours association", "MLP hidden"} <= conditions


def test_compare_runs_on_cifar10(generated, monkeypatch, tmp_path, capsys):
    model = ComparedModel(lambda seed: BioClassifier(**SMALL), "delta", "association")
    monkeypatch.setattr(compare, "MODELS", {"small": model})
    monkeypatch.setattr(compare, "MEASUREMENTS", {"training": compare.MEASUREMENTS["training"]})
    out = tmp_path / "results"
    command = ["compare", "--dataset", "cifar10", "--quick", "--seeds", "1", "--n-train", "80", "--jobs", "1"]
    assert main([*command, "--out", str(out)]) == 0
    assert "cifar10: 80 training images" in capsys.readouterr().out
