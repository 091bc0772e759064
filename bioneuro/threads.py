"""How many threads the kernels use where a call names none.

Found at import: ``BIONEURO_NUM_THREADS`` where it is set. Else the processors that this process may use (CPU affinity),
no more than the CPU quota of its container pays for (cgroups, version 1 and 2), and no more than ``OMP_NUM_THREADS``.
``threadpoolctl.threadpool_limits`` changes it at run time, as for BLAS and OpenMP: its controller is registered here.

The number is an upper limit: small calls stay on one thread, and where other work keeps a core busy, so do larger ones
(``csrc/parallel.h``). Results do not depend on it.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cache
from math import ceil
from pathlib import Path
from typing import Literal, TypeAlias

import threadpoolctl

from . import _core

__all__ = ["Threads", "available_cpus", "cpu_quota", "one_blas_thread"]

#: What ``n_threads`` may be: at most so many threads; ``None`` and ``"auto"``: the default.
Threads: TypeAlias = int | Literal["auto"] | None

MOST = 1024


def available_cpus(root: Path = Path("/")) -> int:
    """Processors that this process may keep busy: affinity and quota of its container.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are mounted.

    Returns
    -------
    int >= 1
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return cpus if quota is None else min(cpus, ceil(quota))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Processors' worth of time that the cgroups of this process allow it; None without a limit.

    Limits are inherited, so the group and all above it count. In a container the path of the group may be that seen by
    the host, of which only the end of the chain, the root, exists.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` lie.

    Returns
    -------
    float or None
    """
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for _, controllers, path in (line.split(":", 2) for line in groups if line.count(":") >= 2):
        if not controllers:  # version 2: one hierarchy for all
            tops = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif "cpu" in controllers.split(","):
            tops = [root / "sys/fs/cgroup/cpu", root / "sys/fs/cgroup" / controllers]
        else:
            continue
        group = Path(path.lstrip("/"))
        quotas += [_quota(top / part) for top in tops for part in (group, *group.parents)]
    return min((quota for quota in quotas if quota), default=None)


def _quota(group: Path) -> float | None:
    """Of one group: ``quota period`` in µs (version 2), or a file for each (version 1); "max" and -1 are no limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None


@cache
def _controller() -> threadpoolctl.ThreadpoolController:
    return threadpoolctl.ThreadpoolController()


def one_blas_thread() -> AbstractContextManager:
    """While it lasts, NumPy's dense products take one thread.

    For learning, where they are small: the threads of BLAS spin while they wait for one another, and where other work
    keeps a core busy that has taken several times as long as all else. It holds for the whole process, as in
    scikit-learn.

    Returns
    -------
    context manager
    """
    return _controller().limit(limits=1, user_api="blas")


def _usual() -> int:
    """The default; nonsense in ``BIONEURO_NUM_THREADS`` is an ImportError."""
    wanted = os.environ.get("BIONEURO_NUM_THREADS", "")
    if wanted:
        if not (wanted.isascii() and wanted.isdigit() and 1 <= int(wanted[:9]) <= MOST):
            raise ImportError(f"BIONEURO_NUM_THREADS must be an integer in [1, {MOST}], got {wanted!r}")
        return int(wanted)
    openmp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # a list names the levels of nesting
    limits = [available_cpus(), MOST, *([int(openmp)] if openmp.isdigit() and int(openmp) else [])]
    return min(limits)


class _Controller(threadpoolctl.LibController):
    """What threadpoolctl asks of a library with a pool of threads."""

    user_api = internal_api = "bioneuro"
    filename_prefixes = ("_core.",)
    check_symbols = ("bio_default_threads", "bio_set_default_threads")

    def get_num_threads(self) -> int:
        return self.dynlib.bio_default_threads()

    def set_num_threads(self, num_threads: int) -> None:
        self.dynlib.bio_set_default_threads(max(1, min(num_threads, MOST)))

    def get_version(self) -> None:
        return None


_core.set_num_threads(_usual())
threadpoolctl.register(_Controller)
