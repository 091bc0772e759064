"""Mixing layer: many cells that each combine a few inputs at random, excitatory and inhibitory ones."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .. import connectivity
from .._attributes import Array, Count, Floating, Items, Pathway, Same, ThreadCount
from ..checks import Number, check, check_count
from ..moments import Moments
from ..network_table import PrintedBySizes
from ..spelling import spelled
from ..synapses import Sign, Synapses
from ..threads import Threads
from .numeric_limits import check_learned, check_magnitude, check_norm

#: Inputs that drive one inhibitory cell: 80 excitatory cells to 20 inhibitory ones.
INPUTS_PER_INHIBITORY = 4
#: Squared norm below which an input is as good as silent.
NORM_FLOOR = 1e-8


class _Rates(NamedTuple):
    """Rates before normalisation, and their norm."""

    x: NDArray
    norm: NDArray


@spelled
class Mixing(PrintedBySizes):
    """Rates of randomly wired cells: ``P = W_E h + W_I q``, ``x = ((P - mean P) / sd P + baseline)+``, unit norm.

    The inputs ``h`` are rates of excitatory cells. A cell hears ``n_synapses`` of them and as many of the inhibitory
    cells ``q = U h``, which are driven by four inputs each: every cell has one sign (Dale's law). All synapses of a
    pathway are of one size and none learns. Homeostasis does: a cell's threshold is its mean input so far and its gain
    one over the standard deviation, so that all cells are active alike, about ``Phi(baseline)`` of the time.

    Why mix: a mixing cell sums over several inputs, so that what a cell of the next layer has in common with it, over
    all of them, is close to normally distributed (central limit), however skewed the inputs are; what grows
    exponentially with it is then lognormal (:class:`bioneuro.rules.LogCovariance`). Granule cells of the cerebellum and
    Kenyon cells of the mushroom body expand their input by a handful of synapses each (Marr 1969, J. Physiol. 202:437;
    Dasgupta, Stevens & Navlakha 2017, Science 358:793).

    Parameters
    ----------
    n_inputs : int >= 1
    n_cells : int >= 1, default 4000
    n_synapses : int >= 1, default 4
        Of each sign, onto each cell; at most half of the inputs of a sign, or all cells would be alike.
    baseline : float, default 0.5
        Distance of the mean input from threshold, in standard deviations.
    random_state : int, RandomState, Generator or None
        Of the wiring.
    dtype : float32 or float64
    n_threads : int >= 1, "auto" or None

    Attributes
    ----------
    excitatory : Synapses (n_cells, n_inputs)
    to_inhibitory : Synapses (n_inhibitory, n_inputs)
    inhibitory : Synapses (n_cells, n_inhibitory)
    """

    SAVED: ClassVar = {
        "dtype": Floating(),
        "n_threads": ThreadCount(),
        "baseline": Number(-np.inf),
        "excitatory": Pathway(None, None, "E", dtype="dtype"),
        "to_inhibitory": Pathway(None, "n_inputs", "E", dtype="dtype"),
        "inhibitory": Pathway("excitatory.n_post", "to_inhibitory.n_post", "I", dtype="dtype"),
        "n_features": Same("excitatory.n_post"),
        "_seen": Items((Count(), Array("n_features"), Array("n_features", low=0))),
    }

    def __init__(
        self,
        n_inputs: int,
        n_cells: int = 4000,
        n_synapses: int = 4,
        *,
        baseline: float = 0.5,
        random_state: connectivity.RandomState = None,
        dtype: DTypeLike = np.float32,
        n_threads: Threads = None,
    ) -> None:
        for name, value in (("n_inputs", n_inputs), ("n_cells", n_cells), ("n_synapses", n_synapses)):
            check_count(name, value)
        check("baseline", baseline, Number(-np.inf))
        rng = connectivity.generator(random_state)
        self.dtype, self.n_threads, self.baseline = np.dtype(dtype), n_threads, float(baseline)
        self.n_features = int(n_cells)
        n_inhibitory = -(-n_inputs // INPUTS_PER_INHIBITORY)
        share = connectivity.Constant(1 / INPUTS_PER_INHIBITORY)
        self.to_inhibitory = connectivity.dealt(
            n_inhibitory, n_inputs, share, sign="E", random_state=rng, dtype=self.dtype
        )

        def wiring(n_pre: int, sign: Sign) -> Synapses:
            in_degree = min(n_synapses, max(1, n_pre // 2))
            return connectivity.random(
                n_cells, n_pre, in_degree=in_degree, init=connectivity.Constant(1.0), sign=sign, random_state=rng,
                dtype=self.dtype,
            )  # fmt: skip

        self.excitatory, self.inhibitory = wiring(n_inputs, "E"), wiring(n_inhibitory, "I")
        self._seen: tuple[Any, ...] = tuple(Moments.none(n_cells))

    def learn(self, H: ArrayLike, **_: Any) -> Mixing:
        """Adapt thresholds and gains to a batch ``H (n, n_inputs)``, beside all that came before it."""
        return self.add(self.measure(H))

    def measure(self, H: ArrayLike) -> Moments:
        """Moments of the summed input of every cell over a batch ``H (n, n_inputs)``; nothing is learned."""
        H = np.ascontiguousarray(H, self.dtype)
        check_learned(H, "H", self.dtype, self.excitatory.n_pre, nonnegative=False, n_threads=self.n_threads)
        return Moments.none(self.n_features).add(self._input(H))

    def add(self, moments: Moments) -> Mixing:
        """Adapt to a batch that was measured, here or by a copy elsewhere; :meth:`measure` and this are
        :meth:`learn`."""
        self._seen = tuple(self.moments.merge(moments))
        return self

    @property
    def n_inputs(self) -> int:
        """Rates that it mixes."""
        return self.excitatory.n_pre

    @property
    def moments(self) -> Moments:
        """Of the summed input of every cell so far."""
        return Moments(*self._seen)

    def _input(self, H: ArrayLike) -> NDArray:
        """Summed input ``P (n, n_cells)``."""
        H = np.ascontiguousarray(H, self.dtype)
        P = self.excitatory.forward(H, n_threads=self.n_threads)
        q = self.to_inhibitory.forward(H, n_threads=self.n_threads)
        P += self.inhibitory.forward(q, n_threads=self.n_threads)
        return P

    def _gain(self) -> NDArray:
        """One over the standard deviation of the summed input; 0 of cells whose input never varied."""
        sd = self.moments.sd
        return np.divide(1, sd, out=np.zeros_like(sd), where=sd > 0).astype(self.dtype)

    def _rates(self, H: ArrayLike) -> _Rates:
        H, gain = np.ascontiguousarray(H, self.dtype), self._gain()
        check_magnitude(H, "H", self.n_threads)
        x = self._input(H)
        with np.errstate(over="ignore"):
            x *= gain
            x += (self.baseline - self.moments.mean * gain).astype(self.dtype)
            np.maximum(x, 0, out=x)
            norm = np.sqrt(np.einsum("ij,ij->i", x, x)[:, None] + x.dtype.type(NORM_FLOOR))
        check_norm(norm, "H")
        return _Rates(x, norm)

    def encode(self, H: ArrayLike) -> NDArray:
        """Rates ``x (n, n_cells)`` at inputs ``H (n, n_inputs)``: >= 0, rows of unit norm."""
        x, norm = self._rates(H)
        x /= norm
        return x

    def encode_grad(self, H: ArrayLike, dX: NDArray) -> NDArray:
        """Gradient of :meth:`encode` with respect to ``H``."""
        x, norm = self._rates(H)
        dx = (dX - x * (np.einsum("ij,ij->i", dX, x)[:, None] / norm**2)) / norm
        dP = np.ascontiguousarray(dx * (x > 0) * self._gain(), self.dtype)
        n = self.n_threads
        through = self.to_inhibitory.input_grad(self.inhibitory.input_grad(dP, n_threads=n), n_threads=n)
        return self.excitatory.input_grad(dP, n_threads=n) + through

    learns_from: ClassVar[str] = "batches"
    population: ClassVar[str] = "mixing"
    #: Population that makes what the layer below does not make.
    presynaptic: ClassVar[dict[str, str]] = {"mixing_inhibitory": "mixing_i"}

    def pathways(self) -> dict[str, Synapses]:
        """Its pathways by name, none of which learns."""
        return {
            "mixing_excitatory": self.excitatory,
            "mixing_e_to_i": self.to_inhibitory,
            "mixing_inhibitory": self.inhibitory,
        }
