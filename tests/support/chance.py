"""What a run of the tests takes of what is too much for one: another share by each seed."""

import os

SEED = int(os.environ.get("BEAMCLAW_SEED", "1"))
