"""The loss around samples and along an attack, and their figures."""

import numpy as np
import pytest
from attack_models import Contrast, D, Linear, Quantised

from bioneuro import plot
from bioneuro.attacks import loss_by_step, loss_landscape

pytest.importorskip("pandas")


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
def test_along_the_gradient_a_linear_margin_rises_as_fast_as_it_can(binary, norm, dual):
    model, X, y = binary
    frame = loss_landscape(model, X[:6], y[:6], 0.05, norm, n_points=5)
    assert list(frame.columns) == ["sample", "direction", "distance", "loss"] and len(frame) == 6 * 2 * 5
    slope = np.linalg.norm(model.W[1] - model.W[0], dual)
    margin = model.decision_function(X[:6])
    start = -np.abs(margin[:, 1] - margin[:, 0])
    for (sample, direction), line in frame.groupby(["sample", "direction"]):
        np.testing.assert_allclose(line["distance"], np.linspace(0, 0.1, 5))
        rise = line["loss"].to_numpy() - start[sample]
        if direction == "gradient":
            np.testing.assert_allclose(rise, slope * line["distance"], atol=1e-9)
        else:
            assert (np.abs(rise) <= 0.8 * slope * line["distance"] + 1e-12).all()


def test_in_the_contrast_responses_space_black_pixels_take_part(contrast):
    model, X, y = contrast
    frame = loss_landscape(model, X[:4], y[:4], 0.2, n_points=2, reach=1)
    ends = frame[(frame["direction"] == "gradient") & (frame["distance"] == 0.2)]["loss"]
    worst = -np.array([model.worst_margin(X[i : i + 1], y[i : i + 1], 0.2)[0] for i in range(4)])
    assert (ends.to_numpy() > frame[frame["distance"] == 0]["loss"].to_numpy()[::2]).all()
    assert (ends.to_numpy() <= worst + 1e-9).all()  # one step of the gradient, not more than the optimum


def test_masked_gradients_show_as_a_flat_line(binary):
    model, X, _ = binary
    masked = Quantised(model.W, model.b, model.classes_)
    frame = loss_landscape(masked, X[:5], masked.predict(X[:5]), 0.1)
    spread = frame.groupby(["direction", "sample"])["loss"].agg(np.ptp).groupby("direction").max()
    assert spread["gradient"] == 0 < spread["random"]


@pytest.mark.parametrize("make", [Linear, Contrast])
def test_loss_by_step_is_that_of_each_step(make):
    rng = np.random.default_rng(2)
    model = make(rng.normal(size=(2, D)))
    X = rng.uniform(0.3, 0.7, (5, D))
    y = model.predict(X)
    frame = loss_by_step(model, X, y, 0.1, n_steps=12)
    assert list(frame.columns) == ["sample", "step", "loss"] and len(frame) == 5 * 13
    for _, line in frame.groupby("sample"):
        assert line["step"].tolist() == list(range(13))
        assert (np.diff(line["loss"]) >= -1e-9).all()  # of these models every step of the sign rises
        assert line["loss"].iloc[-1] > line["loss"].iloc[0]
    same = loss_by_step(model, X, y, 0.1, n_steps=12)
    np.testing.assert_array_equal(same["loss"], frame["loss"])
    assert not np.array_equal(loss_by_step(model, X, y, 0.1, n_steps=12, random_state=1)["loss"], frame["loss"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be one positive number, got 0.0"),
        ({"epsilon": [0.1, 0.2]}, "epsilon must be one positive number"),
        ({"n_points": 1}, "n_points must be an integer >= 2, got 1"),
        ({"reach": 0.0}, "reach must be a finite number > 0, got 0.0"),
        ({"reach": np.inf}, "reach must be a finite number > 0, got inf"),
        ({"norm": "l0"}, r"norm must be one of \['l2', 'linf'\], got 'l0'"),
    ],
)
def test_bad_landscapes(binary, arguments, message):
    with pytest.raises(ValueError, match=message):
        loss_landscape(*binary, **arguments)


def test_figures_draw_the_frames(binary):
    plt = pytest.importorskip("matplotlib.pyplot")

    model, X, y = binary
    frame = loss_landscape(model, X[:4], y[:4], 0.05, n_points=5)
    _, ax = plt.subplots()
    assert plot.loss_landscape(frame, ax=ax) is ax
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["along the gradient", "along a random direction"]
    median = frame[frame["direction"] == "gradient"].groupby("distance")["loss"].median()
    drawn = next(line for line in ax.get_lines() if line.get_label() == labels[0])
    np.testing.assert_allclose(drawn.get_data(), [median.index, median])
    steps = loss_by_step(model, X[:4], y[:4], 0.05, n_steps=3)
    ax = plot.loss_by_step(steps)
    assert ax.get_xlabel() == "step" and "4 samples" in ax.get_title(loc="left")
    assert max(len(line.get_xdata()) for line in ax.get_lines()) == 4
    with pytest.raises(ValueError, match=r"frame lacks the columns \['step'\]"):
        plot.loss_by_step(frame)
