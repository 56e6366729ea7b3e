"""``python -m beamclaw.config`` writes the default file and the table of keys anew."""

import re
import sys
from pathlib import Path

from beamclaw.config.applying import holds
from beamclaw.config.reference import default_file, page


def write(root: Path) -> None:
    """Write both below *root*, a checkout."""
    (root / "config" / "beamclaw.yaml").write_text(default_file())
    file = root / "docs" / "reference" / "configuration.md"
    table = re.compile(r"\| key \| value \|.*\n(\|.*\n)+")
    file.write_text(table.sub(lambda _: page(holds), file.read_text(), count=1))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
