"""bioneuro.omniglot and the one-shot task: small generated archives stand in; the official ones when on disk."""

import hashlib
import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from bioneuro import datasets, fewshot, omniglot
from bioneuro.datasets import DatasetCorruptError, DatasetNotFoundError
from bioneuro.omniglot import OneShotRun, resize

DATA = os.environ.get("BIONEURO_DATA", "")
needs_omniglot = pytest.mark.skipif(
    not (Path(DATA) / "omniglot").is_dir(), reason="$BIONEURO_DATA/omniglot/ is not there"
)


def png(ink):
    image = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    image.fromarray(~ink).save(buffer, "PNG")
    return buffer.getvalue()


def drawing(seed, shape=(105, 105)):
    return np.random.default_rng(seed).random(shape) < 0.1


def keep(folder, filename, files, monkeypatch, compression=zipfile.ZIP_STORED):
    """Write an archive and register it under its own hash."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    folder.mkdir(exist_ok=True)
    (folder / filename).write_bytes(buffer.getvalue())
    remote = omniglot.ARCHIVES[filename][0]
    monkeypatch.setitem(omniglot.ARCHIVES, filename, (remote, hashlib.sha256(buffer.getvalue()).hexdigest()))


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """2 alphabets, 3 characters, 20 drawers; 1 run of 3 classes whose answers are 2, 0, 1."""
    characters = ["Greek/character01", "Greek/character02", "Latin/character01"]
    files = {
        f"images_background_small1/{name}/0{k}_{drawer:02}.png": png(drawing([k, drawer]))
        for k, name in enumerate(characters)
        for drawer in range(1, 21)
    }
    keep(tmp_path / "omniglot", "images_background_small1.zip", files, monkeypatch)
    files = {f"run01/training/class{k + 1:02}.png": png(drawing([9, k])) for k in range(3)}
    files |= {f"run01/test/item{k + 1:02}.png": png(drawing([8, k])) for k in range(3)}
    pairs = [(1, 3), (2, 1), (3, 2)]
    files["run01/class_labels.txt"] = "\n".join(
        f"run01/test/item{a:02}.png run01/training/class{b:02}.png" for a, b in pairs
    )
    keep(tmp_path / "omniglot", "all_runs.zip", files, monkeypatch)
    return tmp_path


def test_background_is_read_in_order(tiny):
    found = omniglot.background(tiny)
    assert found.images.shape == (60, 105, 105) and found.images.dtype == bool
    assert found.names == ("Greek/character01", "Greek/character02", "Latin/character01")
    for row in (0, 19, 20, 59):
        k, drawer = divmod(row, 20)
        assert (found.labels[row], found.drawers[row]) == (k, drawer + 1)
        assert found.alphabets[row] == found.names[k].split("/")[0]
        np.testing.assert_array_equal(found.images[row], drawing([k, drawer + 1]))
    assert repr(found) == "Characters(60 drawings of 3 characters: Greek, Latin)"


def test_runs_know_their_answers(tiny):
    (run,) = omniglot.one_shot_runs(tiny)
    assert run.number == 1 and run.answers.tolist() == [2, 0, 1]
    np.testing.assert_array_equal(run.train[1], drawing([9, 1]))
    np.testing.assert_array_equal(run.test[2], drawing([8, 2]))


def test_split_keeps_drawers_apart(tiny):
    data = datasets.load("omniglot", data_dir=tiny)
    assert data.image_shape == (28, 28) and len(data.X_train) == 45 and len(data.X_test) == 15
    assert data.X_train.dtype == np.float32 and data.X_train.min() >= 0 and data.X_train.max() <= 1
    np.testing.assert_allclose(data.X_test[0], resize(drawing([0, 16])[None], (28, 28))[0])
    assert data.class_names[int(data.y_test[-1])] == "Latin/character01"


def test_corrupt_archive_is_named(tiny):
    path = tiny / "omniglot" / "all_runs.zip"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetCorruptError, match="all_runs.zip is corrupt"):
        omniglot.one_shot_runs(tiny)


def test_missing_archive_says_where_to_get_it(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="all_runs.zip not found.*one-shot-classification/.*BIONEURO_DATA"):
        omniglot.one_shot_runs(tmp_path)


def test_image_of_another_size_is_refused(tmp_path, monkeypatch):
    files = {"images_background_small1/Greek/character01/01_01.png": png(drawing(0, (10, 10)))}
    keep(tmp_path / "omniglot", "images_background_small1.zip", files, monkeypatch)
    with pytest.raises(DatasetCorruptError, match=r"01_01.png of Omniglot has shape \(10, 10\), expected \(105, 105\)"):
        omniglot.background(tmp_path)


BACKGROUND = "images_background_small1.zip"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


#: An image of 2 GiB, by its header.
HUGE = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 15, 1 << 16, 8, 0, 0, 0, 0))


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 105 105\n%%EndComments\n(%pipe%id) (r) file\n%%EOF\n"


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", HUGE, png(drawing(0))[:-30], b"GIF89a" + bytes(30), EPS]
)
def test_hostile_images_are_refused(tmp_path, monkeypatch, content):
    keep(
        tmp_path / "omniglot",
        BACKGROUND,
        {"images_background_small1/Greek/character01/01_01.png": content},
        monkeypatch,
    )
    with pytest.raises(DatasetCorruptError, match=r"01_01.png (is corrupt|of Omniglot has shape \(65536, 32768\))"):
        omniglot.background(tmp_path)


@pytest.mark.parametrize(
    "path",
    ["01_01.png", "images_background_small1/Greek/character01/xx.png", "images_background_small1/Greek/01_01.png"],
)
def test_names_that_say_nothing_are_refused(tmp_path, monkeypatch, path):
    keep(tmp_path / "omniglot", BACKGROUND, {path: png(drawing(0))}, monkeypatch)
    with pytest.raises(DatasetCorruptError, match=f"{BACKGROUND} is corrupt"):
        omniglot.background(tmp_path)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("run01/class_labels.txt", b"run01/test/item01.png run01/training/none.png"),
        ("run01/class_labels.txt", b"one two three"),
        ("run01/class_labels.txt", b"\xff\xfe"),
        ("run01/other.txt", b""),
        ("other/class_labels.txt", b""),
    ],
)
def test_hostile_runs_are_refused(tmp_path, monkeypatch, path, content):
    files = {"run01/test/item01.png": png(drawing(0)), "run01/training/class01.png": png(drawing(0)), path: content}
    keep(tmp_path / "omniglot", "all_runs.zip", files, monkeypatch)
    with pytest.raises(DatasetCorruptError, match="all_runs.zip is corrupt"):
        omniglot.one_shot_runs(tmp_path)


@pytest.mark.parametrize("files", [{"a.png": bytes(1 << 20)}, {f"{k}.png": bytes(60_000) for k in range(50)}])
def test_zip_bombs_are_not_unpacked(tmp_path, monkeypatch, files):
    keep(tmp_path / "omniglot", BACKGROUND, files, monkeypatch, zipfile.ZIP_DEFLATED)
    with pytest.raises(
        DatasetCorruptError, match=f"{BACKGROUND} is corrupt: it unpacks to {sum(map(len, files.values()))}"
    ):
        omniglot.background(tmp_path)


def test_masked_images_are_refused():
    with pytest.raises(ValueError, match="images must not be masked"):
        resize(np.ma.masked_equal(np.eye(4)[None], 1), (2, 2))


# --- sizes ---


@pytest.mark.parametrize(("old", "new"), [((6, 6), (3, 3)), ((7, 5), (3, 4)), ((3, 3), (5, 4)), ((4, 4), (1, 1))])
def test_resize_averages_over_areas(old, new):
    images = np.random.default_rng(0).random((2, *old))
    # exact by another way: both sizes divide the fine grid
    fine = images.repeat(new[0], axis=1).repeat(new[1], axis=2)
    expected = fine.reshape(2, new[0], old[0], new[1], old[1]).mean(axis=(2, 4))
    np.testing.assert_allclose(resize(images, new), expected.reshape(2, -1), rtol=1e-5)


def test_same_size_is_the_same_image():
    images = drawing(0)[None]
    np.testing.assert_array_equal(resize(images, (105, 105)), images.reshape(1, -1))


@pytest.mark.parametrize(
    ("images", "shape", "message"),
    [
        (np.zeros((1, 4, 4)), (0, 4), "image_shape must be"),
        (np.zeros((1, 4, 4)), (4,), "image_shape must be"),
        (np.zeros((4, 4)), (2, 2), r"images must have shape \(n, height, width\), got \(4, 4\)"),
    ],
)
def test_bad_sizes(images, shape, message):
    with pytest.raises(ValueError, match=message):
        resize(images, shape)


# --- the one-shot task ---


def runs_of(n, seed=0):
    """Runs whose test images are their training images, in another order."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(1, n + 1):
        train, order = rng.random((5, 12, 12)) < 0.3, rng.permutation(5)
        found.append(OneShotRun(number, train, train[order], order))
    return found


class Given:
    """Representations at a size of one's own, and what was asked of them."""

    def __init__(self, image_shape=(6, 4)):
        self.image_shape_, self.seen = image_shape, []

    def transform(self, X):
        self.seen.append(X.shape)
        return X


class WithSimilarity(Given):
    def __init__(self, sign):
        super().__init__((12, 12))
        self.sign = sign

    def similarity(self, A, B):
        return self.sign * -cdist(A, B)


def test_cosine_where_there_is_no_similarity():
    encoder = Given()
    table = fewshot.omniglot_one_shot(encoder, runs_of(3), progress=True)
    assert table["run"].tolist() == [1, 2, 3] and (table["error"] == 0).all()
    assert encoder.seen == [(10, 24)] * 3  # every image once, at the encoder's own size


def test_similarity_is_used_when_present():
    assert (fewshot.omniglot_one_shot(WithSimilarity(1), runs_of(2))["error"] == 0).all()
    assert (fewshot.omniglot_one_shot(WithSimilarity(-1), runs_of(2))["error"] == 1).all()


def test_error_counts_wrong_answers():
    run = runs_of(1)[0]
    wrong = OneShotRun(1, run.train, run.test, np.roll(run.answers, 1))
    half = OneShotRun(2, run.train, run.test, np.r_[run.answers[:3], run.answers[3:][::-1]])
    table = fewshot.omniglot_one_shot(Given((12, 12)), [wrong, half])
    np.testing.assert_allclose(table["error"], [1, 2 / 5])


class BadShape(Given):
    def similarity(self, A, B):
        return np.zeros((len(B), len(A) + 1))


class NoNumbers(Given):
    def similarity(self, A, B):
        return np.full((len(A), len(B)), np.nan)


@pytest.mark.parametrize(
    ("encoder", "runs", "message"),
    [
        (Given(None), 1, "encoder must have learned gray images"),
        (Given((6, 6, 3)), 1, "encoder must have learned gray images"),
        (Given(), 0, "runs must not be empty"),
        (BadShape(), 1, "similarity must return 5 x 5 values.*shape"),
        (NoNumbers(), 1, "similarity must return numbers, got NaN in run 1"),
    ],
)
def test_bad_encoders(encoder, runs, message):
    with pytest.raises(ValueError, match=message):
        fewshot.omniglot_one_shot(encoder, runs_of(runs))


def test_hausdorff_is_the_definition():
    rng = np.random.default_rng(1)
    X = rng.random((4, 105 * 105)) < 0.01
    encoder = fewshot.ModifiedHausdorff()
    Z = encoder.transform(X)
    found = encoder.similarity(Z[:1], Z[1:])
    a = Z[0]
    for k, b in enumerate(Z[1:]):
        distance = cdist(a, b)
        assert found[0, k] == pytest.approx(-max(distance.min(axis=0).mean(), distance.min(axis=1).mean()))
    np.testing.assert_allclose(np.diag(encoder.similarity(Z, Z)), 0)


def test_hausdorff_does_not_see_where_a_drawing_lies():
    image = np.zeros((2, 105, 105))
    image[0, 10:20, 10:14] = image[1, 60:70, 80:84] = 1
    encoder = fewshot.ModifiedHausdorff()
    Z = encoder.transform(image.reshape(2, -1))
    np.testing.assert_allclose(encoder.similarity(Z[:1], Z[1:]), 0, atol=1e-12)


def test_blank_image_is_refused():
    with pytest.raises(ValueError, match=r"ink in every image, but X\[1\] is blank"):
        fewshot.ModifiedHausdorff().transform(np.stack([np.ones(105 * 105), np.zeros(105 * 105)]))


# --- the official files ---


@needs_omniglot
def test_official_files():
    found = omniglot.background(DATA)
    assert found.images.shape == (2720, 105, 105) and len(found.names) == 136
    assert set(found.alphabets) == {"Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"}
    assert (np.bincount(found.labels) == 20).all() and set(found.drawers) == set(range(1, 21))
    assert 0.03 < found.images.mean() < 0.12  # ink, not paper
    runs = omniglot.one_shot_runs(DATA)
    assert [run.number for run in runs] == list(range(1, 21))
    assert all(sorted(run.answers) == list(range(20)) for run in runs)


@needs_omniglot
def test_golden_hausdorff_error():
    """38.8 %, the figure of the official demonstration: 155 of 400."""
    table = fewshot.omniglot_one_shot(fewshot.ModifiedHausdorff(), omniglot.one_shot_runs(DATA))
    assert len(table) == 20
    assert round(400 * table["error"].mean()) == 155


@needs_omniglot
def test_elastic_matching_is_far_better_than_the_baseline():
    """The first 5 official runs: 3 of 100 wrong when it was measured; the Hausdorff distance has 39 in all 20."""
    matcher = fewshot.ElasticMatcher().fit(omniglot.background(DATA).at((105, 105)))
    table = fewshot.omniglot_one_shot(matcher, omniglot.one_shot_runs(DATA)[:5])
    assert table["error"].mean() <= 0.1
