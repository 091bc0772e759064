"""Pictures of docs/gallery.md, one for each function of bioneuro.plot: `python -m docs.make.gallery`

Each entry is a small run on digits that ends in the call it shows. They are looks, not results.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.neighbors import KNeighborsClassifier

import bioneuro as bn
from docs.make.pictures import IMAGES, digits, network, perceptron, save

X, Y = slice(0, 40), slice(0, 6)
EPSILONS = (0.05, 0.1, 0.2)


def models() -> dict:
    return {"bioneuro": network(), "perceptron": perceptron()}


def accuracy_bars() -> plt.Axes:
    rows = []
    for seed in range(3):
        for name, model in (("perceptron", bn.baselines.BackpropMLP((64,), n_epochs=20, random_state=seed)),
                            ("class means", bn.baselines.NearestClassMean())):  # fmt: skip
            part = np.random.default_rng(seed).permutation(len(digits().y_train))[:500]
            accuracy = model.fit(digits().X_train[part], digits().y_train[part]).score(digits().X_test, digits().y_test)
            rows.append((name, seed, accuracy))
    return bn.plot.accuracy_bars(pd.DataFrame(rows, columns=["model", "seed", "accuracy"]))


@cache
def learned() -> bn.History:
    history = bn.History(digits().X_test[:300], digits().y_test[:300], every=2, weights="association")
    few = bn.datasets.subset_per_class(digits().X_train, digits().y_train, 40)
    schedule = bn.Schedule(teaching_epochs=20, readout_epochs=20)
    bn.BioClassifier(n_cells=400, mixing=1000, schedule=schedule, random_state=0).fit(*few, on_epoch=history)
    return history


def learning_curve() -> plt.Axes:
    return bn.plot.learning_curve(learned())


def weights_over_time() -> plt.Axes:
    return bn.plot.weights_over_time(learned())


def density_by_turnover() -> plt.Axes:
    few, rows = bn.datasets.subset_per_class(digits().X_train, digits().y_train, 5), []
    schedule = bn.Schedule(teaching_epochs=1, readout_epochs=1)
    for ratio in (1, 2, 4, 8):
        for seed in range(3):
            turnover = bn.rules.Turnover(death=ratio * bn.rules.Turnover().birth)
            model = bn.BioClassifier(n_cells=50, mixing=500, turnover=turnover, schedule=schedule, random_state=seed)
            density = bn.analysis.density(model.fit(*few).weights()["association"])
            rows.append(("association", ratio, seed, density))
    return bn.plot.density_by_turnover(pd.DataFrame(rows, columns=["model", "turnover", "seed", "density"]))


def rank_map() -> plt.Axes:
    rivals = {
        "perceptron": bn.baselines.BackpropMLP((64,), n_epochs=20, random_state=0),
        "class means": bn.baselines.NearestClassMean(),
        "nearest neighbour": KNeighborsClassifier(1),
    }
    accuracies = {}
    for n in (1, 5, 20):
        few = bn.datasets.subset_per_class(digits().X_train, digits().y_train, n)
        accuracies[f"{n} images a class"] = {
            name: model.fit(*few).score(digits().X_test, digits().y_test) for name, model in rivals.items()
        }
    ranks = pd.DataFrame(accuracies).rank(ascending=False, method="min").rename_axis("model").reset_index()
    ranks = ranks.melt("model", var_name="criterion", value_name="rank")
    return bn.plot.rank_map(ranks.assign(low=ranks["rank"], high=ranks["rank"]))


def adversarial_examples() -> plt.Axes:
    clean, labels = digits().X_test[Y], digits().y_test[Y]
    found = {
        name: bn.attacks.PGD(n_steps=20)(model, clean, labels, 0.2).adversarial[0] for name, model in models().items()
    }
    predictions = {name: models()[name].predict(images) for name, images in found.items()}
    return bn.plot.adversarial_examples(clean, found, digits().image_shape, labels=labels, predictions=predictions)


def stream(seed: int) -> bn.continual.Stream:
    data = digits()
    return bn.continual.split(data.X_train, data.y_train, data.X_test, data.y_test, random_state=seed)


def continual_curve() -> plt.Axes:
    rivals = {
        "streaming LDA": lambda seed: bn.baselines.StreamingLDA(),
        "class means": lambda seed: bn.baselines.NearestClassMean(),
        "perceptron": lambda seed: bn.baselines.BackpropMLP((64,), random_state=seed),
    }
    return bn.plot.continual_curve(bn.continual.compare(rivals, stream, seeds=(0, 1, 2)))


def task_matrix() -> plt.Axes:
    return bn.plot.task_matrix(bn.continual.run(bn.baselines.NearestClassMean(), stream(0)).accuracy)


def episodes_of(n_shot: int) -> pd.DataFrame:
    sampler = bn.fewshot.EpisodeSampler(
        digits().X_test, digits().y_test, n_way=5, n_shot=n_shot, n_query=5, n_episodes=30
    )
    heads = {name: bn.fewshot.HEADS[name]() for name in ("association", "prototype", "1-nn")}
    return bn.fewshot.compare(heads, sampler, encoder=network())


def episodes() -> plt.Axes:
    return bn.plot.episodes(pd.concat([episodes_of(1), episodes_of(5)]))


def one_shot_errors() -> plt.Axes:
    found = episodes_of(1)
    return bn.plot.one_shot_errors(
        found.assign(run=found.groupby("model").cumcount() // 3, error=1 - found["accuracy"])
    )


def low_data_curve() -> plt.Axes:
    data = digits()
    heads = {"perceptron": bn.baselines.BackpropMLP((64,), n_epochs=100), "nearest neighbour": KNeighborsClassifier(1)}
    curve = bn.fewshot.low_data_curve(
        heads, data.X_train, data.y_train, data.X_test, data.y_test, (1, 5, 10), n_repeats=4, progress=False
    )
    return bn.plot.low_data_curve(curve.rename(columns={"repeat": "seed"}))


def winning_prototypes() -> plt.Axes:
    episode = bn.fewshot.EpisodeSampler(digits().X_test, digits().y_test, n_way=5, n_shot=2, n_query=2, n_episodes=1)[0]
    head = bn.fewshot.AssociationHead().fit(network().transform(episode.support_x), episode.support_y)
    queries = network().transform(episode.query_x[::2])
    rows, shares = head.winners(queries, n=3)
    right = head.predict(queries) == episode.query_y[::2]
    return bn.plot.winning_prototypes(
        episode.query_x[::2], episode.support_x, rows, shares, digits().image_shape, right=right
    )


def robustness_curve() -> plt.Axes:
    attack, rows = bn.attacks.PGD(n_steps=20), []
    for name, model in models().items():
        found = attack(model, digits().X_test[X], digits().y_test[X], EPSILONS)
        rows += [(name, 0, *pair) for pair in zip(EPSILONS, found.robust_accuracy, strict=True)]
    frame = pd.DataFrame(rows, columns=["model", "seed", "epsilon", "robust_accuracy"])
    return bn.plot.robustness_curve(frame.assign(attack="PGD", norm="Linf", n=len(digits().y_test[X])))


def loss_landscape() -> plt.Axes:
    return bn.plot.loss_landscape(bn.attacks.loss_landscape(network(), digits().X_test[Y], digits().y_test[Y]))


def loss_by_step() -> plt.Axes:
    return bn.plot.loss_by_step(bn.attacks.loss_by_step(network(), digits().X_test[Y], digits().y_test[Y], n_steps=30))


def gabor_fits() -> plt.Axes:
    fields = perceptron().weights()["hidden_1"].toarray()[:40].reshape(-1, *digits().image_shape)
    return bn.plot.gabor_fits(bn.analysis.fit_gabors(fields), label="perceptron, 40 hidden cells")


def receptive_fields() -> plt.Axes:
    return bn.plot.receptive_fields(perceptron().weights()["hidden_1"], digits().image_shape, n=25)


def network_diagram() -> plt.Axes:
    return bn.plot.network_diagram(network())


def rate_distribution() -> plt.Axes:
    return bn.plot.rate_distribution(network().network_.association.rate)


def weight_distribution() -> plt.Axes:
    return bn.plot.weight_distribution(network())


def weight_comparison() -> plt.Axes:
    positive = perceptron().weights()["hidden_1"].data
    return bn.plot.weight_comparison({"bioneuro": network(), "perceptron, positive": positive[positive > 0]})


#: The picture of every function of bioneuro.plot, by its name.
GALLERY: dict[str, Callable[[], plt.Axes]] = {
    draw.__name__: draw
    for draw in (
        network_diagram, weight_distribution, weight_comparison, rate_distribution, receptive_fields, gabor_fits,
        accuracy_bars, learning_curve, weights_over_time, density_by_turnover, rank_map,
        robustness_curve, adversarial_examples, loss_landscape, loss_by_step,
        low_data_curve, episodes, one_shot_errors, winning_prototypes, continual_curve, task_matrix,
    )
}  # fmt: skip
#: Pictures of images, which are smaller as PNG.
AS_PNG = ("adversarial_examples", "receptive_fields", "winning_prototypes")


def main() -> None:
    (IMAGES / "gallery").mkdir(parents=True, exist_ok=True)
    for name, draw in GALLERY.items():
        save(draw().figure, f"gallery/{name}.{'png' if name in AS_PNG else 'svg'}")
        plt.close("all")


if __name__ == "__main__":
    main()
