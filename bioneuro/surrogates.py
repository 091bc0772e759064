"""Variants of a network whose gradients mislead an attack less than its own; they share its weights.

Where competition is sharp, the gradient is correct but of little use to an attack: it shows the drive of the winner,
not which cell would win a small step further. A variant competes more softly, listens to other cells or skips a stage
in the backward pass (`bioneuro.attacks.Adaptive` follows it, and asks the network itself whether a sample is broken).
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from .layers.association import Association
from .layers.interfaces import Competition, GradientSpace
from .layers.pools import SoftmaxPool
from .layers.readout import VotesReadout
from .network import Network
from .protocols import Pullback

__all__ = ["NearestCells", "StraightThrough", "variants"]

#: A vote that a cell does not have: its logarithm is finite, and no drive makes up for it while others have one.
NO_VOTE = 1e-30
#: Gain at which the nearest cells of a class are asked for, relative to beta.
NEAREST_GAIN = 0.25


class NearestCells(VotesReadout):
    """Logits by how near the best cells of each class are: ``z_c = log sum_i v_i(c) exp(gain beta a_i)``.

    Up to a constant for each sample they are the logits of the votes' readout without its floor, which leaves no slope
    where that readout is confident. The margin's gradient moves the drive from the best cells of the true class to
    those of the runner-up, the nearest wrong prototypes, however small their rates are; the smaller ``gain``, the more
    cells of a class count.

    Parameters
    ----------
    association : Association
        Whose drive is that of competing cells, not yet the rates.
    gain : float
        Relative to the association's beta, > 0.
    """

    def __init__(self, association: Association, gain: float = 1.0) -> None:
        super().__init__(association, association.n_classes)
        self.gain = gain

    def logits(self, drive: NDArray) -> NDArray:
        """Logits ``(batch, n_classes)`` from the drive ``(batch, n_cells)``."""
        scores = self.gain * self.association.gain * drive
        return np.stack([logsumexp(scores + log_votes, axis=1) for log_votes in self._log_votes()], axis=1)

    def drive_grad(self, drive: NDArray, dlogits: NDArray) -> NDArray:
        """Gradient with respect to the drive, given that with respect to the logits."""
        scores = self.gain * self.association.gain * drive
        grad = np.zeros_like(scores)
        for c, log_votes in enumerate(self._log_votes()):
            grad += dlogits[:, c, None] * softmax(scores + log_votes, axis=1)
        return self.gain * self.association.gain * grad

    def _log_votes(self) -> NDArray:
        return np.log(np.maximum(self.association.votes, NO_VOTE)).T


class StraightThrough(Network):
    """Forward pass of one network, backward pass of a variant of it at the same input.

    Backward pass differentiable approximation (Athalye, Carlini & Wagner 2018, arXiv 1802.00420, section 4): logits
    and losses are the network's own; the gradient does not see the stage that would hide it.

    Parameters
    ----------
    network : Network
    backward : Network
        With readouts of the same names.
    """

    def __init__(self, network: Network, backward: Network) -> None:
        super().__init__(network.layers, network.readouts)
        self.backward = backward

    def vjp(self, X: NDArray, readout: str, *, space: GradientSpace = "image") -> tuple[NDArray, Pullback]:
        """Logits of the one network at ``X``, pullback of the other."""
        return self.logits(X, readout), self.backward.vjp(X, readout, space=space)[1]


def variants(network: Network, readout: str) -> dict[str, tuple[Network, str]]:
    """Networks by name, each with the name of the readout to ask.

    Parameters
    ----------
    network : Network
        Not changed; the variants share its weights.
    readout : str
        The readout under attack.

    Returns
    -------
    dict name -> (Network, readout)
        ========================= ===========================================================================
        nearest cells             `NearestCells` in place of the readout, at a quarter of beta
        nearest cells, soft map   the same, and columns of the map compete more softly
        beta/2                    association competes more softly (a circuit's cells: by one pool)
        beta/4 backward           own logits, backward pass of an association that competes more softly
        map_beta/2                columns of the map compete more softly
        all winners               own logits, backward pass as if all cells were active (where only k are)
        the readouts              each other one that has learned, on the same cells
        ========================= ===========================================================================

        Several layers whose cells compete are softened together; where none do, there are fewer variants.

    Notes
    -----
    Chosen by what they broke of digits, and of validation images of MNIST, that eight runs of PGD had left standing
    (both readouts, softmax and circuit). Others broke fewer, mostly the same: an eighth of beta, nearest cells at other
    gains, softer columns in the backward pass only, a higher floor under the square root behind the pooling.
    """
    layers = network.layers.values()
    maps, competing = ([each for each in layers if hasattr(each, part)] for part in ("columns", "competition"))
    found: dict[str, Network] = {}
    if competing:
        soft = network if all(layer.competition.taught for layer in competing) else _soften(network, one_pool=True)
        if hasattr(network.association, "votes"):
            found["nearest cells"] = _nearest(soft)
            if maps:
                found["nearest cells, soft map"] = _nearest(_soften(soft, map_beta=1 / 2))
        found["beta/2"] = _soften(soft, beta=1 / 2)
        found["beta/4 backward"] = StraightThrough(network, _soften(soft, beta=1 / 4))
    if maps:
        found["map_beta/2"] = _soften(network, map_beta=1 / 2)
    if any(cells.k is not None for cells in [*competing, *(each.columns for each in maps)]):
        found["all winners"] = StraightThrough(network, _soften(network, all_winners=True))
    others = {name: (network, name) for name in network.readouts if name != readout}
    return {name: (variant, readout) for name, variant in found.items()} | others


def _nearest(network: Network) -> Network:
    """The same cells with `NearestCells` under the name of every readout."""
    nearest = NearestCells(network.association, NEAREST_GAIN)
    return Network(network.layers, dict.fromkeys(network.readouts, nearest))


def _soften(
    network: Network,
    *,
    beta: float = 1.0,
    map_beta: float = 1.0,
    one_pool: bool = False,
    all_winners: bool = False,
) -> Network:
    """A network that shares the weights of another and competes differently; gains are relative to those it has."""

    def softened(layer: Any) -> Any:
        if hasattr(layer, "columns"):
            changed, columns = copy.copy(layer), layer.columns
            changed.columns = columns.with_competition(_softer(columns.competition, map_beta, all_winners))
            return changed
        if not hasattr(layer, "competition"):
            return layer
        competition = layer.competition
        if one_pool and not competition.taught:
            competition = SoftmaxPool(
                layer.n_cells, beta=competition.beta, sharpening=competition.sharpening, n_threads=layer.n_threads
            )
        return layer.with_competition(_softer(competition, beta, all_winners))

    soft = Network({name: softened(layer) for name, layer in network.layers.items()}, network.readouts)
    for name, readout in network.readouts.items():
        if readout.association is network.association:
            soft.readouts[name] = copy.copy(readout)
            soft.readouts[name].association = soft.association
    return soft


def _softer(competition: Competition, factor: float, all_winners: bool) -> Competition:
    softer = copy.copy(competition)
    softer.beta *= factor
    if all_winners:
        softer.k = None
    return softer
