"""What anybody may have written, on standard output: a terminal is not to obey it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Sets the clipboard, clears the screen, turns the direction of writing round.
HOSTILE = "one\x1b]52;c;cm0gLXJm\x07\x1b[2Jtwo\u202e three"
HARMLESS = "one]52;c;cm0gLXJm[2Jtwo three"


def show(how: str, stdout: int) -> None:
    """Have it written there, by a process as a command is one."""
    code = f"from beamclaw.cli import output; output.{how}({HOSTILE!r})"
    command = [sys.executable, "-X", "utf8", "-c", code]
    subprocess.run(command, stdout=stdout, check=True, timeout=30)


@pytest.mark.parametrize("how", ["result_as_it_is", "result_of_others"])
def test_a_file_gets_all_of_it_and_a_terminal_what_it_only_shows(
    how: str, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    with path.open("wb") as file:
        show(how, file.fileno())
    assert path.read_text(encoding="utf-8").rstrip("\n") == HOSTILE
    theirs, ours = os.openpty()
    try:
        show(how, ours)
        assert os.read(theirs, 1_000).decode().rstrip("\r\n") == HARMLESS
    finally:
        os.close(theirs)
        os.close(ours)
