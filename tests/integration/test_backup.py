"""A backup of the real program at work, and a node on what was restored."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import trio

from beamclaw.testing.fake_openai import fake_openai
from tests.support.model import open_model
from tests.support.node import ROOT, Node, open_node, uses

pytestmark = pytest.mark.slow

TOKEN = "canary-token-77ab02e4"
TALKERS = 6


def in_session(key: str) -> dict[str, str]:
    return {"x-openclaw-session-key": key}


async def test_what_was_acknowledged_before_is_in_it_and_the_node_on_it_goes_on(
    tmp_path: Path,
):
    file, acknowledged, enough = tmp_path / "a.backup", list[str](), trio.Event()
    async with (
        open_model() as model,
        open_node(tmp_path / "data", env=uses(model.url, "t5-w20-g1")) as node,
    ):
        async with trio.open_nursery() as nursery:

            async def talk(number: int) -> None:
                for turn in range(1000):
                    answer = await node.complete(
                        f"say <<t{number}-{turn}>>", in_session(f"talk{number}")
                    )
                    assert answer.status == 200
                    acknowledged.append(answer.headers["x-request-id"])
                    if len(acknowledged) > 4 * TALKERS:
                        enough.set()

            for number in range(TALKERS):
                nursery.start_soon(talk, number)
            await enough.wait()
            before = list(acknowledged)
            made = await node.command("backup", str(file), "--json")
            during = len(acknowledged) - len(before)
            nursery.cancel_scope.cancel()
        assert made.code == 0, made.err
        assert during > 0, "nobody talked while it was made: this proves nothing"
        restored = tmp_path / "restored"
        other = Node(data=restored, env=uses(model.url))
        back = await other.command("restore", str(file))
        assert back.code == 0, back.err
        with sqlite3.connect(restored / "tenants/default/ledger.db") as ledger:
            rows = dict(ledger.execute("SELECT run_id, state FROM runs"))
        assert set(before) <= rows.keys()
        assert {rows[run_id] for run_id in before} == {"ended"}

        async with open_node(restored, env=uses(model.url)) as other:
            answer = await other.complete("say <<again>>", in_session("talk0"))
            history = await other.command("sessions", "history", "talk0", "--json")
            status = await other.command("status", "--json")
        assert answer.status == 200
        assert "<<t0-0>>" in history.out
        assert "<<again>>" in history.out
        sessions = orjson.loads(status.out)["tenants"]["default"]["sessions"]
        assert "unavailable" not in sessions


async def test_a_backup_is_private_and_its_listing_shows_no_secret(tmp_path: Path):
    file = tmp_path / "a.backup"
    async with fake_openai(keys=["canary-key"]) as fake:
        data = tmp_path / "data"
        data.mkdir()
        (data / "beamclaw.yaml").write_text(
            f"providers: {{p: {{api: openai, base_url: '{fake.base_url}', "
            "api_key: canary-key}}\n"
            "agents: {main: {model: p/m}}\n"
            f"gateway: {{auth: {{token: {TOKEN}}}}}\n"
        )
        old = os.umask(0)
        try:
            async with open_node(data, token="") as node:
                made = [await node.command("backup", str(file))]
                made.append(await node.command("backup", str(file)))
        finally:
            os.umask(old)
        seen = [await node.command("restore", "--check", str(file))]
        seen.append(await node.command("restore", "--check", "--json", str(file)))
    assert [each.code for each in (*made, *seen)] == [0, 1, 0, 0]
    assert file.stat().st_mode & 0o777 == 0o600
    assert "beamclaw.yaml" in seen[0].out
    assert "token" not in seen[0].out  # the configuration has one: no file was made
    for each in (*made, *seen):
        assert "canary" not in each.out + each.err


async def test_no_terminal_obeys_the_name_of_a_file_that_is_left_out(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        workspace = node.data / "workspace"
        workspace.mkdir(exist_ok=True)
        (workspace / "a\x1b[2Jb").write_text("made by an agent")
        made = await node.command("backup", str(tmp_path / "a.backup"))
    looked = await node.command("restore", "--check", str(tmp_path / "a.backup"))
    for each in (made, looked):
        assert each.code == 0, each.err
        assert "\x1b" not in each.out + each.err
        assert "a\\x1b[2Jb" in each.err


async def test_killed_in_the_middle_no_half_file_has_the_name(tmp_path: Path):
    """And what it has left behind, which holds secrets, is gone with the next one."""
    data, place = tmp_path / "data", tmp_path / "place"
    place.mkdir()
    async with open_node(data) as node:
        (data / "workspace").mkdir(exist_ok=True)
        (data / "workspace/large").write_bytes(os.urandom(48 * 1024 * 1024))
        file = place / "a.backup"
        with subprocess.Popen(  # noqa: ASYNC220 -- begins at once
            [
                sys.executable,
                "-m",
                "beamclaw",
                "backup",
                str(file),
                "--data",
                str(data),
            ],
            cwd=ROOT,
            env=node.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as command:
            while not _begun(place):
                assert command.poll() is None, "it was over too soon"
                await trio.sleep(0.005)
            command.send_signal(signal.SIGKILL)
            command.wait()
        assert not file.exists()
        (left,) = place.iterdir()
        assert left.stat().st_mode & 0o777 == 0o700

        made = await node.command("backup", str(file))

    assert made.code == 0, made.err
    assert list(place.iterdir()) == [file]


def _begun(place: Path) -> bool:
    return any(path.stat().st_size > 0 for path in place.glob(".*/archive"))


async def test_without_a_node_and_after_a_kill_it_is_made_all_the_same(tmp_path: Path):
    async with open_node(tmp_path / "data") as node:
        assert (await node.complete("hello", in_session("mine"))).status == 200
        node.kill9()
        assert node.process is not None
        await node.process.wait()
        made = await node.command("backup", str(tmp_path / "a.backup"))
        assert made.code == 0, made.err
        held = subprocess.Popen(  # noqa: ASYNC220 -- begins at once
            [sys.executable, "-c", HOLDS, str(tmp_path / "data")],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        with held:
            assert held.stdout is not None
            held.stdout.readline()
            refused = await node.command("backup", str(tmp_path / "b.backup"))
            held.kill()
    assert (refused.code, "in use" in refused.err) == (1, True)
    other = Node(data=tmp_path / "new")
    assert (await other.command("restore", str(tmp_path / "a.backup"))).code == 0
    async with open_node(tmp_path / "new") as node:
        history = await node.command("sessions", "history", "mine")
    assert "hello" in history.out


# A folder that is held by who has no socket in it.
HOLDS = """
import sys, time
from pathlib import Path
from beamclaw.storage import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""
