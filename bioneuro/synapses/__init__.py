"""A pathway of synapses: a validated CSR matrix with a sign, and what can be done to it.

Rows are post-synaptic cells, columns are pre-synaptic cells; a synapse that is not stored is silent. Structure is
checked once, when a :class:`Synapses` is built; the kernels then trust it, so its arrays are its own, in memory that
nobody else has, and go out as read-only views only.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ..spelling import spelled
from .learning import Form, Learning
from .products import Products
from .stored import Sign, own_traces
from .structure import Structure

__all__ = ["Form", "Sign", "Synapses"]


@spelled
class Synapses(Products, Learning, Structure):
    """Weights ``W`` (n_post, n_pre) of one pathway, stored as CSR.

    Parameters
    ----------
    indptr, indices : ndarray of int32 or int64, both the same
        CSR structure; the columns of a row rise strictly. Copied.
    data : ndarray of float32 or float64, shape (nnz,)
        Weights, finite. Copied.
    n_pre : int >= 1
        Number of pre-synaptic cells.
    sign : {"mixed", "E", "I"}
        Excitatory pathways hold weights >= 0, inhibitory ones <= 0; no operation here changes that (Dale's law for a
        pathway). ``"mixed"`` allows any sign.

    Raises
    ------
    TypeError
        Wrong dtype, byte order or kind of object: nothing is cast in silence.
    ValueError
        Wrong layout or shape, faulty structure, non-finite weight or weight of the wrong sign; names the position.

    Attributes
    ----------
    traces : dict of str to number or ndarray
        What learning has gathered on the pathway beside its weights: ``"steps"``, the steps of rules; ``"pre_count"``,
        ``"pre_mean"`` and ``"pre_squares"``, the moments of :meth:`observe`; what a rule remembers, as ``"BCM.theta"``.
        Copies, pickles and files take them along. Arrays in it are replaced, never changed in place. A name that ends
        in ``_ij`` is of an array with a value for each stored synapse, which is dropped when the stored pattern
        changes; all others stay.

    Notes
    -----
    An operation that fails leaves the pathway as it was. ``version`` counts changes of the weights,
    ``structure_version`` those of the stored pattern (each of which is also a change of the weights).

    *Memory.* A pathway owns what it trusts. Every way to make one copies: the constructor, :meth:`from_scipy`,
    :meth:`copy`, ``copy.copy``, ``copy.deepcopy`` and unpickling; the initialisers and builders of
    :mod:`bioneuro.connectivity` likewise. What goes out are views that cannot be made writeable.

    *Threads.* Any number of threads may use one pathway. Each method sees and leaves one whole state: those that change
    the pathway wait for those that read it, and the other way round. Several methods in a row are no unit, unless they
    run inside ``with synapses.exclusive():``. The views :attr:`weights` and :meth:`to_scipy` show weights as they
    change. Arguments are the caller's: no other thread may write to them during the call. After a fork, parent and
    child each have a whole pathway of their own, whatever other threads of the parent were doing.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        with self._reading:  # the weights are written out later, when others may learn again
            arrays = self._indptr, self._indices, self._data.copy()
            return _restore, (*arrays, self._n_pre, self._sign, dict(self.traces))


def _restore(
    indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int, sign: Sign, traces: dict[str, Any]
) -> Synapses:
    """Unpickle. The arrays may lie in memory that others write to, so the traces are copied like the rest."""
    synapses = Synapses(indptr, indices, data, n_pre, sign=sign)
    synapses.traces.update(own_traces(traces))
    return synapses
