"""The extension as a guest in a process: instruction sets, environment, forks, threads, memory."""

import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import scipy.sparse as sp

from bioneuro import _core, kernels, reference

ISAS = ["generic", "avx2", "avx512"]


# the package without its __init__, which imports much more than these tests need
BARE = f"""
    import sys, types
    sys.modules["bioneuro"] = types.ModuleType("bioneuro")
    sys.modules["bioneuro"].__path__ = [{os.path.dirname(kernels.__file__)!r}]
"""


def output(code, **environment):
    """What `code` prints in a fresh interpreter, where nothing else sets bioneuro or threads; it must succeed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BIONEURO_") and k != "OMP_NUM_THREADS"}
    env = kept | environment
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


PATHWAY = (
    BARE
    + """
    import numpy as np, scipy.sparse as sp
    from bioneuro import _core, kernels, reference
    rng = np.random.default_rng(0)
    n_rows, n_cols, batch = 60, 333, 37
    W = sp.csr_array(sp.random(n_rows, n_cols, 0.2, "csr", random_state=rng))
    W.sort_indices()
    indptr, indices = W.indptr.astype(np.int32), W.indices.astype(np.int32)
"""
)


# --- instruction sets and environment ----------------------------------------------------------------------


@pytest.mark.parametrize("simd", ISAS)
def test_every_instruction_set_gives_the_results_of_the_twins(simd):
    best = _core.config()["simd_best"]
    if ISAS.index(simd) > ISAS.index(best):
        pytest.skip(f"this processor has {best} at best")
    output(
        PATHWAY
        + """
    def check(name, *arguments, **keywords):
        mine = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        twin = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        actual, expected = getattr(kernels, name)(*mine, **keywords), getattr(reference, name)(*twin, **keywords)
        if not isinstance(actual, tuple):
            actual, expected = (actual,), (expected,)
        pairs = list(zip(actual, expected, strict=True)) + list(zip(mine, twin, strict=True))
        for a, e in pairs:
            if isinstance(a, np.ndarray) and a.dtype.kind == "f":
                atol = tolerance * max(1, abs(e).max(initial=0))
                np.testing.assert_allclose(a, e, rtol=tolerance, atol=atol, err_msg=name)
            else:
                np.testing.assert_array_equal(a, e, err_msg=name)

    assert _core.config()["simd"] == {simd!r}
    for value, tolerance in ((np.float32, 3e-5), (np.float64, 1e-11)):
        for index in (np.int32, np.int64):
            w = indptr.astype(index), indices.astype(index), W.data.astype(value)
            X, dY = rng.random((batch, n_cols)).astype(value), rng.random((batch, n_rows)).astype(value)
            sites = reference.candidates(*w[:2], n_cols, 9)
            score = rng.standard_normal(len(sites[1])).astype(value)
            R = rng.random((2, 9, 11, 2)).astype(value)
            check("forward", *w, X, dY[0].copy())
            check("input_grad", *w, dY, n_cols)
            check("weight_grad", *w[:2], X, dY)
            check("backward", *w, X, dY)
            check("compete", X, beta=3.0)
            check("compete", X, beta=3.0, k=5, threshold=X[0].copy())
            check("compete_grad", reference.compete(X), X)
            G, c = reference.weight_grad(*w[:2], X, dY), dY.sum(axis=0)
            for form in _core.FORMS:
                check("plasticity_step", *w, G / batch, c / batch, form=form, eta=0.1, sigma=0.1, seed=3, w_max=10.0)
            for k in (1, None):
                check("hebbian_step", w[0], w[1], np.abs(w[2]), np.abs(X), dY, k=k, sigma=0.1, seed=3)
            check("transpose_index", *w[:2], n_cols)
            check("prune", *w, 0.25)
            check("candidates", *w[:2], n_cols, 9, seed=5)
            check("grow", *w, *sites, score, 4, 0.1)
            check("turnover", *w, n_cols, birth=0.1, death=0.2, gamma=2.0, size=0.4, seed=7)
            U, gate = reference.patches(R, patch_size=4)
            check("patches", R, patch_size=4)
            check("patches_grad", R, U, gate, patch_size=4)
            pools = rng.random((2, 9)).astype(value), rng.random((3, 11)).astype(value)
            check("feature_map", R, rng.random((37, 64)).astype(value), *pools, beta=3.0, patch_size=4)
    """.replace("{simd!r}", repr(simd)),
        BIONEURO_SIMD=simd,
    )


def test_nonsense_in_the_environment_is_an_import_error():
    code = (
        BARE
        + """
    import os
    simd = "BIONEURO_SIMD must be generic, avx2 or avx512 and supported here (best: "
    threads = "BIONEURO_NUM_THREADS must be an integer in [1, 1024], got "
    for name, value, message in [
        ("BIONEURO_SIMD", "sse9", simd), ("BIONEURO_SIMD", "AVX2", simd), ("BIONEURO_SIMD", " ", simd),
        *(("BIONEURO_NUM_THREADS", n, threads + repr(n)) for n in ("0", "-2", "two", "2x", "1.5", "9" * 30)),
    ]:
        os.environ[name] = value
        try:
            import bioneuro.threads
        except ImportError as error:
            assert str(error).startswith(message), error
        else:
            raise SystemExit(f"{name}={value} was accepted")
        del os.environ[name]
    os.environ["BIONEURO_NUM_THREADS"], os.environ["BIONEURO_SIMD"] = "3", ""
    from bioneuro import _core, threads  # and nothing stays behind
    print(_core.config()["n_threads"], _core.config()["simd"] == _core.config()["simd_best"])
    """
    )
    assert output(code).split() == ["3", "True"]


# --- forks and threads -------------------------------------------------------------------------------------

LARGE = (
    PATHWAY
    + """
    X = rng.random((512, n_cols))
    call = lambda: kernels.forward(indptr, indices, W.data, X, n_threads=2)
    expected = call()
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_fork_after_use_works():
    """Threads do not survive a fork: the child must neither hang nor differ."""
    code = (
        LARGE
        + """
    import os, warnings
    warnings.simplefilter("ignore")
    for _ in range(5):
        child = os.fork()
        if child == 0:
            grandchild = os.fork()
            good = np.array_equal(call(), expected)
            if grandchild == 0:
                os._exit(0 if good else 1)
            os._exit(0 if good and os.waitpid(grandchild, 0)[1] == 0 else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert np.array_equal(call(), expected)
    print("done")
    """
    )
    assert output(code).strip() == "done"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_multiprocessing_by_fork_works():
    code = (
        LARGE
        + """
    import multiprocessing, warnings
    warnings.simplefilter("ignore")
    def work(i):
        return np.array_equal(call(), expected)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert all(pool.map(work, range(8)))
    """
    )
    output(code)


def test_threads_that_call_at_once_get_right_results():
    rng = np.random.default_rng(0)
    W = sp.csr_array(sp.random(300, 500, 0.2, "csr", random_state=rng))
    W.sort_indices()
    X, R = rng.random((4, 200, 500)), rng.random((4, 3, 12, 12, 1))
    expected = [
        (reference.forward(W.indptr, W.indices, W.data, x), reference.patches(r)[0]) for x, r in zip(X, R, strict=True)
    ]
    wrong = []

    def work(i):
        for _ in range(15):
            Y = kernels.forward(W.indptr, W.indices, W.data, X[i], n_threads=2)
            U, _ = kernels.patches(R[i], n_threads=2)
            if not (np.allclose(Y, expected[i][0], atol=1e-12) and np.allclose(U, expected[i][1], atol=1e-12)):
                wrong.append(i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_the_gil_is_released():
    """Python goes on while a kernel runs."""
    rng = np.random.default_rng(0)
    R = rng.random((100, 28, 28, 1), np.float32)
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(None)
            stop.wait(1e-4)

    ticker = threading.Thread(target=tick)
    ticker.start()
    before = len(ticks)
    kernels.patches(R, n_threads=1)  # some 10 ms; the switch interval is 5 ms, but C code never switches by itself
    during = len(ticks) - before
    stop.set()
    ticker.join()
    assert during >= 2


def test_subinterpreters_are_refused_with_a_message_that_says_so():
    code = """
    import warnings
    warnings.simplefilter("ignore")
    import bioneuro, sys
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    interpreter = interpreters.create()
    script = f"import sys; sys.path[:] = {sys.path!r}\\ntry:\\n    import bioneuro\\nexcept ImportError as error:\\n"
    script += "    print(error)\\nelse:\\n    print('imported')\\n"
    interpreters.run_string(interpreter, script)
    """
    assert "subinterpreter" in output(code)


# --- memory ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_no_path_out_of_a_binding_leaks():
    """Every argument of every function of the core, wrong in type, in value, in contents and by its own exception."""
    code = (
        PATHWAY
        + f"""
    import gc
    sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
    from binding_calls import KIND, calls

    class Boom(Exception):
        pass

    class Evil:
        def __index__(self):
            raise Boom
        __float__ = __index__

    def fails(call):
        try:
            call()
        except (TypeError, ValueError, Boom):
            return True
        return False

    frozen = np.ones(3, np.float32)
    frozen.flags.writeable = False
    arrays = [3, frozen, frozen[::2], np.ones((2, 3, 4, 5, 6), np.float32), np.ones((3, 3), np.float16)]
    numbers = ["x", -1, np.nan, 2**70, 10**400, Evil()]
    wrong = dict(array=arrays, integer=numbers, key=numbers, real=numbers, flag=["x", 2], choice=[3, "x"], layout=[3])
    table, spoiled = calls(), calls(1)
    for arguments in spoiled.values():  # refused by the check of the structure, after everything else
        if "check" in arguments:
            arguments["indices"] = arguments["indices"] - 1
    good = [lambda f=f: getattr(_core, f)(**table[f]) for f in table] + [_core.lock]
    bad = [(f, table[f] | {{name: value}}) for f in table for name in table[f] for value in wrong[KIND[name]]]
    bad += [(f, spoiled[f]) for f in spoiled if "check" in spoiled[f]] + [(f, table[f] | {{"more": 1}}) for f in table]
    bad = [call for call in (lambda f=f, a=a: getattr(_core, f)(**a) for f, a in bad) if fails(call)]
    held = [value for arguments in table.values() for value in arguments.values() if isinstance(value, np.ndarray)]
    held += [frozen, None, frozen.dtype, held[0].dtype, _core.Plasticity, *numbers]
    counts = np.zeros((10, 2 + len(held)), int)
    for count in counts:
        for call in 3 * good:
            call()
        for call in 3 * bad:
            fails(call)
        gc.collect()
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * 4096
        count[:] = resident, sys.getallocatedblocks(), *(sys.getrefcount(x) for x in held)
    grown = np.diff(counts[1:], axis=0)
    print(len(bad), counts[-1, 0] - counts[1, 0], grown[:, 1].min(), abs(grown[:, 2:]).min(axis=0).max())
    """
    )
    n_bad, resident, blocks, references = map(int, output(code).split())
    assert n_bad > 600
    assert resident < 2_000_000 and blocks < 3 and references < 3  # a leak shows in every round


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_calls_leak_no_memory_even_when_they_fail():
    """Resident memory shows what kernels and NumPy keep, blocks what Python keeps, references what bindings hold."""
    code = (
        PATHWAY
        + """
    import gc, pickle, sys
    w = indptr, indices, W.data
    X, dY = rng.random((batch, n_cols)), rng.random((batch, n_rows))
    R = rng.random((2, 8, 8, 1))
    U, gate = kernels.patches(R)
    c = dY.mean(axis=0)
    G = kernels.weight_grad(*w[:2], X, dY)
    sites = kernels.candidates(*w[:2], n_cols, 9)
    score = rng.standard_normal(len(sites[1]))
    out, empty, frozen = np.empty((batch, n_rows)), np.empty((0, n_cols)), np.empty((batch, n_rows))
    frozen.flags.writeable = False
    nan = np.full_like(W.data, np.nan)
    filters, pool, dX = np.ones((5, 98)), np.ones((2, 8)), np.empty((batch, n_cols))
    layout = _core.layout(*w, n_cols, True)
    rule = _core.Plasticity("log-covariance", slope=0.5)
    good = [
        lambda: kernels.forward(*w, X), lambda: kernels.forward(*w, X, c, out=out),
        lambda: kernels.input_grad(*w, dY, n_cols),
        lambda: kernels.weight_grad(*w[:2], X, dY), lambda: kernels.compete(X, k=4), lambda: kernels.compete_grad(X, X),
        lambda: kernels.plasticity_step(*w[:2], W.data.copy(), G, c, sigma=0.1),
        lambda: kernels.transpose_index(*w[:2], n_cols),
        lambda: kernels.prune(*w, 0.3), lambda: kernels.candidates(*w[:2], n_cols, 9),
        lambda: kernels.grow(*w, *sites, score, 3, 0.1),
        lambda: kernels.turnover(*w, n_cols, birth=0.1, death=0.1, gamma=2, size=1, time=np.abs(c)),
        lambda: kernels.plasticity_step(*w[:2], W.data.copy(), G, c, _core.Plasticity("signed", w0=0.1), theta=0.1),
        lambda: (repr(rule), hash(rule), rule == pickle.loads(pickle.dumps(rule)), rule.parameters, rule.form),
        lambda: kernels.patches(R), lambda: kernels.patches_grad(R, U, gate),
        lambda: kernels.backward(*w, X, dY), lambda: kernels.hebbian_step(*w[:2], W.data.copy(), X, dY, k=2),
        lambda: kernels.feature_map(R, filters, pool, pool), lambda: _core.minmax(X),
        lambda: _core.layout_refresh(_core.layout(*w, n_cols, True), *w, n_cols),
        lambda: _core.backward(*w, X, dY, layout=layout, dX=dX, G=G),
        lambda: _core.config(),
    ]
    bad = [
        lambda: kernels.forward(*w, empty), lambda: kernels.forward(*w, X, out=frozen),
        lambda: kernels.forward(*w, X, dY),
        lambda: kernels.forward(*w, X.astype(np.float32)), lambda: kernels.forward(*w, X[:, ::2]),
        lambda: kernels.forward(*w, X, n_threads=0), lambda: kernels.forward(indptr, indices, nan, X),
        lambda: kernels.input_grad(*w, dY, 5), lambda: kernels.weight_grad(*w[:2], X, dY[1:]),
        lambda: kernels.compete(X, k=0), lambda: kernels.compete_grad(X, dY),
        lambda: kernels.plasticity_step(*w, G[1:], c), lambda: kernels.plasticity_step(*w, G, c, form="none"),
        lambda: kernels.transpose_index(*w[:2], 3), lambda: kernels.prune(*w, 2.0),
        lambda: kernels.plasticity_step(*w, G, c, form="signed", floor=0.1),
        lambda: kernels.plasticity_step(*w, G, c, rule, eta=1.0), lambda: _core.Plasticity(3),
        lambda: _core.Plasticity(eta=-1.0), lambda: _core.Plasticity(w_min=2.0, w_max=1.0), lambda: rule < rule,
        lambda: kernels.turnover(*w, n_cols, birth=-0.1, death=0.1, gamma=2, size=1),
        lambda: kernels.turnover(*w, n_cols, birth=0.1, death=0.1, gamma=2, size=0),
        lambda: kernels.turnover(*w, n_cols, birth=0.1, death=0.1, gamma=2, size=1, time=-np.abs(c) - 1),
        lambda: kernels.candidates(*w[:2], n_cols, 9, seed=-1), lambda: kernels.candidates(*w[:2], n_cols, 2**70),
        lambda: kernels.grow(*w, *w[:2], W.data, 3, 0.1), lambda: kernels.grow(*w, *sites, score[1:], 3, 0.1),
        lambda: kernels.patches(R, patch_size=0), lambda: kernels.patches(R, c0=-1.0),
        lambda: kernels.patches_grad(R, U, gate[1:]),
        lambda: kernels.backward(*w, X, dY[1:]), lambda: kernels.hebbian_step(*w[:2], W.data.copy(), X, dY[1:]),
        lambda: kernels.feature_map(R, filters, pool[:, 1:], pool), lambda: _core.minmax(W),
        lambda: _core.layout(*w, 0, True), lambda: _core.layout_refresh(layout, *w[:2], nan, n_cols - 1),
        lambda: _core.forward(*w, X, layout=layout), lambda: _core.backward(*w, X, dY, G=G[1:]),
    ]

    def everything(times):
        for _ in range(times):
            for call in good:
                call()
            for call in bad:
                try:
                    call()
                except (TypeError, ValueError):
                    continue
                raise SystemExit("a bad call passed")
        gc.collect()

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    held = [*w, X, dY, R, U, gate, c, G, dX, filters, pool, layout, *sites, score, out, empty, frozen, nan, None]
    held += [X.dtype, indices.dtype]
    counts = np.zeros((24, 2 + len(held)), int)
    for count in counts:
        everything(20)  # of 49 calls: more than 23,000 in all
        count[:] = resident(), sys.getallocatedblocks(), *(sys.getrefcount(x) for x in held)
    grown = np.diff(counts[1:], axis=0)
    print(counts[-1, 0] - counts[1, 0], grown[:, 1].min(), abs(grown[:, 2:]).min(axis=0).max())
    """
    )
    resident, blocks, references = map(int, output(code).split())
    assert resident < 2_000_000
    assert blocks < 20 and references < 20  # a leak shows in every round; caches that settle do not
