"""Corruptions: what each must leave, move or change; accuracy under them."""

import numpy as np
import pytest
from attack_models import Linear

import bioneuro as bn
from bioneuro.corruptions import CORRUPTIONS, SEVERITIES, corrupt, evaluate

EVERY = pytest.mark.parametrize("name", CORRUPTIONS)
SHAPES = {(8, 8): 64, (28, 28): 784, (12, 9): 108, (10, 10, 3): 300}


def blobs(shape, n=12, seed=0):
    """Smooth bright blobs in the middle of black images, (n, features)."""
    rng = np.random.default_rng(seed)
    height, width = shape[:2]
    rows, columns = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    centres, sizes = rng.uniform(-0.2, 0.2, (n, 2, 1, 1)), rng.uniform(0.15, 0.3, (n, 1, 1))
    images = np.exp(-((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2) / (2 * sizes**2))
    if len(shape) == 3:
        images = images[..., None] * rng.uniform(0.3, 1, (n, 1, 1, shape[2]))
    return images.reshape(n, -1)


def centre(X, shape):
    images = X.reshape(len(X), *shape)
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])
    mass = images.sum(axis=(1, 2))
    return np.stack([(images * rows).sum(axis=(1, 2)) / mass, (images * columns).sum(axis=(1, 2)) / mass], axis=1)


# --- all of them ---


@EVERY
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_images_stay_images_of_the_same_kind(name, shape, dtype):
    X = blobs(shape).astype(dtype)
    before = X.copy()
    for severity in SEVERITIES:
        changed = corrupt(X, name, severity, shape)
        assert changed.shape == X.shape and changed.dtype == dtype
        assert np.isfinite(changed).all() and changed.min() >= 0 and changed.max() <= 1
        assert (changed != X).any(axis=1).mean() > 0.7
    np.testing.assert_array_equal(X, before)


@EVERY
def test_severity_grows(name):
    X = blobs((28, 28), n=60)
    changes = [np.linalg.norm(corrupt(X, name, severity) - X, axis=1).mean() for severity in SEVERITIES]
    assert (np.diff(changes) > 0).all(), changes
    assert list(CORRUPTIONS[name].strengths) in (sorted(CORRUPTIONS[name].strengths), [0.75, 0.5, 0.35, 0.25, 0.15])


@EVERY
def test_an_image_is_corrupted_by_its_content_and_the_seed(name):
    X = blobs((12, 12), n=8)
    whole = corrupt(X, name, 3)
    np.testing.assert_array_equal(corrupt(X[::-1], name, 3)[::-1], whole)
    np.testing.assert_array_equal(corrupt(X[2:3], name, 3)[0], whole[2])
    if name not in ("gaussian_blur", "brightness", "contrast"):
        assert not np.array_equal(corrupt(X, name, 3, random_state=1), whole)


# --- each by what it says ---


def test_noises_have_their_deviations():
    grey = np.full((50, 784), 0.5)
    grey[:, 0] += np.arange(50) / 1000  # the same image would get the same noise
    for severity, deviation in zip(SEVERITIES[:2], CORRUPTIONS["gaussian_noise"].strengths, strict=False):
        np.testing.assert_allclose(corrupt(grey, "gaussian_noise", severity).std(), deviation, rtol=0.02)
    np.testing.assert_allclose(corrupt(grey, "shot_noise", 1).std(), 0.15 * np.sqrt(0.5), rtol=0.02)
    assert not corrupt(np.zeros((3, 784)), "shot_noise", 5).any()  # no photons, no noise
    for severity, share in zip(SEVERITIES, CORRUPTIONS["impulse_noise"].strengths, strict=True):
        impulses = corrupt(grey, "impulse_noise", severity)
        np.testing.assert_allclose((impulses == 1).mean(), share / 2, rtol=0.1)
        np.testing.assert_allclose((impulses == 0).mean(), share / 2, rtol=0.1)
    colour = corrupt(np.full((5, 300), 0.5), "impulse_noise", 5, (10, 10, 3)).reshape(-1, 3)
    assert (colour == colour[:, :1]).all()


@pytest.mark.parametrize("name", ["gaussian_blur", "motion_blur"])
def test_blurs_keep_the_mass_and_lower_the_peak(name):
    X = blobs((28, 28))
    blurred = corrupt(X, name, 3)
    np.testing.assert_allclose(blurred.sum(axis=1), X.sum(axis=1), rtol=0.03)
    assert (blurred.max(axis=1) < X.max(axis=1)).all()


def test_translation_moves_the_centre_by_its_length():
    X = blobs((28, 28))
    for severity, shift in zip(SEVERITIES[:2], CORRUPTIONS["translate"].strengths, strict=False):
        moves = centre(corrupt(X, "translate", severity), (28, 28)) - centre(X, (28, 28))
        np.testing.assert_allclose(np.linalg.norm(moves, axis=1), shift * 28, rtol=0.03)
    assert len(np.unique(np.sign(moves), axis=0)) > 1  # in several directions


def test_rotation_turns_by_its_angle():
    bar = np.zeros((1, 29, 29))
    bar[:, 13:16, 4:25] = 1
    bars = (bar * np.linspace(0.5, 1, 8)[:, None, None]).reshape(8, -1)
    images = corrupt(bars, "rotate", 3, (29, 29)).reshape(8, 29, 29)
    rows, columns = np.mgrid[-14:15, -14:15]
    moments = [(images * a * b).sum(axis=(1, 2)) for a, b in ((rows, rows), (columns, columns), (rows, columns))]
    angle = np.rad2deg(0.5 * np.arctan2(2 * moments[2], moments[1] - moments[0]))
    np.testing.assert_allclose(np.abs(angle), 30, atol=0.5)
    assert len(set(np.sign(angle))) == 2


def test_scale_changes_the_area_by_the_square_of_its_factor():
    X = blobs((28, 28), n=30)
    ratio = corrupt(X, "scale", 2).sum(axis=1) / X.sum(axis=1)
    factor = 1.2**2
    np.testing.assert_allclose(np.minimum(ratio, 1 / ratio), 1 / factor, rtol=0.05)
    assert (ratio < 1).any() and (ratio > 1).any()


def test_shear_keeps_each_row_and_moves_it():
    rows = np.zeros((1, 29, 29))
    rows[0, :, 14] = 1
    sheared = corrupt(rows.reshape(1, -1), "shear", 2, (29, 29)).reshape(29, 29)
    position = (sheared * np.arange(29)).sum(axis=1) / sheared.sum(axis=1)
    np.testing.assert_allclose(np.abs(np.diff(position)), 0.3, atol=1e-6)


def test_light_follows_its_formulas():
    X = blobs((10, 10))
    np.testing.assert_allclose(corrupt(X, "brightness", 2), np.minimum(X + 0.2, 1))
    mean = X.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(corrupt(X, "contrast", 2), mean + 0.5 * (X - mean))
    white = corrupt(np.ones((3, 100)), "fog", 3)
    black = corrupt(np.zeros((3, 100)), "fog", 3)
    assert black.max() == pytest.approx(0.5) and black.min() == 0 and white.min() == pytest.approx(0.75)


def test_occlusion_is_one_grey_square_inside():
    X = np.zeros((40, 784))
    for severity, side in zip(SEVERITIES, CORRUPTIONS["occlusion"].strengths, strict=True):
        images = corrupt(X + np.arange(40)[:, None] / 1000, "occlusion", severity).reshape(40, 28, 28)
        assert ((images == 0.5).sum(axis=(1, 2)) == round(side * 28) ** 2).all()
    places = (images == 0.5).any(axis=1).argmax(axis=1)
    assert len(set(places)) > 5


def test_stripe_inverts_and_lines_only_add_ink():
    X = blobs((28, 28))
    striped = corrupt(X, "stripe", 3)
    assert np.isclose(striped, X).sum() > 0.6 * X.size
    assert (np.isclose(striped, X) | np.isclose(striped, 1 - X)).all()
    for name in ("dotted_line", "zigzag"):
        lined = corrupt(X, name, 3)
        assert (lined >= X).all() and 0.02 < (lined > X).mean() < 0.25
    solid, dotted = (corrupt(X, name, 3) > X for name in ("zigzag", "dotted_line"))
    assert dotted.mean() < 0.8 * solid.mean()


# --- accuracy under them ---


def template_model(shape=(8, 8)):
    data = bn.datasets.load("digits")
    means = np.stack([data.X_train[data.y_train == c].mean(axis=0) for c in range(10)])
    model = Linear(means, b=-(means**2).sum(axis=1) / 2, classes=np.arange(10))
    return model, data.X_test[:150], data.y_test[:150]


def test_evaluate_is_tidy_and_falls_with_severity():
    model, X, y = template_model()
    frame = evaluate(model, X, y, batch_size=64)
    assert list(frame.columns) == ["corruption", "severity", "accuracy"]
    assert len(frame) == 1 + 5 * len(CORRUPTIONS)
    clean = frame.iloc[0]
    assert (clean.corruption, clean.severity) == ("none", 0)
    assert clean.accuracy == pytest.approx((model.predict(X) == y).mean())
    by_severity = frame[frame.severity > 0].groupby("severity").accuracy.mean()
    assert (by_severity.diff().dropna() < 0).all() and by_severity[1] <= clean.accuracy + 0.01
    one = evaluate(model, X, y, corruptions=["rotate"], severities=[2, 4], batch_size=7)
    expected = [(model.predict(corrupt(X, "rotate", s)) == y).mean() for s in (2, 4)]
    np.testing.assert_allclose(one.accuracy[1:], expected)


def test_evaluate_reads_the_shape_of_the_model():
    model, X, y = template_model()
    model.image_shape_ = (4, 16)
    of_model = evaluate(model, X, y, corruptions=["rotate"], severities=[3])
    del model.image_shape_
    given = evaluate(model, X, y, corruptions=["rotate"], severities=[3], image_shape=(4, 16))
    assert of_model.equals(given)
    assert not given.equals(evaluate(model, X, y, corruptions=["rotate"], severities=[3]))


# --- bad input ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "snow"}, "unknown corruption 'snow'; choose from gaussian_noise"),
        ({"severity": 0}, r"severity must be an integer in \[1, 5\], got 0"),
        ({"severity": 2.5}, r"severity must be an integer in \[1, 5\], got 2.5"),
        ({"X": np.zeros(16)}, r"X must be \(n, features\) and not empty, got shape \(16,\)"),
        ({"X": np.full((2, 16), 1.5)}, r"X must lie in \[0, 1\]"),
        ({"X": np.full((2, 16), np.nan)}, "X must be finite; row 0, feature 0 is nan"),
        ({"image_shape": (3, 5)}, r"image_shape must have a product of 16 features, got \(3, 5\)"),
        ({"image_shape": (16, 1)}, "rows of 16 features are none: give image_shape"),
        ({"X": np.zeros((2, 15))}, "rows of 15 features are none: give image_shape"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        corrupt(**{"X": np.zeros((2, 16)), "name": "rotate", **arguments})


def test_bad_batch_size():
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1, got 0"):
        evaluate(*template_model(), batch_size=0)


def test_names_are_checked_before_any_work():
    model, X, y = template_model()
    with pytest.raises(ValueError, match="unknown corruption 'snow'"):
        evaluate(model, X, y, corruptions=["rotate", "snow"])
