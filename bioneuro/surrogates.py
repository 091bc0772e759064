"""Variants of a network whose gradients mislead an attack less than its own."""

from __future__ import annotations

import copy

import numpy as np
from scipy.special import logsumexp

from bioneuro.layers.association import Association
from bioneuro.layers.circuit import Circuit
from bioneuro.network import Network, slices, INFERENCE_BATCH

class NearestCells:
    def __init__(self, association, gain=1.0):
        self.association, self.gain = association, gain

    def _scores(self, drive):
        return self.gain * self.association.beta * drive.astype(float)

    def logits(self, drive):
        s = self._scores(drive)
        with np.errstate(divide="ignore"):
            lv = np.log(self.association.votes.astype(float) + 1e-30)
        return np.stack([logsumexp(s + lv[:, c], axis=1) for c in range(lv.shape[1])], axis=1)

    def drive_grad(self, drive, dlogits):
        s = self._scores(drive)
        lv = np.log(self.association.votes.astype(float) + 1e-30)
        out = np.zeros_like(s)
        for c in range(lv.shape[1]):
            t = s + lv[:, c]
            t = np.exp(t - t.max(axis=1, keepdims=True)); t /= t.sum(axis=1, keepdims=True)
            out += dlogits[:, c, None] * t
        return (out * self.gain * self.association.beta).astype(drive.dtype)

    def pathways(self):
        return {}

class StraightThrough(Network):
    def __init__(self, network, backward):
        super().__init__(network.encoder, network.association, network.readouts)
        self.backward = backward

    def input_grad(self, X, logits_grad, readout, *, space="image"):
        out = []
        b = self.backward
        for rows in slices(len(X), INFERENCE_BATCH):
            H = self.encoder.encode(X[rows])
            drive = self.association.drive(H)
            dlogits = logits_grad(self.readouts[readout].logits(drive), rows)
            Hb = b.encoder.encode(X[rows])
            db = b.association.drive(Hb)
            da = np.ascontiguousarray(b.readouts[readout].drive_grad(db, dlogits), drive.dtype)
            dH = b.association.drive_grad(db, da)
            out.append(b.encoder.encode_grad(X[rows], dH, space=space))
        return np.concatenate(out)

def variant(network, *, beta=1.0, map_beta=1.0, pool_floor=None, softmax=False, nearest=None):
    association, encoder = network.association, network.encoder
    association = copy.copy(association)
    if softmax:
        association = object.__new__(Association); association.__dict__ = dict(network.association.__dict__)
        association.k = None
    association.beta = association.beta * beta
    if map_beta != 1.0 or pool_floor is not None:
        encoder = copy.copy(encoder)
        encoder.columns = copy.copy(encoder.columns)
        encoder.columns.beta *= map_beta
        if pool_floor is not None:
            encoder.pool_floor = pool_floor
    readouts = {}
    for name, readout in network.readouts.items():
        readout = copy.copy(readout); readout.association = association
        if nearest is not None:
            readout = NearestCells(association, nearest)
        readouts[name] = readout
    return Network(encoder, association, readouts)

def with_network(model, network, readout=None):
    clone = copy.copy(model)
    clone.network_, clone.encoder_ = network, network.encoder
    if readout: clone.readout = readout
    return clone
