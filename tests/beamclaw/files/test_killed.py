"""Killed at any point of a change, and again at any point of what follows it.

A kill is an exception that nothing in the program catches; what it leaves on disk is what
a kill leaves. The crash matrix does the same to whole nodes, by signal.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from beamclaw.contracts.points import hooked
from beamclaw.contracts.tools import Output, ToolFailed
from tests.beamclaw.files.stage import Stage, order

BEFORE = {"a.py": "one\ntwo\n", "old.py": "x\n", "gone": "x\n"}
PATCH = """*** Begin Patch
*** Update File: a.py
-two
+three
*** Update File: old.py
*** Move to: new/place.py
*** Add File: notes.md
+hello
*** Delete File: gone
*** End Patch"""
CALLS: Mapping[str, tuple[dict[str, str], dict[str, str]]] = {
    "apply_patch": (
        {"input": PATCH},
        {"a.py": "one\nthree\n", "new/place.py": "x\n", "notes.md": "hello\n"},
    ),
    "edit": (
        {"path": "a.py", "oldText": "two", "newText": "two two"},
        {**BEFORE, "a.py": "one\ntwo two\n"},
    ),
    "write": (
        {"path": "deep/er/file", "content": "new\n"},
        {**BEFORE, "deep/er/file": "new\n"},
    ),
}

# An edit at once, the others take their time.
SOON = [
    tool if tool == "edit" else pytest.param(tool, marks=pytest.mark.slow)
    for tool in CALLS
]


class Killed(BaseException):
    """The node is dead."""


class Reaper:
    """Kills at the point with this number."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.reached: list[str] = []

    def __call__(self, point: str) -> None:
        self.reached.append(point)
        if len(self.reached) - 1 == self.at:
            raise Killed(point)


def files(stage: Stage) -> dict[str, str]:
    return {
        path.relative_to(stage.space).as_posix(): path.read_text()
        for path in stage.space.rglob("*")
        if path.is_file() and not path.name.endswith(".tmp")
    }


def do(folder: Path, tool: str, *, again: bool, at: int | None = None) -> Any:
    """One life of a node: run the call, or ask first what became of it."""

    async def life() -> Output:
        stage = Stage(folder)
        call = order(tool, "the key", CALLS[tool][0])
        if again and (found := await stage.tools[tool].check(call)) is not None:
            return found
        return await stage.tools[tool].run(call)

    reaper = Reaper(at)
    with hooked(reaper):
        try:
            return trio.run(life).text, reaper.reached
        except Killed:
            return None, reaper.reached


def fresh(folder: Path) -> Stage:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    stage = Stage(folder)
    for name, text in BEFORE.items():
        stage.put(name, text)
    return stage


@pytest.mark.parametrize("tool", SOON)
def test_whatever_was_killed_ends_once_and_whole(tmp_path: Path, tool: str) -> None:
    stage = fresh(tmp_path / "x")
    said, points = do(stage.folder, tool, again=False)
    assert files(stage) == CALLS[tool][1]
    assert len(points) > 10

    decided = points.index("file.receipt.after")
    for at, point in enumerate(points):
        stage = fresh(tmp_path / "x")
        assert do(stage.folder, tool, again=False, at=at) == (None, points[: at + 1])
        # Each file is whole, and before it was decided all are as they were.
        for name, text in files(stage).items():
            assert text in {BEFORE.get(name), CALLS[tool][1].get(name)}, point
        if at < decided:
            assert files(stage) == BEFORE
        assert do(stage.folder, tool, again=True)[0] == said, point
        assert files(stage) == CALLS[tool][1], point
        assert stage.litter() == []
        assert do(stage.folder, tool, again=True)[0] == said, point
        assert files(stage) == CALLS[tool][1], point


# All pairs of the largest take over a minute, so it has every third point.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("tool", "step"), [("apply_patch", 3), ("edit", 1), ("write", 1)]
)
def test_whatever_was_killed_twice_ends_the_same(
    tmp_path: Path, tool: str, step: int
) -> None:
    _every_second_kill(tmp_path, tool, step=step)


def test_some_of_what_was_killed_twice_ends_the_same(tmp_path: Path) -> None:
    _every_second_kill(tmp_path, "edit", step=7)


def _every_second_kill(tmp_path: Path, tool: str, step: int) -> None:
    stage = fresh(tmp_path / "x")
    said, points = do(stage.folder, tool, again=False)
    for first in range(0, len(points), step):
        second = 0
        while True:
            stage = fresh(tmp_path / "x")
            do(stage.folder, tool, again=False, at=first)
            ended, _ = do(stage.folder, tool, again=True, at=second)
            if ended is None:
                ended, _ = do(stage.folder, tool, again=True)
                second += step
            else:
                second = -1
            assert ended == said
            assert files(stage) == CALLS[tool][1]
            assert stage.litter() == []
            if second < 0:
                break


def test_what_was_done_is_not_done_again_over_what_came_after(tmp_path: Path) -> None:
    """Its end was not in the journal; meanwhile somebody has gone on with the file."""
    stage = fresh(tmp_path / "x")
    said, _ = do(stage.folder, "edit", again=False)
    stage.put("a.py", "quite another\n")
    assert do(stage.folder, "edit", again=True)[0] == said
    assert stage.get("a.py") == "quite another\n"


def test_a_file_that_was_changed_while_the_node_was_down_is_left_alone(
    tmp_path: Path,
) -> None:
    stage = fresh(tmp_path / "x")
    _, points = do(stage.folder, "apply_patch", again=False)
    stage = fresh(tmp_path / "x")
    do(stage.folder, "apply_patch", again=False, at=points.index("file.rename.before"))
    stage.put("a.py", "by somebody else\n")

    with pytest.raises(ToolFailed, match="only a part was done") as failed:
        do(stage.folder, "apply_patch", again=True)
    assert "a.py has been changed by somebody else" in str(failed.value)
    assert stage.get("a.py") == "by somebody else\n"
    assert stage.get("notes.md") == "hello\n"
    assert stage.litter() == []
    with pytest.raises(ToolFailed, match="only a part was done"):
        do(stage.folder, "apply_patch", again=True)


def test_a_receipt_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    stage = fresh(tmp_path / "x")
    do(stage.folder, "edit", again=False)
    for receipt in stage.receipts.iterdir():
        if receipt.is_file():
            receipt.write_bytes(b"{")
    with pytest.raises(ToolFailed, match="cannot be read any more"):
        do(stage.folder, "edit", again=True)


@pytest.mark.parametrize(
    "at", ["file.receipt.after", "file.rename.before", "file.close.before"]
)
def test_who_comes_after_an_interrupted_call_sees_what_it_has_decided(
    tmp_path: Path, at: str
) -> None:
    """Both are taken up at once after a kill, and the later one is the first to begin."""
    stage = fresh(tmp_path / "x")
    said, points = do(stage.folder, "edit", again=False)
    stage = fresh(tmp_path / "x")
    do(stage.folder, "edit", again=False, at=points.index(at))

    later = {"path": "a.py", "oldText": "one", "newText": "1"}
    after = Stage(stage.folder)
    trio.run(after.tools["edit"].run, order("edit", "another key", later))
    assert stage.get("a.py") == "1\ntwo two\n"
    assert do(stage.folder, "edit", again=True)[0] == said
    assert stage.get("a.py") == "1\ntwo two\n"


def test_a_call_that_died_alone_is_carried_on_by_the_next(tmp_path: Path) -> None:
    """Its process has crashed; the node, and what it holds in memory, lives."""
    stage = fresh(tmp_path / "x")
    edit = stage.tools["edit"]
    one = order("edit", "one", CALLS["edit"][0])
    two = order("edit", "two", {"path": "a.py", "oldText": "one", "newText": "1"})

    def crash(point: str) -> None:
        if point == "file.rename.before":
            raise RuntimeError(point)

    async def life() -> Output | None:
        with hooked(crash), pytest.raises(RuntimeError):
            await edit.run(one)
        assert stage.get("a.py") == BEFORE["a.py"]
        await edit.run(two)
        return await edit.check(one)

    found = trio.run(life)
    assert found is not None
    assert found.text == "replaced one text in a.py"
    assert stage.get("a.py") == "1\ntwo two\n"
    assert stage.bench.statistics()["locked"] == 0
