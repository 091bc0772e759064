"""States of random generators: saved, and restored only where they are valid.

NumPy takes any state, and reads out of bounds where a position lies outside of its buffer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._attributes import Array, Count, Items, Need
from .checks import Number

__all__ = ["BIT_GENERATORS", "generator_of", "state_of"]

_WORD32, _WORD64, _WORD128 = ((1 << bits) - 1 for bits in (32, 64, 128))
#: Half of a word that is left over.
_SPARE: Mapping[str, Need] = {"has_uint32": Count(0, 1), "uinteger": Count(0, _WORD32)}
#: A normal number that is left over, of a RandomState.
_SPARE_NORMAL: Mapping[str, Need] = {"has_gauss": Count(0, 1), "gauss": Number(-np.inf)}
_PCG: Mapping[str, Need] = {"state": Items({"state": Count(0, _WORD128), "inc": Count(0, _WORD128)}), **_SPARE}

#: What states look like, by the bit generator.
STATES: dict[type[np.random.BitGenerator], Mapping[str, Need]] = {
    np.random.MT19937: {"state": Items({"key": Array(624, dtype=np.dtype(np.uint32)), "pos": Count(0, 624)})},
    np.random.PCG64: _PCG,
    np.random.PCG64DXSM: _PCG,
    np.random.Philox: {
        "state": Items({name: Array(n, dtype=np.dtype(np.uint64)) for name, n in (("counter", 4), ("key", 2))}),
        "buffer": Array(4, dtype=np.dtype(np.uint64)),
        "buffer_pos": Count(0, 4),
        **_SPARE,
    },
    np.random.SFC64: {"state": Items({"state": Array(4, dtype=np.dtype(np.uint64))}), **_SPARE},
}
BIT_GENERATORS = {cls.__name__: cls for cls in STATES}


def state_of(source: np.random.Generator | np.random.RandomState) -> dict[str, Any]:
    """All that the numbers to come depend on."""
    if isinstance(source, np.random.Generator):
        return dict(source.bit_generator.state)
    return dict(source.get_state(legacy=False))


def generator_of(state: Any, legacy: bool) -> np.random.Generator | np.random.RandomState:
    """The Generator, or with ``legacy`` the RandomState, that has a state.

    Raises
    ------
    ValueError
        It is the state of no generator; names what is out of range.
    """
    name = state.get("bit_generator") if isinstance(state, dict) else None
    if name not in BIT_GENERATORS:
        raise ValueError(f"a random generator must be one of {', '.join(BIT_GENERATORS)}, got {name!r}")
    parts = {key: value for key, value in state.items() if key != "bit_generator"}
    wanted = Items({**STATES[BIT_GENERATORS[name]], **(_SPARE_NORMAL if legacy else {})}).unmet(parts, None)
    if wanted:
        raise ValueError(f"the state of the random generator {name} must be {wanted}")
    source = BIT_GENERATORS[name]()
    if not legacy:
        source.state = state
        return np.random.Generator(source)
    random_state = np.random.RandomState(source)
    random_state.set_state(state)
    return random_state
