"""What is proved: a workspace is looked through, and nothing beside it."""

import base64
import os
from pathlib import Path

import pytest
import trio

from beamclaw.config.schema import AgentConfig
from tests.beamclaw.gateway.methods.conftest import port
from tests.beamclaw.gateway.methods.test_sessions import ok, refused
from tests.beamclaw.gateway.socket.talk import connected

LIST, GET = "agents.workspace.list", "agents.workspace.get"
MAIN = {"agentId": "main"}
PNG = b"\x89PNG\r\n\x1a\n..."


# Nobody else puts files there, at whatever moment.
BARE = {"main": AgentConfig(skip_bootstrap=True)}


@pytest.fixture
async def space(start):
    """A client that may only look, and the workspace of main."""
    async with (
        start(agents=BARE),
        connected(port(), scopes=["operator.read"]) as talk,
    ):
        agents = (await ok(talk, "agents.list"))["agents"]
        folder = Path(next(a["workspace"] for a in agents if a["id"] == "main"))
        await trio.Path(folder).mkdir(parents=True, exist_ok=True)
        yield talk, folder


async def test_folders_come_first_and_a_page_at_a_time(space):
    talk, folder = space
    (folder / "sub").mkdir()
    (folder / "sub" / "deep").mkdir()
    (folder / "a.txt").write_text("hello")
    (folder / "b.txt").write_text("")
    (folder / "link").symlink_to("a.txt")
    os.mkfifo(folder / "pipe")
    found = await ok(talk, LIST, MAIN)
    names = [each["name"] for each in found["entries"]]
    assert names[-2:] == ["a.txt", "b.txt"]
    assert "sub" in names
    assert not {"link", "pipe"} & set(names)
    assert "parentPath" not in found
    (row,) = [each for each in found["entries"] if each["name"] == "a.txt"]
    assert (row["kind"], row["size"], row["path"]) == ("file", 5, "a.txt")
    page = await ok(talk, LIST, MAIN | {"offset": len(names) - 1, "limit": 1})
    assert [each["name"] for each in page["entries"]] == ["b.txt"]
    assert page["totalEntries"] == len(names)
    found = await ok(talk, LIST, MAIN | {"path": "sub"})
    assert (found["path"], found["parentPath"]) == ("sub", "")
    assert [each["path"] for each in found["entries"]] == ["sub/deep"]


async def test_a_text_and_a_picture_are_shown(space):
    talk, folder = space
    (folder / "a.txt").write_text("grüße")
    (folder / "p.png").write_bytes(PNG)
    found = (await ok(talk, GET, MAIN | {"path": "a.txt"}))["file"]
    assert (found["content"], found["encoding"], found["size"]) == ("grüße", "utf8", 7)
    assert str(folder) not in str(found)
    found = (await ok(talk, GET, MAIN | {"path": "p.png"}))["file"]
    assert found["mimeType"] == "image/png"
    assert base64.b64decode(found["content"]) == PNG


@pytest.mark.parametrize(
    "path, words",
    [
        ("../../outside.txt", "outside|leads out|not in"),
        ("/etc/passwd", "from the workspace on"),
        ("~/x", "from the workspace on"),
        ("out", "outside|leads out|not in"),
        ("hard.txt", "further names"),
        ("binary", "neither a text nor a picture"),
        ("large", "more than"),
        ("none", "there is no file"),
        ("sub", "a folder"),
        ("pipe", "named pipe"),
    ],
)
async def test_nothing_else_is(space, tmp_path, path, words):
    talk, folder = space
    secret = tmp_path / "outside.txt"
    secret.write_text("secret")
    (folder / "out").symlink_to(secret)
    (folder / "hard.txt").hardlink_to(secret)
    (folder / "binary").write_bytes(b"a\0b")
    (folder / "large").write_bytes(b"x" * (2 * 1024 * 1024 + 1))
    (folder / "sub").mkdir(exist_ok=True)
    os.mkfifo(folder / "pipe")
    error = await refused(talk, GET, MAIN | {"path": path})
    assert error["details"]["reason"] == "path-refused"
    assert any(word in error["message"] for word in words.split("|")), error["message"]
    assert "secret" not in error["message"]


async def test_a_folder_that_is_none_is_refused(space):
    talk, folder = space
    (folder / "a.txt").write_text("x")
    for path in ("a.txt", "none", "..", "/"):
        error = await refused(talk, LIST, MAIN | {"path": path})
        assert error["details"]["reason"] == "path-refused", path
    error = await refused(talk, LIST, {"agentId": "nobody"})
    assert "there is no agent" in error["message"]
