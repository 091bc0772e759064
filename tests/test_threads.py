"""How many threads there are, when a call is shared between them, and that nothing is lost while other work is busy."""

import ctypes
import os
import sys
import threading
import time

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as st
from test_process import output
from thread_sharing import rested

from bioneuro import BioClassifier, Schedule, Synapses, _core, connectivity, threads

# --- the core's own pool, called as the kernels call it ----------------------------------------------------


class Share(ctypes.Structure):
    _fields_ = [("n", ctypes.c_size_t), ("step", ctypes.c_size_t), ("workers", ctypes.c_size_t)]


TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_size_t)
POOL = ctypes.CDLL(_core.__file__)
POOL.bio_share_out.argtypes = ctypes.c_size_t, ctypes.c_double, ctypes.c_int
POOL.bio_share_out.restype = Share
POOL.bio_parallel.argtypes = TASK, ctypes.c_void_p, Share
POOL.bio_parallel.restype = None
#: ns, as in csrc/parallel.h and csrc/parallel.c
HANDOVER, CHUNK = 10_000, 100_000


def parallel(task, share):
    """Runs ``task(begin, end, worker)``, the GIL released in between."""
    POOL.bio_parallel(TASK(lambda _, *arguments: task(*arguments)), None, share)


@given(st.integers(0, 10**6), st.floats(0, 1e9), st.integers(-1, 1024))
def test_share_keeps_the_rule(n, cost, n_threads):
    share = POOL.bio_share_out(n, cost, n_threads)
    assert share.n == n and share.step >= 1
    assert 1 <= share.workers <= max(1, min(n, n_threads))
    if share.workers > 1:
        assert n * cost >= share.workers * 2 * HANDOVER * (1 - 1e-9)  # each has enough to do
        assert share.step == 1 or share.step * cost <= max(CHUNK, HANDOVER)  # nobody waits long
        assert share.step <= -(-n // share.workers)  # there is something for everybody
    elif n and n_threads > 1:
        assert n == 1 or n * cost < 4 * HANDOVER


@settings(max_examples=40, deadline=None)  # a task in Python takes turns with the others
@given(st.integers(0, 60), st.integers(1, 70), st.integers(1, 40))
def test_every_unit_is_done_once(n, step, workers):
    seen, lock = [], threading.Lock()

    def task(begin, end, worker):
        assert 0 <= worker < workers and begin < end
        with lock:
            seen.extend(range(begin, end))

    parallel(task, Share(n, step, workers))
    assert sorted(seen) == list(range(n))


def test_helpers_share_the_work():
    """All workers are inside at the same time."""
    rested()
    together = threading.Barrier(4)
    who = []

    def task(begin, end, worker):
        together.wait(60)
        who.append(worker)

    parallel(task, Share(4, 1, 4))
    assert sorted(who) == [0, 1, 2, 3]


def test_the_caller_waits_only_for_what_has_begun():
    """A helper that is stuck with its first chunk leaves all others to the caller."""
    rested()
    who, come, alone = [], threading.Event(), threading.Event()

    def task(begin, end, worker):
        who.append(worker)
        if worker:
            come.set()
            assert alone.wait(60)
        else:
            assert come.wait(60)
            if len(who) == 40:
                alone.set()

    parallel(task, Share(40, 1, 2))
    assert who.count(1) == 1 and who.count(0) == 39


def test_after_time_was_lost_calls_stay_on_one_thread_for_a_while():
    rested()

    def slow_help(begin, end, worker):
        time.sleep(0.05 if worker else 0.002)  # the other chunks together take the caller less than it waits for one

    def workers_of_a_call():
        who = set()

        def task(begin, end, worker):
            who.add(worker)
            time.sleep(0.002)

        parallel(task, Share(6, 1, 2))
        return who

    before = _core.thread_counts()
    parallel(slow_help, Share(6, 1, 2))
    after = _core.thread_counts()
    assert after == (before[0] + 1, before[1] + 1)
    assert workers_of_a_call() == {0} and _core.thread_counts() == after
    rested()
    assert workers_of_a_call() == {0, 1} and _core.thread_counts() == (after[0] + 1, after[1])


def test_pauses_grow_while_nothing_gets_better():
    rested()

    def slow_help(begin, end, worker):
        time.sleep(0.02 if worker else 0.001)

    before, begin, calls = _core.thread_counts()[0], time.perf_counter(), 0
    while time.perf_counter() - begin < 1.5:
        parallel(slow_help, Share(4, 1, 2))
        calls += 1
    asked = _core.thread_counts()[0] - before
    assert 1 <= asked <= 13 and calls > 3 * asked  # without pauses each call would be shared
    rested()


# --- how many ----------------------------------------------------------------------------------------------


#: The package without its __init__, which imports much more than these tests need.
BARE = f"""
import os, sys, types
sys.modules["bioneuro"] = types.ModuleType("bioneuro")
sys.modules["bioneuro"].__path__ = [{os.path.dirname(threads.__file__)!r}]
"""
N_THREADS = BARE + "from bioneuro import threads, _core; print(_core.config()['n_threads'])"
#: A product with a large batch.
PRODUCT = (
    BARE
    + """
import numpy as np, scipy.sparse as sp, threadpoolctl
from bioneuro import kernels, threads
rng = np.random.default_rng(0)
W = sp.csr_array(sp.random(400, 400, 0.3, "csr", random_state=rng))
W.sort_indices()
X = rng.random((256, 400))
def forward(X=X, **n_threads):
    return kernels.forward(W.indptr.astype("i4"), W.indices.astype("i4"), W.data, X, **n_threads)
"""
)
several = pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: [0])(0)) < 2, reason="one processor")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, sets the affinity")


def started(call, **environment):
    """How many threads a call starts."""
    count = 'print(len(os.listdir("/proc/self/task")), end=" ")\n'
    before, after = output(f"{PRODUCT}{count}{call}\n{count}", **environment).split()
    return int(after) - int(before)


@linux
@several
def test_calls_start_the_threads_that_they_are_allowed():
    assert started("forward()", BIONEURO_NUM_THREADS="3") == 2
    assert started("forward(n_threads=4)", BIONEURO_NUM_THREADS="1") == 3
    assert started("forward(n_threads='auto')", BIONEURO_NUM_THREADS="1") == 0
    assert started("forward(X[:2])", BIONEURO_NUM_THREADS="3") == 0  # not worth it
    assert started("with threadpoolctl.threadpool_limits(1): forward()", BIONEURO_NUM_THREADS="3") == 0


@linux
@several
def test_helpers_keep_off_the_core_of_their_caller():
    """There they would wait until the system moves them."""
    code = """
before = set(os.listdir("/proc/self/task"))
forward(n_threads=3)
allowed = os.sched_getaffinity(0)
helpers = set(os.listdir("/proc/self/task")) - before
print(len(helpers), {len(allowed - os.sched_getaffinity(int(helper))) for helper in helpers})
os.sched_setaffinity(0, {min(allowed)})
forward(n_threads=3)  # one core for all that it does, others for its helpers
print({len(allowed - os.sched_getaffinity(int(helper))) for helper in helpers})
"""
    assert output(PRODUCT + code).split("\n")[:2] == ["2 {1}", "{1}"]


@linux
@several
def test_helpers_of_a_forked_child_keep_off_its_core():
    code = """
allowed = os.sched_getaffinity(0)
def from_the_first_core():
    os.sched_setaffinity(0, {min(allowed)})
    os.sched_setaffinity(0, allowed)
    forward(n_threads=3)
from_the_first_core()
if not os.fork():
    from_the_first_core()  # the same core and as many helpers, but others
    helpers = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
    print(len(helpers), {len(allowed - os.sched_getaffinity(int(helper))) for helper in helpers}, flush=True)
    os._exit(0)
os.wait()
"""
    assert output(PRODUCT + code).split("\n")[0] == "2 {1}"


@linux
def test_affinity_is_kept():
    cpu = min(os.sched_getaffinity(0))
    pin = f"import os; os.sched_setaffinity(0, {{{cpu}}})\n"
    assert output(pin + N_THREADS).strip() == "1"
    assert output(pin + N_THREADS, BIONEURO_NUM_THREADS="3").strip() == "3"  # said in so many words


@pytest.mark.parametrize(
    ("value", "wanted"), [("1", 1), ("1,4", 1), (" 1 ", 1), ("4096", None), ("0", None), ("many", None), ("", None)]
)
def test_openmp_setting_is_an_upper_limit(value, wanted):
    expected = threads.available_cpus() if wanted is None else wanted
    assert int(output(N_THREADS, OMP_NUM_THREADS=value)) == expected


@linux
def test_results_do_not_suffer_where_threads_share_one_processor():
    code = """
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
one = forward(n_threads=1)
print(all(np.array_equal(forward(n_threads=n), one) for n in (2, 3, 64) for _ in range(20)))
"""
    assert output(PRODUCT + code).strip() == "True"


# --- quotas ------------------------------------------------------------------------------------------------


def cgroups(root, group, files):
    """A system with these files below sys/fs/cgroup; ``group``: the line(s) of /proc/self/cgroup."""
    for name, text in [("proc/self/cgroup", group), *((f"sys/fs/cgroup/{name}", text) for name, text in files.items())]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V1 = "9:name=systemd:/\n4:cpu,cpuacct:/docker/f00\n0::/\n"


def v2(quota, group=""):
    return {f"{group}cpu.max": f"{quota} 100000\n"}


def v1(quota, group="cpu/"):
    return {f"{group}cpu.cfs_quota_us": f"{quota}\n", f"{group}cpu.cfs_period_us": "100000\n"}


QUOTAS = {
    "container, version 2": ("0::/\n", v2(150000), 1.5),
    "no limit, version 2": ("0::/\n", v2("max"), None),
    "a service and its slice": ("0::/a/b\n", v2(50000, "a/") | v2("max", "a/b/"), 0.5),
    "the tighter one counts": ("0::/a/b\n", v2(400000, "a/") | v2(300000, "a/b/"), 3),
    "another group's": ("0::/a\n", v2(400000, "a/") | v2(300000, "a/b/"), 4),
    "the host's path": ("0::/kubepods/pod1\n", v2(200000), 2),
    "container, version 1": (V1, v1(200000), 2),
    "version 1 by its long name": (V1, v1(50000, "cpu,cpuacct/docker/f00/"), 0.5),
    "no limit, version 1": (V1, v1(-1), None),
    "both versions": (V1, v2(300000, "unified/") | v1(400000), 3),
    "nonsense": ("0::/\n", {"cpu.max": "many\n"}, None),
    "a line like none": ("0\n\n", v2(100000), None),
    "no files": ("0::/\n", {}, None),
}


@pytest.mark.parametrize("name", QUOTAS)
def test_quota_is_found(tmp_path, name):
    group, files, expected = QUOTAS[name]
    assert threads.cpu_quota(cgroups(tmp_path, group, files)) == expected


def test_no_quota_without_cgroups(tmp_path):
    assert threads.cpu_quota(tmp_path) is None


@pytest.mark.parametrize(("quota", "cpus"), [("10000", 1), ("100000", 1), ("150000", 2), ("6400000", 64), ("max", 64)])
def test_processors_are_those_of_the_quota(tmp_path, monkeypatch, quota, cpus):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert threads.available_cpus(cgroups(tmp_path, "0::/\n", {"cpu.max": f"{quota} 100000\n"})) == cpus


# --- threadpoolctl -----------------------------------------------------------------------------------------


def test_threadpoolctl_sees_and_limits_the_core():
    usual = _core.config()["n_threads"]
    (info,) = [info for info in threadpoolctl.threadpool_info() if info["user_api"] == "bioneuro"]
    assert info["num_threads"] == usual and info["filepath"] == os.path.realpath(_core.__file__)
    with threadpoolctl.threadpool_limits(limits=5):
        assert _core.config()["n_threads"] == 5
        with threadpoolctl.threadpool_limits(limits={"bioneuro": 1}):
            assert _core.config()["n_threads"] == 1
        with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
            assert _core.config()["n_threads"] == 5
    assert _core.config()["n_threads"] == usual


def test_blas_takes_one_thread_where_it_is_told_so():
    blas = lambda: [i["num_threads"] for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"]  # noqa: E731
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = blas()
        with threads.one_blas_thread():
            assert set(blas()) == {1} and _core.config()["n_threads"] >= 1
        assert blas() == before


def test_learning_takes_one_blas_thread():
    seen = []
    X, y = np.random.default_rng(0).random((40, 64)), np.arange(40) % 2
    info = threadpoolctl.ThreadpoolController().select(user_api="blas").info
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = [library["num_threads"] for library in info()]
        model = BioClassifier(n_cells=20, schedule__readout_epochs=1, random_state=0)
        model.fit(X, y, on_epoch=lambda *_: seen.extend(library["num_threads"] for library in info()))
        assert seen and set(seen) == {1}
        assert [library["num_threads"] for library in info()] == before


# --- what takes n_threads ----------------------------------------------------------------------------------


def test_auto_is_the_default_everywhere():
    rng = np.random.default_rng(0)
    X, y = rng.random((60, 64)).astype(np.float32), np.arange(60) % 3
    make = lambda n: BioClassifier(n_cells=30, schedule__readout_epochs=1, random_state=0, n_threads=n).fit(X, y)  # noqa: E731
    np.testing.assert_array_equal(make("auto").decision_function(X), make(None).decision_function(X))
    W = connectivity.random(20, 64, density=0.5, random_state=0)
    assert isinstance(W, Synapses)
    np.testing.assert_array_equal(W.forward(X, n_threads="auto"), W.forward(X))


@pytest.mark.parametrize("parameters", [{}, {"competition": "circuit"}])
def test_one_thread_is_one_thread_in_every_part_of_a_model(parameters):
    """Checks of arguments among them: nothing falls back to the threads of the process."""
    rng = np.random.default_rng(0)
    X, y = rng.random((300, 64)).astype(np.float32), np.arange(300) % 3
    brief = Schedule(association_epochs=1, teaching_epochs=2, readout_epochs=2)
    options = dict(n_cells=100, mixing=2000, schedule=brief, random_state=0, **parameters)
    usual = _core.config()["n_threads"]
    _core.set_num_threads(4)
    try:
        shared, _ = _core.thread_counts()
        model = BioClassifier(n_threads=1, **options).fit(X, y).partial_fit(X, y)
        model.predict(X)
        assert _core.thread_counts()[0] == shared
        BioClassifier(**options).fit(X, y)
        assert _core.thread_counts()[0] > shared
    finally:
        _core.set_num_threads(usual)


@pytest.mark.parametrize("n", [0, 1025, "2", 1.5, True])
def test_default_must_be_a_number_of_threads(n):
    with pytest.raises((TypeError, ValueError), match="n_threads must be"):
        _core.set_num_threads(n)
