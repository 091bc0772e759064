"""The network: encoder -> association -> readout, learned locally, layer after layer."""

from __future__ import annotations

import numpy as np

#: Drives (samples x cells) kept in memory while readouts learn; beyond this they are computed again each epoch.
CACHED_DRIVES = 256_000_000
#: Samples whose drive is in memory at a time in inference.
INFERENCE_BATCH = 512


class Network:
    """A composition of layers; :class:`bioneuro.BioClassifier` is this with labels, defaults and checks.

    Parameters
    ----------
    encoder : object with ``encode(X)`` and ``encode_grad(X, dH, space)``
    association : Association
    readouts : dict name -> readout
        All of them learn from the same activity; ``logits`` asks for one by name.
    """

    def __init__(self, encoder, association, readouts):
        self.encoder, self.association, self.readouts = encoder, association, readouts

    # --- learning (on features: the encoder has learned before) ---

    def learn_association(self, H, T, *, n_epochs, batch_size, theta, n_grow, n_candidates, rng, progress):
        """Competitive learning on features ``H`` with one-hot labels ``T``; structural plasticity after each epoch."""
        for _ in progress(range(n_epochs), desc="association"):
            for batch in batches(len(H), batch_size, rng):
                rates = self.association.learn(H[batch], T[batch])
            if theta:
                self.association.rewire(H[batch], rates, theta, n_grow, n_candidates)

    def learn_readouts(self, H, T, *, n_epochs, batch_size, eta, rng, progress):
        """Readouts learn from the drive of the finished association."""
        learned = [readout for readout in self.readouts.values() if readout.pathways()]
        if not learned:
            return
        drives = None
        if len(H) * self.association.n_cells <= CACHED_DRIVES:
            drives = self.association.drive(H)
        for _ in progress(range(n_epochs), desc="readout"):
            for batch in batches(len(H), batch_size, rng):
                drive = self.association.drive(H[batch]) if drives is None else drives[batch]
                for readout in learned:
                    readout.learn(drive, T[batch], eta)

    def recruit(self, H, T):
        """Add one association cell for each sample, with its synapses onto the readouts."""
        self.association.recruit(H, T)
        for readout in self.readouts.values():
            readout.recruit(len(H))

    # --- inference ---

    def logits(self, H, readout):
        """Logits ``(n, n_classes)`` of features ``H`` by the named readout."""
        out = [self.readouts[readout].logits(self.association.drive(H[s])) for s in slices(len(H), INFERENCE_BATCH)]
        return np.concatenate(out)

    def input_grad(self, X, logits_grad, readout, *, space="image"):
        """Gradient of a function of the logits with respect to ``X``; ``logits_grad(logits, rows)`` is its slope."""
        out = []
        for rows in slices(len(X), INFERENCE_BATCH):
            drive = self.association.drive(self.encoder.encode(X[rows]))
            dlogits = logits_grad(self.readouts[readout].logits(drive), rows)
            da = np.ascontiguousarray(self.readouts[readout].drive_grad(drive, dlogits), drive.dtype)
            dH = self.association.synapses.input_grad(da, n_threads=self.association.n_threads)
            out.append(self.encoder.encode_grad(X[rows], dH, space=space))
        return np.concatenate(out)

    def pathways(self):
        """Every learned pathway by name: a dict of :class:`bioneuro.Synapses`."""
        named = {"association": self.association.synapses}
        if hasattr(self.encoder, "columns"):
            named = {"map": self.encoder.columns.synapses, **named}
        for readout in self.readouts.values():
            named |= readout.pathways()
        return named


def slices(n, size):
    """Consecutive slices of at most ``size`` that cover ``range(n)``."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def batches(n, size, rng):
    """Random minibatches of row numbers that cover ``range(n)`` once; the last is as large as its like permit."""
    order = rng.permutation(n)
    return np.array_split(order, max(1, -(-n // size)))
