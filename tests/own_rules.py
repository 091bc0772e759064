"""Rules as a user would write them in a module of their own."""

from dataclasses import dataclass

import numpy as np

from bioneuro.rules import AdditiveRule, batch_mean, on_synapses


@dataclass(frozen=True, kw_only=True)
class Covariance(AdditiveRule):
    """``dw_ij = eta (mean_b((y_bi - <y_i>) (x_bj - <x_j>)+) - decay w_ij)``, with a mean of its own of each ``y``."""

    decay: float = 0.1
    memory: float = 0.9

    observes = True

    def delta(self, synapses, w, X, Y):
        mean = self.recall(synapses, "mean")
        mean = batch_mean(Y) if mean is None else self.memory * mean + (1 - self.memory) * batch_mean(Y)
        self.remember(synapses, mean=mean)
        rise = np.ascontiguousarray(np.maximum(X - synapses.pre_mean, 0), X.dtype)
        return self.eta * (self.hebb(synapses, rise, Y) - on_synapses(synapses, self.decay * mean) * w)


def hebb(synapses, X, Y, gain):
    """Plain Hebb: synaptic scaling does the rest."""
    return on_synapses(synapses, gain) * synapses.weight_grad(X, Y) / len(X)
