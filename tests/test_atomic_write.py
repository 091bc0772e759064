"""bioneuro.atomic_write: what is written is whole or not there, and what was there keeps its place."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import bioneuro as bn
from bioneuro.atomic_write import replacing, write_atomically


def names(folder):
    return sorted(os.listdir(folder))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def test_new_file_has_the_mode_of_any_other(path, tmp_path):
    write_atomically(path, "content")
    (tmp_path / "other").write_text("")
    assert path.read_text() == "content" and names(tmp_path) == ["file", "other"]
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_mode_is_kept(path, mode):
    path.write_text("old")
    path.chmod(mode)
    write_atomically(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_text() == "new"


def test_unfinished_content_is_as_private_as_the_file(path, tmp_path):
    path.write_text("old")
    path.chmod(0o600)
    with replacing(path) as file:
        (part,) = set(names(tmp_path)) - {"file"}
        assert stat.S_IMODE((tmp_path / part).stat().st_mode) == 0o600
        file.write(b"new")


def test_links_are_followed(path, tmp_path):
    (tmp_path / "inner").mkdir()
    target, other = tmp_path / "inner" / "target", tmp_path / "other"
    target.write_text("old")
    path.symlink_to("inner/target")
    other.symlink_to(path)
    write_atomically(other, "new")
    assert path.is_symlink() and other.is_symlink() and target.read_text() == "new"
    assert names(tmp_path / "inner") == ["target"]


def test_links_to_what_is_not_there_yet_make_it(path, tmp_path):
    path.symlink_to("target")
    write_atomically(path, "new")
    assert path.is_symlink() and (tmp_path / "target").read_text() == "new"


def test_links_in_a_circle_are_refused(path, tmp_path):
    path.symlink_to("other")
    (tmp_path / "other").symlink_to("file")
    with pytest.raises(OSError, match="levels of symbolic links"):
        write_atomically(path, "new")
    assert path.is_symlink()


def fifo(path):
    os.mkfifo(path)


def bound_socket(path):
    import socket

    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [fifo, bound_socket])
def test_what_is_no_plain_file_is_refused(path, make, monkeypatch):
    monkeypatch.chdir(path.parent)  # a socket's name must be short
    make(path.name)
    kind = stat.S_IFMT(path.lstat().st_mode)
    with pytest.raises(OSError, match="Is no plain file.*file'$"):
        write_atomically(path, "new")
    assert stat.S_IFMT(path.lstat().st_mode) == kind and names(path.parent) == ["file"]


def test_devices_are_refused():
    with pytest.raises(OSError, match="Is no plain file.*'/dev/null'"):
        write_atomically("/dev/null", "new")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_folders_are_refused(path):
    path.mkdir()
    with pytest.raises(IsADirectoryError, match="Is a folder.*file'$"):
        write_atomically(path, "new")


def test_missing_folder_is_named_by_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such folder: '.*/missing'$"):
        bn.save(bn.connectivity.Constant(1.0), tmp_path / "missing" / "model.npz")


def test_read_only_folder_is_named(path, monkeypatch):
    path.write_text("old")

    def read_only(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", ".file.part")

    monkeypatch.setattr(os, "open", read_only)  # root may write anywhere
    with pytest.raises(PermissionError, match=f"Permission denied: '{path.parent}'$"):
        write_atomically(path, "new")
    assert path.read_text() == "old"


def test_read_only_file_is_left_alone(path, monkeypatch):
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anything
    with pytest.raises(PermissionError, match="The file may not be written: '.*/file'$"):
        write_atomically(path, "new")
    assert path.read_text() == "old" and names(path.parent) == ["file"]


def test_longest_name_is_no_longer_than_any(tmp_path):
    path = tmp_path / ("ä" * 127)
    write_atomically(path, "content")
    assert names(tmp_path) == ["ä" * 127]


def test_block_that_fails_leaves_the_old_file(path):
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and names(path.parent) == ["file"]


FULL = """
import os, resource, signal, sys
import numpy as np, bioneuro as bn
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    bn.save(bn.connectivity.dense(100, 100, random_state=0), sys.argv[1])
except OSError as error:
    print(error.errno == 27, error.filename == sys.argv[1], error.__context__ is not None)
"""


def test_disk_that_is_full_gives_one_error_and_leaves_the_old_file(path):
    """A limit on the size of files stands for it: both fail in the middle of a write."""
    bn.save(bn.connectivity.dense(3, 4, random_state=0), path)
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, timeout=120)
    assert done.stdout == "True True True\n", done.stderr
    assert path.read_bytes() == before and names(path.parent) == ["file"]


KILLED = """
import os, signal, sys
from bioneuro.atomic_write import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_part_of_a_killed_process_is_removed_by_the_next(path):
    path.write_text("old")
    (path.parent / ".file.txt.part").write_text("of someone else")
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", KILLED, path], timeout=120)
        assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old" and len(names(path.parent)) == 3
    write_atomically(path, "new")
    assert path.read_text() == "new" and names(path.parent) == [".file.txt.part", "file"]


def test_part_that_is_being_written_is_left_alone(path):
    with replacing(path) as file:
        file.write(b"first")
        write_atomically(path, "second")
        assert path.read_text() == "second" and len(names(path.parent)) == 2
    assert path.read_text() == "first" and names(path.parent) == ["file"]


def test_many_writers_of_one_file_do_not_disturb_each_other(path):
    """Each sweeps, so each could take away another's part before it is locked."""
    failed = []

    def write(k):
        try:
            for _ in range(15):
                write_atomically(path, str(k) * 1000)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(set(path.read_text())) == 1 and names(path.parent) == ["file"]


def test_without_locks_files_are_still_whole(path, monkeypatch):
    """Some file systems have none."""

    def no_lock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_lock)
    write_atomically(path, "content")
    assert path.read_text() == "content" and names(path.parent) == ["file"]


SAVER = """
import sys
import bioneuro as bn
models = [bn.connectivity.dense(n, 50, random_state=0) for n in (20, 40)]
print("ready", flush=True)
while True:
    for model in models:
        bn.save(model, sys.argv[1])
"""


def test_killed_saves_leave_the_old_or_the_new_model(path):
    """`python -m campaigns.kill` does so 1,000 times."""
    model = bn.connectivity.dense(20, 50, random_state=0)
    bn.save(model, path)
    rng = np.random.default_rng(0)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", SAVER, path], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        assert bn.load(path).shape in ((20, 50), (40, 50))
    bn.save(model, path)
    assert names(path.parent) == ["file"]
