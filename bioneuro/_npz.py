"""Archives of arrays (.npz), read without trusting the sizes that they declare."""

from __future__ import annotations

import math
import os
import re
import zipfile
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "Archive"]

#: Kinds of values that are no more than their bytes.
KINDS = "biufcSUMm"
#: What stands before the header of an array, in the version of the format that ``savez`` writes for such arrays.
MAGIC = b"\x93NUMPY\x01\x00"
#: The header itself. NumPy would evaluate it as a literal of Python; nothing of a file is evaluated here.
HEADER = re.compile(
    rb"\{'descr': '(?P<dtype>[<>|][" + KINDS.encode() + rb"]\d{1,9}(?:\[\w{1,9}\])?)', "
    rb"'fortran_order': (?P<fortran>True|False), 'shape': \((?P<shape>(?:\d{1,18}(?:, ?|(?=\)))){0,32})\), \} *\n"
)
#: Bytes read at a time.
CHUNK = 1 << 20
#: The largest code point, of which strings are made.
LAST_CHARACTER = 0x10FFFF


class Archive:
    """The arrays of a file that ``numpy.savez`` wrote, each to be read once.

    Nothing takes more memory than the file has bytes: members must be stored as they are, as ``savez`` stores them, and
    what an array's header declares is compared with the bytes that are there before any is read.

    Raises
    ------
    ValueError
        The file is no archive, or was cut short.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.size = os.fstat(file.fileno()).st_size
        try:
            self._zip = zipfile.ZipFile(file)
        except MemoryError:
            raise
        except Exception as error:  # zipfile may raise anything when the directory is hostile
            raise ValueError(f"it is no archive, or was cut short ({error})") from error
        #: Names of the arrays that have not been read.
        self.unread = {info.filename.removesuffix(".npy") for info in self._zip.infolist()}

    def check(self) -> None:
        """ValueError where members are compressed, repeated, or larger than the file."""
        infos = self._zip.infolist()
        names = [info.filename for info in infos]
        if len(set(names)) != len(names):
            raise ValueError("two of its members have one name")
        for info in infos:
            self._check(info)
        if sum(info.file_size for info in infos) > self.size:
            raise ValueError("its members are larger than the file")

    def read(self, name: str, limit: float = math.inf) -> NDArray:
        """The array of a name; of at most ``limit`` bytes.

        Raises
        ------
        ValueError
            There is no such array, it was read before, it is too large, damaged or not one of plain values.
        """
        if name not in self.unread:
            raise ValueError(f"it has no array {name!r}, or names it twice")
        self.unread.remove(name)
        try:
            info = self._zip.getinfo(f"{name}.npy")
            self._check(info)
            if info.file_size > limit:
                raise ValueError(f"{info.file_size} bytes are more than {limit}")
            with self._zip.open(info) as member:
                return _array(member, info.file_size)
        except MemoryError:
            raise
        except Exception as error:  # zipfile again
            raise ValueError(f"array {name!r} is damaged: {error}") from error

    def _check(self, info: zipfile.ZipInfo) -> None:
        stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
        if not stored or info.flag_bits & 1 or info.file_size > self.size:
            raise ValueError(f"member {info.filename!r} is compressed, encrypted or larger than the file")


def _array(member: IO[bytes], size: int) -> NDArray:
    """The array in a member of so many bytes."""
    start = member.read(len(MAGIC) + 2)
    header = HEADER.fullmatch(member.read(int.from_bytes(start[len(MAGIC) :], "little")))
    if not start.startswith(MAGIC) or header is None:
        raise ValueError("it has no header of an array of numbers or strings")
    dtype = np.dtype(header["dtype"].decode())
    shape = tuple(int(n) for n in header["shape"].replace(b" ", b"").split(b",") if n)
    n, n_bytes = math.prod(shape), math.prod(shape) * dtype.itemsize
    if n_bytes != size - member.tell() or n > size:
        raise ValueError(f"its {size} bytes do not go with shape {shape} and {dtype}")
    content = np.empty(n_bytes, np.uint8)
    for k in range(0, n_bytes + 1, CHUNK):  # the last read is past the end, where the checksum is compared
        part = member.read(CHUNK)
        content[k : k + len(part)] = np.frombuffer(part, np.uint8)
    if not dtype.itemsize:  # empty strings
        return np.zeros(shape, dtype)
    if dtype.kind == "U" and content.view(f"{dtype.byteorder}u4").max(initial=0) > LAST_CHARACTER:
        raise ValueError("it has strings of characters that do not exist")
    return content.view(dtype).reshape(shape, order="F" if header["fortran"] == b"True" else "C")
