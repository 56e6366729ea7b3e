"""Changes that meet a full disk, somebody else, or their own end."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from beamclaw.config.schema import FilesConfig
from beamclaw.contracts.points import hooked
from beamclaw.contracts.tools import Forgets, ToolFailed
from tests.beamclaw.files.stage import Stage, order

PATCH = """*** Begin Patch
*** Update File: a
-1
+2
*** Update File: b
-1
+2
*** End Patch"""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    made.put("a", "1\n")
    made.put("b", "1\n")
    yield made
    assert made.litter() == []


async def failing(
    stage: Stage, call: Any, error: Any, *, at: str, time: int = 1
) -> str:
    """What is said when the disk fails at a point."""
    times = 0

    def hook(point: str) -> None:
        nonlocal times
        times += point == at
        if point == at and times == time:
            error()

    with hooked(hook), pytest.raises(ToolFailed) as failed:
        await stage.call(*call[:1], **call[1])
    return str(failed.value)


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


CALL = ("apply_patch", {"input": PATCH})


@pytest.mark.parametrize(
    "at, time", [("file.sync-receipt.before", 1), ("file.receipt.before", 1),
                 ("file.sync.before", 1), ("file.sync.before", 2)],
)  # fmt: skip
async def test_a_full_disk_changes_nothing(stage: Stage, at: str, time: int) -> None:
    said = await failing(stage, CALL, full, at=at, time=time)
    assert said.startswith("nothing was changed")
    assert "no space left" in said
    assert (stage.get("a"), stage.get("b")) == ("1\n", "1\n")
    assert stage.kept() == []


async def test_a_disk_that_fails_half_way_is_told_of_file_by_file(stage: Stage) -> None:
    said = await failing(stage, CALL, full, at="file.rename.before", time=2)
    assert said.startswith("only a part was done")
    assert f"Changed are: {stage.space / 'a'}" in said
    assert (stage.get("a"), stage.get("b")) == ("2\n", "1\n")


@pytest.mark.parametrize("time", [1, 2])
async def test_a_change_that_cannot_be_written_out_is_not_denied(
    stage: Stage, time: int
) -> None:
    said = await failing(stage, CALL, full, at="file.sync-folder.before", time=time)
    assert said.startswith("only a part was done")
    assert "is changed, and may be as before after a power cut" in said
    assert f"Changed are: {stage.space / 'a'}, {stage.space / 'b'}" in said
    assert (stage.get("a"), stage.get("b")) == ("2\n", "2\n")


async def test_what_somebody_else_writes_meanwhile_is_not_lost(stage: Stage) -> None:
    said = await failing(
        stage,
        ("edit", {"path": "a", "oldText": "1", "newText": "2"}),
        lambda: stage.put("a", "by somebody else"),
        at="file.sync.after",
    )
    assert "a has been changed by somebody else" in said
    assert said.startswith("nothing was changed")
    assert stage.get("a") == "by somebody else"


async def test_a_folder_swapped_for_a_link_meanwhile_is_not_written_through(
    stage: Stage,
) -> None:
    stage.put("d/a", "1")
    out = stage.folder / "out"
    out.mkdir()
    (out / "a").write_text("1")

    def swap() -> None:
        (stage.space / "d").rename(stage.space / "aside")
        (stage.space / "d").symlink_to(out)

    call = ("edit", {"path": "d/a", "oldText": "1", "newText": "2"})
    said = await failing(stage, call, swap, at="file.receipt.after")
    assert "outside the workspace" in said
    assert (out / "a").read_text() == "1"


async def test_a_receipt_holds_no_contents_once_all_is_done(stage: Stage) -> None:
    await stage.call("write", path="secret", content="canary " * 10)
    (receipt,) = stage.kept()
    assert b"canary" not in receipt.read_bytes()
    assert receipt.stat().st_mode & 0o077 == 0


async def test_receipts_go_when_their_time_is_over(tmp_path: Path) -> None:
    stage = Stage(tmp_path, FilesConfig(receipt_seconds=100.0))
    stage.put("a", "1")
    edit = order("edit", "first", {"path": "a", "oldText": "1", "newText": "2"})
    await stage.tools["edit"].run(edit)
    assert await stage.tools["edit"].check(edit) is not None
    (receipt,) = stage.kept()
    os.utime(receipt, (stage.now, stage.now))
    stage.now += 3700.0
    await stage.call("write", path="b", content="x")
    assert await stage.tools["edit"].check(edit) is None
    assert not receipt.exists()


async def test_what_is_in_the_journal_is_not_kept_here(stage: Stage) -> None:
    edit = order("edit", "key", {"path": "a", "oldText": "1", "newText": "2"})
    tool = stage.tools["edit"]
    assert isinstance(tool, Forgets)
    await tool.run(edit)
    assert len(stage.kept()) == 1
    await tool.forget(edit)
    assert stage.kept() == []
    await tool.forget(edit)
