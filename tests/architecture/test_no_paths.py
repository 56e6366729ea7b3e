"""No tracked file names a package registry's host or a path of somebody's machine."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Written so that this file passes, too. Which index pip and npm ask is everybody's own
# setting; a path of one machine is wrong on all others.
HOSTS = r"(?:pypi|pythonhosted|npmjs|npmmirror)\.(?:org|com|io)"
PLACES = r"(?<![\w.~-])/(?:root|work|home|Users)/[A-Za-z.]"
FORBIDDEN = re.compile(f"{HOSTS}|{PLACES}")


def tracked() -> list[Path]:
    """Every text file that git keeps; all of them where this is no clone."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        paths = [*ROOT.glob("*"), *ROOT.glob("[a-z]*/**/*")]
        return [path for path in paths if path.is_file()]
    names = listed.stdout.decode().split("\0")
    return [path for name in names if name and (path := ROOT / name).is_file()]


def test_no_tracked_file_names_a_registry_or_a_machine():
    found = []
    for path in tracked():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {match[0]}"
            for number, line in enumerate(lines, 1)
            if (match := FORBIDDEN.search(line))
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line, found",
    [
        ("https://pypi" + ".org/simple", True),
        ("see /ro" + "ot/.cache", True),
        ("(/ho" + "me/ada/x)", True),
        ("~/.beamclaw and docs/work/x and https://example.org/home/x", False),
    ],
)
def test_the_pattern_knows_one_from_the_other(line, found):
    assert bool(FORBIDDEN.search(line)) is found
