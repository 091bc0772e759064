"""bioneuro.seeds: generators are those of NumPy and scikit-learn; what is none is refused by name."""

import numpy as np
import pytest
from attack_models import Linear

from bioneuro import BioClassifier, attacks, baselines, connectivity, continual, corruptions, datasets, fewshot, layers
from bioneuro.analysis import ks_bootstrap, representation_report
from bioneuro.research import natural_images
from bioneuro.seeds import drawn_generator, generator_from, random_state_from, seed_of

X, Y = np.random.default_rng(0).random((12, 4)), np.arange(12) % 2

MODEL, ASSOCIATION = Linear(np.eye(2, 4)), layers.Association(4, 4, 2)

#: One of each place where a seed is taken.
TAKES_A_SEED = {
    "subset": lambda seed: datasets.subset_per_class(X, Y, 2, seed),
    "stream": lambda seed: continual.split(X, Y, X, Y, n_tasks=2, random_state=seed),
    "classes": lambda seed: fewshot.split_classes(np.arange(12), (0.5, 0.25, 0.25), seed),
    "report": lambda seed: representation_report(X, random_state=seed),
    "bootstrap": lambda seed: ks_bootstrap(X, "gamma", n_boot=1, random_state=seed),
    "attack": lambda seed: attacks.PGD(random_state=seed),
    "pathway": lambda seed: connectivity.dense(2, 3, random_state=seed),
    "network": lambda seed: BioClassifier(image_shape=None, random_state=seed).fit(X, Y),
    "baseline": lambda seed: baselines.NearestNeighbour(random_state=seed).fit(X, Y),
    "exemplars": lambda seed: baselines.ExemplarNeighbours(random_state=seed).fit(X, Y),
    "leaves": lambda seed: natural_images.dead_leaves(1, (4, 4), random_state=seed),
    "twin": lambda seed: natural_images.gaussian_twin(X, (2, 2), random_state=seed),
    "readout": lambda seed: fewshot.FeatureReadout(random_state=seed).fit(X, Y),
}


#: Where nothing but a number will do.
TAKES_A_NUMBER = {
    "worst case": lambda seed: attacks.worst_case(MODEL, X, Y, 0.1, random_state=seed),
    "audit": lambda seed: attacks.audit(MODEL, X, Y, random_state=seed),
    "landscape": lambda seed: attacks.loss_landscape(MODEL, X, Y, random_state=seed),
    "loss by step": lambda seed: attacks.loss_by_step(MODEL, X, Y, random_state=seed),
    "corrupt": lambda seed: corruptions.corrupt(X, "rotate", random_state=seed),
    "corruptions": lambda seed: corruptions.evaluate(MODEL, X, Y, corruptions=[], random_state=seed),
    "competitive": lambda seed: layers.CompetitiveLayer(ASSOCIATION.synapses, beta=1.0, seed=seed),
    "association": lambda seed: layers.Association(4, 4, 2, seed=seed),
    "inhibition": lambda seed: layers.InhibitoryCells(4, seed=seed),
    "pool": lambda seed: layers.SoftmaxPool(4, seed=seed),
    "delta": lambda seed: layers.DeltaReadout(ASSOCIATION, 2, seed=seed),
}


@pytest.mark.parametrize("seed", [-1, "x", 1.5, None])
@pytest.mark.parametrize("name", TAKES_A_NUMBER)
def test_a_bad_number_is_refused_by_name(name, seed):
    with pytest.raises(ValueError, match=f"(random_state|seed) must be an integer >= 0, got {seed!r}"):
        TAKES_A_NUMBER[name](seed)


@pytest.mark.parametrize("seed", [-1, "x", 1.5])
@pytest.mark.parametrize("name", TAKES_A_SEED)
def test_a_bad_seed_is_refused_by_name(name, seed):
    with pytest.raises(ValueError, match=f"random_state must be an integer >= 0, .* got {seed!r}"):
        TAKES_A_SEED[name](seed)


def test_generators_are_those_of_the_libraries():
    assert generator_from(3).random() == np.random.default_rng(3).random()
    assert random_state_from(3).rand() == np.random.RandomState(3).rand()
    for source, make in ((np.random.default_rng(0), generator_from), (np.random.RandomState(0), random_state_from)):
        assert make(source) is source
    drawn = np.random.RandomState(3).randint(2**31)
    assert drawn_generator(3).random() == np.random.default_rng(drawn).random()
    assert seed_of(np.int64(7)) == 7
    assert seed_of(np.random.default_rng(0)) == np.random.default_rng(0).integers(2**32)
