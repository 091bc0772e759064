"""The C core. Structure is trusted here unless ``check`` is set, as it is in :mod:`bioneuro.kernels`."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias, TypedDict, final

from numpy import float32, float64, int32, int64, uint16, uint32
from numpy.typing import NDArray
from typing_extensions import CapsuleType

from bioneuro.threads import Threads

_Index: TypeAlias = NDArray[int32] | NDArray[int64]
_Values: TypeAlias = NDArray[float32] | NDArray[float64]

@final
class _Guard:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

class _Config(TypedDict):
    compiler: str
    simd: Literal["generic", "avx2", "avx512"]
    simd_best: Literal["generic", "avx2", "avx512"]
    n_threads: int

def config() -> _Config: ...
def lock() -> tuple[_Guard, _Guard]: ...
def set_num_threads(n_threads: Threads) -> None: ...
def thread_counts() -> tuple[int, int]: ...
def forward(
    indptr: _Index, indices: _Index, data: _Values, X: _Values, bias: _Values | None = None, *,
    n_threads: Threads = None, out: _Values | None = None, layout: CapsuleType | None = None,
    narrow: NDArray[uint16] | None = None, order: NDArray[uint32] | None = None, check: bool = False,
) -> _Values: ...  # fmt: skip
def input_grad(
    indptr: _Index, indices: _Index, data: _Values, dY: _Values, n_cols: int, *, n_threads: Threads = None,
    out: _Values | None = None, layout: CapsuleType | None = None, narrow: NDArray[uint16] | None = None,
    check: bool = False,
) -> _Values: ...  # fmt: skip
def weight_grad(
    indptr: _Index, indices: _Index, X: _Values, dY: _Values, *, n_threads: Threads = None,
    out: _Values | None = None, layout: CapsuleType | None = None, narrow: NDArray[uint16] | None = None,
    check: bool = False,
) -> _Values: ...  # fmt: skip
def backward(
    indptr: _Index, indices: _Index, data: _Values, X: _Values, dY: _Values, *, n_threads: Threads = None,
    dX: _Values | None = None, G: _Values | None = None, layout: CapsuleType | None = None,
    narrow: NDArray[uint16] | None = None, check: bool = False,
) -> tuple[_Values, _Values]: ...  # fmt: skip
def few(n_cols: int, itemsize: int) -> tuple[int, int, int]: ...
def layout(
    indptr: _Index, indices: _Index, data: _Values, n_cols: int, transposed: bool, *, n_threads: Threads = None,
) -> CapsuleType: ...  # fmt: skip
def layout_refresh(
    layout: CapsuleType, indptr: _Index, indices: _Index, data: _Values, n_cols: int, *, n_threads: Threads = None,
) -> None: ...  # fmt: skip
def layout_bytes(layout: CapsuleType, /) -> int: ...
def compete(
    drive: _Values, *, beta: float = 1.0, threshold: _Values | None = None, k: int | None = None,
    n_threads: Threads = None, out: _Values | None = None,
) -> _Values: ...  # fmt: skip
def compete_grad(
    Y: _Values, dY: _Values, *, beta: float = 1.0, n_threads: Threads = None, out: _Values | None = None,
) -> _Values: ...  # fmt: skip

class _Traits(NamedTuple):
    signs: tuple[Literal["mixed", "E", "I"], ...]
    parameters: tuple[str, ...]
    nonnegative: tuple[str, ...]

FORMS: Mapping[str, _Traits]

@final
class Plasticity:
    def __new__(cls, form: str | Plasticity = "log-relaxation", **parameters: float) -> Plasticity: ...
    @property
    def form(self) -> str: ...
    @property
    def parameters(self) -> dict[str, float]: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

def plasticity_step(
    indptr: _Index, indices: _Index, data: _Values, G: _Values, c: _Values, form: str | Plasticity = "log-relaxation",
    *, theta: float = 0.0, seed: int = 0, step: int = 0, n_threads: Threads = None, check: bool = False,
    **parameters: float,
) -> int: ...  # fmt: skip
def hebbian_step(
    indptr: _Index, indices: _Index, data: _Values, X: _Values, Y: _Values, form: str | Plasticity = "log-relaxation",
    *, gain: _Values | None = None, seed: int = 0, step: int = 0, n_threads: Threads = None,
    layout: CapsuleType | None = None, check: bool = False, **parameters: float,
) -> int: ...  # fmt: skip
def normalize_rows(
    indptr: _Index, indices: _Index, data: _Values, *, n_threads: Threads = None, check: bool = False
) -> None: ...
def minmax(x: _Values, *, n_threads: Threads = None) -> tuple[float, float]: ...
def validate(indptr: _Index, indices: _Index, data: _Values | None, n_cols: int) -> None: ...
def transpose_index(
    indptr: _Index, indices: _Index, n_cols: int, *, check: bool = False
) -> tuple[_Index, _Index, _Index]: ...
def prune(
    indptr: _Index, indices: _Index, data: _Values, theta: float, *, n_threads: Threads = None, check: bool = False,
) -> tuple[_Index, _Index, _Values]: ...  # fmt: skip
def candidates(
    indptr: _Index, indices: _Index, n_cols: int, n_candidates: int, *, seed: int, step: int,
    n_threads: Threads = None, check: bool = False,
) -> tuple[_Index, _Index]: ...  # fmt: skip
def grow(
    indptr: _Index, indices: _Index, data: _Values, cand_indptr: _Index, cand_indices: _Index, score: _Values,
    n_grow: int, weight: float, *, n_threads: Threads = None, check: bool = False,
) -> tuple[_Index, _Index, _Values]: ...  # fmt: skip
def turnover(
    indptr: _Index, indices: _Index, data: _Values, n_cols: int, *, birth: float, death: float, gamma: float,
    size: float, time: _Values | None = None, sign: Literal["E", "I"] = "E",
    normalize: bool = False, seed: int, step: int, n_threads: Threads = None, check: bool = False,
) -> tuple[_Index, _Index, _Values, int]: ...  # fmt: skip
def patches(
    R: _Values, *, patch_size: int = 7, c0: float = 0.5, g0: float = 0.5, gate_exponent: float = 1.0,
    n_threads: Threads = None,
) -> tuple[_Values, _Values]: ...  # fmt: skip
def patches_grad(
    R: _Values, dU: _Values, dgate: _Values, *, patch_size: int = 7, c0: float = 0.5, g0: float = 0.5,
    gate_exponent: float = 1.0, n_threads: Threads = None,
) -> _Values: ...  # fmt: skip
def feature_map(
    R: _Values, W: _Values, pool_rows: _Values, pool_cols: _Values, *, beta: float = 1.0, k: int | None = None,
    patch_size: int = 7, c0: float = 0.5, g0: float = 0.5, gate_exponent: float = 1.0, n_threads: Threads = None,
) -> _Values: ...  # fmt: skip
