"""plasticity_step against the same arithmetic in NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.harness import OURS, Case
from bioneuro import connectivity, reference

#: name -> arguments of plasticity_step
FORMS = {
    "exponential": dict(form="exponential", eta=0.01, w_max=10.0, normalize=False),
    "signed": dict(form="signed", eta=0.01, w_max=10.0, normalize=False),
    "log-relaxation, normalised": dict(form="log-relaxation", eta=0.01),
    "log-relaxation, noise, normalised": dict(form="log-relaxation", eta=0.01, sigma=0.3),
}


def cases(tiny: bool = False) -> Iterator[Case]:
    """1.68 M synapses, float32. The twin works in float64 and allocates: it is the readable way, not the fastest."""
    n = 64 if tiny else 4096
    rng = np.random.default_rng(0)
    for name, arguments in FORMS.items():
        sign = "mixed" if arguments["form"] == "signed" else "E"
        W = connectivity.random(n, n, density=0.1, sign=sign, random_state=0)
        G, c = rng.random(W.nnz, np.float32), rng.random(n, np.float32) + 0.1
        twin = W.weights.copy()

        def ours(W=W, G=G, c=c, arguments=arguments):
            W.plasticity_step(G, c, **arguments)

        def numpy_twin(W=W, w=twin, G=G, c=c, arguments=arguments):
            reference.plasticity_step(W.indptr, W.indices, w, G, c, **arguments)

        calls = {OURS: ours, "NumPy twin": numpy_twin}
        if name == "exponential":
            cell = np.repeat(np.arange(n), np.diff(W.indptr))
            w, eta = W.weights.copy(), np.float32(arguments["eta"])

            def float32(w=w, G=G, c=c, cell=cell, eta=eta):
                np.minimum(w * np.exp(eta * (G - c[cell] * w)), np.float32(10), out=w)

            calls["NumPy float32"] = float32
        yield Case(f"plasticity: {name}", f"{W.nnz:,} synapses", W.nnz, "M synapses/s", calls)
