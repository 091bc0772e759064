"""Hashes of what small networks learn: their files, logits and gradients. ``python -m benchmarks.hashes``

A change that should change no result prints the same lines before and after it, on the same machine.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import bioneuro as bn


def networks() -> dict[str, bn.BioClassifier]:
    """One of every competition, map and readout, the former rule among them."""
    return {
        "softmax, delta": bn.BioClassifier(n_cells=60, random_state=0),
        "circuit, perturbation": bn.BioClassifier(
            "perturbation", competition="circuit", n_cells=40, mixing=0, random_state=1
        ),
        "former rule, votes": bn.BioClassifier("votes", rule="log-relaxation", n_cells=40, mixing=0, random_state=2),
        "local map, delta": bn.BioClassifier(encoder__feature_map="local", n_cells=40, random_state=3),
    }


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def main() -> None:
    data = bn.datasets.load("digits")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        for name, network in networks().items():
            network.fit(data.X_train[:250], data.y_train[:250])
            bn.save(network, path)
            logits = network.decision_function(data.X_test)
            gradient = network.input_gradient(data.X_test[:20], data.y_test[:20])
            print(f"{name:22} {sha(path.read_bytes())} {sha(logits.tobytes())} {sha(gradient.tobytes())}")


if __name__ == "__main__":
    main()
