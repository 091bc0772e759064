"""Figures: what is drawn is what was computed."""

import sys

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, sparse

from bioneuro import analysis, plot

plt = pytest.importorskip("matplotlib.pyplot")

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def W():
    rng = np.random.default_rng(0)
    w = rng.lognormal(-2, 0.7, (20, 100))
    return sparse.csr_array(np.where(rng.random(w.shape) < 0.6, w, 0.0))


@pytest.fixture
def cut_W():
    w = np.random.default_rng(0).lognormal(-2, 0.7, (20, 100))
    return sparse.csr_array(np.where(w >= 0.05 * w.max(axis=1, keepdims=True), w, 0.0))


def curves(ax):
    return {line.get_label().split(":")[0].split(",")[0]: line for line in ax.get_lines()}


class Model:
    def __init__(self, **pathways):
        self.pathways = pathways

    def weights(self):
        return self.pathways


# --- weight_distribution ------------------------------------------------------------------------------


def test_weight_distribution_draws_the_fits_it_names(W):
    ax = plot.weight_distribution(W)
    ax.figure.canvas.draw()
    fit = analysis.fit_weight_distribution(W).set_index("distribution")
    drawn = curves(ax)
    assert {"lognormal", "gamma", "exponential", "cortical shape"} == drawn.keys()
    log10_w, density = drawn["gamma"].get_data()
    law = analysis.DISTRIBUTIONS["gamma"].law(**fit.params["gamma"])
    assert density == pytest.approx(law.pdf(10**log10_w) * 10**log10_w * np.log(10))
    assert f"KS {fit.ks['gamma']:.3f}" in drawn["gamma"].get_label()
    assert ax.get_xlabel() == "log$_{10}$ weight" and ax.get_ylabel() == "probability density"


def test_weight_distribution_histogram_is_a_density(W):
    ax = plot.weight_distribution(W, bins=17)
    assert len(ax.patches) == 17
    assert sum(bar.get_height() * bar.get_width() for bar in ax.patches) == pytest.approx(1)


def test_weight_distribution_tells_silent_share_and_sigma(W):
    title = plot.weight_distribution(W).get_title(loc="left")
    assert f"{W.nnz:,} weights" in title
    assert f"{1 - W.nnz / 2000:.0%} silent: lognormal" in title
    assert f"σ {np.log(W.data).std():.2f}" in title


def test_weight_distribution_truncates_its_curves(cut_W):
    cut = analysis.row_thresholds(cut_W, 0.05)
    ax = plot.weight_distribution(cut_W, threshold=cut)
    for law in ("lognormal", "cortical shape"):
        log10_w, density = curves(ax)[law].get_data()
        assert (density[10**log10_w < cut.min()] == 0).all()
        assert integrate.trapezoid(density, log10_w) == pytest.approx(1, abs=0.03)
    assert ax.get_legend().get_title().get_text() == "fits left-truncated at the cut"


@pytest.mark.parametrize("cut", [False, True])
def test_cortical_shape_shares_the_median_of_the_weights(W, cut_W, cut):
    W = cut_W if cut else W
    threshold = analysis.row_thresholds(W, 0.05) if cut else None
    law = plot.weights._cortical_shape(W.data, threshold)
    assert law["s"] == analysis.SONG_2005.sigma
    u = analysis.pit(W.data, "lognormal", law, threshold=threshold)
    assert np.median(u) == pytest.approx(0.5, abs=2e-3)


def test_cortical_shape_of_weights_at_their_cut_is_finite():
    law = plot.weights._cortical_shape(np.array([1.0, 1.0, 1.0, 1.1]), np.ones(4))
    assert np.isfinite(law["scale"])


def test_qq_inset_is_straight_for_a_lognormal_and_bent_for_an_exponential():
    rng = np.random.default_rng(1)

    def bend(weights):
        (inset,) = plot.weight_distribution(weights).child_axes
        theory, observed = inset.get_lines()[-1].get_data()
        return np.abs(observed - theory)[10:-10].max()

    assert bend(rng.lognormal(size=5000)) < 0.1
    assert bend(rng.exponential(size=5000)) > 0.3


def test_best_law_is_always_drawn(W):
    w = np.random.default_rng(2).weibull(5.0, 3000)
    assert "weibull" in curves(plot.weight_distribution(w, distributions=("exponential",)))


def test_weight_distribution_of_a_model_and_its_layers(W):
    model = Model(association=W, readout=2 * W[:10])
    assert f"{W.nnz:,} weights" in plot.weight_distribution(model).get_title(loc="left")
    readout = plot.weight_distribution(model, layer="readout").get_title(loc="left")
    assert f"{W[:10].nnz:,} weights" in readout
    with pytest.raises(ValueError, match="no layer 'map': choose from 'association', 'readout'"):
        plot.weight_distribution(model, layer="map")


def test_weight_distribution_of_both_signs_is_an_error(W):
    with pytest.raises(ValueError, match="pass excitatory and inhibitory weights apart"):
        plot.weight_distribution(sparse.vstack([W, -W]))


def test_weight_distribution_of_an_inhibitory_pathway_is_of_its_magnitudes(W):
    exc, inh = plot.weight_distribution(W), plot.weight_distribution(-W)
    assert curves(inh)["gamma"].get_ydata() == pytest.approx(curves(exc)["gamma"].get_ydata())
    assert inh.get_title(loc="left") == exc.get_title(loc="left")


def test_the_figure_of_a_panel_has_no_inset_and_its_numbers_cover_no_data(W):
    alone, (panel, _) = plot.weight_distribution(W), plt.subplots(1, 2, layout="constrained")[1]
    plot.weight_distribution(W, panel)
    for ax, n_insets in ((alone, 1), (panel, 0)):
        assert len(ax.child_axes) == n_insets
        ax.figure.canvas.draw()
        assert ax.get_legend().get_window_extent().y1 < ax.get_window_extent().y0
        assert ax.get_legend().get_window_extent().y0 >= 0  # and is on the figure
    assert plot.weight_distribution(W, panel, inset=True).child_axes


def test_weight_distribution_refuses_an_unknown_law(W):
    with pytest.raises(ValueError, match=r"distributions\[1\] must be one of .*'lognormal'.*, got 'nope'"):
        plot.weight_distribution(W, distributions=("gamma", "nope"))


def test_weight_distribution_refuses_text():
    with pytest.raises(TypeError, match="weights must be an array of numbers, got list"):
        plot.weight_distribution(["a", "b"])


# --- weight_comparison --------------------------------------------------------------------------------


def test_weight_comparison_refuses_a_list(W):
    with pytest.raises(TypeError, match="models must be a dict of name to model or weights, got list"):
        plot.weight_comparison([W])


def test_weight_comparison_draws_densities_on_the_same_bins_and_names_the_laws(W):
    rng = np.random.default_rng(0)
    humps = rng.lognormal(np.repeat([-2, 2], 1000), 0.3)
    ax = plot.weight_comparison({"one": Model(association=W), "other": -3 * W, "humps": humps}, bins=30)
    one, other, humped = ax.get_lines()
    np.testing.assert_allclose(one.get_ydata(), other.get_ydata(), atol=1e-12)  # relative to the median: one shape
    for line in ax.get_lines():
        edges, heights = line.get_data()
        assert np.sum(heights[1:-1:2] * np.diff(edges[::2])) == pytest.approx(1)
    fit = analysis.fit_weight_distribution(W)
    sigma = fit.params[fit.distribution == "lognormal"].iloc[0]["s"]
    assert one.get_label().startswith(f"one: lognormal, KS {fit.ks[0]:.3f}, σ {sigma:.2f}, {W.nnz:,} weights, ")
    assert humped.get_label().startswith("humps: no law, KS 0.")


def test_weight_comparison_in_the_weights_own_unit(W):
    ax = plot.weight_comparison({"one": W, "tenfold": 10 * W}, relative=False)
    one, tenfold = (np.average(x, weights=y) for x, y in (line.get_data() for line in ax.get_lines()))
    assert tenfold - one == pytest.approx(1, abs=0.02)


def test_weight_comparison_of_nothing():
    with pytest.raises(ValueError, match="models must not be empty"):
        plot.weight_comparison({})


@pytest.mark.parametrize("n_models", [2, 9, 22])
def test_legends_of_curves_cover_no_data_and_lie_on_the_figure(n_models):
    rows = [(f"model {i}", epsilon, 0.5, seed) for i in range(n_models) for epsilon in (0, 0.2) for seed in range(2)]
    ax = plot.robustness_curve(pd.DataFrame(rows, columns=["model", "epsilon", "robust_accuracy", "seed"]))
    ax.figure.canvas.draw()
    legend = ax.get_legend().get_window_extent()
    assert 0 <= legend.y0 < legend.y1 < ax.get_window_extent().y0
    assert [tick for tick in ax.get_xticks()] == [0, 0.2]  # where it was attacked


# --- receptive_fields ---------------------------------------------------------------------------------


def test_receptive_fields_are_on_minus_off_tiles():
    rng = np.random.default_rng(3)
    W = rng.random((5, 24))
    sheet = plot.receptive_fields(sparse.csr_array(W), (3, 4)).get_images()[0].get_array()
    assert sheet.shape == (2 * 4 - 1, 3 * 5 - 1)
    field = (W[4, :12] - W[4, 12:]).reshape(3, 4)  # the second row's second tile
    np.testing.assert_allclose(sheet[4:7, 5:9], field / np.abs(field).max())
    assert np.isnan(np.ma.filled(sheet[3], np.nan)).all()  # the gap
    assert np.isnan(np.ma.filled(sheet[4:, 10:], np.nan)).all()  # no sixth cell


def test_receptive_fields_of_plain_rows_and_of_the_first_n():
    W = np.arange(1.0, 37.0).reshape(4, 9)
    ax = plot.receptive_fields(W, (3, 3), n=1)
    sheet = ax.get_images()[0].get_array()
    np.testing.assert_allclose(sheet, W[0].reshape(3, 3) / 9)
    assert ax.get_title(loc="left") == "Receptive fields of 1 cells"


def test_receptive_field_of_a_silent_cell_is_flat():
    sheet = plot.receptive_fields(np.zeros((1, 4)), (2, 2)).get_images()[0].get_array()
    assert (sheet == 0).all()


@pytest.mark.parametrize(
    ("shape", "n", "message"),
    [((2, 3), 4, "W must have 6 or 12 columns for 2 x 3"), ((2, 2), 0, "n must be an integer >= 1")],
)
def test_receptive_fields_errors(shape, n, message):
    with pytest.raises(ValueError, match=message):
        plot.receptive_fields(np.ones((3, 4)), shape, n=n)


# --- Results over seeds -------------------------------------------------------------------------------


@pytest.fixture
def results():
    rng = np.random.default_rng(4)
    rows = [
        {"model": model, "epsilon": x / 10, "n_shot": x + 1, "seed": seed, "value": rng.uniform(0.4, 0.6)}
        for model in ("bio", "mlp")
        for x in (4, 0, 1)
        for seed in range(3)
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(accuracy=frame.value, robust_accuracy=frame.value)


@pytest.mark.parametrize(("draw", "x"), [(plot.robustness_curve, "epsilon"), (plot.low_data_curve, "n_shot")])
def test_curves_are_means_with_student_bands(results, draw, x):
    ax = draw(results)
    ax.figure.canvas.draw()
    assert [line.get_label() for line in ax.get_lines()] == ["bio", "mlp"]
    for line, band, (_, part) in zip(ax.get_lines(), ax.collections, results.groupby("model"), strict=True):
        intervals = [analysis.mean_interval(v) for _, v in part.groupby(x)["value"]]
        assert line.get_xdata() == pytest.approx(np.sort(part[x].unique()))
        assert line.get_ydata() == pytest.approx([i.mean for i in intervals])
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() == pytest.approx(max(0, min(i.low for i in intervals)))
        assert heights.max() == pytest.approx(min(1, max(i.high for i in intervals)))


def test_repeats_within_a_seed_are_not_evidence(results):
    once, thrice = plot.robustness_curve(results), plot.robustness_curve(pd.concat([results] * 3))
    for a, b in zip(once.collections, thrice.collections, strict=True):
        assert a.get_paths()[0].vertices == pytest.approx(b.get_paths()[0].vertices)


def test_one_seed_has_a_curve_and_no_band(results):
    ax = plot.robustness_curve(results[results.seed == 0])
    ax.figure.canvas.draw()
    assert np.isfinite(ax.get_lines()[0].get_ydata()).all()
    assert not any(path.vertices.size for band in ax.collections for path in band.get_paths())


def test_robustness_curve_names_attack_norm_and_images(results):
    told = plot.robustness_curve(results.assign(attack="PGD", norm="linf", n=100)).get_title(loc="left")
    assert told == "Accuracy under attack\nPGD, linf, 100 images, mean, 95% interval over 3 seeds"
    mixed = plot.robustness_curve(results.assign(norm=["linf", "l2"] * (len(results) // 2))).get_title(loc="left")
    assert mixed == "Accuracy under attack\nmean, 95% interval over 3 seeds"


def test_no_two_of_many_curves_look_alike():
    frame = pd.DataFrame([(f"model {k}", e, 0.5, 0) for k in range(11) for e in (0, 1)])
    ax = plot.robustness_curve(frame.set_axis(["model", "epsilon", "robust_accuracy", "seed"], axis=1))
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in ax.get_lines()}
    assert len(looks) == 11 == len({(colour, marker) for colour, marker, _ in looks})


def test_low_data_curve_has_a_log_axis_with_the_shots_as_ticks(results):
    ax = plot.low_data_curve(results)
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2", "5"]


def test_accuracy_bars(results):
    ax = plot.accuracy_bars(results)
    per_seed = results.groupby(["model", "seed"])["value"].mean()
    bars = [bar.get_width() for bar in ax.patches]
    assert bars == pytest.approx([per_seed["bio"].mean(), per_seed["mlp"].mean()])
    named = [f"{model}  {per_seed[model].mean():.1%}" for model in ("bio", "mlp")]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == named
    assert not ax.texts  # no number over the bars
    seeds = [line.get_xdata() for line in ax.get_lines() if line.get_marker() == "o"]
    assert seeds[0] == pytest.approx(per_seed["bio"].to_numpy())
    assert ax.get_title(loc="left") == "Accuracy\nmean, 95% interval; dots are seeds"
    alone = plot.accuracy_bars(results[results["seed"] == 0])
    assert alone.get_title(loc="left") == "Accuracy\none seed"


@pytest.mark.parametrize("draw", [plot.robustness_curve, plot.low_data_curve, plot.accuracy_bars])
def test_frames_must_be_tidy(results, draw):
    with pytest.raises(ValueError, match=r"frame lacks the columns \['seed'\]"):
        draw(results.drop(columns="seed"))
    with pytest.raises(ValueError, match="frame must have at least one row"):
        draw(results.iloc[:0])


# --- density_by_turnover ------------------------------------------------------------------------------


def test_density_by_turnover_has_its_ticks_where_it_was_tried():
    ax = plot.density_by_turnover(DENSITIES)
    assert ax.get_xscale() == "log" and [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "4"]
    assert ax.get_lines()[0].get_xydata() == pytest.approx(np.array([[1, 0.505], [4, 0.13]]))


def test_turnover_of_none_has_no_place_on_a_log_axis():
    with pytest.raises(ValueError, match="turnover must be > 0 for a logarithmic axis, got 0"):
        plot.density_by_turnover(DENSITIES.assign(turnover=[0, 0, 4, 4]))
    assert not plt.get_fignums()


# --- gabor_fits ---------------------------------------------------------------------------------------


def test_gabor_fits_draws_the_plane_of_both_widths():
    ax = plot.gabor_fits(GABORS, label="map")
    ax.figure.canvas.draw()
    good, poor = ax.get_lines()
    assert good.get_xydata() == pytest.approx(np.array([[0.1, 0.2], [0.4, 0.5]]))
    assert poor.get_xydata() == pytest.approx(np.array([[2.0, 3.0]])) and poor.get_markerfacecolor() == "none"
    assert good.get_label() == "map: median R² 0.70, 67% ≥ 0.6"
    assert plot.gabor_fits(GABORS, ax, label="control") is ax and len(ax.get_lines()) == 4


def test_gabor_fits_names_missing_columns():
    with pytest.raises(ValueError, match=r"frame lacks the columns \['r2'\]"):
        plot.gabor_fits(pd.DataFrame({"nx": [1.0], "ny": [1.0]}))


# --- images under attack ------------------------------------------------------------------------------


def test_adversarial_examples_are_drawn_where_they_belong():
    clean = np.full((3, 6), 0.5)
    brighter = clean + [[0.0], [0.1], [-0.2]]
    ax = plot.adversarial_examples(
        clean, {"A": clean, "B": brighter}, (2, 3), labels=[7, 8, 9], predictions={"B": [7, 8, 1]}
    )
    ax.figure.canvas.draw()
    sheet = np.asarray(ax.images[0].get_array())
    assert sheet.shape == (5 * (2 + 1), 3 * 4 - 1, 3)  # a line of text or a gap above each row
    assert sheet[1, 0] == pytest.approx([0.5] * 3) and sheet[10, 4] == pytest.approx([0.6] * 3)
    unchanged, more, less = sheet[13, 0], sheet[13, 4], sheet[13, 8]
    assert more[0] > more[2] and less[2] > less[0] and np.ptp(unchanged) < 0.01
    assert sheet[3, 0] == pytest.approx([1] * 3), "rows must be apart"
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["clean", "A", "difference", "B", "difference"]
    colours = {text.get_text(): text.get_color() for text in ax.texts}
    assert colours["1"] == plot.VERMILION and colours["9"] == plot.BLUE and len(ax.texts) == 6
    images = sheet.min(axis=2) < 1  # what is written is written beside the images
    for text in ax.texts:
        box = ax.transData.inverted().transform(text.get_window_extent().get_points())
        assert not images[max(0, int(np.ceil(box[1, 1]))) : int(box[0, 1] + 0.5), :].any(), text
    assert "0.2" in ax.get_title(loc="left")


def test_adversarial_examples_in_colour():
    clean = np.zeros((1, 12))
    ax = plot.adversarial_examples(clean, {"A": clean + np.tile([0.5, 0, 0], 4)}, (2, 2, 3))
    sheet = np.asarray(ax.images[0].get_array())
    assert sheet[3, 0] == pytest.approx([0.5, 0, 0]) and sheet[6, 0] == pytest.approx([1, 0.5, 0.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_shape": (2, 2)}, r"clean must be \(n, 4\) with n >= 1, got shape \(2, 6\)"),
        ({"image_shape": (3, 1, 2)}, "image_shape must be"),
        ({"adversarial": {}}, "adversarial must hold the images of at least one model"),
        ({"adversarial": {"A": np.zeros((1, 6))}}, r"adversarial\['A'\] must hold 2 images, as clean does, got 1"),
        ({"labels": [1]}, "labels must hold one value for each of the 2 images, got 1"),
        ({"predictions": {"A": [1]}}, r"predictions\['A'\] must hold one value"),
    ],
)
def test_adversarial_examples_names_what_is_wrong(change, message):
    right = {"clean": np.zeros((2, 6)), "adversarial": {"A": np.zeros((2, 6))}, "image_shape": (2, 3)}
    with pytest.raises(ValueError, match=message):
        plot.adversarial_examples(**right | change)


# --- images that decided, episodes, ranks, tasks, rates -----------------------------------------------


def test_winning_prototypes_show_shares_and_whether_it_was_right():
    images = np.eye(4)
    shares = [[0.7, 0.3], [0.6, 0.4]]
    ax = plot.winning_prototypes(images[:2], images, [[0, 2], [1, 3]], shares, (2, 2), right=[True, False])
    assert [text.get_text() for text in ax.texts] == ["70%", "30%", "60%", "40%"]
    marks = [(line.get_color(), line.get_linestyle()) for line in ax.get_lines()]
    assert marks == [(plot.COLOURS[2], "-"), (plot.VERMILION, ":")]
    drawn = [np.asarray(image.get_array()).ravel() for image in ax.images]
    np.testing.assert_array_equal(drawn, images[[0, 0, 2, 1, 1, 3]])


@pytest.mark.parametrize(
    ("rows", "shares", "message"),
    [
        ([[0, 4]], [[0.5, 0.5]], r"rows must lie in \[0, 4\), got 0 to 4"),
        ([[0, 1]], [[0.5]], r"rows and shares must be 1 x k, got \(1, 2\) and \(1, 1\)"),
    ],
)
def test_winners_must_be_support_images_with_a_share_each(rows, shares, message):
    with pytest.raises(ValueError, match=message):
        plot.winning_prototypes(np.eye(4)[:1], np.eye(4), rows, shares, (2, 2))


def test_a_model_that_has_not_seen_all_shots_has_fewer_bars():
    some = FEW[(FEW["model"] == "A") | (FEW["n_shot"] == 5)]
    ax = plot.episodes(some)
    assert len(ax.patches) == 3
    assert ax.patches[0].get_height() == pytest.approx(FEW["accuracy"][:3].mean())


def test_ranks_have_their_place_and_interval():
    ranks = pd.concat([RANKS, pd.DataFrame({"model": ["B"], "criterion": "few", "rank": 1, "low": 1, "high": 1})])
    ax = plot.rank_map(ranks)
    grid = ax.images[0].get_array()
    np.testing.assert_array_equal(np.ma.filled(grid, np.nan), [[1, np.nan], [2, 1]])
    assert [text.get_text() for text in ax.texts] == ["1\n1–2", "2\n1–2", "1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ranks: ranks[:0], "ranks must have at least one row"),
        (lambda ranks: ranks.drop(columns="low"), "ranks lacks the columns"),
        (lambda ranks: ranks.assign(rank=[1, 0]), "ranks must be >= 1, got 0"),
    ],
)
def test_ranks_that_are_none(change, message):
    with pytest.raises(ValueError, match=message):
        plot.rank_map(change(RANKS))


def test_task_matrix_is_a_matrix():
    with pytest.raises(ValueError, match=r"accuracy must be \(n_parts, n_tasks\), got shape \(3,\)"):
        plot.task_matrix([0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([0.1, -0.1], r"rates must be finite and >= 0, one for each cell, got shape \(2,\)"),
        ([0.1, -0.2], "rates must be finite and >= 0"),
        ([0.1, 0.0, 0.0], "rates must hold at least 2 cells that fire, got 1"),
        (np.zeros(5), "rates must hold at least 2 cells that fire, got 0"),
    ],
)
def test_rates_that_have_no_distribution(rates, message):
    with pytest.raises(ValueError, match=message):
        plot.rate_distribution(rates)


def test_equal_rates_have_no_lognormal():
    ax = plot.rate_distribution([0.5, 0.5, 0.0], bins=3)
    assert not ax.get_lines()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["2 of 3 cells"]


# --- All of them --------------------------------------------------------------------------------------

GABORS = pd.DataFrame({"nx": [0.1, 0.4, np.nan, 2.0], "ny": [0.2, 0.5, np.nan, 3.0], "r2": [0.9, 0.7, np.nan, 0.2]})
LOSSES = pd.DataFrame({"sample": [0, 0], "direction": "gradient", "distance": [0.0, 0.1], "step": [0, 1], "loss": 0.0})
FEW = pd.DataFrame(
    [(m, k, run, 0.5 + 0.1 * run, 0.2 - 0.05 * run) for m in "AB" for k in (1, 5) for run in range(3)],
    columns=["model", "n_shot", "run", "accuracy", "error"],
)
STREAM = pd.DataFrame(
    [("A", seed, part, task, 0.9 - 0.1 * part) for seed in range(2) for part in range(2) for task in range(2)],
    columns=["model", "seed", "part", "task", "accuracy"],
)
RANKS = pd.DataFrame({"model": ["A", "B"], "criterion": "clean", "rank": [1, 2], "low": [1, 1], "high": [2, 2]})


DENSITIES = pd.DataFrame(
    [("A", ratio, seed, 0.5 / ratio + 0.01 * seed) for ratio in (1, 4) for seed in range(2)],
    columns=["model", "turnover", "seed", "density"],
)
KEPT = pd.DataFrame({"epoch": [0, 0, 1, 1], "stage": "association", "density": 0.5, "weight": [0.1, 0.2, 0.1, 0.4]})
LEARNING = pd.DataFrame({"epoch": [0, 1], "stage": "readout", "readout": "delta", "accuracy": [0.1, 0.9]})


class Made:
    """A model of one pathway."""

    def __init__(self, W):
        self.W = W

    def outgoing(self):
        return {"inputs": {"output": self.W}}


EVERY = {
    "weight_comparison": lambda W, results, ax: plot.weight_comparison({"W": W}, ax),
    "weight_distribution": lambda W, results, ax: plot.weight_distribution(W, ax),
    "receptive_fields": lambda W, results, ax: plot.receptive_fields(W, (10, 5), ax),
    "learning_curve": lambda W, results, ax: plot.learning_curve(LEARNING, ax),
    "weights_over_time": lambda W, results, ax: plot.weights_over_time(KEPT, ax),
    "density_by_turnover": lambda W, results, ax: plot.density_by_turnover(DENSITIES, ax),
    "network_diagram": lambda W, results, ax: plot.network_diagram(Made(W), ax),
    "gabor_fits": lambda W, results, ax: plot.gabor_fits(GABORS, ax),
    "rate_distribution": lambda W, results, ax: plot.rate_distribution(W.toarray()[0], ax),
    "loss_landscape": lambda W, results, ax: plot.loss_landscape(LOSSES, ax),
    "loss_by_step": lambda W, results, ax: plot.loss_by_step(LOSSES, ax),
    "robustness_curve": lambda W, results, ax: plot.robustness_curve(results, ax),
    "low_data_curve": lambda W, results, ax: plot.low_data_curve(results, ax),
    "accuracy_bars": lambda W, results, ax: plot.accuracy_bars(results, ax),
    "adversarial_examples": lambda W, results, ax: plot.adversarial_examples(np.eye(4), {"A": np.eye(4)}, (2, 2), ax),
    "episodes": lambda W, results, ax: plot.episodes(FEW, ax),
    "one_shot_errors": lambda W, results, ax: plot.one_shot_errors(FEW, ax),
    "winning_prototypes": lambda W, results, ax: plot.winning_prototypes(
        np.eye(4)[:1], np.eye(4), [[0, 2]], [[0.7, 0.3]], (2, 2), ax
    ),
    "continual_curve": lambda W, results, ax: plot.continual_curve(STREAM, ax),
    "rank_map": lambda W, results, ax: plot.rank_map(RANKS, ax),
    "task_matrix": lambda W, results, ax: plot.task_matrix([[0.9, 0.1], [0.8, 0.7]], ax),
}


def test_every_figure_is_tested():
    assert set(EVERY) == set(plot.__all__)


@pytest.mark.parametrize("name", EVERY)
def test_figures_are_drawn_on_the_axes_given(W, results, name):
    _, ax = plt.subplots()
    assert EVERY[name](W, results, ax) is ax
    assert len(plt.get_fignums()) == 1
    assert ax.get_title(loc="left")


def test_a_title_of_ones_own_stays_alone(results):
    _, ax = plt.subplots()
    ax.set_title("Mine")
    plot.robustness_curve(results, ax)
    assert (ax.get_title(), ax.get_title(loc="left")) == ("Mine", "")


@pytest.mark.parametrize("name", EVERY)
def test_titles_and_legends_keep_to_their_panel(W, results, name):
    """In one of two small panels: nothing reaches into the other, and no legend squeezes the axes."""
    figure, (ax, other) = plt.subplots(1, 2, figsize=(6.4, 3), layout="constrained")
    EVERY[name](W, results, ax)
    figure.canvas.draw()
    edge = other.get_window_extent().x0
    for text in [ax.title, ax._left_title, *(ax.get_legend().get_texts() if ax.get_legend() else ())]:
        assert text.get_window_extent().x1 < edge, text
    assert ax.get_window_extent().width > 80


@pytest.mark.parametrize("name", EVERY)
def test_without_matplotlib_the_error_says_how_to_get_it(W, results, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "bioneuro\[plot\]"'):
        EVERY[name](W, results, None)
