"""bioneuro.fewshot: heads on features, readout without association, jitter, elastic matching, unlabelled images."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier

import bioneuro as bn
from bioneuro.baselines import BackpropMLP
from bioneuro.fewshot import (
    HEADS,
    AssociationHead,
    ElasticMatcher,
    ElasticVotes,
    EpisodeSampler,
    FeatureReadout,
    FineTuned,
    Jitter,
    Jittered,
    evaluate,
    low_data_curve,
)
from bioneuro.fewshot.alignment import PointSets, similarity_of
from bioneuro.fewshot.normalisation import normalised


@pytest.fixture(scope="module")
def rates():
    """Three classes of rates >= 0 that are easy to tell apart."""
    rng = np.random.default_rng(0)
    y = np.arange(3).repeat(20)
    return np.float32(np.eye(3)[y].repeat(4, axis=1) + 0.3 * rng.random((60, 12))), y


# --- heads ---


@pytest.mark.parametrize("name", list(HEADS))
def test_every_head_learns_an_episode(rates, name):
    accuracy = evaluate(HEADS[name](), EpisodeSampler(*rates, n_way=3, n_shot=2, n_query=10, n_episodes=3))["accuracy"]
    assert accuracy.min() > 0.95


@pytest.mark.parametrize("name", list(HEADS))
def test_labels_of_any_kind_come_back(rates, name):
    H, y = rates
    names = np.array(["x", "a", "m"])[y]
    assert (HEADS[name]().fit(H[::3], names[::3]).predict(H) == names).mean() > 0.95


def test_one_image_a_class_is_nearest_neighbour(rates):
    """With one sample a class, a cell for each: votes follow the best match, as the prototype and 1-NN do."""
    H, y = rates
    H = H / np.linalg.norm(H, axis=1, keepdims=True)
    rows = [0, 20, 40]
    expected = KNeighborsClassifier(1).fit(H[rows], y[rows]).predict(H)
    for name in ("association", "prototype"):
        np.testing.assert_array_equal(HEADS[name]().fit(H[rows], y[rows]).predict(H), expected)


def test_winners_are_the_images_that_match(rates):
    H, y = rates
    head = AssociationHead().fit(H[[0, 20, 40]], y[[0, 20, 40]])
    rows, shares = head.winners(H, n=2)
    assert rows.shape == shares.shape == (60, 2)
    np.testing.assert_array_equal(rows[:, 0], y)
    assert (shares[:, 0] >= shares[:, 1]).all() and (shares >= 0).all() and (shares.sum(axis=1) < 1.001).all()
    assert head.winners(H, n=9)[0].shape == (60, 3)  # no more than were learned from


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (AssociationHead("oracle"), "readout must be one of .*votes.*, got 'oracle'"),
        (AssociationHead(n_cells=0), "n_cells must be an integer >= 1, got 0"),
        (FeatureReadout(eta=0), r"eta must be a number in \(0, 100\], got 0"),
        (FeatureReadout(n_updates=0), "n_updates must be an integer >= 1, got 0"),
    ],
)
def test_bad_heads(rates, head, message):
    with pytest.raises(ValueError, match=message):
        head.fit(*rates)


def test_features_that_cannot_be_learned_are_refused(rates):
    with pytest.raises(TypeError, match="features must be an estimator with fit_features, .* got KNeighborsClassifier"):
        FeatureReadout(KNeighborsClassifier()).fit(*rates)


@pytest.mark.parametrize("head", [AssociationHead(), FeatureReadout()])
def test_heads_refuse_one_class_and_negative_features(rates, head):
    H, y = rates
    with pytest.raises(ValueError, match="y must hold at least 2 classes, got 1 class"):
        head.fit(H, np.zeros(60, int))
    with pytest.raises(ValueError, match="must be >= 0"):
        head.fit(-H, y)


def test_fine_tuning_keeps_what_was_learned(digits):
    X, y = digits.X_train, digits.y_train
    known, new = np.isin(y, [0, 1, 2, 3, 4]), np.isin(y, [5, 6, 7])
    pretrained = BackpropMLP((32,), n_epochs=5, random_state=0).fit(X[known], y[known])
    before = pretrained.decision_function(X[:5]).copy()
    model = FineTuned(pretrained, n_updates=40)
    assert clone(model).pretrained is pretrained
    tuned = model.fit(X[new][:60], y[new][:60])
    assert tuned.classes_.tolist() == [5, 6, 7]
    assert tuned.decision_function(X[:5]).shape == (5, 3)
    assert (tuned.predict(X[new][60:]) == y[new][60:]).mean() > 0.8
    np.testing.assert_array_equal(pretrained.decision_function(X[:5]), before)
    assert pretrained.classes_.tolist() == [0, 1, 2, 3, 4]


# --- readout on features ---


def test_features_are_learned_without_labels(digits):
    X, y = digits.X_train[:60], digits.y_train[:60]
    model = FeatureReadout(bn.BioClassifier(random_state=0), n_updates=60)
    first = model.fit(X, y).encoder_.encode(X)
    again = model.fit(X, y[::-1]).encoder_.encode(X)
    np.testing.assert_array_equal(first, again)
    assert (model.fit(X, y).predict(X) == y).mean() > 0.95
    assert model.predict_proba(X).sum(axis=1) == pytest.approx(1)


def test_a_given_encoder_is_used_as_it_is(digits):
    X, y = digits.X_train[:40], digits.y_train[:40]
    encoder = FeatureReadout(bn.BioClassifier(random_state=1)).fit_features(digits.X_train[100:200]).encoder_
    model = FeatureReadout(bn.BioClassifier(random_state=0), encoder=encoder, n_updates=20).fit(X, y)
    assert model.encoder_ is encoder
    np.testing.assert_array_equal(model.transform(X), encoder.encode(X))


def test_pathways_keep_their_signs(rates):
    readout = FeatureReadout(n_updates=100).fit(*rates).readout_
    assert (readout.excitatory.weights >= 0).all() and (readout.inhibitory.weights <= 0).all()


# --- jitter ---


def test_no_jitter_is_the_image():
    X = np.random.default_rng(0).random((3, 30)).astype(np.float32)
    still = Jitter(shift=0, turn=0, scale=0, shear=0, bend=0)
    np.testing.assert_allclose(still.copies(X, (5, 6), 2, seed=0), np.tile(X, (2, 1)), atol=1e-6)


def test_a_copy_depends_on_its_image_and_number_alone():
    X = np.random.default_rng(0).random((4, 64))
    all_of_them = Jitter().copies(X, (8, 8), 3, seed=1).reshape(3, 4, 64)
    fewer = Jitter().copies(X[:2], (8, 8), 2, seed=1).reshape(2, 2, 64)
    np.testing.assert_array_equal(all_of_them[:2, :2], fewer)
    assert not np.allclose(all_of_them[0], all_of_them[1])
    assert all_of_them.min() >= 0 and all_of_them.max() <= 1
    assert not np.array_equal(Jitter().copies(X, (8, 8), 1, seed=2), all_of_them[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Jitter(shift=-1), "shift must be a finite number >= 0, got -1"),
        (lambda: Jitter(smoothness=0), "smoothness must be a finite number > 0, got 0"),
        (
            lambda: Jitter().copies(np.zeros((2, 9)), (2, 4), 1, 0),
            "image_shape must have a product of 9",
        ),
        (lambda: Jitter().copies(np.zeros((2, 9)), (3, 3), -1, 0), "n_copies must be an integer >= 0, got -1"),
    ],
)
def test_bad_jitter(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_copies_are_learned_too(digits):
    X, y = digits.X_train[:20], digits.y_train[:20]
    plain = FeatureReadout(bn.BioClassifier(), n_updates=20).fit(X, y)
    model = Jittered(plain, (8, 8), jitter=Jitter(shift=0.5, bend=0.2), n_copies=3)
    jittered = model.fit(X, y)
    assert jittered.estimator_ is not plain
    assert not np.array_equal(plain.transform(X), jittered.estimator_.transform(X))
    np.testing.assert_array_equal(jittered.predict(X), jittered.classes_[jittered.predict_proba(X).argmax(axis=1)])
    np.testing.assert_array_equal(jittered.decision_function(X), clone(model).fit(X, y).decision_function(X))


def test_without_copies_it_is_the_classifier_itself(digits):
    X, y = digits.X_train[:50], digits.y_train[:50]
    plain = KNeighborsClassifier(1).fit(X, y)
    jittered = Jittered(KNeighborsClassifier(1), (8, 8), n_copies=0).fit(X, y)
    np.testing.assert_array_equal(jittered.predict(digits.X_test), plain.predict(digits.X_test))
    assert not hasattr(jittered, "decision_function")  # neighbours have none


# --- cells that may shift ---


def test_elastic_votes_know_a_shifted_image(digits):
    images = digits.X_train[:12].reshape(-1, 8, 8)
    large = np.zeros((12, 12, 12), np.float32)
    large[:, 1:9, 1:9] = images
    shifted = np.zeros_like(large)
    shifted[:, 3:11, 3:11] = images
    model = ElasticVotes(ElasticMatcher(image_shape=(12, 12))).fit(large.reshape(12, -1), np.arange(12))
    np.testing.assert_array_equal(model.predict(shifted.reshape(12, -1)), np.arange(12))


def test_elastic_votes_are_shares_of_a_softmax_over_cells(digits):
    X, y = digits.X_train[:15], digits.y_train[:15] % 3
    model = ElasticVotes(beta=30).fit(X, y)
    queries = digits.X_test[:5]
    drive = model.matcher_.similarity(model.matcher_.transform(queries), model.points_)
    rates = np.exp(30 * drive) / np.exp(30 * drive).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(queries), rates @ np.eye(3)[y], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X, y: ElasticVotes(beta=0).fit(X, y), r"beta must be a number in \(0, 1e\+06\], got 0"),
        (lambda X, y: ElasticVotes().fit(X[:, :60], y), "matcher must be given for images that are not square"),
        (lambda X, y: ElasticVotes().fit(X, 0 * y), "y must hold at least 2 classes, got 1 class"),
        (
            lambda X, y: Jittered(KNeighborsClassifier(), (8, 8), n_copies=-1).fit(X, y),
            "n_copies must be an integer >= 0",
        ),
        (
            lambda X, y: Jittered(KNeighborsClassifier(), (8, 8)).fit(np.ma.masked_equal(X, 0), y),
            "X must not have masked values",
        ),
        (
            lambda X, y: Jittered(KNeighborsClassifier(), (8, 9)).fit(X, y),
            "image_shape must have a product of 64",
        ),
    ],
)
def test_bad_models_of_images(digits, make, message):
    with pytest.raises(ValueError, match=message):
        make(digits.X_train[:20], digits.y_train[:20])


# --- unlabelled images ---


def test_unlabelled_images_are_another_model_by_name(digits):
    X, y = digits.X_train[:100], digits.y_train[:100]
    models = {"readout": FeatureReadout(bn.BioClassifier(), n_updates=20), "1-nn": KNeighborsClassifier(1)}
    arguments = (models, X, y, X[:30], y[:30])
    table = low_data_curve(*arguments, shots=(1, 2), n_repeats=2, unlabelled=digits.X_train[200:260], progress=False)
    assert set(table["model"]) == {"readout", "readout + unlabelled", "1-nn"}
    assert len(table) == 3 * 2 * 2
    plain = low_data_curve(*arguments, shots=(1, 2), n_repeats=2, progress=False)
    rest = table[table["model"] != "readout + unlabelled"].reset_index(drop=True)
    assert rest.equals(plain)  # what learns from the k images alone has seen nothing else


def test_unlabelled_images_need_someone_to_use_them(digits):
    X, y = digits.X_train[:100], digits.y_train[:100]
    with pytest.raises(ValueError, match="unlabelled needs a model with fit_features and encoder, got 1-nn"):
        low_data_curve({"1-nn": KNeighborsClassifier(1)}, X, y, X, y, shots=(1,), unlabelled=X)


# --- elastic matching ---


def strokes(shape, angle=0.0, size=1.0, shift=(0.0, 0.0), side=40):
    """A letter L or T as a thin drawing, turned, magnified and shifted."""
    t = np.linspace(-8, 8, 60)
    bars = {
        "L": np.concatenate([np.stack([t, np.full(60, -5.0)]), np.stack([np.full(60, 8.0), t / 1.6])], axis=1),
        "T": np.concatenate([np.stack([t, np.zeros(60)]), np.stack([np.full(60, -8.0), t])], axis=1),
    }[shape]
    a = np.deg2rad(angle)
    places = size * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ bars
    rows, cols = np.rint(places + side / 2 + np.array(shift)[:, None]).astype(int)
    image = np.zeros((side, side), np.float32)
    for down, right in ((0, 0), (1, 0), (0, 1)):
        image[rows + down, cols + right] = 1
    return image


def test_normalisation_forgets_place_and_size():
    one = strokes("L")
    other = strokes("L", size=0.6, shift=(5, -4))
    a, b = normalised(np.stack([one, other]), 32, 0.24, 0.5)
    assert np.corrcoef(a, b)[0, 1] > 0.8
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < 0.4
    places = np.argwhere(a.reshape(32, 32) > 0.3)
    spread = np.sqrt(((places - places.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert spread / 32 == pytest.approx(0.24, rel=0.15)
    with pytest.raises(ValueError, match=r"ink in every image, but X\[1\] is blank"):
        normalised(np.stack([one, 0 * one]), 32, 0.24, 0.5)


def test_match_of_sets_is_the_definition():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(3, 6, 2)).astype(np.float32)
    descriptors = rng.random((3, 6, 5)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=2, keepdims=True)
    A, B = (PointSets(places[rows], descriptors[rows]) for rows in (slice(1), slice(1, 3)))
    found = similarity_of(A, B, penalty=0.3, n_alignments=0, stiffness=0.1)
    for k in range(2):
        fit = descriptors[0] @ descriptors[k + 1].T
        fit -= 0.3 * ((places[0][:, None] - places[k + 1]) ** 2).sum(axis=2)
        assert found[0, k] == pytest.approx(min(fit.max(axis=0).mean(), fit.max(axis=1).mean()), rel=1e-4)


def test_alignment_undoes_an_affine_map():
    rng = np.random.default_rng(1)
    places = rng.normal(size=(1, 30, 2)).astype(np.float32)
    descriptors = np.eye(30, dtype=np.float32)[None]
    moved = places @ np.array([[1.2, 0.3], [-0.2, 0.9]], np.float32) + np.float32([0.1, -0.2])
    A, B = PointSets(places, descriptors), PointSets(moved, descriptors)
    before, after = (similarity_of(A, B, penalty=0.5, n_alignments=n, stiffness=1e-4)[0, 0] for n in (0, 2))
    assert after == pytest.approx(1, abs=1e-3) and before < 0.95


@pytest.fixture(scope="module")
def matcher():
    drawings = [strokes(s, a, z) for s in "LT" for a in (-10, 0, 10) for z in (0.8, 1.0)]
    return ElasticMatcher(image_shape=(40, 40), n_columns=8, n_points=32, random_state=0).fit(
        np.stack(drawings).reshape(len(drawings), -1)
    )


def test_letters_are_told_apart_whatever_their_pose(matcher):
    support = np.stack([strokes("L"), strokes("T")]).reshape(2, -1)
    query = np.stack([strokes("T", 15, 0.7, (3, 2)), strokes("L", -15, 0.9, (-2, 4))]).reshape(2, -1)
    A, B = matcher.transform(query), matcher.transform(support)
    assert A.shape == (2, 32, 2 + 25 * 8)
    similarity = matcher.similarity(A, B)
    assert similarity.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(np.diag(matcher.similarity(B, B)), 1, atol=0.01)


def test_an_image_is_encoded_by_itself(matcher):
    X = np.stack([strokes("L", angle) for angle in range(-20, 20, 2)]).reshape(20, -1)
    np.testing.assert_allclose(matcher.transform(X)[7:8], matcher.transform(X[7:8]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_shape": (40, 40, 1)}, r"image_shape must be \(height, width\), got \(40, 40, 1\)"),
        ({"image_shape": (40, 41)}, r"image_shape must have a product of 1600 features, got \(40, 41\)"),
        ({"n_points": 0}, "n_points must be an integer >= 1, got 0"),
        ({"aspect": 2}, r"aspect must be a number in \[0, 1\], got 2"),
        ({"stiffness": 0}, "stiffness must be a finite number > 0, got 0"),
        ({"penalty": -1}, "penalty must be a finite number >= 0, got -1"),
        ({"rings": ()}, "rings must be"),
    ],
)
def test_bad_matchers(change, message):
    X = strokes("L").reshape(1, -1)
    with pytest.raises(ValueError, match=message):
        ElasticMatcher(**{"image_shape": (40, 40), **change}).fit(X)


# --- figures ---


def test_picture_of_the_winners():
    from matplotlib.figure import Figure

    rng = np.random.default_rng(0)
    arguments = (rng.random((2, 64)), rng.random((5, 64)), [[0, 4, 2], [1, 3, 0]], np.full((2, 3), 1 / 3), (8, 8))
    ax = bn.plot.winning_prototypes(*arguments, ax=Figure().subplots(), right=[True, False])
    assert len(ax.images) == 8 and len(ax.texts) == 6 and len(ax.lines) == 2
    with pytest.raises(ValueError, match=r"rows must lie in \[0, 5\), got 1 to 5"):
        bn.plot.winning_prototypes(*arguments[:2], [[1, 5], [1, 2]], np.ones((2, 2)), (8, 8))
    with pytest.raises(ValueError, match="rows and shares must be 2 x k"):
        bn.plot.winning_prototypes(*arguments[:2], [[1, 2]], np.ones((1, 2)), (8, 8))


def test_features_of_a_readout_have_names_and_come_in_the_container_asked_for(digits):
    X, y = digits.X_train[:40], digits.y_train[:40]
    out = FeatureReadout(n_updates=5).set_output(transform="pandas").fit(X, y).transform(X[:3])
    assert list(out.columns) == [f"featurereadout{i}" for i in range(64)]
    np.testing.assert_array_equal(out, FeatureReadout(n_updates=5).fit(X, y).transform(X[:3]))


def test_threads_of_the_matcher_may_be_left_to_the_library():
    drawings = np.random.default_rng(0).random((6, 64)) > 0.5
    matcher = ElasticMatcher(
        image_shape=(8, 8), side=12, n_columns=4, patch_size=3, n_points=6, n_threads="auto", random_state=0
    )
    assert matcher.fit(drawings.astype(np.float32)).map_ is not None
