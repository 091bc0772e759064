"""Code of Markdown pages, and how it is run: in a process and a folder of its own."""

import os
import re
import subprocess
import sys


def code_of(page):
    """Its blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def output_of(blocks, folder):
    """What they print, run as one script in `folder`, from which they can import. It reads the environment anew."""
    (folder / "page.py").write_text("\n".join(blocks), encoding="utf-8")
    env = os.environ | {"MPLBACKEND": "Agg", "BIONEURO_NUM_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run([sys.executable, "page.py"], cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
