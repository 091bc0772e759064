"""The picture of README.md: weights of the default network beside a perceptron's. `python -m docs.make.bell`"""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from scipy import stats

import bioneuro as bn
from docs.make.pictures import digits, network, perceptron, save


def draw(ax: plt.Axes, weights: np.ndarray, title: str, colour: str) -> None:
    """Histogram of log weights, with the normal law of the same mean and deviation."""
    log_w = np.log10(weights)
    centred = log_w - np.median(log_w)
    ax.hist(centred, bins=np.linspace(-3, 2, 101), density=True, color=colour, alpha=0.75)
    grid = np.linspace(-3, 2, 400)
    law = "lognormal of the same mean and deviation"
    ax.plot(grid, stats.norm.pdf(grid, centred.mean(), centred.std()), color="black", linewidth=1.3, label=law)
    fit = bn.analysis.fit_weight_distribution(weights)
    ks = fit.ks[fit.distribution == "lognormal"].iloc[0]
    best = fit.attrs["best"] or f"none fits (nearest: {fit.distribution[0]})"
    ax.set_title(f"{title}\nlaw: {best}; distance to the lognormal (KS) {ks:.3f}", loc="left")
    ax.set(xlabel="log$_{10}$ weight, relative to the median", xlim=(-3, 2))
    ax.spines[["top", "right"]].set_visible(False)


def main() -> None:
    ours, theirs = network().weights()["association"].data, perceptron().weights()["hidden_1"].data
    theirs = theirs[theirs > 0]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.3), sharey=True, layout="constrained")
    density = bn.analysis.density(network().weights()["association"])
    draw(axes[0], ours, f"bioneuro: {density:.0%} of the synapses are there", bn.plot.BLUE)
    draw(axes[1], theirs, "backpropagation: positive weights of a perceptron", bn.plot.VERMILION)
    axes[0].set_ylabel("probability density")
    axes[0].legend(frameon=False, loc="upper left", fontsize=8)
    axes[0].set_ylim(0, axes[0].get_ylim()[1] * 1.15)
    accuracies = [model.score(digits().X_test, digits().y_test) for model in (network(), perceptron())]
    figure.supxlabel(
        f"digits, seed 0; test accuracy {accuracies[0]:.1%} and {accuracies[1]:.1%}; the spike: synapses just born",
        fontsize=8,
    )
    save(figure, "bell.svg")


if __name__ == "__main__":
    main()
