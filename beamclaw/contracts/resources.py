"""Where the files are that come with BeamClaw and are not code.

In a wheel they lie inside the package, in a checkout where people edit them. Both are
real folders: what is loaded can be opened in an editor.
"""

from pathlib import Path
from typing import Literal

Kind = Literal["config", "skills", "web"]

_PACKAGE = Path(__file__).resolve().parents[1]

# Per kind, the first that exists: the wheel's own copy, then the checkout's. A checkout
# has no `_data`, and beside an installed package there is nothing of ours to find.
_PLACES: dict[Kind, tuple[Path, ...]] = {
    "config": (_PACKAGE / "_data" / "config", _PACKAGE.parent / "config"),
    "skills": (_PACKAGE / "_data" / "skills", _PACKAGE.parent / "skills"),
    "web": (_PACKAGE / "gateway" / "static",),
}


def resource(kind: Kind) -> Path:
    """Return the folder of the default configuration, bundled skills or web files.

    Args:
        kind: ``config`` holds ``beamclaw.yaml`` with every key and its default,
            ``skills`` one folder per skill, ``web`` what the gateway serves as is.

    Raises:
        FileNotFoundError: The installation is incomplete; install BeamClaw again.
    """
    places = _PLACES[kind]
    for place in places:
        if place.is_dir():
            return place
    raise FileNotFoundError(
        f"BeamClaw's {kind} files are missing (looked in "
        f"{' and '.join(map(str, places))}); install beamclaw again"
    )
