"""Calls of the C core with hostile arguments: a process of ``python -m campaigns.bindings``.

Each execution is a good call in which one to three arguments were replaced: numbers whose ``__index__`` or
``__float__`` reshapes, resizes, retypes, freezes or overwrites the other arguments, calls the core again, collects
garbage, lies or raises; arrays that are strided, misaligned, empty, frozen, overlapping, of odd types or shapes, full
of garbage or of a class that lies about itself; layouts of other pathways; keywords that are no plain strings. An
execution may answer or raise what is promised; anything else ends the process.

``python campaigns/hostile_calls.py FIRST LAST PROGRESS`` executes seeds FIRST to LAST - 1, keeps the one at hand in the
file PROGRESS and prints how they ended; ``python campaigns/hostile_calls.py SEED`` repeats one and lets it raise.
"""

import collections
import datetime
import faulthandler
import gc
import importlib.util
import json
import sys
import types
import warnings
from pathlib import Path

import numpy as np

# The package without its __init__, which imports much more than is needed here.
package = types.ModuleType("bioneuro")
package.__path__ = importlib.util.find_spec("bioneuro").submodule_search_locations
sys.modules["bioneuro"] = package
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from binding_calls import KIND, calls  # noqa: E402

from bioneuro import _core  # noqa: E402


class Boom(Exception):
    """Raised by an argument: it must come through as it is."""


#: OverflowError: of arguments that are numbers beyond all floats, from their own __float__.
PROMISED = (Boom, TypeError, ValueError, MemoryError, RuntimeError, BufferError, OverflowError)
#: Not called: they take structures that were checked before. And so are layouts taken, which are only damaged here.
TRUSTING = {"layout", "layout_refresh"}


class Liar(np.ndarray):
    """An array that lies about itself."""

    def __len__(self):
        return 10**9

    @property
    def shape(self):
        return (10**9, 10**9)

    @property
    def dtype(self):
        return np.dtype(np.float64)

    def __array__(self, *unused, **keywords):
        return np.zeros(3)

    def __array_finalize__(self, other):
        gc.collect(0)


class Convertible:
    """No array, but it could be asked for one."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array

    def __len__(self):
        return len(self.array)


class Word(str):
    """A keyword that is never what it says."""

    __slots__ = ()

    def __hash__(self):
        return hash(str(self))

    def __eq__(self, other):
        gc.collect(0)
        return str.__eq__(self, other)


class Hostile:
    """A number that acts before it is one."""

    def __init__(self, rng, arguments, number):
        self.rng, self.arguments, self.number = rng, arguments, number

    def act(self):
        rng = self.rng
        arrays = [a for a in self.arguments.values() if isinstance(a, np.ndarray) and type(a) is np.ndarray]
        for _ in range(int(rng.integers(1, 4))):
            array = arrays[rng.integers(len(arrays))] if arrays else np.zeros(2)
            try:
                ACTS[rng.integers(len(ACTS))](rng, array, self.arguments)
            except (ValueError, TypeError, AttributeError, IndexError):
                continue  # this array cannot be treated so

    def __index__(self):
        self.act()
        return self.number if isinstance(self.number, int) else int(self.number)

    def __float__(self):
        self.act()
        return self.number if isinstance(self.number, float) else float(self.number)

    def __bool__(self):
        self.act()
        return True


def reshape(rng, array, arguments):
    array.shape = (array.size, *[1] * int(rng.integers(0, 4)))


def resize(rng, array, arguments):
    array.resize(int(rng.integers(0, 2 * array.size + 2)), refcheck=False)


def retype(rng, array, arguments):
    array.dtype = rng.choice([np.int32, np.int64, np.float32, np.float64, np.int8])


def freeze(rng, array, arguments):
    array.flags.writeable = False


def overwrite(rng, array, arguments):
    raw = array.reshape(-1).view(np.uint8)
    raw[:] = rng.integers(0, 256, raw.size)


def swap(rng, array, arguments):
    name = rng.choice(list(arguments))
    arguments[name] = None  # drops the last reference that we hold


def call_again(rng, array, arguments):
    name = rng.choice(["forward", "prune", "grow", "normalize_rows"])
    getattr(_core, name)(**calls(int(rng.integers(100)))[name])


def collect(rng, array, arguments):
    gc.collect(0)


def explode(rng, array, arguments):
    raise Boom


ACTS = [reshape, resize, retype, freeze, overwrite, swap, call_again, collect, explode]


def odd_number(rng, arguments, number):
    """A number, or what passes for one. Small ones only: large ones cost time and memory, as they should."""
    odd = [
        -1, 0, 1, 3, -(2**70), 2**70, 0.0, -0.0, 1e-310, 1e308, float("nan"), float("inf"), -float("inf"), True, None,
        "1", b"1", [1], 1j, np.float32(2), np.int8(2), np.array(2), np.array([2]), np.ones(0), object(), 10**400,
        Hostile(rng, arguments, 10**400), Hostile(rng, arguments, -1), Hostile(rng, arguments, "2"),
    ]  # fmt: skip
    if rng.random() < 0.6:
        return Hostile(rng, arguments, number if number is not None else 1)
    return odd[rng.integers(len(odd))]


def odd_array(rng, arguments, array):
    """Another array, or what passes for one."""
    raw = np.zeros(array.nbytes + 16, np.uint8)
    others = [a for a in arguments.values() if isinstance(a, np.ndarray)]
    other = others[rng.integers(len(others))]
    odd = [
        lambda: array.copy().view(Liar),
        lambda: Convertible(array),
        lambda: np.repeat(array, 2, axis=-1)[..., ::2],
        lambda: np.asfortranarray(array),
        lambda: raw[1 : 1 + array.nbytes].view(array.dtype).reshape(array.shape),
        lambda: array[:0],
        lambda: array[..., :0].copy(),
        lambda: np.broadcast_to(array.ravel()[:1], array.shape),
        lambda: array.astype(rng.choice([np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8, object])),
        lambda: array.astype(array.dtype.newbyteorder()),
        lambda: array.reshape(*array.shape, 1),
        lambda: np.array(array.ravel()[0]),
        lambda: array[None],
        lambda: other,
        lambda: other.reshape(-1)[: array.size].reshape(array.shape),
        lambda: np.full_like(array, rng.choice([np.nan, np.inf, -1, 0, 2**30]), casting="unsafe"),
        lambda: np.frombuffer(rng.bytes(array.nbytes), array.dtype).reshape(array.shape),
        lambda: np.frombuffer(bytearray(rng.bytes(array.nbytes)), array.dtype).reshape(array.shape),
        lambda: np.resize(array, int(rng.integers(0, 2 * array.size + 2))),
        lambda: np.ma.masked_array(array, True),
        lambda: memoryview(np.ascontiguousarray(array)),
        lambda: np.zeros(array.shape, "f4,f4"),
        lambda: array.tolist(),
        lambda: None,
    ]
    return odd[rng.integers(len(odd))]()


def odd_word(rng):
    return [3, None, "", "E", b"E", Word("E"), "signed", Word("log-relaxation"), _core.Plasticity("signed"), "I\0"][
        rng.integers(10)
    ]


def odd_layout(rng):
    other = _core.layout(**calls()["layout"] | {"transposed": bool(rng.integers(2)), "n_cols": 8})
    return [None, 3, datetime.datetime_CAPI, other][rng.integers(4)]


def odd(rng, arguments, kind, value):
    if kind == "array":
        return odd_array(rng, arguments, value)
    if kind == "choice":
        return odd_word(rng)
    if kind == "layout":
        return odd_layout(rng)
    if kind == "flag":
        return [1, 2, "yes", 1.0, np.True_][rng.integers(5)]  # never off
    return odd_number(rng, arguments, value)


def execute(seed):
    """One call; returns what it raised, or None."""
    rng = np.random.default_rng(seed)
    table = calls(seed % 50, rng.choice([np.float32, np.float64]), rng.choice([np.int32, np.int64]))
    function = rng.choice(sorted(set(table) - TRUSTING))
    arguments = table[function]
    for name in rng.choice(list(arguments), min(len(arguments), int(rng.integers(1, 4))), replace=False):
        kind, value = KIND[name], arguments[name]
        with np.errstate(all="ignore"):
            try:
                arguments[name] = odd(rng, arguments, kind, value)
            except (ValueError, TypeError, OverflowError, AttributeError, IndexError):
                continue  # not of this array
    if rng.random() < 0.1:
        arguments = {Word(name): value for name, value in arguments.items()}
    try:
        getattr(_core, function)(**arguments)
    except PROMISED as error:
        return type(error).__name__
    return None


def work(first, last, progress):
    faulthandler.enable()
    warnings.simplefilter("ignore")
    outcomes = collections.Counter()
    for seed in range(first, last):
        progress.write_text(str(seed))
        outcomes[execute(seed) or "answered"] += 1
    print(json.dumps(outcomes))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(execute(int(sys.argv[1])))
    else:
        work(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
