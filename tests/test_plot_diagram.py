"""The diagram of a network: its boxes and arrows are the populations and pathways of the model."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from bioneuro import BioClassifier, baselines, plot

plt = pytest.importorskip("matplotlib.pyplot")
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch  # noqa: E402

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.random((60, 64)), np.arange(60) % 3


def parts(ax):
    """Boxes as (name, size), arrows as (colour, dashed), and the densities."""
    texts = [text.get_text() for text in ax.texts]
    boxes = {tuple(text.split("\n")) for text in texts if "\n" in text}
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(boxes) == sum(isinstance(patch, FancyBboxPatch) for patch in ax.patches)
    drawn = sorted((to_hex(arrow.get_edgecolor()).upper(), arrow.get_linestyle() != "-") for arrow in arrows)
    return boxes, drawn, sorted(text for text in texts if "%" in text)


def test_boxes_arrows_and_densities_are_those_of_the_network(images):
    model = BioClassifier(image_shape=(8, 8), n_cells=30, mixing=50, random_state=0).fit(*images)
    boxes, arrows, densities = parts(plot.network_diagram(model))
    pathways = model.network_.pathways()
    of = {"retina": "map", "features": "mixing_excitatory", "mixing I": "mixing_inhibitory", "mixing": "association",
          "association": "readout_excitatory", "readout I": "readout_inhibitory"}  # fmt: skip
    assert boxes == {(cells, f"{pathways[name].n_pre:,}") for cells, name in of.items()} | {("classes", "3")}
    shares = [
        synapses.to_scipy().count_nonzero() / (synapses.n_pre * synapses.n_post) for synapses in pathways.values()
    ]
    assert densities == sorted(f"{share:.2%}" if share < 0.01 else f"{share:.0%}" for share in shares)
    red, blue = plot.VERMILION, plot.BLUE
    assert arrows == sorted([(red, False)] * 3 + [(red, True)] * 3 + [(blue, True), (blue, False)])


def test_a_network_is_drawn_as_its_model(images):
    model = BioClassifier(image_shape=(8, 8), n_cells=30, mixing=50, random_state=0).fit(*images)
    assert parts(plot.network_diagram(model.network_)) == parts(plot.network_diagram(model))


def test_inhibitory_cells_that_compete_are_above_those_they_inhibit(images):
    model = BioClassifier(image_shape=(8, 8), n_cells=30, mixing=0, competition="circuit", random_state=0).fit(*images)
    ax = plot.network_diagram(model)
    places = {text.get_text().split("\n")[0]: text.get_position() for text in ax.texts if "\n" in text.get_text()}
    assert places["association I"][0] == places["association"][0]
    assert places["association I"][1] > places["association"][1] > places["readout I"][1]
    assert places["association"][0] < places["readout I"][0] < places["classes"][0]
    assert not {"mixing", "mixing I"} & places.keys()


def test_a_perceptron_has_synapses_of_both_signs(images):
    ax = plot.network_diagram(baselines.BackpropMLP((8,), n_epochs=1, random_state=0).fit(*images))
    boxes, arrows, densities = parts(ax)
    assert boxes == {("inputs", "64"), ("hidden 1", "8"), ("output", "3")}
    assert arrows == [(to_hex(plot.GREY).upper(), False)] * 2 and densities == ["100%", "100%"]
    assert [text.get_text() for text in ax.get_legend().get_texts()][0] == "of both signs"


class Made:
    def __init__(self, **made):
        self.made = made

    def outgoing(self):
        return self.made


def test_stored_zeros_are_no_synapses():
    W = sparse.csr_array(([0.5, 0.0], ([0, 1], [0, 1])), shape=(2, 2))
    assert parts(plot.network_diagram(Made(inputs={"output": W})))[2] == ["25%"]


def test_a_pathway_without_synapses_has_the_sign_of_its_makers():
    none = sparse.csr_array((3, 2))
    model = Made(inputs={"hidden_e_to_i": none, "hidden": none}, hidden_i={"hidden_inhibitory": none})
    _, arrows, densities = parts(plot.network_diagram(model))
    assert arrows == sorted([(plot.BLUE, False)] + [(plot.VERMILION, False)] * 2) and densities == ["0%"] * 3


def test_it_draws_on_the_axes_it_is_given_and_nothing_overlaps(images):
    _, ax = plt.subplots(figsize=(10, 4), layout="constrained")
    model = BioClassifier(image_shape=(8, 8), n_cells=30, mixing=50, random_state=0).fit(*images)
    assert plot.network_diagram(model, ax) is ax
    ax.figure.canvas.draw()
    extents = [text.get_window_extent() for text in ax.texts]
    assert not [(a, b) for i, a in enumerate(extents) for b in extents[:i] if a.overlaps(b)]


def test_a_model_without_pathways_is_refused():
    with pytest.raises(TypeError, match=r"model must have a method outgoing\(\), as BioClassifier has, got int"):
        plot.network_diagram(3)


def test_a_model_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        plot.network_diagram(BioClassifier())
    assert not plt.get_fignums()
