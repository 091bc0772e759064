"""Pictures of docs/concepts.md, drawn from a fitted network: `python -m docs.make.concepts`

The pathway from pixels to votes; what a synapse does in a step; where E and I cells sit.
"""

from __future__ import annotations

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import bioneuro as bn
from bioneuro.plot import BLUE, GREY, SKY, VERMILION
from docs.make.pictures import digits, network, save


def bare(ax: plt.Axes, title: str) -> None:
    ax.set_title(title, loc="left")
    ax.spines[["top", "right"]].set_visible(False)


def pathway() -> Figure:
    """One test image on its way through the network: what each part makes of it."""
    model, data = network(), digits()
    right = int(np.flatnonzero(model.predict(data.X_test) == data.y_test)[3])
    x = data.X_test[right : right + 1]
    net, encoder = model.network_, model.encoder_
    shape = model.image_shape_
    response = encoder.retina.response(x.astype(np.float32)).reshape(1, *shape, 1)
    patches, gate = encoder.retina.patches(response)
    drive = patches.reshape(-1, patches.shape[-1]) @ encoder.columns.synapses.to_scipy().toarray().T
    gate = gate.reshape(shape)
    features = encoder.encode(x.astype(np.float32))
    mixed = net.on_features.seen(features)[0]
    rates = net.association.rates(net.association.drive(mixed[None]))[0]
    shares = model.network_.readouts["votes"].logits(net.association.drive(mixed[None]))[0]

    figure, axes = plt.subplots(2, 4, figsize=(10.5, 5.2), layout="constrained")
    ink = {"cmap": "gray_r", "vmin": 0, "vmax": 1}
    axes[0, 0].imshow(x.reshape(shape), **ink)
    bare(axes[0, 0], f"1  pixels, {shape[0]} × {shape[1]}")
    axes[0, 1].imshow(response.reshape(shape), **ink)
    bare(axes[0, 1], "2  contrast response")
    winners = np.where(gate > 0.2, drive.argmax(axis=1).reshape(shape), np.nan)
    axes[0, 2].imshow(winners, cmap="tab20", vmin=0, vmax=drive.shape[1])
    bare(axes[0, 2], f"3  winner of {drive.shape[1]} columns\n    (white: nothing to see)")
    n_windows = features.shape[1] // drive.shape[1]
    axes[0, 3].imshow(features.reshape(n_windows, -1), aspect="auto", cmap="Blues")
    axes[0, 3].set(xlabel="column", ylabel="window")
    bare(axes[0, 3], f"4  features: pooled over\n    {n_windows} windows")
    for ax in axes[0, :3]:
        ax.set(xticks=[], yticks=[])
    axes[1, 0].hist(mixed, bins=40, color=SKY)
    axes[1, 0].set(xlabel="rate", ylabel="cells")
    bare(axes[1, 0], f"5  {mixed.size:,} mixing cells,\n    {np.mean(mixed > 0):.0%} active")
    best = np.argsort(rates)[::-1][:25]
    axes[1, 1].bar(range(25), rates[best], color=BLUE)
    axes[1, 1].set(xlabel="cell, by rate", ylabel="rate")
    bare(axes[1, 1], f"6  {rates.size:,} association cells\n    compete (25 most active)")
    votes = net.association.votes[best[:8]]
    axes[1, 2].imshow(votes, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes[1, 2].set(xlabel="class", ylabel="cell, by rate", xticks=range(0, 10, 3))
    bare(axes[1, 2], "7  votes of the eight\n    most active cells")
    p = np.exp(shares - shares.max())
    axes[1, 3].bar(range(len(p)), p / p.sum(), color=VERMILION)
    axes[1, 3].set(xlabel="class", ylabel="share of the votes", ylim=(0, 1), xticks=range(0, 10, 3))
    bare(axes[1, 3], f"8  answer: {model.classes_[np.argmax(p)]} (label {data.y_test[right]})")
    return figure


def synapse() -> Figure:
    """Target, relaxation and turnover of the synapses onto one association cell."""
    net, data = network().network_, digits()
    association = net.association
    X = net.on_features.seen(network().encoder_.encode(data.X_train))
    Y = association.rates(association.drive(X))
    cell = int(np.argmax(association.rate))
    y = Y[:, cell].astype(float)
    mean, sd = X.mean(axis=0), X.std(axis=0)
    z = ((y @ X) / y.sum() - mean) / np.where(sd > 0, sd, 1)
    z[sd == 0] = 0
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.1), layout="constrained")

    j = int(np.argsort(z)[-20])
    bins = np.linspace(0, X[:, j].max(), 26)
    axes[0].hist(X[:, j], bins, density=True, color="0.8", label="all samples")
    axes[0].hist(X[:, j], bins, weights=y, density=True, histtype="step", color=VERMILION, label="cell i active")
    for x, colour in ((mean[j], GREY), ((y @ X[:, j]) / y.sum(), VERMILION)):
        axes[0].axvline(x, color=colour, linestyle="--", linewidth=1)
    axes[0].set(xlabel="rate of mixing cell j", ylabel="density")
    axes[0].legend(
        frameon=False, fontsize=8, handlelength=1, loc="upper left", bbox_to_anchor=(0.19, 1)
    )  # between lines
    bare(axes[0], f"What it learns: z = {z[j]:.1f}\nshift of the mean, in sd of j")

    shown = np.argsort(z)[[-20, -400, len(z) // 2, 200]]
    rule = bn.rules.LogCovariance(normalize=False)
    path = bn.connectivity.dense(1, X.shape[1], bn.connectivity.Constant(1.0), sign="E", dtype=np.float32)
    path.observe(np.ascontiguousarray(X))
    steps, log_w = 60, []
    for _ in range(steps):
        log_w.append(np.log(path.weights[shown]))
        gain = np.full(1, 1 / max(y.mean() * rule.eta, 1e-9) * 0.12, np.float32)
        rule.step(path, np.ascontiguousarray(X), np.ascontiguousarray(Y[:, [cell]]), gain, observe=False)
    for k, (place, colour) in enumerate(zip(shown, bn.plot.COLOURS, strict=False)):
        axes[1].plot(range(steps), np.array(log_w)[:, k], color=colour)
        axes[1].axhline(z[place], color=colour, linestyle="--", linewidth=1)
    axes[1].set(xlabel="step", ylabel="log w")
    bare(axes[1], "How: log w relaxes to z (dashed),\nfour synapses, before scaling")

    turnover = bn.rules.Turnover()
    size = np.logspace(-1.5, 1.5, 200)
    axes[2].plot(size, turnover.survival(size), color=BLUE)
    axes[2].set(xscale="log", xlabel="weight, in units of w$_0$ = 1/√4000", ylabel="share of the time it is there")
    axes[2].set(ylim=(0, 1))
    bare(axes[2], "Which stay: small synapses die sooner,\nothers are born at w$_0$")

    some = np.argsort(association.rate)[::-1][:200]
    targets = (((Y[:, some].T @ X) / Y[:, some].sum(axis=0)[:, None] - mean) / np.where(sd > 0, sd, 1))[:, sd > 0]
    norms = np.linalg.norm(np.exp(targets), axis=1, keepdims=True)
    stored = association.synapses.to_scipy()[some]
    density = stored.nnz / np.prod(stored.shape)
    bins = np.linspace(-3.5, 4, 76)
    for log_w, style in (
        ((targets - np.log(norms)).ravel(), {"color": "0.8", "label": "targets of all"}),
        (np.log(stored.data), {"color": BLUE, "alpha": 0.7, "label": f"there: {density:.0%}"}),
    ):
        axes[3].hist(log_w + np.log(np.sqrt(z.size)), bins, density=True, **style)
    axes[3].set(xlabel="log (w / w$_0$)", ylabel="density")
    axes[3].legend(frameon=False, fontsize=8)
    bare(axes[3], "What remains: a bell in log w\n(200 cells)")
    return figure


def cells() -> Figure:
    """Every population and pathway of the network: sizes, densities, signs."""
    return bn.plot.network_diagram(network()).figure


PICTURES = {"pathway": pathway, "synapse": synapse, "cells": cells}


def main() -> None:
    for name, draw in PICTURES.items():
        save(draw(), f"{name}.svg")


if __name__ == "__main__":
    main()
