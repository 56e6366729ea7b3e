"""A tenant's commands, with a real launcher."""

import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

import supervision
from beamclaw import commands
from beamclaw.contracts.commands import Launch
from beamclaw.contracts.outside import Outside

ENV = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
async def tenant():
    async with opened() as name:
        yield name


@asynccontextmanager
async def opened(settings=None, outside=None):
    start = partial(
        commands.supervisor,
        "default",
        settings or commands.Settings(kill_seconds=0.5),
        outside or Outside(),
    )
    spec = supervision.ChildSpec("commands", start, type="supervisor", shutdown=None)
    async with supervision.open_supervisor([spec]):
        yield "default"


def shell(script, **options):
    return Launch(argv=("/bin/sh", "-c", script), cwd="/tmp", env=ENV, **options)


def python(script, **options):
    argv = (sys.executable, "-I", "-S", "-c", script)
    return Launch(argv=argv, cwd="/tmp", env=ENV, **options)


def alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def with_words(*words):
    """Numbers of the living processes whose command line has all these words."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, ValueError):
                continue
            if all(word in line for word in words) and alive(int(path.name)):
                found.append(int(path.name))
    return found
