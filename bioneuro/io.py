"""Save and load: pathways, rules, layers and classifiers, with everything that learning goes on from.

A file is an .npz archive: arrays ``a0, a1, ...``, and ``header``, the UTF-8 bytes of a JSON text that names the format,
its version, and how objects are made of plain values and those arrays. Nothing is ever pickled, and loading makes
instances of the classes in :data:`CLASSES` only, so that no code of the file runs. A new layer or readout can be saved
once it has a line there. A learning rule of the user's own, class or function, is saved by its module and name, and
found again among the modules that are imported by then; a file has nothing imported and nothing called
(:mod:`bioneuro.named`).
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bioneuro import connectivity, layers
from bioneuro.atomic_write import replacing
from bioneuro.classifier import BioClassifier
from bioneuro.layers.cells import PlasticCells
from bioneuro.named import find, name_of
from bioneuro.network import Network
from bioneuro.rules import RULES, FunctionRule, Rule, Turnover, is_rule_function
from bioneuro.synapses import Synapses

__all__ = ["CLASSES", "load", "save"]

FORMAT = "bioneuro"
#: Of the file's layout and of what the attributes of the classes mean; files of other versions are refused.
VERSION = 4
#: Those that are read: the attributes of version 3 are brought up to date as they are read.
READABLE = (3, VERSION)

#: Classes whose attributes are saved and set again, by the name they have in files.
CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        BioClassifier,
        Network,
        layers.Adaptation,
        layers.Association,
        layers.Circuit,
        layers.CompetitiveLayer,
        layers.DeltaReadout,
        layers.FeatureMap,
        layers.Hypercolumns,
        layers.InhibitoryCells,
        layers.LocalMap,
        layers.Mixing,
        layers.PerturbationReadout,
        layers.Recruitment,
        layers.Retina,
        layers.SoftmaxPool,
        layers.UnitNorm,
        layers.Vigilance,
        layers.VotesReadout,
        connectivity.Constant,
        connectivity.HalfNormal,
        connectivity.LogNormal,
        connectivity.MixedSign,
        connectivity.Uniform,
        FunctionRule,
        Turnover,
        *RULES.values(),
    )
}

#: Sources of random numbers that a file may name.
_BIT_GENERATORS: dict[str, type[np.random.BitGenerator]] = {
    cls.__name__: cls
    for cls in (
        np.random.MT19937,
        np.random.PCG64,
        np.random.PCG64DXSM,
        np.random.Philox,
        np.random.SFC64,
    )
}


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a model to one file, whole or not at all.

    Parameters
    ----------
    model : BioClassifier, Synapses, or another instance of a class in :data:`CLASSES`
        Fitted or not. Parameters, weights, learning state and random generators are saved: what
        :func:`load` gives goes on learning bit for bit as ``model`` would have.
    path : str or path-like
        Used as it is; ``.npz`` is the customary ending. A file that is there is replaced in one step once the new one
        is complete.

    Raises
    ------
    TypeError
        The model holds something that cannot be saved, such as a function for ``init`` or a rule without a name of its
        own; names where.
    OSError
        The file cannot be written.
    """
    writer = _Writer()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "bioneuro": installed_version("bioneuro"),
        "model": writer.encode(model, "model"),
    }
    text = json.dumps(header, allow_nan=False).encode()
    with replacing(Path(path)) as file:
        np.savez(file, header=np.frombuffer(text, np.uint8), **cast(Any, writer.arrays))


def load(path: str | os.PathLike[str]) -> Any:
    """Read what :func:`save` wrote.

    Returns
    -------
    object
        Of the class that was saved; independent of the file.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        Not a file of :func:`save`, one of another version, a damaged or a truncated one, or one that holds pickles or
        classes not in :data:`CLASSES`; a rule of the user's own whose module is not imported, or not as it was.
    """
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path} is not a file written by bioneuro.save, or it was cut short")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (zipfile.BadZipFile, EOFError, ValueError, KeyError, RuntimeError, OSError) as error:
            raise ValueError(f"{path} is damaged, or holds something other than arrays of numbers: {error}") from error
    header = _header(arrays, path)
    try:
        return _Reader(arrays).decode(header["model"])
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{path} is damaged: its header and its arrays do not go together ({error!r})") from error
    except ValueError as error:
        raise ValueError(f"{path} cannot be loaded: {error}") from error


def _header(arrays: Mapping[str, NDArray], path: str | os.PathLike[str]) -> dict[str, Any]:
    """The header, of this format and version."""
    try:
        header = json.loads(arrays["header"].tobytes().decode())
        ours = header["format"] == FORMAT
    except (KeyError, ValueError, TypeError, AttributeError):
        ours = False
    if not ours:
        raise ValueError(f"{path} was not written by bioneuro.save: it has no header of that format")
    if header.get("version") not in READABLE:
        raise ValueError(
            f"{path} has version {header.get('version')} of the format, written by bioneuro {header.get('bioneuro')}; "
            f"this is bioneuro {installed_version('bioneuro')}, which reads versions {' and '.join(map(str, READABLE))}"
        )
    return header


class _Writer:
    """Objects to JSON values: a number, string, bool or None is itself, all else a dict with a ``kind``.

    An object met again is a reference to its first appearance, by the order in which objects are met.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray] = {}
        self.seen: dict[int, int] = {}
        self.alive: list[Any] = []  # whose ids must not be used again

    def encode(self, value: Any, where: str) -> Any:
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"kind": "float", "value": str(value)}
        if type(value) in (list, tuple):
            items = [self.encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
            return {"kind": type(value).__name__, "items": items}
        if type(value) is dict:
            return {"kind": "dict", "items": self.named(value, where)}
        if isinstance(value, np.dtype):
            return {"kind": "dtype", "name": value.str}
        if isinstance(value, type) and issubclass(value, np.floating):
            return {"kind": "type", "name": np.dtype(value).str}
        if isinstance(value, np.generic):
            return {"kind": "scalar", "value": self.array(np.asarray(value), where)}
        if id(value) in self.seen:
            return {"kind": "same", "as": self.seen[id(value)]}
        self.seen[id(value)] = len(self.alive)
        self.alive.append(value)
        return self.encode_object(value, where)

    def encode_object(self, value: Any, where: str) -> dict[str, Any]:
        if type(value) is np.ndarray:
            if value.dtype.hasobject:  # class labels that are Python strings
                return {"kind": "objects", "shape": value.shape, "items": self.encode(value.ravel().tolist(), where)}
            return {"kind": "array", "name": self.array(value, where)}
        if type(value) is Synapses:
            names = ("indptr", "indices", "weights")
            arrays = {name: self.array(getattr(value, name), where) for name in names}
            traces = self.named(value.traces, f"{where}.traces")
            return {"kind": "synapses", **arrays, "n_pre": value.n_pre, "sign": value.sign, "traces": traces}
        if type(value) in (np.random.Generator, np.random.RandomState):
            generator = type(value) is np.random.Generator
            state = value.bit_generator.state if generator else value.get_state(legacy=False)
            if state["bit_generator"] in _BIT_GENERATORS:
                return {"kind": "generator" if generator else "random_state", "state": self.encode(state, where)}
        name = type(value).__name__
        if CLASSES.get(name) is type(value):
            return {"kind": "object", "class": name, "state": self.named(vars(value), where, ".{}")}
        if isinstance(value, Rule):
            parameters = {field.name: getattr(value, field.name) for field in fields(value)}
            return {"kind": "rule", **name_of(type(value), where), "state": self.named(parameters, where, ".{}")}
        if is_rule_function(value):
            return {"kind": "function", **name_of(value, where)}
        raise TypeError(
            f"{where} cannot be saved: a {type(value).__module__}.{type(value).__qualname__} is neither plain data nor "
            "an instance of a class in bioneuro.io.CLASSES"
        )

    def named(self, items: Mapping[Any, Any], where: str, form: str = "[{!r}]") -> dict[str, Any]:
        for name in items:
            if type(name) is not str:
                raise TypeError(f"{where} cannot be saved: its key {name!r} is not a string")
        return {name: self.encode(value, where + form.format(name)) for name, value in items.items()}

    def array(self, array: NDArray, where: str) -> str:
        if array.dtype.kind not in "biufcSUMm":
            raise TypeError(f"{where} cannot be saved: an array of {array.dtype}")
        name = f"a{len(self.arrays)}"
        self.arrays[name] = array
        return name


class _Reader:
    """What :class:`_Writer` wrote, back to objects."""

    def __init__(self, arrays: Mapping[str, NDArray]) -> None:
        self.arrays = arrays
        self.seen: list[Any] = []

    def decode(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kind = value["kind"]
        if kind == "float":
            return float(value["value"])
        if kind in ("list", "tuple"):
            items = [self.decode(item) for item in value["items"]]
            return items if kind == "list" else tuple(items)
        if kind == "dict":
            return self.named(value["items"])
        if kind == "dtype":
            return np.dtype(value["name"])
        if kind == "type":
            return np.dtype(value["name"]).type
        if kind == "scalar":
            return self.arrays[value["value"]][()]
        if kind == "same":
            return self.seen[value["as"]]
        place = len(self.seen)
        self.seen.append(None)
        if kind in ("object", "rule"):
            return self.decode_object(value, place)
        self.seen[place] = made = self.decode_value(kind, value)
        return made

    def decode_object(self, value: dict[str, Any], place: int) -> Any:
        if value["kind"] == "rule":
            cls = find(value["module"], value["name"])
            if not (isinstance(cls, type) and issubclass(cls, Rule)):
                raise ValueError(f"{value['name']} of module {value['module']!r} is not a class of rules")
        elif value["class"] in CLASSES:
            cls = CLASSES[value["class"]]
        else:
            raise ValueError(f"class {value['class']!r} is not in bioneuro.io.CLASSES")
        if issubclass(cls, Rule):
            check_parameters(cls, value["state"])
        made: Any = object.__new__(cls)
        self.seen[place] = made
        state = self.named(value["state"])
        vars(made).update(cls.upgraded(state) if issubclass(cls, PlasticCells) else state)
        return made

    def decode_value(self, kind: str, value: dict[str, Any]) -> Any:
        if kind == "array":
            return self.arrays[value["name"]]
        if kind == "objects":
            array = np.empty(math.prod(value["shape"]), object)
            array[:] = self.decode(value["items"])
            return array.reshape(value["shape"])
        if kind == "synapses":
            indptr, indices, weights = (self.arrays[value[name]] for name in ("indptr", "indices", "weights"))
            synapses = Synapses(indptr, indices, weights, value["n_pre"], sign=value["sign"])
            synapses.traces.update(self.named(value["traces"]))
            return synapses
        if kind == "function":
            function = find(value["module"], value["name"])
            if not is_rule_function(function):
                raise ValueError(f"{value['name']} of module {value['module']!r} is not a function of four arguments")
            return function
        if kind in ("generator", "random_state"):
            state = self.decode(value["state"])
            source = _BIT_GENERATORS[state["bit_generator"]]()
            if kind == "generator":
                source.state = state
                return np.random.Generator(source)
            random_state = np.random.RandomState(source)
            random_state.set_state(state)
            return random_state
        raise ValueError(f"unknown kind of value {kind!r}")

    def named(self, items: dict[str, Any]) -> dict[str, Any]:
        return {name: self.decode(value) for name, value in items.items()}


def check_parameters(rule: type[Rule], state: Mapping[str, Any]) -> None:
    """Parameters in a file must be those of the class: it may have changed since."""
    ours, theirs = {field.name for field in fields(rule)}, set(state)
    if ours != theirs:
        differing = ", ".join(sorted(ours ^ theirs))
        raise ValueError(f"{rule.__qualname__} has other parameters now than in the file: {differing}")
