"""The command line of the campaign; see the package."""

import sys

from ..record import main
from . import __doc__ as description
from . import campaign

if __name__ == "__main__":
    sys.exit(main("fuzz", campaign, description))
