"""``python -m beamclaw`` is the same as the script ``beamclaw``."""

import sys

from beamclaw.cli import main

if __name__ == "__main__":
    sys.exit(main())
