"""The few-image experiments of the command line: low-data curve, held-out alphabets, official one-shot task.

Three protocols, three files, never one table: their figures do not compare. What is finished is kept: the
same command goes on where it was stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ... import fewshot, omniglot, plot
from ...classifier import BioClassifier
from ...datasets import Dataset
from ..errors import UserError
from ..records.configuration import network_defaults
from ..records.environment import environment
from ..records.ledger import Ledger
from ..records.pictures import draw_into
from .models import few_image_models

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PROTOCOLS", "Options", "alphabet_episodes", "low_data", "one_shot", "run"]

#: Side of Omniglot's images in episodes, as is customary.
EPISODE_SIDE = 28
WAYS, SHOTS = (5, 20), (1, 5)
NOT_COMPARABLE = (
    "Leave one alphabet out over the five background alphabets: features are learned, without labels, from the other "
    "four. These are not the published splits (1,200 characters to train on), and the figures do not compare with them."
)
OFFICIAL = (
    "Official task: 20 runs, 20-way, within an alphabet. Learned from one small background (5 alphabets), no "
    "labels. Published with a small background: BPL 4.2, convnet 23.2, prototypical networks 30.1; people 4.5."
)


@dataclass(frozen=True)
class Options:
    """``shots``, ``n_repeats``, ``models`` (names, None: all) of the curve; ``n_episodes`` of all alphabets together;
    ``n_test`` images, drawn at random, None: all of the test set; ``n_jobs`` processes, or the Dask cluster of
    ``scheduler`` for the curve."""

    shots: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100)
    n_repeats: int = 20
    n_episodes: int = 1000
    n_test: int | None = None
    n_unlabelled: int = 2000
    n_jobs: int | None = 1
    scheduler: str | None = None
    models: tuple[str, ...] | None = None
    progress: bool = True

    def depended_on(self, *names: str) -> dict[str, Any]:
        """What results depend on: these options, and the defaults of our network."""
        return {name: getattr(self, name) for name in names} | {"network": network_defaults()}


def low_data(
    data: Dataset, name: str, options: Options, out: Path, models: dict[str, Any] | None = None
) -> pd.DataFrame:
    """Test accuracy after k images a class, from scratch and, named so, with unlabelled images for the features.

    Parameters
    ----------
    data : Dataset
    name : str
        Of the data set.
    options : Options
    out : Path
        Folder of ``curve.csv``, which grows by one model and repeat at a time.
    models : dict, optional
        Default all of :func:`few_image_models`.

    Returns
    -------
    DataFrame with columns model, n_shot, repeat, accuracy, unit
    """
    most = int(np.bincount(data.y_train).min())
    if max(options.shots) > most:
        raise UserError(f"--shots {max(options.shots)} is more than the {most} images of the smallest class")
    models = few_image_models(data.image_shape) if models is None else models
    if unknown := [name for name in options.models or () if name not in models]:
        raise UserError(f"--models: unknown {unknown[0]!r}; choose from {', '.join(map(repr, models))}")
    models = {name: model for name, model in models.items() if options.models is None or name in options.models}
    drawn = np.random.default_rng(0).permutation(len(data.y_train))[: options.n_unlabelled]
    tested = np.sort(np.random.default_rng(0).permutation(len(data.y_test))[: options.n_test])
    configuration = {"dataset": name, **options.depended_on("shots", "n_test", "n_unlabelled")}
    table = Ledger(out / "curve.csv", configuration, environment())

    def compute(model: str, repeat: int) -> pd.DataFrame:
        learns = options.n_unlabelled and hasattr(models[model], "fit_features")
        return fewshot.low_data_curve(
            {model: models[model]},
            data.X_train,
            data.y_train,
            data.X_test[tested],
            data.y_test[tested],
            shots=options.shots,
            n_repeats=1,
            first_repeat=repeat,
            progress=False,
            unlabelled=data.X_train[drawn] if learns else None,
        )

    units = [(model, repeat) for repeat in range(options.n_repeats) for model in models]
    return table.complete(
        compute,
        units,
        n_jobs=options.n_jobs,
        scheduler=options.scheduler,
        description=f"{name}, curve",
        progress=options.progress,
    )


def alphabet_episodes(
    characters: omniglot.Characters,
    options: Options,
    out: Path,
    ways: Sequence[int] = WAYS,
    shots: Sequence[int] = SHOTS,
) -> pd.DataFrame:
    """5- and 20-way, 1- and 5-shot episodes within each alphabet in turn, features learned from the others.

    ``out`` is the folder of ``episodes.csv``, which grows by one alphabet, way, shot and head at a time.

    Returns
    -------
    DataFrame with columns model, episode, n_way, n_shot, n_query, accuracy, alphabet, unit
        ``model`` is the head; episodes are counted through the alphabets.
    """
    shape = (EPISODE_SIDE, EPISODE_SIDE)
    X, alphabets = characters.at(shape), np.unique(characters.alphabets)
    n_episodes = max(1, options.n_episodes // len(alphabets))

    @lru_cache(maxsize=1)
    def features(k: int) -> tuple[Any, Any]:
        held_out = characters.alphabets == alphabets[k]
        encoder = BioClassifier(image_shape=shape, random_state=k).fit_features(X[~held_out])
        return encoder.transform(X[held_out]), characters.labels[held_out]

    def compute(k: int, n_way: int, n_shot: int, head: str) -> pd.DataFrame:
        sampler = fewshot.EpisodeSampler(*features(k), n_way, n_shot, 5, n_episodes, random_state=k)
        found = fewshot.evaluate(fewshot.HEADS[head](), sampler, n_jobs=options.n_jobs)
        found["episode"] += k * n_episodes
        found.insert(0, "model", head)
        return found.assign(alphabet=alphabets[k])

    table = Ledger(out / "episodes.csv", options.depended_on("n_episodes"), environment())
    units = [
        (k, n_way, n_shot, head)
        for k in range(len(alphabets))
        for n_way in ways
        for n_shot in shots
        for head in fewshot.HEADS
    ]
    return table.complete(compute, units, description="episodes", progress=options.progress)


def one_shot(
    characters: omniglot.Characters, runs: Sequence[omniglot.OneShotRun], options: Options, out: Path
) -> pd.DataFrame:
    """The official task by pixels, Modified Hausdorff distance, pooled features and elastic matching.

    ``out`` is the folder of ``omniglot.csv``, which grows by one of them at a time.

    Returns
    -------
    DataFrame with columns model, run, error, unit
    """
    shape = (EPISODE_SIDE, EPISODE_SIDE)
    encoders: dict[str, Callable[[], Any]] = {
        "pixels": lambda: fewshot.Pixels(shape),
        "Modified Hausdorff": fewshot.ModifiedHausdorff,
        "map, cosine": lambda: BioClassifier(image_shape=shape, random_state=0).fit_features(characters.at(shape)),
        "map, elastic matching": lambda: fewshot.ElasticMatcher().fit(characters.at((omniglot.SIDE, omniglot.SIDE))),
    }

    def compute(name: str) -> pd.DataFrame:
        found = fewshot.omniglot_one_shot(encoders[name](), runs, progress=False)
        found.insert(0, "model", name)
        return found

    table = Ledger(out / "omniglot.csv", options.depended_on(), environment())
    return table.complete(compute, [(name,) for name in encoders], description="one-shot", progress=options.progress)


# --- what is printed and written ---

#: A report, the rows that it is made of, and the function that draws its figure.
Printed: TypeAlias = "tuple[str, pd.DataFrame, Callable[[Any], Any]]"


def _print_curve(data: Dataset, name: str, options: Options, out: Path) -> Printed:
    found = low_data(data, name, options, out)
    table = fewshot.summary(found)
    shown = "whole test set" if options.n_test is None else f"{options.n_test} test images"
    repeats = f"{options.n_repeats} repeat{'s' * (options.n_repeats > 1)}"
    head = f"{name}: accuracy in % after k images a class, {shown}, {repeats}: mean ± half-width at 95 %"
    text = f"{head}\n{_wide(table, 'model', 'n_shot')}"
    text += '\n"+ unlabelled": retina and map from unlabelled training images; all else from the k images alone.'
    return text, found, lambda ax: plot.low_data_curve(found.rename(columns={"repeat": "seed"}), ax=ax)


def _print_episodes(data: Dataset | None, name: str, options: Options, out: Path) -> Printed:
    found = alphabet_episodes(omniglot.background(), options, out)
    table = fewshot.summary(found)
    table["way and shot"] = [f"{row.n_way}-way {row.n_shot}-shot" for row in table.itertuples()]
    text = "Accuracy in %, Omniglot 28 x 28: mean ± half of the 95 % interval over episodes\n"
    text += _wide(table, "model", "way and shot") + f"\n{NOT_COMPARABLE}"
    return text, found, lambda ax: plot.episodes(found[found["n_way"] == max(WAYS)], ax=ax)


def _print_one_shot(data: Dataset | None, name: str, options: Options, out: Path) -> Printed:
    found = one_shot(omniglot.background(), omniglot.one_shot_runs(), options, out)
    means = found.groupby("model", sort=False)["error"].mean()
    lines = [f"  {model:24} {100 * error:5.1f}" for model, error in means.items()]
    text = "\n".join(["One-shot error in %", *lines, OFFICIAL])
    return text, found, lambda ax: plot.one_shot_errors(found, ax=ax)


PROTOCOLS: dict[str, Callable[[Any, str, Options, Path], Printed]] = {
    "curve": _print_curve,
    "episodes": _print_episodes,
    "omniglot": _print_one_shot,
}


def run(
    protocol: str, data: Dataset | None, name: str, options: Options, out: Path
) -> tuple[str, list[Path], pd.DataFrame]:
    """Run one protocol; write ``<protocol>.csv`` and ``<protocol>.png`` into ``out``; return its report, the files and
    the rows.

    Parameters
    ----------
    protocol : {"curve", "episodes", "omniglot"}
    data : Dataset or None
        Of the curve; the others read Omniglot.
    name : str
        Of the data set.
    options : Options
    out : Path
    """
    text, rows, draw = PROTOCOLS[protocol](data, name, options, out)
    return text, [out / f"{protocol}.csv", draw_into(out / f"{protocol}.png", draw)], rows


def _wide(table: pd.DataFrame, row: str, column: str) -> str:
    """Mean ± half-width in percent, a line for each ``row``."""
    cells = [
        f"{100 * mean:.1f}" + ("" if np.isnan(low) else f" ± {100 * (mean - low):.1f}")
        for mean, low in zip(table["mean"], table["low"], strict=True)
    ]
    wide = table.assign(cell=cells).pivot(index=row, columns=column, values="cell")
    order = list(dict.fromkeys(table[row]))
    return wide.loc[order].fillna("-").rename_axis(index=None, columns=None).to_string()
