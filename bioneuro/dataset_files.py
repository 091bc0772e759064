"""The original files of data sets: found in a folder or downloaded, and verified before use.

What is read is compared with a SHA-256 known in advance before anything is made of it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "DatasetCorruptError",
    "DatasetNotFoundError",
    "check_sha256",
    "folder_of",
    "naming_the_remedy",
    "obtain",
    "reading",
    "unpacked",
]

Content = TypeVar("Content")
#: Verifies and gives the content of a file: of its path, and of the name that it is published by.
Read = Callable[[Path, str], Content]

#: Bytes unpacked at a time.
CHUNK = 1 << 18
#: The first bytes of a gzip archive: a download has a temporary name.
GZIP = b"\x1f\x8b"


class DatasetNotFoundError(FileNotFoundError):
    """The files of a data set are neither on disk nor available over the network."""


class DatasetCorruptError(ValueError):
    """A file was found, but its content is not the published one."""


def folder_of(name: str, data_dir: str | os.PathLike[str] | None) -> Path | None:
    """Where the files of a data set must lie; None where they may be downloaded."""
    root = data_dir if data_dir is not None else os.environ.get("BIONEURO_DATA") or None
    return None if root is None else Path(root).expanduser() / name


def obtain(name: str, folder: Path | None, filenames: Sequence[str], url: str, read: Read[Content]) -> list[Content]:
    """The content of each file, from ``folder`` if given, else from pooch's cache, downloaded if need be.

    Raises
    ------
    DatasetNotFoundError
        Files are missing, and cannot be downloaded.
    DatasetCorruptError
        ``read`` refuses one; says what to do.
    """
    if folder is None:
        return [_download(name, filename, url, read) for filename in filenames]
    paths = _find(name, folder, filenames, url)
    with naming_the_remedy(url):
        return [read(path, filename) for path, filename in zip(paths, filenames, strict=True)]


def _find(name: str, folder: Path, filenames: Sequence[str], url: str) -> list[Path]:
    """Each file, or what it unpacks to (the name without .gz), in `folder`."""
    candidates = [(folder / filename, folder / filename.removesuffix(".gz")) for filename in filenames]
    paths = [next((path for path in pair if path.is_file()), None) for pair in candidates]
    missing = [filename for filename, path in zip(filenames, paths, strict=True) if path is None]
    if missing:
        raise DatasetNotFoundError(_how_to_get(name, missing, f"Looked in {folder}.", url))
    return [path for path in paths if path is not None]


def _download(name: str, filename: str, url: str, read: Read[Content]) -> Content:
    """The file in pooch's cache; downloaded first if it is missing or has changed."""
    try:
        import pooch
    except ImportError as error:
        problem = "BIONEURO_DATA is not set and pooch is not installed."
        raise DatasetNotFoundError(_how_to_get(name, [filename], problem, url)) from error

    cache = pooch.create(path=pooch.os_cache("bioneuro") / name, base_url=url, registry={filename: None})
    cached = Path(cache.abspath) / filename
    if cached.is_file():
        try:
            return read(cached, filename)
        except DatasetCorruptError as error:
            warnings.warn(f"{error}: it is deleted and downloaded again", stacklevel=2)
            cached.unlink(missing_ok=True)
    verified = []

    def download_and_verify(source: str, output: str, manager: Any) -> None:
        # pooch calls this on a temporary file, which reaches the cache only if nothing is raised here.
        pooch.HTTPDownloader()(source, output, manager)
        verified.append(read(Path(output), filename))

    try:
        path = Path(cache.fetch(filename, downloader=download_and_verify))
    except OSError as error:
        problem = f"Looked in {cache.path}; the download from {url}{filename} failed ({error})."
        raise DatasetNotFoundError(_how_to_get(name, [filename], problem, url)) from error
    except DatasetCorruptError as error:
        raise DatasetCorruptError(
            f"download of {url}{filename} discarded: {error}. Try again later, or put the published file into a folder "
            f"{name}/ and set BIONEURO_DATA (or data_dir=) to its parent"
        ) from error
    return verified[0] if verified else read(path, filename)  # another process may have written it first


def _how_to_get(name: str, missing: Sequence[str], problem: str, url: str) -> str:
    return (
        f"{name}: {', '.join(missing)} not found. {problem} Two ways to get it: (1) put the original files "
        f"from {url} into a folder {name}/ and set BIONEURO_DATA (or data_dir=) to its parent; "
        f'(2) unset BIONEURO_DATA, pip install "bioneuro[data]" (pooch) and let load({name!r}) download it.'
    )


def check_sha256(content: bytes, expected: str, path: Path) -> None:
    """DatasetCorruptError where the content has another hash."""
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DatasetCorruptError(
            f"{path} is corrupt or not the published file: content has SHA-256 {found}, expected {expected}"
        )


def unpacked(path: Path, limit: int) -> bytes:
    """Content of a file, unpacked if gzipped; DatasetCorruptError where it has more than ``limit`` bytes."""
    with reading(path), path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        with gzip.GzipFile(fileobj=file) if packed else file as source:
            content = bytearray()
            while part := source.read(CHUNK):
                content += part
                if len(content) > limit:
                    raise DatasetCorruptError(
                        f"{path} is corrupt: it has more than the {limit} bytes that are published"
                    )
    return bytes(content)


@contextmanager
def naming_the_remedy(url: str) -> Iterator[None]:
    """A corrupt file in the user's own folder is for the user to delete: say so."""
    try:
        yield
    except DatasetCorruptError as error:
        raise DatasetCorruptError(
            f"{error}. Delete it and put the published file, from {url}, in its place, or unset BIONEURO_DATA to have "
            "it downloaded"
        ) from error


@contextmanager
def reading(what: object) -> Iterator[None]:
    """Turn any error raised inside (decoders may raise anything) into a DatasetCorruptError about ``what``."""
    try:
        yield
    except (DatasetCorruptError, ImportError, MemoryError, PermissionError):
        raise
    except Exception as error:
        raise DatasetCorruptError(f"{what} is corrupt: {error}") from error
