"""What results were made with: versions, build, machine, commit."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from ... import show_config

__all__ = ["commit", "environment"]


def environment() -> dict[str, Any]:
    """Versions, build and machine; the commit if this is a clone."""
    import pandas
    import scipy
    import sklearn

    with redirect_stdout(io.StringIO()):
        build = show_config()
    versions = {module.__name__: module.__version__ for module in (scipy, sklearn, pandas)}
    found = {**build, **versions, "platform": sys.platform, "commit": commit(Path(__file__))}
    return {key: str(value) for key, value in found.items()}


def commit(file: Path) -> str | None:
    """Commit of the sources that hold a file, if git knows it; "-dirty" with changes."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(file.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None
