"""Files that are written as a whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

__all__ = ["replacing", "write_atomically"]

#: Characters of a file's name in that of its part, so that the longest name leaves room for the rest.
NAME_IN_PART = 40
#: Mode of a new file, before the umask.
NEW_FILE = 0o666


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write that takes the place of ``path`` in one step, once the block has ended without an error.

    A symbolic link stays one: what it points to is replaced, or made. The file keeps its mode. Until then the content
    is in a hidden ``.part`` file beside it; one that a killed process left is removed by the next to write the same
    file.

    Raises
    ------
    OSError
        There is no such folder, ``path`` is no plain file (a folder, FIFO, socket or device) or may not be written, or
        the disk is full. The message names the folder or ``path``, whose old content is then still there.
    """
    target = Path(os.path.realpath(path))
    mode = _mode_of(target)
    _remove_abandoned(target)
    try:
        part, file = _new_part(target)
    except OSError as error:
        raise _about(target.parent, error) from error
    try:
        with file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(part, target)  # while it is locked, so that nobody takes it for abandoned
    except OSError as error:
        raise _about(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Replace a file in one step: whatever happens, it holds its old content or the new one (:func:`replacing`)."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _mode_of(target: Path) -> int | None:
    """Permissions of the file that is to be replaced; None where there is none."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        if target.parent.is_dir():
            return None
        raise FileNotFoundError(errno.ENOENT, "No such folder", str(target.parent)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "Is a folder, not a file", str(target))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Is no plain file, and is not replaced by one", str(target))
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, "The file may not be written", str(target))
    return stat.S_IMODE(mode)


def _new_part(target: Path) -> tuple[Path, BinaryIO]:
    """A part of ``target``, locked as long as it is open."""
    while True:
        part = target.with_name(f".{target.name[:NAME_IN_PART]}.{secrets.token_hex(8)}.part")
        file = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, NEW_FILE), "wb")
        _lock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return part, file
        file.close()  # another process removed it as abandoned before it was locked


def _remove_abandoned(target: Path) -> None:
    """Parts of ``target`` that no process is writing."""
    pattern = re.compile(rf"\.{re.escape(target.name[:NAME_IN_PART])}\.[0-9a-f]{{16}}\.part")
    with suppress(OSError), os.scandir(target.parent) as entries:
        parts = [entry.path for entry in entries if pattern.fullmatch(entry.name)]
        for part in parts:
            with suppress(OSError), open(part, "rb") as file:
                if _lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    os.unlink(part)


def _lock(file: BinaryIO, how: int) -> bool:
    """Whether the file could be locked: another may hold the lock, and some file systems have none."""
    try:
        fcntl.flock(file, how)
    except OSError:
        return False
    return True


def _about(path: Path, error: OSError) -> OSError:
    """The same error with ``path`` in place of the hidden file, which means nothing to the user."""
    if error.errno is None:
        return error
    return OSError(error.errno, error.strerror, str(path))
