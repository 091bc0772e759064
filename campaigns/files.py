"""Hostile files: whatever the bytes, ``load`` ends with a checked object or one ValueError, and runs no code.

Model files are truncated at every byte, have bits flipped, headers and arrays changed behind checksums that are right,
sizes declared that are not there, members doubled, compressed, encrypted and pickled. Readers of data sets get bytes
behind hashes that are right. Watched are the type of every error, the memory it took, and, by audit hook, every import,
compilation, evaluation, process and unpickling on the way.
"""

from __future__ import annotations

import copy
import io
import json
import pickle
import struct
import sys
import tracemalloc
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import bioneuro as bn
from bioneuro import _image_files, omniglot
from bioneuro import io as model_files

from .record import main

#: How often each attack is made in a whole campaign; truncation is at every byte.
BIT_FLIPS, HEADERS, ARRAYS, READERS = 20_000, 20_000, 5_000, 20_000
#: Files of an attack at which memory is measured; what it may take: so many times the file, and what any load takes.
MEASURED, TIMES, BESIDES = 200, 40, 1 << 20

#: Events of :mod:`sys` that nothing in a file may cause.
FORBIDDEN = {
    "compile", "exec", "import", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pickle.find_class",
    "subprocess.Popen", "socket.connect", "ctypes.dlopen", "marshal.loads",
}  # fmt: skip
#: What stands where a value should.
ATOMS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**30, -0.0, 0.5, 1e308, "", "x", "a0", "nan", "inf", "header",
    "same", "object", "__class__", [], {}, [0], {"kind": "float", "value": "nan"}, {"kind": "float", "value": "inf"},
    {"kind": "same", "as": 0}, {"kind": "array", "name": "a0"}, {"kind": "dict", "items": {}},
    {"kind": "list", "items": []}, {"kind": "rule", "module": "os", "name": "system", "state": {}},
    {"kind": "function", "module": "subprocess", "name": "run"}, {"kind": "dtype", "name": "O"},
    {"kind": "object", "class": "Network", "state": {}},
    {"kind": "objects", "shape": [10**9], "items": {"kind": "list", "items": [1]}},
)  # fmt: skip


class Watch:
    """What happens while a file is read: forbidden events are faults."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)  # cannot be removed: it does nothing while it is off

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.on and event in FORBIDDEN:
            self.seen.append(f"{event} {args!r}"[:200])


class Tally:
    """How the readings ended, kind by kind, and what should not have been."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.faults: list[str] = []
        self.watch = Watch()
        self.measured: dict[str, list[float]] = {}

    def read(self, kind: str, what: str, read: Callable[[], Any], refusal: type[Exception], size: int) -> Any:
        """Call ``read``; None where it was refused, as it must be: by ``refusal`` exactly."""
        counts = self.counts.setdefault(kind, Counter())
        counts["tried"] += 1
        measured = self.measured.setdefault(kind, [])
        measure = len(measured) < MEASURED and counts["tried"] % 10 == 1
        if measure:
            tracemalloc.start()
        self.watch.on = True
        try:
            found = read()
        except refusal as error:
            counts["refused"] += 1
            if type(error) is not refusal or not str(error).strip():
                self.faults.append(f"{kind}, {what}: {type(error).__name__} {error}")
            return None
        except BaseException as error:
            counts["fault"] += 1
            self.faults.append(f"{kind}, {what}: {type(error).__name__} {error}"[:300])
            return None
        finally:
            self.watch.on = False
            if measure:
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                measured.append(max(0, peak - BESIDES) / max(size, 1))
                if measured[-1] > TIMES:
                    self.faults.append(f"{kind}, {what}: {peak} bytes of memory for a file of {size}")
            self.faults += [f"{kind}, {what}: {event}" for event in self.watch.seen]
            self.watch.seen.clear()
        counts["read"] += 1
        return found

    def figures(self) -> dict[str, Any]:
        return {
            "counts": {kind: dict(counts) for kind, counts in self.counts.items()},
            "files": sum(counts["tried"] for counts in self.counts.values()),
            "memory_measured": sum(map(len, self.measured.values())),
            "memory_beyond_1_MiB_in_sizes_of_the_file": round(max(map(max, self.measured.values())), 2),
            "faults": self.faults[:50],
        }


# --- model files ---


def models() -> dict[str, Any]:
    """What is saved: every competition, encoder and readout, rules with memory, labels that are objects."""
    data = bn.datasets.load("digits")
    X, y = data.X_train[:150], data.y_train[:150]
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], object)[y]
    small: dict[str, Any] = {
        "n_cells": 12,
        "encoder__n_columns": 4,
        "schedule__teaching_epochs": 1,
        "schedule__readout_epochs": 1,
        "random_state": 0,
    }
    made = {
        "softmax": bn.BioClassifier(mixing=20, **small).fit(X, y),
        "circuit": bn.BioClassifier("perturbation", competition="circuit", mixing=0, rule="bcm", **small).fit(X, y),
        "local map": bn.BioClassifier(mixing=0, **small, encoder__feature_map="local").partial_fit(X, y, np.unique(y)),
        "vectors": bn.BioClassifier("votes", image_shape=None, mixing=0, dtype="float64", **small).fit(X[:, :8], names),
    }
    made["vectors"].random_state = np.random.RandomState(0)
    synapses = bn.connectivity.random(5, 6, density=0.5, random_state=0)
    rule = bn.rules.WeightPerturbation(memory=3.0)
    rule.perturb(synapses)
    return made | {"pathway": synapses, "rule": rule}


def use(model: Any, X: np.ndarray, y: np.ndarray) -> None:
    """What a checked model must not fail at, but for a clear refusal of other images."""
    if isinstance(model, bn.BioClassifier) and hasattr(model, "network_"):
        n, labels = model.n_features_in_, model.classes_[y % len(model.classes_)]
        X = X[:, :n]
        if not np.isfinite(model.decision_function(X)).all():
            raise AssertionError("logits are not finite")
        model.partial_fit(X, labels)
        model.predict(X)


def _fails(model: Any, X: np.ndarray, y: np.ndarray) -> Exception | None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            use(model, X, y)
        except Exception as error:
            return error
    return None


def truncated(content: bytes, share: float, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    for length in range(0, len(content), max(1, round(1 / share))):
        yield f"cut at {length}", content[:length]


def flipped(content: bytes, share: float, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    for _ in range(round(share * BIT_FLIPS)):
        changed = bytearray(content)
        places = rng.integers(8 * len(content), size=rng.integers(1, 4))
        for place in places:
            changed[place // 8] ^= 1 << (place % 8)
        yield f"bits {places.tolist()}", bytes(changed)


def packed(text: bytes, arrays: dict[str, bytes]) -> bytes:
    """An archive as ``save`` makes it, checksums and all."""
    buffer, header = io.BytesIO(), io.BytesIO()
    np.save(header, np.frombuffer(text, np.uint8))
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("header.npy", header.getvalue())
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Header and the bytes of each array."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
    return json.loads(np.load(io.BytesIO(members.pop("header"))).tobytes()), members


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a header with every key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from places(inner)


def headers(content: bytes, share: float, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Values replaced by others, left out, exchanged and doubled, behind a checksum that is right."""
    header, arrays = unpacked(content)
    for _ in range(round(share * HEADERS)):
        changed, said = copy.deepcopy(header), []
        for _ in range(rng.integers(1, 3)):
            found = list(places(changed["model"]))
            if not found:
                break
            where, key = found[rng.integers(len(found))]
            other_where, other = found[rng.integers(len(found))]
            how = ("atom", "atom", "left out", "exchanged", "copied")[rng.integers(5)]
            said.append(f"{how} {key}")
            try:
                if how == "atom":
                    where[key] = copy.deepcopy(ATOMS[rng.integers(len(ATOMS))])
                elif how == "left out":
                    del where[key]
                elif how == "exchanged":
                    where[key], other_where[other] = copy.deepcopy(other_where[other]), copy.deepcopy(where[key])
                else:
                    where[key] = copy.deepcopy(other_where[other])
            except (IndexError, KeyError):  # the one lay in the other
                continue
        yield ", ".join(said), packed(json.dumps(changed).encode(), arrays)


def arrays(content: bytes, share: float, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Arrays of other shapes, types and values, and headers that declare what is not there."""
    header, members = unpacked(content)
    text, names = json.dumps(header).encode(), sorted(members)
    for _ in range(round(share * ARRAYS) if names else 0):
        name = names[rng.integers(len(names))]
        how, changed = _other_array(members[name], members, rng)
        yield f"{how} {name}", packed(text, members | {name: changed})


def _other_array(member: bytes, members: dict[str, bytes], rng: np.random.Generator) -> tuple[str, bytes]:
    array = np.load(io.BytesIO(member))
    how = ("extreme", "shape", "dtype", "other", "declared", "empty")[rng.integers(6)]
    if how == "declared":
        shape = ("(1000000000000,)", "(0, 99999999)", "(-1,)", "(2, 3)", "()", "(" + "9" * 30 + ",)")[rng.integers(6)]
        dtype = ("<f4", "<f8", "|O", "<U1", "|V8", "<c8", "<U999999999")[rng.integers(7)]
        said = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        return how, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(said)) + said + member[-array.nbytes :]
    if how == "extreme" and array.size and array.dtype.kind in "iuf":
        values = [np.nan, np.inf, -1, 1e38, 1e-45] if array.dtype.kind == "f" else [-1, 0, 2**31 - 1, 10**6]
        array = array.copy()
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array.flat[rng.integers(array.size)] = np.array(values[rng.integers(len(values))]).astype(array.dtype)
    elif how == "shape":
        array = np.resize(array, rng.integers(0, 5, size=rng.integers(0, 4)))
    elif how == "dtype":
        kinds = ["<f4", "<f8", "<i4", "<i8", ">f4", "|b1", "<c8", "<U3", "|S2", "<M8[s]"]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = np.resize(np.zeros(1, kinds[rng.integers(len(kinds))]), array.shape)
    elif how == "other":
        return how, members[sorted(members)[rng.integers(len(members))]]
    elif how == "empty":
        array = array[:0] if array.ndim else array
    buffer = io.BytesIO()
    np.save(buffer, array)
    return how, buffer.getvalue()


class Bomb:
    """Says so where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, ("a pickle of the file was opened",)


def archives(content: bytes, share: float, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """What is wrong with the archive itself: all of it, however small the share."""
    header, members = unpacked(content)
    text = json.dumps(header).encode()
    for version in (0, 1, 2, model_files.VERSION + 1, 99, -1, "4", None, 1e300, [4]):
        yield f"version {version}", packed(json.dumps(header | {"version": version}).encode(), members)
    for kind in ("other", None, 3, [], {}):
        yield f"format {kind}", packed(json.dumps(header | {"format": kind}).encode(), members)
    for bad in (b"", b"[" * 100_000, b"{", b"null", b"NaN", b"\xff", b"1" * 5000, b'{"a": ' * 50_000, b"[]" * 9):
        yield f"header {bad[:6]!r}", packed(bad, members)
    buffer = io.BytesIO()
    np.save(buffer, np.array([Bomb()], object), allow_pickle=True)
    for name in members:
        yield f"pickle in {name}", packed(text, members | {name: buffer.getvalue()})
        yield f"pickle for {name}", packed(text, members | {name: pickle.dumps(Bomb())})
    yield "a pickle beside", packed(text, members | {"b0": buffer.getvalue()})
    yield "pickle alone", pickle.dumps(Bomb())
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        for names in (["header"], sorted(members)[:1]):
            bomb = io.BytesIO(b"" if names == ["header"] else packed(text, {}))
            with zipfile.ZipFile(bomb, "a", compression) as archive:
                for name in names:
                    archive.writestr(f"{name}.npy", bytes(1 << 23))
            yield f"{names} compressed by {compression}", bomb.getvalue()
    twice = io.BytesIO(content)
    with zipfile.ZipFile(twice, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("header.npy", members[min(members)] if members else b"")
    yield "two headers", twice.getvalue()
    for offset in range(0, 46, 2):  # every field of the first entry of the directory
        for value in (0, 1, 0xFFFF):
            start = content.index(b"PK\x01\x02") + offset
            yield f"directory {offset}: {value}", content[:start] + struct.pack("<H", value) + content[start + 2 :]
    for offset in range(0, 22, 2):
        for value in (0, 1, 0xFFFF):
            start = content.rindex(b"PK\x05\x06") + offset
            yield f"end {offset}: {value}", content[:start] + struct.pack("<H", value) + content[start + 2 :]


#: Where positions lie outside of what NumPy reads.
STATES = [("MT19937", "pos", n) for n in (625, 10**7, -1, 2**31, 2**63)] + [
    ("Philox", "buffer_pos", n) for n in (5, -1, -(10**7), 2**31)
]


def generators(content: bytes, share: float, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    for name, key, value in STATES:
        buffer = io.BytesIO()
        generator = np.random.Generator(getattr(np.random, name)(1))
        writer = model_files._Writer()
        model = writer.encode(generator, "model")
        for where, k in list(places(model)):
            if k == key:
                where[k] = value
        header = {"format": "bioneuro", "version": model_files.VERSION, "bioneuro": "", "model": model}
        np.savez(buffer, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **writer.arrays)
        yield f"{name} {key} {value}", buffer.getvalue()


ATTACKS: dict[str, Callable[[bytes, float, np.random.Generator], Iterator[tuple[str, bytes]]]] = {
    "truncated": truncated,
    "bits flipped": flipped,
    "headers": headers,
    "arrays": arrays,
    "archives": archives,
    "random generators": generators,
}


# --- readers of data sets ---


def idx_file(rng: np.random.Generator) -> tuple[Callable[[bytes], Any], bytes]:
    content = struct.pack(">BBBB3I", 0, 0, 8, 3, 3, 5, 5) + rng.integers(0, 256, 75, dtype=np.uint8).tobytes()
    return lambda changed: _image_files.idx(changed, "file", 5, 5), content


def cifar_file(rng: np.random.Generator) -> tuple[Callable[[bytes], Any], bytes]:
    content = rng.integers(0, 10, 2 * 13, dtype=np.uint8).tobytes()
    return lambda changed: _image_files.cifar_records(changed, "file", 2, (2, 2, 3), 10), content


def png_file(rng: np.random.Generator) -> tuple[Callable[[bytes], Any], bytes]:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rng.random((105, 105)) < 0.9).save(buffer, "PNG")
    return lambda changed: omniglot._ink({"a.png": changed}, "a.png"), buffer.getvalue()


def changes(content: bytes, n: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Cut, longer, with bytes changed, some of them behind a checksum that is right."""
    for k in range(n):
        changed = bytearray(content)
        for place in rng.integers(min(len(content), 64) if k % 2 else len(content), size=rng.integers(1, 5)):
            changed[place] = (0, 1, 0x7F, 0x80, 0xFF, rng.integers(256))[rng.integers(6)]
        if k % 5 == 0:
            changed = changed[: rng.integers(len(content) + 1)]
        elif k % 5 == 1:
            changed += rng.bytes(rng.integers(1, 50))
        elif k % 5 == 2 and changed[:4] == b"\x89PNG":
            size = struct.unpack(">I", content[8:12])[0]
            changed[16 + size : 20 + size] = struct.pack(">I", zlib.crc32(changed[12 : 16 + size]))
        yield bytes(changed)


READERS_OF = {"IDX": idx_file, "CIFAR-10": cifar_file, "PNG of Omniglot": png_file}


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Attack every kind of file; ``share`` of the whole."""
    tally, path = Tally(), folder / "model.npz"
    data = bn.datasets.load("digits")
    X, y = data.X_test[:4], data.y_test[:4] % 3
    useless: Counter[str] = Counter()
    made = models()
    for number, (name, model) in enumerate(made.items()):
        bn.save(model, path)
        content = path.read_bytes()
        use(bn.load(path), X, y)  # everything that is imported late is imported by now
        for k, (kind, attack) in enumerate(ATTACKS.items()):
            rng = np.random.default_rng([seed, number, k])
            part = share if kind == "truncated" else share / len(made)
            for what, changed in attack(content, part, rng):
                path.unlink()  # a file system takes long to truncate what was just written
                path.write_bytes(changed)
                loaded = tally.read(kind, f"{name}: {what}", partial(bn.load, path), ValueError, len(changed))
                if loaded is None:
                    continue
                wrong = _fails(loaded, X, y)
                if isinstance(wrong, ValueError):
                    useless[f"{kind}: {wrong}"[:120]] += 1
                elif wrong is not None:
                    tally.faults.append(f"{kind}, {name}: {what}: loaded, then {type(wrong).__name__} {wrong}"[:300])
    for number, (name, make) in enumerate(READERS_OF.items()):
        rng = np.random.default_rng([seed, 99, number])
        read, content = make(rng)
        read(content)
        for changed in changes(content, round(share * READERS / len(READERS_OF)), rng):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                refusal, what = bn.datasets.DatasetCorruptError, changed[:40].hex()
                tally.read(name, what, partial(read, changed), refusal, len(changed))
    return tally.figures() | {"loaded_and_refused_by_use": dict(useless.most_common(20))}


if __name__ == "__main__":
    sys.exit(main("files", campaign, __doc__))
