"""The files of data sets: found in a folder or downloaded once, and compared with a SHA-256 known in advance."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["DatasetCorruptError", "DatasetNotFoundError", "check_sha256", "folder_of", "obtain", "unpacked"]


class DatasetNotFoundError(FileNotFoundError):
    """The files of a data set are neither on disk nor to be had over the network."""


class DatasetCorruptError(ValueError):
    """A file was found, but its content is not the published one."""


def folder_of(name: str, data_dir: str | os.PathLike[str] | None) -> Path | None:
    """Where the files of a data set must lie; None where they may be downloaded."""
    root = data_dir if data_dir is not None else os.environ.get("BIONEURO_DATA") or None
    return None if root is None else Path(root).expanduser() / name


def obtain(
    name: str,
    folder: Path | None,
    filenames: Sequence[str],
    url: str,
    read: Callable[[Path, str], Any],
) -> list[Any]:
    """The content of each file, from `folder` if given, else from pooch's cache, downloaded if need be.

    ``read(path, filename)`` verifies and returns the content; `path` may be a temporary or an unpacked file,
    `filename` is always the published name.
    """
    if folder is None:
        paths = [_download(name, filename, url, read) for filename in filenames]
    else:
        paths = _find(name, folder, filenames, url)
    return [read(path, filename) for path, filename in zip(paths, filenames, strict=True)]


def _find(name: str, folder: Path, filenames: Sequence[str], url: str) -> list[Path]:
    """Each file, or what it unpacks to (the name without .gz), in `folder`."""
    candidates = [(folder / filename, folder / filename.removesuffix(".gz")) for filename in filenames]
    paths = [next((path for path in pair if path.is_file()), None) for pair in candidates]
    missing = [filename for filename, path in zip(filenames, paths, strict=True) if path is None]
    if missing:
        raise DatasetNotFoundError(_how_to_get(name, missing, f"Looked in {folder}.", url))
    return [path for path in paths if path is not None]


def _download(name: str, filename: str, url: str, read: Callable[[Path, str], Any]) -> Path:
    """Path of the file in pooch's cache; downloaded and verified first if it is not there."""
    try:
        import pooch
    except ImportError as error:
        problem = "BIONEURO_DATA is not set and pooch is not installed."
        raise DatasetNotFoundError(_how_to_get(name, [filename], problem, url)) from error

    def download_and_verify(source: str, output: str, manager: Any) -> None:
        # pooch calls this on a temporary file, which reaches the cache only if nothing is raised here.
        pooch.HTTPDownloader()(source, output, manager)
        read(Path(output), filename)

    cache = pooch.create(path=pooch.os_cache("bioneuro") / name, base_url=url, registry={filename: None})
    try:
        return Path(cache.fetch(filename, downloader=download_and_verify))
    except OSError as error:
        problem = f"Looked in {cache.path}; the download from {url}{filename} failed ({error})."
        raise DatasetNotFoundError(_how_to_get(name, [filename], problem, url)) from error
    except DatasetCorruptError as error:
        raise DatasetCorruptError(f"download of {url}{filename} discarded: {error}") from error


def _how_to_get(name: str, missing: Sequence[str], problem: str, url: str) -> str:
    return (
        f"{name}: {', '.join(missing)} not found. {problem} Two ways to get it: (1) put the original files "
        f"from {url} into a folder {name}/ and set BIONEURO_DATA (or data_dir=) to its parent; "
        f'(2) unset BIONEURO_DATA, pip install "bioneuro[data]" (pooch) and let load({name!r}) download it.'
    )


def check_sha256(content: bytes, expected: str, path: Path) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DatasetCorruptError(
            f"{path} is corrupt or not the published file: content has SHA-256 {found}, expected {expected}"
        )


def unpacked(path: Path) -> bytes:
    """Content of a file, unpacked if gzipped (told by its magic number: a download has a temporary name)."""
    content = path.read_bytes()
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetCorruptError(f"{path} is corrupt: {error}") from error
