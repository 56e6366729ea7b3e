"""What the tools for files of an agent work with."""

from pathlib import Path

from beamclaw.config.schema import FilesConfig
from beamclaw.contracts.outside import Outside
from beamclaw.files.bench import Bench
from beamclaw.paths import Roots
from beamclaw.values import frozen


@frozen(kw_only=True)
class Setting:
    """What the tools of an agent work with.

    Attributes:
        roots: The folders it may touch.
        limits: How much of them.
        receipts: The folder, in that of the tenant, for what edits do.
        bench: The tenant's: who edits a file is alone with it, whichever agent that is.
    """

    roots: Roots
    limits: FilesConfig
    receipts: Path
    bench: Bench
    outside: Outside
