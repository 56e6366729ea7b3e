"""Disks that fill up: a small tmpfs, or, where nobody may mount one, the shim's word."""

import contextlib
import errno
import functools
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.faults.disk.shim import Control, environment

MEGABYTES = 4


class Small(Protocol):
    """A folder on a disk with little room.

    Attributes:
        folder: Where it is.
        env: What a program that is to have it is started with.
    """

    folder: Path
    env: Mapping[str, str]

    def fill(self) -> None:
        """Leave no room at all."""
        ...

    def free(self) -> None:
        """Make room again."""
        ...


class Mounted:
    """A tmpfs of a few megabytes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.env: Mapping[str, str] = {}
        _mount(folder)

    def fill(self) -> None:
        with (self.folder / "ballast").open("ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def free(self) -> None:
        (self.folder / "ballast").unlink()

    def close(self) -> None:
        # Lazily: a program that was killed may not be quite gone.
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


class Pretended:
    """A disk that says that it is full."""

    def __init__(self, folder: Path, library: Path, control: Control) -> None:
        folder.mkdir()
        self.folder = folder
        self._control = control
        self.env: Mapping[str, str] = environment(library, folder, control=control)

    def fill(self) -> None:
        self._control.fail("write", error=errno.ENOSPC)

    def free(self) -> None:
        self._control.work()


def _mount(folder: Path) -> None:
    options = ["-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0700", "tmpfs"]
    subprocess.run(["mount", *options, str(folder)], check=True, capture_output=True)


@functools.cache
def can_mount() -> bool:
    """Whether we may mount a disk: as root, and not in every container."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mount(Path(folder))
        except (OSError, subprocess.CalledProcessError):
            return False
        subprocess.run(["umount", folder], check=True)
    return True
