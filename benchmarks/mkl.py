"""MKL's inspector-executor for sparse matrices, by ctypes: nothing between the benchmark and MKL."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.metadata
import os
import sys
from ctypes import POINTER, byref, c_double, c_float, c_int, c_void_p
from functools import cache
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

# constants of mkl_spblas.h and mkl_service.h
_NON_TRANSPOSE, _ROW_MAJOR, _AGGRESSIVE, _LP64, _GNU_THREADING = 10, 101, 81, 0, 3
#: Calls announced to the inspector: enough to make any preparation worth its while.
_EXPECTED_CALLS = 10_000


class _Description(ctypes.Structure):
    _fields_ = [("type", c_int), ("mode", c_int), ("diagonal", c_int)]


_GENERAL = _Description(20, 40, 50)


@cache
def path() -> str:
    """Where libmkl_rt is: named by MKL_RT, in this environment, or in the system; "" if nowhere."""
    named = os.environ.get("MKL_RT", "")
    found = sorted(map(str, (Path(sys.prefix) / "lib").glob("libmkl_rt.so*")))
    try:
        files = importlib.metadata.files("mkl") or []
        found += [str(file.locate()) for file in files if file.name.startswith(("libmkl_rt.", "mkl_rt."))]
    except importlib.metadata.PackageNotFoundError:
        pass
    return next(iter([named] * bool(named) + found), ctypes.util.find_library("mkl_rt") or "")


@cache
def library() -> ctypes.CDLL:
    """The library with the signatures used here; OSError if it cannot be loaded."""
    if not path():
        raise OSError("libmkl_rt is not found")
    mkl = ctypes.CDLL(path())
    if ctypes.util.find_library("gomp"):
        # the pool that bioneuro and torch use: MKL's own spins for 0.2 s after a call, on the others' cores
        mkl.MKL_Set_Threading_Layer(_GNU_THREADING)
    mkl.MKL_Set_Interface_Layer(_LP64)
    for letter, real in ("s", c_float), ("d", c_double):
        create, mv, mm = (getattr(mkl, f"mkl_sparse_{letter}_{name}") for name in ("create_csr", "mv", "mm"))
        create.argtypes = [POINTER(c_void_p), c_int, c_int, c_int] + [c_void_p] * 4
        mv.argtypes = [c_int, real, c_void_p, _Description, c_void_p, real, c_void_p]
        mm.argtypes = [c_int, real, c_void_p, _Description, c_int, c_void_p, c_int, c_int, real, c_void_p, c_int]
    mkl.mkl_sparse_set_mm_hint.argtypes = [c_void_p, c_int, _Description, c_int, c_int, c_int]
    mkl.mkl_sparse_set_mv_hint.argtypes = [c_void_p, c_int, _Description, c_int]
    mkl.mkl_sparse_set_memory_hint.argtypes = [c_void_p, c_int]
    mkl.mkl_sparse_optimize.argtypes = mkl.mkl_sparse_destroy.argtypes = [c_void_p]
    return mkl


def version() -> str:
    """Version, and which kernels run: MKL takes generic ones ("def") on processors of other makers."""
    Matrix(A := sp.csr_array([[1.0]], dtype=np.float32), 1).times(A.data, A.data.copy())  # the kernels load with a call
    text = ctypes.create_string_buffer(256)
    library().MKL_Get_Version_String(text, 256)
    maps = Path("/proc/self/maps")
    loaded = {Path(line.split()[-1]).name for line in maps.read_text().splitlines()} if maps.exists() else set()
    prefix = "libmkl_"
    kernels = [name for name in ("avx512", "avx2", "mc3", "def", "avx10") if any(prefix + name in so for so in loaded)]
    return f"{text.value.decode().split(' for ')[0]}, kernels {', '.join(kernels) or 'unknown'}"


class Matrix:
    """A CSR matrix of int32 structure that MKL has inspected for products with ``batch`` columns, row-major.

    Parameters
    ----------
    A : csr_array of float32 or float64, int32
        Kept: MKL reads its arrays.
    batch : int
    """

    def __init__(self, A: sp.csr_array, batch: int) -> None:
        self._mkl, self._A, self._batch = library(), A, batch
        letter = {"float32": "s", "float64": "d"}[str(A.dtype)]
        self._mv, self._mm = (getattr(self._mkl, f"mkl_sparse_{letter}_{name}") for name in ("mv", "mm"))
        self._handle = c_void_p()
        starts = A.indptr.ctypes.data
        create = getattr(self._mkl, f"mkl_sparse_{letter}_create_csr")
        pointers = starts, starts + A.indptr.itemsize, A.indices.ctypes.data, A.data.ctypes.data
        _check(create(byref(self._handle), 0, *A.shape, *pointers))
        hint = self._handle, _NON_TRANSPOSE, _GENERAL
        if batch == 1:
            _check(self._mkl.mkl_sparse_set_mv_hint(*hint, _EXPECTED_CALLS))
        else:
            _check(self._mkl.mkl_sparse_set_mm_hint(*hint, _ROW_MAJOR, batch, _EXPECTED_CALLS))
        _check(self._mkl.mkl_sparse_set_memory_hint(self._handle, _AGGRESSIVE))
        _check(self._mkl.mkl_sparse_optimize(self._handle))

    def __del__(self) -> None:
        if self._handle:
            self._mkl.mkl_sparse_destroy(self._handle)

    def times(self, X: NDArray, out: NDArray) -> NDArray:
        """``A X`` for ``X`` (columns, batch) and ``out`` (rows, batch), both C-contiguous."""
        x, y, batch = X.ctypes.data, out.ctypes.data, self._batch
        if batch == 1:
            _check(self._mv(_NON_TRANSPOSE, 1.0, self._handle, _GENERAL, x, 0.0, y))
        else:
            layout = _ROW_MAJOR, x, batch, batch, 0.0, y, batch
            _check(self._mm(_NON_TRANSPOSE, 1.0, self._handle, _GENERAL, *layout))
        return out


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"MKL refused with status {status}")
