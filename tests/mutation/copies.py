"""Copies of the package, with one fault or none, and processes that import such a copy."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .fault import PACKAGE, ROOT, Fault, put_into


@contextmanager
def copied(source: Path, fault: Fault | None) -> Iterator[Path]:
    """Make a folder that holds the package of *source*, with *fault* in it."""
    with tempfile.TemporaryDirectory(prefix="faulty-") as name:
        folder = Path(name)
        # Times are kept, so that what is compiled stays valid where nothing was changed.
        shutil.copytree(source / PACKAGE, folder / PACKAGE)
        if fault is not None:
            compiled = folder / PACKAGE / "__pycache__"
            for path in compiled.glob(Path(fault.file).stem + ".*"):
                path.unlink()
            put_into(fault, folder)
        yield folder


def run(folder: Path, arguments: Sequence[str], seconds: float) -> tuple[bool, str]:
    """Run Python with *arguments*; it imports the package in *folder*, not ours.

    Returns:
        Whether it ended by itself in time, and what it said.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        # What fails under a fault is no example for anybody else.
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
        "EXPECTED_PACKAGE": str(folder / PACKAGE),
    }
    process = subprocess.Popen(
        [sys.executable, "-P", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        return False, said
    return True, said


def check_package() -> None:
    """In such a process: refuse to go on with another package than the copy."""
    import supervision  # noqa: PLC0415 - it is the point of the check to import it

    expected = os.environ["EXPECTED_PACKAGE"]
    found = os.path.dirname(supervision.__file__)  # noqa: PTH120
    if os.path.realpath(found) != os.path.realpath(expected):
        raise SystemExit(f"imported {found} in place of the copy {expected}")
