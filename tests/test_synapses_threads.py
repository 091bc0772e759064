"""One pathway in several threads, across forks and under Ctrl-C: whole states only, and nobody waits for ever."""

import faulthandler
import os
import signal
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from test_process import output

from bioneuro import _core, connectivity, kernels
from bioneuro.rules import Oja

SECONDS = 1.5


@pytest.fixture(autouse=True)
def no_hang():
    """A deadlock ends the run with the stacks of all threads."""
    faulthandler.dump_traceback_later(120, exit=True)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)
    faulthandler.cancel_dump_traceback_later()


def side_by_side(*works, seconds=SECONDS):
    """Each work again and again in a thread of its own; returns what they raised."""
    raised, end = [], time.monotonic() + seconds

    def loop(work):
        while time.monotonic() < end:
            try:
                work()
            except Exception as error:
                raised.append(error)

    threads = [threading.Thread(target=loop, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return raised


def assert_whole(W):
    """A valid pathway whose layouts are those of its weights."""
    kernels.validate(W.indptr, W.indices, W.weights, W.n_pre)
    rng = np.random.default_rng(1)
    X, dY = rng.random((9, W.n_pre)).astype(W.dtype), rng.random((9, W.n_post)).astype(W.dtype)
    fresh = W.copy()
    np.testing.assert_array_equal(W.forward(X), fresh.forward(X))
    np.testing.assert_array_equal(W.input_grad(dY), fresh.input_grad(dY))


def test_products_beside_learning_are_of_one_state():
    """All weights are equal in every state, so that a mixture of two states shows in the drive."""
    W = connectivity.random(60, 400, in_degree=100, init="constant", sign="E", random_state=0)
    X, one = np.ones((17, 400), np.float32), np.ones(W.nnz, np.float32)
    mixtures = []

    def look():
        for batch in (X, X[:1]):
            Y = W.forward(batch)
            if not (Y == Y[0, 0]).all():
                mixtures.append(Y)

    def learn():
        W.add(one if W.weights[0] < 8 else -4 * one)

    assert not side_by_side(look, look, learn)
    assert not mixtures and W.version > 1
    assert_whole(W)


def test_structure_changes_beside_everything_else():
    W = connectivity.random(50, 300, density=0.4, sign="E", random_state=0)
    rng = np.random.default_rng(0)
    X, Y = rng.random((5, 300)).astype(np.float32), rng.random((5, 50)).astype(np.float32)
    rows, other = np.array([3, 1]), connectivity.random(2, 300, density=0.3, sign="E", random_state=1).to_scipy()
    step = iter(range(10**9))

    def grow():
        W.grow(X, Y, n_grow=40, n_candidates=80, weight=0.5, seed=1, step=next(step))

    def turn():
        W.turnover(birth=0.1, death=0.1, gamma=1.0, size=0.05, seed=2, step=next(step))

    def learn():
        W.hebbian_step(X, Y, eta=0.5, sigma=0.3, seed=3, step=next(step))

    def look():
        W.backward(X, Y), W.copy(), W.row(3), W.to_scipy().sum()

    raised = side_by_side(
        grow, turn, learn, look, lambda: W.prune(0.3), lambda: W.replace_rows(rows, other), lambda: W.observe(X)
    )
    assert not raised
    assert_whole(W)
    assert W.traces["pre_count"] % 5 == 0


def test_terms_of_another_structure_are_refused():
    """Two calls are no unit: what was computed for a structure that is gone is refused by its shape."""
    W = connectivity.random(40, 200, density=0.5, sign="E", random_state=0)
    X, Y = np.ones((3, 200), np.float32), np.ones((3, 40), np.float32)

    def learn():
        W.plasticity_step(W.weight_grad(X, Y), Y.sum(axis=0), eta=0.5, sigma=0.5)

    def rewire():
        W.prune(0.4)
        W.grow(X, Y, n_grow=50, n_candidates=100, weight=0.5, seed=1, step=W.version)

    raised = side_by_side(learn, rewire)
    assert all(isinstance(e, ValueError) and "G must have shape" in str(e) for e in raised)
    assert_whole(W)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_kernels_on_arrays_that_others_write_to_never_write_past_a_row(n_threads):
    """Plain arrays have no lock: what is counted and then copied may differ, which is an error and no crash."""
    rng = np.random.default_rng(0)
    W = connectivity.random(300, 2000, density=0.5, sign="E", random_state=0)
    indptr, indices, data = W.indptr, W.indices, W.weights.copy()
    sites = kernels.candidates(indptr, indices, W.n_pre, 300)
    score, time_ = rng.standard_normal(len(sites[1])).astype(np.float32), np.ones(300, np.float32)
    others = [(a, rng.permutation(a)) for a in (data, score)] + [(time_, 3 * rng.random(300).astype(np.float32))]
    rates = {"birth": 0.2, "death": 0.2, "gamma": 1.0, "size": 0.05, "time": time_}

    def write():
        for array, other in others:
            array[:] = other if rng.random() < 0.5 else rng.permutation(other)

    def valid(call):
        def work():
            found = call()
            kernels.validate(found[0], found[1], found[2], W.n_pre)

        return work

    keywords = {"n_threads": n_threads}
    raised = side_by_side(
        write,
        valid(lambda: kernels.prune(indptr, indices, data, 0.5, **keywords)),
        valid(lambda: kernels.grow(indptr, indices, data, *sites, score, 40, 0.5, **keywords)),
        valid(lambda: kernels.turnover(indptr, indices, data, W.n_pre, **rates, **keywords)),
    )
    message = "an array was changed by another thread while it was being read"
    assert {(type(error), str(error)) for error in raised} <= {(RuntimeError, message)}


def test_an_exclusive_block_is_a_unit_and_so_is_the_step_of_a_rule():
    W = connectivity.random(40, 200, density=0.5, sign="E", random_state=0)
    X, Y = np.ones((3, 200), np.float32), np.ones((3, 40), np.float32)
    rule, steps = Oja(eta=0.01), [0]

    def learn():
        rule.step(W, X, Y)
        steps[0] += 1

    def halve():
        with W.exclusive():
            W.add(-0.5 * W.weights)

    def rewire():
        W.turnover(birth=0.2, death=0.2, gamma=1.0, size=0.05, seed=2, step=W.version)

    assert not side_by_side(learn, halve, rewire)
    assert W.traces["steps"] == steps[0] > 0
    assert_whole(W)


def test_many_read_at_once_and_a_change_waits_for_them():
    reading, changing = _core.lock()
    inside, order = threading.Barrier(3), []

    def read(leave):
        with reading:
            inside.wait(10)
            leave.wait(10)
            order.append("read")

    leave = threading.Event()
    readers = [threading.Thread(target=read, args=(leave,)) for _ in range(2)]
    for thread in readers:
        thread.start()
    inside.wait(10)  # both are in

    def change():
        with changing:
            order.append("changed")

    writer = threading.Thread(target=change)
    writer.start()
    time.sleep(0.05)
    assert order == []
    leave.set()
    for thread in (*readers, writer):
        thread.join(10)
    assert order == ["read", "read", "changed"]


def test_a_stream_of_readers_does_not_keep_a_change_out():
    W = connectivity.random(200, 400, density=0.5, random_state=0)
    X, one, changes = np.ones((20, 400), np.float32), np.ones(W.nnz, np.float32), []

    def change():
        W.add(one)
        changes.append(1)

    assert not side_by_side(*[lambda: W.forward(X)] * 4, change)
    assert len(changes) > 3


def test_who_holds_the_lock_may_enter_again_but_not_turn_a_look_into_a_change():
    reading, changing = _core.lock()
    with changing, reading, changing:
        pass
    with reading, reading:
        with pytest.raises(RuntimeError, match="cannot be changed by the thread that is just reading it"), changing:
            pass
    done = []
    thread = threading.Thread(target=lambda: done.append(changing.__enter__()))
    thread.start()
    thread.join(10)
    assert done, "something is still held"


def test_what_fails_inside_leaves_the_lock_free():
    W = connectivity.random(5, 5, density=0.5, random_state=0)
    for _ in range(3):
        with pytest.raises(ValueError):
            W.add(np.ones(W.nnz + 1, np.float32))
        with pytest.raises(ValueError):
            W.forward(np.ones((2, 5), np.float32), n_threads=0)
    thread = threading.Thread(target=W.normalize_rows)
    thread.start()
    thread.join(10)
    assert not thread.is_alive() and W.version == 1


def test_waiting_can_be_interrupted():
    _, changing = _core.lock()
    release, held = threading.Event(), threading.Event()

    def hold():
        with changing:
            held.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), changing:
        pass
    release.set()
    thread.join(10)
    with changing:
        pass


def test_ctrl_c_while_learning_leaves_layouts_that_are_those_of_the_weights():
    W = connectivity.random(300, 500, density=0.5, sign="E", random_state=0)
    rng = np.random.default_rng(0)
    X, Y = rng.random((8, 500)).astype(np.float32), rng.random((8, 300)).astype(np.float32)
    for trial in range(20):
        with pytest.raises(KeyboardInterrupt):
            threading.Timer(0.005 + 0.001 * trial, os.kill, (os.getpid(), signal.SIGINT)).start()
            while True:
                W.hebbian_step(X, Y, eta=0.1)
                W.forward(X)
                W.turnover(birth=0.01, death=0.01, gamma=1.0, size=0.05, seed=2, step=W.version)
        assert_whole(W)


FORK = """
    import os, select, signal, threading, time, warnings
    warnings.simplefilter("ignore")
    import numpy as np
    from bioneuro import connectivity
    W = connectivity.random(100, 400, in_degree=100, init="constant", sign="E", random_state=0)
    X, one, stop = np.ones((2, 400), np.float32), np.ones(W.nnz, np.float32), threading.Event()

    def work():
        while not stop.is_set():
            W.add(one if W.weights[0] < 8 else -4 * one)
            W.forward(X)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    end, forks = time.monotonic() + 4, 0
    while time.monotonic() < end:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            Y = W.forward(X)
            whole = (W.weights == W.weights[0]).all() and (Y == Y[0, 0]).all()
            W.add(one)
            os.write(write, b"w" if whole and (W.forward(X) == W.forward(X[:1])).all() else b"m")
            os._exit(0)
        ready, _, _ = select.select([read], [], [], 30)
        if not ready:
            os.kill(child, signal.SIGKILL)
            os._exit(print("a child hangs", flush=True) or 1)
        assert os.read(read, 1) == b"w", "a child sees half a change"
        os.waitpid(child, 0)
        os.close(read), os.close(write)
        forks += 1
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a thread of the parent hangs"
    print("done" if forks > 3 else f"only {forks} forks")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_child_forked_beside_learning_threads_has_a_whole_pathway_and_does_not_hang():
    assert output(FORK).strip() == "done"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_who_changes_a_pathway_may_fork():
    code = """
    import os
    from bioneuro import connectivity
    W = connectivity.random(10, 40, density=0.5, random_state=0)
    with W.exclusive():
        child = os.fork()
        W.normalize_rows()
        if child == 0:
            W.normalize_rows()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    W.normalize_rows()
    print("done")
    """
    assert output(code).strip() == "done"


#: A lock that a thread reads under until `enough` is set.
READER = """
import os, signal, threading, warnings
warnings.simplefilter("ignore")
from bioneuro._core import lock
reading, changing = lock()
in_it, enough = threading.Event(), threading.Event()

def read():
    with reading:
        in_it.set()
        enough.wait(20)

threading.Thread(target=read, daemon=True).start()
in_it.wait()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_threads_of_a_child_do_not_inherit_what_lost_ones_held():
    """glibc gives a new thread the stack, and so the identity, of one that the fork lost."""
    code = """
    child = os.fork()
    if child == 0:
        done = []

        def change():
            with reading:
                pass
            with changing:
                done.append(True)

        thread = threading.Thread(target=change, daemon=True)
        thread.start()
        thread.join(20)
        os._exit(0 if done else 1)
    enough.set()
    assert os.waitpid(child, 0)[1] == 0
    print("done")
    """
    assert output(READER + textwrap.dedent(code)).strip() == "done"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_threads_of_a_child_do_not_throw_out_the_thread_that_forked():
    code = """
    import os, threading
    from bioneuro._core import lock
    reading, changing = lock()
    with changing:
        child = os.fork()
        if child == 0:
            entered = threading.Event()

            def change():
                with changing:
                    entered.set()

            thread = threading.Thread(target=change, daemon=True)
            thread.start()
            early = entered.wait(0.3)
    if child == 0:
        thread.join(20)
        second = os.fork()  # nobody holds anything: no wait
        if second:
            os.waitpid(second, 0)
        os._exit(0 if entered.is_set() and not early else 1)
    assert os.waitpid(child, 0)[1] == 0
    print("done")
    """
    assert output(code).strip() == "done"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this platform")
@pytest.mark.parametrize("within", ["reading", "changing", "fork"])
def test_a_signal_handler_gets_in_while_its_own_thread_waits_to_change(within):
    code = f"""
    def handler(number, frame):
        if "{within}" == "fork":
            child = os.fork()
            if child:
                enough.child = child
        elif "{within}" == "reading":
            with reading:
                pass
        else:
            enough.set()
            with changing:
                pass
        enough.set()

    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with changing:
        assert enough.is_set()
    if "{within}" == "fork":
        if not hasattr(enough, "child"):
            os._exit(0)
        assert os.waitpid(enough.child, 0)[1] == 0
    print("done")
    """
    assert output(READER + textwrap.dedent(code)).strip() == "done"
