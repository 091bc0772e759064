"""``python -m bioneuro``: the one door from the library to the research on top of it."""

from __future__ import annotations

import sys

from .research.commands import main

if __name__ == "__main__":
    sys.exit(main())
