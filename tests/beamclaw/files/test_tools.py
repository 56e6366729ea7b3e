"""The tools for files as a model uses them."""

import base64
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from beamclaw.config.schema import FilesConfig
from beamclaw.contracts.approvals import Ask, Clear
from beamclaw.contracts.messages import Image
from beamclaw.contracts.tools import ToolFailed
from tests.beamclaw.files.stage import Stage, order
from tests.support.descriptors import open_files

PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    before = len(open_files())
    yield made
    assert len(open_files()) == before
    assert made.litter() == []
    assert made.bench.statistics() == {
        "working": 0,
        "searching": 0,
        "waiting": 0,
        "locked": 0,
    }


async def refused(stage: Stage, tool: str, words: str, **arguments: object) -> None:
    with pytest.raises(ToolFailed, match=words):
        await stage.call(tool, **arguments)


# --- what is offered


async def test_the_tools_have_openclaw_s_names_and_parameters(stage: Stage) -> None:
    offered = {
        name: (
            tool.spec.effect,
            tool.spec.group,
            list(tool.spec.parameters["properties"]),
            tool.spec.parameters.get("required", []),
        )
        for name, tool in stage.tools.items()
    }
    assert offered == {
        "read": ("pure", "fs", ["path", "offset", "limit"], ["path"]),
        "ls": ("pure", "fs", ["path", "limit"], []),
        "find": ("pure", "fs", ["pattern", "path", "limit"], ["pattern"]),
        "grep": (
            "pure",
            "fs",
            ["pattern", "path", "glob", "ignoreCase", "literal", "context", "limit"],
            ["pattern"],
        ),
        "write": ("checkable", "fs", ["path", "content"], ["path", "content"]),
        "edit": (
            "checkable", "fs", ["path", "oldText", "newText", "edits"], ["path"],
        ),
        "apply_patch": ("checkable", "fs", ["input"], ["input"]),
    }  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {"file_path": "a", "old_string": "x", "new_string": "y"},
        {"filePath": "a", "oldString": "x", "newString": "y"},
        {"path": "a", "old_text": "x", "new_text": "y"},
        {"path": "a", "edits": [{"old_string": "x", "new_string": "y"}]},
        {"path": "a", "edits": [{"oldText": "x", "newText": "y"}]},
    ],
)
async def test_arguments_have_other_names_elsewhere(stage: Stage, given) -> None:
    stage.put("a", "x")
    await stage.call("edit", **given)
    assert stage.get("a") == "y"


async def test_a_path_under_two_names_is_refused(stage: Stage) -> None:
    stage.put("a", "x")
    await refused(stage, "read", "mean the same", path="a", file_path="/etc/passwd")
    await refused(stage, "read", "mean the same", file="a", filename="a")
    await refused(stage, "write", "no 'mode'", path="a", content="", mode="x")


@pytest.mark.parametrize("name", ["path", "file_path", "filePath", "file", "filename"])
@pytest.mark.parametrize(
    "path",
    ["../data/x", "/etc/passwd", "a/../../x", "file:///etc/passwd", "~/x", "x\0",
     "%2e%2e/x", "\\\\host\\x", "out/passwd", "../Data/x", "../data/token"],
)  # fmt: skip
async def test_no_tool_takes_a_path_out_of_the_workspace(
    stage: Stage, name: str, path: str
) -> None:
    (stage.space / "out").symlink_to("/etc")
    (stage.folder / "data" / "token").write_text("canary")
    for tool, more in (
        ("read", {}),
        ("ls", {}),
        ("find", {"pattern": "*"}),
        ("grep", {"pattern": "canary"}),
        ("write", {"content": "x"}),
        ("edit", {"oldText": "canary", "newText": "y"}),
    ):
        with pytest.raises(ToolFailed) as failed:
            await stage.call(tool, **{name: path}, **more)
        assert "root:" not in str(failed.value)
    for patch in (
        f"*** Add File: {path}\n+x",
        f"*** Delete File: {path}",
        f"*** Update File: ok\n*** Move to: {path}",
        f"*** Update File: {path}\n*** Move to: ok2",
    ):
        stage.put("ok", "fine")
        with pytest.raises(ToolFailed):
            await stage.call(
                "apply_patch", input=f"*** Begin Patch\n{patch}\n*** End Patch"
            )
    assert stage.get("ok") == "fine"
    assert not (stage.space / "ok2").exists()
    assert (stage.folder / "data" / "token").read_text() == "canary"


# --- read


async def test_a_text_is_read_as_it_stands(stage: Stage) -> None:
    stage.put("a", "one\ntwo\n")
    assert await stage.call("read", path="a") == "one\ntwo"
    assert await stage.call("read", path="a", offset=2) == "two"
    stage.put("b", "\ufeffone\r\ntwo")
    assert await stage.call("read", path="b") == "one\ntwo"
    stage.put("empty", "")
    assert await stage.call("read", path="empty") == "[empty is empty]"
    stage.put("blank", "\n")
    assert await stage.call("read", path="blank") == ""


async def test_a_long_text_is_read_in_parts(stage: Stage) -> None:
    stage.put("a", "".join(f"line {n}\n" for n in range(1, 31)))
    page = await stage.call("read", path="a", limit=10)
    assert page.startswith("line 1\n")
    assert page.endswith("line 10\n\n[lines 1 to 10 of 30; go on with offset=11]")
    assert (await stage.call("read", path="a", offset=21, limit=10)).endswith("line 30")
    await refused(stage, "read", "only 30 lines", path="a", offset=31)
    await refused(stage, "read", "expected a whole number", path="a", offset=0)


@pytest.mark.parametrize(
    "limits, shown",
    [
        (FilesConfig(read_lines=3), "[lines 1 to 3 of 10"),
        (FilesConfig(read_chars=19), "[lines 1 to 2 of 10"),
        (FilesConfig(line_chars=4), "line… [the line has 6 bytes]"),
    ],
)
async def test_what_one_read_shows_is_limited(tmp_path: Path, limits, shown) -> None:
    stage = Stage(tmp_path, limits)
    stage.put("a", "".join(f"line {n}\n" for n in range(10)))
    assert shown in await stage.call("read", path="a", limit=1000)


async def test_a_file_of_ten_gigabytes_is_no_burden(stage: Stage) -> None:
    path = stage.put("huge", "first\nsecond\n" + "more\n" * 2000)
    with path.open("r+b") as file:
        file.truncate(10 * 1024**3)  # a hole: it takes no room
    assert (await stage.call("read", path="huge", limit=2)).startswith(
        "first\nsecond\n"
    )
    await refused(stage, "edit", "max_bytes", path="huge", oldText="first", newText="x")
    hasty = Stage(stage.folder, FilesConfig(search_seconds=0.01))
    await refused(hasty, "read", "search_seconds", path="huge", offset=10**8)


async def test_pictures_are_shown_and_other_bytes_refused(stage: Stage) -> None:
    stage.put("a.png", PNG)
    output = await stage.output("read", path="a.png")
    (image,) = output.media
    assert isinstance(image, Image)
    assert image.media_type == "image/png"
    assert base64.b64decode(image.data or "") == PNG
    stage.put("b.png", b"\x00\x01")
    await refused(stage, "read", "b.png is binary", path="b.png")
    small = Stage(stage.folder, FilesConfig(picture_bytes=10))
    await refused(small, "read", "picture_bytes", path="a.png")


async def test_what_is_no_file_is_told(stage: Stage) -> None:
    (stage.space / "folder").mkdir()
    os.mkfifo(stage.space / "pipe")
    await refused(stage, "read", "is a folder", path="folder")
    await refused(stage, "read", "a named pipe", path="pipe")
    await refused(stage, "read", "no file at 'none'", path="none")
    await refused(stage, "ls", "a named pipe, not a folder", path="pipe/..")


# --- ls


async def test_a_folder_is_listed(stage: Stage) -> None:
    stage.put("b.txt", "")
    stage.put("A/x", "")
    stage.put("a\x1b[31m", "")
    (stage.space / "link").symlink_to("/etc/passwd")
    os.mkfifo(stage.space / "pipe")
    assert (await stage.call("ls")).split("\n") == [
        "'a\\x1b[31m'", "A/", "b.txt", "link -> /etc/passwd", "pipe (no file)",
    ]  # fmt: skip
    assert await stage.call("ls", path="A") == "x"
    (stage.space / "A" / "x").unlink()
    assert await stage.call("ls", path="A") == "[A is empty]"


@pytest.mark.parametrize(
    "limits, limit, end",
    [
        (FilesConfig(), 3, "n03\n\n[3 of 20 entries]"),
        (FilesConfig(list_entries=4), 10, "n04\n\n[4 of 20 entries]"),
        (FilesConfig(read_chars=8), 10, "n02\n\n[2 of 20 entries]"),
    ],
)
async def test_what_one_list_shows_is_limited(
    tmp_path: Path, limits, limit, end
) -> None:
    stage = Stage(tmp_path, limits)
    for number in range(1, 21):
        stage.put(f"n{number:02}", "")
    assert (await stage.call("ls", limit=limit)).endswith(end)
    cut = Stage(tmp_path, FilesConfig(looked_at=10))
    assert "[10 of 10 or more entries]" in await cut.call("ls")


# --- write


async def test_a_file_is_written_with_its_folders(stage: Stage) -> None:
    said = await stage.call("write", path="a/b/c.txt", content="hello\n")
    assert said == "wrote a/b/c.txt: 6 bytes"
    assert stage.get("a/b/c.txt") == "hello\n"
    (stage.space / "a/b/c.txt").chmod(0o750)
    said = await stage.call("write", path="a/b/c.txt", content="x")
    assert said == "overwrote a/b/c.txt: 1 bytes"
    assert stat.S_IMODE((stage.space / "a/b/c.txt").stat().st_mode) == 0o750


async def test_what_may_not_be_written_is_not(stage: Stage) -> None:
    (stage.folder / "skill" / "SKILL.md").write_text("mine")
    await refused(
        stage,
        "write",
        "read only",
        path=str(stage.folder / "skill/SKILL.md"),
        content="",
    )
    await refused(
        stage, "write", "read only", path=str(stage.folder / "skill/a/b"), content=""
    )
    stage.put("locked", "x").chmod(0o444)
    await refused(stage, "write", "read only", path="locked", content="")
    await refused(stage, "write", "is a folder", path=".", content="")
    small = Stage(stage.folder, FilesConfig(max_bytes=10))
    await refused(small, "write", "max_bytes", path="a", content="x" * 11)
    await small.call("write", path="a", content="x" * 10)
    stage.put("big", "x" * 100)
    await small.call("write", path="big", content="y")  # what was there may be larger
    assert stage.get("big") == "y"


async def test_a_link_inside_is_written_through(stage: Stage) -> None:
    stage.put("real", "old")
    (stage.space / "link").symlink_to("real")
    assert (
        await stage.call("write", path="link", content="new")
        == "overwrote real: 3 bytes"
    )
    assert (stage.space / "link").is_symlink()
    assert stage.get("real") == "new"


# --- edit and apply_patch


async def test_an_edit_keeps_modes_and_endings(stage: Stage) -> None:
    stage.put("a", "\ufeffone\r\ntwo").chmod(0o755)
    said = await stage.call("edit", path="a", oldText="two", newText="2\n3")
    assert said == "replaced one text in a"
    assert stage.get("a") == "\ufeffone\r\n2\r\n3"
    assert stat.S_IMODE((stage.space / "a").stat().st_mode) == 0o755
    many = [{"oldText": "one", "newText": "1"}, {"oldText": "3", "newText": ""}]
    assert await stage.call("edit", path="a", edits=many) == "replaced 2 texts in a"
    assert stage.get("a") == "\ufeff1\r\n2\r\n"


async def test_an_edit_that_is_not_clear_changes_nothing(stage: Stage) -> None:
    stage.put("a", "x\nx\n")
    await refused(stage, "edit", "more than once", path="a", oldText="x", newText="y")
    await refused(stage, "edit", "newText is missing", path="a", oldText="x")
    await refused(stage, "edit", "nothing to replace", path="a")
    await refused(stage, "edit", "no file b", path="b", oldText="x", newText="y")
    stage.put("bin", b"x\0")
    await refused(stage, "edit", "binary", path="bin", oldText="x", newText="y")
    stage.put("latin", b"caf\xe9")
    await refused(stage, "edit", "not UTF-8", path="latin", oldText="c", newText="y")
    assert stage.get("a") == "x\nx\n"


PATCH = """*** Begin Patch
*** Update File: a.py
@@ def go():
-    return 1
+    return 2
*** Update File: old.py
*** Move to: new/place.py
*** Add File: notes/today.md
+hello
*** Delete File: gone
*** End Patch"""


async def test_a_patch_changes_several_files(stage: Stage) -> None:
    stage.put("a.py", "def go():\n    return 1\n")
    stage.put("old.py", "x").chmod(0o700)
    stage.put("gone", "x")
    said = await stage.call("apply_patch", input=PATCH)
    assert said == ("done:\nM a.py\nD old.py\nA new/place.py\nA notes/today.md\nD gone")
    assert stage.get("a.py") == "def go():\n    return 2\n"
    assert stage.get("new/place.py") == "x"
    assert stat.S_IMODE((stage.space / "new/place.py").stat().st_mode) == 0o700
    assert stage.get("notes/today.md") == "hello\n"
    assert not (stage.space / "gone").exists()
    assert not (stage.space / "old.py").exists()


async def test_a_patch_that_does_not_fit_changes_nothing(stage: Stage) -> None:
    stage.put("a.py", "def go():\n    return 1\n")
    await refused(stage, "apply_patch", "there is no file old.py", input=PATCH)
    assert {path.name for path in stage.space.rglob("*")} == {"a.py"}
    assert stage.get("a.py") == "def go():\n    return 1\n"
    few = Stage(stage.folder, FilesConfig(patch_files=2))
    await refused(few, "apply_patch", "patch_files", input=PATCH)


# --- several at once


async def test_edits_of_one_file_at_once_lose_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, threads=True)
    stage.put("a", "".join(f"<{n:02}>" for n in range(30)))
    async with trio.open_nursery() as nursery:
        for n in range(30):
            call = stage.tools["edit"].run
            given = {"path": "a", "oldText": f"<{n:02}>", "newText": f"[{n:02}]"}
            nursery.start_soon(call, order("edit", f"key {n}", given))
    assert stage.get("a") == "".join(f"[{n:02}]" for n in range(30))
    assert stage.bench.statistics()["locked"] == 0


# --- protected names


@pytest.mark.parametrize(
    "tool, arguments",
    [
        ("write", {"path": "AGENTS.md", "content": "x"}),
        ("write", {"path": "agents.MD", "content": "x"}),
        ("write", {"file_path": "skills/new/SKILL.md", "content": "x"}),
        ("write", {"path": "link", "content": "x"}),
        ("edit", {"path": "a/../SOUL.md", "oldText": "x", "newText": "y"}),
        ("edit", {"path": "memory/today.md", "old_string": "x", "new_string": "y"}),
        ("apply_patch", {"input": "*** Begin Patch\n*** Update File: ok\n"
         "*** Move to: MEMORY.md\n*** End Patch"}),
        ("apply_patch", {"patch": "*** Begin Patch\n*** Delete File: USER.md\n"
         "*** End Patch"}),
    ],
)  # fmt: skip
async def test_after_words_of_strangers_who_an_agent_is_is_asked_for(
    stage: Stage, tool: str, arguments
) -> None:
    for name in ("SOUL.md", "memory/today.md", "ok", "USER.md", "a/x"):
        stage.put(name, "x")
    (stage.space / "link").symlink_to("HEARTBEAT.md")
    asked = await stage.clear(tool, tainted=True, **arguments)
    assert isinstance(asked, Ask)
    assert tool in asked.question
    assert await stage.clear(tool, tainted=False, **arguments) == Clear()
    # Nothing was made while asking.
    assert not (stage.space / "skills").exists()
    # And again by what is written: nobody was asked.
    unasked = order(tool, "key", arguments, tainted=True)
    with pytest.raises(ToolFailed, match="only when a person agrees"):
        await stage.tools[tool].run(unasked)


async def test_what_is_agreed_to_is_what_is_written(stage: Stage) -> None:
    one = await stage.clear("write", tainted=True, path="AGENTS.md", content="x")
    same = await stage.clear("write", tainted=True, path="./AGENTS.md", content="x")
    other = await stage.clear("write", tainted=True, path="AGENTS.md", content="y")
    assert isinstance(one, Ask)
    assert isinstance(same, Ask)
    assert isinstance(other, Ask)
    assert one.digest == same.digest != other.digest
    assert (
        await stage.clear("write", tainted=True, path="notes.md", content="x")
        == Clear()
    )
