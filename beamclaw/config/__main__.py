"""``python -m beamclaw.config`` writes what is made of the schema anew.

That is the default file, the JSON Schema beside it, and the table of keys.
"""

import json
import re
import sys
from pathlib import Path

from beamclaw.config.applying import holds
from beamclaw.config.json_schema import file_schema
from beamclaw.config.reference import SCHEMA_FILE, default_file, page


def schema_text() -> str:
    """The text of ``config/beamclaw.schema.json``."""
    return json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n"


def write(root: Path) -> None:
    """Write them below *root*, a checkout."""
    (root / "config" / "beamclaw.yaml").write_text(default_file())
    (root / "config" / SCHEMA_FILE).write_text(schema_text())
    file = root / "docs" / "reference" / "configuration.md"
    table = re.compile(r"\| key \| value \|.*\n(\|.*\n)+")
    file.write_text(table.sub(lambda _: page(holds), file.read_text(), count=1))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
