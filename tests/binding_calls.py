"""A good call of every function of the C core, and what kind of thing each argument is; for tests and campaigns."""

import numpy as np

from bioneuro import _core, kernels

N_ROWS, N_COLS, BATCH = 5, 7, 4

#: What an argument must be, by its name.
KINDS = {
    "array": "indptr indices data X dY Y bias out dX G c gain threshold drive R dU dgate W pool_rows pool_cols x "
    "cand_indptr cand_indices score time narrow order",
    "integer": "itemsize n_cols n_threads k n_candidates n_grow patch_size",
    "key": "seed step",
    "real": "beta theta weight birth death gamma size c0 g0 gate_exponent eta sigma floor w_min w_max",
    "flag": "check transposed normalize",
    "choice": "form sign name",
    "layout": "layout",
}
KIND = {name: kind for kind, names in KINDS.items() for name in names.split()}


def calls(seed=0, value=np.float32, index=np.int32):
    """Name of each function -> keyword arguments of a good call, all of them given, on arrays of its own."""
    rng = np.random.default_rng(seed)

    def pathway():
        stored = rng.random((N_ROWS, N_COLS)) < 0.5
        stored[:, 0], stored[2, 1:] = False, False
        indptr = np.concatenate([[0], np.cumsum(stored.sum(axis=1))]).astype(index)
        return {"indptr": indptr, "indices": np.nonzero(stored)[1].astype(index), "data": array(int(stored.sum()))}

    def array(*shape):
        return rng.random(shape).astype(value)

    def weighted(**others):
        return pathway() | others

    def pattern(**others):
        return {name: array for name, array in pathway().items() if name != "data"} | others

    def with_layout(transposed, arguments, n_cols=N_COLS):
        w = [arguments[name] for name in ("indptr", "indices", "data")]
        return arguments | {"layout": _core.layout(*w, n_cols, transposed)}

    def for_few(arguments):
        return arguments | {"narrow": arguments["indices"].astype(np.uint16)}

    def size(arguments):
        return len(arguments["indices"])

    X, Y = lambda: array(BATCH, N_COLS), lambda: array(BATCH, N_ROWS)  # noqa: E731
    common = {"n_threads": 2, "check": True}
    key = {"seed": 3, "step": 1}
    forward = for_few(with_layout(False, weighted(X=X(), bias=array(N_ROWS), out=Y(), **common)))
    forward["order"] = np.arange(N_ROWS, dtype=np.uint32)
    input_grad = for_few(with_layout(True, weighted(dY=Y(), n_cols=N_COLS, out=X(), **common)))
    weight_grad = for_few(with_layout(False, weighted(X=X(), dY=Y(), **common)))
    weight_grad["out"] = weight_grad.pop("data")
    backward = for_few(with_layout(True, weighted(X=X(), dY=Y(), dX=X(), **common)))
    backward["G"] = array(size(backward))
    layout = weighted(n_cols=N_COLS, transposed=True, n_threads=2)
    refresh = with_layout(False, weighted(n_cols=N_COLS, n_threads=2))
    parameters = {"eta": 0.1, "sigma": 0.1, "floor": 1e-3, "w_min": 0.0, "w_max": 1.0, "normalize": True}
    plasticity = weighted(c=array(N_ROWS), form="log-relaxation", theta=0.1, **key, **common, **parameters)
    plasticity["G"] = array(size(plasticity))
    hebbian = with_layout(
        False,
        weighted(X=X(), Y=Y(), form="log-relaxation", gain=array(N_ROWS), **key, **common, **parameters),
    )
    grow = weighted(n_grow=2, weight=0.5, **common)
    sites = kernels.candidates(grow["indptr"], grow["indices"], N_COLS, 4)
    grow |= {"cand_indptr": sites[0], "cand_indices": sites[1], "score": array(len(sites[1]))}
    retina = {"patch_size": 3, "c0": 0.5, "g0": 0.5, "gate_exponent": 1.0, "n_threads": 2}
    R, places = array(2, 4, 3, 1), 2 * 4 * 3
    return {
        "forward": forward,
        "input_grad": input_grad,
        "weight_grad": weight_grad,
        "backward": backward,
        "few": {"n_cols": N_COLS, "itemsize": 4},
        "layout": layout,
        "layout_refresh": refresh,
        "compete": {"drive": Y(), "beta": 2.0, "threshold": array(N_ROWS), "k": 2, "n_threads": 2, "out": Y()},
        "compete_grad": {"Y": Y(), "dY": Y(), "beta": 2.0, "n_threads": 2, "out": Y()},
        "plasticity_step": plasticity,
        "hebbian_step": hebbian,
        "normalize_rows": weighted(**common),
        "Plasticity": {"form": "log-relaxation", **parameters},
        "minmax": {"x": array(9), "n_threads": 2},
        "validate": weighted(n_cols=N_COLS),
        "transpose_index": pattern(n_cols=N_COLS, check=True),
        "prune": weighted(theta=0.5, **common),
        "candidates": pattern(n_cols=N_COLS, n_candidates=4, **key, **common),
        "grow": grow,
        "turnover": weighted(
            n_cols=N_COLS, birth=0.1, death=0.1, gamma=1.0, size=0.4, time=array(N_ROWS), sign="I", normalize=True,
            **key, **common
        ),
        "patches": {"R": R, **retina},
        "patches_grad": {"R": R, "dU": array(places, 18), "dgate": array(places), **retina},
        "feature_map": {
            "R": R, "W": array(6, 18), "pool_rows": array(2, 4), "pool_cols": array(2, 3), "beta": 2.0, "k": 2,
            **retina,
        },
    }  # fmt: skip
