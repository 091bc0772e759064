"""The border of the C core: every argument of every function is refused by name, numbers come before arrays, and
nothing that an argument does while it is converted reaches a kernel."""

import inspect

import numpy as np
import pytest
from binding_calls import KIND, N_COLS, calls

from bioneuro import _core, kernels

GOOD = calls()
ARGUMENTS = [(function, name) for function, arguments in GOOD.items() for name in arguments]
WRONG_TYPES = {
    "array": [[1.0], "x", 3.0, np.zeros(3, np.float16), np.zeros((2, 2), ">f4"), np.zeros(3, object)],
    "integer": [1.5, "2", True, [1], np.ones(3, int), np.float32(1), np.True_, 1j],
    "key": [1.5, "2", True, None, [1], np.ones(1, int)],
    "real": ["x", [1.0], np.ones(3), np.ones(1), 1j, None],
    "flag": ["yes", 1.5, [1], None],
    "choice": [3, 1.5, ["E"], b"E"],
    "layout": [3, "x", object()],
}
WRONG_VALUES = {
    "integer": [-1, 2**80, -(2**80)],
    "key": [-1, 2**64, 2**80],
    "real": [float("nan"), -(10**400), 10**400],
    "flag": [2, -1],
    "choice": ["", "e", "log relaxation"],
}
CLIPPED = {("compete", "k"), ("feature_map", "k")}  # more winners than cells are all of them, however many more


def call(function, **arguments):
    return getattr(_core, function)(**arguments)


def test_every_function_and_every_argument_is_in_the_table():
    others = {"config", "layout_bytes", "lock", "set_num_threads", "thread_counts"}
    public = {name for name in dir(_core) if not name.startswith("_") and callable(getattr(_core, name))}
    assert public == set(GOOD) | others
    for function in set(GOOD) - {"Plasticity"}:
        parameters = inspect.signature(getattr(_core, function)).parameters
        fixed = {name for name, p in parameters.items() if p.kind is not inspect.Parameter.VAR_KEYWORD}
        assert fixed - set(GOOD[function]) == set()


@pytest.mark.parametrize("function", GOOD)
def test_the_calls_of_the_table_are_good(function):
    call(function, **calls()[function])


@pytest.mark.parametrize(("function", "name"), ARGUMENTS)
def test_an_argument_of_the_wrong_type_is_a_type_error_that_names_it_and_the_function(function, name):
    for wrong in WRONG_TYPES[KIND[name]]:
        arguments = calls()[function] | {name: wrong}
        with pytest.raises(TypeError, match=rf"^{function}( \(candidates\))?\(\): .*\b{name.removeprefix('cand_')}\b"):
            call(function, **arguments)


@pytest.mark.parametrize(("function", "name"), [(f, n) for f, n in ARGUMENTS if KIND[n] in WRONG_VALUES])
def test_a_wrong_value_is_a_value_error_that_names_argument_and_function(function, name):
    for wrong in WRONG_VALUES[KIND[name]]:
        if (function, name) in CLIPPED and wrong == 2**80:
            continue
        arguments = calls()[function] | {name: wrong}
        with pytest.raises(ValueError, match=rf"^{function}\(\): {name} must be "):
            call(function, **arguments)


@pytest.mark.parametrize("function", GOOD)
def test_what_is_only_read_may_be_frozen_and_stays_as_it_is(function):
    arguments = calls()[function]
    in_place = {"data"} if function in ("plasticity_step", "hebbian_step", "normalize_rows") else set()
    written = {"out", "dX"} | in_place | ({"G"} if function == "backward" else set())
    read = {name: a for name, a in arguments.items() if isinstance(a, np.ndarray) and name not in written}
    for array in read.values():
        array.flags.writeable = False
    call(function, **arguments)
    for name, array in read.items():
        np.testing.assert_array_equal(array, calls()[function][name])
    for name in written & set(arguments):
        assert arguments[name].flags.writeable


@pytest.mark.parametrize("function", GOOD)
def test_surplus_and_missing_arguments_are_type_errors_that_name_the_function(function):
    with pytest.raises(TypeError, match=rf"{function}\(\)"):
        call(function, **calls()[function], nonsense=1)
    if function == "Plasticity":  # has usual values for all
        return
    for name in list(GOOD[function])[:1]:
        arguments = calls()[function]
        del arguments[name]
        with pytest.raises(TypeError, match=rf"{function}\(\)"):
            call(function, **arguments)


@pytest.mark.parametrize("function", ["candidates", "turnover"])
def test_required_keywords_are_named(function):
    for name in ("seed", "step", *(["birth", "death", "gamma", "size"] if function == "turnover" else [])):
        arguments = calls()[function]
        del arguments[name]
        with pytest.raises(TypeError, match=rf"^{function}\(\) missing required keyword-only argument: '{name}'$"):
            call(function, **arguments)


class Boom(Exception):
    pass


class Hostile:
    """A number that does something before it is one."""

    def __init__(self, number, act):
        self.number, self.act = number, act

    def __index__(self):
        self.act()
        return self.number

    def __float__(self):
        self.act()
        return float(self.number)


def boom():
    raise Boom


NUMBERS = [(function, name) for function, name in ARGUMENTS if KIND[name] in ("integer", "key", "real")]


@pytest.mark.parametrize(("function", "name"), NUMBERS)
def test_what_a_number_raises_comes_through(function, name):
    with pytest.raises(Boom):
        call(function, **calls()[function] | {name: Hostile(1, boom)})


@pytest.mark.parametrize(("function", "name"), NUMBERS)
def test_arrays_are_looked_at_after_the_numbers(function, name):
    """What a number does to an array while it is converted is seen by the check of that array."""
    good = GOOD[function]
    for changed in [n for n, v in good.items() if isinstance(v, np.ndarray)]:
        arguments = calls()[function]

        def act(array=arguments[changed]):
            array.shape = (*array.shape, 1, 1, 1)

        number = Hostile(int(arguments[name]) or 1 if KIND[name] != "real" else arguments[name], act)
        pattern = rf"^{function}( \(candidates\))?\(\): {changed.removeprefix('cand_')} must have"
        with pytest.raises(ValueError, match=pattern if function != "minmax" else "^$"):
            call(function, **arguments | {name: number})
            if function == "minmax":
                raise ValueError  # which takes any shape


@pytest.mark.parametrize("function", sorted(set(kernels.__all__) & {f for f, n in ARGUMENTS if n == "check"}))
def test_contents_that_a_number_spoils_are_seen(function):
    arguments = calls()[function]
    names = inspect.signature(getattr(kernels, function)).parameters
    indices = arguments["indices"]

    def spoil():
        indices[0] = -1

    arguments = {name: value for name, value in arguments.items() if name in names}
    if function == "hebbian_step":  # has drive in the place of rates
        arguments["drive"] = calls()[function]["Y"]
    numeric = "n_cols" if function == "transpose_index" else "n_threads"
    arguments[numeric] = Hostile(N_COLS if numeric == "n_cols" else 1, spoil)
    with pytest.raises(ValueError, match=r"^indices must "):
        getattr(kernels, function)(**arguments)


@pytest.mark.parametrize("wrong", [1.5, "2", True, [1]])
def test_a_number_of_threads_of_the_wrong_type(wrong):
    with pytest.raises(TypeError, match=r"^set_num_threads\(\): n_threads must be None, 'auto' or an integer in"):
        _core.set_num_threads(wrong)


def test_a_layout_of_nonsense_has_no_size():
    with pytest.raises(TypeError, match=r"^layout_bytes\(\): layout must come from"):
        _core.layout_bytes(3)
