"""The program that starts commands: what it loads."""

import socket
import subprocess
import sys
from pathlib import Path

from beamclaw.commands.launching import FLAGS, PROGRAM


def loaded(folder: Path) -> set[str]:
    """What it has imported when its node is gone at once."""
    ours, theirs = socket.socketpair()
    ours.close()
    line = [sys.executable, *FLAGS, "-X", "importtime", str(PROGRAM), "0"]
    with theirs:
        done = subprocess.run(
            line,
            stdin=theirs.fileno(),
            capture_output=True,
            check=True,
            text=True,
            cwd=folder,
        )
    return {
        text.rpartition("|")[2].strip()
        for text in done.stderr.splitlines()
        if text.startswith("import time:")
    }


def test_it_loads_its_own_modules_and_neither_the_site_nor_ours(tmp_path):
    (tmp_path / "json.py").write_text("1 / 0")
    names = loaded(tmp_path)

    assert {"launcher.reaper", "launcher.becoming", "launcher.disk"} <= names
    tops = {name.partition(".")[0] for name in names}
    assert not tops & {"site", "beamclaw", "supervision", "trio", "asyncio", "runpy"}
