"""The shim, built once; and disks that fill up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.disk.shim import Control, build
from tests.faults.disk.small import Mounted, Pretended, Small, can_mount


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path / "control")


@pytest.fixture
def small(tmp_path: Path, library: Path, control: Control) -> Iterator[Small]:
    """A disk that a test can fill: a real one, where we may mount it."""
    if not can_mount():
        yield Pretended(tmp_path / "disk", library, control)
        return
    disk = Mounted(tmp_path / "disk")
    try:
        yield disk
    finally:
        disk.close()
