"""Save and load: pathways, rules, layers and classifiers, with everything that learning goes on from.

A file is an .npz archive: arrays ``a0, a1, ...``, and ``header``, the UTF-8 bytes of a JSON text that names the format,
its version, and how objects are made of plain values and those arrays. Nothing is ever pickled, and loading makes
instances of the classes in :data:`CLASSES` only, so that no code of the file runs. A new layer or readout can be saved
once it has a line there and says in ``SAVED`` what its attributes must be (:class:`Count`, :class:`Array`, or
:class:`Plain`, which checks nothing); both :func:`save` and :func:`load` hold it to that. A learning rule of the user's
own, class or function, is saved by its module and name, and found again among the modules that are imported by then; a
file has nothing imported (:mod:`bioneuro.qualified_names`).
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import connectivity, layers
from ._attributes import Array, Count, Need, Plain, check_attributes, unmet
from ._npz import KINDS, Archive
from ._random_states import BIT_GENERATORS, generator_of, state_of
from .atomic_write import replacing
from .classifier import BioClassifier
from .network import Network
from .network_classifier import NetworkClassifier
from .qualified_names import find, name_of
from .rules import RULES, FunctionRule, Rule, Turnover
from .rules.function import is_rule_function
from .schedule import Schedule
from .supervision import Supervision
from .synapses import Synapses

__all__ = ["CLASSES", "Array", "Count", "Plain", "load", "save"]

FORMAT = "bioneuro"
#: Of the file's layout and of what the attributes of the classes mean; files of other versions are refused.
VERSION = 6
#: Those that are read: attributes of former versions are brought up to date as they are read (``upgraded``).
READABLE = (3, 4, 5, VERSION)

#: Classes whose attributes are saved and set again, by the name they have in files.
CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        BioClassifier,
        NetworkClassifier,
        Network,
        layers.Adaptation,
        layers.Association,
        layers.Circuit,
        layers.CircuitSettings,
        layers.CompetitiveLayer,
        layers.DeltaReadout,
        layers.FeatureMap,
        layers.GrowthSettings,
        layers.Hypercolumns,
        layers.InhibitoryCells,
        layers.LocalMap,
        layers.MapSettings,
        layers.Mixing,
        layers.PassedOn,
        layers.PerturbationReadout,
        layers.Recruitment,
        layers.Retina,
        layers.SoftmaxPool,
        layers.SoftmaxSettings,
        layers.UnitNorm,
        layers.Vigilance,
        layers.VotesReadout,
        connectivity.Constant,
        connectivity.HalfNormal,
        connectivity.LogNormal,
        connectivity.MixedSign,
        connectivity.Uniform,
        FunctionRule,
        Schedule,
        Supervision,
        Turnover,
        *RULES.values(),
    )
}

#: What traces of pathways must be.
TRACES: dict[str, Need] = {
    "steps": Count(),
    "pre_count": Count(),
    "pre_mean": Array("n_pre"),
    "pre_squares": Array("n_pre", low=0),
    **{f"{rule.__qualname__}.{name}": need for rule in RULES.values() for name, need in rule.remembers.items()},
}

#: Bytes that a header may have: objects made of its text take some twenty times as many.
LARGEST_HEADER = 1 << 24
#: How deep values may be nested.
DEEPEST = 64


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model to one file, whole or not at all.

    Parameters
    ----------
    model : BioClassifier, Synapses, or another instance of a class in :data:`CLASSES`
        Fitted or not. Parameters, weights, learning state and random generators are saved: what
        :func:`load` gives goes on learning bit for bit as ``model`` would have.
    path : str or path-like
        Used as it is; ``.npz`` is the customary ending. A file that is there is replaced in one step once the new one
        is complete, and keeps its mode; a symbolic link is followed.

    Raises
    ------
    TypeError
        The model holds something that cannot be saved, such as a function for ``init`` or a rule without a name of its
        own; names where.
    ValueError
        An attribute is not what its class says it must be, such as weights that are no numbers any more:
        :func:`load` would refuse it.
    OSError
        The file cannot be written, or ``path`` is something other than a plain file; what was there is left as it was.
    """
    writer = _Writer()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "bioneuro": installed_version("bioneuro"),
        "model": writer.encode(model, "model"),
    }
    text = json.dumps(header, allow_nan=False).encode()
    if len(text) > LARGEST_HEADER:
        raise TypeError(
            f"model cannot be saved: its values that are no arrays take {len(text)} bytes, more than {LARGEST_HEADER}"
        )
    arrays: dict[str, Any] = {"header": np.frombuffer(text, np.uint8), **writer.arrays}
    with replacing(path) as file:
        np.savez(file, **arrays)


def load(path: str | os.PathLike[str]) -> Any:
    """Read what :func:`save` wrote.

    Nothing that the file says is believed unseen: sizes are compared with the bytes that are there, attributes with
    what their class says they must be. Memory is bounded by the size of the file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    object
        Of the class that was saved; independent of the file.

    Raises
    ------
    OSError
        There is no such file (FileNotFoundError), or it cannot be opened.
    ValueError
        Not a file of :func:`save`, one of another version, a damaged or a truncated one, or one that holds pickles,
        classes not in :data:`CLASSES` or values that these refuse; a rule of the user's own whose module is not
        imported, or not as it was. Says which.
    """
    with _opened(path) as file:
        try:
            archive = Archive(file)
        except ValueError as error:
            raise ValueError(f"{path} is not a file written by bioneuro.save, or it was cut short: {error}") from error
        header = _header(archive, path)
        try:
            archive.check()
            model = _Reader(archive).decode(header["model"])
        except MemoryError:
            raise
        except ValueError as error:
            raise ValueError(f"{path} cannot be loaded: {error}") from error
        except Exception as error:  # a header with types that save never writes can fail anywhere
            raise ValueError(f"{path} is damaged: its header and its arrays do not go together ({error!r})") from error
        if archive.unread:
            unnamed = ", ".join(sorted(archive.unread)[:5])
            raise ValueError(f"{path} is damaged: its header names none of {unnamed}")
        return model


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    # Opening a FIFO for reading would wait for ever.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISDIR(os.fstat(number).st_mode):
        os.close(number)
        raise IsADirectoryError(errno.EISDIR, "Is a folder, not a file", os.fspath(path))
    with open(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is not a file written by bioneuro.save: it is no plain file")
        yield file


def _header(archive: Archive, path: str | os.PathLike[str]) -> dict[str, Any]:
    """The header, of this format and version."""
    try:
        header = json.loads(archive.read("header", LARGEST_HEADER).tobytes().decode(), parse_constant=_no_number)
        ours = header["format"] == FORMAT
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} was not written by bioneuro.save: it has no header of that format ({error})"
        ) from error
    if not ours:
        raise ValueError(f"{path} was not written by bioneuro.save: its header is of another format")
    if header.get("version") not in READABLE:
        raise ValueError(
            f"{path} has version {header.get('version')} of the format, written by bioneuro {header.get('bioneuro')}; "
            f"this is bioneuro {installed_version('bioneuro')}, which reads versions {READABLE[0]} to {VERSION}"
        )
    return header


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


class _Depth:
    """How deep values lie in each other."""

    def __init__(self) -> None:
        self.depth = 0

    @contextmanager
    def deeper(self) -> Iterator[None]:
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise ValueError(f"values lie in each other more than {DEEPEST} deep")
            yield
        finally:
            self.depth -= 1


class _Writer(_Depth):
    """Objects to JSON values: a number, string, bool or None is itself, all else a dict with a ``kind``.

    An object met again is a reference to its first appearance, by the order in which objects are met.
    """

    def __init__(self) -> None:
        super().__init__()
        self.arrays: dict[str, NDArray] = {}
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # kept alive, so that their ids are not reused

    def encode(self, value: Any, where: str) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"kind": "float", "value": str(value)}
        if isinstance(value, np.dtype):
            return {"kind": "dtype", "name": value.str}
        if isinstance(value, type) and issubclass(value, np.floating):
            return {"kind": "type", "name": np.dtype(value).str}
        if isinstance(value, np.generic):
            return {"kind": "scalar", "value": self.array(np.asarray(value), where)}
        try:
            with self.deeper():
                return self.encode_container(value, where)
        except ValueError as error:
            if self.depth:
                raise
            raise ValueError(f"model cannot be saved: {error}") from error

    def encode_container(self, value: Any, where: str) -> dict[str, Any]:
        if type(value) in (list, tuple):
            items = [self.encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
            return {"kind": type(value).__name__, "items": items}
        if type(value) is dict:
            return {"kind": "dict", "items": self.named(value, where)}
        if id(value) in self.seen:
            return {"kind": "same", "as": self.seen[id(value)]}
        self.seen[id(value)] = len(self.alive)
        self.alive.append(value)
        return self.encode_object(value, where)

    def encode_object(self, value: Any, where: str) -> dict[str, Any]:
        if type(value) in (np.ndarray, np.memmap):
            if value.dtype.hasobject:  # class labels that are Python strings
                return {"kind": "objects", "shape": value.shape, "items": self.encode(value.ravel().tolist(), where)}
            return {"kind": "array", "name": self.array(value, where)}
        if type(value) is Synapses:
            names = ("indptr", "indices", "weights")
            arrays = {name: self.array(getattr(value, name), where) for name in names}
            traces = self.named(value.traces, f"{where}.traces")
            check_traces(value)
            return {"kind": "synapses", **arrays, "n_pre": value.n_pre, "sign": value.sign, "traces": traces}
        if type(value) in (np.random.Generator, np.random.RandomState):
            state = state_of(value)
            if state["bit_generator"] in BIT_GENERATORS:
                kind = "generator" if type(value) is np.random.Generator else "random_state"
                return {"kind": kind, "state": self.encode(state, where)}
        name = type(value).__name__
        if CLASSES.get(name) is type(value):
            encoded = {"kind": "object", "class": name, "state": self.named(vars(value), where, ".{}")}
        elif isinstance(value, Rule):
            parameters = {field.name: getattr(value, field.name) for field in fields(value)}
            state = self.named(parameters, where, ".{}")
            encoded = {"kind": "rule", **name_of(type(value), where), "state": state}
        elif is_rule_function(value):
            return {"kind": "function", **name_of(value, where)}
        else:
            raise TypeError(
                f"{where} cannot be saved: a {type(value).__module__}.{type(value).__qualname__} is neither plain data "
                "nor an instance of a class in bioneuro.io.CLASSES"
            )
        check_attributes(value)
        return encoded

    def named(self, items: Mapping[Any, Any], where: str, form: str = "[{!r}]") -> dict[str, Any]:
        for name in items:
            if not isinstance(name, str):  # a NumPy string will do: a grid search gives such parameters
                raise TypeError(f"{where} cannot be saved: its key {name!r} is not a string")
        return {str(name): self.encode(value, where + form.format(str(name))) for name, value in items.items()}

    def array(self, array: NDArray, where: str) -> str:
        if array.dtype.kind not in KINDS:
            raise TypeError(f"{where} cannot be saved: an array of {array.dtype}")
        name = f"a{len(self.arrays)}"
        self.arrays[name] = array
        return name


#: Stands for an object as long as it is being read.
_UNFINISHED = object()


class _Reader(_Depth):
    """What :class:`_Writer` wrote, back to objects."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.array = archive.read
        self.seen: list[Any] = []

    def decode(self, value: Any) -> Any:
        if not isinstance(value, dict):
            if isinstance(value, list):
                raise ValueError("a list stands where a value must")
            return value
        with self.deeper():
            return self.decode_kind(value["kind"], value)

    def decode_kind(self, kind: str, value: dict[str, Any]) -> Any:
        if kind == "float":
            return float(value["value"])
        if kind in ("list", "tuple"):
            items = [self.decode(item) for item in value["items"]]
            return items if kind == "list" else tuple(items)
        if kind == "dict":
            return self.named(value["items"])
        if kind == "dtype":
            return _dtype(value["name"], KINDS)
        if kind == "type":
            return _dtype(value["name"], "f").type
        if kind == "scalar":
            return self.array(value["value"]).reshape(())[()]
        if kind == "same":
            return self.same(value["as"])
        place = len(self.seen)
        self.seen.append(_UNFINISHED)
        self.seen[place] = made = self.decode_object(kind, value)
        return made

    def same(self, place: Any) -> Any:
        if not isinstance(place, int) or not 0 <= place < len(self.seen) or self.seen[place] is _UNFINISHED:
            raise ValueError(f"it refers to an object {place!r} that is not there before it")
        return self.seen[place]

    def decode_object(self, kind: str, value: dict[str, Any]) -> Any:
        if kind == "array":
            return self.array(value["name"])
        if kind == "objects":
            return _objects(self.decode(value["items"]), value["shape"])
        if kind == "synapses":
            indptr, indices, weights = (self.array(value[name]) for name in ("indptr", "indices", "weights"))
            synapses = Synapses(indptr, indices, weights, value["n_pre"], sign=value["sign"])
            synapses.traces.update(self.named(value["traces"]))
            check_traces(synapses)
            return synapses
        if kind == "function":
            function = find(value["module"], value["name"])
            if not is_rule_function(function):
                raise ValueError(f"{value['name']} of module {value['module']!r} is not a function of four arguments")
            return function
        if kind in ("generator", "random_state"):
            return generator_of(self.decode(value["state"]), kind == "random_state")
        if kind in ("object", "rule"):
            cls, state = _class_of(kind, value), self.named(value["state"])
            made: Any = object.__new__(cls)  # as unpickling does: no constructor takes what has been learned
            vars(made).update(cls.upgraded(state) if hasattr(cls, "upgraded") else state)
            check_attributes(made)
            return made
        raise ValueError(f"unknown kind of value {kind!r}")

    def named(self, items: dict[str, Any]) -> dict[str, Any]:
        return {name: self.decode(value) for name, value in items.items()}


def _class_of(kind: str, value: dict[str, Any]) -> type:
    """One of :data:`CLASSES`, or a class of rules of the user's own, whose parameters are still those of the file."""
    if kind == "object" and value["class"] not in CLASSES:
        raise ValueError(f"class {value['class']!r} is not in bioneuro.io.CLASSES")
    cls = CLASSES[value["class"]] if kind == "object" else find(value["module"], value["name"])
    if kind == "rule" and not (isinstance(cls, type) and issubclass(cls, Rule)):
        raise ValueError(f"{value['name']} of module {value['module']!r} is not a class of rules")
    if issubclass(cls, Rule):
        check_field_names(cls, value["state"])
    return cls


def _dtype(name: str, kinds: str) -> np.dtype:
    """A dtype of plain values by its name in files."""
    dtype = np.dtype(name) if isinstance(name, str) else None
    if dtype is None or dtype.kind not in kinds or dtype.str != name:
        raise ValueError(f"{name!r} is no dtype of plain values")
    return dtype


def _objects(items: Any, shape: Any) -> NDArray:
    """An array of objects out of a list of as many as it has."""
    if not isinstance(items, list) or math.prod(shape) != len(items) or min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {shape} is made of another number of items")
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def check_traces(synapses: Synapses) -> None:
    """What learning has gathered on a pathway must be of its size; rules of the user's own check theirs."""
    for name, value in synapses.traces.items():
        need = TRACES.get(name, Array("nnz") if name.endswith("_ij") else Plain())
        wanted = unmet(need, value, synapses)
        if wanted:
            raise ValueError(f"traces[{name!r}] of a pathway must be {wanted}")


def check_field_names(rule: type[Rule], state: Mapping[str, Any]) -> None:
    """Parameters in a file must be those of the class: it may have changed since."""
    ours, theirs = {field.name for field in fields(rule)}, set(state)
    if ours != theirs:
        differing = ", ".join(sorted(ours ^ theirs))
        raise ValueError(f"{rule.__qualname__} has other parameters now than in the file: {differing}")
